#!/bin/bash
# `virtgate admission` as people meet it: exit codes, what goes to which stream, who is judged by what. TAP on standard output.
# shellcheck source=tests/lab/cli.sh
. "$(dirname "$(readlink -f "$0")")/../lab/cli.sh"

cat >"$dir/policy.json" <<'E'
{ "version": 1, "bindings": [
  { "id": "t", "who": ["sasl:tenant", "sasl:free", "sasl:soon"], "role": "vm-admin", "on": ["domain:web-*"] },
  { "id": "a", "who": ["sasl:boss"], "role": "admin", "on": ["*"] }],
  "admission": [
  { "id": "strict", "profile": "restricted", "who": ["sasl:tenant"], "max_vcpus": 2 },
  { "id": "trusted", "profile": "privileged", "who": ["sasl:free"] },
  { "id": "next", "profile": "restricted", "mode": "warn", "who": ["sasl:soon"] }],
  "rules": [ { "id": "titled", "class": "domain", "must": "/domain/title", "who": ["sasl:boss"], "message": "no title" } ],
  "quotas": [ { "id": "webs", "on": ["domain:web-*"], "max_guests": 5, "max_vcpus": 3, "max_memory_mib": 128, "except": ["sasl:free"] } ] }
E
cat >"$dir/good.xml" <<'E'
<domain type='kvm'>
  <name>web-1</name>
  <memory unit='MiB'>64</memory>
  <vcpu>1</vcpu>
  <os firmware='efi'><type>hvm</type><loader secure='yes'/></os>
  <devices><tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm></devices>
</domain>
E
sed 's/<vcpu>1/<vcpu>4/' "$dir/good.xml" >"$dir/many.xml"
sed 's/<devices>/<devices><hostdev mode="subsystem" type="usb"\/>/' "$dir/good.xml" >"$dir/host.xml"
echo '<hostdev mode="subsystem" type="usb"/>' >"$dir/device.xml"
policy="--policy $dir/policy.json"

expect "baseline, unless something else is said" 0 "*good.xml: admitted by profile baseline" "" admission check "$dir/good.xml"
expect "a profile by its name" 0 "*good.xml: admitted by profile restricted" "" admission check "$dir/good.xml" --profile restricted
expect "a profile that there is not" 2 "" "*unknown profile 'x'*known profiles: baseline, restricted*" admission check "$dir/good.xml" --profile x
expect "what is refused: rule, place, line" 1 "*host.xml:6: host-device: /domain/devices/hostdev: *" "" admission check "$dir/host.xml"
expect "a user's row" 1 "*many.xml:4: vcpu-bound: /domain/vcpu: *[(]row 'strict', enforce)*" "" admission check "$dir/many.xml" --user sasl:tenant $policy
expect "what counts by a quota" 0 "*good.xml: counts by quota 'webs': 1 of 5 guests, 1 of 3 processors, 65536 of 131072 KiB of memory*admitted*" "" admission check "$dir/good.xml" --user sasl:tenant $policy
expect "more than all may have together" 1 "*many.xml:0: quota-vcpus: /: more than the quota *[(]row 'webs', enforce)*" "" admission check "$dir/many.xml" --user sasl:soon $policy
expect "whom a quota excepts" 0 "*4 of 3 processors*admitted for sasl:free*" "" admission check "$dir/many.xml" --user sasl:free $policy
expect "within it" 0 "*admitted for sasl:tenant, should he be granted what it uses" "" admission check "$dir/good.xml" --user sasl:tenant $policy
expect "what holds without rows" 1 "*host-device*[(]row 'next', warn)*host-device: /domain/devices/hostdev*" "" admission check "$dir/host.xml" --user sasl:soon $policy
expect "a warning refuses nothing" 0 "*vtpm: *[(]row 'next', warn)*admitted for sasl:soon*" "" admission check <(grep -v tpm "$dir/good.xml") --user sasl:soon $policy
expect "whom a row frees" 0 "*admitted for sasl:free*" "" admission check "$dir/host.xml" --user sasl:free $policy
expect "who holds everything, and a rule of the site" 1 "*host.xml:1: titled: /domain: no title (row 'titled', enforce)*" "" admission check "$dir/host.xml" --user sasl:boss $policy
expect "a device, of an object that is named" 1 "*device.xml:1: host-device: /hostdev: *" "" admission check "$dir/device.xml" --user sasl:soon --object domain:web-1 $policy
expect "as JSON" 1 '*"admitted":false,"findings":\[{"rule":"host-device",*"mode":"enforce"}\]*' "" admission check "$dir/device.xml" --json
expect "both a user and a profile" 2 "" "*not both*" admission check "$dir/good.xml" --user sasl:a --profile baseline $policy
expect "a user that is none" 2 "" "*" admission check "$dir/good.xml" --user bob $policy
sed 's/<devices>/<devices>\n    <graphics type="vnc" listen="0.0.0.0"\/>/' "$dir/good.xml" >"$dir/open.xml"
cp "$dir/open.xml" "$dir/apply.xml"
expect "a fix, as a diff" 0 "--- $dir/open.xml*+++ $dir/open.xml*@@*-    <graphics type=*+      <listen type='none'/>*" "" admission fix "$dir/open.xml"
expect "a fix of what only needs less" 0 "*-  <vcpu>4</vcpu>*+  <vcpu>2</vcpu>*" "" admission fix "$dir/many.xml" --user sasl:tenant $policy
expect "what cannot be fixed is named" 1 "*" "*host.xml:6: host-device: *1 finding that no change*" admission fix "$dir/host.xml"
expect "nothing to fix" 0 "" "" admission fix "$dir/good.xml"
expect "a fix that is written" 0 "" "" admission fix "$dir/apply.xml" --apply
expect "and is admitted then" 0 "*admitted by profile baseline" "" admission check "$dir/apply.xml"
expect "a fix to another file" 0 "" "" admission fix "$dir/open.xml" --output "$dir/other.xml"
expect "which is the same" 0 "" "" admission fix "$dir/other.xml"
expect "a fix as JSON" 0 '*"admitted":true,"changes":1,"diff":"@@*"findings":\[\]*' "" admission fix "$dir/open.xml" --json
expect "both ways of writing" 2 "" "*not both*" admission fix "$dir/open.xml" --apply --output x
mkdir "$dir/qemu" "$dir/empty"
cp "$dir/good.xml" "$dir/host.xml" "$dir/qemu"
echo 'not XML' >"$dir/qemu/broken.xml"
touch "$dir/qemu/autostart"
expect "all guests of a host" 1 "*broken.xml: document: *not well-formed*host.xml:6: host-device: *3 guests, 2 would be refused by profile baseline" "" admission scan "$dir/qemu"
expect "none of them" 0 "0 guests, 0 would be refused by profile restricted" "" admission scan "$dir/empty" --profile restricted
expect "all guests as JSON" 1 '\[*"name":"web-1","admitted":true*\]' "" admission scan "$dir/qemu" --json
expect "a directory that there is not" 2 "" "*nowhere: No such file*root*" admission scan "$dir/nowhere"
expect "all the rules" 0 "*host-device*baseline*vtpm*restricted*" "" admission explain
expect "one rule" 0 "vtpm, of profile restricted: *instead: <tpm *must not be there: /domain*" "" admission explain vtpm
expect "a rule that there is not" 1 "" "*there is no rule 'vtmp'*did you mean 'vtpm'*" admission explain vtmp
end_of_tests
