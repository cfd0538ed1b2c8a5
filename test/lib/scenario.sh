# A whole small installation below $SCRATCH: PKI, trust, one profile, store,
# processor and configuration. An end-to-end script begins with
#
#   . "$(dirname "$0")/../lib/scenario.sh"
#   scenario_begin            scratch, PKI with root, issuing CA, alice and bob
#   scenario_serve [nginx]    store and processor
#   scenario_profile FILE DBID NAME CERTIFICATE...
#                             PEM files into conf/profiles.d/FILE (ConfData);
#                             $PROFILE_OPTIONS: "key=value" of recording-encryption;
#                             $PROFILE_SECTIONS: further list_pair elements
#   scenario_config           conf/sealtape.xml from the variables CONFIG_* (attributes of
#                             trust, spool, storage and processor; CONFIG_STORAGES: more
#                             elements)
#   document ID               metadata from the processor, on standard output
#   opens_with_openssl KEY DOCUMENT.json OUTPUT
#                             the stored object with the envelope, by openssl cms
#   documents_fit FILE...     the JSON Schema of metadata takes them all
#   module_sanitizer          "address" or "thread" where the module is built with it
#   host_begin LABEL          start the scripted host as a coprocess; then
#   host_do COMMAND...        one command, its answer in $HOST_ANSWER
#   host_end                  quit
#
# The build is found through SEALTAPE_BUILD (meson sets it).

SCENARIO_LIB=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
SEALTAPE_SOURCE=$(readlink -f "$SCENARIO_LIB/../..")
SEALTAPE_BUILD=$(readlink -f "${SEALTAPE_BUILD:-$SEALTAPE_SOURCE/build}")
SEALTAPE=$SEALTAPE_BUILD/tools/sealtape
SEALTAPE_PROCESSOR=$SEALTAPE_BUILD/tools/sealtape-processor
SEALTAPE_MODULE=$SEALTAPE_BUILD/module/sealtape.so
SEALTAPE_HOST=$SEALTAPE_BUILD/test/e2e/host

. "$SCENARIO_LIB/assert.sh"
. "$SCENARIO_LIB/process.sh"
. "$SCENARIO_LIB/pki.sh"
. "$SCENARIO_LIB/store.sh"
. "$SCENARIO_LIB/processor.sh"

scenario_begin()
{
    process_begin
    CONF=$SCRATCH/conf
    SPOOL=$SCRATCH/spool
    mkdir -p "$CONF/profiles.d" "$SPOOL"
    pki_begin "$SCRATCH/pki"
    pki_ca root
    pki_ca issuing root
    pki_leaf alice issuing
    pki_leaf bob issuing
    cp "$PKI/root.pem" "$CONF/roots.pem"
}

# A certificate with its intermediate, as an operator pastes it.
with_chain()
{
    cat "$PKI/$1.pem" "$PKI/${2:-issuing}.pem" >"$PKI/$1.chain.pem"
    echo "$PKI/$1.chain.pem"
}

scenario_serve()
{
    store_start "$SCRATCH/webdav" "${1:-nginx}"
    processor_start "$SCRATCH/processor.db"
}

# An attribute value: newlines as character references.
pem_attribute()
{
    awk '{printf "%s&#10;", $0}' "$1"
}

scenario_profile()
{
    local file=$CONF/profiles.d/$1 dbid=$2 name=$3 n=0 pem option
    shift 3
    {
        echo "<ConfData><CfgGVPIVRProfile><DBID value=\"$dbid\"/><tenantDBID value=\"101\"/>"
        echo "<name value=\"$name\"/><state value=\"1\"/><userProperties>"
        echo '<list_pair key="recording-certificates">'
        for pem in "$@"; do
            n=$((n + 1))
            echo "<str_pair key=\"certificate-$n\" value=\"$(pem_attribute "$pem")\"/>"
        done
        echo '</list_pair>'
        echo '<list_pair key="recording-encryption">'
        echo '<str_pair key="tenant" value="Acme"/><str_pair key="ccid" value="acme"/>'
        for option in ${PROFILE_OPTIONS:-}; do
            echo "<str_pair key=\"${option%%=*}\" value=\"${option#*=}\"/>"
        done
        echo "</list_pair>${PROFILE_SECTIONS:-}"
        echo '</userProperties></CfgGVPIVRProfile></ConfData>'
    } >"$file.new"
    mv "$file.new" "$file"
}

