"""Changes behind the gateway's back are on record, and those that went through it are not told twice."""
import json
import os
import signal
import time

import pytest

from conftest import GUEST, GUEST_UUID
from lab.libvirtd import Libvirtd
from lab.process import wait_until


def outside(gateway, **wanted):
    return [record for record in gateway.audit(**wanted) if record["event"].startswith("outside.")]


def told(gateway, **wanted):
    return [(record["object"]["name"], record["result"]["message"]) for record in outside(gateway, **wanted)]


def wait_told(gateway, name, what, code="VG1302W"):
    return gateway.wait_audit(code=code, object__name=name, result__message=what)[0]


def test_what_local_root_does_is_recorded_and_what_clients_do_is_not(own_gateway, libvirtd):
    gateway = own_gateway()
    for verb in ("start", "destroy"):
        done = gateway.virsh("alice", verb, "web-2")
        assert done.returncode == 0, done.stderr
    libvirtd.virsh("start", "db-1")
    try:
        record = wait_told(gateway, "db-1", "started")
        assert record["stage"] == "event" and record["object"]["class"] == "domain" and len(record["object"]["uuid"]) == 36
        assert record["connection"] == {"uri": libvirtd.test_uri} and "user" not in record
    finally:
        libvirtd.virsh("destroy", "db-1")
    wait_told(gateway, "db-1", "powered off by force")
    assert not [name for name, _ in told(gateway) if name == "web-2"]
    status = json.loads(gateway.virtgate("--config", f"{gateway.dir}/virtgated.conf", "--json", "status").stdout)
    assert status["outside_changes"] == len(outside(gateway))
    assert gateway.audit_verify().returncode == 0


def test_definitions_networks_and_pools(own_gateway, libvirtd, scratch):
    gateway = own_gateway()
    network = scratch.write("outside-net.xml", "<network><name>web-outside</name><bridge name='vgout0'/></network>")
    pool = scratch.write("outside-pool.xml", "<pool type='dir'><name>web-outside</name><target><path>/nowhere</path></target></pool>")
    domain = scratch.write("outside-dom.xml", "<domain type='test'><name>web-outside</name><memory>1024</memory><os><type>hvm</type></os></domain>")
    for define, undefine, path, kind in (("net-define", "net-undefine", network, "network"),
                                         ("pool-define", "pool-undefine", pool, "storage_pool"), ("define", "undefine", domain, "domain")):
        libvirtd.virsh(define, path)
        libvirtd.virsh(undefine, "web-outside")
        for what in ("defined", "undefined"):
            gateway.wait_audit(code="VG1302W", object__class=kind, object__name="web-outside", result__message=what)
    # the same by an admin, through the gateway: intent and outcome tell it, nothing else does
    before = len(outside(gateway))
    for define, undefine, path in (("net-define", "net-undefine", network), ("pool-define", "pool-undefine", pool), ("define", "undefine", domain)):
        for words in ((define, path), (undefine, "web-outside")):
            done = gateway.virsh("admin", *words)
            assert done.returncode == 0, done.stderr
    libvirtd.virsh("start", "db-1")     # comes behind all of those
    libvirtd.virsh("destroy", "db-1")
    wait_told(gateway, "db-1", "powered off by force")
    assert told(gateway)[before:] == [("db-1", "started"), ("db-1", "powered off by force")]


def test_a_change_explains_only_its_own_object(own_gateway, libvirtd):
    gateway = own_gateway()
    assert gateway.virsh("alice", "start", "web-2").returncode == 0
    libvirtd.virsh("start", "db-1")
    libvirtd.virsh("destroy", "db-1")
    wait_told(gateway, "db-1", "powered off by force")
    assert gateway.virsh("alice", "destroy", "web-2").returncode == 0
    # five seconds after the answer it does not explain any more
    time.sleep(7)
    libvirtd.virsh("start", "web-2")
    libvirtd.virsh("destroy", "web-2")
    wait_told(gateway, "web-2", "started")


def test_a_change_explains_only_what_it_does(own_gateway, libvirtd, scratch):
    """A definition no start and a start no definition, of the same object and right behind it."""
    gateway = own_gateway()
    ours, theirs = (scratch.write(f"outside-{name}.xml", f"<domain type='test'><name>{name}</name><memory>1024</memory><os><type>hvm</type></os></domain>")
                    for name in ("web-ours", "web-theirs"))
    try:
        libvirtd.virsh("define", theirs)
        done = gateway.virsh("admin", "define", ours)
        assert done.returncode == 0, done.stderr
        libvirtd.virsh("start", "web-ours")
        done = gateway.virsh("alice", "start", "web-theirs")
        assert done.returncode == 0, done.stderr
        libvirtd.virsh("undefine", "web-theirs")
        wait_told(gateway, "web-ours", "started")
        wait_told(gateway, "web-theirs", "undefined")
        assert sorted(told(gateway)) == [("web-ours", "started"), ("web-theirs", "defined"), ("web-theirs", "undefined")]
    finally:
        for name in ("web-ours", "web-theirs"):
            libvirtd.virsh("destroy", name, check=False)
            libvirtd.virsh("undefine", name, check=False)


