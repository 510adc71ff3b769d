"""What a change made different is in its outcome, as libvirt tells it before and after."""
import json
import os
import re

import pytest

from conftest import GUEST
from test_audit import documents

PLANTED = "plantpw1"      # QEMU takes eight characters


def outcome(gateway, call, **wanted):
    return gateway.wait_audit(call=call, stage="outcome", **wanted)[-1]


def lines(diff, mark):
    """Lines put in or taken out, without their indentation."""
    return [line[1:].strip() for line in diff.splitlines() if line.startswith(mark) and not line.startswith(3 * mark)]


def test_definition_of_a_domain(own_gateway, libvirtd, scratch, web2_off):
    gateway = own_gateway()
    xml = """<domain type='test'><name>web-diff</name><uuid>6695eb01-f6a4-8304-79aa-97f250400001</uuid><memory unit='KiB'>%d</memory>
<vcpu>1</vcpu><os><type>hvm</type></os></domain>"""
    first, second = scratch.write("diff-1.xml", xml % 131072), scratch.write("diff-2.xml", xml % 262144)
    for path in (first, second):
        done = gateway.virsh("admin", "define", path)
        assert done.returncode == 0, done.stderr
    done = gateway.virsh("admin", "undefine", "web-diff")
    assert done.returncode == 0, done.stderr
    made, changed = [record["diff"] for record in gateway.wait_audit(2, call="domain_define_xml", stage="outcome")]
    assert made.startswith("--- definition\n+++ definition\n@@ -0,0 +1,")
    assert not lines(made, "-") and "<name>web-diff</name>" in lines(made, "+")
    assert lines(changed, "-") == ["<memory unit='KiB'>131072</memory>", "<currentMemory unit='KiB'>131072</currentMemory>"]
    assert lines(changed, "+") == ["<memory unit='KiB'>262144</memory>", "<currentMemory unit='KiB'>262144</currentMemory>"]
    gone = outcome(gateway, "domain_undefine_flags")["diff"]
    assert not lines(gone, "+") and "<name>web-diff</name>" in lines(gone, "-")
    shown = gateway.virtgate("audit", "show", outcome(gateway, "domain_undefine_flags")["op"], "--dir", f"{gateway.dir}/audit")
    assert "\n-  <name>web-diff</name>\n" in shown.stdout and '"diff"' not in shown.stdout, shown.stdout
    # what failed made nothing different; nor does starting and stopping
    assert gateway.virsh("alice", "start", "web-2").returncode == 0
    assert gateway.virsh("alice", "destroy", "web-2").returncode == 0
    assert "diff" not in outcome(gateway, "domain_create")
    assert gateway.virsh("admin", "setmem", "web-2", "99999999", "--config").returncode != 0
    assert "diff" not in outcome(gateway, "domain_set_memory_flags", result__status="error")
    assert gateway.audit_verify().returncode == 0


def test_networks_and_pools(own_gateway, scratch):
    gateway = own_gateway()
    network = "<network><name>web-diff</name><uuid>6695eb01-f6a4-8304-79aa-97f250400003</uuid><bridge name='%s'/></network>"
    for bridge in ("vgdiff0", "vgdiff1"):
        done = gateway.virsh("admin", "net-define", scratch.write("diff-net.xml", network % bridge))
        assert done.returncode == 0, done.stderr
    assert gateway.virsh("admin", "net-undefine", "web-diff").returncode == 0
    made, changed = [record["diff"] for record in gateway.wait_audit(2, call="network_define_xml", stage="outcome")]
    assert made.count("--- ") == 1, "what runs is what is defined: told once"
    assert "<name>web-diff</name>" in lines(made, "+")
    assert any("vgdiff0" in line for line in lines(changed, "-")) and any("vgdiff1" in line for line in lines(changed, "+"))
    assert "<name>web-diff</name>" in lines(outcome(gateway, "network_undefine")["diff"], "-")
    pool = scratch.write("diff-pool.xml", "<pool type='dir'><name>web-diff</name><target><path>/nowhere</path></target></pool>")
    assert gateway.virsh("admin", "pool-define", pool).returncode == 0
    assert gateway.virsh("admin", "pool-undefine", "web-diff").returncode == 0
    assert "<path>/nowhere</path>" in lines(outcome(gateway, "storage_pool_define_xml")["diff"], "+")
    assert "<path>/nowhere</path>" in lines(outcome(gateway, "storage_pool_undefine")["diff"], "-")


@pytest.mark.parametrize("verb,name,call", [("autostart", "web-2", "domain_set_autostart"), ("net-autostart", "default", "network_set_autostart"),
                                            ("pool-autostart", "default-pool", "storage_pool_set_autostart")])
