# What end-to-end tests say and assert. Any failed assertion ends the script
# with the reason on standard error.
#
#   proves SENTENCE             begin a part of the test, printed
#   fail TEXT
#   assert_equal WANT GOT [WHAT]
#   assert_contains TEXT PART   assert_lacks TEXT PART
#   assert_same FILE FILE
#   assert_empty_directory DIR
#   skip REASON                 end the script as skipped (meson: 77)

PROVES=

proves()
{
    PROVES=$1
    echo "- $1"
}

fail()
{
    echo "FAILED: ${PROVES:+$PROVES: }$*" >&2
    exit 1
}

skip()
{
    echo "SKIPPED: $*"
    exit 77
}

assert_equal()
{
    [[ $1 == "$2" ]] || fail "${3:-value}: expected \"$1\", got \"$2\""
}

assert_contains()
{
    [[ $1 == *"$2"* ]] || fail "expected \"$2\" in \"$1\""
}

assert_lacks()
{
    [[ $1 != *"$2"* ]] || fail "did not expect \"$2\" in \"$1\""
}

assert_same()
{
    cmp "$1" "$2" || fail "$1 and $2 differ"
}

# No file anywhere below, whatever directories there are.
assert_empty_directory()
{
    local found
    found=$(find "$1" -type f -not -path '*/.tmp/*' 2>/dev/null || true)
    [[ -z $found ]] || fail "expected no file below $1, found: $found"
}
