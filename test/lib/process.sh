# Processes and temporary files of a script: everything that it starts is
# stopped, and its scratch directory removed, however it ends.
#
#   process_begin            set up $SCRATCH and the clean-up
#   process_start NAME CMD.. run in the background; log in $SCRATCH/NAME.log;
#                            its id in $PROCESS_PID
#   process_stop PID [SIG]   signal (default TERM) and reap
#   wait_until SECONDS CMD.. poll until the command succeeds; 1 at the deadline
#   free_port                a TCP port of 127.0.0.1 that the kernel chose

PROCESS_PIDS=()
PROCESS_PID=

process_begin()
{
    SCRATCH=$(mktemp -d "${TMPDIR:-/tmp}/sealtape.XXXXXX")
    trap process_end EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
}

process_end()
{
    local status=$? pid
    for pid in "${PROCESS_PIDS[@]}"; do
        process_stop "$pid"
    done
    if [[ -n ${KEEP:-} ]]; then
        echo "kept: $SCRATCH" >&2
    else
        rm -rf "$SCRATCH"
    fi
    return "$status"
}

process_start()
{
    local name=$1
    shift
    # Emptied here, not by the child: nobody must find what the last one said.
    : >"$SCRATCH/$name.log"
    "$@" >>"$SCRATCH/$name.log" 2>&1 </dev/null &
    PROCESS_PID=$!
    PROCESS_PIDS+=("$PROCESS_PID")
}

# Only a child of this script: an id may long be somebody else's.
process_running()
{
    local state
    state=$(awk -v parent="$$" '/^State:/ {state = $2} /^PPid:/ && $2 == parent {print state}' \
        "/proc/$1/status" 2>/dev/null) || return 1
    [[ -n $state && $state != Z ]]
}

process_gone()
{
    ! process_running "$1"
}

process_stop()
{
    local pid=$1 left=() other
    for other in "${PROCESS_PIDS[@]}"; do
        [[ $other == "$pid" ]] || left+=("$other")
    done
    PROCESS_PIDS=("${left[@]}")
    if process_running "$pid"; then
        kill -"${2:-TERM}" "$pid" 2>/dev/null || true
    fi
    wait_until 10 process_gone "$pid" || kill -KILL "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
}

wait_until()
{
    local deadline=$((SECONDS + $1))
    shift
    until "$@"; do
        [[ $SECONDS -lt $deadline ]] || return 1
        read -r -t 0.02 <> <(:) || true
    done
}

free_port()
{
    perl -MIO::Socket::INET -e \
        'print IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1")->sockport'
}

port_answers()
{
    (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}
