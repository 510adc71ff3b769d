#!/bin/bash
# `virtgate policy test`, `diff` and `suggest` as people meet them. TAP on standard output.
# shellcheck source=tests/lab/cli.sh
. "$(dirname "$(readlink -f "$0")")/../lab/cli.sh"

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
expect_lines "test: all as expected" 0 "=$dir/good.table: 8 rows, 8 as expected, 0 missed|" "" policy test "$dir/good.table" $office
expect_lines "test: from and at of a row" 0 "=*: 4 rows, 4 as expected, 0 missed|" "" policy test "$dir/when.table" $when
expect_lines "test: each miss with file, line and what was answered" 1 \
	"=$m:1: unix:webops, domain:start on domain:web-1: expected deny, got allow by webops-on-web|$m:3: * expected allow by carol-views, got allow by webops-on-web|$m:5: * expected allow, got deny: no binding allows it|$m:6: * expected allow by no binding, got allow by webops-on-web|$m:7: * expected would-deny, got allow *|$m: 6 rows, 1 as expected, 5 missed|" \
	"" policy test "$m" $office
expect_lines "test: as JSON" 1 '{"file":*,"rows":6,"passed":1,"missed":5,"broken":0,"misses":\[{"line":1,"who":"unix:webops","permission":"domain:start","object":"domain:web-1","expected":"deny","expected_binding":null,"verdict":"allow","binding":"webops-on-web"},*' \
	"" policy test "$m" $office --json
expect_lines "test: rows that cannot be read, and the others all the same" 2 "=$b:8: *|$b: 1 rows, 0 as expected, 1 missed, some could not be read|" \
	"$b:1: no \"->\"*$b:2: 'alow'*did you mean 'allow'*$b:3: *not all there*$b:4: unknown permission*'domain:start'*$b:5: 'form' is none of*$b:6: from: '10'*$b:7: too many '|'*" \
	policy test "$b" $office
expect_lines "test: a table without rows tests nothing" 2 "" "*has no rows*" policy test "$dir/empty.table" $office
expect_lines "test: no text" 2 "" "*NUL bytes*" policy test "$dir/nul.table" $office
expect_lines "test: no table" 2 "" "*No such file*" policy test "$dir/none.table" $office
expect_lines "test: no policy" 2 "" "*No such file*" policy test "$dir/good.table" --policy "$dir/none.json"
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
	expect_lines "diff: $name" "$code" "$pattern" "" policy diff "$dir/old.json" "$dir/new.json" --at 2026-11-23T12:00:00Z
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
changed "what stays is told too" 1 "=sasl:bob|  loses   domain:start on ?|*but as before on: domain:core-1|sasl:bob2|  gains   domain:start on ?|" \
	's/{ "id": "bob", "who": \["sasl:bob"\].*"when"/{ "id": "bob", "who": ["sasl:bob2"], "role": "starter", "on": ["domain:*"], "when"/' \
	's/{ "id": "eve"/{ "id": "core", "who": ["sasl:bob"], "role": "starter", "on": ["domain:core-1"] }, &/'
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
expect_lines "diff: as JSON" 1 '{"old":*,"new":*,"differ":true,"people":\[{"who":\["sasl:sam"\],"changes":\[{"change":"gains","permissions":\["domain:stop"\],"object":"domain:web-\*","except":"","was":"no","now":"allow"}\],"groups":\[\]}\],"mode":{"was":"enforce","now":"enforce"}}|' "" \
	policy diff "$dir/old.json" "$dir/json.json" --json
expect_lines "diff: a policy and itself as JSON" 0 '*"differ":false,"people":\[\],*}|' "" policy diff "$dir/old.json" "$dir/old.json" --json
# Rows about documents: who is bound by what.
rows()
{
	sed 's/  "bindings": \[/  "admission": ['"$1"'], "rules": ['"$2"'], "quotas": ['"$3"'],\n&/' "$dir/old.json" >"$dir/$4.json"
}
rows '{ "id": "a", "profile": "restricted", "who": ["group:team"], "max_vcpus": 2 }, { "id": "all", "profile": "baseline", "except": ["role:admin"] }' \
	'{ "id": "r", "class": "domain", "must": "\/domain\/title" }' '{ "id": "q", "on": ["set:web"], "max_guests": 5 }' rows
rows '{ "max_vcpus": 2, "profile": "restricted", "mode": "enforce", "who": ["group:team"], "id": "a" }, { "id": "all", "profile": "baseline", "except": ["role:admin"] }' \
	'{ "id": "r", "class": "domain", "must": "\/domain\/title" }' '{ "id": "q", "on": ["set:web"], "max_guests": 5 }' rows-same
rows '{ "id": "a", "profile": "restricted", "who": ["group:team"], "max_vcpus": 4 }, { "id": "all", "profile": "baseline", "except": ["role:admin", "sasl:bob"] }' \
	'' '{ "id": "q", "on": ["set:web"], "max_guests": 5 }, { "id": "new", "on": ["*"], "max_guests": 9, "who": ["sasl:bob"] }' rows-other
