#!/bin/bash
# `virtgate` as people meet it: exit codes, what goes to which stream, suggestions, and the policy verbs. TAP on standard output.
# shellcheck source=tests/lab/cli.sh
. "$(dirname "$(readlink -f "$0")")/../lab/cli.sh"

office="--policy tests/table/policy/office.json"
cat >"$dir/broken.json" <<'E'
{ "version": 1, "bindings": [
  { "id": "a", "who": ["sals:a"], "role": "viewr", "on": ["*"] }
] }
E
printf 'policy_file = "%s"\n' "$PWD/tests/table/policy/office.json" >"$dir/virtgated.conf"

# -- the command line itself
expect "help lists every verb" 0 "usage:*policy check*policy can*policy explain*policy who-can*" "" --help
expect "no verb: usage on standard error" 2 "" "usage:*"
expect "version" 0 "virtgate [0-9]*" "" --version
expect "help of a verb" 0 "usage: virtgate policy can USER PERMISSION OBJECT*sasl:NAME*" "" policy can --help
expect "a verb with a slip" 2 "" "*unknown verb 'polcy chek'*did you mean 'policy check'?*" polcy chek
expect "half a verb names the others" 2 "" "usage: virtgate policy VERB*policy can USER*yes or no*" policy
expect "help for a group" 0 "usage: virtgate audit VERB*audit verify*check that*" "" audit --help
expect "nothing near" 2 "" "*unknown verb 'frobnicate'*--help*" frobnicate
expect "an option with a slip" 2 "" "*does not know the option '--polciy'*did you mean '--policy'?*" policy check --polciy x
expect "an option without its value" 2 "" "*--policy needs a value*" policy check --policy
expect "a value for an option that takes none" 2 "" "*--json takes no value*" policy permissions --json=1
expect "too few arguments" 2 "" "usage: virtgate policy can*" policy can sasl:a domain:start
expect "too many arguments" 2 "" "usage: virtgate policy can*" policy can sasl:a domain:start domain:x y
expect "options before the verb" 0 "\[{*}\]" "" --json policy permissions audit:read
expect "-- ends the options" 2 "" "*--help: No such file*" policy check -- --help

# -- policy check
expect "a good policy" 0 "*example: good" "" policy check gateway/policy.json.example
expect "the example is good" 0 "*good" "" policy check gateway/policy.json.example
expect "every mistake with its line" 1 "" "*broken.json:2: *sals:a*did you mean 'sasl:'*broken.json:2: unknown role 'viewr'*did you mean 'viewer'*2 mistakes" \
	policy check "$dir/broken.json"
expect "mistakes as JSON" 1 '{"file":*"good":false,"mistakes":\[{"what":*broken.json:2:*}\],"warnings":\[\]}' "" policy check --json "$dir/broken.json"
expect "a good one as JSON" 0 '*"good":true,"mistakes":\[\],"warnings":\[\]}' "" policy check gateway/policy.json.example --json
expect "a file that is not there" 2 "" "*nothing.json: No such file*" policy check "$dir/nothing.json"
expect "a folder" 2 "" "*Is a directory*" policy check "$dir"
expect "the policy of the settings" 0 "*office.json: good, but * warnings" "WARNING:*" policy check --config "$dir/virtgated.conf"
expect "settings that are not there" 2 "" "*none.conf*hint:*" policy check --config "$dir/none.conf"

cat >"$dir/rows.json" <<'E'
{ "version": 1, "groups": { "g": ["sasl:a"], "h": ["sasl:b"] }, "sets": { "s": { "domain": ["web-*"] } }, "bindings": [],
  "rules": [{ "id": "r", "class": "domain", "must": "/domain/title", "except": ["group:g"] }],
  "quotas": [{ "id": "q", "on": ["set:s"], "max_guests": 5, "who": ["group:h"] }] }
E
expect "groups and sets of rows are used" 0 "*rows.json: good" "" policy check "$dir/rows.json"

