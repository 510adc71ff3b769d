"""A guest's screen through the gateway: who gets in, what passes, and how it ends. The guest has no VNC port at all."""
import fcntl
import json
import os
import re
import socket
import struct
import tempfile
import zlib

import pytest

from conftest import policy_with_realms
from lab.process import LabError, run, wait_until
from lab.vnc import (CLIP_CAPS, CLIP_NOTIFY, CLIP_PROVIDE, CLIP_REQUEST, CLIP_TEXT, CLIPBOARD, X509_NONE, X509_PLAIN, X509_SASL, Refused, Viewer,
                     end_group, gvnccapture, have_gvnccapture, have_virt_viewer, start_virt_viewer)
from screens import GUEST, GUEST_UUID, PASSWORDS, said, with_consoles, with_copying

HIDDEN = "hr-q"


@pytest.fixture(scope="module")
def console(make_gateway, vnc_users, serial):
    return make_gateway("vnc", policy=with_consoles(policy_with_realms()), sasl=vnc_users, listen_vnc=True, vnc_port="0",
                        auth_vnc="sasl", listen_unix=True)


@pytest.fixture
def viewer(console):
    """Makes viewers that are closed with the test."""
    made = []

    def make():
        made.append(Viewer(console.ports["vnc"]))
        return made[-1]
    yield make
    for one in made:
        one.close()


def enter(console, viewer, user, guest=GUEST, password=None, pki=None):
    """Up to the SecurityResult, by X509Plain."""
    return viewer().start_tls(X509_PLAIN, ca=console.authority.ca_cert, pki=pki).plain(
        f"{user}@{guest}", PASSWORDS[user] if password is None else password)


def sessions(console):
    listed = console.virtgate("session", "list", "--json", "--config", f"{console.dir}/virtgated.conf")
    assert listed.returncode == 0, listed.stderr
    return listed.stdout


# ---- getting in ----

def test_plain_shows_the_screen_and_types(console, viewer, serial):
    with enter(console, viewer, "alice").init() as screen:
        assert screen.size[0] >= 320 and GUEST in screen.name
        screen.encodings(0, -223)
        screen.request()
        assert screen.update() == screen.size[0] * screen.size[1]
        before = said(serial)
        screen.type(ord("a"))
        wait_until(lambda: said(serial)[len(before):].startswith(b"\x1e\x9e"), "the key in the guest")
    opened = console.wait_audit(event="console.open", object__uuid=GUEST_UUID, args__mode="input")[-1]
    assert opened["decision"]["binding"] == "webops-on-web" and opened["decision"]["permissions"] == ["domain:open_graphics"]
    assert opened["source"]["via"] == "vnc" and opened["user"]["sasl"].startswith("alice")
    closed = console.wait_audit(event="console.close", session=opened["session"])[-1]
    assert closed["args"]["bytes_to_viewer"] > 320 * 200 and closed["args"]["bytes_to_guest"] > 30
    assert closed["duration_us"] > 0 and closed["result"]["message"] == "client went away"


def test_scram(console, viewer, serial):
    screen = viewer().start_tls(X509_SASL, ca=console.authority.ca_cert)
    assert screen.mechanisms() == ["SCRAM-SHA-256", "PLAIN"]
    screen.scram(f"alice@{GUEST}", PASSWORDS["alice"]).init()
    assert console.wait_audit(event="console.open", user__mech="SCRAM-SHA-256")


def test_certificate_and_server_name(console, viewer, serial):
    pki = f"{console.authority.clients}/alice"
    viewer().start_tls(X509_NONE, pki=pki, name=f"{GUEST}.localhost").init()
    assert console.wait_audit(event="console.open", user__x509="CN=alice,O=Lab")
    with pytest.raises(Refused, match="which guest"):
        viewer().start_tls(X509_NONE, pki=pki).init()