expect_lines "diff: rows in another order are the same" 0 "nobody*" "" policy diff "$dir/rows.json" "$dir/rows-same.json"
expect_lines "diff: rows, and whom they bind" 1 \
	"group:team: sasl:ann, x509-cn:ann, *|  changes row 'a' of admission|*was: profile restricted, max_vcpus 2|          now: profile restricted, max_vcpus 4|sasl:bob|  gains   row 'all' of admission|          was: profile baseline|          now: not bound|anyone else|  gains   row 'r' of rules|          was: class domain, must /domain/title|          now: not bound|sasl:bob|  loses   row 'new' of quotas|          was: not bound|          now: on *max_guests 9|" "" policy diff "$dir/rows.json" "$dir/rows-other.json"
expect_lines "diff: rows as JSON" 1 '*{"who":\["sasl:bob"\],"changes":\[{"change":"gains","row":"row '"'all'"' of admission","was":"profile baseline","now":"not bound"}\],"groups":\[\]}*' "" \
	policy diff "$dir/rows.json" "$dir/rows-other.json" --json
sed 's/  "bindings": \[/  "audit": { "reads": { "*": "metadata", "domain": "denied", "secret": "full" } },\n&/' "$dir/old.json" >"$dir/reads.json"
expect_lines "diff: what the trail is told of reads" 1 "*anyone|*  changes what the trail is told of reads of class connect|          was: denied|          now: metadata|*  changes what the trail is told of reads of class secret|          was: denied|          now: full|*" "" policy diff "$dir/old.json" "$dir/reads.json"
expect_lines "diff: the same is told of reads" 0 "nobody*" "" policy diff "$dir/reads.json" "$dir/reads.json"
expect_lines "explain: rows that a document would be judged by" 1 "*|content: row 'all' of admission, mode enforce: profile baseline|content: row 'r' of rules, mode enforce: must /domain/title|content: row 'q' of quotas, mode enforce: at most 5 guests|" "" policy explain sasl:bob domain:write domain:web-1 --policy "$dir/rows.json"
expect_lines "explain: none where no document comes" 0 "*yes: binding 'bob'|but connect:getattr is denied: he cannot open a connection|" "" policy explain sasl:bob domain:start domain:web-1 --policy "$dir/rows.json"
expect_lines "diff: a broken policy" 2 "" "/dev/fd/*:1: not valid JSON*" policy diff "$dir/old.json" <(:)

# Random pairs of policies: what diff tells is what the two answer.
python3 - "$virtgate" "$dir" >"$dir/told" 2>&1 <<'PY'
import json, random, subprocess, sys
virtgate, dir = sys.argv[1:]
who, perms = ["sasl:a", "sasl:ab", "x509-cn:c"], ["domain:start", "domain:stop", "storage_vol:read", "connect:write"]
objects = {"domain:abc": ["domain:abc", "domain:ab*", "domain:a*", "*"], "domain:ab1": ["domain:ab*", "domain:a*", "*"],
           "domain:a1": ["domain:a*", "*"], "domain:x": ["*"], "storage_vol:web/d1": ["storage_vol:web/d*", "storage_vol:web/*", "*"],
           "storage_vol:web/x": ["storage_vol:web/*", "*"], "storage_vol:y/x": ["*"]}
def make(rng, file):
    roles = {"r%d" % i: {"allow": rng.sample(perms, rng.randint(1, 3)), "deny": rng.sample(perms, rng.choice([0, 0, 0, 1]))} for i in range(4)}
    on = ["*", "domain:*", "domain:a*", "domain:ab*", "domain:abc", "storage_pool:web", "storage_vol:web/d*"]
    bindings = [{"id": "b%d" % i, "who": rng.sample(who + ["anyone", "sasl:a*", "group:g"], rng.randint(1, 2)), "role": "r%d" % rng.randint(0, 3),
                 "on": rng.sample(on, rng.randint(1, 2)), "mode": rng.choice(["enforce"] * 4 + ["permissive"])} for i in range(rng.randint(1, 7))]
    for role in roles.values():
        if not role["deny"]:
            del role["deny"]
    json.dump({"version": 1, "groups": {"g": rng.sample(who, 2)}, "roles": roles, "bindings": bindings}, open(file, "w"))
rows = [(w, p, o) for w in who for p in perms for o in objects if p.split(":")[0] in (o.split(":")[0], "connect") and (p != "connect:write" or o == "domain:x")]
with open(dir + "/all.table", "w") as out:
    for w, p, o in rows:
        print("%s | %s | %s -> deny" % (w, p, "*" if p == "connect:write" else o), file=out)
def ask(file):
    run = subprocess.run([virtgate, "policy", "test", dir + "/all.table", "--policy", file, "--json"], capture_output=True)
    got = {miss["line"]: miss["verdict"] for miss in json.loads(run.stdout)["misses"]}
    return [got.get(line, "deny") for line in range(1, len(rows) + 1)]
