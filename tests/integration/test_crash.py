"""Processes of the gateway are killed at random while many clients change things, and the whole of it now and then.

VIRTGATE_CRASH_KILLS is how often, VIRTGATE_SEED which: `make crash` does it for minutes, otherwise each time.
"""
import collections
import json
import os
import random
import signal
import socket
import statistics
import time

from conftest import TEST_SECONDS
from lab.process import PATIENCE, alive, children_of, free_port, process_state, wait_until

KILLS = int(os.environ.get("VIRTGATE_CRASH_KILLS", "12"))
SEED = int(os.environ.get("VIRTGATE_SEED", "1"))
CLIENTS = 6

# Defines and undefines a guest of its own, under another name each time; writes down what succeeded (a pipe would be full some time).
CHANGE = """
number, conn, told = 0, None, open(sys.argv[4], "w", buffering=1)
while sys.argv[2] and not os.path.exists(sys.argv[3]):
    name = f"crash-{sys.argv[2]}-{number}"
    try:
        if conn is None:
            conn = connect()
        number += 1
        domain = conn.defineXML(f"<domain type='test'><name>{name}</name><memory>1024</memory><os><type>hvm</type></os></domain>")
        print(json.dumps(["define", name]), file=told)
        domain.undefine()
        print(json.dumps(["undefine", name]), file=told)
    except libvirt.libvirtError as error:
        if error.get_error_code() in (1, 38, 39) or conn is None or not conn.isAlive():
            conn = None
            time.sleep(0.05)
"""


def kill_parent(gateway):
    """It alone; another is started at once, whatever its children do. The seconds that took."""
    gateway.daemon.process.kill()
    begun = time.monotonic()
    gateway.daemon.process.wait()
    gateway.daemon = None
    gateway.start()
    return time.monotonic() - begun


def kill_one(gateway, libvirtd, chance):
    """One room, all of it, or libvirtd: these two are started again by hand. What it was."""
    dice = chance.random()
    if dice < 0.08:
        libvirtd.stop_holder()
        libvirtd.crash()
        libvirtd.start_daemon()
        return "libvirtd"
    if dice < 0.16:
        kill_parent(gateway)
        return "all"
    kind = chance.choice(["audit", "audit", "gate", "gate", "front", "reader", "sink"])
    pids = gateway.children(kind[:5])      # what the kernel keeps of the name
    if pids:
        os.kill(chance.choice(pids), signal.SIGKILL)
    return kind if pids else "none"


def test_I55_I58_I76_kills_of_every_process_under_load(own_gateway, other_libvirtd, scratch):
    libvirtd, place = other_libvirtd, scratch.directory("crash", mode=0o755)
    gateway = own_gateway(libvirtd=libvirtd, audit_sinks=[f"syslog:{place}/nobody"], tls_port=str(free_port()))      # the same after a start of the whole
    stop = f"{place}/stop"
    clients = [gateway.popen_python("admin", CHANGE, str(number), stop, f"{place}/{number}", uri=libvirtd.test_uri) for number in range(CLIENTS)]
    chance, killed, slowest = random.Random(SEED), collections.Counter(), 0.0
    for _ in range(KILLS):
        signal.alarm(TEST_SECONDS)          # each has the time of a test
        time.sleep(chance.uniform(0.05, 0.5))
        kind = kill_one(gateway, libvirtd, chance)
        killed[kind] += 1
        if kind == "audit" and killed[kind] % 4 == 0:
            began = time.monotonic()
            wait_until(lambda: gateway.children("audit"), "another audit process")
            slowest = max(slowest, time.monotonic() - began)
    signal.alarm(TEST_SECONDS + KILLS)          # what they leave is to be read
    wait_until(lambda: all(gateway.children(kind) for kind in ("audit", "gate", "front")), "all rooms to be back")
    before = len(gateway.audit(stage="outcome", result__status="ok"))
    wait_until(lambda: len(gateway.audit(stage="outcome", result__status="ok")) > before, "changes to go on")
    with open(stop, "w", encoding="ascii"):
        pass
    told = []
    for number, client in enumerate(clients):
        errors = client.communicate(timeout=PATIENCE)[1]
        assert client.returncode == 0, errors
        with open(f"{place}/{number}", encoding="ascii") as file:
            told += [tuple(json.loads(line)) for line in file]
    there = set(libvirtd.virsh("list", "--all", "--name").stdout.split())
    gateway.stop()
    verified = gateway.audit_verify()
    assert verified.returncode == 0, f"seed {SEED}: {verified.stdout}{verified.stderr}"
    stages = collections.defaultdict(list)
    names = collections.defaultdict(set)
    for record in gateway.audit():
        if record["stage"] != "event":
            stages[record["op"]].append(record["stage"])
            names[record["stage"], record["event"], record.get("result", {}).get("status")].add(record.get("object", {}).get("name"))
    wrong = {op: found for op, found in stages.items() if found not in (["intent", "outcome"], ["outcome"])}
    assert not wrong, f"seed {SEED}: {wrong}"
    for verb, name in told:
        assert name in names["outcome", f"domain.{verb}", "ok"], f"seed {SEED}: {verb} {name} was answered and has no outcome"
    intended = names["intent", "domain.define", None]
    assert {name for name in there if name.startswith("crash-")} <= intended, f"seed {SEED}"
    print(f"\n{sum(killed.values())} kills ({dict(killed)}): {len(told)} changes were answered, {len(stages)} are in the trail; "
          f"the slowest audit process was there after {slowest * 1000:.0f} ms")