@pytest.mark.skipif(not have_gvnccapture(), reason="there is no gvnccapture here, or this is not root")
def test_gvnccapture_takes_a_picture(console, serial, scratch):
    picture = scratch("screen.png")
    printed = gvnccapture(console.ports["vnc"], picture, console.authority.ca_cert, answers=(f"alice@{GUEST}", PASSWORDS["alice"]))
    assert os.path.exists(picture), printed
    with open(picture, "rb") as file:
        assert file.read(8) == b"\x89PNG\r\n\x1a\n"
    assert console.wait_audit(event="console.close")


# ---- not getting in ----

def test_wrong_password_and_hidden_guest_look_the_same(console, viewer, guests):
    answers = set()
    for user, guest, password in (("alice", GUEST, "wrong"), ("alice", HIDDEN, None), ("alice", "no-such", None)):
        with pytest.raises(Refused) as refused:
            enter(console, viewer, user, guest, password).init()
        answers.add(str(refused.value))
    assert answers == {"authentication failed"}
    assert console.wait_audit(code="VG1403W", object__name=HIDDEN)


def test_console_is_refused_to_a_viewer(console, viewer, serial):
    with pytest.raises(Refused, match=f"access denied: 'domain:open_graphics' on domain '{GUEST}'"):
        enter(console, viewer, "bob").init()
    record = console.wait_audit(code="VG1403W", object__name=GUEST)[-1]
    assert record["decision"]["verdict"] == "deny" and record["result"]["status"] == "denied"


def test_other_persons_certificate_does_not_go_with_a_password(console, viewer, serial):
    with pytest.raises(Refused):
        enter(console, viewer, "alice", pki=f"{console.authority.clients}/bob").init()


def test_I69_only_vencrypt_is_offered(console, viewer):
    assert viewer().version().security_types() == [19]
    assert viewer().subtypes() == [X509_SASL, X509_PLAIN, X509_NONE]
    for choice in (1, 2, 16, 18, 20, 255):
        one = viewer().version()
        one.security_types()
        one.send(bytes([choice]))
        with pytest.raises(Refused):
            one.result()
        assert one.ended()
    for subtype in (0, 256, 257, 258, 259, 261, 264):
        one = viewer()
        one.subtypes()
        one.send(struct.pack("!I", subtype))
        assert one.read(1) == b"\0" and one.ended()


@pytest.mark.parametrize("version", [b"RFB 003.003\n", b"RFB 003.007\n"])
def test_old_viewers_are_told(console, viewer, version):
    one = viewer().version(version)
    if version == b"RFB 003.003\n":
        one.read(3)
    with pytest.raises(Refused, match="RFB 3.8"):
        one.security_types()
    assert one.ended()


def test_I69_clear_text_before_tls_ends_it(console, viewer):
    one = viewer()
    one.subtypes()
    one.send(struct.pack("!I", X509_PLAIN) + b"\x16\x03\x01")
    assert one.ended()


held_ranges = []


def free_range(count):
    """A range of ports that nobody listens on, "FIRST-LAST"; no other run of tests is given it before this one ends."""
    for first in range(6100, 9000, count):
        taken, lock = [], open(os.path.join(tempfile.gettempdir(), f"virtgate-tests-ports-{first}.lock"), "w", encoding="ascii")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for port in range(first, first + count):
                taken.append(socket.create_server(("127.0.0.1", port)))
            held_ranges.append(lock)
            return f"{first}-{first + count - 1}"
        except OSError:
            lock.close()
        finally:
            for one in taken:
                one.close()
    raise AssertionError("no free ports")


@pytest.fixture(scope="module")
def x509_gateway(make_gateway, serial):
    """Viewers with certificates, and ports of single guests."""
    return make_gateway("vnc-x509", policy=with_consoles(policy_with_realms()), listen_vnc=True, vnc_ports=free_range(8))


def consoles(gateway):
    """When a gate that has just begun has heard of the guest."""
    def known():
        listed = gateway.virtgate("console", "list", "--json", "--config", f"{gateway.dir}/virtgated.conf")
        assert listed.returncode == 0, listed.stderr
        found = {one["name"]: one for one in json.loads(listed.stdout)["consoles"]}
        return found if GUEST in found and "hr-1" in found else None
    return wait_until(known, "the ports of the guests")