changes = 0
for seed in range(60):
    rng = random.Random(seed)
    files = [dir + "/r1.json", dir + "/r2.json"]
    for file in files:
        make(rng, file)
    told = {}
    diff = json.loads(subprocess.run([virtgate, "policy", "diff", *files, "--json"], capture_output=True).stdout)
    for people in diff["people"]:
        for change in people["changes"]:
            for w in people["who"]:
                for p in change["permissions"]:
                    told.setdefault((w, p), {})[change["object"]] = (change["was"], change["now"], change["except"].split(", "))
    policies = [json.load(open(file)) for file in files]
    named = {w for policy in policies for b in policy["bindings"] for n in b["who"] for w in (policy["groups"]["g"] if n == "group:g" else [n])}
    for (w, p, o), was, now in zip(rows, ask(files[0]), ask(files[1])):
        if w not in named:
            continue
        row, chain, got = told.get((w, p), {}), ["the host"] if p == "connect:write" else objects[o], None
        for pattern in chain:
            if pattern in row:
                got = row[pattern][:2]
                break
            if any(pattern in other[2] for other in row.values()):
                break
        want = tuple({"deny": "no"}.get(v, v) for v in (was, now)) if was != now else None
        changes += want is not None
        if got != want:
            sys.exit("seed %d: %s %s on %s: told %s, is %s" % (seed, w, p, o, got, want))
if changes < 100:
    sys.exit("only %d changes" % changes)
PY
verdict "diff: 60 random pairs of policies: what it tells is what they answer" $?

# -- policy suggest: records as the gate writes them
mkdir "$dir/trail" "$dir/quiet"
python3 - "$dir/trail" "$dir/quiet" <<'PY' || exit 1
import json, sys
UUID = "00000000-0000-0000-0000-0000000000%02x"
ann = {"name": "ann", "sasl": "ann"}
bob = {"name": "bob", "sasl": "bob", "x509": "CN=bob,O=Lab", "x509_sha256": "ab" * 32}
star = {"name": "*", "sasl": "*"}
glob = {"name": "b*b", "sasl": "b*b", "x509": "CN=b*b", "x509_sha256": "cd" * 32}
seq = 0
def write(out, user, permission, object, on, verdict="deny", stage="event", binding=None, permissions=None, why="", event="domain.create", **more):
    global seq
    seq += 1
    decision = {"verdict": verdict, "permissions": permissions or [permission], "binding": binding, "rule": None}
    record = {"seq": seq, "time": "2026-11-23T19:%02d:12.123456Z" % (seq % 60), "op": "01A%023d" % seq, "stage": stage, "code": "VG2009W",
              "event": event, "user": user, "source": {"address": "10.0.0.7", "via": "rpc-tls"}, "object": object, "decision": decision}
    if verdict == "deny":
        record["result"] = {"status": "denied", "code": 88, "message": "access denied: '%s' on %s%s" % (permission, on, why)}
    print(json.dumps(record | more, sort_keys=True, separators=(",", ":")), file=out)
def domain(name, number=1):
    return {"class": "domain", "name": name, "uuid": UUID % number}
with open(sys.argv[1] + "/audit-000001.jsonl", "w", encoding="ascii") as out:
    # ann: start and stop on two, start on a third; many with one beginning; a volume; the host
    for name in ("db-1", "db-2"):
        write(out, ann, "domain:start", domain(name), "domain '%s'" % name, permissions=["domain:getattr", "domain:start"])
        write(out, ann, "domain:stop", domain(name), "domain '%s'" % name)
    write(out, ann, "domain:start", domain("core"), "domain 'core'")
    write(out, ann, "domain:start", domain("core"), "domain 'core'")
    for number in range(7):
        write(out, ann, "domain:suspend", domain("farm-%d" % number, number), "domain 'farm-%d'" % number)
    write(out, ann, "storage_vol:resize", {"class": "storage_vol", "name": "disk/1", "parent": "pool"}, "storage volume 'pool/disk/1'")
    write(out, ann, "connect:pm_control", {"class": "connect"}, "this host")
    # what today's policy allows by now, and what it denies on purpose
    write(out, ann, "domain:start", domain("web-1"), "domain 'web-1'")
    write(out, ann, "domain:delete", domain("web-1"), "domain 'web-1'", binding="no-delete")
    # bob, with two proofs: would-be denials, an intent with its outcome, and an access
    write(out, bob, "", domain("bob-1"), "", "would-deny", "intent", "trial", ["domain:write", "domain:save"])
    write(out, bob, "", domain("bob-1"), "", "would-deny", "outcome", "trial", ["domain:write", "domain:save"], result={"status": "ok"})
    # raw, unchecked content, a bare count
    write(out, ann, "domain:monitor", domain("db-1"), "domain 'db-1'")
    write(out, ann, "domain:migrate", domain("db-1"), "domain 'db-1'", why=": the content of this call is not checked, it takes a binding on \"*\"")
    write(out, ann, "network:getattr", {"class": "connect"}, "every network")
    # names that would be globs: a person, a person with a certificate, an object with and one without a UUID
    write(out, star, "domain:start", domain("x"), "domain 'x'")
    write(out, glob, "domain:start", domain("x"), "domain 'x'")
    write(out, ann, "domain:reset", domain("*", 9), "domain '*'")
    write(out, ann, "interface:start", {"class": "interface", "name": "eth?"}, "interface 'eth?'")
    write(out, {"name": "\U0010feff", "sasl": "\U0010feff"}, "domain:start", domain("x"), "domain 'x'")
    # no wants: forged parts, a wrong password, a permission that does not exist, no record at all
    write(out, ann, "domain:start", domain("forged"), "domain 'forged'", event="session.identity_conflict")
    write(out, ann, "domain:frobnicate", domain("x"), "domain 'x'")
    print('{"stage":"event","event":"session.login","user":{"name":"eve"},"result":{"status":"denied","message":"wrong password"}}', file=out)
    print('garbage\n[1]\n{"stage":1,"decision":"deny","user":[],"object":7}\n{"stage":"event","decision":{"verdict":"would-deny","permissions":[1,null]}}', file=out)
