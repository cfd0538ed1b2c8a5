#!/bin/bash
# The write path allocates nothing and makes no system call.
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/../lib/scenario.sh"

quiet=$SEALTAPE_BUILD/test/e2e/quiet
scenario_begin
scenario_profile record.xml 107 record "$(with_chain alice)"
scenario_config

proves "1250 writes to 50 recordings allocate nothing"
said=$("$quiet" "$SEALTAPE_MODULE" "$CONF/sealtape.xml" 107) || fail "$said"
assert_contains "$said" "written, 0 allocations"
if [[ $said == *"not counted"* ]]; then
    skip "under a sanitizer the allocator and the system calls are not the module's"
fi

proves "they make no system call"
strace -f -o "$SCRATCH/trace" "$quiet" "$SEALTAPE_MODULE" "$CONF/sealtape.xml" 107 >/dev/null
# A call that another thread's interrupts stands in two lines, the second one "resumed".
thread=$(awk '/getpgid\(-77/ {print $1; exit}' "$SCRATCH/trace")
[[ $(grep -c 'getpgid(-77' "$SCRATCH/trace") -eq 2 ]] || fail "the trace lacks its marks"
calls=$(awk -v thread="$thread" '$1 == thread && /getpgid\(-77/ {inside = !inside; next}
    $1 == thread && /getpgid resumed/ {next}
    $1 == thread && inside' "$SCRATCH/trace")
[[ -z $calls ]] || fail "system calls between the marks: $(head -n 5 <<<"$calls")"