def test_whether_it_starts_with_the_host(own_gateway, verb, name, call):
    """No document says so."""
    gateway = own_gateway()
    for words in ([], [], ["--disable"]):
        done = gateway.virsh("admin", verb, name, *words)
        assert done.returncode == 0, done.stderr
    on, again, off = gateway.wait_audit(3, call=call, stage="outcome")
    assert on["diff"] == "--- autostart\n+++ autostart\n@@ -1,1 +1,1 @@\n-no\n+yes\n"
    assert "diff" not in again and lines(off["diff"], "-") == ["yes"] and lines(off["diff"], "+") == ["no"]
    assert "documents" not in on


@pytest.fixture
def qemu_gateway(own_gateway, libvirtd, guests):
    return own_gateway(allowed_uris=[libvirtd.test_uri, guests])


def test_a_running_guest_has_two_documents(qemu_gateway, libvirtd, guests, scratch):
    gateway = qemu_gateway
    floppy = os.path.join(scratch.directory("diff"), "floppy.img")
    with open(floppy, "wb") as file:
        file.truncate(1474560)
    if libvirtd.state(GUEST, uri=guests) != "running":
        libvirtd.virsh("start", GUEST, uri=guests)
    nic = scratch.write("diff-nic.xml", "<interface type='user'><mac address='52:54:00:11:22:33'/><model type='rtl8139'/></interface>")
    try:
        done = gateway.virsh("admin", "attach-device", GUEST, nic, "--config", uri=guests)
        assert done.returncode == 0, done.stderr
        diff = outcome(gateway, "domain_attach_device_flags")["diff"]
        assert diff.count("--- ") == 1 and "--- definition\n" in diff
        assert "<mac address='52:54:00:11:22:33'/>" in lines(diff, "+") and not lines(diff, "-")
        assert re.search(r"^@@ .* @@ <devices>$", diff, re.M), diff
        done = gateway.virsh("admin", "desc", GUEST, "a line", "--live", uri=guests)
        assert done.returncode == 0, done.stderr
        diff = outcome(gateway, "domain_set_metadata")["diff"]
        assert "--- running\n" in diff and "--- definition\n" not in diff and lines(diff, "+") == ["<description>a line</description>"]
        done = gateway.virsh("admin", "detach-device", GUEST, nic, "--config", uri=guests)
        assert done.returncode == 0, done.stderr
        assert "<mac address='52:54:00:11:22:33'/>" in lines(outcome(gateway, "domain_detach_device_flags")["diff"], "-")
    finally:
        libvirtd.virsh("destroy", GUEST, uri=guests)


def test_volumes(qemu_gateway, libvirtd, guests, scratch):
    gateway = qemu_gateway
    libvirtd.storage_pool("diff-pool")
    volume = "<volume><name>%s</name><capacity unit='bytes'>%d</capacity><target><format type='raw'/></target></volume>"
    try:
        for words in (("vol-create", "diff-pool", scratch.write("diff-vol.xml", volume % ("one.img", 1 << 20))),
                      ("vol-clone", "--pool", "diff-pool", "one.img", "two.img"),
                      ("vol-resize", "--pool", "diff-pool", "one.img", "2097152"),
                      ("vol-delete", "--pool", "diff-pool", "two.img")):
            done = gateway.virsh("admin", *words, uri=guests)
            assert done.returncode == 0, done.stderr
    finally:
        for verb in ("pool-destroy", "pool-undefine"):
            libvirtd.virsh(verb, "diff-pool", uri=guests)
    kept = documents(gateway)

    def text(record, which):
        return kept[record["documents"][which]]
    made = outcome(gateway, "storage_vol_create_xml")
    assert set(made["documents"]) == {"after"} and "<capacity unit='bytes'>1048576</capacity>" in lines(made["diff"], "+"), made
    assert "<name>one.img</name>" in text(made, "after") and "<atime>" not in text(made, "after")
    assert "<name>one.img</name>" in text(gateway.audit(op=made["op"], stage="intent")[0], "asked")
    cloned = outcome(gateway, "storage_vol_create_xml_from")
    assert "<name>two.img</name>" in text(cloned, "after") and "before" not in cloned["documents"]
    resized = outcome(gateway, "storage_vol_resize")
    assert "<capacity unit='bytes'>1048576</capacity>" in lines(resized["diff"], "-")
    assert "<capacity unit='bytes'>2097152</capacity>" in lines(resized["diff"], "+")
    assert "1048576</capacity>" in text(resized, "before") and "2097152</capacity>" in text(resized, "after")
    gone = outcome(gateway, "storage_vol_delete")
    assert set(gone["documents"]) == {"before"} and "<name>two.img</name>" in lines(gone["diff"], "-") and not lines(gone["diff"], "+")
    assert gateway.audit_verify().returncode == 0


