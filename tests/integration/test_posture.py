"""`virtgate posture` on a real host: a private libvirtd, a QEMU guest that shows its screen without a password, the kernel's audit rules."""
import contextlib
import json
import os
import re
import shutil
import subprocess

import pytest

from lab.audit import kernel_audit
from lab.libvirtd import Libvirtd, boot_disk, have_qemu
from lab.process import PATIENCE, children_of, clean_environment, free_port

pytestmark = [pytest.mark.skipif(os.geteuid() != 0, reason="needs root: a libvirtd of its own"),
              pytest.mark.skipif(not have_qemu(), reason="qemu-system-x86_64 is not installed")]

TOP = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
NAME = "open-q"
GUEST = """<domain type='qemu'><name>{name}</name><uuid>44444444-0000-4000-8000-0000000000ee</uuid><memory unit='MiB'>32</memory><vcpu>1</vcpu>
<os><type arch='x86_64'>hvm</type></os><devices><emulator>/usr/bin/qemu-system-x86_64</emulator>
<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{disk}'/><target dev='vda' bus='virtio'/></disk>
<interface type='user'><mac address='52:54:00:00:00:99'/></interface>
<graphics type='vnc' port='-1' autoport='yes' listen='{address}'/></devices></domain>"""


def virsh(libvirtd, *arguments, stdin=None):
    done = subprocess.run(["virsh", "-q", "-c", libvirtd.direct("qemu:///system"), *arguments], input=stdin, capture_output=True, text=True, check=False,
                          timeout=PATIENCE, env=clean_environment())
    assert done.returncode == 0, done.stderr


def posture(build, root, *arguments, config="/nonexistent"):
    return subprocess.run([f"{build}/virtgate", "posture", "--root", root, "--config", config, *arguments], capture_output=True, text=True,
                          check=False, timeout=PATIENCE)


def levels(result):
    return {check["id"]: check for check in json.loads(result.stdout)["checks"]}


def test_guest_on_the_network(libvirtd, scratch, build):
    root = f"/proc/{libvirtd.daemon.process.pid}/root"
    disk = f"{scratch.directory('posture-disk')}/disk.img"
    with open(disk, "wb") as file:
        file.write(boot_disk())
    os.chmod(disk, 0o646)
    before = levels(posture(build, root, "--json"))
    assert NAME not in str(before["console-network"]["names"])
    # what the private qemu.conf of tests says
    assert before["qemu-user"]["level"] == before["qemu-security-driver"]["level"] == before["qemu-namespaces"]["level"] == "FAIL"
    assert before["qemu-ownership"]["level"] == "WARN"
    virsh(libvirtd, "create", "/dev/stdin", stdin=GUEST.format(name=NAME, disk=disk, address="0.0.0.0"))
    try:
        result = posture(build, root, "--json")
        now = levels(result)
        assert result.returncode == 1
        assert now["console-network"]["level"] == "FAIL" and NAME in str(now["console-network"]["names"])
        assert "no password" in " ".join(now["console-network"]["names"])
        assert now["image-mode"]["level"] == "FAIL" and disk in str(now["image-mode"]["names"])
        # the process itself was seen: root, as qemu.conf wants it, and under QEMU's own filter of system calls
        assert any(name.startswith("pid ") for name in now["qemu-user"]["names"])
        # (one that somebody else has just started may have no filter yet)
        with open(f"{libvirtd.dir}/runlv/qemu/{NAME}.pid", encoding="ascii") as file:
            pid = file.read().strip()
        assert now["qemu-seccomp"]["level"] != "SKIP" and f"pid {pid}" not in now["qemu-seccomp"]["names"], now["qemu-seccomp"]
        shown = posture(build, root, "console-network")
        assert shown.returncode == 1 and "FAIL  console-network: " in shown.stdout and NAME in shown.stdout
        fixes = posture(build, root, "--fix-hints", "image-mode")
        assert f"\nchmod o-rwx '{disk}'\n" in fixes.stdout and os.stat(disk).st_mode & 0o777 == 0o646
        nobody = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", f"{build}/virtgate", "posture", "--json"],
                                capture_output=True, text=True, check=False, timeout=PATIENCE)
        seen = levels(nobody)
        assert len(seen) == len(now), nobody.stderr
        if os.path.exists("/etc/libvirt/qemu.conf") and not os.stat("/etc/libvirt/qemu.conf").st_mode & 0o004:
            assert seen["qemu-user"]["level"] == "SKIP" and "/etc/libvirt/qemu.conf: Permission denied" in seen["qemu-user"]["what"]
    finally:
        virsh(libvirtd, "destroy", NAME)
    after = levels(posture(build, root, "--json"))
    assert NAME not in str(after["console-network"]["names"])