# Makes one change, when it is told to: an intent that is not durable within ten seconds is refused, so nobody is still on his way then.
ONE_CHANGE = """
conn = connect()
verb, name, text = sys.argv[2:5]
pool = conn.storagePoolLookupByName("default-pool")
there = None if verb in ("define", "vol-create") else pool.storageVolLookupByName(name) if verb == "vol-delete" else conn.lookupByName(name)
make = {"define": lambda: conn.defineXML(text), "start": lambda: there.create(), "destroy": lambda: there.destroy(), "undefine": lambda: there.undefine(),
        "autostart": lambda: there.setAutostart(1),
        "vol-create": lambda: pool.createXML(text, 0), "vol-delete": lambda: there.delete(0)}[verb]
answer("ready")
sys.stdin.readline()
fail(make)
"""


def signal_all(pids, number):
    for pid in pids:
        os.kill(pid, number)


def wait_for_all_same(look, fits, what):
    """`look` gives the same that fits twenty times in a row: nobody is on his way any more."""
    looks = []

    def settled():
        looks.append(look())
        return fits(looks[-1]) and looks[-20:] == [looks[-1]] * 20
    wait_until(settled, what)


def interrupted(gateway, changes, done):
    """Kills the gate between the intents and outcomes of these changes; `done`: when libvirtd has made them, None: before it is told."""
    def new():
        return [record for record in gateway.audit(stage="intent") if record["op"] not in before]

    def in_flight():
        with socket.socket(socket.AF_UNIX) as control, control.makefile("rw") as lines:
            control.connect(f"{gateway.dir}/run/control.sock")
            print('{"verb": "session.list"}', file=lines, flush=True)
            return [(session["id"], session["calls"]) for session in json.loads(lines.readline())["sessions"] if session["in_flight"] == 1]

    def asleep():
        return [process_state(pid) for pid in audit]

    before = {record["op"] for record in gateway.audit(stage="intent")}
    gate, audit = gateway.children("gate"), gateway.children("audit")
    clients = [gateway.popen_python("admin", ONE_CHANGE, *change) for change in changes]
    for client in clients:
        assert client.stdout.readline() == '"ready"\n', client.stderr.read()
    signal_all(audit, signal.SIGSTOP)
    for client in clients:
        print("go", file=client.stdin, flush=True)
    wait_for_all_same(in_flight, lambda found: len(found) == len(changes), "the intents to wait in the link")
    signal_all(gate, signal.SIGSTOP)
    signal_all(audit, signal.SIGCONT)
    wait_until(lambda: len(new()) == len(changes), "the intents to be durable")
    wait_for_all_same(asleep, lambda found: found == ["S"] * len(audit), "the gate to be told so")
    signal_all(audit, signal.SIGSTOP)
    if done is not None:
        signal_all(gate, signal.SIGCONT)
        wait_until(done, "libvirtd to have made them")
    signal_all(gate, signal.SIGKILL)
    signal_all(audit, signal.SIGKILL)       # with what the gate had sent
    for client in clients:
        client.communicate(timeout=PATIENCE)
    found = {}
    for intent in new():
        outcome = gateway.wait_audit(stage="outcome", op=intent["op"])[-1]
        assert outcome["result"]["status"] == "unknown"
        record = gateway.wait_audit(event="change.settled", of=intent["op"])[-1]
        assert record["object"] == intent["object"] and record["user"]["x509"] == "CN=admin,O=Lab", record
        shown = gateway.virtgate("audit", "show", "--json", "--config", f"{gateway.dir}/virtgated.conf", intent["op"])
        assert [json.loads(line)["seq"] for line in shown.stdout.splitlines()] == [intent["seq"], outcome["seq"], record["seq"]], shown
        found[intent["object"]["name"]] = record["result"]["status"], record["result"]["message"].rpartition(": ")[2]
    return found


