#!/bin/bash
#
# sealtape-processor as its clients meet it: driven with curl, read with jq.
# $1 or SEALTAPE_PROCESSOR is the program.

set -euo pipefail

here=$(dirname "$(readlink -f "$0")")
samples=$(dirname "$(dirname "$here")")/profiles
program=$(readlink -f "${1:-${SEALTAPE_PROCESSOR:?the program under test}}")
scratch=$(mktemp -d "${TMPDIR:-/tmp}/sealtape-processor.XXXXXX")
pids=()
proving=

finish()
{
    local status=$? pid
    for pid in "${pids[@]}"; do
        kill -9 "$pid" 2>/dev/null || true
    done
    wait 2>/dev/null || true
    rm -rf "$scratch"
    return "$status"
}
trap finish EXIT
cd "$scratch"

proves()
{
    proving=$1
    echo "- $1"
}

fail()
{
    echo "FAILED: $proving: $*" >&2
    exit 1
}

equal()
{
    [[ $1 == "$2" ]] || fail "expected \"$1\", got \"$2\""
}

contains()
{
    [[ $1 == *"$2"* ]] || fail "expected \"$2\" in \"$1\""
}

# start NAME OPTION...: sets $pid, $base, $url; output in NAME.out, NAME.err.
start()
{
    local name=$1 deadline=$((SECONDS + 20))
    shift
    : >"$name.out"
    "$program" --listen 127.0.0.1:0 --verbose "$@" >"$name.out" 2>>"$name.err" </dev/null &
    pid=$!
    pids+=("$pid")
    until grep -q '^listening on ' "$name.out"; do
        kill -0 "$pid" 2>/dev/null || fail "it does not start: $(cat "$name.err")"
        ((SECONDS < deadline)) || fail "it does not say where it listens"
        read -rt 0.02 <> <(:) || true
    done
    base=$(sed -n 's/^listening on //p' "$name.out")
    url=$base/api/contact-centers/acme/recordings
}

# stop SIGNAL: the exit code must be 0.
stop()
{
    local code=0
    kill "-$1" "$pid"
    wait "$pid" || code=$?
    equal 0 "$code"
}

# call METHOD URL [CURL OPTION]...: sets $status, $body, $head.
call()
{
    local method=$1 target=$2
    shift 2
    status=$(curl -sS -o body -D fields -w '%{http_code}' -X "$method" "$target" "$@")
    body=$(<body)
    head=$(tr -d '\r' <fields)
}

# post JSON [CURL OPTION]...
post()
{
    local json=$1
    shift
    printf '%s' "$json" >posted
    call POST "$url" -H 'Content-Type: application/json' --data-binary @posted "$@"
}

field()
{
    sed -n "s/^$1: //Ip" <<<"$head"
}

caller=+14155550100
document=$(jq -c . <<'END'
{ "id": "01K8ACME0001", "ccid": "acme", "callerPhoneNumber": "+14155550100",
  "dialedPhoneNumber": "+14155550199", "startTime": "2026-03-02T09:15:00.000Z",
  "stopTime": "2026-03-02T09:18:24.480Z", "eventHistory": [],
  "mediaFiles": [ {
    "mediaDescriptor": { "storage": "webDAV",
      "path": "https://store.example/recordings/01K8ACME0001-9f31c2d4a07be655.wav.bin",
      "data": { "storagePath": "https://store.example/recordings" } },
    "mediaId": "01K8ACME0001-9f31c2d4a07be655.wav", "type": "audio/wav",
    "startTime": "2026-03-02T09:15:00.000Z", "stopTime": "2026-03-02T09:18:24.480Z",
    "duration": "204480", "size": "3271744", "callUUID": "01K8ACME", "tenant": "Acme",
    "ivrprofile": "record",
    "parameters": { "id": "01K8ACME0001", "callUuid": "01K8ACME", "ani": "+14155550100",
      "dnis": "+14155550199", "agentId": "agent1" },
    "masks": [ { "time": "2026-03-02T09:16:10.034Z", "type": "paused" } ],
    "pkcs7": "-----BEGIN PKCS7-----\nMIIB\n-----END PKCS7-----\n",
    "certAlias": [ "rcs_Acme:101:C=US,O=Example,CN=Recording CA:4097" ],
    "partitions": [], "accessgroups": [],
    "sealtape": { "version": 1, "outcome": "complete", "plainSize": 3271738, "gaps": [],
      "recipients": [ { "alias": "rcs_Acme:101:C=US,O=Example,CN=Recording CA:4097",
        "issuer": "C=US,O=Example,CN=Recording CA", "serial": "4097",
        "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08" } ] }
  } ] }
END
)
id=01K8ACME0001