with open(sys.argv[2] + "/audit-000001.jsonl", "w", encoding="ascii") as out:
    write(out, {"name": "e\u001b[31m\u202e", "sasl": "e\u001b[31m\u202e"}, "domain:start", domain("x"), "domain 'x'")
PY
cat >"$dir/today.json" <<'E'
{
  "version": 1,
  "roles": { "starter": { "allow": ["domain:start"] }, "no-delete": { "deny": ["domain:delete"] }, "suggested-20261123-1": { "allow": ["domain:start"] } },
  "bindings": [
    { "id": "ann-web", "who": ["sasl:ann"], "role": "starter", "on": ["domain:web-*"] },
    { "id": "no-delete", "who": ["anyone"], "role": "no-delete", "on": ["domain:web-*"] },
    { "id": "trial", "who": ["sasl:bob"], "role": "viewer", "on": ["domain:bob-*"], "mode": "permissive" },
    { "id": "suggested-20261123-1", "who": ["sasl:pat"], "role": "suggested-20261123-1", "on": ["domain:pat"] }
  ]
}
E
# usage: suggested NAME PYTHON...   (true or false of s, the suggestion; grants(who): set of permission on object)
suggested()
{
	python3 - "$dir/out.json" "$2" >"$dir/told" 2>&1 <<'PY'
import json, sys
s = json.load(open(sys.argv[1], encoding="utf-8"))
def grants(who, when=None):
    return {(p, on) for b in s["bindings"] if b["who"] == [who] and b.get("when") == when for on in b["on"] for p in s["roles"][b["role"]]["allow"]}
def names(permission):
    return [b for b in s["bindings"] if permission in s["roles"][b["role"]]["allow"]]
if not eval(sys.argv[2]):
    sys.exit(json.dumps(s, indent=1))
PY
	verdict "suggest: $1" $?
}
"$virtgate" policy suggest --dir "$dir/trail" --policy "$dir/today.json" >"$dir/out.json" 2>"$dir/err.txt"
echo "exit $?" >"$dir/told"
cat "$dir/err.txt" >>"$dir/told"
grep -q "^exit 0" "$dir/told"
verdict "suggest: something" $?
suggested "no more and no less for ann" 'grants("sasl:ann") == {
    ("domain:start", "domain:db-1"), ("domain:stop", "domain:db-1"), ("domain:start", "domain:db-2"), ("domain:stop", "domain:db-2"),
    ("domain:start", "domain:core"), ("domain:suspend", "domain:farm-*"), ("storage_vol:resize", "storage_vol:pool/disk/1"),
    ("connect:pm_control", "*"), ("domain:monitor", "domain:db-1"), ("domain:migrate", "domain:*"), ("network:getattr", "network:*"),
    ("domain:reset", "domain:uuid:00000000-0000-0000-0000-000000000009")}'
