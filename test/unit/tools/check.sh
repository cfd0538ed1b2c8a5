#!/bin/sh
# `sealtape check` on configurations that are good, and wrong in one way each.
#   check.sh SEALTAPE
set -eu
sealtape=$(readlink -f "$1")
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
. "$(dirname "$0")/tools_lib.sh"

mkdir "$dir/profiles.d" "$dir/spool"
cd "$dir"
openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out roots.pem -days 3650 \
    -subj '/C=US/O=Example/CN=Recording CA' 2>/dev/null
for key in one two; do
    openssl req -newkey rsa:2048 -nodes -keyout $key.key -out $key.csr -subj "/CN=$key" 2>/dev/null
done

# issue NAME KEY SERIAL DAYS [START]
issue() {
    faketime -f "${5:-+0d}" openssl x509 -req -in "$2.csr" -CA roots.pem -CAkey ca.key \
        -set_serial "$3" -days "$4" -out "$1.pem" 2>/dev/null
}

# profile DBID TENANT NAME... with the certificates of the names
profile() {
    dbid=$1 tenant=$2
    shift 2
    {
        echo "<ConfData><CfgGVPIVRProfile><DBID value=\"$dbid\"/><tenantDBID value=\"$tenant\"/>"
        echo "<name value=\"record-$dbid\"/><state value=\"1\"/><userProperties>"
        echo '<list_pair key="recording-certificates">'
        n=0
        for name in "$@"; do
            n=$((n + 1))
            echo "<str_pair key=\"certificate-$n\" value=\"$(awk '{printf "%s&#10;", $0}' "$name.pem")\"/>"
        done
        echo '</list_pair></userProperties></CfgGVPIVRProfile></ConfData>'
    } >"profiles.d/$dbid.xml"
}

cat >c.xml <<END
<sealtape instance="test">
  <profiles directory="profiles.d" cache="cache"/>
  <trust roots="roots.pem"/>
  <spool directory="spool"/>
  <storage url="http://127.0.0.1:1/recordings/"/>
  <processor url="http://127.0.0.1:1/api"/>
</sealtape>
END

check() {
    run "$sealtape" check -c c.xml "$@"
}

# The only problem has these words.
expect_problem() {
    check --json
    expect_status 1
    expect_json .good false
    expect_json '.problems | length' "${2:-1}"
    expect_out "$1"
    check
    expect_status 1
    expect_out 'problem: '
}

issue good one 4097 400
issue other two 4098 400
issue expired one 4099 10 -20d
issue short one 4100 10 -1d
issue later two 4101 300 +20d
issue next two 4102 300 +5d
issue twin two 4097 400

begins "a good configuration has no problem, and the days that are left"
profile 107 101 good
check --json
expect_status 0
expect_json .good true
expect_json '.profiles[0].dbid' 107
expect_json '.profiles[0].certificates[0].serial' 4097
expect_json '.profiles[0].certificates[0].valid' true
expect_json '.profiles[0].certificates[0].daysLeft >= 398' true
check
expect_status 0
expect_out 'no problems'

begins "nothing is written beside the configuration"
[ ! -e cache ] || fails "the cache was made"
[ -z "$(ls spool)" ] || fails "the spool was touched"

begins "an expired certificate beside a valid one is a problem"
profile 107 101 good expired
expect_problem 'expired on'

begins "a profile without a valid certificate refuses recordings"
profile 107 101 expired
expect_problem 'no certificate is valid now' 2

begins "a time without a certificate is a problem"
profile 107 101 short later
expect_problem 'no certificate is valid from'

begins "a certificate that takes over in time is none"
profile 107 101 short next
check --json
expect_status 0
expect_json '.profiles[0].certificates[1].valid' false

begins "a last certificate that expires soon is a warning"
profile 107 101 short
check --json
expect_status 0
expect_json '.warnings | length' 1
expect_out 'expires in'

begins "one key under two tenants is a problem"
profile 107 101 good
profile 108 102 good
expect_problem 'one key under two tenants'
profile 108 101 good
check
expect_status 0

