#!/bin/bash
# Every verb of the command line has its manual page, with its arguments and each of its options, and is in virtgate(1). The pages
# are good troff. TAP on standard output.
set -u
build=${VIRTGATE_BUILD:-$PWD}
case $build in /*) ;; *) build=$PWD/$build ;; esac
cd "$(dirname "$(readlink -f "$0")")/../.." || exit 1
virtgate=$build/virtgate
[ -x "$virtgate" ] || { echo "1..0 # SKIP $virtgate was not built"; exit 0; }
number=0 failed=0

# usage: verdict NAME WHAT_IS_WRONG
verdict()
{
	number=$((number + 1))
	if [ -z "$2" ]; then
		echo "ok $number - $1"
		return
	fi
	failed=1
	echo "not ok $number - $1"
	printf '%s\n' "$2" | sed 's/^/# /'
}

# The text of a page without its markup.
plain()
{
	sed -e 's/\\f[A-Z]//g' -e 's/\\-/-/g' -e 's/^\.[A-Z]* //' -e 's/"//g' "$1"
}

overview=$(plain doc/virtgate.1)
verbs=$("$virtgate" --help | sed -n 's/^  \([a-z][a-z -]*[a-z]\)  .*/\1/p; s/^  \([a-z][a-z -]*[a-z]\) \[\{0,1\}[A-Z-].*/\1/p' | sort -u)
verdict "verbs were found" "$([ "$(wc -l <<<"$verbs")" -ge 24 ] || echo "only: $verbs")"
while read -r verb; do
	case ${verb%% *} in
	status|reload|session|console) page=doc/virtgate-session.1 ;;
	*) page=doc/virtgate-${verb%% *}.1 ;;
	esac
	wrong=
	if [ -f "$page" ]; then
		text=$(plain "$page")
		# shellcheck disable=SC2086 # two words are two arguments
		usage=$("$virtgate" $verb --help | head -1)
		grep -qE "virtgate $verb|\| ${verb##* }( |$)" <<<"$text" || wrong+="$page: its synopsis has no 'virtgate $verb'"$'\n'
		for option in $(grep -oE -- '--[a-z0-9-]+' <<<"$usage" | sort -u); do
			[ "$option" = --json ] && ! grep -q -- --json <<<"$text" && wrong+="$page: does not speak of --json"$'\n'
			grep -qE -- "$option\b" <<<"$text$([ "$option" = --config ] && echo "$overview")" || wrong+="$page: does not speak of $option of $verb"$'\n'
		done
	else
		wrong="there is no $page"
	fi
	grep -qE "(^|[ ,])${verb##* }( |,|$)" <<<"$overview" || wrong+="doc/virtgate.1 does not name '$verb'"
	verdict "$verb is in $page and in virtgate.1" "$wrong"
done <<<"$verbs"

for page in doc/*.[15] gateway/*.[58]; do
	verdict "$page is installed" "$(grep -q "${page##*/}" Makefile.am || echo "Makefile.am does not list it in dist_man_MANS")"
	! command -v groff >/dev/null || verdict "$page is good troff" "$(LC_ALL=C.UTF-8 groff -man -ww -z -Kutf8 -rLL=100n "$page" 2>&1)"
done
echo "1..$number"
exit "$failed"