def test_each_guest_has_a_port_while_it_runs(x509_gateway, libvirtd, authority, serial):
    gateway, pki = x509_gateway, f"{authority.clients}/alice"
    listed = consoles(gateway)
    assert listed[GUEST]["port"] in gateway.ports["vnc_guests"] and len({one["port"] for one in listed.values()}) == len(listed)
    port = listed[GUEST]["port"]
    with Viewer(port) as screen:
        screen.start_tls(X509_NONE, pki=pki).init()
        assert GUEST in screen.name and consoles(gateway)[GUEST]["viewers"] == 1
    gateway.kill_child("gate")
    gateway.wait_audit(code="VG1003E")
    with Viewer(port) as screen:
        screen.start_tls(X509_NONE, pki=pki).init()
        assert GUEST in screen.name
    assert consoles(gateway)[GUEST]["port"] == port


def test_ports_of_others_close_like_a_wrong_password(x509_gateway, authority, serial):
    gateway, pki = x509_gateway, f"{authority.clients}/alice"
    listed = consoles(gateway)
    hidden = listed["hr-1"]["port"]
    nobodys = next(port for port in gateway.ports["vnc_guests"] if port not in [one["port"] for one in listed.values()])
    for port in (hidden, nobodys):
        with Viewer(port) as screen, pytest.raises(Refused, match="^authentication failed$"):
            screen.start_tls(X509_NONE, pki=pki).init()


@pytest.mark.skipif(not have_gvnccapture(), reason="there is no gvnccapture here, or this is not root")
def test_gvnccapture_with_a_certificate(x509_gateway, authority, serial, scratch):
    picture = scratch("screen-x509.png")
    printed = gvnccapture(consoles(x509_gateway)[GUEST]["port"], picture, authority.ca_cert, pki=f"{authority.clients}/alice")
    assert os.path.exists(picture), printed


def test_certificate_alone_when_sasl_is_off(x509_gateway, serial, authority):
    gateway = x509_gateway
    with Viewer(gateway.ports["vnc"]) as one:
        assert one.subtypes() == [X509_NONE]
    with Viewer(gateway.ports["vnc"]) as one, pytest.raises(OSError):
        one.start_tls(X509_NONE, ca=authority.ca_cert, name=f"{GUEST}.localhost").init()
    with Viewer(gateway.ports["vnc"]) as one:
        one.start_tls(X509_NONE, pki=f"{authority.clients}/alice", name=f"{GUEST}.localhost").init()


def test_cve_2011_0011_empty_password(console, viewer, serial):
    for user in ("alice", "nobody-here", ""):
        with pytest.raises(Refused, match="^authentication failed$"):
            enter(console, viewer, user, password="").init()


def test_cve_2023_3354_left_in_the_handshake(console, serial):
    """Whoever leaves at whatever step leaves nothing behind that the next one stumbles over."""
    def steps(one):
        yield one.version()
        yield one.security_types()
        yield one.send(b"\x13") or one.read(2)
        yield one.send(b"\0\2") or one.read(2) or one.read(4 * 3)
        yield one.send(struct.pack("!I", X509_PLAIN)) or one.read(1)
        yield one.send(b"\x16\x03\x01\x00\xff\x01")
    for left_after in range(6):
        for _ in range(5):
            one = Viewer(console.ports["vnc"])
            for number, _ in enumerate(steps(one)):
                if number == left_after:
                    break
            one.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))     # by a reset
            one.close()
    with Viewer(console.ports["vnc"]) as one:
        one.start_tls(X509_PLAIN, ca=console.authority.ca_cert).plain(f"alice@{GUEST}", PASSWORDS["alice"]).init()


# ---- inside ----