suggested "both proofs of bob, and what was only recorded" 'grants("sasl:bob", {"proof": ["x509", "sasl"]}) == {("domain:write", "domain:bob-1"), ("domain:save", "domain:bob-1")}'
suggested "nobody else, and no name that would be a glob" '{w for b in s["bindings"] for w in b["who"]} == {"sasl:ann", "sasl:bob", "x509:CN=b*b", "x509-sha256:" + "cd" * 32} - {"x509:CN=b*b"}'
suggested "one binding for what is wanted alike" 'len([b for b in s["bindings"] if b["on"] == ["domain:db-1", "domain:db-2"]]) == 1'
suggested "how often, and when last" 'names("storage_vol:resize")[0]["description"] == "lacked 1 times, last 2026-11-23T19:14:12.123456Z" and "lacked 7 times" in names("domain:suspend")[0]["description"]'
suggested "names that are free" 'all(b["id"] != "suggested-20261123-1" and b["role"] != "suggested-20261123-1" and b["id"].startswith("suggested-20261123-") for b in s["bindings"])'
suggested "raw ways in stay apart and say so" 'len(names("domain:monitor")) == 1 and names("domain:monitor")[0]["id"].endswith("-raw") and "DANGEROUS" in names("domain:monitor")[0]["description"] and s["roles"][names("domain:monitor")[0]["role"]]["allow"] == ["domain:monitor"]'
cp "$dir/err.txt" "$dir/told"
told()	# usage: told NAME PATTERN...
{
	local name=$1 pattern
	shift
	for pattern in "$@"; do
		grep -qE -- "$pattern" "$dir/told" || { echo "no line like: $pattern" >>"$dir/told"; verdict "suggest: $name" 1; return; }
	done
	verdict "suggest: $name" 0
}
told "warns of raw ways in" "WARNING: DANGER: suggested-20261123-[0-9]+-raw gives sasl:ann domain:monitor"
told "warns of globs and of whole classes" "on 'domain:farm-\*': 7 that were seen" "is on every domain:" "is on every network:"
told "says what is left out, and why" "1 left out: binding 'no-delete' denies it" "1 left out: no policy can name '\*'" "no policy can name 'eth\?'" \
	"1 left out: allowed by now" "2 left out: the record does not say" "2 lines are no records" "first missing permission only"
expect_lines "suggest: it is a policy" 0 "*: good|" "" policy check "$dir/out.json"
python3 - "$dir" <<'PY' || exit 1
import json, sys
dir = sys.argv[1]
today, more = json.load(open(dir + "/today.json")), json.load(open(dir + "/out.json"))
today["roles"] |= more["roles"]
today["bindings"] += more["bindings"]
json.dump(today, open(dir + "/merged.json", "w"))
PY
cat >"$dir/merged.table" <<'E'
sasl:ann | domain:start | domain:db-2 -> allow
sasl:ann | domain:suspend | domain:farm-6 -> allow
sasl:ann | domain:suspend | domain:core -> deny
sasl:ann | domain:start | domain:db-3 -> deny
sasl:ann | domain:delete | domain:web-1 -> deny no-delete
sasl:ann | domain:migrate | domain:* -> allow
sasl:ann+x509:CN=ann | storage_vol:resize | storage_vol:pool/disk/1 -> allow
sasl:ann | domain:agent | domain:db-1 -> deny
sasl:ann | domain:monitor | domain:db-2 -> deny
sasl:bob+x509:CN=bob,O=Lab | domain:write | domain:bob-1 -> allow
sasl:bob | domain:write | domain:bob-1 -> would-deny trial
sasl:eve | domain:start | domain:x -> deny
E
expect_lines "suggest: pasted, it allows what was refused and nothing else" 0 "=*: 12 rows, 12 as expected, 0 missed|" "" \
	policy test "$dir/merged.table" --policy "$dir/merged.json"
expect_lines "suggest: pasted, there is nothing more to suggest but what has no name" 1 "" "*nothing to suggest*left out: allowed by now*" \
	policy suggest --dir "$dir/trail" --policy "$dir/merged.json"
expect_lines "suggest: for one person" 0 '{"suggestion":*"who":\["sasl:bob"\]*"denied":0,"would_deny":1,*' "" policy suggest --dir "$dir/trail" --policy "$dir/today.json" --user bo? --json
expect_lines "suggest: since" 1 "" "*nothing to suggest: 0 refusals*" policy suggest --dir "$dir/trail" --policy "$dir/today.json" --since 2027-01-01
expect_lines "suggest: each by name" 0 '*"domain:farm-0"*"domain:farm-6"*' "*" policy suggest --dir "$dir/trail" --policy "$dir/today.json" --exact
expect_lines "suggest: as JSON" 0 '{"suggestion":{"version":1,"roles":{*},"bindings":\[*\]},"denied":*,"would_deny":2,"warnings":\[*\],"notes":\[*\]}|' "" \
	policy suggest --dir "$dir/trail" --policy "$dir/today.json" --json
expect_lines "suggest: a deny in a trial is not solved by an allow, and that is said" 0 "*" "*WARNING: this is not enough for sasl:bob, domain:write on domain:bob-1: recorded as would-be denied by binding trial*" \
	policy suggest --dir "$dir/trail" --user bob --policy <(sed 's/"starter": /"no-write": { "deny": ["domain:write"] }, &/; /"trial"/s/viewer/no-write/' "$dir/today.json")
expect_lines "suggest: names of clients cannot harm the terminal" 1 "" '*no policy can name*e\\x1b\[31m\\u202e*' policy suggest --dir "$dir/quiet" --policy "$dir/today.json"
mkdir "$dir/long"
python3 - "$dir/long" "$("$virtgate" policy permissions "domain:*" | cut -d" " -f1 | tr '\n' ' ')" <<'PY' || exit 1
import json, sys
record = {"stage": "event", "time": "2026-11-23T19:00:00.000000Z", "user": {"name": "u", "unix": "u" * 1000}, "object": {"class": "domain", "name": "x" * 1000},
          "decision": {"verdict": "would-deny", "permissions": sys.argv[2].split()}}