@pytest.mark.parametrize("password", ["", " passwd='pl4nted'"])
def test_guest_on_this_host_only(libvirtd, scratch, build, password):
    root = f"/proc/{libvirtd.daemon.process.pid}/root"
    disk = f"{scratch.directory('posture-disk')}/local.img"
    with open(disk, "wb") as file:
        file.write(boot_disk())
    virsh(libvirtd, "create", "/dev/stdin", stdin=GUEST.format(name=NAME, disk=disk, address="127.0.0.1").replace(" autoport", password + " autoport"))
    try:
        result = posture(build, root, "--json")
        now = levels(result)
        assert NAME not in str(now["console-network"]["names"])
        assert (NAME in str(now["console-local"]["names"])) == (password == "")
        assert "pl4nted" not in result.stdout
    finally:
        virsh(libvirtd, "destroy", NAME)


class ListeningLibvirtd(Libvirtd):
    """One with a TCP port of its own, for everybody, and its configuration where it is looked for."""
    seeds = {}

    def _configuration(self, extra=""):
        self.port = free_port()
        command = super()._configuration(f'{extra}listen_tls = 0\nlisten_tcp = 1\nauth_tcp = "none"\nlisten_addr = "127.0.0.1"\n'
                                         f'tcp_port = "{self.port}"\n')
        shutil.copy(f"{self.dir}/libvirtd.conf", f"{self.dir}/etc/libvirtd.conf")
        return command + ["--listen"]


def test_libvirtd_that_listens(scratch, build):
    libvirtd = ListeningLibvirtd(scratch, "posture-listening", cache=os.path.join(TOP, "build", "qemu-cache")).start()
    root = f"/proc/{libvirtd.daemon.process.pid}/root"
    now = levels(posture(build, root, "--json"))
    assert now["libvirt-network"]["level"] == "WARN" and f"libvirtd 127.0.0.1 port {libvirtd.port}" in now["libvirt-network"]["names"]
    assert now["libvirt-auth"]["level"] == "FAIL" and now["libvirt-listen-settings"]["level"] == "WARN"
    libvirtd.stop()
    assert f"port {libvirtd.port}" not in str(levels(posture(build, "/", "--json"))["libvirt-network"]["names"])


def test_gateway_that_runs(make_gateway, build):
    gateway = make_gateway("posture-gateway")
    config = f"{gateway.dir}/virtgated.conf"
    now = levels(posture(build, "/", "--json", config=config))
    # root made them other users without capabilities; the kernel says so (and what other gateways of this host are doing is not asked here)
    kept = " ".join(now["gateway-processes"]["names"])
    assert now["gateway-processes"]["level"] != "SKIP"
    assert not [pid for pid in children_of(gateway.daemon.pid) if re.search(rf"\bpid {pid}\b", kept)], kept
    assert now["gateway-address"]["level"] == "PASS" and "127.0.0.1" in now["gateway-address"]["what"]
    assert now["gateway-certificates"]["level"] != "FAIL", now["gateway-certificates"]
    # others on this host may have libvirtds that listen; the gateway is not taken for one
    assert now["libvirt-network"]["level"] != "SKIP" and not any(f"port {port}" in name for name in now["libvirt-network"]["names"] for port in gateway.ports.values())
    os.chmod(gateway.policy_file, 0o666)
    worse = levels(posture(build, "/", "--json", config=config))
    assert worse["gateway-files"]["level"] == "FAIL" and f"{gateway.policy_file} (mode 0666)" in worse["gateway-files"]["names"]
    key = gateway.settings["key_file"]
    before = os.stat(key).st_mode & 0o777
    os.chmod(key, 0o644)
    try:
        worse = levels(posture(build, "/", "--json", config=config))["gateway-certificates"]
        assert worse["level"] == "FAIL" and any(name.startswith(f"{key}: every user") for name in worse["names"]), worse
    finally:
        os.chmod(key, before)
    rules = posture(build, "/", "--audit-rules", config=config).stdout
    # the first virtgated that is found to run, which need not be this one
    assert re.search(r" -F exe!=/\S*/virtgated -k virtgate-key\n", rules) and f"path={gateway.settings['key_file']} -F perm=rwa" in rules


@pytest.mark.skipif(shutil.which("auditctl") is None, reason="auditctl is not installed")
def test_audit_rules_load(scratch, build):
    """The kernel itself takes the rules. They are removed again, and the audit system is not switched on."""
    place = scratch.directory("posture-audit")
    for name in ("pki", "log", "state"):
        os.makedirs(f"{place}/{name}", exist_ok=True)
    config = f"{place}/virtgated.conf"
    with open(config, "w", encoding="utf-8") as file:
        file.write(f'key_file = "{place}/pki/key.pem"\ncert_file = "{place}/pki/cert.pem"\nca_file = "{place}/pki/ca.pem"\n'
                   f'policy_file = "{place}/policy.json"\naudit_dir = "{place}/log"\nstate_dir = "{place}/state"\n')
    printed = posture(build, "/", "--audit-rules", config=config)
    assert printed.returncode == 0, printed.stderr
    rules = [line for line in printed.stdout.splitlines() if line and not line.startswith("#")]
    keys = sorted({line.rsplit("-k ", 1)[1] for line in rules})
    assert keys == ["virtgate-images", "virtgate-key", "virtgate-libvirt", "virtgate-policy", "virtgate-qemu", "virtgate-trail"] or \
        keys == ["virtgate-key", "virtgate-libvirt", "virtgate-policy", "virtgate-qemu", "virtgate-trail"]
    if subprocess.run(["auditctl", "-s"], capture_output=True, check=False).returncode != 0:
        pytest.skip("the kernel has no audit system for us")
    with open(f"{place}/virtgate.rules", "w", encoding="utf-8") as file:
        file.write(printed.stdout)
    try:
        loaded = subprocess.run(["auditctl", "-R", f"{place}/virtgate.rules"], capture_output=True, text=True, check=False)
        assert loaded.returncode == 0 and "rror" not in loaded.stderr, loaded.stderr
        listed = subprocess.run(["auditctl", "-l"], capture_output=True, text=True, check=True).stdout.splitlines()
        assert len([line for line in listed if "virtgate-" in line]) == len(rules), listed
    finally:
        for key in keys:
            subprocess.run(["auditctl", "-D", "-k", key], capture_output=True, check=False)


