#!/bin/bash
# An annex file edited while calls run changes the recipients of the next
# recording and of no other; a broken edit changes nothing, and is reported.
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/../lib/scenario.sh"

running=100
scenario_begin
scenario_serve
scenario_profile record.xml 107 record "$(with_chain alice)"
scenario_config
head -c 32000 /dev/urandom >"$SCRATCH/input"

recipients()
{
    document "$1" >"$SCRATCH/document.json"
    jq -r '.mediaFiles[0].sealtape.recipients[].sha256' "$SCRATCH/document.json" | sort
}

fingerprint()
{
    openssl x509 -in "$PKI/$1.pem" -outform DER | sha256sum | cut -d' ' -f1
}

profile_events()
{
    grep -c '^10	' "$HOST_EVENTS" || true
}

said_since()
{
    [[ $(profile_events) -gt $1 ]]
}

# edited CMD...: run it and wait until the module has said something of it.
edited()
{
    local before
    before=$(profile_events)
    "$@"
    wait_until 10 said_since "$before" || fail "no event came after: $*"
}

short_call()
{
    host_do open "$1" dbid=107 id="$1"
    host_do write "$1" "$SCRATCH/input"
    host_do close "$1"
}

host_begin annex
host_do create "$CONF/sealtape.xml"
for ((n = 0; n < running; n++)); do
    host_do open "running-$n" dbid=107 id="running-$n"
    host_do write "running-$n" "$SCRATCH/input"
done

edited scenario_profile record.xml 107 record "$(with_chain bob)"
short_call after-edit

broken_edit()
{
    head -c 700 "$CONF/profiles.d/record.xml" >"$CONF/profiles.d/.broken"
    mv "$CONF/profiles.d/.broken" "$CONF/profiles.d/record.xml"
}
edited broken_edit
short_call after-broken-edit

for ((n = 0; n < running; n++)); do
    host_do write "running-$n" "$SCRATCH/input"
    host_do close "running-$n"
done
host_do await 6 $((running + 2)) 120

proves "the $running recordings that ran are sealed for the recipient that they began with"
cat "$SCRATCH/input" "$SCRATCH/input" >"$SCRATCH/twice"
for ((n = 0; n < running; n++)); do
    assert_equal "$(fingerprint alice)" "$(recipients "running-$n")" "running-$n"
done
for n in 0 50 99; do
    document "running-$n" >"$SCRATCH/document.json"
    opens_with_openssl "$PKI/alice.key" "$SCRATCH/document.json" "$SCRATCH/opened"
    assert_same "$SCRATCH/twice" "$SCRATCH/opened"
done

proves "the next recording is sealed for the new recipient"
assert_equal "$(fingerprint bob)" "$(recipients after-edit)" after-edit

proves "a broken edit changes nothing"
assert_equal "$(fingerprint bob)" "$(recipients after-broken-edit)" after-broken-edit

proves "a broken edit is reported with file and line"
assert_contains "$(grep '^10	' "$HOST_EVENTS" | tail -n 1)" "record.xml:"

proves "a restart after a broken edit still records, for the last good recipient"
host_do destroy 2000
host_end
host_begin restarted
host_do create "$CONF/sealtape.xml"
short_call after-restart
host_do await 6 1 60
assert_equal "$(fingerprint bob)" "$(recipients after-restart)" after-restart
host_do destroy 1000
host_end

proves "a mended file is in force again, for both recipients"
host_begin mended
host_do create "$CONF/sealtape.xml"
edited scenario_profile record.xml 107 record "$(with_chain alice)" "$(with_chain bob)"
short_call after-mending
host_do await 6 1 60
assert_equal "$( (fingerprint alice; fingerprint bob) | sort)" "$(recipients after-mending)" mended
host_do destroy 1000
host_end