usage_is_refused()
{
    local code
    proves "wrong usage ends with 2, help and version with 0"
    for options in "" "--listen 127.0.0.1:0" "--listen 127.0.0.1 --database d" \
        "--listen 127.0.0.1:70000 --database d" "--listen ::1:80 --database d" \
        "--listen 127.0.0.1:0 --database d --username u" \
        "--listen 127.0.0.1:0 --database d --tls-key k" "--wrong" "word"; do
        code=0
        # The options are words.
        # shellcheck disable=SC2086
        "$program" $options >out 2>err || code=$?
        equal 2 "$code"
        equal "" "$(<out)"
        [[ -s err ]] || fail "no reason for: $options"
    done
    "$program" --help | grep -q -- --database || fail "no help"
    "$program" --version | grep -q '^sealtape-processor [0-9]' || fail "no version"

    proves "what cannot be opened or is of a newer version ends with 1 and a reason"
    code=0
    "$program" --listen 127.0.0.1:0 --database /nowhere/db >out 2>err || code=$?
    equal 1 "$code"
    contains "$(<err)" "/nowhere/db"
    code=0
    echo "this is no database, whatever it was meant to be" >text
    "$program" --listen 127.0.0.1:0 --database text >out 2>err || code=$?
    equal 1 "$code"
    equal "this is no database, whatever it was meant to be" "$(<text)"
    code=0
    : >empty
    "$program" --listen 127.0.0.1:0 --database d --username u --password-file empty \
        >out 2>err || code=$?
    equal 2 "$code"
}

bad_requests_are_refused()
{
    proves "a bad body gets a 400 that says why, without the number in it"
    post '{"id":"a", "callerPhoneNumber":"+14155550100'
    equal 400 "$status"
    contains "$body" "line 1, column"
    post "$(jq -c 'del(.id)' <<<"$document")"
    equal 400 "$status"
    contains "$body" "id is missing"
    post "$(jq -c '.callerPhoneNumber = 14155550100' <<<"$document")"
    equal 400 "$status"
    contains "$(jq -r .reason <<<"$body")" "callerPhoneNumber: expected a string"
    [[ $body != *4155550100* ]] || fail "the number stands in $body"
    post "$(jq -c '.mediaFiles += .mediaFiles' <<<"$document")"
    equal 400 "$status"
    contains "$body" "mediaFiles[1].mediaId: the same as"
    post ''
    equal 400 "$status"

    proves "paths, methods, types and sizes that do not fit are refused"
    call GET "$base/api"
    equal 404 "$status"
    call GET "$url/"
    equal 400 "$status"
    call GET "$url/%zz"
    equal 400 "$status"
    call GET "$url/$id/revisions/1"
    equal 404 "$status"
    call DELETE "$url/$id"
    equal 405 "$status"
    equal "GET, HEAD, PUT" "$(field Allow)"
    call PUT "$url" -d x
    equal 405 "$status"
    equal "GET, HEAD, POST" "$(field Allow)"
    call POST "$url" -d '{}'
    equal 415 "$status"
    head -c 9000000 /dev/zero | tr '\0' ' ' >large
    call POST "$url" -H 'Content-Type: application/json' --data-binary @large
    equal 413 "$status"
    call POST "$url" -H 'Content-Type: application/json' -H 'Transfer-Encoding: chunked' \
        -H 'Expect:' --data-binary @large
    equal 413 "$status"
    for query in limit=0 limit=x after=x from=now to=1 caller= agentId=%f frm=x limit=1\&limit=2; do
        call GET "$url?$query"
        equal 400 "$status"
    done
    equal '{"recordings":[],"next":null}' "$(curl -sS "$url")"
}