# -- what is no mistake but hardly meant: each once, with its line, and nothing of what is meant (the binding on pools, hours, a trial)
cat >"$dir/warnings" <<'E'
lint.json:14: binding 'narrow-admin' is on some objects only, but its role 'admin' allows connect:write
lint.json:16: binding 'over' does not apply any more: it ended at 2020-01-01T00:00:00Z
lint.json:18: binding 'never' can never apply: nobody comes both
lint.json:20: binding 'some-never' can never apply to unix:bob: who comes over the local socket
lint.json:21: binding 'empty' says nothing: its role 'empty' has no permission
lint.json:22: binding 'wrong-class' says nothing: no permission of its role 'vols' is about what it is on
lint.json:23: binding 'starts' allows nothing: all that it allows is denied, among others by binding 'deny-b'
lint.json:30: binding 'blind' allows domain:start, but nobody gives its people connect:getattr: they cannot open a connection
lint.json:31: binding 'unseen' allows domain:start, but nobody gives its people domain:getattr: what they may not see does not exist
lint.json:3: nobody uses the group 'idle'
lint.json:4: nobody uses the set 'idle-set'
lint.json:6: nobody uses the role 'idle-role'
E
"$virtgate" policy check tests/table/policy/lint.json 2>&1 >"$dir/out" | grep '^WARNING: ' >"$dir/err"
cat "$dir/out" "$dir/err" >"$dir/told"
missing=0
while read -r line; do grep -qF "$line" "$dir/err" || missing=1; done <"$dir/warnings"
[ "$missing" -eq 0 ] && [ "$(wc -l <"$dir/err")" -eq 12 ] && [ "$(<"$dir/out")" = "tests/table/policy/lint.json: good, but 12 warnings" ]
verdict "policy check warns" $?
expect "warnings as JSON, and no mistake" 0 '*"good":true,"mistakes":\[\],"warnings":\[{"what":*narrow-admin*"hint":"bind a role without*' "" policy check tests/table/policy/lint.json --json
expect "a policy that only watches says so" 0 "*but 2 warnings" "WARNING: *watch.json:3: THE GATEWAY ONLY WATCHES*" policy check tests/table/policy/watch.json

# -- a yes that is of no use
lint="--policy tests/table/policy/lint.json"
# shellcheck disable=SC2086 # $lint is two words
{
expect "a yes for somebody who cannot connect" 0 "yes: binding 'blind'
but connect:getattr is denied: he cannot open a connection" "" policy can sasl:d domain:start domain:x $lint
expect "a yes on something that he does not see" 0 "*yes: binding 'unseen'
but domain:getattr is denied: for him there is no such domain" "" policy explain sasl:e domain:start domain:x $lint
expect "the same as JSON" 0 '{"allowed":true,*"but":"domain:getattr is denied: for him there is no such domain"}' "" policy can sasl:e domain:start domain:x $lint --json
expect "a permission without its class" 2 "" "*unknown permission 'start'*of which class? domain:start, interface:start*" policy can sasl:e start domain:x $lint
expect "an object without its class" 2 "" "*'x' is no OBJECT*did you mean 'domain:x'?" policy can sasl:e domain:start x $lint
expect "the host" 2 "" "*'host' is no OBJECT*connect:read is about the host: \*" policy can sasl:e connect:read host $lint
}

# -- a policy that only watches
watch="--policy tests/table/policy/watch.json"
# shellcheck disable=SC2086 # $watch and $office are two words
{
expect "watching: let through" 0 "yes, would be denied: no binding allows it" "" policy can sasl:x domain:start domain:web-1 $watch
expect "watching: as if it counted" 1 "no: no binding allows it" "" policy can sasl:x domain:start domain:web-1 $watch --enforce
expect "watching: a deny is told as one that would be" 0 "*would-deny  no-stop: its role 'no-stop' denies domain:stop, but the whole policy is permissive*yes, would be denied: binding 'no-stop'" "" \
	policy explain sasl:x domain:stop domain:core-1 $watch
expect "watching: explained as if it counted" 1 "*deny  *no-stop: its role 'no-stop' denies domain:stop
*no: binding 'no-stop'" "" policy explain sasl:x domain:stop domain:core-1 $watch --enforce
expect "watching: who-can says that everybody can" 0 "allow*sasl:ann: binding 'ann-operates', from 10.0.0.0/8; until 2199-12-31T00:00:00Z" "*whoever is authenticated is let through*" \
	policy who-can domain:start domain:web-1 --at 2026-11-23T10:00:00Z $watch
expect "watching: what changes is told" 1 "the whole policy: mode was enforce, now permissive: THE GATEWAY ONLY WATCHES*" "" policy diff tests/table/policy/office.json tests/table/policy/watch.json

# -- groups and proofs
expect "a group: each of its members" 1 "allow *sasl:alice@EXAMPLE.COM: binding 'webops-on-web'*?  *x509:\*CN=bob,\*: stands for several*allow *x509-sha256:0011*" "" \
	policy can group:webops domain:start domain:web-1 $office
expect "a group that may" 0 "allow       sasl:alice: binding 'web-team-on-web'
allow       x509-cn:alice: binding 'web-team-on-web'" "" policy can group:web-team domain:start domain:web-1 --policy gateway/policy.json.example
expect "a group as JSON" 1 '{"group":"web-team","allowed":false,"members":\[{"allowed":false,"verdict":"deny","binding":null,"who":"sasl:alice"},*' "" \
	policy can group:web-team domain:start domain:db-1 --policy gateway/policy.json.example --json
expect "a group that is not there" 2 "" "*has no group 'web-taem'*did you mean 'web-team'?" policy can group:web-taem domain:start domain:web-1 --policy gateway/policy.json.example
expect "a proof besides the name" 0 "yes: binding 'both-proofs'" "" policy can sasl:p domain:start domain:x --proof x509 --policy tests/table/policy/when.json
expect "without it" 1 "no:*" "" policy can sasl:p domain:start domain:x --policy tests/table/policy/when.json
expect "no proof" 2 "" "*--proof: 'password' is none of x509, sasl, unix*" policy can sasl:p domain:start domain:x --proof x509+password --policy tests/table/policy/when.json
}

