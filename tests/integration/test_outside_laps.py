"""What somebody on the host changes while the gateway runs, and libvirtd tells nobody, is found by comparing; our own changes never are."""
import itertools
import os
import signal

import pytest

from lab.libvirtd import Libvirtd
from lab.process import wait_until
from outsider import DEFINE, UUID, WORLD, define, kept, kill_all, name_of, undefine

NUMBERS = itertools.count()
CLIENTS = 20


@pytest.fixture(scope="module")
def own(scratch):
    daemon = Libvirtd(scratch, name="laps-libvirtd")
    daemon.start_daemon()
    yield daemon
    daemon.stop()


def gateway_for(own, make_gateway, interval):
    """What root defined goes with it."""
    gateway = make_gateway(f"laps-{next(NUMBERS)}", libvirtd=own, allowed_uris=[own.qemu_uri], inventory_interval=interval, log_level=1, log_outputs=["1:stderr"])
    wait_until(lambda: kept(gateway, WORLD) not in ([], [(0,)]), "what there is to be kept")
    yield gateway
    gateway.stop()
    for kind, (_, gone, _) in DEFINE.items():
        for number in range(1, 5):
            own.virsh(gone, name_of(kind, number), uri=own.qemu_uri, check=False)


@pytest.fixture
def lapping(own, make_gateway):
    """A gateway that compares once a second."""
    yield from gateway_for(own, make_gateway, 1)


@pytest.fixture
def settled(own, make_gateway):
    """One that only looks at what was touched."""
    yield from gateway_for(own, make_gateway, 0)


def laps(gateway):
    return gateway.log().count(" objects compared in ")


def after_laps(gateway, number):
    before = laps(gateway)
    wait_until(lambda: laps(gateway) >= before + number, f"{number} comparisons", 400)


def found(gateway, count=1, **wanted):
    return gateway.wait_audit(count, event="outside.host", found_by="comparison", **wanted)


def lines(record, mark):
    return [line[1:].strip() for line in record["diff"].splitlines() if line.startswith(mark) and not line.startswith(3 * mark)]


def test_what_libvirtd_tells_nobody_is_found(lapping, own, scratch):
    define(own, scratch, "nwfilter", 1, 1)
    record, = found(lapping, object__class="nwfilter")
    assert record["code"] == "VG1302W" and record["object"] == {"class": "nwfilter", "name": "away-nwfilter-1", "uuid": UUID % 1}
    assert record["result"]["message"] == "is there, and was not before" and set(record["documents"]) == {"after"} and "away" not in record
    assert record["connection"] == {"uri": own.qemu_uri} and "user" not in record
    define(own, scratch, "nwfilter", 1, 2)
    record = found(lapping, 2, object__class="nwfilter")[1]
    assert record["result"]["message"] == "is defined otherwise" and record["last_seen"] < record["time"]
    assert lines(record, "-") == ["<filter name='away-nwfilter-1' chain='root' priority='11'>"]
    assert lines(record, "+") == ["<filter name='away-nwfilter-1' chain='root' priority='21'>"]
    undefine(own, "nwfilter", 1)
    record = found(lapping, 3, object__class="nwfilter")[2]
    assert record["result"]["message"] == "is not there any more" and set(record["documents"]) == {"before"}

    for kind in ("domain", "network", "storage_pool"):
        define(own, scratch, kind, 2, 8)
    wait_until(lambda: len(kept(lapping, f"SELECT * FROM thing WHERE uuid = '{UUID % 2}'")) == 3, "these to be kept")
    verbs = {"domain": "autostart", "network": "net-autostart", "storage_pool": "pool-autostart"}
    for how, message in (((), "is started with the host, and was not before"), (("--disable",), "is not started with the host any more")):
        for kind, verb in verbs.items():
            own.virsh(verb, name_of(kind, 2), *how, uri=own.qemu_uri)
        for kind in verbs:
            record, = found(lapping, object__class=kind, result__message=message)
            assert record["object"]["name"] == name_of(kind, 2) and "diff" not in record
    own.virsh("setmem", "away-domain-2", "4096", "--config", uri=own.qemu_uri)
    record, = found(lapping, object__class="domain", result__message="is defined otherwise")
    assert lines(record, "-") == ["<currentMemory unit='KiB'>8192</currentMemory>"]
    assert lines(record, "+") == ["<currentMemory unit='KiB'>4096</currentMemory>"]
    before = [record for record in lapping.audit() if record["event"].startswith("outside.")]
    after_laps(lapping, 3)      # nothing changed: nothing is told, nor that it was compared
    assert before == [record for record in lapping.audit() if record["event"].startswith("outside.")] and not lapping.audit(event="inventory.compared")
    lapping.stop()
    assert lapping.audit_verify().returncode == 0


def ours(gateway, own, *words):
    done = gateway.virsh("admin", *words, uri=own.qemu_uri)
    assert done.returncode == 0, done.stderr


