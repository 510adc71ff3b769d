#!/bin/bash
# The browser's pages: their pure modules by node's test runner, eslint, and that the bundle says nothing the content security policy
# forbids. TAP on standard output.
set -u
top=$(cd "$(dirname "$(readlink -f "$0")")/../.." && pwd)
build=${VIRTGATE_BUILD:-$PWD}
modules=$build/web/npm/node_modules
[ -f "$build/web/web_assets.c" ] || { echo "1..0 # SKIP built without the pages: node or npm was missing"; exit 0; }
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

number=0
check()
{
	number=$((number + 1))
	if [ "$1" -eq 0 ]; then echo "ok $number - $2"; else echo "not ok $number - $2"; sed 's/^/# /' "$work/log"; fi
}

# Its own numbers go on behind those of the runner.
node --test --test-reporter=tap "$top/web/tests/pure.test.mjs" >"$work/tap" 2>&1
code=$?
grep -E '^(    )?(not )?ok ' "$work/tap" | sed 's/^    //' | grep -v 'pure.test.mjs' >"$work/results"
number=$(wc -l <"$work/results")
echo "1..$((number + 4))"
cat "$work/results"
[ "$code" -eq 0 ] || sed 's/^/# /' "$work/tap"
: >"$work/log"
check $((number < 16)) "the pages' own tests ran"

number_of_node=$(node -p 'process.versions.node.split(".")[0]')
if [ "$number_of_node" -lt 20 ]; then
	number=$((number + 1))
	echo "ok $number - eslint # SKIP eslint needs node 20"
else
	(cd "$top/web" && node "$modules/eslint/bin/eslint.js" --max-warnings 0 .) >"$work/log" 2>&1
	check $? "eslint has nothing to say"
fi

node "$top/web/make_assets.mjs" "$top/web/pages" "$modules" "$work/again.c" >"$work/log" 2>&1 && cmp "$work/again.c" "$build/web/web_assets.c" >>"$work/log" 2>&1
check $? "the same pages give the same bytes"

grep -nE '<script[^>]*>[^<]|<style|style=|[^a-z]on[a-z]+="|https?://' "$top/web/pages/index.html" >"$work/log"
check $((! $?)) "no inline script or style, nothing from elsewhere"
