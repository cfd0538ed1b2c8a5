# The embedded recording processor. Needs process.sh and SEALTAPE_PROCESSOR,
# the program.
#
#   processor_start DATABASE [OPTION]...  sets PROCESSOR_URL (of the contact
#                                         centre acme) and PROCESSOR_PID; PROCESSOR_PORT:
#                                         that port instead of a free one
#   processor_document ID                 the newest revision, JSON; $PROCESSOR_CURL:
#                                         options of curl (credentials, CA)

PROCESSOR_URL=
PROCESSOR_PID=
PROCESSOR_CURL=()

processor_start()
{
    local database=$1 base
    shift
    process_start processor "$SEALTAPE_PROCESSOR" --listen "127.0.0.1:${PROCESSOR_PORT:-0}" \
        --database "$database" "$@"
    PROCESSOR_PID=$PROCESS_PID
    if ! wait_until 10 processor_settled || process_gone "$PROCESSOR_PID"; then
        echo "processor: sealtape-processor does not start:" >&2
        cat "$SCRATCH/processor.log" >&2
        return 1
    fi
    base=$(sed -n 's/^listening on //p' "$SCRATCH/processor.log")
    PROCESSOR_URL=${base%/}/api/contact-centers/acme/recordings
}

processor_settled()
{
    grep -qs '^listening on ' "$SCRATCH/processor.log" || process_gone "$PROCESSOR_PID"
}

processor_document()
{
    curl -sS --fail "${PROCESSOR_CURL[@]}" "$PROCESSOR_URL/$1"
}
