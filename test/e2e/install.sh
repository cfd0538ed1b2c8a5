#!/bin/bash
# `meson install` gives a usable tree, and the README's program runs with it.
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/../lib/scenario.sh"

scenario_begin
tree=$SCRATCH/tree
proves "meson install respects DESTDIR"
DESTDIR=$tree meson install -C "$SEALTAPE_BUILD" --no-rebuild >"$SCRATCH/install.log" 2>&1 \
    || fail "meson install: $(tail -n 5 "$SCRATCH/install.log")"

one()
{
    local found
    found=$(find "$tree" -path "*/$1")
    [[ -n $found && $(wc -l <<<"$found") -eq 1 ]] || fail "expected one $1 in the tree: $found"
    echo "$found"
}
header=$(one include/sealtape/module.h)
module=$(one sealtape.so)
program=$(one bin/sealtape)
one bin/sealtape-processor >/dev/null
pc=$(one pkgconfig/sealtape.pc)

proves "pkg-config names the include folder and the module"
export PKG_CONFIG_PATH=${pc%/*} PKG_CONFIG_SYSROOT_DIR=$tree
flags=$(pkg-config --cflags sealtape)
# Debian drops -I/usr/include; elsewhere it must point into the tree.
[[ $header == "$tree/usr/include/"* || $flags == *"-I${header%/sealtape/*}"* ]] \
    || fail "--cflags says \"$flags\", the header lies at $header"
assert_equal "$module" "$tree$(pkg-config --variable=module sealtape | sed "s,^$tree,,")" module

proves "the installed program finds the installed module's version"
assert_contains "$("$program" --version)" "$(pkg-config --modversion sealtape)"

proves "the module exports one symbol"
assert_equal sealtape_entry \
    "$(nm -D --defined-only "$module" | awk '{print $3}' | sed 's/@.*//' | grep -v '^SEALTAPE_')" \
    "exported symbols"

proves "the README's program compiles without a warning against the tree"
awk '/^```c$/ {inside = 1; next} /^```$/ {inside = 0} inside' "$SEALTAPE_SOURCE/README.md" \
    >"$SCRATCH/embed.c"
[[ $(wc -l <"$SCRATCH/embed.c") -le 45 ]] || fail "the README's program is too long to read"
sanitize=()
if [[ -n $(module_sanitizer) ]]; then
    sanitize=("-fsanitize=$(module_sanitizer)")
fi
compiler=${SEALTAPE_CC:-cc}
"$compiler" -std=c99 -Wall -Wextra -Wpedantic -Werror "${sanitize[@]}" \
    -I"${header%/sealtape/*}" -o "$SCRATCH/embed" "$SCRATCH/embed.c" -ldl

proves "it records, delivers, and what it recorded opens"
scenario_serve
scenario_profile record.xml 107 record "$(with_chain alice)"
scenario_config
head -c 100001 /dev/urandom >"$SCRATCH/input"
"$SCRATCH/embed" "$module" "$CONF/sealtape.xml" 107 <"$SCRATCH/input" \
    || fail "the program ends with $?"
document call-1 >"$SCRATCH/document.json"
opens_with_openssl "$PKI/alice.key" "$SCRATCH/document.json" "$SCRATCH/opened"
assert_same "$SCRATCH/input" "$SCRATCH/opened"

proves "it says why a recording is refused"
status=0
"$SCRATCH/embed" "$module" "$CONF/sealtape.xml" 108 </dev/null 2>"$SCRATCH/said" || status=$?
assert_equal 1 "$status" "exit code"
assert_contains "$(cat "$SCRATCH/said")" "not recorded: "
