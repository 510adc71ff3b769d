"""What was changed while the gateway did not run, or had no libvirtd, is on record when it is back, and nothing else is."""
import contextlib
import itertools
import json
import os
import signal
import sqlite3
import zlib

import pytest

from lab.libvirtd import Libvirtd
from lab.process import free_port, wait_until
from outsider import DEFINE, UUID, WORLD, define, kept, kill_all, name_of, undefine

NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def own(scratch):
    daemon = Libvirtd(scratch, name="away-libvirtd")
    daemon.start_daemon()
    yield daemon
    daemon.stop()


@pytest.fixture
def away(own, make_gateway):
    """A gateway of one test's own, before that libvirtd alone; what it defined goes with it."""
    gateway = make_gateway(f"away-{next(NUMBERS)}", libvirtd=own, allowed_uris=[own.qemu_uri], tls_port=str(free_port()))      # the same after each start
    noted(gateway, "inventory.taken")
    yield gateway
    gateway.stop()
    for kind, (_, undefine, _) in DEFINE.items():
        for number in range(1, 5):
            own.virsh(undefine, name_of(kind, number), uri=own.qemu_uri, check=False)


def noted(gateway, event, before=0, world=()):
    """The record that tells that all was looked at, and that this is kept."""
    record = gateway.wait_audit(before + 1, 30, event=event)[-1]
    wait_until(lambda: kept(gateway, WORLD) not in ([], [(0,)], world), "what was found to be kept", 20)
    return record


def told(gateway, count=1, **wanted):
    """Records of what was done outside: they may be held until the object was looked at."""
    return gateway.wait_audit(count, 40, event="outside.host", **wanted)


def compared(gateway, again):
    """Once more after `again`; what was told of it, and the record that says how much that was."""
    before, known, world = len(gateway.audit(event="inventory.compared")), len(gateway.audit(event="outside.away")), kept(gateway, WORLD)
    again()
    record = noted(gateway, "inventory.compared", before, world)
    found = gateway.audit(event="outside.away")[known:]
    assert record["changed"] == len(found)
    return {(item["object"]["class"], item["object"].get("name")): item for item in found}, record


def stopped(gateway, meanwhile):
    def again():
        gateway.stop()
        meanwhile()
        gateway.start()
    return again


def test_what_was_changed_while_it_was_stopped(away, own, scratch):
    for kind in DEFINE:
        for number in (1, 2, 3):
            define(own, scratch, kind, number, 1)
    wait_until(lambda: len(kept(away, "SELECT * FROM thing WHERE uuid LIKE '6695eb01-f6a4-8304-79aa-97f25050%'")) >= 12, "these to be looked at", 20)

    def meanwhile():
        for kind in DEFINE:
            undefine(own, kind, 1)
            define(own, scratch, kind, 2, 2)
            define(own, scratch, kind, 4, 1)
        own.virsh("autostart", "away-domain-3", uri=own.qemu_uri)
    # of filters libvirt has no events: their first look is this start
    found, record = compared(away, stopped(away, lambda: None))
    assert {key for key in found} == {("nwfilter", name_of("nwfilter", number)) for number in (1, 2, 3)}
    assert {item["result"]["message"] for item in found.values()} == {"is there, and was not before"}
    found, record = compared(away, stopped(away, meanwhile))
    messages = {key: item["result"]["message"] for key, item in found.items()}
    wanted = {("domain", "away-domain-3"): "is started with the host, and was not before"}
    for kind in DEFINE:
        if kind == "secret":
            continue
        wanted[kind, name_of(kind, 1)] = "is not there any more"
        wanted[kind, name_of(kind, 2)] = "is defined otherwise"
        wanted[kind, name_of(kind, 4)] = "is there, and was not before"
    secrets = {item["object"]["uuid"]: item["result"]["message"] for item in away.audit(event="outside.away", object__class="secret")}
    assert {key: what for key, what in messages.items() if key[0] != "secret"} == wanted
    assert secrets == {UUID % 1: "is not there any more", UUID % 2: "is defined otherwise", UUID % 4: "is there, and was not before"}
    item = found["domain", "away-domain-2"]
    assert item["code"] == "VG1305W" and item["connection"] == {"uri": own.qemu_uri} and item["away"]["what"] == "gateway"
    assert item["away"]["from"] <= item["away"]["to"] <= item["time"] and item["last_seen"] < item["away"]["to"] and "user" not in item
    assert "-  <memory unit='KiB'>1024</memory>\n" in item["diff"] and "+  <memory unit='KiB'>2048</memory>\n" in item["diff"]
    assert set(item["documents"]) == {"before", "after"}
    assert set(found["domain", "away-domain-1"]["documents"]) == {"before"} and set(found["network", "away-network-4"]["documents"]) == {"after"}
    assert record["changed"] == 16
    # and once more: nothing changed
    found, record = compared(away, stopped(away, lambda: None))
    assert found == {} and record["objects"] >= 12
    assert not away.audit(event="inventory.lost")
    shown = away.virtgate("audit", "search", "--dir", f"{away.dir}/audit", "--event", "outside.*", "--object", "away-domain-2", "--result", "ok")
    assert "VG1305W" in shown.stdout or "outside.away" in shown.stdout, shown.stdout + shown.stderr
    away.stop()
    assert away.audit_verify().returncode == 0


