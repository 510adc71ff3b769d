#!/bin/bash
# `virtgate audit` as people meet it: exit codes, streams, filters, and that nothing a client chose harms a terminal. TAP on
# standard output.
# shellcheck source=tests/lab/cli.sh
. "$(dirname "$(readlink -f "$0")")/../lab/cli.sh"

# Six records: a change, a denial, a change without an outcome, a log-in with a hostile name, and a text that was no UTF-8.
mkdir "$dir/trail" "$dir/crash"
python3 - "$dir/trail" "$dir/crash" <<'PY' || exit 1
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
crash = [
    records[0],
    {"op": "01A" + "0" * 23, "stage": "outcome", "event": "domain.create", "result": {"status": "unknown", "code": 0, "message": ""},
     "diff": "@@ -1 +1 @@\n-<vcpu>1</vcpu>\n+<vcpu>2</vcpu>\u001b[31m\n <a/>\n"},
    {"op": "01C" + "0" * 23, "of": "01A" + "0" * 23, "stage": "event", "event": "change.settled", "result": {"status": "ok", "code": 0, "message": ""}},
]

def write(directory, records):
    prev = "0" * 64
    with open(directory + "/audit-000001.jsonl", "w", encoding="ascii") as out:
        for seq, record in enumerate(records, 1):
            record = record | {"seq": seq, "prev": prev, "time": "2026-11-23T19:5%d:12.123456Z" % seq}
            text = json.dumps(record, sort_keys=True, separators=(",", ":"))
            record["hash"] = prev = hashlib.sha256(text.encode()).hexdigest()
            print(json.dumps(record, sort_keys=True, separators=(",", ":")), file=out)
    with open(directory + "/audit-head", "w", encoding="ascii") as out:
        print("%020d %s" % (len(records), prev), file=out)

write(sys.argv[1], records)
write(sys.argv[2], crash)
PY

# usage: audit NAME EXIT_CODE STDOUT_PATTERN STDERR_PATTERN ARGUMENT...
audit()
{
	expect_lines "${@:1:4}" audit "${@:5}"
}

