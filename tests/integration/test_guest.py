"""A real QEMU guest (without KVM) behind the gateway."""
import re

import pytest

from conftest import GUEST, GUEST_UUID, HIDDEN_GUEST, HIDDEN_GUEST_UUID, OTHER_GUEST

# Through the guest's serial port: it says GUEST-READY and then sends back each byte plus one.
CONSOLE = """
c = connect()
d = c.lookupByName(sys.argv[2])
s = c.newStream(0)
d.openConsole(None, s, libvirt.VIR_DOMAIN_CONSOLE_FORCE if len(sys.argv) > 3 else 0)
s.send(b"ABC" * 20)
got = b""
deadline = time.monotonic() + 100
while got.count(b"BCD") < 20 and time.monotonic() < deadline:
    got += s.recv(1024)
s.finish()
answer(got.count(b"BCD"))
"""


@pytest.fixture
def running(libvirtd, guests):
    """web-q runs and has booted."""
    if libvirtd.state(GUEST, uri=guests) != "running":
        libvirtd.virsh("start", GUEST, uri=guests)
    yield guests
    if libvirtd.state(GUEST, uri=guests) != "shut off":
        libvirtd.virsh("destroy", GUEST, uri=guests)


def test_life_of_a_guest(way, libvirtd, guests):
    listed = way.virsh("alice", "list", "--all", "--name", uri=guests)
    assert {GUEST, OTHER_GUEST} <= set(listed.stdout.split()), listed.stderr
    for command, state in (("start", "running"), ("suspend", "paused"), ("resume", "running"), ("destroy", "shut off")):
        result = way.virsh("alice", command, GUEST, uri=guests)
        assert result.returncode == 0, f"{command}: {result.stderr}"
        assert libvirtd.state(GUEST, uri=guests) == state
        assert re.search(rf"^State: +{state}$", way.virsh("bob", "dominfo", GUEST, uri=guests).stdout, re.M)
    refused = way.virsh("alice", "start", OTHER_GUEST, uri=guests)
    assert "access denied: 'domain:start' on domain 'db-q'" in refused.stderr
    assert libvirtd.state(OTHER_GUEST, uri=guests) == "shut off"


def test_I27_hidden_guest_is_missing_word_for_word(way, guests):
    hidden, missing = way.python("alice", """
        c = connect()
        for name, uuid in ((sys.argv[2], sys.argv[3]), ("NAME", "33333333-0000-4000-8000-00000000ffff")):
            answer([fail(c.lookupByName, name), fail(c.lookupByUUIDString, uuid)])
        """, HIDDEN_GUEST, HIDDEN_GUEST_UUID, uri=guests)
    for one in hidden:
        assert one["code"] == 42
        one["message"] = one["message"].replace(HIDDEN_GUEST, "NAME").replace(HIDDEN_GUEST_UUID[-4:], "ffff")
    assert hidden == missing


def test_console_both_ways(way, running):
    assert way.python("alice", CONSOLE, GUEST, uri=running) == 20


def test_console_is_on_record_from_opening_to_end(gateway, running):
    before = len(gateway.audit(event="domain.open_console"))
    assert gateway.python("alice", CONSOLE, GUEST, uri=running) == 20
    opened = gateway.wait_audit(before + 1, event="domain.open_console")[before]
    closed, = gateway.wait_audit(event="stream.close", opened=opened["op"])
    assert closed["code"] == "VG1404I" and closed["object"] == opened["object"] and closed["object"]["name"] == GUEST
    assert closed["user"]["name"] == opened["user"]["name"] == "CN=alice,O=Lab"
    assert closed["result"] == {"status": "ok", "code": 0, "message": "closed"}
    assert "stream_sha256" not in closed, "what was typed could be guessed by it"
    assert closed["bytes_to_guest"] == 60 and closed["bytes_to_client"] >= 60 and closed["duration_us"] > 0