documents_go_in()
{
    proves "a new document is 201, the same again 200, in whatever order its members are"
    post "$document" -H "Idempotency-Key: \"$(jq -r '.mediaFiles[0].mediaId' <<<"$document")\""
    equal 201 "$status"
    equal "{\"id\":\"$id\",\"revision\":1}" "$body"
    equal "/api/contact-centers/acme/recordings/$id" "$(field Location)"
    equal '"1"' "$(field ETag)"
    post "$document"
    equal 200 "$status"
    post "$(jq -S . <<<"$document")"
    equal 200 "$status"
    equal 1 "$(jq .revision <<<"$body")"

    proves "what was posted comes back byte by byte"
    call GET "$url/$id"
    equal 200 "$status"
    equal "$document" "$body"
    equal '"1"' "$(field ETag)"
    equal 200 "$(curl -sS -I -o fields -w '%{http_code}' "$url/$id")"
    contains "$(<fields)" "Content-Length: ${#document}"
    call GET "$url/$id" -H 'If-None-Match: "1"'
    equal 304 "$status"
    call GET "$url/unknown"
    equal 404 "$status"
    call GET "$base/api/contact-centers/other/recordings/$id"
    equal 404 "$status"

    proves "other content under a known mediaId is 409 and changes nothing"
    post "$(jq -c '.mediaFiles[0].size = "1"' <<<"$document")"
    equal 409 "$status"
    contains "$(jq -r .reason <<<"$body")" "mediaFiles[0]"
    post "$(jq -c '.callerPhoneNumber = "+14155550101"' <<<"$document")"
    equal 409 "$status"
    equal "$document" "$(curl -sS "$url/$id")"

    proves "a new mediaId joins the document"
    post "$(jq -c '.mediaFiles[0].mediaId = "second.wav"' <<<"$document")"
    equal 200 "$status"
    equal 2 "$(jq .revision <<<"$body")"
    equal 2 "$(curl -sS "$url/$id" | jq '.mediaFiles | length')"
    post "$document"
    equal 200 "$status"
    equal 2 "$(jq .revision <<<"$body")"

    proves "the sample of the documentation is taken"
    call POST "${url/acme/sample}" -H 'Content-Type: application/json' \
        --data-binary "@$samples/metadata.json"
    equal 201 "$status"

    proves "an id is opaque: slashes, quotes, blanks and other alphabets"
    post "$(jq -c '.id = "a/b \"é%\\"' <<<"$document")"
    equal 201 "$status"
    call GET "$base$(field Location)"
    equal 200 "$status"
    equal 'a/b "é%\' "$(jq -r .id <<<"$body")"
}

revisions_are_made()
{
    local changed
    changed=$(jq -c '.region = "east"' <<<"$document")
    printf '%s' "$changed" >changed
    proves "PUT needs the ETag of the current revision"
    call PUT "$url/$id" -H 'Content-Type: application/json' --data-binary @changed
    equal 428 "$status"
    call PUT "$url/$id" -H 'Content-Type: application/json' -H 'If-Match: "1"' \
        --data-binary @changed
    equal 412 "$status"
    call PUT "$url/other" -H 'Content-Type: application/json' -H 'If-Match: "1"' \
        --data-binary @changed
    equal 400 "$status"
    call PUT "$url/$id" -H 'Content-Type: application/json' -H 'If-Match: "2"' \
        --data-binary @changed
    equal 200 "$status"
    equal '"3"' "$(field ETag)"
    equal "$changed" "$(curl -sS "$url/$id")"

    proves "old revisions stay readable"
    equal "$document" "$(curl -sS "$url/$id?revision=1")"
    equal 2 "$(curl -sS "$url/$id?revision=2" | jq '.mediaFiles | length')"
    equal '[1,2,3]' "$(curl -sS "$url/$id/revisions" | jq -c '[.revisions[].revision]')"
    call GET "$url/$id?revision=4"
    equal 404 "$status"
    call GET "$url/$id?revision=x"
    equal 400 "$status"
    call GET "$url/unknown/revisions"
    equal 404 "$status"
}

