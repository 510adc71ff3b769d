# shellcheck shell=bash
# What the tests of `virtgate`'s verbs share: sourced by them. They then stand at the top of the checkout and have $build, $virtgate and $dir (scratch, gone at the
# end); each test is one verdict, and `end_of_tests` is the last line. Without a build the whole test is skipped.
set -u
shopt -s extglob
build=${VIRTGATE_BUILD:-$PWD}
case $build in /*) ;; *) build=$PWD/$build ;; esac
cd "$(dirname "$(readlink -f "$0")")/../.." || exit 1
virtgate=$build/virtgate
[ -x "$virtgate" ] || { echo "1..0 # SKIP $virtgate was not built"; exit 0; }
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
number=0 failed=0

# usage: verdict NAME STATUS   (0 is good; otherwise what stands in $dir/told is shown)
verdict()
{
	number=$((number + 1))
	if [ "$2" -eq 0 ]; then
		echo "ok $number - $1"
		return
	fi
	failed=1
	echo "not ok $number - $1"
	head -n 60 "$dir/told" | sed 's/^/# /'
}

# usage: compare NAME EXIT_CODE STDOUT_PATTERN STDERR_PATTERN ARGUMENT...   with what was seen in $status, $out and $err
compare()
{
	printf 'virtgate %s\nexit %s, expected %s\nout: %s\nerr: %s\n' "${*:5}" "$status" "$2" "$out" "$err" >"$dir/told"
	# shellcheck disable=SC2053 # patterns are meant
	[ "$status" -eq "$2" ] && [[ $out == $3 ]] && [[ $err == $4 ]]
	verdict "$1" $?
}

# usage: expect NAME EXIT_CODE STDOUT_PATTERN STDERR_PATTERN ARGUMENT...   (patterns are globs over the whole text)
expect()
{
	local out err status
	out=$("$virtgate" "${@:5}" 2>"$dir/err")
	status=$?
	err=$(<"$dir/err")
	compare "$@"
}

# The same with lines ended by | (a | in the text is shown as !). With = in front of the pattern, * stays within a line, so that the lines count.
expect_lines()
{
	local out err status pattern=$3
	case $pattern in =*) pattern=${pattern#=} pattern=${pattern//'*'/'*([!|])'} ;; esac
	out=$("$virtgate" "${@:5}" 2>"$dir/err" | tr '\n|' '|!'; exit "${PIPESTATUS[0]}")
	status=$?
	err=$(tr '\n' '|' <"$dir/err")
	compare "$1" "$2" "$pattern" "${@:4}"
}

end_of_tests()
{
	echo "1..$number"
	exit "$failed"
}
