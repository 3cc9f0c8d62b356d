#!/usr/bin/env bash
# product.sh SOURCE BUILD MODELD: install everything below an empty folder.
# The manual page and the configuration name all that the lists name, the
# administrator's words outlive a second install and a removal, and nothing
# else does.
set -euo pipefail
source=$1 build=$2 modeld=$3
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

fail() {
    echo "$*"
    exit 1
}

install_all() {
    DESTDIR=$root cmake --install "$build" >/dev/null
}

install_all
page=$(find "$root" -name modeld.1)
conf=$(find "$root" -name modeld.conf)
unit=$(find "$root" -name modeld.service)
completion=$(find "$root" -path '*/completions/modeld')
[ -x "$(find "$root" -path '*/bin/modeld')" ] || fail "no program"

echo "manual page"
if command -v mandoc >/dev/null; then
    lint=$(mandoc -Tlint -W warning "$page" || true)
    [ -z "$lint" ] || fail "$lint"
    mandoc -Tutf8 "$page" | sed 's/.\x08//g' >"$root/page"
else
    echo "skipped: mandoc is not there"
    sed 's/\\-/-/g' "$page" >"$root/page"
fi
commands=$(sed -n 's/^CMD(\([a-z]*\),.*/\1/p' "$source/src/cli/cmds.def")
options=$(sed -n 's/^OPTION(\([a-z_]*\),.*/\1/p' "$source/src/app/options.def")
[ "$(wc -w <<<"$commands")" -ge 11 ] || fail "commands: $commands"
[ "$(wc -w <<<"$options")" -ge 19 ] || fail "options: $options"
for command in $commands; do
    grep -q "modeld $command" "$root/page" || fail "no $command in the page"
    # Each flag of --help stands in the page.
    for flag in $("$modeld" "$command" --help | grep -oE '^  (-., )?--[a-z-]+' |
        grep -oE -- '--[a-z-]+'); do
        [ "$flag" = --help ] || grep -q -- "$flag" "$root/page" ||
            fail "no $flag of $command in the page"
    done
done
for option in $options; do
    grep -q -- "--${option//_/-}" "$root/page" || fail "no --$option in the page"
    grep -q "MODELD_${option^^}" "$root/page" || fail "no variable of $option"
done

echo "configuration"
"$modeld" config --config "$conf" >"$root/effective"
! grep -q 'modeld.conf' "$root/effective" || fail "an option is set"
sed 's/^#\([a-z_]* = .*\)/\1/' "$conf" >"$root/all.conf"
"$modeld" config --config "$root/all.conf" >"$root/set"
for option in $options; do
    grep -q "^$option = .*all.conf" "$root/set" || fail "$option is not read"
done
diff <(sed 's/ *#.*//' "$root/effective") <(sed 's/ *#.*//' "$root/set") ||
    fail "what the file calls defaults are none"
grep -q -- "--config ${conf#"$root"}\$" "$unit" ||
    fail "the unit reads another file"

echo "completion"
found=$(bash -c '. "$1"; COMP_WORDS=(modeld con) COMP_CWORD=1; _modeld
    echo "${COMPREPLY[*]}"' - "$completion")
[ "$found" = "convert config" ] || fail "modeld con<TAB>: $found"

echo "again, and away"
echo "width = 2" >>"$conf"
install_all
tail -n 1 "$conf" | grep -qx 'width = 2' || fail "modeld.conf was written over"
"$source/tools/uninstall.sh" "$build" "$root" >"$root/said"
grep -q "kept $conf" "$root/said" || fail "nothing said of $conf"
[ "$(find "$root/usr" "$root/etc" ! -type d 2>/dev/null)" = "$conf" ] ||
    fail "left: $(find "$root/usr" "$root/etc" ! -type d)"
rm "$conf"
install_all
"$source/tools/uninstall.sh" "$build" "$root"
left=$(find "$root/usr" "$root/etc" ! -type d -o -name modeld 2>/dev/null || true)
[ -z "$left" ] || fail "left: $left"
if "$source/tools/uninstall.sh" "$build" "$root" 2>"$root/said"; then
    fail "removed twice"
fi
grep -q 'nothing was installed' "$root/said" || fail "$(cat "$root/said")"