recordings_are_found()
{
    local sha=9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 next seen n
    proves "each filter finds"
    for query in "caller=$caller" "caller=%2B14155550100" "dialed=+14155550199" \
        "callUUID=01K8ACME" "agentId=agent1" "recipient=$sha" "recipient=${sha^^}" \
        "recipient=4097" "recipient=rcs_Acme:101:C=US,O=Example,CN=Recording+CA:4097" \
        "outcome=complete" "from=2026-03-02T09:15:00Z&to=2026-03-02T10:15:00.001%2B01:00"; do
        equal 2 "$(curl -sS "$url?$query" | jq '.recordings | length')"
    done
    for query in caller=14155550100 recipient=40 outcome=empty from=2026-03-02T09:15:00.001Z; do
        equal '{"recordings":[],"next":null}' "$(curl -sS "$url?$query")"
    done

    proves "pages show each recording once"
    for n in 1 2 3 4 5; do
        post "{\"id\":\"page$n\",\"startTime\":\"2026-04-02T09:15:00Z\",\"mediaFiles\":[]}"
        equal 201 "$status"
    done
    next=
    seen=
    while :; do
        call GET "$url?limit=2&from=2026-04-01T00:00:00Z${next:+&after=$next}"
        equal 200 "$status"
        seen+=$(jq -r '.recordings[].id' <<<"$body" | tr '\n' ' ')
        next=$(jq -r '.next // empty' <<<"$body")
        [[ -n $next ]] || break
    done
    equal "page1 page2 page3 page4 page5 " "$seen"
}

the_log_is_discreet()
{
    proves "telephone numbers and queries never reach the log"
    grep -q 'POST /api/contact-centers/acme/recordings id="01K8ACME0001" 201' main.err \
        || fail "no line for the first document"
    if grep -qE '4155550|caller=' main.err; then
        fail "$(grep -E '4155550|caller=' main.err)"
    fi
    proves "the database is for its owner alone"
    equal 600 "$(stat -c %a main.db)"
}

the_port_is_taken()
{
    local code=0
    proves "a port in use ends with 1 and a reason"
    "$program" --listen "${base#http://}" --database other.db >out 2>err || code=$?
    equal 1 "$code"
    contains "$(<err)" "Address already in use"
}

strangers_stay_out()
{
    proves "without the right name and password all but /health is 401"
    echo "pass:wörd" >password
    start auth --database auth.db --username mcp --password-file password
    for login in "" "mcp:wrong" "MCP:pass:wörd" "mcp:pass" "mcp:pass:wörd1" ":"; do
        call GET "$url" ${login:+-u "$login"}
        equal 401 "$status"
        contains "$(field WWW-Authenticate)" 'Basic realm="sealtape-processor"'
    done
    for value in "Basic" "Basic !!!" "Bearer bWNw" "Basic bWNwOnBhc3M6d8O2cmQ"; do
        call GET "$url" -H "Authorization: $value"
        equal 401 "$status"
    done
    post "$document"
    equal 401 "$status"
    call GET "$base/nowhere"
    equal 401 "$status"
    call GET "$base/health"
    equal 200 "$status"
    post "$document" -u mcp:pass:wörd
    equal 201 "$status"
    stop INT
}

tls_works()
{
    proves "it serves HTTPS, and refuses a key that does not fit"
    for name in one two; do
        openssl req -x509 -newkey rsa:2048 -nodes -keyout $name.key -out $name.pem -days 2 \
            -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 2>/dev/null
    done
    start tls --database tls.db --tls-cert one.pem --tls-key one.key
    contains "$base" https://127.0.0.1:
    post "$document" --cacert one.pem
    equal 201 "$status"
    call GET "$url/$id" --cacert one.pem
    equal "$document" "$body"
    stop TERM
    local code=0
    "$program" --listen 127.0.0.1:0 --database d --tls-cert one.pem --tls-key two.key \
        >out 2>err || code=$?
    equal 1 "$code"
    contains "$(<err)" "no certificate with its key"
}

