#!/bin/bash
# What stands in the metadata: parameters, masks and pauses, late values,
# discarded recordings; and what never does.
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/../lib/scenario.sh"

scenario_begin
scenario_serve
scenario_profile record.xml 107 record "$(with_chain alice)"
scenario_config
# One second of u-law.
head -c 8000 /dev/urandom >"$SCRATCH/second"
json=$SCRATCH/document.json

# holds FILTER [ARG]...: jq says true of the document.
holds()
{
    jq -e "${@:2}" "$1" "$json" >/dev/null \
        || fail "not so: $1 in $(jq -c '.mediaFiles[0] |= del(.pkcs7)' "$json")"
}

host_begin metadata
host_do create "$CONF/sealtape.xml"

common=(dbid=107 type=audio/basic format=ulaw rate=8000 channels=1 byte-rate=8000)
host_do open full "${common[@]}" id=full call-uuid=uuid-1 ani=+14155550100 dnis=+14155550199 \
    agentId=Ag%22ent%20%5C%20%C3%A9%E2%82%AC 'rp.authToken=hush1' password=hush2 \
    Client_Secret=hush3 my-token=hush4 note=%3Cb%3E%26%27
host_do write full "$SCRATCH/second" 160
host_do mask full
host_do write full "$SCRATCH/second" 160
host_do unmask full
host_do write full "$SCRATCH/second" 160
host_do pause full
host_do write full "$SCRATCH/second" 160
host_do resume full
host_do write full "$SCRATCH/second" 160
host_do set full agentId second-agent
host_do set full outcomeCode 17
host_do close full hangup

host_do open gone "${common[@]}" id=gone
host_do write gone "$SCRATCH/second"
host_do discard gone

host_do open empty "${common[@]}" id=empty
host_do close empty
host_do await 6 3 60
documents=()
for id in full gone empty; do
    document "$id" >"$SCRATCH/metadata-$id.json"
    documents+=("$SCRATCH/metadata-$id.json")
done

proves "the schema takes the documents"
documents_fit "${documents[@]}"

cp "$SCRATCH/metadata-full.json" "$json"
proves "parameters arrive, quotes, backslashes and non-ASCII letters whole"
holds '.id == "full" and .ccid == "acme" and .callerPhoneNumber == "+14155550100"
       and .dialedPhoneNumber == "+14155550199"'
holds '.mediaFiles[0].parameters.note == $note' --arg note "<b>&'"
holds '.mediaFiles[0] | .callUUID == "uuid-1" and .tenant == "Acme" and .ivrprofile == "record"
       and .type == "audio/basic"'

proves "late values replace the first ones and join them"
holds '.mediaFiles[0].parameters | .agentId == "second-agent" and .outcomeCode == "17"'

proves "what looks like a credential is forwarded nowhere"
for file in "$SCRATCH"/metadata-*.json "$HOST_EVENTS" "$HOST_ERRORS" "$SCRATCH/processor.log"; do
    ! grep -q hush "$file" || fail "a credential stands in $file"
done
[[ -z $(grep -rl hush "$SPOOL" "$STORE_ROOT" || true) ]] || fail "a credential stands on disk"

proves "telephone numbers are in no log and no event"
! grep -q 1415555 "$HOST_EVENTS" "$HOST_ERRORS" "$SCRATCH/processor.log" \
    || fail "a telephone number is logged"

proves "a mask is silence of its length, a pause takes no media time"
holds '.mediaFiles[0] | [.masks[].type] == ["paused", "resume", "paused", "resume"]'
holds '.mediaFiles[0].sealtape.masked[0] | .kind == "mask" and .startMs == 1000 and .endMs == 2000'
holds '.mediaFiles[0] | .duration == "4000" and .sealtape.durationMs == 4000
       and .sealtape.plainSize == 32000'
opens_with_openssl "$PKI/alice.key" "$json" "$SCRATCH/opened"
head -c 8000 /dev/zero | tr '\0' '\377' >"$SCRATCH/silence"
cat "$SCRATCH/second" "$SCRATCH/silence" "$SCRATCH/second" "$SCRATCH/second" >"$SCRATCH/expected"
assert_same "$SCRATCH/expected" "$SCRATCH/opened"

proves "a discarded recording leaves a document, and no media"
cp "$SCRATCH/metadata-gone.json" "$json"
holds '.mediaFiles[0].sealtape.outcome == "discarded"'
assert_equal "" "$(find "$STORE_ROOT" -name 'gone-*')" "objects of the discarded recording"

proves "a recording without a byte says that it is empty"
cp "$SCRATCH/metadata-empty.json" "$json"
holds '.mediaFiles[0].sealtape | .outcome == "empty" and .plainSize == 0'

proves "sequences of a tenant have no hole"
assert_equal "0 1 2" "$(jq -r '.mediaFiles[0].sealtape.sequence' "${documents[@]}" | sort -n \
    | awk 'NR == 1 {first = $1} {printf "%s%d", (NR > 1 ? " " : ""), $1 - first}')" sequences
assert_equal 1 "$(jq -r '.mediaFiles[0].sealtape.epoch' "${documents[@]}" | sort -u | wc -l)" epochs

proves "malformed and hostile parameters are refused"
refused_by()
{
    local status=$1
    shift
    host_ask "$@"
    [[ $HOST_ANSWER == "$status"* ]] || fail "\"$*\" was answered by \"$HOST_ANSWER\""
}
refused_by E_USAGE open x dbid=
refused_by E_USAGE open x dbid=10x
refused_by E_USAGE open x dbid=-107
refused_by E_USAGE open x dbid=107 format=mp7
refused_by E_USAGE open x dbid=107 byte-rate=fast
refused_by E_USAGE open x dbid=107 "key%0d%0aX-Header:=1" id=b%ff%fe
refused_by E_USAGE open x id=none
refused_by E_PROFILE open x dbid=4294967295
for id in ../../etc/passwd a/b '%2e%2e' 'a%01%0ab'; do
    host_ask open hostile dbid=107 "id=$id"
done
host_do destroy 3000
host_end
[[ -z $(find "$SCRATCH" -name 'passwd*') ]] || fail "an id left its folder"
