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
