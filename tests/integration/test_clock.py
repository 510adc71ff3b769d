"""The host's clock is set while the gateway runs: an hour back, two years ahead, back again."""
import copy
import datetime
import json
import os
import signal
import struct

from conftest import policy_with_realms
from lab.process import wait_until
from test_audit_index import has_index, search

HOUR, YEARS = 3600, 2 * 365 * 86400
KEEP_DAYS = 30

# Defines the guest that the line names; so long a description makes long documents, and files of the trail are soon followed by others.
DEFINE = """
import base64
c = connect()
for line in sys.stdin:
    name, uuid = line.split()
    text = base64.b64encode(os.urandom(45000)).decode()
    xml = f"<domain type='test'><name>{name}</name><uuid>{uuid}</uuid><description>{text}</description><memory>8192</memory><os><type>hvm</type></os></domain>"
    answer(fail(c.defineXML, xml)["code"])
"""
READ = """
c = connect()
for line in sys.stdin:
    answer(fail(c.getLibVersion)["code"])
"""


class Clock:
    def __init__(self, path):
        self.file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        self.by = 0
        self.set(0)

    def set(self, by):
        self.by = by
        os.pwrite(self.file, struct.pack("=q", by * 1000000), 0)

    def text(self, more=0):
        """What it shows, so many seconds from now, as the trail has times."""
        now = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=self.by + more)
        return now.strftime("%Y-%m-%dT%H:%M:%SZ")


def ask(process, line="?"):
    print(line, file=process.stdin, flush=True)
    answer = process.stdout.readline()
    assert answer, process.stderr.read()
    return json.loads(answer)


def segments(gateway):
    return sorted(name for name in os.listdir(f"{gateway.dir}/audit") if name.endswith(".jsonl"))


def test_I64_clock_of_a_running_gateway_is_set(own_gateway, libvirtd, scratch):
    preload = f"{os.environ.get('VIRTGATE_BUILD', '')}/tests/lab/clock.so"
    clock = Clock(scratch("clock"))
    policy = copy.deepcopy(policy_with_realms())
    readers, = [binding for binding in policy["bindings"] if binding["id"] == "readers-on-all"]
    readers["when"] = {"until": clock.text(30 * 86400)}
    gateway = own_gateway(policy=policy, audit_segment_mib=1, audit_keep_days=KEEP_DAYS, environment={
        "LD_PRELOAD": preload, "VIRTGATE_LAB_CLOCK": scratch("clock"), "ASAN_OPTIONS": "verify_asan_link_order=0"})
    writer, reader = gateway.popen_python("admin", DEFINE), gateway.popen_python("bob", READ)
    uuids = {}

    def change(era, num=3):
        uuid = uuids.setdefault(era, f"66666666-0000-4000-8000-00000000000{len(uuids)}")
        for _ in range(num):
            assert ask(writer, f"{era} {uuid}") == 0

    def fill(era, more):
        """So many more files, each of which makes the gateway look what is old."""
        want = len(segments(gateway)) + more
        while len(segments(gateway)) < want:
            change(era, 4)

    def found(era, since, until):
        """The changes of that era between two times, by the index and without it."""
        arguments = ("--object", f"domain:{era}", "--since", since, "--until", until, "--stage", "outcome", "--json")
        wait_until(lambda: has_index(gateway), "an index")
        output = search(gateway, *arguments)[0]
        assert output == search(gateway, *arguments, "--no-index")[0]
        return len(output.splitlines())

    try:
        fill("era-before", 3)
        assert ask(reader) == 0
        begun = clock.text(-HOUR // 2)

        # a change whose intent waits for a disk that stalls is refused in time, whatever the clock does meanwhile
        audit, = gateway.children("audit")
        os.kill(audit, signal.SIGSTOP)
        try:
            print("era-held 66666666-0000-4000-8000-000000000009", file=writer.stdin, flush=True)
            clock.set(-HOUR)
            assert writer.stdout.readline() == "38\n"
        finally:
            os.kill(audit, signal.SIGCONT)
        change("era-back")
        back = (clock.text(-60), clock.text(60))
        gateway.wait_audit(1, event="clock.step")

        clock.set(YEARS)
        change("era-ahead")
        gateway.wait_audit(2, event="clock.step")
        wait_until(lambda: ask(reader) != 0, "the end of who may until a day in between")
        refused = gateway.virsh("admin", "list")
        assert refused.returncode != 0, "his certificate has expired, by this clock"
        fill("era-ahead", 2)
        ahead = (clock.text(-600), clock.text(60))
        waits = gateway.wait_audit(event="audit.removal_waits")
        assert abs(waits[0]["args"]["held_seconds"] - YEARS - HOUR) < 60

        clock.set(0)
        change("era-after")
        gateway.wait_audit(3, event="clock.step")
        wait_until(lambda: gateway.virsh("bob", "list").returncode == 0, "his binding to be in force again")
        fill("era-after", 2)
        assert segments(gateway)[0] == "audit-000001.jsonl" and not gateway.audit(event="audit.removed")
    finally:
        for process in (writer, reader):
            process.kill()
            process.communicate()
        for era in uuids:
            libvirtd.virsh("undefine", era, check=False)

    records = gateway.audit()
    steps = [record for record in records if record["event"] == "clock.step"]
    assert [round(step["args"]["by_ms"] / 60000) for step in steps] == [-HOUR // 60, (YEARS + HOUR) // 60, -YEARS // 60]
    assert all(step["args"]["while"] == "running" and step["code"] == "VG1014W" for step in steps)
    # the step stands before what was recorded behind it, and nothing else goes back
    for step, era in zip(steps, ("era-back", "era-ahead", "era-after")):
        first = min(record["seq"] for record in records if record.get("object", {}).get("name") == era)
        assert step["seq"] < first
    for one, other in zip(records, records[1:]):
        assert other["seq"] == one["seq"] + 1 and (other["time"] >= one["time"] or other["event"] == "clock.step"), other

    changes = {era: len([record for record in records if record.get("object", {}).get("name") == era and record["stage"] == "outcome"]) for era in uuids}
    assert found("era-back", *back) == changes["era-back"] == 3
    assert found("era-ahead", *ahead) == changes["era-ahead"] > 3
    assert found("era-after", begun, clock.text(60)) == changes["era-after"] > 3
    assert found("era-before", begun, clock.text(60)) == changes["era-before"]
    assert found("era-before", *back) == found("era-ahead", begun, clock.text(60)) == 0
    verified = gateway.audit_verify()
    assert verified.returncode == 0 and "the host's clock stepped 3 times" in verified.stdout, verified.stdout + verified.stderr

    # set while no gateway runs
    gateway.stop()
    clock.set(-HOUR)
    gateway.start()
    step = gateway.wait_audit(4, event="clock.step")[3]
    assert step["args"]["while"] == "down" and round(step["args"]["by_ms"] / 60000) == -HOUR // 60
    assert gateway.audit_verify().returncode == 0
