#!/bin/bash
# The whole way over TLS with Basic authentication, to each store and in each
# mode, and back by URL; and everything that an operator may get wrong there.
#
# usage: stores.sh [nginx|apache|rclone]...
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/../lib/scenario.sh"

kinds=("$@")
[[ $# -gt 0 ]] || kinds=(nginx apache rclone)
for kind in "${kinds[@]}"; do
    [[ $kind != rclone ]] || command -v rclone >/dev/null || skip "rclone is not installed"
done

scenario_begin
pki_ca services
pki_server here services
pki_server expired services start=-30 end=-1
pki_leaf elsewhere services
pki_ca stranger
cp "$PKI/services.pem" "$PKI/stranger.pem" "$CONF/"
cat "$PKI/here.pem" "$PKI/services.pem" >"$PKI/here.chain.pem"
STORE_TLS_CERT=$PKI/here.chain.pem
STORE_TLS_KEY=$PKI/here.key
echo "s3cret-store" >"$CONF/store.password"
echo "s3cret-processor" >"$CONF/processor.password"
printf 's3cret-processor' >"$SCRATCH/processor.password"

processor_start "$SCRATCH/processor.db" --username mcp \
    --password-file "$SCRATCH/processor.password" \
    --tls-cert "$PKI/here.pem" --tls-key "$PKI/here.key"
assert_contains "$PROCESSOR_URL" https://
PROCESSOR_CURL=(-u mcp:s3cret-processor --cacert "$PKI/services.pem")
CONFIG_PROCESSOR_OPTIONS='username="mcp" password-file="processor.password" ca-file="services.pem"'
store_account='username="recorder" password-file="store.password" ca-file="services.pem"'

scenario_profile record.xml 107 record "$(with_chain alice)"
# Two seconds of u-law: long enough for an upload to begin during the call.
head -c 16000 /dev/urandom >"$SCRATCH/call"
said=$SCRATCH/said
result=$SCRATCH/result.json

# records ID [OPTION]...: `sealtape record` delivers.
records()
{
    local id=$1
    shift
    "$SEALTAPE" record -c "$CONF/sealtape.xml" --dbid 107 --id "$id" --byte-rate 8000 \
        --timeout 60s "$@" "$SCRATCH/call" >"$result" 2>"$said" \
        || fail "record $id ended with $?: $(cat "$said" "$result")"
    assert_equal false "$(jq .spooled "$result")" "$id: spooled"
}

# A sanitized module takes seconds to read the system's list of CAs.
waits_for=2s
[[ -z $(module_sanitizer) ]] || waits_for=15s
# waits ID [PART]...: `sealtape record` keeps it in the spool, and says why.
waits()
{
    local id=$1 status=0 part
    shift
    "$SEALTAPE" record -c "$CONF/sealtape.xml" --dbid 107 --id "$id" --timeout "$waits_for" \
        "$SCRATCH/call" >"$result" 2>"$said" || status=$?
    assert_equal 1 "$status" "exit code of record $id"
    assert_equal true "$(jq .spooled "$result")" "$id: spooled"
    for part in "$@"; do
        assert_contains "$(cat "$said")" "$part"
    done
    assert_lacks "$(cat "$said")" s3cret
}

# comes_back ID: fetched by URL, opened and verified, it is the call.
comes_back()
{
    local json=$SCRATCH/document.json
    document "$1" >"$json"
    "$SEALTAPE" open -c "$CONF/sealtape.xml" --key "$PKI/alice.key" -o "$SCRATCH/opened" "$json" \
        2>"$said" || fail "open $1: $(cat "$said")"
    assert_same "$SCRATCH/call" "$SCRATCH/opened"
    "$SEALTAPE" verify -c "$CONF/sealtape.xml" "$json" >"$result" 2>"$said" \
        || fail "verify $1: $(cat "$said" "$result")"
    assert_equal true "$(jq .good "$result")" "$1: good"
    assert_equal "" "$(find "$STORE_ROOT" -name '*.part' -not -path '*/.tmp/*')" "left-overs"
}

delivers()
{
    "$SEALTAPE" spool -c "$CONF/sealtape.xml" deliver >"$result" 2>"$said" \
        || fail "spool deliver: $(cat "$said" "$result")"
}

for kind in "${kinds[@]}"; do
    store_start "$SCRATCH/$kind" "$kind" recorder s3cret-store
    assert_contains "$STORE_URL" https://
    for mode in live after; do
        proves "$kind, mode $mode: over TLS with a password, and back by URL"
        CONFIG_STORAGE_OPTIONS="mode=\"$mode\" verify=\"digest\" $store_account"
        scenario_config
        records "$kind-$mode" --pace realtime
        comes_back "$kind-$mode"
    done
    process_stop "$STORE_PID"
done

CONFIG_STORAGE_OPTIONS=$store_account
store_start "$SCRATCH/main" nginx recorder s3cret-store
main_root=$STORE_ROOT main_pid=$STORE_PID main_url=$STORE_URL

proves "a store of another CA is refused; the recording waits, and says why"
CONFIG_STORAGE_OPTIONS=${store_account/services/stranger}
CONFIG_PROCESSOR_OPTIONS='username="mcp" password-file="processor.password" ca-file="stranger.pem"'
scenario_config
waits other-ca "the server's certificate is of no CA in $CONF/stranger.pem" "$STORE_URL"
assert_equal "" "$(find "$STORE_ROOT" -name 'other-ca*')" "objects at the wrong store"
CONFIG_PROCESSOR_OPTIONS=${CONFIG_PROCESSOR_OPTIONS/stranger/services}

proves "so is one whose CA is not among the system's"
CONFIG_STORAGE_OPTIONS=${store_account/ca-file=\"services.pem\"/}
CONFIG_STORAGE_OPTIONS+=' mode="after"'
CONFIG_PROCESSOR_OPTIONS='username="mcp" password-file="processor.password" ca-file="services.pem"'
scenario_config
waits no-ca "the system's list; name its CA with ca-file"

proves "an expired certificate and one of another host are told of as such"
CONFIG_STORAGE_OPTIONS=$store_account
good=$STORE_TLS_CERT
STORE_PORT=${main_url##*:}
STORE_PORT=${STORE_PORT%/}
scenario_config
process_stop "$main_pid"
for bad in "expired:a certificate of the server has expired" "elsewhere:127.0.0.1"; do
    name=${bad%%:*}
    STORE_TLS_CERT=$PKI/$name.pem STORE_TLS_KEY=$PKI/$name.key
    store_start "$SCRATCH/$name" nginx recorder s3cret-store
    waits "$name" "${bad#*:}"
    assert_equal "" "$(find "$STORE_ROOT" -type f)" "objects at the wrong store"
    process_stop "$STORE_PID"
done
STORE_TLS_CERT=$good STORE_TLS_KEY=$PKI/here.key
store_start "$SCRATCH/main" nginx recorder s3cret-store
main_pid=$STORE_PID STORE_PORT=

proves "with the right CA all that waited is delivered, without a media server"
CONFIG_STORAGE_OPTIONS=$store_account
scenario_config
delivers
comes_back other-ca
comes_back no-ca
comes_back expired
comes_back elsewhere

proves "a wrong password is told of as such, and keeps the recording"
echo "s3cret-wrong" >"$CONF/store.password"
waits wrong-password "$STORE_URL" "status 401: username recorder with the password from $CONF/store.password"
document wrong-password >/dev/null 2>&1 && fail "metadata was posted before its object was stored"
document other-ca >"$SCRATCH/document.json"
status=0
"$SEALTAPE" open -c "$CONF/sealtape.xml" --key "$PKI/alice.key" -o "$SCRATCH/not" \
    "$SCRATCH/document.json" 2>"$said" || status=$?
assert_equal 1 "$status" "exit code of open"
assert_contains "$(cat "$said")" "401"
[[ ! -e $SCRATCH/not ]] || fail "open left a file behind"
echo "s3cret-store" >"$CONF/store.password"
delivers
comes_back wrong-password

proves "a missing password file is named"
mv "$CONF/store.password" "$CONF/store.password.gone"
waits no-password "store.password" "No such file"
mv "$CONF/store.password.gone" "$CONF/store.password"
delivers

proves "the password may come from the environment"
CONFIG_STORAGE_OPTIONS=${store_account/password-file=\"store.password\"/password-env=\"STORE_PASSWORD\"}
scenario_config
STORE_PASSWORD=s3cret-store records from-environment
STORE_PASSWORD=s3cret-store comes_back from-environment
waits no-environment "environment variable STORE_PASSWORD: expected a password, found nothing"
CONFIG_STORAGE_OPTIONS=$store_account
scenario_config
delivers
comes_back no-environment

proves "a password that changes during the run is taken up by the running module"
host_begin rotation
host_do create "$CONF/sealtape.xml"
call()
{
    host_do open "$1" dbid=107 id="$1"
    host_do write "$1" "$SCRATCH/call"
    host_do close "$1"
}
call before-rotation
host_do await 6 1 60
store_password "$SCRATCH/main" recorder s3cret-rotated
call after-rotation
rotation_refused()
{
    grep -q 401 "$HOST_ERRORS"
}
wait_until 30 rotation_refused || fail "the old password was not refused"
echo "s3cret-rotated" >"$CONF/store.password"
host_do await 6 2 60
host_do destroy 1000
host_end
assert_lacks "$(cat "$HOST_ERRORS" "$HOST_EVENTS")" s3cret
comes_back before-rotation
comes_back after-rotation

proves "a second store takes what the first, down, does not"
store_start "$SCRATCH/second" nginx recorder s3cret-rotated
CONFIG_STORAGES="<storage url=\"$STORE_URL\" $store_account/>"
second_url=$STORE_URL
process_stop "$main_pid"
STORE_URL=$main_url scenario_config
records fallback
assert_contains "$(jq -r .url "$result")" "$second_url"
comes_back fallback
CONFIG_STORAGES=

proves "what waits for a store that has moved goes to where it is now"
STORE_URL=$main_url scenario_config
waits moved "Failed to connect"
STORE_URL=$second_url scenario_config
delivers
comes_back moved
assert_contains "$(jq -r '.mediaFiles[0].mediaDescriptor.path' "$SCRATCH/document.json")" "$second_url"

proves "a profile's own store at another origin goes without credentials"
# This one wants the same credentials: had they been sent, it would have taken it.
PROFILE_SECTIONS="<list_pair key=\"gvp.service-parameters\"><str_pair key=\"recordingclient.recdest\"\
 value=\"fixed,http://127.0.0.1:${STORE_URL##*:}\"/></list_pair>"
process_stop "$STORE_PID"
STORE_TLS_CERT=
STORE_PORT=${second_url##*:}
STORE_PORT=${STORE_PORT%/}
store_start "$SCRATCH/second" nginx recorder s3cret-rotated
scenario_profile record.xml 107 record "$(with_chain alice)"
STORE_URL=$main_url scenario_config
waits foreign-closed "status 401: no credentials are configured for this origin"
assert_equal "" "$(find "$STORE_ROOT" -name 'foreign-closed*')" "objects"

proves "and is used where it wants none"
process_stop "$STORE_PID"
store_start "$SCRATCH/second" nginx
foreign_url=$STORE_URL
STORE_URL=$main_url scenario_config
records foreign-open
assert_contains "$(jq -r .url "$result")" "$foreign_url"
STORE_URL=$foreign_url comes_back foreign-open
delivers
document foreign-closed >"$SCRATCH/document.json"
assert_contains "$(jq -r '.mediaFiles[0].mediaDescriptor.path' "$SCRATCH/document.json")" \
    "$foreign_url"

proves "plain http beyond this machine is refused, unless insecure=\"yes\" says so"
PROFILE_SECTIONS=
STORE_URL=http://store.example/recordings/ scenario_config
status=0
"$SEALTAPE" record -c "$CONF/sealtape.xml" --dbid 107 "$SCRATCH/call" >"$result" 2>"$said" \
    || status=$?
assert_equal 1 "$status" "exit code"
assert_contains "$(cat "$said")" 'expected https to the host "store.example", found http'
assert_equal "" "$(cat "$result")" "standard output"
CONFIG_STORAGE_OPTIONS+=' insecure="yes"'
STORE_URL=http://store.example/recordings/ scenario_config
"$SEALTAPE" check -c "$CONF/sealtape.xml" >"$result" || fail "$(cat "$result")"
