#!/bin/bash
# `virtgate policy test`, `diff` and `suggest` as people meet them. TAP on standard output.
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

# usage: verdict NAME GOOD   (GOOD is 0 for good; what stands in $dir/told is shown otherwise)
verdict()
{
	number=$((number + 1))
	if [ "$2" -eq 0 ]; then
		echo "ok $number - $1"
		return
	fi
	failed=1
	echo "not ok $number - $1"
	sed 's/^/# /' "$dir/told"
}

# usage: expect NAME EXIT_CODE STDOUT_PATTERN STDERR_PATTERN ARGUMENT...
# Patterns are globs over the whole text, lines ended by |; with = in front, * stays within a line, so that the lines count.
expect()
{
	local name=$1 code=$2 out_pattern=$3 err_pattern=$4 out err status
	shift 4
	case $out_pattern in =*) out_pattern=${out_pattern#=} out_pattern=${out_pattern//'*'/'*([!|])'} ;; esac
	out=$("$virtgate" "$@" 2>"$dir/err" | tr '\n|' '|!'; exit "${PIPESTATUS[0]}")
	status=$?
	err=$(tr '\n' '|' <"$dir/err")
	printf 'virtgate %s\nexit %s, expected %s\nout: %s\nerr: %s\n' "$*" "$status" "$code" "$out" "$err" >"$dir/told"
	# shellcheck disable=SC2053 # patterns are meant
	[ "$status" -eq "$code" ] && [[ $out == $out_pattern ]] && [[ $err == $err_pattern ]]
	verdict "$name" $?
}

# -- policy test
office="--policy tests/table/policy/office.json"
when="--policy tests/table/policy/when.json"
cat >"$dir/good.table" <<'E'
# who | permission | object -> verdict
unix:webops		| domain:start	| domain:web-1	-> allow webops-on-web
unix:webops | domain:start | domain:db-1 -> deny
  unix:webops | domain:open_graphics | domain:web-1 -> deny webops-on-web

unix:webops | domain:start | domain:db-1 -> deny -
unix:webops | domain:start | domain:x | uuid 00000000-0000-0000-0000-000000000007 -> allow
sasl:carol | connect:read | * -> allow carol-views
x509:C=DE,CN=bob,O=A|B->C | domain:start | domain:web-1 -> allow
sasl:nobody+unix:webops | storage_vol:read | storage_vol:web/disk -> allow
E
printf '%s\r\n' 'sasl:a | domain:start | domain:x | from 10.0.0.1 -> allow v4' 'sasl:a | domain:start | domain:x | from 11.0.0.1 -> deny' \
	'sasl:u | domain:start | domain:x | from 10.0.0.1, at 2026-12-31T23:59:59Z -> allow until' \
	'sasl:u | domain:start | domain:x | at=2027-01-01T01:00:00Z -> deny' >"$dir/when.table"
printf '# nothing\n' >"$dir/empty.table"
printf 'a\0b\n' >"$dir/nul.table"
cat >"$dir/missed.table" <<'E'
unix:webops | domain:start | domain:web-1 -> deny
unix:webops | domain:start | domain:web-1 -> allow
unix:webops | domain:start | domain:web-1 -> allow carol-views

