#!/bin/bash
# What was recorded opens with stock OpenSSL: every size about a block, every
# key length, 1, 2 and 10 recipients, each recipient's key alone.
#
# usage: sizes.sh [--quick]
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/../lib/scenario.sh"

quick=${1:-${SEALTAPE_TEST_ROUNDS:+--quick}}
here=$(dirname "$(readlink -f "$0")")
scenario_begin
scenario_serve

sizes=(0 1 15 16 17 1048577)
for size in "${sizes[@]}"; do
    head -c "$size" /dev/urandom >"$SCRATCH/input.$size"
done

# The keys in order; a profile with N recipients is sealed for the first N.
keys=(alice bob)
for n in 3 4 5 6 7 8 9 10; do
    pki_leaf "recipient$n" issuing
    keys+=("recipient$n")
done
chains=()
for name in "${keys[@]}"; do
    chains+=("$(with_chain "$name")")
done

profiles=()
for bits in 128 192 256; do
    for count in 1 2 10; do
        dbid=$bits$(printf %02d "$count")
        PROFILE_OPTIONS="cipher=aes-$bits-cbc" \
            scenario_profile "$dbid.xml" "$dbid" "aes$bits-$count" "${chains[@]:0:$count}"
        profiles+=("$bits $count $dbid")
    done
done
scenario_config

host_begin sizes
host_do create "$CONF/sealtape.xml"
recorded=0

# record ID DBID INPUT
record()
{
    host_do open "$1" dbid="$2" id="$1" type=audio/wav
    host_do write "$1" "$3" 65536
    host_do close "$1"
    recorded=$((recorded + 1))
}

# check ID BITS COUNT INPUT
check()
{
    local id=$1 bits=$2 count=$3 input=$4 name json=$SCRATCH/document.json
    document "$id" >"$json"
    assert_equal "aes-$bits-cbc" "$(jq -r '.mediaFiles[0].sealtape.cipher' "$json")" cipher
    assert_equal "$count" "$(jq '.mediaFiles[0].sealtape.recipients | length' "$json")" recipients
    assert_equal "$count" "$(jq '.mediaFiles[0].certAlias | length' "$json")" certAlias
    assert_equal "$(stat -c %s "$(document_object "$json")")" \
        "$(jq -r '.mediaFiles[0].size' "$json")" "$id: size"
    for name in "${keys[@]:0:$count}"; do
        opens_with_openssl "$PKI/$name.key" "$json" "$SCRATCH/opened" \
            || fail "$id does not open with the key of $name"
        assert_same "$input" "$SCRATCH/opened"
    done
}

for profile in "${profiles[@]}"; do
    read -r bits count dbid <<<"$profile"
    for size in "${sizes[@]}"; do
        record "size-$dbid-$size" "$dbid" "$SCRATCH/input.$size"
    done
done
host_do await 6 "$recorded" 120

for profile in "${profiles[@]}"; do
    read -r bits count dbid <<<"$profile"
    proves "AES-$bits, $count recipients: ${sizes[*]} bytes open with each key alone"
    for size in "${sizes[@]}"; do
        check "size-$dbid-$size" "$bits" "$count" "$SCRATCH/input.$size"
    done
done

proves "a key that is no recipient opens nothing"
document size-25601-17 >"$SCRATCH/document.json"
if opens_with_openssl "$PKI/bob.key" "$SCRATCH/document.json" "$SCRATCH/opened" 2>/dev/null; then
    ! cmp -s "$SCRATCH/input.17" "$SCRATCH/opened" || fail "bob opened what is sealed for alice"
fi

proves "the splice of envelope and object opens with openssl smime -decrypt"
for id in size-12801-0 size-25601-15 size-25601-1048577 size-19202-16 size-25610-1048577; do
    document "$id" >"$SCRATCH/document.json"
    document_envelope "$SCRATCH/document.json" >"$SCRATCH/envelope.der"
    perl "$here/splice.pl" "$SCRATCH/envelope.der" "$(document_object "$SCRATCH/document.json")" \
        >"$SCRATCH/archive.p7m"
    openssl smime -decrypt -inform DER -in "$SCRATCH/archive.p7m" -inkey "$PKI/alice.key" \
        -out "$SCRATCH/opened"
    assert_same "$SCRATCH/input.${id##*-}" "$SCRATCH/opened"
done

proves "the splice has the structure of openssl smime -encrypt -binary"
# Offsets, lengths and random bytes differ; tags, depths and known values do not.
structure()
{
    openssl asn1parse -inform DER -in "$1" \
        | sed -E 's/^ *[0-9]+:d=([0-9]+) +hl=([0-9]+) +l= *([0-9]+) */\1 \2 \3 /;
                  s/\[HEX DUMP\]:.*/[HEX DUMP]/'
}
document size-25602-17 >"$SCRATCH/document.json"
document_envelope "$SCRATCH/document.json" >"$SCRATCH/envelope.der"
perl "$here/splice.pl" "$SCRATCH/envelope.der" "$(document_object "$SCRATCH/document.json")" \
    >"$SCRATCH/archive.p7m"
openssl smime -encrypt -binary -aes256 -outform DER -in "$SCRATCH/input.17" \
    -out "$SCRATCH/openssl.p7m" "$PKI/alice.pem" "$PKI/bob.pem"
# DER sorts a SET; OpenSSL takes the order as given there.
assert_equal "$(structure "$SCRATCH/openssl.p7m" | sort)" \
    "$(structure "$SCRATCH/archive.p7m" | sort)" structure

proves "the schema takes the documents"
for size in "${sizes[@]}"; do
    document "size-25610-$size" >"$SCRATCH/fit.$size.json"
done
documents_fit "$SCRATCH"/fit.*.json

if [[ $quick != --quick ]]; then
    head -c $((100 * 1024 * 1024)) /dev/urandom >"$SCRATCH/input.100M"
    for profile in "128 1 12801" "192 2 19202" "256 10 25610"; do
        read -r bits count dbid <<<"$profile"
        proves "AES-$bits, $count recipients: 100 MiB open with each key alone"
        record "size-$dbid-100M" "$dbid" "$SCRATCH/input.100M"
        host_do await 6 "$recorded" 120
        check "size-$dbid-100M" "$bits" "$count" "$SCRATCH/input.100M"
    done
fi
host_do destroy 1000
host_end