def test_what_became_of_a_change_is_looked_at_after_a_crash(own_gateway, libvirtd, scratch):
    def define(name, memory):
        uuid = "<uuid>6695eb01-f6a4-8304-79aa-97f25040000b</uuid>" if name == changed else ""
        return f"<domain type='test'><name>{name}</name>{uuid}<memory>{memory}</memory><vcpu>1</vcpu><os><type>hvm</type></os></domain>"

    def has(name, text):
        return text in libvirtd.virsh("dumpxml", "--inactive", name, check=False).stdout

    names = new, changed, off, running, gone, auto = [f"web-{what}" for what in ("new", "changed", "off", "running", "gone", "auto")]
    image, old = "settle-new.img", "settle-old.img"
    changes = [("define", new, define(new, 8192)), ("define", changed, define(changed, 16384)), ("start", off, ""), ("destroy", running, ""),
               ("undefine", gone, ""), ("autostart", auto, ""),
               ("vol-create", image, f"<volume><name>{image}</name><capacity>1048576</capacity></volume>"), ("vol-delete", old, "")]
    gateway = own_gateway()
    here = {"connection__uri": libvirtd.test_uri}
    gateway.wait_audit(event="inventory.taken", **here)
    try:
        libvirtd.virsh("vol-create-as", "default-pool", old, "1M")
        for name in names[1:]:
            libvirtd.virsh("define", scratch.write(f"{name}.xml", define(name, 8192)))
        libvirtd.virsh("start", running)
        assert interrupted(gateway, changes, None) == {
            new: ("error", "it is not there"), changed: ("error", "it is as it was before"), off: ("error", "it does not run"),
            running: ("error", "it runs"), gone: ("error", "it is still there"), auto: ("error", "it is as it was before"), image: ("error", "it is not there"),
            old: ("error", "it is still there")}
        made = lambda: has(new, new) and has(changed, "16384</memory>") and libvirtd.state(off) == "running" and \
            libvirtd.state(running) != "running" and not has(gone, gone) and \
            auto in libvirtd.virsh("list", "--all", "--autostart", "--name").stdout and \
            old not in (there := libvirtd.virsh("vol-list", "default-pool").stdout) and image in there
        assert interrupted(gateway, changes, made) == {
            new: ("ok", "it is there, and was not before"), changed: ("ok", "it is not as it was before"), off: ("ok", "it runs"),
            running: ("ok", "it does not run"), gone: ("ok", "it is gone"), auto: ("ok", "it is as it was to be"),
            image: ("ok", "it is there, and was not before"), old: ("ok", "it is gone")}
        # none of that was done without the gateway, says the comparison after the last crash
        crash = max(record["seq"] for record in gateway.audit(stage="outcome", result__status="unknown"))
        wait_until(lambda: any(record["seq"] > crash for record in gateway.audit(event="inventory.compared", **here)), "what there is to be compared")
        assert not [record for record in gateway.audit(event="outside.away") if record["connection"]["uri"] == libvirtd.test_uri]
    finally:
        for name in names:
            libvirtd.virsh("destroy", name, check=False)
            libvirtd.virsh("undefine", name, check=False)
        for name in (image, old):
            libvirtd.virsh("vol-delete", "--pool", "default-pool", name, check=False)
    assert gateway.audit_verify().returncode == 0


# Each thread defines its guest again and again, until the connection breaks.
DEFINE = """
import itertools
threads = []
def change(name):
    c = connect()
    try:
        for number in itertools.count():
            d = c.defineXML(f"<domain type='test'><name>{name}</name><uuid>55555555-0000-4000-8000-00000000000{name[-1]}</uuid><memory>{8192 + number}</memory><os><type>hvm</type></os></domain>")
            answer([name, 8192 + number])
    except libvirt.libvirtError:
        pass
for name in sys.argv[2:]:
    threads.append(threading.Thread(target=change, args=(name,)))
    threads[-1].start()
for thread in threads:
    thread.join()
"""


def test_I58_I76_parent_killed_alone_under_load_and_started_at_once(own_gateway, libvirtd):
    """What it leaves behind is waited for; each change that was answered is on record, and nothing is torn."""
    gateway = own_gateway(front_processes=2)
    names = [f"killed-{number}" for number in range(4)]
    answered, seconds = 0, []
    for _ in range(KILLS):
        client = gateway.popen_python("admin", DEFINE, *names)
        for _ in range(12):
            assert client.stdout.readline(), client.stderr.read()
            answered += 1
        children = children_of(gateway.daemon.pid)
        seconds.append(kill_parent(gateway))
        wait_until(lambda: not any(alive(pid) for pid in children), "what was left of it to be gone")
        answered += sum(1 for _ in client.stdout)
        client.communicate()
    waited = gateway.log().count("waiting for its processes")
    print(f"{KILLS} kills of the parent under {answered} changes: serves again {statistics.median(seconds):.2f} s after it (median), "
          f"{max(seconds):.2f} s (most); {waited} starts waited for what was left")
    gateway.wait_audit(KILLS, event="gateway.crash")
    changed = gateway.audit(stage="outcome", call="domain_define_xml", result__status="ok")
    assert len(changed) >= answered, (len(changed), answered)
    verified = gateway.audit_verify()
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert len(gateway.audit(event="gateway.start")) == KILLS + 1
    for name in names:
        libvirtd.virsh("undefine", name, check=False)
