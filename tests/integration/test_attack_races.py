"""
A domain that is renamed to and fro, or undefined and defined again, while a tenant acts on it (I47).

A WRONG decision is an action carried out on a domain that at no time during the call bore a name granted to him. "During the
call" is from before its first byte is sent until its answer is there; a rename that is under way counts for both names.
The renames go directly to libvirtd, past the gateway. RENAMES=100000 in the environment for `make check-races`.
"""
import bisect
import contextlib
import os
import random
import signal
import subprocess
import tempfile
import time

import pytest

from attack import MISSING, OK, TENANTS, attacker, directly
from conftest import TEST_SECONDS
from lab.process import PYTHON, clean_environment, die_with_parent

UUID = "44444444-0000-4000-8000-0000000000d1"
RENAMES = int(os.environ.get("RENAMES", "2000"))
# (time before, time after, name) of each rename, in seconds of the monotonic clock. What is read are the calls that were answered, a byte each.
RENAMER = """
import os, random, sys, time, libvirt
os.set_blocking(0, False)
def answered():
    try:
        return len(os.read(0, 65536))
    except BlockingIOError:
        return 0
c = libvirt.open(sys.argv[1])
names = ["web-race", "hr-race"]
chance = random.Random(47)
for i in range(int(sys.argv[3])):
    d = c.lookupByUUIDString(sys.argv[2])
    start = time.monotonic()
    if sys.argv[4] == "rename":
        d.rename(names[(i + 1) % 2])
    else:
        d.undefine()
        c.defineXML(f"<domain type='test'><name>{names[(i + 1) % 2]}</name><uuid>{sys.argv[2]}</uuid><memory>8192</memory><os><type>hvm</type></os></domain>")
    end = time.monotonic()
    print(f"{start:.7f} {end:.7f} {names[(i + 1) % 2]}")
    pause = end + chance.choice((0, 0.0002, 0.001, 0.004))
    while time.monotonic() < pause:
        pass
    # long enough, now and then, for a whole call: that of which the answer comes second began after the rename
    if i % 20 > 17:
        while answered():
            pass
        calls = 0
        while calls < 2:
            calls += answered()
            time.sleep(0.0002)
"""


class Names:
    """Which names the domain may have had between two moments."""

    def __init__(self, renames):
        self.starts = [rename[0] for rename in renames]
        self.renames = renames

    def possible(self, begin, end):
        last = bisect.bisect_right(self.starts, end)        # renames that had begun by the end of the call
        found = set()
        while last > 0:
            last -= 1
            found.add(self.renames[last][2])
            if self.renames[last][1] <= begin:              # done before the call began: what was earlier is past
                return found
        return found | {"web-race"}


@pytest.fixture(scope="module")
def gateway(make_gateway):
    return make_gateway("attack-races", policy=TENANTS)


@pytest.fixture
def racing(libvirtd):
    directly(libvirtd, f"c.defineXML('<domain type=\"test\"><name>web-race</name><uuid>{UUID}</uuid><memory>8192</memory><os><type>hvm</type></os></domain>')")
    yield
    directly(libvirtd, f"c.lookupByUUIDString('{UUID}').undefine()")


def race(client, libvirtd, renames, actions, names=("web-race",), how="rename"):
    """Acts until the renamer is done. Returns [(begin, end, action, carried out)] and the renames."""
    signal.alarm(TEST_SECONDS + renames // 100)      # more than the other tests have
    log = []
    chance = random.Random(47)
    with tempfile.TemporaryFile("w+") as output:
        renamer = subprocess.Popen([PYTHON, "-c", RENAMER, libvirtd.direct(libvirtd.test_uri), UUID, str(renames), how], stdin=subprocess.PIPE,
                                   stdout=output, env=clean_environment(), preexec_fn=die_with_parent)
        try:
            os.set_blocking(renamer.stdin.fileno(), False)
            while renamer.poll() is None:
                call, values = chance.choice(actions)
                name = chance.choice(names)
                begin = time.monotonic()
                reply = client.do(call, dom=(name, UUID), **values)
                end = time.monotonic()
                assert reply.status == OK or reply.code in MISSING, f"{call}: {reply!r}"
                log.append((begin, end, call, reply.status == OK))
                with contextlib.suppress(BlockingIOError, BrokenPipeError):
                    os.write(renamer.stdin.fileno(), b".")
        finally:
            renamer.kill()
            renamer.communicate()
        output.seek(0)
        lines = output.read().splitlines()
    done = [(float(start), float(end), name) for start, end, name in (line.split() for line in lines)]
    assert len(done) == renames
    return log, Names(done)


def judge(log, names):
    """The wrong decisions; and that the race was one: some calls were carried out, some refused that had to be."""
    wrong = [entry for entry in log if entry[3] and "web-race" not in names.possible(*entry[:2])]
    carried, had_to_be = sum(entry[3] for entry in log), sum("web-race" not in names.possible(*entry[:2]) for entry in log)
    print(f"{len(names.renames)} renames, {len(log)} calls, {carried} carried out, {had_to_be} that had to be refused, {len(wrong)} wrong")
    assert carried > 10 and had_to_be > 10
    return wrong


def test_I47_racing_renames_give_no_wrong_change(gateway, libvirtd, racing):
    with attacker(gateway, "alice", libvirtd.test_uri) as client:
        wrong = judge(*race(client, libvirtd, RENAMES, [("domain_set_autostart", {"autostart": 1}), ("domain_set_autostart", {"autostart": 0})],
                            names=("web-race", "web-race", "hr-race")))
    assert not wrong


def test_I47_racing_renames_give_no_wrong_read(gateway, libvirtd, racing):
    with attacker(gateway, "alice", libvirtd.test_uri) as client:
        wrong = judge(*race(client, libvirtd, RENAMES, [("domain_get_info", {}), ("domain_get_state", {})]))
    assert not wrong


def test_I47_racing_redefinitions_give_no_wrong_answer(gateway, libvirtd, racing):
    """Undefined and defined again with the same UUID, by the one name and by the other."""
    with attacker(gateway, "alice", libvirtd.test_uri) as client:
        wrong = judge(*race(client, libvirtd, RENAMES // 2, [("domain_get_info", {}), ("domain_set_autostart", {"autostart": 1})], how="redefine"))
    assert not wrong