def test_I71_view_only_drops_input(console, viewer, serial):
    screen = enter(console, viewer, "carol").init()
    opened = console.wait_audit(event="console.open", args__mode="view")[-1]
    before = said(serial)
    screen.encodings(0)
    screen.type(ord("x"))
    screen.send(struct.pack("!BBHHIHI", 255, 0, 1, 0, 0, 0x2d, 0)[:12])     # the extended form of the same key
    screen.send(struct.pack("!BBHH", 5, 1, 3, 3))
    screen.send(struct.pack("!BxxxI", 6, 3) + b"abc")
    screen.request()
    assert screen.update() > 0
    # alice types behind it: hers is the first that arrives
    other = enter(console, viewer, "alice").init()
    other.type(ord("b"))
    wait_until(lambda: said(serial) != before, "alice's key in the guest")
    wait_until(lambda: said(serial)[len(before):] == b"\x30\xb0", "alice's key and no other")
    screen.close()
    closed, = console.wait_audit(event="console.close", session=opened["session"])
    assert closed["args"]["dropped_messages"] == 5


@pytest.mark.parametrize("message", [
    b"\x07", b"\x01", b"\xfe", b"\xff\x02\x00\x00",
    b"\x02\x00\xff\xff", b"\x06\x00\x00\x00\x7f\xff\xff\xff", b"\x06\x00\x00\x00\x80\x00\x00\x00",
    b"\x00\0\0\0" + bytes([0, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0, 0, 0, 0]),
    b"\xf8\0\0\0\0\0\0\0\x41", b"\xfb\0\4\0\3\0\x11\0",
])
def test_I71_unknown_and_overlong_messages_end_it(console, viewer, serial, message):
    screen = enter(console, viewer, "alice").init()
    screen.send(message)
    assert screen.ended()


def test_I71_extended_clipboard_is_dropped(console, viewer, serial):
    screen = enter(console, viewer, "alice").init()
    screen.encodings(0, -1063131698)
    screen.send(struct.pack("!Bxxxi", 6, -4) + b"\x02\0\0\1" + struct.pack("!Bxxxi", 6, -12) + b"\x10\0\0\1" + b"x" * 8)
    screen.send(b"\xfa\0\1\4")      # xvp: reset
    screen.request()
    assert screen.update() > 0      # and no ServerCutText with capabilities was in front of it


@pytest.fixture
def copying(console, serial):
    """alice may also have the text on her guests' clipboards; take() takes that from her again."""
    policy = with_consoles(policy_with_realms())
    console.write_policy(with_copying(policy))
    console.reload()

    def take():
        console.write_policy(policy)
        console.reload()
    yield take
    take()


def copier(console, viewer):
    return enter(console, viewer, "alice").init().share_clipboard()


def test_text_of_the_guests_clipboard_both_ways(console, viewer, copying):
    """QEMU's own clipboard, which a guest's agent shares with its viewers: from one to the next of them, whatever form they speak."""
    reader, old = copier(console, viewer), enter(console, viewer, "alice").init()
    old.send(struct.pack("!BxxxI", 6, 9) + b"old words")
    assert reader.wait_text() == "old words"
    writer = copier(console, viewer)
    writer.clipboard(CLIP_NOTIFY | CLIP_TEXT)
    assert reader.clipboard_message() == (CLIP_NOTIFY | CLIP_TEXT, b"")
    reader.clipboard(CLIP_REQUEST | CLIP_TEXT)
    writer.provide_text("neue Wörter")
    assert reader.given_text() == "neue Wörter"


def test_who_loses_the_guests_clipboard_is_ended(console, viewer, copying):
    reader, without = copier(console, viewer), enter(console, viewer, "alice").init()
    copying()
    assert reader.ended()
    assert console.wait_audit(event="console.close", result__message="the right to the guest's clipboard was revoked")
    without.encodings(0)
    without.request()
    assert without.update() > 0     # who did not ask for it goes on


def test_messages_split_at_every_byte(console, viewer, serial):
    before = said(serial)
    screen = enter(console, viewer, "alice").init()
    for byte in struct.pack("!BxHii", 2, 2, 0, -223) + struct.pack("!BBxxI", 4, 1, ord("c")) + struct.pack("!BBxxI", 4, 0, ord("c")):
        screen.send(bytes([byte]))
    wait_until(lambda: said(serial)[len(before):] == b"\x2e\xae", "the key in the guest")


