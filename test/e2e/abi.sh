#!/bin/bash
# Old host with new module and the reverse; forks; load, unload and load again.
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/../lib/scenario.sh"

scenario_begin
scenario_profile record.xml 107 record "$(with_chain alice)"
scenario_config
for host in abi abi-1.0; do
    proves "a host built with the header of $host"
    "$SEALTAPE_BUILD/test/e2e/$host" "$SEALTAPE_MODULE" "$CONF/sealtape.xml" 107
done