def test_our_own_changes_are_not_told_after_a_crash(away, own, scratch):
    path = scratch.write("away-own.xml", DEFINE["domain"][2] % ("away-domain-1", UUID % 1, 4096))
    other = scratch.write("away-other.xml", DEFINE["domain"][2] % ("away-domain-1", UUID % 1, 8192))
    gone = scratch.write("away-gone.xml", DEFINE["network"][2] % ("away-network-1", UUID % 1, 1))
    for words in (("define", path), ("net-define", gone)):
        done = away.virsh("admin", *words, uri=own.qemu_uri)
        assert done.returncode == 0, done.stderr
    wait_until(lambda: len(kept(away, "SELECT * FROM thing")) >= 2, "these to be kept", 20)
    reader = away.children("reade")
    os.kill(reader[0], signal.SIGSTOP)      # what comes now is not kept
    for words in (("define", other), ("autostart", "away-domain-1"), ("net-undefine", "away-network-1")):
        done = away.virsh("admin", *words, uri=own.qemu_uri)
        assert done.returncode == 0, done.stderr

    def again():
        kill_all(away)
        away.start()
    found, _ = compared(away, again)
    assert found == {}

    def with_change():
        kill_all(away)
        own.virsh("autostart", "away-domain-1", "--disable", uri=own.qemu_uri)
        away.start()
    found, _ = compared(away, with_change)
    assert {key: item["result"]["message"] for key, item in found.items()} == {
        ("domain", "away-domain-1"): "is not started with the host any more"}


# Guests come and go all the time, under other names and without a UUID of their own.
CHANGES = """
number, conn = 0, None
while not os.path.exists(sys.argv[3]):
    try:
        conn = conn or connect()
        number += 1
        domain = conn.defineXML(f"<domain type='qemu'><name>away-load-{sys.argv[2]}-{number}</name><memory>4096</memory><os><type>hvm</type></os></domain>")
        domain.setAutostart(1)
        domain.undefine()
        time.sleep(0.01)
    except libvirt.libvirtError:
        conn = None
        time.sleep(0.05)
"""


