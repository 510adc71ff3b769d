#!/bin/bash
# `virtgate posture` as a person runs it, on made-up hosts: one in order, one not. TAP on standard output.
# shellcheck source=tests/lab/cli.sh
. "$(dirname "$(readlink -f "$0")")/../lab/cli.sh"

# usage: nothing_wrong NAME WHAT_IS_WRONG
nothing_wrong()
{
	printf '%s\n' "$2" >"$dir/told"
	[ -z "$2" ]
	verdict "$1" $?
}

# usage: look EXPECTED_STATUS ARGUMENT...; leaves output in $out, errors in $err
look()
{
	local expected=$1 status
	shift
	out=$("$virtgate" posture "$@" 2>"$dir/err")
	status=$?
	err=$(<"$dir/err")
	[ "$status" = "$expected" ] || echo "exit $status instead of $expected: $out $err"
}

# A host in order, as far as a check can say so without certificates.
good=$dir/good
mkdir -p "$good"/{etc/libvirt,etc/virtgate,etc/audit/rules.d,etc/systemd/system/sysinit.target.wants,usr/bin,proc/net,proc/33,proc/44} \
	"$good"/sys/{module/apparmor/parameters,devices/system/cpu/vulnerabilities} "$good/var/log/virtgate"
chmod 700 "$good/var/log/virtgate"
chmod -R go-w "$good/etc"
echo Y >"$good/sys/module/apparmor/parameters/enabled"
echo 'Not affected' >"$good/sys/devices/system/cpu/vulnerabilities/mds"
echo 'security_require_confined = 1' >"$good/etc/libvirt/qemu.conf"
printf 'listen_tls = 0\nlisten_unix = 1\n' >"$good/etc/virtgate/virtgated.conf"
printf 'root:x:0:\nlibvirt:x:107:virtgate\n' >"$good/etc/group"
printf 'root:x:0:0::/root:/bin/sh\nvirtgate:x:990:107::/:/bin/false\n' >"$good/etc/passwd"
printf -- '-w /etc/pki\n-w /etc/virtgate\n-w /var/log/virtgate\n' >"$good/etc/audit/rules.d/all.rules"
ln -s /lib/systemd/system/nftables.service "$good/etc/systemd/system/sysinit.target.wants/"
touch "$good/usr/bin/swtpm"
head -1 /proc/net/tcp >"$good/proc/net/tcp"
echo auditd >"$good/proc/33/comm"
printf 'Name:\tauditd\nUid:\t0\t0\t0\t0\n' >"$good/proc/33/status"
echo virtgated-gate >"$good/proc/44/comm"
printf 'Name:\tx\nUid:\t990\t990\t990\t990\nCapEff:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t0\n' >"$good/proc/44/status"

wrong=$(look 0 --root "$good"; grep -v '^PASS' <<<"$out" | grep -v ' 0 warnings, 0 failed, 0 could not be seen$')
nothing_wrong "a host in order has nothing but PASS, and exit 0" "$wrong"
wrong=$(look 0 --root "$good" --fix-hints; echo "$out")
nothing_wrong "nothing to mend there" "$wrong"

bad=$dir/bad
cp -a "$good" "$bad"
printf 'user = "root"\nseccomp_sandbox = 0\n' >"$bad/etc/libvirt/qemu.conf"
mkdir -p "$bad/run/libvirt/qemu"
cat >"$bad/run/libvirt/qemu/x.xml" <<'END'
<domstatus><domain type='kvm'><name>evil&#10;PASS  x: fine&#9;&#x9b;2J&#x202e;</name><devices>
<graphics type='vnc' port='5900'><listen type='address' address='0.0.0.0'/></graphics></devices></domain></domstatus>
END
wrong=$(look 1 --root "$bad"; grep -q '^FAIL  qemu-user: ' <<<"$out" || echo "$out"; grep -c '^PASS  x: fine' <<<"$out" | grep -vx 0)
nothing_wrong "what is wrong fails, and a guest's name begins no line" "$wrong"
nothing_wrong "nor does it steer the terminal" "$(grep -qF 'evil\x0aPASS  x: fine\x09\x9b2J\u202e' <<<"$out" || echo "$out")"
wrong=$(look 1 --root "$bad" qemu-user qemu-seccomp; [ "$(grep -c '^FAIL' <<<"$out")" = 2 ] && [ "$(wc -l <<<"$out")" = 3 ] || echo "$out")
nothing_wrong "only the checks that were asked for" "$wrong"
mkdir "$bad/img"
touch "$bad/img/a" "$bad/img/b'; touch hacked; '"
chmod 646 "$bad/img/"*
cat >"$bad/run/libvirt/qemu/y.xml" <<'END'
<domstatus><domain type='kvm'><name>y</name><devices><disk type='file' device='disk'><source file='/img/a'/></disk>
<disk type='file' device='disk'><source file="/img/b'; touch hacked; '"/></disk></devices></domain></domstatus>
END
wrong=$(look 1 --root "$bad" --fix-hints image-mode; [ "$(grep -c '^chmod' <<<"$out")" = 1 ] && grep -qxF "chmod o-rwx '/img/a'" <<<"$out" || echo "$out")
nothing_wrong "what a guest's owner writes ends no quotes in a command" "$wrong"
before=$(cd "$bad" && find . -type f -exec sha256sum {} + | sort)
wrong=$(look 1 --root "$bad" --fix-hints; grep -q "^sed -i .*seccomp_sandbox" <<<"$out" || echo "$out"; bash -n <<<"$out" 2>&1)
nothing_wrong "--fix-hints prints commands that a shell can read" "$wrong"
nothing_wrong "and runs none" "$([ "$(cd "$bad" && find . -type f -exec sha256sum {} + | sort)" = "$before" ] || echo "a file changed")"
wrong=$(look 1 --root "$bad" --json; python3 -c '
import json, sys
told = json.load(sys.stdin)
checks = {check["id"]: check for check in told["checks"]}
assert told["fail"] == sum(check["level"] == "FAIL" for check in told["checks"]) > 1
assert checks["qemu-user"]["srg"].startswith("SRG-OS-") and checks["qemu-user"]["fix"]
assert checks["console-network"]["names"][0].startswith("evil\nPASS")' <<<"$out" 2>&1)
nothing_wrong "--json says the same" "$wrong"
wrong=$(look 2 --root "$good" no-such-check; grep -q "no check 'no-such-check'" <<<"$err" || echo "$err")
nothing_wrong "a check that is not there" "$wrong"
wrong=$(look 2 --root "$dir/nothing"; [ -n "$err" ] || echo "no error")
nothing_wrong "a host that is not there" "$wrong"
wrong=$(look 2 --root "$good" --config /nowhere --audit-rules; grep -q /nowhere <<<"$err" || echo "$err")
nothing_wrong "no rules without settings" "$wrong"
wrong=$(look 0 --root "$good" --audit-rules; grep -q '^-a always,exit -F dir=/var/log/virtgate ' <<<"$out" && grep -q '^# not there: .*dir=/var/lib/virtgate ' <<<"$out" || echo "$out")
nothing_wrong "rules for what is there" "$wrong"
end_of_tests