# ---- the end ----

def test_session_list_and_kill(console, viewer, serial):
    screen = enter(console, viewer, "alice").init()
    record = console.wait_audit(event="console.open", user__sasl=console.audit(event="console.open")[-1]["user"]["sasl"])[-1]
    listed = sessions(console)
    assert record["session"] in listed and GUEST in listed
    killed = console.virtgate("session", "kill", record["session"], "--config", f"{console.dir}/virtgated.conf")
    assert killed.returncode == 0, killed.stderr
    assert screen.ended()
    closed = console.wait_audit(event="console.close", session=record["session"])[-1]
    assert closed["result"]["message"] == "ended by an admin"


def test_I11_revoked_right_ends_a_running_console(console, viewer, serial):
    keep, lose = enter(console, viewer, "carol").init(), enter(console, viewer, "alice").init()
    policy = with_consoles(policy_with_realms())
    console.write_policy({**policy, "bindings": [binding for binding in policy["bindings"] if binding["id"] != "webops-on-web"]})
    try:
        console.reload()
        assert lose.ended()
        closed = console.wait_audit(event="console.close", result__message="rights revoked")[-1]
        assert closed["user"]["sasl"].startswith("alice")
        keep.request()
        assert keep.update() > 0
    finally:
        console.write_policy(policy)
        console.reload()


def test_guest_that_stops_ends_its_consoles(console, viewer, serial, libvirtd):
    screen = enter(console, viewer, "alice").init()
    libvirtd.virsh("reset", GUEST, uri=libvirtd.qemu_uri)
    libvirtd.virsh("destroy", GUEST, uri=libvirtd.qemu_uri)
    try:
        assert screen.ended()
        with pytest.raises(Refused, match="the console is not available: .*not running"):
            enter(console, viewer, "alice").init()
    finally:
        libvirtd.virsh("start", GUEST, uri=libvirtd.qemu_uri)
        wait_until(lambda: b"KEYS-READY" in said(serial), "the guest to boot")


# ---- what a domain's description says ----

def graphics(text):
    return re.findall(r"<graphics.*?(?:/>|</graphics>)", text, re.S)


def test_live_description_names_the_gateways_port(x509_gateway, libvirtd, serial):
    gateway, uri = x509_gateway, libvirtd.qemu_uri
    port = consoles(gateway)[GUEST]["port"]
    for user in ("alice", "carol"):
        element, = graphics(gateway.virsh(user, "dumpxml", GUEST, uri=uri).stdout)
        assert f'port="{port}"' in element.replace("'", '"') and "0.0.0.0" in element, element
        assert gateway.virsh(user, "vncdisplay", GUEST, uri=uri).stdout.strip() == f":{port - 5900}"
    # the port that it says is the screen's
    with Viewer(port) as screen:
        screen.start_tls(X509_NONE, pki=f"{gateway.authority.clients}/alice").init()
    element, = graphics(gateway.virsh("bob", "dumpxml", GUEST, uri=uri).stdout)
    assert "port=" not in element and "address" not in element, element
    assert libvirtd.virsh("vncdisplay", GUEST, uri=uri, check=False).returncode != 0    # there is no port but the gateway's


def test_descriptions_for_editing_are_as_they_were(x509_gateway, libvirtd, serial):
    gateway, uri = x509_gateway, libvirtd.qemu_uri
    for flag in ("--inactive", "--migratable"):
        direct = libvirtd.virsh("dumpxml", flag, GUEST, uri=uri).stdout
        for user in ("alice", "carol", "bob") if flag == "--inactive" else ("admin",):
            assert gateway.virsh(user, "dumpxml", flag, GUEST, uri=uri).stdout == direct