def test_kills_under_load_make_nothing_of_ours_somebody_elses(away, own, scratch):
    stop = f"{scratch.directory('away-load', mode=0o755)}/stop"
    clients = [away.popen_python("admin", CHANGES, str(number), stop, uri=own.qemu_uri) for number in range(4)]
    try:
        for kind in ("gate", "all", "reade", "all", "gate"):
            made, rounds = len(away.audit(stage="outcome", result__status="ok")), len(away.audit(event="inventory.compared"))
            wait_until(lambda: len(away.audit(stage="outcome", result__status="ok")) > made + 20, "changes to be made", 30)
            if kind == "all":
                kill_all(away)
                away.start()
            else:
                away.kill_child(kind)
            if kind != "reade":
                noted(away, "inventory.compared", rounds)
    finally:
        with open(stop, "w", encoding="ascii"):
            pass
        for client in clients:
            client.communicate(timeout=60)
        for name in own.virsh("list", "--all", "--name", uri=own.qemu_uri).stdout.split():
            own.virsh("undefine", name, uri=own.qemu_uri)
    assert not away.audit(event="outside.away") and not away.audit(event="inventory.lost")


def test_what_local_root_defines_has_its_difference(away, own, scratch):
    """While the gateway runs: the record of libvirt's event."""
    def lines(record, mark):
        return [line[1:].strip() for line in record["diff"].splitlines() if line.startswith(mark) and not line.startswith(3 * mark)]

    for kind, sign in (("domain", "<name>away-domain-1</name>"), ("network", "<name>away-network-1</name>"),
                       ("storage_pool", "<name>away-storage_pool-1</name>")):
        define(own, scratch, kind, 1, 1)
        record = told(away, object__class=kind, result__message="defined")[0]
        assert sign in lines(record, "+") and not lines(record, "-") and set(record["documents"]) == {"after"}
        undefine(own, kind, 1)
        record = told(away, object__class=kind, result__message="undefined")[0]
        assert sign in lines(record, "-") and not lines(record, "+") and set(record["documents"]) == {"before"}
    define(own, scratch, "domain", 2, 1)
    first = told(away, 2, object__class="domain", result__message="defined")[1]
    define(own, scratch, "domain", 2, 2)
    record = told(away, object__class="domain", result__message="definition changed")[0]
    assert lines(record, "-") == ["<memory unit='KiB'>1024</memory>", "<currentMemory unit='KiB'>1024</currentMemory>"]
    assert lines(record, "+") == ["<memory unit='KiB'>2048</memory>", "<currentMemory unit='KiB'>2048</currentMemory>"]
    assert record["documents"]["before"] == first["documents"]["after"] != record["documents"]["after"]
    # killed before it is kept, it is not told again
    reader = away.children("reade")[0]
    os.kill(reader, signal.SIGSTOP)
    define(own, scratch, "domain", 2, 3)
    told(away, 2, object__class="domain", result__message="definition changed")
    undefine(own, "domain", 2)
    told(away, 2, object__class="domain", result__message="undefined")

    def again():
        kill_all(away)
        away.start()
    found, _ = compared(away, again)
    assert found == {}
    away.stop()
    assert away.audit_verify().returncode == 0


def test_what_libvirtd_tells_nobody_is_seen_at_the_next_call(away, own, scratch):
    define(own, scratch, "domain", 1, 8)
    told(away, object__class="domain", result__message="defined")
    wait_until(lambda: kept(away, "SELECT * FROM thing WHERE class = 'domain'"), "it to be kept", 20)
    own.virsh("setmem", "away-domain-1", "4096", "--config", uri=own.qemu_uri)       # no event
    for _ in range(2):      # the second has nothing more to tell
        done = away.virsh("admin", "setmem", "away-domain-1", "2048", "--config", uri=own.qemu_uri)
        assert done.returncode == 0, done.stderr
    record, = told(away, result__message="definition changed, of which libvirtd told nothing")
    assert "-  <currentMemory unit='KiB'>8192</currentMemory>\n+  <currentMemory unit='KiB'>4096</currentMemory>\n" in record["diff"]
    ours = away.wait_audit(2, call="domain_set_memory_flags", stage="outcome")[0]
    assert ours["documents"]["before"] == record["documents"]["after"] and record["last_seen"] < record["time"]
    found, _ = compared(away, stopped(away, lambda: None))
    assert found == {}
    assert len(away.audit(event="outside.host", object__class="domain")) == 2


