#!/bin/bash
# `virtgate audit` as people meet it: exit codes, streams, filters, and that nothing a client chose harms a terminal. TAP on
# standard output.
set -u
shopt -s extglob
build=${VIRTGATE_BUILD:-$PWD}
case $build in /*) ;; *) build=$PWD/$build ;; esac
virtgate=$build/virtgate
[ -x "$virtgate" ] || { echo "1..0 # SKIP $virtgate was not built"; exit 0; }
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
number=0 failed=0

# Six records: a change, a denial, a change without an outcome, a log-in with a hostile name, and a text that was no UTF-8.
mkdir "$dir/trail"
python3 - "$dir/trail" <<'PY' || exit 1
import hashlib, json, sys
alice = {"name": "alice@EXAMPLE.COM", "sasl": "alice@EXAMPLE.COM", "x509": "CN=alice,O=Lab"}
web = {"class": "domain", "name": "web-1", "uuid": "6695eb01-f6a4-8304-79aa-97f2502e193f"}
db = {"class": "domain", "name": "db-1", "uuid": "5b9ec1a0-1111-8304-79aa-97f2502e193f"}
allow = {"verdict": "allow", "permissions": ["domain:start"], "binding": "webops-on-web", "rule": None}
records = [
    {"op": "01A" + "0" * 23, "stage": "intent", "code": "VG2009I", "event": "domain.create", "call": "domain_create", "user": alice,
     "object": web, "args": {"flags": 0}, "decision": allow},
    {"op": "01A" + "0" * 23, "stage": "outcome", "code": "VG2009I", "event": "domain.create", "call": "domain_create", "user": alice,
     "object": web, "result": {"status": "ok", "code": 0, "message": ""}},
    {"op": "01B" + "0" * 23, "stage": "event", "code": "VG2009W", "event": "domain.create", "call": "domain_create", "user": alice,
     "object": db, "decision": {"verdict": "deny", "binding": None},
     "result": {"status": "denied", "code": 88, "message": "access denied"}},
    {"op": "01C" + "0" * 23, "stage": "intent", "code": "VG2012I", "event": "domain.destroy", "call": "domain_destroy",
     "user": {"name": "bob", "x509": "CN=bob"}, "object": web, "decision": allow},
    {"op": "01D" + "0" * 23, "stage": "event", "code": "VG1101I", "event": "session.login",
     "user": {"name": "eve\u001b[31m\u202e\u009b\n2026 forged"}, "result": {"status": "ok", "code": 0, "message": ""}},
    {"op": "01E" + "0" * 23, "stage": "event", "code": "VG1102W", "event": "session.login", "user": {"name": "a\U0010feff"},
     "result": {"status": "denied", "code": 45, "message": "wrong password"}},
]
prev = "0" * 64
with open(sys.argv[1] + "/audit-000001.jsonl", "w", encoding="ascii") as out:
    for seq, record in enumerate(records, 1):
        record |= {"seq": seq, "prev": prev, "time": "2026-11-23T19:5%d:12.123456Z" % seq}
        text = json.dumps(record, sort_keys=True, separators=(",", ":"))
        record["hash"] = prev = hashlib.sha256(text.encode()).hexdigest()
        print(json.dumps(record, sort_keys=True, separators=(",", ":")), file=out)
with open(sys.argv[1] + "/audit-head", "w", encoding="ascii") as out:
    print("%020d %s" % (len(records), prev), file=out)
PY

# usage: expect NAME EXIT_CODE STDOUT_PATTERN STDERR_PATTERN ARGUMENT...
# Patterns are globs over the whole text, lines ended by |; with = in front, * stays within a line, so that the lines count.
expect()
{
	local name=$1 code=$2 out_pattern=$3 err_pattern=$4 out err status
	shift 4
	case $out_pattern in =*) out_pattern=${out_pattern#=} out_pattern=${out_pattern//'*'/'*([!|])'} ;; esac
	out=$("$virtgate" audit "$@" 2>"$dir/err" | tr '\n' '|'; exit "${PIPESTATUS[0]}")
	status=$?
	err=$(cat "$dir/err")
	number=$((number + 1))
	# shellcheck disable=SC2053 # patterns are meant
	if [ "$status" -eq "$code" ] && [[ $out == $out_pattern ]] && [[ $err == $err_pattern ]]; then
		echo "ok $number - $name"
		return
	fi
	failed=1
	echo "not ok $number - $name"
	printf '# virtgate audit %s\n# exit %s, expected %s\n' "$*" "$status" "$code"
	printf 'out: %s\nerr: %s\n' "$out" "$err" | sed 's/^/# /'
}

t="--dir $dir/trail"
# shellcheck disable=SC2086 # $t is two words
{
expect "a change is one line, with who, what, whom and why" 0 \
	"=2026-11-23 19:52:12.123 ok *domain.create *alice@EXAMPLE.COM *domain:web-1 *by webops-on-web|" "" search $t --result ok --object web-1
expect "a denial says so" 0 "=*19:53:12.123 denied *domain.create *domain:db-1 *access denied|" "" search $t --result denied --user alice*
expect "an intent without an outcome is unknown" 0 "=*19:54:12.123 unknown *domain.destroy *bob *no outcome (yet)|" "" search $t --user bob
expect "everything, the open intent last" 0 "=*19:52*|*19:53*|*19:55*|*19:56*|*19:54*|" "" search $t
expect "the newest two" 0 "=*19:56*|*19:54*|" "" search $t --limit 2
expect "stages apart" 0 "=*19:51*intent *|*19:54*intent *|" "" search $t --stage intent
expect "since" 0 "=*19:55*|*19:56*|" "" search $t --since 2026-11-23T19:55 --event session.*
expect "until, with a blank" 0 "=*19:52*|" "" search $t --until "2026-11-23 19:52"
expect "code" 0 "=*19:56*|" "" search $t --code "VG1???W"
expect "user by certificate" 0 "=*19:54*|" "" search $t --user "x509:CN=bob"
expect "user by SASL name" 0 "=*19:52*|*19:53*|" "" search $t --user "sasl:alice@*"
expect "object by class and UUID" 0 "=*19:53*|" "" search $t --object "domain:5b9ec1a0-*"
expect "object of another class" 1 "" "*no record matches*" search $t --object "network:*"
expect "JSON is the record as it stands" 0 '={"code":"VG1102W",*"seq":6,*}|' "" search $t --json --code VG1102W
expect "a name cannot harm the terminal or forge a line" 0 "=*eve\\\\x1b\[31m\\\\u202e\\\\x9b\\\\x0a2026 forged*|" "" search $t --code VG1101I
expect "a byte that was no UTF-8 is shown" 0 "=*a\\\\xff *|" "" search $t --code VG1102W
expect "a status that does not exist" 2 "" "*'okay' is none of them*one of: ok error*" search $t --result okay
expect "a time that is none" 2 "" "*--since: 'yesterday' is no time*2026-11-23T19:50*" search $t --since yesterday
expect "a limit that is none" 2 "" "*--limit: '0' is no number*" search $t --limit 0
expect "no such directory" 2 "" "*No such file*--dir names*" search --dir "$dir/none"
expect "show by operation id" 0 '{*"seq": 1,*"stage": "intent"*}|{*"seq": 2,*"stage": "outcome"*}|' "" show 01A00000000000000000000000 $t
expect "show by number" 0 '{|  "seq": 3,|*"db-1"*}|' "" show 3 $t
expect "show what is not there" 1 "" "*no record has*'77'*" show 77 $t
expect "tail" 0 "=*19:52*|*19:53*|*19:55*|*19:56*|*19:54*|" "" tail $t
expect "tail of one" 0 "=*19:54*|" "" tail --lines 1 $t
expect "tail with a wrong word" 2 "" "*neither -f*" tail -x $t
# The same with an index as without. Also where the filter meets the intent alone: its operation is not open for that.
expect "index" 0 "$dir/index: up to record 6|" "" index "$dir/index" $t
for filter in "--user alice*" "--user sasl:alice@*" "--user bob" "--object domain:web-1" "--object 5b9ec1a0-*" "--code VG1???W" "--event session.*" \
	"--call domain_create" "--result ok" "--result denied" "--stage intent" "--since 2026-11-23T19:53" "--until 2026-11-23T19:51" \
	"--until 2026-11-23T19:52" "--limit 2" "--limit 1 --user alice*" "--json --user alice*" "--json --limit 3" "--user nobody"; do
	number=$((number + 1))
	# shellcheck disable=SC2086
	if [ "$("$virtgate" audit search $t $filter 2>&1)" = "$("$virtgate" audit search $t --index "$dir/index" $filter 2>&1)" ]; then
		echo "ok $number - search $filter finds the same with an index"
	else
		echo "not ok $number - search $filter finds the same with an index"
		failed=1
	fi
done
expect "show with an index" 0 '{*"seq": 1,*"stage": "intent"*}|{*"seq": 2,*"stage": "outcome"*}|' "" show 01A00000000000000000000000 $t --index "$dir/index"
expect "show by number with an index" 0 '{|  "seq": 3,|*"db-1"*}|' "" show 3 $t --index "$dir/index"
expect "show what is not there, with an index" 1 "" "*no record has*'77'*" show 77 $t --index "$dir/index"
expect "an index that is not there" 2 "" "*$dir/none: No such file*virtgate audit index*" search $t --index "$dir/none"
expect "export is the record as it stands" 0 '={"code":"VG1102W",*"seq":6,*}|' "" export $t --code VG1102W
expect "export in CEF" 0 '=CEF:0|virtgate|virtgate|*|VG2009W|domain.create|6|rt=* cn1=3 cn1Label=seq *suser=alice@EXAMPLE.COM *|' "" \
	export --format cef $t --result denied --user alice*
expect "export cannot be forged" 0 'CEF:0|*suser=eve\\\\x1b[[]31m\\\\u202e\\\\u009b\\\\x0a2026 forged *|' "" export --format cef $t --code VG1101I
expect "export in RFC 5424" 0 '=<110>1 2026-11-23T19:52:12.123456Z * virtgate - VG2009I [[]virtgate@32473 seq="2" *|' "" \
	export --format rfc5424 $t --stage outcome --index "$dir/index"
expect "export in OCSF" 0 '={*"class_uid":6003,*"type_uid":600303,*}|' "" export --format ocsf $t --stage outcome
expect "a format that there is not" 2 "" "*--format: 'csv' is none*one of: jsonl cef ocsf rfc5424*" export --format csv $t
expect "export of nothing" 1 "" "" export $t --user nobody
expect "summary by user" 0 "= records *user|*2 *1 *1 *0 *2026-11-23T19:52 *2026-11-23T19:53 *alice@EXAMPLE.COM|*|*|" "" summary $t
expect "summary by day" 0 "= records *day|* 4 * 1 * 2 * 0 *2026-11-23T19:52 *2026-11-23T19:56 *2026-11-23|" "" summary $t --by day --index "$dir/index"
expect "summary as JSON" 0 '=[[]{"*"name":"domain:web-1"}]|' "" summary --json $t --by object --object domain:web-*
expect "summary by what there is not" 2 "" "*--by: 'month'*one of: user object day event*" summary $t --by month
expect "verify" 0 "whole: 6 records in 1 files, the last is 6 *|" "" verify "$dir/trail"
expect "verify as JSON" 0 '{"whole"*:*true,"records"*6*}|' "" verify --json $t
sed -i '3s/db-1/db-2/' "$dir/trail/audit-000001.jsonl"
expect "verify names the bad record" 1 "*/audit-000001.jsonl:3: record 3: changed*|" "" verify "$dir/trail"
expect "verify names it as JSON" 1 '*"file":*"audit-000001.jsonl",*"line":*3,*"seq":*3*|' "" verify --json "$dir/trail"
sed -i '5s/.*/garbage/' "$dir/trail/audit-000001.jsonl"
expect "search goes on behind a line that is no record" 0 "=*19:52*|*19:53*|*19:56*|*19:54*|" "*1 lines are no records*verify*" search $t
expect "an index that does not fit is not used" 0 "=*19:53*db-2*|" "*the index is not used, all of the trail is read: *does not fit the trail*" \
	search $t --index "$dir/index" --object domain:db-*
expect "verify of nothing there" 2 "" "*No such file*" verify "$dir/none"
}

# tail -f shows what is added.
"$virtgate" audit tail -f --json --dir "$dir/trail" > "$dir/follow" & follower=$!
seen()
{
	for _ in $(seq 500); do
		grep -q "$1" "$dir/follow" && return 0
		kill -0 "$follower" 2>/dev/null || return 1
		read -r -t 0.02 <> <(:)
	done
	return 1
}
number=$((number + 1))
if seen '"seq":6' && echo '{"seq":7,"op":"01F","stage":"event","time":"2026-11-23T20:00:00.000000Z"}' >> "$dir/trail/audit-000001.jsonl" &&
	seen '"seq":7' && echo '{"seq":8,"op":"01G","stage":"event","time":"2026-11-23T20:00:00.000000Z"}' > "$dir/trail/audit-000002.jsonl" &&
	seen '"seq":8'; then
	echo "ok $number - tail -f goes on, also into the next file"
else
	echo "not ok $number - tail -f"
	failed=1
fi
kill "$follower"
wait "$follower" 2>/dev/null
echo "1..$number"
exit $failed
