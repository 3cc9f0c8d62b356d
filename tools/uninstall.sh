#!/usr/bin/env bash
# tools/uninstall.sh BUILD DESTDIR: remove the files that the last install of
# BUILD put below DESTDIR, and folders of modeld that are then empty.  A
# configuration that was changed stays.
set -euo pipefail
build=$1 dest=${2-}
manifest=$build/install_manifest.txt
[ -f "$manifest" ] || {
    echo "modeld: $manifest is not there: nothing was installed from here" >&2
    exit 1
}

while IFS= read -r file || [ -n "$file" ]; do
    case $file in
    */modeld.conf)
        if [ -f "$dest$file" ] && ! cmp -s "$dest$file" "$build/gen/modeld.conf"
        then
            echo "modeld: kept $dest$file, which was changed"
            continue
        fi
        ;;
    esac
    rm -f -- "$dest$file"
    case ${file%/*} in
    */modeld) rmdir -- "$dest${file%/*}" 2>/dev/null || true ;;
    esac
done <"$manifest"
rm -f -- "$manifest"