# -- policy can
expect "yes" 0 "yes: binding 'webops-on-web'" "" policy can sasl:alice@EXAMPLE.COM domain:start domain:web-1 $office
expect "no" 1 "no: no binding allows it" "" policy can sasl:alice@EXAMPLE.COM domain:start domain:db-1 $office
expect "no, and who says so" 1 "no: binding 'webops-on-web'" "" policy can unix:webops domain:open_graphics domain:web-1 $office
expect "as JSON" 0 '{"allowed":true,"verdict":"allow","binding":"webops-on-web"}' "" \
	policy can sasl:alice@EXAMPLE.COM domain:start domain:web-1 $office --json
expect "no as JSON" 1 '{"allowed":false,"verdict":"deny","binding":null}' "" policy can sasl:x domain:start domain:web-1 $office --json
expect "would be denied" 0 "yes, would be denied: binding 'trial-on-web'" "" \
	policy can sasl:tina domain:start domain:web-1 --policy tests/table/policy/trial.json
expect "several proofs; a + inside a DN is the DN's" 1 "no: binding 'leo-sleepless'" "" \
	policy can unix:leo+x509:O=A+OU=B,CN=x+x509-cn:sleepless connect:pm_control "*" $office
expect "the CN of a DN" 0 "yes: binding 'webops-on-web'" "" policy can x509:C=DE,CN=lead,O=Lab domain:start domain:web-1 $office
expect "two CNs are none" 1 "no:*" "" policy can x509:CN=lead,CN=lead,O=Lab domain:start domain:web-1 $office
expect "a whole class" 0 "yes: binding 'carol-operates'" "" policy can sasl:carol domain:start "domain:*" $office
expect "a volume" 0 "yes: binding 'webops-on-web'" "" policy can unix:webops storage_vol:read storage_vol:web/disk $office
expect "by UUID" 0 "yes:*" "" policy can unix:webops domain:start domain:uuid:00000000-0000-0000-0000-000000000007 $office
expect "by name and UUID" 0 "yes:*" "" policy can unix:webops domain:start domain:x --uuid 00000000-0000-0000-0000-000000000007 $office
expect "polkit's spelling" 0 "yes:*" "" policy can unix:webops org.libvirt.api.domain.start domain:web-1 $office
expect "from" 0 "yes: binding 'v4'" "" policy can sasl:a domain:start domain:x --from 10.0.0.1 --policy tests/table/policy/when.json
expect "from elsewhere" 1 "no:*" "" policy can sasl:a domain:start domain:x --from=11.0.0.1 --policy=tests/table/policy/when.json
expect "at" 0 "yes: binding 'until'" "" policy can sasl:u domain:start domain:x --at 2026-12-31T23:59:59Z --policy tests/table/policy/when.json
expect "at another time" 1 "no:*" "" policy can sasl:u domain:start domain:x --at 2027-01-01T01:00:00Z --policy tests/table/policy/when.json
expect "a permission with a slip" 2 "" "*unknown permission 'domain:strat'*did you mean 'domain:start'?" policy can sasl:a domain:strat domain:x $office
expect "no kind of user" 2 "" "*'alice' is no USER*hint: for example sasl:alice*" policy can alice domain:start domain:x $office
expect "a group is nobody" 2 "" "*ask for a member*" policy explain group:webops domain:start domain:x $office
expect "the wrong class" 2 "" "*domain:start is asked for a domain, not for a network*" policy can sasl:a domain:start network:x $office
expect "no object" 2 "" "*'web-1' is no OBJECT*hint: did you mean 'domain:web-1'?" policy can sasl:a domain:start web-1 $office
expect "a volume without pool" 2 "" "*storage_vol:POOL/NAME*" policy can sasl:a storage_vol:read storage_vol:x $office
expect "no address" 2 "" "*--from: '10.1' is not an address*" policy can sasl:a domain:start domain:x --from 10.1 $office
expect "no time" 2 "" "*--at: 'noon' is not a time*" policy can sasl:a domain:start domain:x --at noon $office
expect "a broken policy answers nothing" 2 "" "*broken.json:2:*" policy can sasl:a domain:start domain:x --policy "$dir/broken.json"