def test_I75_taking_a_console_from_somebody_is_a_right_of_its_own(gateway, running):
    before = len(gateway.audit(event="domain.open_console"))
    holder = gateway.popen_python("alice", """
        c = connect()
        s = c.newStream(0)
        c.lookupByName(sys.argv[2]).openConsole(None, s, 0)
        print("open", flush=True)
        sys.stdin.readline()
        answer("held")
        """, GUEST, uri=running)
    try:
        assert holder.stdout.readline() == "open\n"
        held = gateway.wait_audit(before + 1, event="domain.open_console")[before]
        open_it = "c = connect(); answer(fail(c.lookupByName(sys.argv[2]).openConsole, None, c.newStream(0), int(sys.argv[3])))"
        taken = gateway.python("alice", open_it, GUEST, "1", uri=running)       # VIR_DOMAIN_CONSOLE_FORCE
        assert taken["code"] == 88 and "'domain:takeover_console' on domain 'web-q'" in taken["message"], taken
        # without force it is libvirt that says no: somebody has it
        assert gateway.python("alice", open_it, GUEST, "0", uri=running)["code"] not in (0, 88)
        assert gateway.python("admin", open_it, GUEST, "1", uri=running)["code"] == 0
        for name, held in (("CN=alice,O=Lab", held), ("CN=admin,O=Lab", gateway.wait_audit(event="domain.open_console", user__name="CN=admin,O=Lab")[-1])):
            assert gateway.wait_audit(event="stream.close", opened=held["op"])[0]["user"]["name"] == name
    finally:
        holder.kill()
        holder.communicate()
    assert gateway.audit(event="domain.open_console", decision__failed="domain:takeover_console")


def test_console_is_refused_to_a_viewer(gateway, running):
    error = gateway.python("bob", """
        c = connect()
        answer(fail(c.lookupByName(sys.argv[2]).openConsole, None, c.newStream(0), 0))
        """, GUEST, uri=running)
    assert error["code"] in (29, 88)


def test_screenshot_is_a_picture(way, running, scratch):
    path = scratch("screen.ppm")
    result = way.virsh("alice", "screenshot", GUEST, path, uri=running)
    assert result.returncode == 0, result.stderr
    with open(path, "rb") as file:
        data = file.read()
    assert data.startswith(b"\x89PNG") and data.rstrip().endswith(b"IEND\xaeB`\x82") or data.startswith(b"P6")


def test_edit_by_define(gateway, libvirtd, guests, scratch):
    xml = libvirtd.virsh("dumpxml", "--inactive", GUEST, uri=guests).stdout
    try:
        path = scratch.write("edited.xml", xml.replace("<memory unit='KiB'>32768</memory>", "<memory unit='KiB'>49152</memory>"))
        result = gateway.virsh("admin", "define", path, uri=guests)
        assert result.returncode == 0, result.stderr
        assert "49152</memory>" in gateway.virsh("alice", "dumpxml", GUEST, uri=guests).stdout
    finally:
        libvirtd.virsh("define", scratch.write("original.xml", xml), uri=guests)


def test_I33_monitor_commands_are_nobodys(gateway, running):
    for user in ("alice", "admin"):
        result = gateway.virsh(user, "qemu-monitor-command", GUEST, '{"execute":"query-status"}', uri=running)
        assert result.returncode != 0, user
        assert "status" not in result.stdout


def test_transient_guest(gateway, libvirtd, guests, scratch):
    xml = libvirtd.guest_xml("web-t", "11111111-0000-4000-8000-0000000000cc")
    path = scratch.write("transient.xml", xml)
    try:
        refused = gateway.virsh("alice", "create", path, uri=guests)
        assert refused.returncode != 0 and "access denied" in refused.stderr
        made = gateway.virsh("admin", "create", path, uri=guests)
        assert made.returncode == 0, made.stderr
        assert "web-t" in gateway.virsh("alice", "list", "--name", uri=guests).stdout
        ended = gateway.virsh("alice", "destroy", "web-t", uri=guests)
        assert ended.returncode == 0, ended.stderr
        assert "web-t" not in gateway.virsh("alice", "list", "--all", "--name", uri=guests).stdout
    finally:
        libvirtd.virsh("destroy", "web-t", uri=guests, check=False)


def test_guest_uuid_is_the_key(gateway, guests):
    found = gateway.python("alice", "answer(connect().lookupByUUIDString(sys.argv[2]).name())", GUEST_UUID, uri=guests)
    assert found == GUEST