unix:webops | domain:start | domain:db-1 -> allow
unix:webops | domain:start | domain:web-1 -> allow -
unix:webops | domain:start | domain:web-1 -> would-deny
E
cat >"$dir/broken.table" <<'E'
unix:webops | domain:start | domain:web-1
unix:webops | domain:start | domain:web-1 -> alow
unix:webops | domain:start -> allow
unix:webops | domain:strat | domain:web-1 -> allow
unix:webops | domain:start | domain:web-1 | form 10.0.0.1 -> allow
unix:webops | domain:start | domain:web-1 | from 10 -> allow
a | b | c | d | e -> allow
unix:webops | domain:start | domain:web-1 -> deny
E
b=$dir/broken.table m=$dir/missed.table
# shellcheck disable=SC2086 # $office and $when are two words
{
expect "test: all as expected" 0 "=$dir/good.table: 8 rows, 8 as expected, 0 missed|" "" policy test "$dir/good.table" $office
expect "test: from and at of a row" 0 "=*: 4 rows, 4 as expected, 0 missed|" "" policy test "$dir/when.table" $when
expect "test: each miss with file, line and what was answered" 1 \
	"=$m:1: unix:webops, domain:start on domain:web-1: expected deny, got allow by webops-on-web|$m:3: * expected allow by carol-views, got allow by webops-on-web|$m:5: * expected allow, got deny: no binding allows it|$m:6: * expected allow by no binding, got allow by webops-on-web|$m:7: * expected would-deny, got allow *|$m: 6 rows, 1 as expected, 5 missed|" \
	"" policy test "$m" $office
expect "test: as JSON" 1 '{"file":*,"rows":6,"passed":1,"missed":5,"broken":0,"misses":\[{"line":1,"who":"unix:webops","permission":"domain:start","object":"domain:web-1","expected":"deny","expected_binding":null,"verdict":"allow","binding":"webops-on-web"},*' \
	"" policy test "$m" $office --json
expect "test: rows that cannot be read, and the others all the same" 2 "=$b:8: *|$b: 1 rows, 0 as expected, 1 missed, some could not be read|" \
	"$b:1: no \"->\"*$b:2: 'alow'*did you mean 'allow'*$b:3: *not all there*$b:4: unknown permission*'domain:start'*$b:5: 'form' is none of*$b:6: from: '10'*$b:7: too many '|'*" \
	policy test "$b" $office
expect "test: a table without rows tests nothing" 2 "" "*has no rows*" policy test "$dir/empty.table" $office
expect "test: no text" 2 "" "*NUL bytes*" policy test "$dir/nul.table" $office
expect "test: no table" 2 "" "*No such file*" policy test "$dir/none.table" $office
expect "test: no policy" 2 "" "*No such file*" policy test "$dir/good.table" --policy "$dir/none.json"
}

# -- policy diff: one change each, from this policy
cat >"$dir/old.json" <<'E'
{
  "version": 1,
  "groups": { "team": ["sasl:ann", "x509-cn:ann", "x509-sha256:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF"] },
  "sets": { "web": { "domain": ["web-*"], "storage_pool": ["web"] } },
  "roles": { "starter": { "allow": ["domain:start", "storage_vol:read"] }, "no-start": { "deny": ["domain:start"] } },
  "bindings": [
    { "id": "team", "who": ["group:team"], "role": "starter", "on": ["set:web"] },
    { "id": "bob", "who": ["sasl:bob"], "role": "starter", "on": ["domain:*"], "when": { "proof": ["sasl"] } },
    { "id": "eve", "who": ["sasl:eve"], "role": "starter", "on": ["domain:a-*"], "when": { "until": "2026-01-01T00:00:00Z" } }
  ]
}
E
# usage: changed NAME EXIT_CODE STDOUT_PATTERN SED_SCRIPT...   (the scripts make the new policy of the old one)
changed()
{
	local name=$1 code=$2 pattern=$3 script scripts=()
	shift 3
	for script in "$@"; do
		scripts+=(-e "$script")
	done
	sed "${scripts[@]}" "$dir/old.json" >"$dir/new.json"
	if cmp -s "$dir/old.json" "$dir/new.json"; then
		echo "the script changes nothing" >"$dir/told"
		verdict "diff: $name" 1
		return
	fi
	expect "diff: $name" "$code" "$pattern" "" policy diff "$dir/old.json" "$dir/new.json" --at 2026-11-23T12:00:00Z
}
last='"id": "eve"'	# before this binding others are put
changed "layout, ids and order are no rights" 0 "=nobody gains or loses anything|" 's/"id": "bob"/"id": "bobby"/' 's/": /" : /'
changed "a proof that he gives anyway is no condition" 0 "=nobody*|" 's/"when": { "proof": \["sasl"\] }/"description": "x"/'
changed "what has ended is no right" 0 "=nobody*|" '/"id": "eve"/s/"domain:a-/"domain:z-/'
changed "a group gains, told once, and not again for what its pattern covers" 1 \
	"=group:team: sasl:ann, x509-cn:ann, x509-sha256:00112233*|  gains   domain:stop on domain:web-?|sasl:bob|  gains   domain:stop on ?|" \
	's/"starter": { "allow": \[/&"domain:stop", /' 's/"sasl:bob"\], "role": "starter", "on": \["domain:\*"\]/"sasl:bob"], "role": "starter", "on": ["domain:*", "domain:bob"]/'