def test_snapshots_and_checkpoints(own_gateway, libvirtd, scratch):
    gateway = own_gateway()
    domain = scratch.write("diff-snap.xml", "<domain type='test'><name>web-snap</name><uuid>6695eb01-f6a4-8304-79aa-97f250400005</uuid>"
                           "<memory>8192</memory><os><type>hvm</type></os><devices><disk type='file' device='disk'><driver type='qcow2'/>"
                           f"<source file='/nowhere/snap.img'/><target dev='vda'/></disk><graphics type='vnc' passwd='{PLANTED}'/></devices></domain>")
    libvirtd.virsh("define", domain)
    try:
        libvirtd.virsh("start", "web-snap")
        for words in (("snapshot-create-as", "web-snap", "first", "a description"), ("snapshot-revert", "web-snap", "first"),
                      ("snapshot-delete", "web-snap", "first"),
                      ("checkpoint-create", "web-snap", scratch.write("diff-check.xml", "<domaincheckpoint><name>point</name></domaincheckpoint>")),
                      ("checkpoint-delete", "web-snap", "point")):
            done = gateway.virsh("admin", *words)
            assert done.returncode == 0, (words, done.stderr)
    finally:
        libvirtd.virsh("destroy", "web-snap", check=False)
        libvirtd.virsh("undefine", "web-snap", "--snapshots-metadata", check=False)
    kept = documents(gateway)
    for call, has, name, sign in (("domain_snapshot_create_xml", "after", "snapshot", "+"), ("domain_snapshot_delete", "before", "snapshot", "-"),
                                  ("domain_checkpoint_create_xml", "after", "checkpoint", "+"), ("domain_checkpoint_delete", "before", "checkpoint", "-")):
        record = outcome(gateway, call)
        member, other = f"{has}_{name}", f"{'before' if has == 'after' else 'after'}_{name}"
        assert member in record["documents"] and other not in record["documents"], (call, record["documents"])
        assert f"<domain{name}>" in kept[record["documents"][member]]
        shown = gateway.virtgate("audit", "show", record["op"], "--dir", f"{gateway.dir}/audit", "--document", member)
        assert shown.stdout == kept[record["documents"][member]], shown.stderr
        assert f"--- {name}\n" in record["diff"] and f"<domain{name}>" in lines(record["diff"], sign)
    reverted = outcome(gateway, "domain_revert_to_snapshot")["documents"]
    assert {"before", "before_snapshot"} <= set(reverted) and "<description>a description</description>" in kept[reverted["before_snapshot"]]
    trail = json.dumps(gateway.audit())
    assert PLANTED not in trail and not any(PLANTED in text for text in kept.values())
    assert gateway.audit_verify().returncode == 0


def test_secrets_are_in_no_difference(qemu_gateway, libvirtd, guests, scratch):
    gateway = qemu_gateway
    xml = libvirtd.virsh("dumpxml", "--inactive", GUEST, uri=guests).stdout
    secret_uuid = "6695eb01-f6a4-8304-79aa-97f250400002"
    guarded = re.sub(r"<graphics type='vnc'[^>]*>", rf"<graphics type='vnc' port='-1' autoport='yes' passwd='{PLANTED}'>", xml)
    assert PLANTED in guarded
    try:
        done = gateway.virsh("admin", "define", scratch.write("diff-guarded.xml", guarded), uri=guests)
        assert done.returncode == 0, done.stderr
        secret = scratch.write("diff-secret.xml", f"<secret ephemeral='no' private='yes'><uuid>{secret_uuid}</uuid><usage type='volume'>"
                               "<volume>/nowhere/diff.img</volume></usage></secret>")
        assert gateway.virsh("admin", "secret-define", secret, uri=guests).returncode == 0
        diff = outcome(gateway, "secret_define_xml")["diff"]
        assert f"<uuid>{secret_uuid}</uuid>" in lines(diff, "+"), diff
        assert gateway.virsh("admin", "secret-set-value", secret_uuid, "cGxhbnRlZC12YWx1ZQ==", uri=guests).returncode == 0
        assert gateway.virsh("admin", "secret-undefine", secret_uuid, uri=guests).returncode == 0
    finally:
        libvirtd.virsh("define", scratch.write("diff-restored.xml", xml), uri=guests)
    gateway.wait_audit(call="secret_undefine", stage="outcome")
    trail = json.dumps(gateway.audit())
    for planted in (PLANTED, "planted-value", "cGxhbnRlZC12YWx1ZQ"):
        assert planted not in trail
    kept = documents(gateway)
    assert any(secret_uuid in text for text in kept.values()) and any("<graphics type='vnc'" in text for text in kept.values())
    for planted in (PLANTED, "planted-value", "cGxhbnRlZC12YWx1ZQ"):
        assert not any(planted in text for text in kept.values())