with open(sys.argv[1] + "/audit-000001.jsonl", "w") as out:
    for each in record, record | {"time": "\u00e9" * 100}:
        print(json.dumps(each, separators=(",", ":")), file=out)
PY
expect_lines "suggest: long names, every permission, and a time that is none" 0 '*"domain:write"*"domain:view_graphics"*"domain:monitor"*' "*DANGER*domain:agent*" policy suggest --dir "$dir/long" --policy "$dir/today.json"
expect_lines "suggest: no trail" 2 "" "*No such file*" policy suggest --dir "$dir/none" --policy "$dir/today.json"
expect_lines "suggest: a time that is none" 2 "" "*--since: 'noon' is no time*" policy suggest --dir "$dir/trail" --policy "$dir/today.json" --since noon
expect_lines "suggest: a broken policy" 2 "" "*:2: not valid JSON*" policy suggest --dir "$dir/trail" --policy <(echo '{')
# -- policy replay: the same trail, put to a draft
sed 's/{ "id": "trial".*/{ "id": "ann-db", "who": ["sasl:ann"], "role": "operator", "on": ["domain:db-*"] },/' "$dir/today.json" >"$dir/draft.json"
expect_lines "replay: what would now be denied, what allowed, and by which binding" 1 \
	"1 would now be denied:|  bob, domain:write on domain:bob-1: would-deny -> deny, 1 times, last 2026-11-23T19:*|4 would now be allowed:|*  ann, domain:start on domain:db-1: deny -> allow by binding 'ann-db', 1 times, last *|left out: 2 whose record does not say which permission it was about|" \
	"*2 lines are no records*" policy replay "$dir/draft.json" --policy "$dir/today.json" --dir "$dir/trail"
expect_lines "replay: as JSON" 1 '{"decisions":*,"denied":1,"allowed":4,"noted":0,*"changes":\[*"who":"ann","permission":"domain:start","object":"domain:db-1","call":"","then":"deny","today":"deny","draft":"allow","binding":"ann-db","count":1,*}|' "*" \
	policy replay "$dir/draft.json" --policy "$dir/today.json" --dir "$dir/trail" --json
expect_lines "replay: today's policy against itself" 0 "2? decisions, 2? as today|*" "*" policy replay "$dir/today.json" --policy "$dir/today.json" --dir "$dir/trail"
expect_lines "replay: of one person" 1 "1 would now be denied:|*1 decisions, 0 as today|" "*" policy replay "$dir/draft.json" --policy "$dir/today.json" --dir "$dir/trail" --user bo?
expect_lines "replay: since" 0 "0 decisions, 0 as today|" "*" policy replay "$dir/draft.json" --policy "$dir/today.json" --dir "$dir/trail" --since 2027-01-01
expect_lines "replay: a would-be denial that becomes none is noted" 1 "*1 would be let through as before, but recorded otherwise:|  bob, domain:write on domain:bob-1: would-deny -> allow by binding 'b', *" "*" \
	policy replay <(sed 's/{ "id": "trial"/{ "id": "b", "who": ["sasl:bob"], "role": "vm-admin", "on": ["domain:bob-1"] },\n&/' "$dir/today.json") \
	--policy "$dir/today.json" --dir "$dir/trail"
expect_lines "replay: names of clients cannot harm the terminal" 1 '1 would now be allowed:|  e\\x1b\[31m\\u202e, *' "*" \
	policy replay <(sed 's/{ "id": "trial"/{ "id": "all", "who": ["anyone"], "role": "operator", "on": ["*"] },\n&/' "$dir/today.json") --policy "$dir/today.json" --dir "$dir/quiet"
expect_lines "replay: a draft with mistakes" 2 "" "*:2: not valid JSON*" policy replay <(echo '{') --policy "$dir/today.json" --dir "$dir/trail"
expect_lines "replay: no trail" 2 "" "*No such file*" policy replay "$dir/draft.json" --policy "$dir/today.json" --dir "$dir/none"
# -- records that name what failed, and on what
python3 - "$dir" <<'PY' || exit 1
import json, os, sys
os.mkdir(sys.argv[1] + "/failed")
def record(verdict, more, object={"class": "domain", "name": "db-1"}, call="domain_create", user="ann"):
    result = {"status": "denied", "message": "in other words"} if verdict == "deny" else {"status": "ok"}
    return {"stage": "event", "time": "2026-11-23T19:00:00.000000Z", "user": {"name": user, "sasl": user}, "call": call, "object": object,
            "decision": {"verdict": verdict, "binding": None, "permissions": ["domain:read", "domain:write"]} | more, "result": result}
