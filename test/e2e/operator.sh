#!/bin/bash
# An operator's bad days: a recording that was killed, a store that goes away
# during a call and comes back, a full disk, a recorder that holds the spool.
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/../lib/scenario.sh"

scenario_begin
scenario_serve
scenario_profile record.xml 107 record "$(with_chain alice)"
scenario_config
head -c 4000000 /dev/urandom >"$SCRATCH/long"
json=$SCRATCH/document.json

spool()
{
    "$SEALTAPE" spool -c "$CONF/sealtape.xml" "$@"
}

# A call of 16 kB a second, until it is stopped: sets $CALL.
call_begins()
{
    process_start "$1" "$SEALTAPE" record -c "$CONF/sealtape.xml" --dbid 107 --id "$1" \
        --byte-rate 16000 --pace realtime --timeout 60s "$SCRATCH/long"
    CALL=$PROCESS_PID
    wait_until 20 is_spooling "$1" || fail "the call does not begin: $(cat "$SCRATCH/$1.log")"
}

is_spooling()
{
    spool list | jq -s -e --arg id "$1" 'any(.[]; (.mediaId | startswith($id + "-"))
        and .state == "recording" and .bytes > 8000)' >/dev/null
}

# opens ID: and it is a prefix of the input of some size
opens()
{
    document "$1" >"$json"
    "$SEALTAPE" open -c "$CONF/sealtape.xml" --key "$PKI/alice.key" -o "$SCRATCH/opened" "$json" \
        2>"$SCRATCH/said" || fail "$(cat "$SCRATCH/said")"
    [[ $(stat -c %s "$SCRATCH/opened") -gt 8000 ]] || fail "$1 is too short"
    cmp --bytes="$(stat -c %s "$SCRATCH/opened")" "$SCRATCH/opened" "$SCRATCH/long"
}

proves "a killed recording is listed without an owner, and delivered"
call_begins killed
assert_equal "$CALL" "$(spool list | jq .owner)" owner
process_stop "$CALL" KILL
assert_equal null "$(spool list | jq .owner)" "owner of a killed one"
spool deliver >"$SCRATCH/delivered"
assert_equal true "$(jq .delivered "$SCRATCH/delivered")" delivered
assert_equal "" "$(spool list)" "what waits"
assert_equal posted "$(spool --all list | jq -r .state)" "state in its time of grace"
opens killed
assert_equal interrupted "$(jq -r '.mediaFiles[0].sealtape.outcome' "$json")" outcome

proves "who has the spool is told, and is left alone"
call_begins unplugged
status=0
spool deliver 2>"$SCRATCH/said" || status=$?
assert_equal 1 "$status" "exit code of deliver"
assert_contains "$(cat "$SCRATCH/said")" "process $CALL has it and delivers it itself"

proves "a store that goes away during a call costs nothing, and is told of"
STORE_PORT=${STORE_URL##*:}
STORE_PORT=${STORE_PORT%/}
process_stop "$STORE_PID"
kill -INT "$CALL"
is_told()
{
    grep -q "$STORE_URL.*tried again later" "$SCRATCH/unplugged.log"
}
wait_until 20 is_told || fail "nothing is said of the store: $(cat "$SCRATCH/unplugged.log")"
# It may be told while the end of the call is still on its way to the disk.
is_closed()
{
    [[ $(spool list | jq -r .state) == closed ]]
}
wait_until 20 is_closed || fail "not closed: $(spool list)"

proves "and when it is back the recording goes there by itself"
store_start "$SCRATCH/webdav"
wait_until 60 process_gone "$CALL" || fail "not delivered: $(cat "$SCRATCH/unplugged.log")"
wait "$CALL" || fail "record ended with $?: $(cat "$SCRATCH/unplugged.log")"
opens unplugged
assert_equal complete "$(jq -r '.mediaFiles[0].sealtape.outcome' "$json")" outcome

proves "a full disk is told of, and when there is room again nothing is missing"
small=$SCRATCH/small
mkdir "$small"
if ! mount -t tmpfs -o size=1m none "$small" 2>/dev/null; then
    echo "  (no right to mount: the full disk is not tried)"
    exit 0
fi
trap 'umount -l "$small"; process_end' EXIT
CONFIG_SPOOL=$small/spool CONFIG_SPOOL_OPTIONS='quota="20MiB" memory="2MiB"' scenario_config
process_start full "$SEALTAPE" record -c "$CONF/sealtape.xml" --dbid 107 --id full \
    --timeout 60s "$SCRATCH/long"
is_waiting()
{
    grep -q 'waiting for it' "$SCRATCH/full.log"
}
wait_until 30 is_waiting || fail "nothing is said of the disk: $(cat "$SCRATCH/full.log")"
assert_contains "$(cat "$SCRATCH/full.log")" "No space left on device"
mount -o remount,size=40m "$small"
wait_until 60 process_gone "$PROCESS_PID" || fail "not delivered: $(cat "$SCRATCH/full.log")"
wait "$PROCESS_PID" || fail "record ended with $?: $(cat "$SCRATCH/full.log")"
opens full
assert_same "$SCRATCH/long" "$SCRATCH/opened"