def test_no_password_is_kept(away, own, scratch):
    planted = "plantpw2"
    guarded = DEFINE["domain"][2].replace("</domain>", f"<devices><graphics type='vnc' port='-1' autoport='yes' passwd='{planted}'/></devices></domain>")
    own.virsh("define", scratch.write("away-guarded.xml", guarded % ("away-domain-1", UUID % 1, 4096)), uri=own.qemu_uri)
    told(away, object__class="domain", result__message="defined")
    define(own, scratch, "secret", 1, 1)
    own.virsh("secret-set-value", UUID % 1, "cGxhbnRlZC1ieS1yb290", uri=own.qemu_uri)
    question = "SELECT definition FROM thing WHERE class IN ('domain', 'secret')"
    wait_until(lambda: len(kept(away, question)) == 2, "these to be kept", 20)
    texts = "".join(zlib.decompress(row[0][48:]).decode() for row in kept(away, question))
    assert "<graphics type='vnc'" in texts and f"<uuid>{UUID % 1}</uuid>" in texts and "passwd" not in texts
    away.stop()     # all of it is on the disk
    for directory, _, names in os.walk(away.dir):
        for name in names:
            if directory.endswith(("/audit", "/state", "/audit-index")):
                with open(f"{directory}/{name}", "rb") as file:
                    content = file.read()
                assert not any(word in content for word in (planted.encode(), b"planted-by-root", b"cGxhbnRlZC1ieS1yb290")), name


def test_only_the_gate_fell(away, own, scratch):
    define(own, scratch, "domain", 1, 1)
    wait_until(lambda: kept(away, "SELECT * FROM thing WHERE class = 'domain'"), "it to be kept", 20)
    found, _ = compared(away, lambda: away.kill_child("gate"))
    assert found == {}
    gate = away.children("gate")[0]

    def again():
        os.kill(gate, signal.SIGSTOP)
        undefine(own, "domain", 1)
        os.kill(gate, signal.SIGKILL)
    found, _ = compared(away, again)
    assert {key: item["result"]["message"] for key, item in found.items()} == {("domain", "away-domain-1"): "is not there any more"}


@pytest.mark.parametrize("how", ["removed", "cut", "garbage", "changed"])
def test_what_was_kept_is_lost(away, own, scratch, how):
    path = f"{away.dir}/state/audit-index/census.db"
    define(own, scratch, "domain", 1, 1)
    wait_until(lambda: kept(away, "SELECT * FROM thing WHERE class = 'domain'"), "it to be kept", 20)
    away.stop()
    assert away.audit(event="inventory.kept")[-1]["objects"] >= 1
    if how == "removed":
        os.unlink(path)
    elif how == "cut":
        os.truncate(path, os.path.getsize(path) // 2 - 100)
    elif how == "garbage":
        with open(path, "r+b") as file:
            file.write(os.urandom(os.path.getsize(path)))
    else:
        with contextlib.closing(sqlite3.connect(path)) as database, database:
            database.execute("UPDATE thing SET flags = 0, digest = ? WHERE class = 'domain'", ("0" * 64,))
    away.start()
    record = away.wait_audit(seconds=30, event="inventory.lost")[-1]
    assert record["code"] == "VG1309W" and record["result"]["status"] == "error" and record["connection"]["uri"] == own.qemu_uri
    if how == "changed":
        assert "by somebody else" in record["result"]["message"]
        return
    noted(away, "inventory.taken", 1)
    assert not away.audit(event="outside.away")
    assert json.loads(away.virtgate("--config", f"{away.dir}/virtgated.conf", "--json", "status").stdout)["outside_changes"] == 0
    found, _ = compared(away, stopped(away, lambda: undefine(own, "domain", 1)))
    assert list(found) == [("domain", "away-domain-1")]
