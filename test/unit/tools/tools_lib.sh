# Sourced by the tests of the programs; needs $dir.

failed=0
now=

begins() {
    now=$1
    echo "  $now"
}

fails() {
    failed=1
    echo "    FAILED: $1"
    [ -f "$dir/err" ] && sed 's/^/      stderr: /' "$dir/err"
    return 0
}

run() {
    set +e
    "$@" >"$dir/out" 2>"$dir/err" </dev/null
    status=$?
    set -e
}

run_stdin() {
    set +e
    stdin=$1
    shift
    "$@" >"$dir/out" 2>"$dir/err" <"$stdin"
    status=$?
    set -e
}

expect_status() {
    [ "$status" -eq "$1" ] || fails "exit status $status, expected $1"
}

expect_out() {
    grep -qF -e "$1" "$dir/out" || fails "stdout lacks: $1; it has: $(head -c 300 "$dir/out")"
}

expect_err() {
    grep -qF -e "$1" "$dir/err" || fails "stderr lacks: $1"
}

expect_line() {
    grep -qxF -e "$1" "$2" || fails "$2 lacks the line: $1"
}

expect_lines() {
    [ "$(wc -l <"$2")" -eq "$1" ] || fails "$2 has not $1 lines"
}

expect_empty() {
    [ ! -s "$1" ] || fails "$1 is not empty: $(head -c 300 "$1" | tr -c '[:print:]' '?')"
}

expect_same() {
    cmp -s "$1" "$2" || fails "$1 and $2 differ"
}

expect_json() {
    [ "$(jq -r "$1" "$dir/out")" = "$2" ] || fails "$1 is $(jq -c "$1" "$dir/out"), expected $2"
}

# The condition comes true within 20 s.
wait_for() {
    deadline=$(($(date +%s) + 20))
    until "$@"; do
        [ "$(date +%s)" -lt "$deadline" ] || { fails "waited in vain: $*"; break; }
    done
}

ends() {
    [ "$failed" -eq 0 ] && echo ok
    exit "$failed"
}
