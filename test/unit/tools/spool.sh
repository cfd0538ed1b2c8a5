#!/bin/sh
# `sealtape spool` and the real module, with a store that does not answer.
#   spool.sh SEALTAPE MODULE
set -eu
sealtape=$(readlink -f "$1") module=$(readlink -f "$2")
here=$(dirname "$(readlink -f "$0")")
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
. "$here/tools_lib.sh"

cd "$dir"
mkdir profiles.d
openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out roots.pem -days 100 \
    -subj '/CN=Recording' 2>/dev/null
{
    printf '[recording-certificates]\ncertificate-1='
    awk '{printf "%s\\n", $0}' roots.pem
    printf '\n'
} >profiles.d/107.cfg
cat >c.xml <<END
<sealtape instance="test">
  <profiles directory="profiles.d" cache="cache"/>
  <trust roots="roots.pem"/>
  <spool directory="spool"/>
  <storage url="http://127.0.0.1:1/recordings/"/>
  <processor url="http://127.0.0.1:1/api"/>
</sealtape>
END
head -c 5000 /dev/urandom >in.mp3

record() {
    run "$sealtape" record -c c.xml --dbid "$1" --module "$module" --timeout 1ms in.mp3
}

begins "a spool that is not there is an error"
run "$sealtape" spool -c c.xml list
expect_status 1
expect_empty out
expect_err 'spool: cannot list: No such file'

mkdir spool

begins "a refused recording leaves nothing in the spool"
record 999
expect_status 1
expect_empty out
run "$sealtape" spool -c c.xml list
expect_status 0
expect_empty out

begins "a recording that the store does not take waits"
record 107
expect_status 1
expect_json .spooled true
expect_json '.mediaId | test("[.]mp3$")' true
media_id=$(jq -r .mediaId out)
run "$sealtape" spool -c c.xml list
expect_status 0
expect_lines 1 out
expect_json .mediaId "$media_id"
expect_json .state closed
expect_json .bytes 5008
expect_json .owner null

begins "its document and bytes in the spool open with the key"
found=$(find spool -name "$media_id.json")
run "$sealtape" open --key key.pem --content "${found%.json}.bin" "$found"
expect_status 0
expect_same in.mp3 out
run "$sealtape" verify --content "${found%.json}.bin" "$found"
expect_status 0

begins "deliver exits 1 while something remains"
run "$sealtape" spool -c c.xml --timeout 100ms deliver
expect_status 1
expect_err 'still wait'
run "$sealtape" spool -c c.xml list
expect_lines 1 out

begins "what has failed is listed with its reason, what is delivered only with --all"
entry=$(find spool -type d -name "$media_id")
folder=${entry%/closed/*}
move() {
    mkdir -p "$folder/$2"
    mv "$folder/$1/$media_id" "$folder/$2/"
}
move closed posted
run "$sealtape" spool -c c.xml list
expect_status 0
expect_empty out
run "$sealtape" spool -c c.xml --all list
expect_json .state posted
move posted failed
echo '1 2026-03-02T09:15:00.000Z another object stands under its name' \
    >"$folder/failed/$media_id/$media_id.reason"
run "$sealtape" spool -c c.xml list
expect_status 0
expect_lines 1 out
expect_json .state failed
expect_json .reason 'another object stands under its name'
rm "$folder/failed/$media_id/$media_id.reason"
move failed closed

begins "a folder that a process has is listed with it and left alone"
mkfifo fifo
"$sealtape" record -c c.xml --dbid 107 --module "$module" --timeout 1ms fifo >o 2>e &
pid=$!
exec 5>fifo
head -c 5000 in.mp3 >&5
has_owner() {
    run "$sealtape" spool -c c.xml list
    grep -q "\"owner\":$pid" out
}
wait_for has_owner
run "$sealtape" spool -c c.xml --timeout 100ms deliver
expect_status 1
expect_err "process $pid has it"
exec 5>&-
wait "$pid" || true

begins "wrong usage exits 2"
for arguments in "" "list" "-c c.xml" "-c c.xml lost" "-c c.xml list more" \
    "-c c.xml --timeout 5 deliver" "-c c.xml --unknown list"; do
    # shellcheck disable=SC2086
    run "$sealtape" spool $arguments
    expect_status 2
    expect_empty out
done
run "$sealtape" spool -c none.xml list
expect_status 1
expect_err none.xml

ends
