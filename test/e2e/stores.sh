#!/bin/bash
# The same recording through nginx, Apache httpd and rclone, live and after the
# call: what lies in the store opens with OpenSSL, and nothing else lies there.
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/../lib/scenario.sh"

scenario_begin
scenario_profile record.xml 107 record "$(with_chain alice)"
processor_start "$SCRATCH/processor.db"
head -c 300001 /dev/urandom >"$SCRATCH/input"

for kind in nginx apache rclone; do
    store_start "$SCRATCH/$kind" "$kind"
    for mode in live after; do
        proves "$kind, mode $mode"
        CONFIG_STORAGE_OPTIONS="mode=\"$mode\"" scenario_config
        "$SEALTAPE" record -c "$CONF/sealtape.xml" --dbid 107 --id "$kind-$mode" --timeout 30s \
            "$SCRATCH/input" >"$SCRATCH/record.json" 2>"$SCRATCH/record.log" \
            || fail "not delivered: $(tail -n 5 "$SCRATCH/record.log")"
        document "$kind-$mode" >"$SCRATCH/document.json"
        opens_with_openssl "$PKI/alice.key" "$SCRATCH/document.json" "$SCRATCH/opened"
        assert_same "$SCRATCH/input" "$SCRATCH/opened"
    done
    assert_equal 2 "$(find "$STORE_ROOT" -type f -not -path '*/.DAV/*' | wc -l)" \
        "files in the store"
    process_stop "$STORE_PID"
done