t="--dir $dir/trail"
export TZ=UTC
# shellcheck disable=SC2086 # $t is two words
{
audit "a change is one line, with who, what, whom and why" 0 \
	"= *2 2026-11-23 19:52:12.123 ok *domain.create *alice@EXAMPLE.COM *domain:web-1 *by webops-on-web|" "" search $t --result ok --object web-1
audit "a denial says so" 0 "=*19:53:12.123 denied *domain.create *domain:db-1 *access denied|" "" search $t --result denied --user alice*
audit "an intent without an outcome is unknown" 0 "=*19:54:12.123 unknown *domain.destroy *bob *no outcome (yet)|" "" search $t --user bob
audit "everything, the open intent last" 0 "=*19:52*|*19:53*|*19:55*|*19:56*|*19:54*|" "" search $t
audit "the newest two" 0 "=*19:56*|*19:54*|" "" search $t --limit 2
audit "stages apart" 0 "=*19:51*intent *|*19:54*intent *|" "" search $t --stage intent
audit "since" 0 "=*19:55*|*19:56*|" "" search $t --since 2026-11-23T19:55 --event session.*
audit "until, with a blank" 0 "=*19:52*|" "" search $t --until "2026-11-23 19:52"
TZ=JST-9 audit "times of the reader's zone" 0 "= *2 2026-11-24 04:52:12.123 ok *|" "" search $t --result ok --object web-1
TZ=JST-9 audit "or of UTC" 0 "= *2 2026-11-23 19:52:12.123 ok *|" "" search $t --utc --result ok --object web-1
TZ=JST-9 audit "JSON is UTC" 0 '={*"time":"2026-11-23T19:52:12.123456Z"*}|' "" search $t --json --result ok --object web-1
TZ=JST-9 audit "since, in the reader's zone" 0 "=*04:55*|*04:56*|" "" search $t --since 2026-11-24T04:55 --event session.*
TZ=JST-9 audit "since, in UTC by its Z" 0 "=*04:55*|*04:56*|" "" search $t --since 2026-11-23T19:55Z --event session.*
TZ=JST-9 audit "since, in UTC by --utc" 0 "=*19:55*|*19:56*|" "" search $t --utc --since 2026-11-23T19:55 --event session.*
TZ=JST-9 audit "until the end of a minute of the reader's zone" 0 "=*04:52*|" "" search $t --until "2026-11-24 04:52"
TZ=JST-9 audit "until the end of a day of the reader's zone" 1 "" "*no record matches*" search $t --until 2026-11-23
audit "code" 0 "=*19:56*|" "" search $t --code "VG1???W"
audit "user by certificate" 0 "=*19:54*|" "" search $t --user "x509:CN=bob"
audit "user by SASL name" 0 "=*19:52*|*19:53*|" "" search $t --user "sasl:alice@*"
audit "object by class and UUID" 0 "=*19:53*|" "" search $t --object "domain:5b9ec1a0-*"
audit "object of another class" 1 "" "*no record matches*" search $t --object "network:*"
audit "JSON is the record as it stands" 0 '={"code":"VG1102W",*"seq":6,*}|' "" search $t --json --code VG1102W
audit "a name cannot harm the terminal or forge a line" 0 "=*eve\\\\x1b\[31m\\\\u202e\\\\x9b\\\\x0a2026 forged*|" "" search $t --code VG1101I
audit "a byte that was no UTF-8 is shown" 0 "=*a\\\\xff *|" "" search $t --code VG1102W
audit "a status that does not exist" 2 "" "*'okay' is none of them*one of: ok error*" search $t --result okay
audit "a time that is none" 2 "" "*--since: 'yesterday' is no time*2026-11-23T19:50*" search $t --since yesterday
for time in 2026-13-01 2026-02-30 2026-11-00 2026-11-23T24:00 "2026-11-23 19:60" 2026-11-23T19:50:61; do
	expect_lines "a time that there is not: $time" 2 "" "*--until: '$time' is no time*" audit search $t --until "$time"
done
audit "a leap second" 0 "=*19:52*|" "" search $t --until 2026-11-23T19:52:60
audit "a limit that is none" 2 "" "*--limit: '0' is no number*" search $t --limit 0
audit "no such directory" 2 "" "*No such file*--dir names*" search --dir "$dir/none"
audit "show by operation id" 0 '{*"seq": 1,*"stage": "intent"*}|{*"seq": 2,*"stage": "outcome"*}|' "" show 01A00000000000000000000000 $t
audit "show by number" 0 '{|  "seq": 3,|*"db-1"*}|' "" show 3 $t
audit "show what is not there" 1 "" "*no record has*'77'*" show 77 $t
audit "show a document of no such name" 2 "" "*--document: 'nope' is none*one of: before asked*" show 3 $t --document nope
audit "show a document that there is not" 1 "" "*no record of '3' names a document 'after'*" show 3 $t --document after
audit "tail" 0 "=*19:52*|*19:53*|*19:55*|*19:56*|*19:54*|" "" tail $t
audit "tail of one" 0 "=*19:54*|" "" tail --lines 1 $t
audit "tail with a wrong word" 2 "" "*neither -f*" tail -x $t
# The same with an index as without. Also where the filter meets the intent alone: its operation is not open for that.
audit "index" 0 "$dir/index: up to record 6|" "" index "$dir/index" $t
for filter in "--user alice*" "--user sasl:alice@*" "--user bob" "--object domain:web-1" "--object 5b9ec1a0-*" "--code VG1???W" "--event session.*" \
	"--call domain_create" "--result ok" "--result denied" "--stage intent" "--since 2026-11-23T19:53" "--until 2026-11-23T19:51" \
	"--until 2026-11-23T19:52" "--limit 2" "--limit 1 --user alice*" "--json --user alice*" "--json --limit 3" "--user nobody"; do
	# shellcheck disable=SC2086
	diff <("$virtgate" audit search $t $filter 2>&1) <("$virtgate" audit search $t --index "$dir/index" $filter 2>&1) >"$dir/told"
	verdict "search $filter finds the same with an index" $?
done
audit "show with an index" 0 '{*"seq": 1,*"stage": "intent"*}|{*"seq": 2,*"stage": "outcome"*}|' "" show 01A00000000000000000000000 $t --index "$dir/index"
audit "show by number with an index" 0 '{|  "seq": 3,|*"db-1"*}|' "" show 3 $t --index "$dir/index"
audit "show what is not there, with an index" 1 "" "*no record has*'77'*" show 77 $t --index "$dir/index"
cp "$dir/trail/audit-000001.jsonl" "$dir/precious"
python3 -c 'import sqlite3, sys; d = sqlite3.connect(sys.argv[1]); d.execute("CREATE TABLE mine (x)"); d.commit()' "$dir/mine.db"
for file in precious mine.db; do
	cp "$dir/$file" "$dir/before"
	audit "an index takes no other file's place: $file" 2 "" "*$file: is there, and is no index of a trail*" index "$dir/$file" $t
	cmp "$dir/$file" "$dir/before" >"$dir/told" 2>&1
	verdict "and it is as it was: $file" $?
done
audit "an index brought up to date" 0 "$dir/index: up to record 6|" "" index "$dir/index" $t
audit "an index that is not there" 2 "" "*$dir/none: No such file*virtgate audit index*" search $t --index "$dir/none"
for index in "" "--index $dir/crash/index"; do
	# shellcheck disable=SC2086
	audit "show what became of a change after a crash ${index%% *}" 0 '{*"seq": 1,*"stage": "intent"*}|{*"seq": 2,*"unknown"*}|*{*"seq": 3,*"change.settled"*}|' "" \
		show 01A00000000000000000000000 --dir "$dir/crash" $index
	audit "and by its own operation id ${index%% *}" 0 '{|  "seq": 3,|*"change.settled"*}|' "" show 01C00000000000000000000000 --dir "$dir/crash" $index
	[ -n "$index" ] || audit "index of it" 0 "*up to record 3|" "" index "$dir/crash/index" --dir "$dir/crash"
done
# On a terminal a difference has colours, and those only: not what a record brings, and none with NO_COLOR.
script -qec "$virtgate audit show 2 --dir $dir/crash" /dev/null >"$dir/told"
lines=$'\e[36m@@ -1 +1 @@\e[0m\r\n\e[31m-<vcpu>1</vcpu>\e[0m\r\n\e[32m+<vcpu>2</vcpu>\\x1b[31m\e[0m\r\n <a/>'
[[ $(<"$dir/told") == *"$lines"* ]]
verdict "a difference is shown in colours on a terminal" $?
NO_COLOR=1 script -qec "$virtgate audit show 2 --dir $dir/crash" /dev/null >"$dir/told"
[[ $(<"$dir/told") != *$'\e'* && $(<"$dir/told") == *"+<vcpu>2</vcpu>\\x1b[31m"* ]]
verdict "and with NO_COLOR without" $?
audit "the newest of all, by the index" 0 "=*19:56*|*19:54*|" "" search $t --index "$dir/index" --limit 2
audit "export is the record as it stands" 0 '={"code":"VG1102W",*"seq":6,*}|' "" export $t --code VG1102W
audit "export in CEF" 0 '=CEF:0!virtgate!virtgate!*!VG2009W!domain.create!6!rt=* cn1=3 cn1Label=seq *suser=alice@EXAMPLE.COM *|' "" \
	export --format cef $t --result denied --user alice*
audit "export cannot be forged" 0 'CEF:0!*suser=eve\\\\x1b[[]31m\\\\u202e\\\\u009b\\\\x0a2026 forged *|' "" export --format cef $t --code VG1101I
audit "export in RFC 5424" 0 '=<110>1 2026-11-23T19:52:12.123456Z * virtgate - VG2009I [[]virtgate@32473 seq="2" *|' "" \
	export --format rfc5424 $t --stage outcome --index "$dir/index"
audit "export in OCSF" 0 '={*"class_uid":6003,*"type_uid":600303,*}|' "" export --format ocsf $t --stage outcome
audit "a format that there is not" 2 "" "*--format: 'csv' is none*one of: jsonl cef ocsf rfc5424*" export --format csv $t
audit "export of nothing" 1 "" "" export $t --user nobody
audit "summary by user" 0 "= records *user|*2 *1 *1 *0 *2026-11-23T19:52 *2026-11-23T19:53 *alice@EXAMPLE.COM|*|*|" "" summary $t
audit "summary by day" 0 "= records *day|* 4 * 1 * 2 * 0 *2026-11-23T19:52 *2026-11-23T19:56 *2026-11-23|" "" summary $t --by day --index "$dir/index"
audit "summary as JSON" 0 '=[[]{"*"name":"domain:web-1"}]|' "" summary --json $t --by object --object domain:web-*
audit "summary by what there is not" 2 "" "*--by: 'month'*one of: user object day event*" summary $t --by month
audit "verify" 0 "whole: 6 records in 1 files, the last is 6 *|" "" verify "$dir/trail"
audit "verify as JSON" 0 '{"whole"*:*true,"records"*6*}|' "" verify --json $t
sed -i '3s/db-1/db-2/' "$dir/trail/audit-000001.jsonl"
audit "verify names the bad record" 1 "*/audit-000001.jsonl:3: record 3: changed*|" "" verify "$dir/trail"
audit "verify names it as JSON" 1 '*"file":*"audit-000001.jsonl",*"line":*3,*"seq":*3*|' "" verify --json "$dir/trail"
sed -i '5s/.*/garbage/' "$dir/trail/audit-000001.jsonl"
audit "search goes on behind a line that is no record" 0 "=*19:52*|*19:53*|*19:56*|*19:54*|" "*1 lines are no records*verify*" search $t
audit "an index that does not fit is not used" 0 "=*19:53*db-2*|" "*the index is not used, all of the trail is read: *does not fit the trail*" \
	search $t --index "$dir/index" --object domain:db-*
audit "verify of nothing there" 2 "" "*No such file*" verify "$dir/none"
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
seen '"seq":6' && echo '{"seq":7,"op":"01F","stage":"event","time":"2026-11-23T20:00:00.000000Z"}' >> "$dir/trail/audit-000001.jsonl" &&
	seen '"seq":7' && echo '{"seq":8,"op":"01G","stage":"event","time":"2026-11-23T20:00:00.000000Z"}' > "$dir/trail/audit-000002.jsonl" &&
	seen '"seq":8'
status=$?
cp "$dir/follow" "$dir/told"
verdict "tail -f goes on, also into the next file" "$status"
timeout 20 "$virtgate" audit tail -f --dir "$dir/trail" 2>"$dir/told" | head -n 1 >/dev/null
verdict "tail -f ends with who reads it" $((PIPESTATUS[0] == 124))
kill "$follower"
wait "$follower" 2>/dev/null
end_of_tests
