#!/bin/bash
# `virtgate policy role`, and the pages of the built-in roles that are made with it. TAP on standard output.
# shellcheck source=tests/lab/cli.sh
. "$(dirname "$(readlink -f "$0")")/../lab/cli.sh"

# -- the pages
for role in $("$virtgate" policy role --json | python3 -c 'import json, sys; print(*(r["role"] for r in json.load(sys.stdin) if r["builtin"]))'); do
	"$virtgate" policy role "$role" 2>&1 | diff -u "doc/roles/$role.md" - >"$dir/told" 2>&1
	same=$?
	[ "$same" -eq 0 ] || sed -i "1i doc/roles/$role.md is not what the program says: \`make -C ${build##*/} doc-roles\` makes it anew" "$dir/told"
	verdict "doc/roles/$role.md is up to date" "$same"
	[ "$(sed -n 3p "doc/roles/$role.md" | wc -w)" -gt 5 ]
	verdict "$role says what it is for" $?
	grep -q "roles/$role.md" README.md
	verdict "README.md points to doc/roles/$role.md" $?
done
ls doc/roles >"$dir/told"
[ "$number" -eq 18 ] && [ "$(wc -l <"$dir/told")" -eq 6 ]
verdict "six built-in roles, and a page for each" $?

# -- roles of a policy
cat >"$dir/policy.json" <<'E2'
{ "version": 1, "bindings": [], "roles": {
  "all": { "allow": ["*", "domain:monitor", "domain:agent"] },
  "starter": { "allow": ["domain:start"] },
  "no-xml": { "include": ["vm-admin"], "deny": ["domain:write"] },
  "nothing": {} } }
E2
expect "a role of one's own: its calls, and no others" 0 '*"call":"virDomainCreate","rpc":"domain_create","class":"domain","kind":"change","needs":\[{"permission":"domain:start","condition":""}\],"not":\[\],"needs_everything":false,"recorded":true,"shows":null}*' \
	"" policy role starter "$dir/policy.json" --json
"$virtgate" policy role starter "$dir/policy.json" >"$dir/told"
[ "$(grep -c '^| vir' "$dir/told")" -eq "$(grep -c '^| vir.*| domain:start |' "$dir/told")" ] && grep -q '^| virDomainCreate |' "$dir/told" &&
	! grep -q 'virDomainCreateXML\b' "$dir/told"
verdict "nothing that needs another permission besides" $?
expect "what it denies is told, and taken away" 0 "*\*\*denied:\*\* domain:write*" "" policy role no-xml "$dir/policy.json"
"$virtgate" policy role no-xml "$dir/policy.json" >"$dir/told"
! grep -q '| virDomainSetMemory |' "$dir/told"
verdict "no call that needs what is denied" $?
expect "conditions that the role does not reach" 0 "*| virDomainGetXMLDesc | domain_get_xml_desc | read | domain:read | *not with flags & 0x1 (domain:read_secure)*" "" policy role vm-admin
expect "content that is not looked into" 0 '*| virDomainSave | domain_save | change | domain:hibernate | *only bound on "\*"*' "" policy role vm-admin
expect "lists, and what they show" 0 "*| virConnectListAllDomains | connect_list_all_domains | read | connect:search_domains | *shows where it has domain:getattr*" "" policy role viewer
expect "an empty role" 0 "*may make 0 of*" "" policy role nothing "$dir/policy.json"
expect "all roles" 0 "viewer*built in*admin*starter*" "" policy role --policy "$dir/policy.json"
expect "no such role" 1 "" "*no role 'operatr' built in*did you mean 'operator'?" policy role operatr
expect "no such role in the policy" 1 "" "*no role 'x'*virtgate policy role*" policy role x "$dir/policy.json"
expect "no such policy" 2 "" "*none.json: No such file*" policy role x "$dir/none.json"
"$virtgate" policy role all "$dir/policy.json" >"$dir/told"
! grep -qE 'set_identity|_with_files|domain_open_namespace|auth_list' "$dir/told"
verdict "what is never passed on is in nobody's role" $?

# -- the names are libvirt's: every one is a function of its library, but for those that 9.0 does not have yet
"$virtgate" policy role all "$dir/policy.json" --json >"$dir/all.json"
python3 - "$dir/all.json" >"$dir/told" 2>&1 <<'PY'
import ctypes, json, sys
newer = {"virDomainGraphicsReload", "virDomainGetAutostartOnce", "virDomainSetAutostartOnce", "virDomainSetThrottleGroup", "virDomainDelThrottleGroup",
         "virNetworkSetMetadata", "virNetworkGetMetadata", "virNodeDeviceUpdate"}
try:
    libraries = [ctypes.CDLL(name) for name in ("libvirt.so.0", "libvirt-qemu.so.0", "libvirt-lxc.so.0")]
except OSError as error:
    print(error)
    sys.exit(77)
calls = [call["call"] for call in json.load(open(sys.argv[1]))["calls"] if call["call"] is not None]
unknown = {name for name in calls if not any(hasattr(library, name) for library in libraries)} - newer
print(len(calls), "names, not functions of libvirt:", *sorted(unknown))
sys.exit(bool(unknown) or len(calls) < 350)
PY
status=$?
if [ "$status" -eq 77 ]; then
	number=$((number + 1))
	echo "ok $number - names of calls # SKIP $(cat "$dir/told")"
else
	verdict "names of calls are functions of libvirt's library" "$status"
fi
end_of_tests
