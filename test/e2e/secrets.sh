#!/bin/bash
# No plaintext and no session key in spool, store, logs, processor database,
# system calls or a core dump of the recording process.
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/../lib/scenario.sh"

needle=$SEALTAPE_BUILD/test/e2e/needle
scenario_begin
scenario_serve
scenario_profile record.xml 107 record "$(with_chain alice)"
scenario_config
head -c 64 /dev/urandom >"$SCRATCH/pattern"
mkdir "$SCRATCH/evidence"

# The session key of a document: its first recipient's encryptedKey, decrypted.
session_key()
{
    local at
    document_envelope "$1" >"$SCRATCH/envelope.der"
    at=$(openssl asn1parse -inform DER -in "$SCRATCH/envelope.der" \
        | sed -nE 's/^ *([0-9]+):.*hl=([0-9]+).*OCTET STRING.*DUMP.*/\1 \2/p' | head -n 1)
    [[ -n $at ]] || fail "the envelope has no encryptedKey"
    tail -c +$((${at% *} + ${at#* } + 1)) "$SCRATCH/envelope.der" | head -c 256 \
        | openssl pkeyutl -decrypt -inkey "$PKI/alice.key" -out "$2"
}

# lacks WHAT FILE...: neither the pattern nor the key in any of these.
lacks()
{
    local what=$1 found
    shift
    proves "$what: no plaintext"
    found=$("$needle" --pattern "$SCRATCH/pattern" "$@") || fail "$found"
    proves "$what: no session key and no round key"
    found=$("$needle" --key "$SCRATCH/key" "$@") || fail "$found"
}

# A sanitizer keeps freed memory, and gdb cannot trace its processes: there the
# evidence is what was written only.
traced=(strace -f -s 1048576 -xx -o "$SCRATCH/evidence/strace")
if [[ -n $(module_sanitizer) ]]; then
    traced=()
fi

HOST_WRAPPER=("${traced[@]}")
host_begin secrets
host_do create "$CONF/sealtape.xml"
host_do open secret dbid=107 id=secret type=audio/wav
host_do pattern secret "$SCRATCH/pattern" 200007
host_do mask secret
host_do pattern secret "$SCRATCH/pattern" 8003
host_do unmask secret
host_do pattern secret "$SCRATCH/pattern" 5000

spool_holds()
{
    [[ $(find "$SPOOL" -path '*/recording/*' -name '*.bin' -size +190k | wc -l) -eq 1 ]]
}
wait_until 20 spool_holds || fail "the recording does not reach the spool"
mkdir "$SCRATCH/evidence/spool"
find "$SPOOL" -type f -exec cp --parents -t "$SCRATCH/evidence/spool" {} +
host_do close secret
host_do await 6 1 60
host_do destroy 2000
host_end
HOST_WRAPPER=()

document secret >"$SCRATCH/evidence/document.json"
session_key "$SCRATCH/evidence/document.json" "$SCRATCH/key"
assert_equal 32 "$(stat -c %s "$SCRATCH/key")" "length of the session key"
opens_with_openssl "$PKI/alice.key" "$SCRATCH/evidence/document.json" "$SCRATCH/opened"

proves "the search finds a pattern and a key that are there"
cp "$SCRATCH/key" "$SCRATCH/planted-key"
od -An -v -tx1 "$SCRATCH/key" | tr -d ' \n' >"$SCRATCH/planted-hex"
! "$needle" --pattern "$SCRATCH/pattern" "$SCRATCH/opened" >/dev/null || fail "pattern not found"
! "$needle" --key "$SCRATCH/key" "$SCRATCH/planted-key" >/dev/null || fail "key not found"
! "$needle" --key "$SCRATCH/key" "$SCRATCH/planted-hex" >/dev/null || fail "hex not found"

mapfile -t files < <(find "$SCRATCH/evidence/spool" "$SPOOL" -type f)
lacks "the spool during and after the call" "${files[@]}"
mapfile -t files < <(find "$STORE_ROOT" -type f)
lacks "the store" "${files[@]}"
lacks "the log of the host and its events" "$HOST_ERRORS" "$HOST_EVENTS"
lacks "the processor's database and log" "$SCRATCH"/processor.db* "$SCRATCH/processor.log"
if [[ ${#traced[@]} -eq 0 ]]; then
    echo "  (no system call trace and no core dump under a sanitizer)"
    exit 0
fi
lacks "the system calls" "$SCRATCH/evidence/strace"

# A second call, held open, for the core: its key is known once it is delivered.
head -c 64 /dev/urandom >"$SCRATCH/pattern"
host_begin core
host_do create "$CONF/sealtape.xml"
host_do open core dbid=107 id=core type=audio/wav
# 7 bytes beyond a block stay behind as plaintext: in the locked arena alone.
host_do pattern core "$SCRATCH/pattern" 64007
gcore -o "$SCRATCH/evidence/core" "$HOST_ID" >"$SCRATCH/gcore.log" 2>&1 \
    || fail "gcore: $(tail -n 3 "$SCRATCH/gcore.log")"
host_do close core
host_do await 6 1 60
host_do destroy 1000
host_end
document core >"$SCRATCH/core.json"
session_key "$SCRATCH/core.json" "$SCRATCH/key"
lacks "a core dump during the call" "$SCRATCH/evidence"/core.*