changed "a new member gains what the group has" 1 \
	"=sasl:zoe|  gains   domain:start on domain:web-?|  gains   storage_vol:read on storage_vol:web/?|" 's/"sasl:ann", /&"sasl:zoe", /'
changed "a member who is gone loses it" 1 "=x509-cn:ann|  loses   domain:start on *|  loses   storage_vol:read on *|" 's/"x509-cn:ann", //'
changed "a deny on one of many" 1 "=sasl:bob|  loses   domain:start on domain:core-1|" \
	"s/{ $last/{ \"id\": \"n\", \"who\": [\"sasl:bob\"], \"role\": \"no-start\", \"on\": [\"domain:core-1\"] },\n&/"
changed "a deny for part of the time" 1 "=sasl:bob|  loses   domain:start on ?|*was: allow|*now: allow, deny (hours 22:00-06:00)|" \
	"s/{ $last/{ \"id\": \"n\", \"who\": [\"sasl:b?b\"], \"role\": \"no-start\", \"on\": [\"*\"], \"when\": {\"hours\": \"22:00-06:00\"} },\n&/"
changed "a condition is a loss" 1 "=sasl:bob|  loses   domain:start on ?|*was: allow|*now: allow (from 10.0.0.0/8; proof x509)|" \
	's/"proof": \["sasl"\]/"proof": ["sasl", "x509"], "from": ["10.0.0.0\/8"]/'
changed "permissive: let through, and recorded" 1 \
	"sasl:bob|  gains   connect:\\* on the host|          was: no|          now: would-deny|  gains   domain:getattr, *was: no|          now: would-deny|  gains   storage_vol:read on \\*|" \
	'/"id": "bob"/s/"sasl"\] }/&, "mode": "permissive"/' '/"id": "bob"/s/domain:\*/*/'
changed "a permissive deny: still let through, but recorded" 1 "*|  changes domain:start on \\*|          was: allow|          now: would-deny|" \
	"s/{ $last/{ \"id\": \"n\", \"who\": [\"sasl:bob\"], \"role\": \"no-start\", \"on\": [\"domain:*\"], \"mode\": \"permissive\" },\n&/"
changed "domain:monitor is told beside domain:*" 1 "=sasl:ray|  gains   domain:?, domain:monitor on ?|" \
	"s/{ $last/{ \"id\": \"n\", \"who\": [\"sasl:ray\"], \"role\": \"raw\", \"on\": [\"*\"] },\n&/" \
	's/"no-start": /"raw": { "allow": ["domain:*", "domain:monitor"] }, &/'
sed "s/{ $last/{ \"id\": \"n\", \"who\": [\"sasl:sam\"], \"role\": \"s\", \"on\": [\"domain:web-*\"] },&/; s/\"no-start\": /\"s\": { \"allow\": [\"domain:stop\"] }, &/" \
	"$dir/old.json" >"$dir/json.json"
expect "diff: as JSON" 1 '{"old":*,"new":*,"differ":true,"people":\[{"who":\["sasl:sam"\],"changes":\[{"change":"gains","permissions":\["domain:stop"\],"object":"domain:web-\*","was":"no","now":"allow"}\],"groups":\[\]}\]}|' "" \
	policy diff "$dir/old.json" "$dir/json.json" --json
expect "diff: a policy and itself as JSON" 0 '*"differ":false,"people":\[\]}|' "" policy diff "$dir/old.json" "$dir/old.json" --json
expect "diff: a broken policy" 2 "" "/dev/fd/*:1: not valid JSON*" policy diff "$dir/old.json" <(:)

echo "1..$number"
exit "$failed"