def with_parts(gateway, own, scratch):
    """A pool that runs and a domain, with a volume and a snapshot each, made by our own people."""
    directory = scratch.directory(f"laps-pool-{next(NUMBERS)}", mode=0o777)
    pool = scratch.write("laps-pool.xml", f"<pool type='dir'><name>away-storage_pool-3</name><uuid>{UUID % 3}</uuid><target><path>{directory}</path></target></pool>")
    guest = scratch.write("laps-disk.xml", f"<domain type='qemu'><name>away-domain-3</name><uuid>{UUID % 3}</uuid><memory>4096</memory><os><type>hvm</type></os>"
                          f"<devices><disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{directory}/disk'/><target dev='vda'/></disk>"
                          "</devices></domain>")
    for words in (("pool-define", pool), ("pool-start", "away-storage_pool-3"), ("vol-create-as", "away-storage_pool-3", "disk", "1M", "--format", "qcow2"),
                  ("vol-create-as", "away-storage_pool-3", "ours-1", "1M"), ("define", guest), ("snapshot-create-as", "away-domain-3", "ours-1")):
        ours(gateway, own, *words)
    question = f"SELECT class FROM thing WHERE uuid = '{UUID % 3}' AND class IN ('volumes', 'snapshots')"
    wait_until(lambda: len(kept(gateway, question)) == 2, "these to be kept")


@pytest.fixture
def parts(own):
    yield
    own.virsh("undefine", "away-domain-3", "--snapshots-metadata", uri=own.qemu_uri, check=False)
    own.virsh("pool-destroy", "away-storage_pool-3", uri=own.qemu_uri, check=False)
    own.virsh("pool-undefine", "away-storage_pool-3", uri=own.qemu_uri, check=False)


# What our own people do, as fast as they can; without UUIDs of their own, as virsh does.
CHANGES = """
number, conn, before = 0, connect(), []
pool = conn.storagePoolLookupByName("away-storage_pool-3")
domain = "<domain type='qemu'><name>%s</name>%s<memory>%d</memory><os><type>hvm</type></os></domain>"
filter = "<filter name='%s' chain='root' priority='%d'><uuid>%s</uuid></filter>"
while not os.path.exists(sys.argv[3]):
    number += 1
    name = f"laps-{sys.argv[2]}-{number}"
    guest = conn.defineXML(domain % (name, "", 4096))
    guest.setAutostart(1)
    conn.defineXML(domain % (name, f"<uuid>{guest.UUIDString()}</uuid>", 8192))
    guest.setMemoryFlags(4096, libvirt.VIR_DOMAIN_AFFECT_CONFIG)
    rules = conn.nwfilterDefineXML(filter % (name, 1, guest.UUIDString()))
    rules = conn.nwfilterDefineXML(filter % (name, 2, guest.UUIDString()))
    volume = pool.createXML(f"<volume><name>{name}</name><capacity>1024</capacity></volume>")
    for remove in before:
        remove()
    if number % 3 == 0:
        guest.setAutostart(0)
    time.sleep(0.5)
    before = [lambda guest=guest: guest.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA), rules.undefine, volume.delete]
for remove in before:
    remove()
answer(number)
"""


def test_our_own_changes_are_never_told(lapping, own, scratch, parts):
    with_parts(lapping, own, scratch)
    stop = f"{scratch.directory('laps-load', mode=0o755)}/stop"
    clients = [lapping.popen_python("admin", CHANGES, str(number), stop, uri=own.qemu_uri) for number in range(CLIENTS)]
    try:
        wait_until(lambda: len(lapping.audit(stage="outcome", result__status="ok")) > 100 or any(client.poll() is not None for client in clients),
                   "changes to be made", 120)
        after_laps(lapping, 1)
    finally:
        with open(stop, "w", encoding="ascii"):
            pass
        ends = [client.communicate(timeout=200) for client in clients]
    assert [client.returncode for client in clients] == [0] * CLIENTS, ends
    after_laps(lapping, 2)      # and when it is quiet again
    assert not [record for record in lapping.audit() if record["event"].startswith(("outside.", "inventory.lost"))]
    # somebody else's is still found
    define(own, scratch, "nwfilter", 1, 1)
    assert found(lapping)[0]["object"]["name"] == "away-nwfilter-1"


def memory(record, mark):
    return [line for line in lines(record, mark) if line.startswith("<memory ")]


