#!/bin/bash
# `make dist` takes along every file that git knows: a tarball must build, and pass its tests, like a checkout. TAP on standard output.
# (./check is taken along by dist-hook.)
set -u
build=${VIRTGATE_BUILD:-$PWD}
case $build in /*) ;; *) build=$PWD/$build ;; esac
cd "$(dirname "$(readlink -f "$0")")/../.." || exit 1
[ -f "$build/Makefile" ] || { echo "1..0 # SKIP $build was not configured"; exit 0; }
git ls-files >/dev/null 2>&1 || { echo "1..0 # SKIP this is no git checkout"; exit 0; }

taken=$(make -s --no-print-directory -C "$build" --eval='print-distfiles: ; @printf "%s\n" $(DISTFILES)' print-distfiles) || exit 1
left=$(git ls-files | grep -vxE '\.gitignore|check' | awk -v taken="$taken" '
	BEGIN { n = split(taken, names, "\n"); for (i = 1; i <= n; i++) { sub(/^(\.\.\/)+/, "", names[i]); there[names[i]] = 1 } }
	{
		place = $0
		while (!(place in there) && sub(/\/[^\/]*$/, "", place))
			continue
		if (!(place in there))
			print
	}')
echo 1..1
[ -z "$left" ] && echo "ok 1 - every file is in the tarball" && exit 0
echo "not ok 1 - every file is in the tarball"
printf '%s\n' "$left" | sed 's/^/# not in DISTFILES of Makefile.am: /'
exit 1