def test_a_real_guest_with_devices_and_secrets(own_gateway, libvirtd, guests, scratch):
    if libvirtd.qemu_uri != guests:
        pytest.skip("no QEMU guests here")
    gateway = own_gateway(allowed_uris=[libvirtd.test_uri, guests])
    secret = scratch.write("outside-secret.xml", "<secret ephemeral='yes' private='yes'><uuid>6695eb01-f6a4-8304-79aa-97f250200001</uuid>"
                           "<usage type='volume'><volume>/nowhere/outside.img</volume></usage></secret>")
    if libvirtd.state(GUEST, uri=guests) == "running":
        libvirtd.virsh("destroy", GUEST, uri=guests)
    libvirtd.virsh("start", GUEST, uri=guests)
    try:
        assert wait_told(gateway, GUEST, "started")["object"]["uuid"] == GUEST_UUID
        libvirtd.virsh("metadata", GUEST, "urn:outside", "--key", "o", "--set", "<a/>", "--live", uri=guests)
        assert wait_told(gateway, GUEST, "metadata changed")["part"] == "urn:outside"
        disk = libvirtd.virsh("domblklist", GUEST, uri=guests).stdout.split("\n")[2].split()[0]
        libvirtd.virsh("blkdeviotune", GUEST, disk, "--total-bytes-sec", "10485760", "--live", uri=guests)
        tuned = wait_told(gateway, GUEST, "tuned")["args"]
        assert tuned["params.blkdeviotune.disk"] == disk and tuned["params.blkdeviotune.total_bytes_sec"] == 10485760
    finally:
        libvirtd.virsh("destroy", GUEST, uri=guests)
    wait_told(gateway, GUEST, "powered off by force")
    libvirtd.virsh("secret-define", secret, uri=guests)
    libvirtd.virsh("secret-set-value", "6695eb01-f6a4-8304-79aa-97f250200001", "cGxhbnRlZA==", uri=guests)
    libvirtd.virsh("secret-undefine", "6695eb01-f6a4-8304-79aa-97f250200001", uri=guests)
    for what in ("defined", "value changed", "undefined"):
        gateway.wait_audit(code="VG1302W", object__class="secret", object__uuid="6695eb01-f6a4-8304-79aa-97f250200001", result__message=what)


def test_what_happened_while_libvirtd_was_away(make_gateway, scratch):
    own = Libvirtd(scratch, name="outside-libvirtd")
    own.start_daemon()
    scratch.later(own.stop)
    uri = own.qemu_uri
    own.define_guest("web-stays", "6695eb01-f6a4-8304-79aa-97f250300001")
    own.define_guest("web-goes", "6695eb01-f6a4-8304-79aa-97f250300002")
    gateway = make_gateway("outside-away", libvirtd=own, allowed_uris=[uri])
    listed = gateway.virsh("admin", "list", "--all", "--name", uri=uri)
    assert set(listed.stdout.split()) == {"web-stays", "web-goes"}, listed.stderr
    gateway.wait_audit(event="inventory.taken")
    own.crash()
    wait_until(lambda: "trying again" in gateway.log(), "the gateway to notice", 10)
    # the gateway tries again every second: it must not see the steps, only the result
    gate = gateway.children("gate")[0]
    os.kill(gate, signal.SIGSTOP)
    try:
        own.start_daemon()
        own.virsh("undefine", "web-goes", uri=uri)
        own.define_guest("web-comes", "6695eb01-f6a4-8304-79aa-97f250300003")
    finally:
        os.kill(gate, signal.SIGCONT)
    record = wait_told(gateway, "web-goes", "is not there any more", "VG1305W")
    assert record["away"]["what"] == "libvirtd" and record["away"]["from"] < record["away"]["to"]
    wait_told(gateway, "web-comes", "is there, and was not before", "VG1305W")
    assert gateway.wait_audit(event="inventory.compared")[0]["changed"] == 2
    assert not [name for name, _ in told(gateway) if name == "web-stays"]


def test_block_jobs_end_on_record(own_gateway, libvirtd, guests, scratch):
    """A copy of a running guest's disk by local root: that it is there and that it was ended, by whoever."""
    if libvirtd.qemu_uri != guests:
        pytest.skip("no QEMU guests here")
    gateway = own_gateway(allowed_uris=[libvirtd.test_uri, guests])
    if libvirtd.state(GUEST, uri=guests) == "running":
        libvirtd.virsh("destroy", GUEST, uri=guests)
    libvirtd.virsh("start", GUEST, uri=guests)
    try:
        disk = libvirtd.virsh("domblklist", GUEST, uri=guests).stdout.split("\n")[2].split()[0]
        copy = os.path.join(scratch.directory("outside-copy", mode=0o777), "copy.img")
        libvirtd.virsh("blockcopy", GUEST, disk, copy, "--transient-job", "--wait", "--finish", uri=guests)
        record = wait_told(gateway, GUEST, "block job waits to be ended", code="VG1303I")
        wait_told(gateway, GUEST, "block job canceled")
        assert record["part"] == disk and record["args"]["type"] == 2       # VIR_DOMAIN_BLOCK_JOB_TYPE_COPY
    finally:
        libvirtd.virsh("destroy", GUEST, uri=guests)
