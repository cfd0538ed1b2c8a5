#!/bin/bash
# Who has a metadata document, a stored object and a private key, and nothing
# else, opens the recording: with the README's commands, and with ours.
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/../lib/scenario.sh"

scenario_begin
scenario_serve
scenario_profile record.xml 107 record "$(with_chain alice)"
scenario_config
{
    # A WAV file as a media server streams it: its sizes are not known yet.
    printf 'RIFF\377\377\377\377WAVEfmt \020\0\0\0\007\0\001\0\100\037\0\0\100\037\0\0\001\0\010\0'
    printf 'data\377\377\377\377'
    head -c 600000 /dev/urandom
} >"$SCRATCH/call.wav"
"$SEALTAPE" record -c "$CONF/sealtape.xml" --dbid 107 --id call "$SCRATCH/call.wav" >/dev/null

mkdir "$SCRATCH/desk"
cd "$SCRATCH/desk"
document call >recording.json
cp "$(document_object recording.json)" media.bin
cp "$PKI/alice.key" key.pem
cp "$PKI/bob.key" wrong.pem
openssl pkcs8 -topk8 -v2 aes-256-cbc -in key.pem -passout pass:open-sesame -out locked.pem
process_stop "$STORE_PID"
process_stop "$PROCESSOR_PID"
rm -rf "$CONF" "$SPOOL"

proves "the README's commands open it with OpenSSL alone"
sed -n '/^jq -r/,/^```$/p' "$SEALTAPE_SOURCE/README.md" | sed '/^```$/,$d' >commands
assert_equal 2 "$(wc -l <commands)" "commands in the README"
bash -e commands
assert_same "$SCRATCH/call.wav" recording.wav

proves "ours opens it, with the header's sizes put right, or exactly"
"$SEALTAPE" open --key key.pem --content media.bin -o opened.wav recording.json
assert_equal 600000 "$(od -An -tu4 -j 40 -N 4 opened.wav | tr -d ' ')" "size in the header"
cmp --bytes=600000 --ignore-initial=44 opened.wav "$SCRATCH/call.wav"
"$SEALTAPE" open --exact --key key.pem --content media.bin recording.json >exact.wav
assert_same "$SCRATCH/call.wav" exact.wav

proves "verify and inspect need no key"
"$SEALTAPE" verify --content media.bin recording.json | jq -e '.good' >/dev/null
"$SEALTAPE" inspect recording.json | jq -e \
    '.mediaFiles[0].envelope.recipients[0].serial == "4097"' >/dev/null

# refused WORDS COMMAND...: exit 1, these words, nothing on standard output, no file.
refused()
{
    local status=0 words=$1
    shift
    "$@" >out 2>err || status=$?
    assert_equal 1 "$status" "exit code of $*"
    assert_contains "$(cat err)" "$words"
    assert_equal "" "$(cat out)" "standard output"
    [[ ! -e not.wav ]] || fail "a file was left"
}

proves "another key is told which certificate is the right one"
refused "serial 4097" "$SEALTAPE" open --key wrong.pem --content media.bin -o not.wav recording.json

proves "what was altered, cut or exchanged is refused"
{ head -c 300000 media.bin; printf 'X'; tail -c +300002 media.bin; } >altered.bin
refused "altered" "$SEALTAPE" open --key key.pem --content altered.bin -o not.wav recording.json
head -c 100000 media.bin >cut.bin
refused "" "$SEALTAPE" open --key key.pem --content cut.bin -o not.wav recording.json
jq '.mediaFiles[0].pkcs7 |= sub("M"; "!")' recording.json >broken.json
refused "pkcs7" "$SEALTAPE" open --key key.pem --content media.bin -o not.wav broken.json

# asked TYPED: an encrypted key at a terminal, which answers the prompt with this.
asked()
{
    local char said='' status=0
    coproc TERMINAL { exec script -qec \
        "'$SEALTAPE' open --key locked.pem --content media.bin -o typed.wav recording.json" \
        /dev/null 2>&1; }
    local pid=$TERMINAL_PID in=${TERMINAL[1]} out=${TERMINAL[0]}
    # What is typed before the prompt is thrown away, as at every prompt for a passphrase.
    while [[ $said != *"Passphrase of the key: "* ]]; do
        IFS= read -r -N 1 -t 20 char <&"$out" || fail "no prompt: $said"
        said+=$char
    done
    echo "$1" >&"$in"
    SAID=
    while IFS= read -r -N 1 -t 20 char <&"$out"; do
        SAID+=$char
    done
    wait "$pid" || status=$?
    TYPED_STATUS=$status
}

proves "the passphrase of an encrypted key is asked on the terminal, and not shown"
asked open-sesame
assert_equal 0 "$TYPED_STATUS" "exit code ($SAID)"
assert_lacks "$SAID" open-sesame
assert_same opened.wav typed.wav
rm typed.wav

proves "a wrong one is refused, and not shown either"
asked close-sesame
assert_equal 1 "$TYPED_STATUS" "exit code ($SAID)"
assert_contains "$SAID" "the passphrase is wrong"
assert_lacks "$SAID" sesame
[[ ! -e typed.wav ]] || fail "a file was left"

proves "without a terminal it says how to give it"
refused "--passphrase-file" setsid "$SEALTAPE" open --key locked.pem --content media.bin \
    -o not.wav recording.json

proves "nothing unfinished lies about"
assert_equal "" "$(find . -name '.sealtape-*')" "left-overs"
