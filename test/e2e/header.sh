#!/bin/bash
# The public header compiles alone as C99 and as C++11, and without a warning.
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/../lib/assert.sh"

source=$(readlink -f "$(dirname "$(readlink -f "$0")")/../..")
header=$source/include/sealtape/module.h
warnings=(-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror -fsyntax-only)
tried=0

try()
{
    command -v "$1" >/dev/null || return 0
    tried=$((tried + 1))
    proves "$1 takes it as $2"
    "$@"
}

for compiler in gcc clang; do
    try "$compiler" -std=c99 "${warnings[@]}" -x c "$header"
done
for compiler in g++ clang++; do
    try "$compiler" -std=c++11 "${warnings[@]}" -x c++ "$header"
done
[[ $tried -ge 2 ]] || fail "only $tried compilers are here"

proves "version 1.0, as released, is still the beginning of the present one"
saved=$source/test/vectors/module-1.0.h
# Every line of declarations of the saved header stands in the present one, in
# the same order: fields and functions are only ever added at the end.
strip()
{
    gcc -fpreprocessed -dD -E -P "$1" 2>/dev/null | grep -v 'SEALTAPE_ABI_MINOR'
}
lost=$(diff <(strip "$saved") <(strip "$header") | grep '^<' || true)
[[ -z $lost ]] || fail "gone or changed since 1.0: $lost"
