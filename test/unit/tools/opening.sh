#!/bin/sh
# `sealtape open`, `verify` and `inspect` on documents and on OpenSSL's messages.
#   opening.sh SEALTAPE MAKE_DOCUMENT VECTORS
set -eu
sealtape=$1 make_document=$2 vectors=$3
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
. "$(dirname "$0")/tools_lib.sh"

key=$vectors/pkcs8.pem
head -c 700000 /dev/urandom >"$dir/in"
"$make_document" "$dir/in" "$dir" >/dev/null 2>&1
ours=$dir/ours.json
media=$dir/media.bin

flip() {
    cp "$1" "$2"
    byte=$(od -An -tu1 -j "$3" -N 1 "$1" | tr -d ' ')
    printf "\\$(printf %o $((byte ^ 1)))" | dd of="$2" bs=1 seek="$3" conv=notrunc 2>/dev/null
}

begins "a document with its object opens with each form of the key"
for form in pkcs1.pem pkcs8.pem encrypted.pem encrypted-pkcs1.pem; do
    run "$sealtape" open --key "$vectors/$form" --passphrase-file "$vectors/passphrase" \
        --content "$media" -o "$dir/plain" "$ours"
    expect_status 0
    expect_same "$dir/in" "$dir/plain"
    rm -f "$dir/plain"
done

begins "it opens to standard output, from standard input, and nothing is said"
run_stdin "$media" "$sealtape" open --key "$key" --content - "$ours"
expect_status 0
expect_same "$dir/in" "$dir/out"
expect_empty "$dir/err"

begins "a file that is there is replaced, with mode 0600"
echo old >"$dir/plain"
chmod 644 "$dir/plain"
run "$sealtape" open --key "$key" --content "$media" -o "$dir/plain" "$ours"
expect_status 0
expect_same "$dir/in" "$dir/plain"
[ "$(stat -c %a "$dir/plain")" = 600 ] || fails "mode $(stat -c %a "$dir/plain")"

begins "kill -9 half-way leaves no plaintext, where nameless files are known"
tmp=$dir/killed
mkdir "$tmp"
echo old >"$tmp/plain"
mkfifo "$dir/pipe"
"$sealtape" open --key "$key" --content "$dir/pipe" -o "$tmp/plain" "$ours" 2>"$dir/err" &
opening=$!
exec 3>"$dir/pipe"
# It holds two chunks in clear when a pipe of 64 KiB has taken these.
head -c 600000 "$media" >&3
kill -9 "$opening"
wait "$opening" 2>/dev/null || true
exec 3>&-
# 020200002: O_TMPFILE | O_RDWR
if perl -e 'exit !sysopen(my $file, $ARGV[0], 020200002, 0600)' "$tmp"; then
    [ "$(ls -A "$tmp")" = plain ] || fails "left behind: $(ls -A "$tmp")"
fi
[ "$(cat "$tmp/plain")" = old ] || fails "what was there is not there"
rm -r "$tmp"

begins "where there is no directory to write to, nothing is created"
mkdir "$dir/closed"
run "$sealtape" open --key "$key" --content "$media" -o "$dir/closed" "$ours"
expect_status 1
expect_err 'cannot write'

begins "a foreign document opens, with a note"
run "$sealtape" open --key "$key" --content "$media" -o "$dir/plain" "$dir/foreign.json"
expect_status 0
expect_same "$dir/in" "$dir/plain"
expect_err 'has no digests'