def test_right_behind_our_own_change_somebody_elses_is_told(settled, own, scratch):
    """While our change still explains libvirtd's events: what is found is held against what it left."""
    ours_first, ours_second = (scratch.write(f"laps-ours-{kib}.xml", DEFINE["domain"][2] % ("away-domain-1", UUID % 1, kib)) for kib in (4096, 8192))
    ours(settled, own, "define", ours_first)
    define(own, scratch, "domain", 1, 5)
    record, = settled.wait_audit(1, event="outside.host", object__name="away-domain-1")
    assert memory(record, "-") == ["<memory unit='KiB'>4096</memory>"] and memory(record, "+") == ["<memory unit='KiB'>5120</memory>"]
    # between two of ours
    ours(settled, own, "define", ours_first)
    define(own, scratch, "domain", 1, 6)
    ours(settled, own, "define", ours_second)
    record = settled.wait_audit(2, event="outside.host", object__name="away-domain-1")[1]
    assert memory(record, "-") == ["<memory unit='KiB'>4096</memory>"] and memory(record, "+") == ["<memory unit='KiB'>6144</memory>"]
    assert record["documents"]["after"] == settled.wait_audit(3, call="domain_define_xml", stage="outcome")[2]["documents"]["before"]
    # what no event tells of, right behind what one does
    ours(settled, own, "setmem", "away-domain-1", "2048", "--config")
    own.virsh("autostart", "away-domain-1", uri=own.qemu_uri)
    ours(settled, own, "define", ours_first)
    record = settled.wait_audit(3, event="outside.host", object__name="away-domain-1")[2]
    assert record["result"]["message"] == "is started with the host, and was not before" and "diff" not in record
    ours(settled, own, "define", ours_second)
    undefine(own, "domain", 1)
    record = settled.wait_audit(4, event="outside.host", object__name="away-domain-1")[3]
    assert memory(record, "-") == ["<memory unit='KiB'>8192</memory>"] and not memory(record, "+")
    settled.stop()
    assert settled.audit_verify().returncode == 0


VOLUMES, SNAPSHOTS = (f"its {what} are not those that it had" for what in ("volumes", "snapshots"))


def names(record, mark):
    return sorted(lines(record, mark))


def test_volumes_and_snapshots(lapping, own, scratch, parts):
    """By their names; and those that our own people make and remove are not told."""
    with_parts(lapping, own, scratch)
    own.virsh("vol-create-as", "away-storage_pool-3", "theirs", "1M", uri=own.qemu_uri)
    own.virsh("snapshot-create-as", "away-domain-3", "theirs", uri=own.qemu_uri)
    record, = found(lapping, result__message=VOLUMES)
    assert record["object"] == {"class": "storage_pool", "name": "away-storage_pool-3", "uuid": UUID % 3}
    assert names(record, "+") == ["theirs"] and not names(record, "-") and set(record["documents"]) == {"before", "after"}
    record, = found(lapping, result__message=SNAPSHOTS)
    assert record["object"] == {"class": "domain", "name": "away-domain-3", "uuid": UUID % 3}
    assert names(record, "+") == ["theirs"] and not names(record, "-")
    own.virsh("vol-delete", "theirs", "--pool", "away-storage_pool-3", uri=own.qemu_uri)
    for name in ("theirs", "ours-1"):
        own.virsh("snapshot-delete", "away-domain-3", name, uri=own.qemu_uri)
    record = found(lapping, 2, result__message=VOLUMES)[1]
    assert names(record, "-") == ["theirs"] and not names(record, "+")

    def gone():
        return sorted(name for record in found(lapping, 2, result__message=SNAPSHOTS)[1:] for name in names(record, "-"))
    wait_until(lambda: gone() == ["ours-1", "theirs"], "both to be told")
    before = len(lapping.audit(event="outside.host"))
    for number in range(2, 5):
        for words in (("vol-create-as", "away-storage_pool-3", f"ours-{number}", "1M"), ("snapshot-create-as", "away-domain-3", f"ours-{number}"),
                      ("vol-delete", f"ours-{number - 1}", "--pool", "away-storage_pool-3"), ("pool-refresh", "away-storage_pool-3")):
            ours(lapping, own, *words)
        after_laps(lapping, 1)
    ours(lapping, own, "snapshot-delete", "away-domain-3", "ours-2")
    ours(lapping, own, "undefine", "away-domain-3", "--snapshots-metadata")
    after_laps(lapping, 3)
    assert len(lapping.audit(event="outside.host")) == before


def test_volumes_and_snapshots_made_meanwhile(settled, own, scratch, parts):
    """After a crash: what our own people had made before it is in the trail, what somebody made since is told."""
    with_parts(settled, own, scratch)
    os.kill(settled.children("reade")[0], signal.SIGSTOP)       # what comes now is not kept
    ours(settled, own, "vol-create-as", "away-storage_pool-3", "ours-2", "1M")
    ours(settled, own, "snapshot-create-as", "away-domain-3", "ours-2")
    kill_all(settled)
    settled.start()
    settled.wait_audit(1, event="inventory.compared")
    assert not settled.audit(event="outside.away")
    settled.stop()
    own.virsh("vol-create-as", "away-storage_pool-3", "theirs", "1M", uri=own.qemu_uri)
    own.virsh("snapshot-delete", "away-domain-3", "ours-1", uri=own.qemu_uri)
    settled.start()
    settled.wait_audit(2, event="inventory.compared")
    volumes, snapshots = sorted(settled.audit(event="outside.away"), key=lambda record: record["object"]["class"], reverse=True)
    assert volumes["result"]["message"] == VOLUMES and names(volumes, "+") == ["theirs"] and not names(volumes, "-")
    assert snapshots["result"]["message"] == SNAPSHOTS and names(snapshots, "-") == ["ours-1"] and not names(snapshots, "+")
