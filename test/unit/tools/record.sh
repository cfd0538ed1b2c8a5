#!/bin/sh
# `sealtape record` against a module that only has the ABI.
#   record.sh SEALTAPE MODULE OTHER_ABI_MODULE
set -eu
sealtape=$1 module=$2 other=$3
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
. "$(dirname "$0")/tools_lib.sh"

# A second of 8 kHz PCM as a streaming writer leaves it.
make_wav() {
    printf 'RIFF\044\360\377\177WAVEfmt \020\0\0\0\001\0\001\0\100\037\0\0\200\076\0\0\002\0\020\0'
    printf 'data\0\360\377\177'
    head -c 16000 /dev/zero | tr '\0' 'x'
}
make_wav >"$dir/in.wav"

record() {
    mode=$1
    shift
    echo "$mode" >"$dir/c"
    rm -f "$dir/c.calls" "$dir/c.media"
    run "$sealtape" record -c "$dir/c" --dbid 107 --module "$module" --timeout 20s "$@"
}

begins "a WAV file goes in by frames, its header marked"
record deliver --id r --param agentId=agent1 "$dir/in.wav"
expect_status 0
expect_same "$dir/in.wav" "$dir/c.media"
expect_out '"mediaId":"r-1.wav","url":"https://store.example/r-1.wav.bin","outcome":"complete","sha256":"00ff","spooled":false'
expect_lines 1 "$dir/out"
for line in 'param dbid=107' 'param id=r' 'param agentId=agent1' 'param type=audio/wav' \
    'param format=pcm16' 'param rate=8000' 'param channels=1' 'param byte-rate=16000' \
    'write 44 header' 'write 320' 'close end of input' 'destroy 0'; do
    expect_line "$line" "$dir/c.calls"
done

begins "what is given goes before what the file says"
record deliver --type audio/x-wav --param format=opaque --byte-rate 8000 "$dir/in.wav"
expect_status 0
expect_line 'param type=audio/x-wav' "$dir/c.calls"
expect_line 'param format=opaque' "$dir/c.calls"
expect_line 'param byte-rate=8000' "$dir/c.calls"

begins "a module that is busy gets the same bytes again"
record busy "$dir/in.wav"
expect_status 0
expect_same "$dir/in.wav" "$dir/c.media"

begins "standard input is recorded, and its type is seen"
printf 'OggS and so on' >"$dir/in.ogg"
echo deliver >"$dir/c"
run_stdin "$dir/in.ogg" "$sealtape" record -c "$dir/c" --dbid 107 --module "$module" -
expect_status 0
expect_same "$dir/in.ogg" "$dir/c.media"
expect_line 'param type=audio/ogg' "$dir/c.calls"

begins "an empty file is a recording too"
: >"$dir/empty.mp3"
record deliver "$dir/empty.mp3"
expect_status 0
expect_line 'param type=audio/mp3' "$dir/c.calls"

begins "realtime takes its time"
head -c 3244 "$dir/in.wav" >"$dir/short.wav" # 200 ms
before=$(date +%s%N)
record deliver --pace realtime "$dir/short.wav"
after=$(date +%s%N)
expect_status 0
expect_same "$dir/short.wav" "$dir/c.media"
[ $(((after - before) / 1000000)) -ge 200 ] || fails "took less than 200 ms"

begins "a refusal says why, prints nothing and exits 1"
record refuse "$dir/in.wav"
expect_status 1
expect_empty "$dir/out"
expect_err 'refused: profile 107: unknown'
expect_empty "$dir/c.media"

begins "a broken configuration says why"
record broken "$dir/in.wav"
expect_status 1
expect_empty "$dir/out"
expect_err '1: expected a mode'

begins "what is not delivered in time is spooled, exit 1"
record stay --timeout 100ms "$dir/in.wav"
expect_status 1
expect_out '"spooled":true'
expect_err 'it waits in the spool'

begins "what cannot be delivered is told at once, exit 1"
record fail "$dir/in.wav"
expect_status 1
expect_out '"spooled":true'
expect_err 'another object stands under the name'

begins "a recording that the module closes is an error, and is closed"
record closed "$dir/in.wav"
expect_status 1
expect_err 'the module takes no more bytes'
expect_line 'close failed' "$dir/c.calls"

begins "an interrupt closes the recording and waits for its delivery"
echo deliver >"$dir/c"
rm -f "$dir/c.calls"
mkfifo "$dir/fifo"
"$sealtape" record -c "$dir/c" --dbid 107 --module "$module" "$dir/fifo" >"$dir/out" 2>"$dir/err" &
pid=$!
exec 5>"$dir/fifo"
head -c 100000 "$dir/in.wav" >&5
# It has taken the header when the second write shows; it then waits for more.
wait_for grep -qs 'write 320' "$dir/c.calls"
kill -INT "$pid"
set +e
wait "$pid"
status=$?
set -e
exec 5>&-
expect_status 0
expect_line 'close interrupted' "$dir/c.calls"
expect_out '"spooled":false'

begins "a module of another ABI is refused"
run "$sealtape" record -c "$dir/c" --dbid 1 --module "$other" "$dir/in.wav"
expect_status 1
expect_err 'expected ABI 1, found 2'

begins "what is no module is refused"
run "$sealtape" record -c "$dir/c" --dbid 1 --module "$dir/in.wav" "$dir/in.wav"
expect_status 1
expect_err 'cannot load the module'

begins "a file that is not there is refused"
record deliver "$dir/none.wav"
expect_status 1
expect_err 'none.wav: cannot read'

begins "wrong usage exits 2"
for arguments in "" "-c c" "-c c --dbid 1" "--dbid 1 f" "-c c --dbid 1 --pace slow f" \
    "-c c --dbid 1 --timeout 5 f" "-c c --dbid 1 --timeout s f" "-c c --dbid 1 --byte-rate 0 f" \
    "-c c --dbid 1 --byte-rate 12x f" "-c c --dbid 1 --param =v f" "-c c --dbid 1 --param k f" \
    "-c c --dbid 1 --unknown f" "-c c --dbid 1 f g"; do
    # Split on purpose: each is an argument list.
    # shellcheck disable=SC2086
    run "$sealtape" record $arguments
    expect_status 2
    expect_empty "$dir/out"
done

begins "realtime needs a byte rate"
record deliver --pace realtime "$dir/in.ogg"
expect_status 2
expect_err '--byte-rate'

ends