begins "OpenSSL's messages open"
for message in "$vectors"/*.p7m; do
    run "$sealtape" open --key "$key" "$message"
    expect_status 0
    openssl cms -decrypt -inform DER -in "$message" -inkey "$key" >"$dir/expected"
    expect_same "$dir/expected" "$dir/out"
done

begins "a large message of OpenSSL opens in little memory"
head -c 50000000 /dev/zero >"$dir/large"
openssl cms -encrypt -binary -aes-128-cbc -outform DER -in "$dir/large" -out "$dir/large.p7m" \
    "$vectors/certificate.pem"
run sh -c "ulimit -v 300000; exec \"$sealtape\" open --key \"$key\" \"$dir/large.p7m\" | cmp - \"$dir/large\""
[ -n "${SEALTAPE_SANITIZED-}" ] || expect_status 0
rm -f "$dir"/large*

begins "altered content is refused and leaves no file"
for at in 0 262143 262144 699999 700000; do
    flip "$media" "$dir/bad.bin" "$at"
    rm -f "$dir/plain"
    run "$sealtape" open --key "$key" --content "$dir/bad.bin" -o "$dir/plain" "$ours"
    expect_status 1
    expect_err 'altered'
    [ -z "$(find "$dir" -name plain -o -name '.sealtape-*')" ] || fails "something is left behind"
    run "$sealtape" verify --content "$dir/bad.bin" "$ours"
    expect_status 1
    expect_json .good false
    expect_json .chunksBad 1
done

begins "content that was cut or grew is refused"
head -c 700000 "$media" >"$dir/bad.bin"
run "$sealtape" open --key "$key" --content "$dir/bad.bin" -o "$dir/plain" "$ours"
expect_status 1
run "$sealtape" verify --content "$dir/bad.bin" "$ours"
expect_status 1
expect_json .sizeFits false
cat "$media" "$vectors/passphrase" >"$dir/bad.bin"
run "$sealtape" open --key "$key" --content "$dir/bad.bin" -o "$dir/plain" "$ours"
expect_status 1
[ ! -e "$dir/plain" ] || fails "a file is there"

begins "another key is told which certificate is needed, and releases nothing"
for document in "$ours" "$dir/foreign.json"; do
    run "$sealtape" open --key "$vectors/other.pem" --content "$media" "$document"
    expect_status 1
    expect_err 'serial 4097'
    expect_empty "$dir/out"
done

begins "a wrong passphrase and a missing one are refused"
echo wrong >"$dir/wrong"
run "$sealtape" open --key "$vectors/encrypted.pem" --passphrase-file "$dir/wrong" \
    --content "$media" "$ours"
expect_status 1
expect_err 'the passphrase is wrong'
run setsid "$sealtape" open --key "$vectors/encrypted.pem" --content "$media" "$ours"
expect_status 1
expect_err '--passphrase-file'

begins "an unwritable place is refused"
run "$sealtape" open --key "$key" --content "$media" -o "$dir/none/plain" "$ours"
expect_status 1
expect_err 'cannot write'
run sh -c "\"$sealtape\" open --key \"$key\" --content \"$media\" \"$ours\" >/dev/full"
expect_status 1
expect_err 'No space left'

begins "a device is written to and not replaced"
run "$sealtape" open --key "$key" --content "$media" -o /dev/null "$ours"
expect_status 0
[ -c /dev/null ] || fails "/dev/null was replaced"

begins "a streamed WAV header gets its sizes, but with --exact"
{
    printf 'RIFF\377\377\377\377WAVEfmt \020\0\0\0\001\0\001\0\100\037\0\0\200\076\0\0\002\0\020\0'
    printf 'data\377\377\377\377'
    head -c 1000 /dev/zero
} >"$dir/in.wav"
mkdir "$dir/wav"
"$make_document" "$dir/in.wav" "$dir/wav" >/dev/null 2>&1
for document in ours foreign; do
    run "$sealtape" open --key "$key" --content "$dir/wav/media.bin" "$dir/wav/$document.json"
    expect_status 0
    [ "$(od -An -tu4 -j 40 -N 4 "$dir/out" | tr -d ' ')" = 1000 ] || fails "data size"
    [ "$(od -An -tu4 -j 4 -N 4 "$dir/out" | tr -d ' ')" = 1036 ] || fails "RIFF size"
    run "$sealtape" open --exact --key "$key" --content "$dir/wav/media.bin" \
        "$dir/wav/$document.json"
    expect_status 0
    expect_same "$dir/in.wav" "$dir/out"
done

begins "verify is content with what was stored"
run "$sealtape" verify --content "$media" "$ours"
expect_status 0
expect_json .good true
expect_json .chunks 3
expect_json .scope 'digests only: changed metadata cannot be seen'
run "$sealtape" verify --content "$media" "$dir/foreign.json"
expect_status 0
expect_json .hasDigests false

begins "inspect shows a document, an envelope and a message"
run "$sealtape" inspect "$ours"
expect_status 0
expect_json .kind document
expect_json '.mediaFiles[0].envelope.cipher' aes-256-cbc
expect_json '.mediaFiles[0].envelope.recipients[0].serial' 4097
expect_json '.mediaFiles[0].envelope.recipients[0].alias' rcs_Acme
expect_json '.mediaFiles[0].chunks' 3
jq -r '.mediaFiles[0].pkcs7' "$ours" >"$dir/envelope.pem"
run "$sealtape" inspect "$dir/envelope.pem"
expect_status 0
expect_json .kind envelope
expect_json .contentLength null
run "$sealtape" inspect "$vectors/cms-192-17.p7m"
expect_status 0
expect_json .kind archive-member
expect_json .contentLength 32
expect_json '.recipients[0].issuer' 'C=US,O=Example,CN=Recording CA'

begins "what cannot be read is refused"
: >"$dir/empty"
echo '{"mediaFiles": [{"pkcs7": "x"}]}' >"$dir/broken.json"
head -c 200 "$vectors/cms-192-17.p7m" >"$dir/cut.p7m"
for file in "$dir/empty" "$dir/broken.json" "$dir/cut.p7m" "$dir/none" "$dir" "$key"; do
    for tool in inspect "open --key $key" verify; do
        # shellcheck disable=SC2086
        run "$sealtape" $tool "$file"
        expect_status 1
        expect_empty "$dir/out"
        expect_lines 1 "$dir/err"
    done
done

begins "a stored object without its document is told where it belongs"
printf 'Q' >"$dir/object.bin"
cat "$media" >>"$dir/object.bin"
run "$sealtape" open --key "$key" "$dir/object.bin"
expect_status 1
expect_err 'expected a metadata document (JSON)'
expect_err 'a stored object is given with --content'

begins "content that is nowhere is refused"
run "$sealtape" open --key "$key" "$ours"
expect_status 1
expect_err 'use --content'
run "$sealtape" verify "$ours"
expect_status 1
expect_err 'use --content'

begins "several media files ask for a choice"
jq '.mediaFiles += [.mediaFiles[0] | .mediaId = "r-2.wav"]' "$ours" >"$dir/two.json"
run "$sealtape" open --key "$key" --content "$media" "$dir/two.json"
expect_status 1
expect_err 'r-1.wav, r-2.wav'
run "$sealtape" open --key "$key" --content "$media" --media r-2.wav -o "$dir/plain" "$dir/two.json"
expect_status 0
expect_same "$dir/in" "$dir/plain"

begins "help exits 0, wrong usage 2"
for tool in record open verify inspect; do
    run "$sealtape" $tool --help
    expect_status 0
    expect_out "usage: sealtape $tool"
    run "$sealtape" $tool --unknown
    expect_status 2
    run "$sealtape" $tool
    expect_status 2
done
run "$sealtape" --help
expect_status 0
run "$sealtape"
expect_status 2
run "$sealtape" unknown
expect_status 2

ends
