#!/bin/bash
# kill -9 at random moments: every recording is delivered all the same, opens
# with OpenSSL, is a prefix of its input, and lacks at most the flush interval.
#
# usage: crash.sh [ROUNDS]     SEALTAPE_TEST_ROUNDS overrides
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/../lib/scenario.sh"

rounds=${SEALTAPE_TEST_ROUNDS:-${1:-200}}
# The flush interval, and what the kernel may take to run a thread that is due.
limit_ms=$((250 + ${SEALTAPE_TEST_SLACK_MS:-100}))
journal=$SEALTAPE_BUILD/test/e2e/journal
names=(a b c)
scenario_begin
scenario_serve
scenario_profile record.xml 107 record "$(with_chain alice)"
scenario_config
openssl enc -aes-128-ctr -K 00112233445566778899aabbccddeeff -iv 00 -in /dev/zero 2>/dev/null \
    | head -c 400000 >"$SCRATCH/input" || true
seed=${SEALTAPE_TEST_SEED:-$(($(date +%s) % 30000))}
RANDOM=$seed
echo "seed $seed (SEALTAPE_TEST_SEED repeats it)"

after()
{
    read -r -t "$1" <> <(:) || true
}

proves "$rounds kills with masks and late metadata going on"
for ((round = 0; round < rounds; round++)); do
    host_begin "$round"
    host_do create "$CONF/sealtape.xml"
    for name in "${names[@]}"; do
        host_do open "$name-$round" dbid=107 id="$name-$round" format=ulaw rate=8000 channels=1 \
            byte-rate=8000 call-uuid="uuid-$round"
    done
    host_do drive "$SCRATCH/journal.$round" "$SCRATCH/input" "$RANDOM" "${names[@]/%/-$round}"
    # The moment of the kill is random by intent; nothing is waited for.
    after "$(printf '0.%03d' $((RANDOM % 900 + 50)))"
    process_running "$HOST_ID" || fail "the host died by itself: $(tail -n 3 "$HOST_ERRORS")"
    kill -KILL "$HOST_ID"
    wait "$HOST_ID" 2>/dev/null || true
done

proves "sealtape spool deliver delivers what they left"
"$SEALTAPE" spool -c "$CONF/sealtape.xml" deliver >"$SCRATCH/deliver.log" 2>&1 \
    || fail "spool deliver: $(tail -n 20 "$SCRATCH/deliver.log")"
left=$("$SEALTAPE" spool -c "$CONF/sealtape.xml" list)
for state in recording closed stored failed; do
    found=$(find "$SPOOL" -path "*/$state/*" -name '*.json')
    [[ -z $found ]] || fail "left in $state/: $found; list says: $left"
done

# check NAME ROUND
check()
{
    local id=$1-$2 json=$SCRATCH/$1-$2.json recovered=$SCRATCH/opened said masks late
    if ! document "$id" >"$json" 2>/dev/null; then
        # Killed before the first flush: right only if nothing was due.
        "$journal" "$SCRATCH/journal.$2" "$id" "$SCRATCH/input" - "$limit_ms" >/dev/null \
            || fail "$id: no document, though bytes were due"
        rm -f "$json"
        none=$((none + 1))
        return
    fi
    opens_with_openssl "$PKI/alice.key" "$json" "$recovered" || fail "$id: OpenSSL cannot open it"
    said=$("$journal" "$SCRATCH/journal.$2" "$id" "$SCRATCH/input" "$recovered" "$limit_ms") \
        || fail "$id: not what was recorded"
    masks=${said#*masks=}
    masks=${masks%% *}
    late=${said##*late=}
    jq -e --argjson masks "$masks" --argjson late "$late" '.mediaFiles[0]
        | ([.masks[] | select(.type == "paused")] | length) >= $masks
          and ((.parameters.late // "0") | tonumber) >= $late' "$json" >/dev/null \
        || fail "$id: $masks masks and late=$late were due, the document has $(
            jq -c '.mediaFiles[0] | [.masks, .parameters.late]' "$json")"
    assert_equal "uuid-$2" "$(jq -r '.mediaFiles[0].callUUID' "$json")" "$id: callUUID"
    assert_equal "$(sha256sum <"$(document_object "$json")" | cut -d' ' -f1)" \
        "$(jq -r '.mediaFiles[0].sealtape.sha256' "$json")" "$id: sha256"
    outcomes[$(jq -r '.mediaFiles[0].sealtape.outcome' "$json")]=1
}

proves "each opens, is a prefix, lacks at most $limit_ms ms, has its masks and metadata"
none=0
declare -A outcomes=()
for ((round = 0; round < rounds; round++)); do
    for name in "${names[@]}"; do
        check "$name" "$round"
    done
done
documents_fit "$SCRATCH"/[abc]-*.json
echo "  $((rounds * ${#names[@]} - none)) recovered; $none were younger than a flush"
[[ $((none * 2)) -lt $((rounds * ${#names[@]})) ]] || fail "too few were old enough to prove it"
proves "they are marked as interrupted"
assert_equal interrupted "$(printf '%s\n' "${!outcomes[@]}" | grep -v '^empty$')" outcomes
