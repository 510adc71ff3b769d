#!/bin/bash
# Which folder may include headers of which: the arrows in ARCHITECTURE.md. TAP on standard output.
set -u
cd "$(dirname "$(readlink -f "$0")")/../.." || exit 1

# folder, then the folders whose headers it may include beside its own
rules="
proto           include
gateway/policy  include
gateway/admission include
web             include proto gateway/policy gateway/core gateway/auth
certs           include
gateway/posture include gateway/core certs
gateway/core    include proto gateway/policy
gateway/auth    include proto gateway/policy gateway/core
gateway/front   include proto gateway/policy gateway/core gateway/auth
gateway/gate    include proto gateway/policy gateway/admission gateway/core
gateway/audit   include proto gateway/policy gateway/core
"

echo "1..$(grep -c . <<<"$rules")"
number=0
while read -r folder allowed; do
	[ -n "$folder" ] || continue
	number=$((number + 1))
	wrong=
	# Project headers are included by their path from the top; "virtgate/x.h" is in include/.
	while IFS=: read -r file line text; do
		header=${text#*\"}
		header=${header%%\"*}
		case $header in virtgate/*) continue ;; esac
		fits=
		for place in "$folder" $allowed; do
			case $header in "$place"/*) fits=1 ;; esac
		done
		[ -n "$fits" ] || wrong+="# $file:$line: $folder may not include \"$header\" (allowed: $allowed)"$'\n'
	done < <(grep -rnE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' --include='*.[ch]' --include='*.def' "$folder" 2>/dev/null)
	if [ -z "$wrong" ]; then
		echo "ok $number - $folder includes only $allowed"
	else
		echo "not ok $number - $folder includes only $allowed"
		printf '%s' "$wrong"
	fi
done <<<"$rules"
