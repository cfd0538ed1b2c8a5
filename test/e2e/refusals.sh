#!/bin/bash
# What must not be recorded is refused with a reason that an operator can act
# on, and nothing is written anywhere.
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/../lib/scenario.sh"

scenario_begin
scenario_serve
head -c 32000 /dev/urandom >"$SCRATCH/input.wav"
scenario_config
pki_ca strange ""

# refuses SENTENCE DBID PART...: `sealtape record` ends with 1, each part stands
# in its reason, and neither spool nor store nor processor has anything.
refuses()
{
    local dbid=$2 out=$SCRATCH/refused.out err=$SCRATCH/refused.err status=0 part
    proves "$1"
    shift 2
    "$SEALTAPE" record -c "$CONF/sealtape.xml" --dbid "$dbid" --id refused --timeout 5s \
        "$SCRATCH/input.wav" >"$out" 2>"$err" || status=$?
    assert_equal 1 "$status" "exit code ($(tail -n 3 "$err"))"
    assert_equal "" "$(cat "$out")" "standard output"
    for part in "$@"; do
        grep -qF -- "$part" "$err" || fail "expected \"$part\" in: $(cat "$err")"
    done
    nothing_written
}

nothing_written()
{
    local found
    found=$(find "$SPOOL" -type f \( -name '*.bin' -o -name '*.json' -o -name '*.commit' \))
    [[ -z $found ]] || fail "the spool holds $found"
    found=$(find "$STORE_ROOT" -type f)
    [[ -z $found ]] || fail "the store holds $found"
    found=$(curl -sS --fail "$PROCESSOR_URL" | jq '.recordings | length')
    assert_equal 0 "$found" "documents at the processor"
}

fresh()
{
    rm -rf "$CONF/profiles.d" "$SCRATCH/cache" "$SPOOL"
    mkdir -p "$CONF/profiles.d" "$SPOOL"
}

# certificate SENTENCE NAME [PART...]: a profile with this certificate alone.
certificate()
{
    local sentence=$1 name=$2
    shift 2
    fresh
    scenario_profile record.xml 107 record "$(with_chain "$name")"
    refuses "$sentence" 107 "CN=$name" "serial" "$@"
}

pki_leaf expired issuing start=-30 end=-1
certificate "an expired certificate" expired "expired on $(date -u -d '-1 day' +%Y-%m-%d)"

pki_leaf future issuing start=10 end=300
certificate "a certificate that is not valid yet" future \
    "not valid before $(date -u -d '+10 days' +%Y-%m-%d)"

pki_leaf foreign strange
fresh
scenario_profile record.xml 107 record "$(with_chain foreign strange)"
refuses "a chain that ends at no root of ours" 107 "CN=foreign" "CN=strange"

# An issuer of the same name with another key: the signature does not fit.
pki_ca forged root subject=/C=US/O=Example/CN=issuing
pki_leaf broken forged
certificate "a broken chain: the issuer's key did not sign it" broken "CN=issuing"

fresh
scenario_profile record.xml 107 record "$PKI/alice.pem"
refuses "a missing intermediate, which it says to add" 107 "CN=alice" "intermediate" "CN=issuing"

pki_leaf revoked issuing
pki_revoke revoked issuing
pki_crl issuing "$CONF/crls.pem"
CONFIG_TRUST='crls="crls.pem"' scenario_config
certificate "a revoked certificate" revoked "revoked"

pki_crl issuing "$CONF/crls.pem" -1
CONFIG_TRUST='crls="crls.pem" crl-stale="refuse"' scenario_config
certificate "a stale CRL where the configuration refuses those" alice "CRL"
scenario_config

pki_leaf signer issuing usage=digitalSignature
certificate "a key usage without keyEncipherment" signer "keyEncipherment"

pki_leaf small issuing bits=1024
certificate "RSA of 1024 bits" small "1024"

pki_leaf old issuing digest=sha1
certificate "a SHA-1 signature" old "SHA1"

pki_leaf curve issuing key=ec
certificate "a key that is not RSA" curve "RSA"

