#!/bin/bash
# A power cut at each point between two syncs: what was synced is delivered,
# opens with OpenSSL, is a prefix of its input, and lacks at most the sync
# interval.
#
# usage: powercut.sh [STATES]     at most so many of them, evenly spread
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/../lib/scenario.sh"

here=$(dirname "$(readlink -f "$0")")
states_max=${1:-60}
# The sync interval, and what a round, slowed by the trace, may take itself.
limit_ms=$((1000 + ${SEALTAPE_TEST_SLACK_MS:-1000}))
journal=$SEALTAPE_BUILD/test/e2e/journal
names=(a b c)
if [[ -n $(module_sanitizer) ]]; then
    skip "a sanitizer and strace together are too slow for the intervals"
fi

scenario_begin
scenario_profile record.xml 107 record "$(with_chain alice)"
# The addresses are known now, the servers come after the cut.
STORE_PORT=$(free_port)
PROCESSOR_PORT=$(free_port)
STORE_URL=http://127.0.0.1:$STORE_PORT/
PROCESSOR_URL=http://127.0.0.1:$PROCESSOR_PORT/api/contact-centers/acme/recordings
scenario_config
openssl enc -aes-128-ctr -K 00112233445566778899aabbccddeeff -iv 00 -in /dev/zero 2>/dev/null \
    | head -c 400000 >"$SCRATCH/input" || true
seed=${SEALTAPE_TEST_SEED:-$(($(date +%s) % 30000))}
echo "seed $seed (SEALTAPE_TEST_SEED repeats it)"

HOST_WRAPPER=(strace -f -y -xx -s 1048576 -o "$SCRATCH/trace" -e
    "trace=write,pwrite64,writev,pwritev,pwritev2,openat,mkdir,mkdirat,rename,renameat,renameat2,unlink,unlinkat,rmdir,ftruncate,fsync,fdatasync,syncfs,sync,copy_file_range,link,linkat,sendfile")
host_begin cut
host_do create "$CONF/sealtape.xml"
for name in "${names[@]}"; do
    host_do open "$name" dbid=107 id="$name" format=ulaw rate=8000 channels=1 byte-rate=8000
done
: >"$SCRATCH/journal"
host_do drive "$SCRATCH/journal" "$SCRATCH/input" "$seed" "${names[@]}"
driven_for()
{
    [[ $(grep -c '^W a ' "$SCRATCH/journal") -ge $1 ]]
}
wait_until 60 driven_for 200 || fail "the host does not get on"
kill -KILL "$(pgrep -P "$HOST_ID" -x host)"
wait "$HOST_ID" 2>/dev/null || true

mkdir "$SCRATCH/states"
count=$(perl "$here/powercut.pl" "$SCRATCH/trace" "$SPOOL" "$SCRATCH/journal" \
    "$SCRATCH/states" "$seed")
[[ $count -ge 12 ]] || fail "only $count states: nothing syncs"

# deliver N: make the state the spool, deliver it into an empty store.
deliver()
{
    rm -rf "$SPOOL" "$SCRATCH/webdav" "$SCRATCH"/processor.db*
    cp -r "$SCRATCH/states/$1/spool" "$SPOOL"
    scenario_serve
    "$SEALTAPE" spool -c "$CONF/sealtape.xml" deliver >"$SCRATCH/deliver.log" 2>&1 \
        || fail "state $1: spool deliver: $(tail -n 20 "$SCRATCH/deliver.log")"
}

# check N NAME
check()
{
    local json=$SCRATCH/document.json recovered=- said
    if document "$2" >"$json" 2>"$SCRATCH/curl.log"; then
        recovered=$SCRATCH/opened
        opens_with_openssl "$PKI/alice.key" "$json" "$recovered" \
            || fail "state $1, $2: OpenSSL cannot open it"
        opened=$((opened + 1))
    fi
    said=$("$journal" "$SCRATCH/states/$1/journal" "$2" "$SCRATCH/input" "$recovered" "$limit_ms") \
        || fail "state $1, $2: not what was recorded ($(cat "$SCRATCH/curl.log"))"
    [[ $recovered != - ]] || return 0
    jq -e --argjson late "${said##*late=}" \
        '((.mediaFiles[0].parameters.late // "0") | tonumber) >= $late' "$json" >/dev/null \
        || fail "state $1, $2: late metadata of ${said##*late=} is missing"
}

step=$(((count + states_max - 1) / states_max))
proves "a cut in $(((count + step - 1) / step)) of $count states loses at most $limit_ms ms"
opened=0
for ((n = 0; n < count; n += step)); do
    deliver "$n"
    for name in "${names[@]}"; do
        check "$n" "$name"
    done
    process_stop "$PROCESSOR_PID"
    process_stop "$STORE_PID"
done
[[ $opened -gt 0 ]] || fail "no state had a recording"
echo "  $opened recordings opened"