def set_up_rules(scratch, build, name):
    """A gateway's files, all there, and the rules that are printed for them: the file of rules, and their keys."""
    place = scratch.directory(name, mode=0o755)
    for folder in ("log", "state"):
        os.makedirs(f"{place}/{folder}")
    for file in ("key.pem", "cert.pem", "ca.pem", "policy.json"):
        scratch.write(f"{name}/{file}", "{}")
    config = scratch.write(f"{name}/virtgated.conf", f'key_file = "{place}/key.pem"\ncert_file = "{place}/cert.pem"\nca_file = "{place}/ca.pem"\n'
                           f'policy_file = "{place}/policy.json"\naudit_dir = "{place}/log"\nstate_dir = "{place}/state"\n')
    printed = posture(build, "/", "--audit-rules", config=config)
    assert printed.returncode == 0, printed.stderr
    keys = sorted(set(re.findall(r"^-a .* -k (\S+)$", printed.stdout, re.M)))
    return place, scratch.write(f"{name}/virtgate.rules", printed.stdout), keys


@pytest.mark.skipif(shutil.which("auditctl") is None, reason="auditctl is not installed")
def test_audit_rules_fire(scratch, build):
    """Each of the four promises, broken once: the kernel says which, by whom and on what."""
    place, rules, keys = set_up_rules(scratch, build, "posture-fire")
    forbidden = scratch.write("posture-fire/forbidden.img", "of another guest")
    os.chmod(forbidden, 0o600)
    images = "/var/lib/libvirt/images"
    probe = f"{images}/virtgate-probe-{os.getpid()}.img"
    with contextlib.ExitStack() as stack:
        try:
            audit = stack.enter_context(kernel_audit())
        except OSError as error:
            pytest.skip(f"this kernel's audit is not ours to turn on: {error}")
        stack.callback(lambda: [subprocess.run(["auditctl", "-D", "-k", key], capture_output=True, check=False) for key in keys])
        loaded = subprocess.run(["auditctl", "-R", rules], capture_output=True, text=True, check=False)
        assert loaded.returncode == 0 and "rror" not in loaded.stderr, loaded.stderr
        expected = {"virtgate-key": f"{place}/key.pem", "virtgate-policy": f"{place}/policy.json", "virtgate-trail": f"{place}/log/audit-000001.jsonl"}
        subprocess.run(["cat", f"{place}/key.pem"], check=True, capture_output=True)
        with open(f"{place}/policy.json", "a", encoding="ascii") as file:
            file.write(" ")
        with open(f"{place}/log/audit-000001.jsonl", "w", encoding="ascii") as file:
            file.write("forged")
        if "virtgate-images" in keys:
            expected["virtgate-images"] = probe
            with open(probe, "w", encoding="ascii") as file:
                file.write("overwritten")
            os.unlink(probe)
        if "virtgate-qemu" in keys:
            expected["virtgate-qemu"] = forbidden
            subprocess.run(["setpriv", "--reuid", "65534", "--clear-groups", "qemu-system-x86_64", "-S", "-display", "none", "-drive",
                            f"file={forbidden},format=raw,if=virtio"], check=False, capture_output=True, timeout=PATIENCE)
        events, fired = {}, {}
        for _, text in audit.messages(PATIENCE):
            serial = re.search(r"audit\([\d.]+:(\d+)\)", text)
            if serial:
                events.setdefault(serial[1], []).append(text)
            for parts in events.values():
                whole = " ".join(parts)
                for key, path in expected.items():
                    if f'key="{key}"' in whole and f'name="{path}"' in whole:
                        fired[key] = whole
            if len(fired) == len(expected):
                break
        assert sorted(fired) == sorted(expected), fired
        assert all(re.search(r' uid=\d+ .* exe="', whole) for whole in fired.values())
        assert 'exe="/usr/bin/qemu-system-x86_64"' in fired.get("virtgate-qemu", 'exe="/usr/bin/qemu-system-x86_64"')