# -- policy explain, who-can, permissions
expect "explain tells every binding" 1 "*deny*webops-on-web: its role 'web-operator' denies domain:open_graphics*-*carol-views: it is about somebody else*anyone-greets: it is not on domain 'web-1'*no: binding 'webops-on-web'" "" \
	policy explain unix:webops domain:open_graphics domain:web-1 $office
expect "explain tells conditions" 1 "*v4: it holds only from 10.0.0.0/8, 192.0.2.7, 198.51.100.128/25; this is from 11.0.0.1*" "" \
	policy explain sasl:a domain:start domain:x --from 11.0.0.1 --policy tests/table/policy/when.json
expect "explain as JSON" 1 '{"allowed":false,*"bindings":\[{"binding":"webops-on-web","applies":true,"verdict":"deny","why":*' "" \
	policy explain unix:webops domain:open_graphics domain:web-1 $office --json
expect "who-can" 0 "allow*sasl:alice@EXAMPLE.COM: binding 'webops-on-web'*x509-cn:lead: binding 'webops-on-web'*" "" \
	policy who-can domain:start domain:web-1 $office
expect "nobody can" 1 "deny*sasl:ivan: binding 'ivan-not-raw'" "" policy who-can domain:monitor domain:none $office
cat >"$dir/who.json" <<'E'
{ "version": 1,
  "groups": { "ops": ["sasl:ann", "group:night"], "night": ["sasl:night-*@LAB", "x509:*,O=Lab"] },
  "roles": { "no-start": { "deny": ["domain:start"] } },
  "bindings": [
    { "id": "ops", "who": ["group:ops"], "role": "operator", "on": ["domain:uuid:00000000-0000-0000-0000-000000000007"],
      "when": { "from": ["10.0.0.0/8"], "proof": ["x509", "sasl"], "hours": "Mon-Fri 08:00-18:00", "until": "2199-01-01T00:00:00Z" } },
    { "id": "trial", "who": ["anyone"], "role": "viewer", "on": ["*"], "mode": "permissive" },
    { "id": "ended", "who": ["sasl:old"], "role": "admin", "on": ["*"], "when": { "until": "2020-01-01T00:00:00Z" } },
    { "id": "no", "who": ["unix-group:temps"], "role": "no-start", "on": ["domain:db-?"] } ] }
E
expect "who-can: groups replaced, globs as written, every condition; by name that is not it" 0 "would-deny*anyone: binding 'trial'" "" \
	policy who-can domain:start domain:web-7 --policy "$dir/who.json"
when="from 10.0.0.0/8; proof *x509*sasl*; hours Mon-Fri 08:00-18:00; until 2199-01-01T00:00:00Z"
expect "who-can by the object's UUID" 0 "allow*sasl:ann: binding 'ops', $when*allow*sasl:night-?@LAB: binding 'ops', $when*allow*x509:?,O=Lab: binding 'ops', $when*would-deny*anyone: binding 'trial'" "" \
	policy who-can domain:start domain:web-7 --uuid 00000000-0000-0000-0000-000000000007 --policy "$dir/who.json"
expect "who-can names who is denied, and nobody whose binding ended" 0 "would-deny *anyone: binding 'trial'*deny *unix-group:temps: binding 'no'" "" \
	policy who-can domain:start domain:db-1 --policy "$dir/who.json"
expect "who-can of then" 0 "*allow*sasl:old: binding 'ended', until 2020-01-01T00:00:00Z*" "" \
	policy who-can domain:start domain:db-1 --at 2019-06-01T00:00:00Z --policy "$dir/who.json"
expect "who-can as JSON" 0 '\[{"who":"anyone","verdict":"would-deny","binding":"trial","when":""},{"who":"unix-group:temps","verdict":"deny","binding":"no","when":""}\]' "" \
	policy who-can domain:start domain:db-1 --policy "$dir/who.json" --json
expect "permissions" 0 "audit:read*search and read the audit trail" "" policy permissions "audit:*"
expect "no such permission" 1 "" "" policy permissions "nothing:*"

# -- a full disk is no success
! "$virtgate" policy permissions >/dev/full 2>"$dir/told"
verdict "output that could not be written" $?
end_of_tests
