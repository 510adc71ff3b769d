"""Processes of the gateway are killed at random while many clients change things, and the whole of it now and then.

VIRTGATE_CRASH_KILLS is how often: `make crash` does it for minutes.
"""
import collections
import json
import os
import random
import signal
import socket
import time

from lab.process import alive, children_of, wait_until

KILLS = int(os.environ.get("VIRTGATE_CRASH_KILLS", "12"))
CLIENTS = 6

# Defines and undefines a guest of its own, under another name each time; tells what succeeded.
CHANGE = """
number, conn = 0, None
while sys.argv[2] and not os.path.exists(sys.argv[3]):
    name = f"crash-{sys.argv[2]}-{number}"
    try:
        if conn is None:
            conn = connect()
        number += 1
        domain = conn.defineXML(f"<domain type='test'><name>{name}</name><memory>1024</memory><os><type>hvm</type></os></domain>")
        answer(["define", name])
        domain.undefine()
        answer(["undefine", name])
    except libvirt.libvirtError as error:
        if error.get_error_code() in (1, 38, 39) or conn is None or not conn.isAlive():
            conn = None
            time.sleep(0.05)
"""


def kill_one(gateway, chance):
    """One room, or all of it: then it is started again by hand. What it was."""
    if chance.random() < 0.08:
        pids = children_of(gateway.daemon.pid)
        gateway.daemon.process.kill()
        gateway.daemon.process.wait()
        wait_until(lambda: not any(alive(pid) for pid in pids), "its children to end with it")
        gateway.daemon = None
        gateway.start()
        return "all"
    kind = chance.choice(["audit", "audit", "gate", "gate", "front", "reader", "sink"])
    pids = gateway.children(kind[:5])      # what the kernel keeps of the name
    if pids:
        os.kill(chance.choice(pids), signal.SIGKILL)
    return kind if pids else "none"


def test_I55_I58_I76_kills_of_every_process_under_load(own_gateway, libvirtd, scratch):
    place = scratch.directory("crash", mode=0o755)
    with socket.socket() as free:       # the same after a start of the whole
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    gateway = own_gateway(audit_sinks=[f"syslog:{place}/nobody"], tls_port=port)
    stop = f"{place}/stop"
    clients = [gateway.popen_python("admin", CHANGE, str(number), stop, uri=libvirtd.test_uri) for number in range(CLIENTS)]
    seed = random.SystemRandom().randrange(1 << 32)
    chance, killed, slowest = random.Random(seed), collections.Counter(), 0.0
    for _ in range(KILLS):
        time.sleep(chance.uniform(0.05, 0.5))
        kind = kill_one(gateway, chance)
        killed[kind] += 1
        if kind == "audit" and killed[kind] % 4 == 0:
            began = time.monotonic()
            wait_until(lambda: gateway.children("audit"), "another audit process")
            slowest = max(slowest, time.monotonic() - began)
    wait_until(lambda: all(gateway.children(kind) for kind in ("audit", "gate", "front")), "all rooms to be back")
    before = len(gateway.audit(stage="outcome", result__status="ok"))
    wait_until(lambda: len(gateway.audit(stage="outcome", result__status="ok")) > before, "changes to go on", 30)
    with open(stop, "w", encoding="ascii"):
        pass
    told = []
    for client in clients:
        output, errors = client.communicate(timeout=60)
        assert client.returncode == 0, errors
        told += [tuple(json.loads(line)) for line in output.splitlines()]
    there = set(libvirtd.virsh("list", "--all", "--name").stdout.split())
    gateway.stop()
    verified = gateway.audit_verify()
    assert verified.returncode == 0, f"seed {seed}: {verified.stdout}{verified.stderr}"
    stages = collections.defaultdict(list)
    names = collections.defaultdict(set)
    for record in gateway.audit():
        if record["stage"] != "event":
            stages[record["op"]].append(record["stage"])
            names[record["stage"], record["event"], record.get("result", {}).get("status")].add(record.get("object", {}).get("name"))
    wrong = {op: found for op, found in stages.items() if found not in (["intent", "outcome"], ["outcome"])}
    assert not wrong, f"seed {seed}: {wrong}"
    for verb, name in told:
        assert name in names["outcome", f"domain.{verb}", "ok"], f"seed {seed}: {verb} {name} was answered and has no outcome"
    intended = names["intent", "domain.define", None]
    assert {name for name in there if name.startswith("crash-")} <= intended, f"seed {seed}"
    print(f"\n{sum(killed.values())} kills ({dict(killed)}): {len(told)} changes were answered, {len(stages)} are in the trail; "
          f"the slowest audit process was there after {slowest * 1000:.0f} ms")
    for name in there:
        if name.startswith("crash-"):
            libvirtd.virsh("undefine", name, check=False)