def test_edit_round_trips_to_the_byte(x509_gateway, libvirtd, serial, scratch):
    """virsh edit, with an editor that adds a title and one that takes it away again, while the guest runs."""
    gateway, uri = x509_gateway, libvirtd.qemu_uri
    before = libvirtd.virsh("dumpxml", "--inactive", GUEST, uri=uri).stdout
    for editor in ("sed -i 's|</name>|</name><title>edited</title>|'", "sed -i '/<title>/d'"):
        environment = {**gateway.client_environment("admin"), "EDITOR": editor}
        edited = run(["virsh", "-c", gateway.uri("admin", uri=uri), "edit", GUEST], environment=environment, check=False)
        assert edited.returncode == 0, edited.stderr
    assert libvirtd.virsh("dumpxml", "--inactive", GUEST, uri=uri).stdout == before


@pytest.mark.parametrize("user", ["alice", "bob", "admin"])
def test_live_description_does_not_come_back(x509_gateway, libvirtd, serial, scratch, user):
    gateway, uri = x509_gateway, libvirtd.qemu_uri
    before = libvirtd.virsh("dumpxml", "--inactive", GUEST, uri=uri).stdout
    live = gateway.virsh(user, "dumpxml", GUEST, uri=uri).stdout
    path = scratch.write(f"live-{user}.xml", live)
    device = scratch.write(f"device-{user}.xml", graphics(live)[0])
    for command in (("define", path), ("create", path), ("update-device", GUEST, device, "--config")):
        refused = gateway.virsh("admin", *command, uri=uri)
        assert refused.returncode != 0 and "made for viewers" in refused.stderr, refused.stderr
    assert libvirtd.virsh("dumpxml", "--inactive", GUEST, uri=uri).stdout == before


def test_first_vnc_display_behind_one_of_spice(x509_gateway, libvirtd, scratch, authority, serial):
    """libvirt counts all displays; the one with VNC is the second here."""
    gateway, uri, name = x509_gateway, libvirtd.qemu_uri, "web-spice"
    xml = libvirtd.guest_xml(name, "11111111-0000-4000-8000-0000000000ef").replace(
        "<graphics type='vnc'>", "<graphics type='spice'><listen type='none'/></graphics><graphics type='vnc'>")
    libvirtd.virsh("create", scratch.write("spice.xml", xml), uri=uri)
    try:
        shown = graphics(gateway.virsh("alice", "dumpxml", name, uri=uri).stdout)
        assert len(shown) == 2 and "port=" not in shown[0] and "port=" in shown[1], shown
        port = consoles(gateway)[name]["port"]
        assert f'port="{port}"' in shown[1]
        with Viewer(port) as screen:
            screen.start_tls(X509_NONE, pki=f"{authority.clients}/alice").init()
            assert name in screen.name
    finally:
        libvirtd.virsh("destroy", name, uri=uri)


@pytest.mark.skipif(not have_virt_viewer(), reason="there is no virt-viewer or xvfb-run here, or this is not root")
def test_virt_viewer_opens_the_screen_by_itself(x509_gateway, libvirtd, serial, scratch):
    """Over qemu+tls, told nothing but the guest's name; the guest has no port of its own."""
    gateway, log = x509_gateway, f"{scratch.directory('virt-viewer')}/log"
    uri = f"qemu+tls://localhost:{gateway.ports['tls']}{libvirtd.qemu_uri.removeprefix('qemu://')}"
    process = start_virt_viewer(uri, GUEST, f"{gateway.authority.clients}/alice", log)
    try:
        def painted():
            assert process.poll() is None, said(log)[-2000:]
            shown = [one for one in json.loads(sessions(gateway))["sessions"] if one.get("console") == GUEST]
            return shown and shown[0]["bytes_to_viewer"] > 1000 and shown[0]["user"] == "CN=alice,O=Lab"
        wait_until(painted, "virt-viewer to paint the screen")
    except LabError as error:
        raise LabError(f"{error}; it said: {said(log)[-3000:].decode(errors='replace')}") from None
    finally:
        end_group(process)
    assert gateway.wait_audit(event="console.close", user__x509="CN=alice,O=Lab")