records = [
    record("deny", {"failed": "domain:start"}),
    record("deny", {"failed": "storage_vol:data_read", "on": {"class": "storage_vol", "name": "gold", "parent": "images"}}, {"class": "storage_vol", "parent": "web"}),
    record("deny", {"failed": "domain:migrate", "on": {"class": "domain", "every": True}}),
    record("would-deny", {"failed": "domain:getattr", "lacked": [{"permission": "domain:getattr"}, {"permission": "domain:reset"},
           {"permission": "network:read", "on": {"class": "network", "name": "lan"}}]}, user="bob"),
    record("would-deny", {"failed": "domain:getattr", "would_hide": 7}, {"class": "domain"}, user="bob"),
    record("deny", {"rule": "hostdev", "permissions": ["domain:save"]}),
    record("would-deny", {"rule": "hostdev", "failed": "domain:save", "on": {"class": "domain", "every": True}}),
]
with open(sys.argv[1] + "/failed/audit-000001.jsonl", "w") as out:
    out.writelines(json.dumps(r, separators=(",", ":")) + "\n" for r in records)
PY
"$virtgate" policy suggest --dir "$dir/failed" --policy "$dir/today.json" >"$dir/out.json" 2>"$dir/told"
grep -q "1 lists showed objects that would be hidden" "$dir/told" && grep -q "2 left out: rule 'hostdev' refuses" "$dir/told"
verdict "suggest: lists that showed hidden objects are no wish, nor is what a rule refuses" $?
suggested "what failed, on what it was asked" 'grants("sasl:ann") == {("domain:start", "domain:db-1"), ("storage_vol:data_read", "storage_vol:images/gold"),
    ("domain:migrate", "domain:*")}'
suggested "all that was lacked, and nothing that was not" 'grants("sasl:bob") == {("domain:getattr", "domain:db-1"), ("domain:reset", "domain:db-1"), ("network:read", "network:lan")}'
# -- what else each suggested binding allows
"$virtgate" policy suggest --dir "$dir/failed" --policy "$dir/today.json" --json >"$dir/also.json" 2>"$dir/told"
python3 - "$dir/also.json" >"$dir/told" 2>&1 <<'PY'
import json, sys
found = json.load(open(sys.argv[1]))
also = {one["binding"]: one for one in found["also"]}
of = {frozenset((p, b["who"][0]) for p in found["suggestion"]["roles"][b["role"]]["allow"]): also[b["id"]] for b in found["suggestion"]["bindings"]}
starts, reads, migrates = (of[frozenset({(p, "sasl:ann")})] for p in ("domain:start", "storage_vol:data_read", "domain:migrate"))
print(json.dumps(found["also"], indent=1))
# the same permission lets other calls through; not the one that was refused, none that needs another permission or "*" as well
assert "virDomainCreateWithFlags" in starts["calls"] and not {"virDomainCreate", "virDomainCreateXML", "virDomainGetInfo"} & set(starts["calls"])
assert starts["objects"] == [] and starts["permissions"] == []
assert "virStorageVolDownload" in reads["calls"]
assert migrates["objects"] == ["every other domain"]
assert len(also) == len(found["suggestion"]["bindings"])
PY
verdict "suggest: the other calls and objects of each binding" $?
"$virtgate" policy suggest --dir "$dir/failed" --policy "$dir/today.json" 2>"$dir/told" >/dev/null
told "says them to people" "suggested-20261123-[0-9]+ allows more than was asked for: the calls virDomainCreateWithFlags" "on every other domain"
"$virtgate" policy suggest --dir "$dir/trail" --policy "$dir/today.json" 2>"$dir/told" >/dev/null
told "says what a glob takes in" "on every other domain whose name begins with 'farm-'"
"$virtgate" policy suggest --dir "$dir/failed" --policy <(sed 's/"version": 1,/"version": 1, "mode": "permissive",/' "$dir/today.json") >"$dir/out.json" 2>"$dir/told"
told "asks a policy that only watches as if it counted" "today's policy only watches"
suggested "and comes to the same" 'grants("sasl:ann") == {("domain:start", "domain:db-1"), ("storage_vol:data_read", "storage_vol:images/gold"), ("domain:migrate", "domain:*")}'

# -- explain --decision: a decision of the trail, put to the policy of today
python3 - "$dir" <<'PY' || exit 1
import json, os, sys
os.mkdir(sys.argv[1] + "/past")
def record(seq, op, verdict, binding=None, stage="event", event="domain.create", result=None, **decision):
    return {"seq": seq, "op": op, "stage": stage, "event": event, "time": "2026-11-23T19:00:00.000000Z", "call": "domain_create",
            "user": {"name": "CN=ann", "x509": "CN=ann,O=Lab", "x509_sans": ["email:ann@x"]}, "source": {"address": "10.0.0.7", "via": "rpc-tls"},
            "object": {"class": "domain", "name": "db-1"}, "decision": {"verdict": verdict, "binding": binding, "permissions": ["domain:start"], "rule": None} | decision,
            "result": result or {"status": "denied" if verdict == "deny" else "ok", "message": "m\x1b[31m"}}