a_full_disk_is_503()
{
    local n first=
    proves "what cannot be stored is 503 with a reason, and what was stored stays"
    # A limit on the size of files stands for the full disk.
    (
        trap '' XFSZ
        ulimit -f 600
        exec "$program" --listen 127.0.0.1:0 --database full.db >full.out 2>full.err </dev/null
    ) &
    pid=$!
    pids+=("$pid")
    local deadline=$((SECONDS + 20))
    until grep -q '^listening on ' full.out 2>/dev/null; do
        ((SECONDS < deadline)) || fail "it does not start"
        read -rt 0.02 <> <(:) || true
    done
    base=$(sed -n 's/^listening on //p' full.out)
    url=$base/api/contact-centers/acme/recordings
    for ((n = 0; n < 40; n++)); do
        post "{\"id\":\"r$n\",\"mediaFiles\":[],\"x\":\"$(printf '%050000d' "$n")\"}"
        if [[ $status != 201 ]]; then
            equal 503 "$status"
            equal unavailable "$(jq -r .error <<<"$body")"
            equal 5 "$(field Retry-After)"
            first=$n
            break
        fi
    done
    [[ -n $first ]] || fail "the limit was never reached"
    for ((n = 0; n < first; n++)); do
        equal "r$n" "$(curl -sS "$url/r$n" | jq -r .id)"
    done
    call GET "$url/r$first"
    equal 404 "$status"
    stop TERM
}

# Post one document after the other; an id is written down once it is acknowledged.
post_until_it_dies()
{
    local n
    for ((n = 0; ; n++)); do
        printf '{"id":"%s-%d","mediaFiles":[{"mediaId":"m"}]}' "$1" "$n" >"body.$1"
        [[ $(curl -sS -o /dev/null -w '%{http_code}' -H 'Content-Type: application/json' \
            --data-binary "@body.$1" "$url" 2>/dev/null) == 201 ]] || return 0
        echo "$1-$n" >>acknowledged
    done
}

nothing_acknowledged_is_lost()
{
    local round lane workers deadline wanted lost
    proves "kill -9 loses no acknowledged document"
    : >acknowledged
    for round in 1 2 3 4 5; do
        start kill --database kill.db
        wanted=$(($(wc -l <acknowledged) + 20 + RANDOM % 20))
        workers=()
        for lane in a b c d; do
            post_until_it_dies "$round$lane" &
            workers+=($!)
        done
        deadline=$((SECONDS + 60))
        until (($(wc -l <acknowledged) >= wanted)); do
            ((SECONDS < deadline)) || fail "too slow"
            read -rt 0.01 <> <(:) || true
        done
        kill -9 "$pid"
        wait "$pid" 2>/dev/null || true
        wait "${workers[@]}"
    done

    proves "SIGTERM under load loses none either, and does not wait for those who go on"
    start kill --database kill.db
    wanted=$(($(wc -l <acknowledged) + 20))
    workers=()
    for lane in a b c d; do
        post_until_it_dies "term$lane" &
        workers+=($!)
    done
    deadline=$((SECONDS + 60))
    until (($(wc -l <acknowledged) >= wanted)); do
        ((SECONDS < deadline)) || fail "too slow"
        read -rt 0.01 <> <(:) || true
    done
    stop TERM
    wait "${workers[@]}"

    start kill --database kill.db
    curl -sS "$url?limit=1000" | jq -r '.recordings[].id' | sort >there
    lost=$(sort acknowledged | comm -23 - there)
    equal "" "$lost"
    (($(wc -l <acknowledged) >= 100)) || fail "too few documents"
    stop TERM
}

clients_that_quit_leave_nobody_waiting()
{
    local seed=$RANDOM
    proves "clients that quit in the middle leave nobody waiting (seed $seed)"
    start quit --database quit.db
    perl "$here/quitters.pl" "${base##*:}" 8 400 "$seed" || fail "somebody had no answer"
    stop TERM
}

usage_is_refused
start main --database main.db
bad_requests_are_refused
documents_go_in
revisions_are_made
recordings_are_found
the_log_is_discreet
the_port_is_taken

proves "a second process shares the database"
main_pid=$pid
start second --database main.db
post "$(jq -c '.id = "beside"' <<<"$document")"
equal 201 "$status"
stop TERM
pid=$main_pid
stop TERM

proves "everything is there after a restart"
start main --database main.db
call GET "$url/$id"
equal 200 "$status"
call GET "$url/beside"
equal 200 "$status"
stop TERM

strangers_stay_out
tls_works
a_full_disk_is_503
nothing_acknowledged_is_lost
clients_that_quit_leave_nobody_waiting
echo "all proved"