begins "two keys under one issuer and serial number are a problem"
profile 108 101 twin
expect_problem 'two keys under one issuer and serial number'
rm profiles.d/108.xml

begins "a profile that cannot be read is a problem with file and line"
echo '<ConfData><CfgGVPIVRProfile>' >profiles.d/109.xml
expect_problem '109.xml:'
rm profiles.d/109.xml

begins "no profiles at all are a problem"
mv profiles.d/107.xml kept
expect_problem 'there are no profiles'
mv kept profiles.d/107.xml

begins "a profile without any certificate says which option is missing"
profile 108 101
expect_problem 'profile 108: it has no certificate (section recording-certificates, option certificate-1)'
rm profiles.d/108.xml

begins "an envelope that this version does not make is a problem, not another envelope"
sed 's,<list_pair,<list_pair key="recording-encryption"><str_pair key="envelope" value="modern"/></list_pair>&,' \
    profiles.d/107.xml >modern.xml
mv modern.xml profiles.d/107.xml
expect_problem 'expected classic; this version makes no modern envelopes' 2
profile 107 101 good

begins "what is set and has no effect yet is a warning"
sed 's,<list_pair,<list_pair key="recording-encryption"><str_pair key="mask-max" value="10min"/></list_pair>&,' \
    profiles.d/107.xml >limited.xml
mv limited.xml profiles.d/107.xml
cp c.xml kept.xml
sed -i 's,</sealtape>,<metrics file="m.prom"/>&,' c.xml
check --json
expect_status 0
expect_json '.warnings | length' 2
expect_out 'this version sets no limit to a mask'
expect_out 'this version writes no metrics'
profile 107 101 good
cp kept.xml c.xml

begins "a password that cannot be read is a problem with its file, and nothing of it is shown"
account() {
    sed 's,<storage url="http,<storage username="u" '"$1"' url="https,' kept.xml >c.xml
}
account 'password-file="none"'
expect_problem "c.xml:5: the password of this <storage>: $dir/none: cannot read: No such file"
: >secret
account 'password-file="secret"'
expect_problem "$dir/secret: expected a password, found nothing"
printf 'hush\nhush\n' >secret
expect_problem "$dir/secret: expected one line"
! grep -q hush out || fails "the password is shown"
account 'password-env="SEALTAPE_TEST_UNSET"'
expect_problem 'environment variable SEALTAPE_TEST_UNSET: expected a password, found nothing'
echo hush >secret
account 'password-file="secret"'
check
expect_status 0

begins "a CA file that cannot be read, or holds something else, is a problem"
account 'password-file="secret" ca-file="none.pem"'
expect_problem "c.xml:5: storage/@ca-file: $dir/none.pem: cannot read"
account 'password-file="secret" ca-file="secret"'
expect_problem "$dir/secret: expected a certificate in PEM, found none"
account 'password-file="secret" ca-file="one.key"'
expect_problem 'a private key stands here'
account 'password-file="secret" ca-file="roots.pem"'
check
expect_status 0

begins "a spool that cannot be made or used is a problem; one that can is not made"
sed 's,<spool directory="spool",<spool directory="c.xml",' kept.xml >c.xml
expect_problem "spool $dir/c.xml: expected a directory, found a file in its place"
sed 's,<spool directory="spool",<spool directory="a/b",' kept.xml >c.xml
expect_problem "spool $dir/a/b: does not exist, and cannot be made in $dir/a: No such file"
mkdir a
check
expect_status 0
[ ! -e a/b ] || fails "the spool was made"
cp kept.xml c.xml

begins "a broken configuration is a problem with file and line"
sed -i 's/<spool /<spol /' c.xml
expect_problem 'c.xml:4'
run "$sealtape" check -c none.xml
expect_status 1
expect_out 'none.xml'

begins "wrong usage exits 2"
run "$sealtape" check
expect_status 2
run "$sealtape" check -c c.xml more
expect_status 2
run "$sealtape" check --wrong -c c.xml
expect_status 2
run "$sealtape" check --help
expect_status 0

ends