records = [
    record(1, "01DENIED", "deny", failed="domain:start"),
    record(2, "01ALLOWED", "allow", "old", "intent", permissions=["domain:start", "domain:read"]),
    record(3, "01ALLOWED", "allow", "old", "outcome", permissions=["domain:start", "domain:read"]),
    record(4, "01WOULD", "would-deny", "trial", failed="domain:stop", lacked=[{"permission": "domain:stop"},
           {"permission": "domain:getattr", "on": {"class": "domain", "every": True}}]),
    record(5, "01LIE", "deny", event="session.identity_conflict", permissions=[]),
    record(6, "01OLD", "deny", result={"status": "denied", "message": "access denied: 'domain:start' on domain 'db-1'"}),
    record(8, "01RULE", "deny", rule="hostdev", permissions=["domain:write"]),
    {"seq": 7, "op": "01LOGIN", "event": "session.login", "stage": "event"},
]
with open(sys.argv[1] + "/past/audit-000001.jsonl", "w") as out:
    out.writelines(json.dumps(r, separators=(",", ":")) + "\n" for r in records)
PY
cat >"$dir/now.json" <<'E'
{ "version": 1, "roles": { "starter": { "allow": ["domain:start"] } }, "bindings": [
  { "id": "by-cn", "who": ["x509-cn:ann"], "role": "starter", "on": ["domain:web-*"] },
  { "id": "by-mail", "who": ["x509-san:email:ann@x"], "role": "starter", "on": ["domain:db-*"], "when": { "from": ["10.0.0.0/8"], "until": "2026-12-01T00:00:00Z" } } ] }
E
now="--policy $dir/now.json --dir $dir/past"
# shellcheck disable=SC2086 # $now is four words
{
expect_lines "decision: who, what, then, today" 0 \
	"=decision    01DENIED, record 1, 2026-11-23T19:00:00.000000Z|who         x509:CN=ann,O=Lab, from 10.0.0.7 (rpc-tls)|call        virDomainCreate (domain_create)|answer      denied: m\\\\x1b\[31m||domain:start on domain:db-1|then        deny: no binding said anything|today|  -           by-cn: it is not on domain 'db-1'|  allow       by-mail: its role 'starter' allows domain:start|yes: binding 'by-mail'|THE VERDICT IS ANOTHER NOW: then deny, today allow|" \
	"" policy explain --decision 01DENIED $now
expect_lines "decision: at another time" 1 "*by-mail: it ended at 2026-12-01T00:00:00Z|no: no binding allows it|" "" policy explain --decision 01DENIED --at 2027-01-01T00:00:00Z $now
expect_lines "decision: by the number of the record, and what was allowed" 1 "*domain:start on domain:db-1*then        allow by binding old*yes: binding 'by-mail'||domain:read on domain:db-1|*THE VERDICT IS ANOTHER NOW: then allow, today deny|" "" policy explain --decision 3 $now
expect_lines "decision: all that was lacked" 1 "*domain:stop on domain:db-1*then        would-deny by binding trial*domain:getattr on domain:\**" "" policy explain --decision 01WOULD $now
expect_lines "decision: forged names are no question to a policy" 1 "*conflict    name, UUID and id*" "" policy explain --decision 01LIE $now
expect_lines "decision: a rule" 1 "*rule        hostdev: a rule refused what the call says, not a permission|" "" policy explain --decision 01RULE $now
expect_lines "decision: an old record" 0 "*domain:start on domain:db-1*" "" policy explain --decision 01OLD $now
expect_lines "decision: as JSON" 0 '{"record":{*"seq":1,*},"changed":true,"permissions":\[{"allowed":true,"verdict":"allow","binding":"by-mail","permission":"domain:start","object":"domain:db-1","changed":true,"bindings":\[{"binding":"by-cn","applies":false,*' "" policy explain --decision 01DENIED $now --json
expect_lines "decision: no such one" 1 "" "*has the id or number '01NONE'*hint: the refusal that the client saw*" policy explain --decision 01NONE $now
expect_lines "decision: a record that decides nothing" 1 "" "*has the id or number '01LOGIN'*" policy explain --decision 01LOGIN $now
expect_lines "decision: or a question, not both" 2 "" "*expected USER PERMISSION OBJECT, or --decision ID alone*" policy explain sasl:a --decision 01DENIED $now
expect_lines "decision: nor neither" 2 "" "*expected USER PERMISSION OBJECT, or --decision ID alone*" policy explain sasl:a domain:start $now
}

grep -q "\"access denied: '%s' on %s%s\"" gateway/gate/decide.c && grep -q 'it takes a binding on \\"\*\\""' gateway/gate/argument.c &&
	grep -q '"every %s"' gateway/gate/decide.c
verdict "suggest: refusals are worded as it reads them" $?

end_of_tests