# Each way of mangling a PEM that no repair may guess at.
mangled()
{
    local sentence=$1
    shift
    fresh
    with_chain alice >/dev/null
    sed "$@" "$PKI/alice.pem" >"$PKI/mangled.pem"
    scenario_profile record.xml 107 record "$PKI/mangled.pem"
    refuses "mangled PEM: $sentence" 107 "107"
}
mangled "a character that is not base64" '3s/./!/5'
mangled "a line is missing" 4d
mangled "the end label is missing" '/END/d'
mangled "the end label is cut" 's/-----END CERT.*/-----END CERT/'
mangled "cut in the middle" '8,$d'
mangled "the labels differ" 's/END CERTIFICATE/END X509 CRL/'

# And the ways of GIR that are repaired: these record.
repaired()
{
    local sentence=$1 out
    shift
    proves "repaired PEM: $sentence"
    fresh
    "$@" "$(with_chain alice)" >"$PKI/repaired.txt"
    printf '[profile]\nname=record\ntenant-dbid=101\n[recording-certificates]\ncertificate-1=%s\n' \
        "$(cat "$PKI/repaired.txt")" >"$CONF/profiles.d/107.cfg"
    out=$("$SEALTAPE" check -c "$CONF/sealtape.xml" 2>&1) || fail "refused: $out"
}
literal() { awk '{printf "%s\\n", $0}' "$1"; }
literal_crlf() { awk '{printf "%s\\r\\n", $0}' "$1"; }
blanks() { tr '\n' ' ' <"$1"; }
joined() { tr -d '\n' <"$1"; }
repaired "literal \\n for newlines" literal
repaired "literal \\r\\n for newlines" literal_crlf
repaired "blanks for newlines" blanks
repaired "no newlines at all" joined

fresh
scenario_profile record.xml 107 record "$(with_chain alice)"
refuses "an unknown DBID" 999 "999"

fresh
scenario_profile first.xml 107 record "$(with_chain alice)"
scenario_profile second.xml 107 record "$(with_chain bob)"
refuses "a DBID in two files, which it names both" 107 "first.xml" "second.xml"

fresh
scenario_profile disabled.xml 107 record "$(with_chain alice)"
sed -i 's/<state value="1"/<state value="2"/' "$CONF/profiles.d/disabled.xml"
refuses "a disabled profile" 107 "107"

fresh
cat "$PKI/alice.pem" "$PKI/alice.key" >"$PKI/both.pem"
scenario_profile record.xml 107 record "$PKI/both.pem"
refuses "a private key in the profile" 107 "107" \
    "a private key stands here; remove it and treat it as disclosed"
key_line=$(sed -n 3p "$PKI/alice.key")
! grep -rqF "$key_line" "$SCRATCH/cache" "$SPOOL" "$SCRATCH/refused.err" 2>/dev/null \
    || fail "key text stands in cache, spool or message"

fresh
scenario_profile record.xml 107 record "$(with_chain alice)"
proves "a spool path where a file stands"
rmdir "$SPOOL"
touch "$SPOOL"
refuses "a file in the place of the spool" 107 "$SPOOL"
[[ ! -s $SPOOL ]] || fail "something was written into the file"
rm "$SPOOL"
mkdir "$SPOOL"

proves "a spool on a read-only mount"
readonly_mount()
{
    unshare --mount --propagation private bash -c \
        'mount -t tmpfs -o ro none "$1" && shift && exec "$@"' - "$SPOOL" "$@"
}
if readonly_mount true 2>/dev/null; then
    status=0
    readonly_mount "$SEALTAPE" record -c "$CONF/sealtape.xml" --dbid 107 --timeout 5s \
        "$SCRATCH/input.wav" >"$SCRATCH/refused.out" 2>"$SCRATCH/refused.err" || status=$?
    assert_equal 1 "$status" "exit code"
    assert_equal "" "$(cat "$SCRATCH/refused.out")" "standard output"
    assert_contains "$(cat "$SCRATCH/refused.err")" "Read-only file system"
    nothing_written
else
    echo "  (left out: no right to mount here)"
fi

proves "the same profile records once nothing is wrong"
"$SEALTAPE" record -c "$CONF/sealtape.xml" --dbid 107 --id good --timeout 30s \
    "$SCRATCH/input.wav" >"$SCRATCH/good.json" || fail "the good recording was refused"
assert_equal complete "$(jq -r .outcome "$SCRATCH/good.json")" outcome
document good >"$SCRATCH/document.json"
opens_with_openssl "$PKI/alice.key" "$SCRATCH/document.json" "$SCRATCH/opened"
assert_same "$SCRATCH/input.wav" "$SCRATCH/opened"