scenario_config()
{
    cat >"$CONF/sealtape.xml" <<END
<sealtape instance="test">
  <profiles directory="profiles.d" cache="$SCRATCH/cache"/>
  <trust roots="roots.pem" ${CONFIG_TRUST:-}/>
  <spool directory="${CONFIG_SPOOL:-$SPOOL}" ${CONFIG_SPOOL_OPTIONS:-}/>
  <storage url="${STORE_URL:-http://127.0.0.1:9/}" ${CONFIG_STORAGE_OPTIONS:-}/>
${CONFIG_STORAGES:-}
  <processor url="${PROCESSOR_URL:-http://127.0.0.1:9/api/contact-centers/acme/recordings}" ${CONFIG_PROCESSOR_OPTIONS:-}/>
</sealtape>
END
}

document()
{
    processor_document "$1"
}

# The envelope of a document's media file, DER.
document_envelope()
{
    jq -r '.mediaFiles[0].pkcs7' "$1" | openssl cms -cmsout -inform PEM -outform DER
}

# Where the stored object lies on the store's disk.
document_object()
{
    local path
    path=$(jq -r '.mediaFiles[0].mediaDescriptor.path' "$1")
    [[ $path == "$STORE_URL"* ]] || fail "$1: stored at $path, not below $STORE_URL"
    echo "$STORE_ROOT/${path#"$STORE_URL"}"
}

opens_with_openssl()
{
    document_envelope "$2" >"$SCRATCH/envelope.der"
    openssl cms -decrypt -inform DER -in "$SCRATCH/envelope.der" \
        -content "$(document_object "$2")" -inkey "$1" -out "$3"
}

module_sanitizer()
{
    nm -D "${1:-$SEALTAPE_MODULE}" | awk '/ __asan_init$/ {print "address"}
        / __tsan_init$/ {print "thread"}'
}

documents_fit()
{
    local said
    if ! python3 -c 'import jsonschema' 2>/dev/null; then
        echo "  (python3-jsonschema is not there: the schema is not applied)"
        return 0
    fi
    said=$(python3 "$SEALTAPE_SOURCE/test/unit/profiles/metadata.py" "$SEALTAPE_SOURCE/profiles" \
        "$@" 2>&1) || fail "the schema refuses a document: $(tail -n 5 <<<"$said")"
}

host_begin()
{
    HOST_EVENTS=$SCRATCH/host-$1.events
    HOST_ERRORS=$SCRATCH/host-$1.errors
    coproc HOST { exec "${HOST_WRAPPER[@]}" "$SEALTAPE_HOST" "$SEALTAPE_MODULE" "$HOST_EVENTS" \
        2>"$HOST_ERRORS"; }
    HOST_ID=$HOST_PID
    PROCESS_PIDS+=("$HOST_ID")
    HOST_IN=${HOST[1]}
    HOST_OUT=${HOST[0]}
}

# The answer begins with "ok" or with the name of the status.
host_ask()
{
    echo "$*" >&"$HOST_IN"
    read -r -t "${HOST_DEADLINE:-120}" HOST_ANSWER <&"$HOST_OUT" \
        || fail "the host gave no answer to \"$*\": $(tail -n 20 "$HOST_ERRORS")"
}

host_do()
{
    host_ask "$@"
    [[ $HOST_ANSWER == ok* ]] || fail "\"$*\" was answered by \"$HOST_ANSWER\""
}

host_end()
{
    echo quit >&"$HOST_IN"
    wait_until 60 process_gone "$HOST_ID" || fail "the host does not end"
    wait "$HOST_ID" || fail "the host ended with $?: $(tail -n 20 "$HOST_ERRORS")"
}
