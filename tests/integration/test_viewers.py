"""
The viewers that people have, on a desktop that nobody sees, at the screen of a real guest that has no VNC port. What each shows is compared
with libvirt's own screenshot of the guest, pixel for pixel; what is typed into it arrives at the guest. Pictures are kept in
build/artefacts.
"""
import json
import os
import re
import struct

import pytest

from conftest import TOP, policy_with_realms
from lab.desktop import Desktop, Picture, have
from lab.process import PYTHON, LabError, run, wait_until
from lab.vnc import X509_PLAIN, Viewer
from screens import GUEST, PASSWORDS, said, with_consoles, with_copying
from test_vnc import free_range

SCAN_A = 0x1e       # what the keyboard says for the key "a"
HOST = "gw.example"  # a viewer over qemu+tls does not go to localhost


@pytest.fixture(scope="module")
def gateway(make_gateway, authority, serial):
    """Viewers with certificates; its own is for gw.example too."""
    certificate, key = authority.server_of(HOST)
    return make_gateway("viewers", policy=with_consoles(policy_with_realms()), listen_vnc=True, vnc_ports=free_range(8), cert_file=certificate,
                        key_file=key)


@pytest.fixture(scope="module")
def sasl_gateway(make_gateway, authority, vnc_users, serial):
    """Viewers with user and password."""
    certificate, key = authority.server_of(f"sasl.{HOST}")
    return make_gateway("viewers-sasl", policy=with_copying(with_consoles(policy_with_realms())), sasl=vnc_users, listen_vnc=True, vnc_port="0",
                        auth_vnc="sasl", cert_file=certificate, key_file=key)


@pytest.fixture
def desktop(scratch, request):
    with Desktop(scratch.directory(f"desktop-{request.node.name}"[:60])) as place:
        yield place


@pytest.fixture
def home(gateway, scratch, request):
    """alice's, with her certificate where `virtgate pki viewers` puts it."""
    directory = scratch.directory(f"home-{request.node.name}"[:60])
    put = gateway.virtgate("pki", "viewers", f"{gateway.authority.clients}/alice", "--home", directory)
    assert put.returncode == 0, put.stderr
    return directory


def port_of(gateway, guest=GUEST):
    """A gate that has just begun may not have heard of the guest yet."""
    def port():
        listed = gateway.virtgate("console", "list", "--json", "--config", f"{gateway.dir}/virtgated.conf")
        return next((one["port"] for one in json.loads(listed.stdout)["consoles"] if one["name"] == guest), None)
    return wait_until(port, f"the port of {guest}")


def opened(gateway):
    listed = gateway.virtgate("session", "list", "--json", "--config", f"{gateway.dir}/virtgated.conf")
    return [one for one in json.loads(listed.stdout)["sessions"] if one.get("console") == GUEST and one["console_state"] == "open"]


@pytest.fixture
def screen(libvirtd, serial, scratch):
    """What libvirt says is on the guest's screen."""
    path = scratch("viewers-screen")
    libvirtd.virsh("screenshot", GUEST, path, uri=libvirtd.qemu_uri)
    with open(path, "rb") as file:
        picture = Picture.of_image(file.read())
    assert picture.colours() > 1, "an empty screen would be found anywhere"
    return picture


def expect_screen_and_typing(desktop, gateway, screen, serial, log, name, type_it=True):
    """The guest's screen is on the desktop to the pixel, at the place that is returned; the key "a" reaches the guest."""
    def shown():
        at = desktop.picture().find(screen)
        return (at,) if at else None
    try:
        wait_until(lambda: opened(gateway), f"{name} to open the screen")
        (x, y), = wait_until(shown, f"the guest's screen in {name}")
        desktop.picture().save(f"{TOP}/build/artefacts/viewer-{name}.png")
        if not type_it:
            return x, y
        before = len(said(serial))
        desktop.click(x + screen.width // 2, y + screen.height // 2)

        def typed():
            desktop.xdotool("key", "a")
            return SCAN_A in said(serial)[before:]
        wait_until(typed, f"the key to reach the guest from {name}")
        return x, y
    except LabError as error:
        desktop.picture().save(f"{TOP}/build/artefacts/viewer-{name}-failed.png")
        raise LabError(f"{error}; it said: {said(log)[-3000:].decode(errors='replace')}") from None


def expect_session(gateway, **identity):
    session = opened(gateway)[0]
    for key, value in identity.items():
        assert session[key] == value, session


@pytest.mark.skipif(not have("gvncviewer"), reason="gvncviewer, Xvfb or xdotool is missing, or this is not root")
def test_gvncviewer_by_certificate(gateway, desktop, home, screen, serial):
    log = f"{home}/log"
    desktop.start(["gvncviewer", f"{HOST}:{port_of(gateway) - 5900}"], home, log, hosts=HOST)
    expect_screen_and_typing(desktop, gateway, screen, serial, log, "gvncviewer")
    expect_session(gateway, user="CN=alice,O=Lab", mode="input")


@pytest.mark.skipif(not have("remote-viewer"), reason="remote-viewer, Xvfb or xdotool is missing, or this is not root")
def test_remote_viewer_by_certificate(gateway, desktop, home, screen, serial):
    log = f"{home}/log"
    desktop.start(["dbus-run-session", "--", "remote-viewer", "--debug", f"vnc://{HOST}:{port_of(gateway)}"], home, log, hosts=HOST)
    expect_screen_and_typing(desktop, gateway, screen, serial, log, "remote-viewer")
    expect_session(gateway, user="CN=alice,O=Lab", mode="input")


@pytest.mark.skipif(not have("virt-viewer"), reason="virt-viewer, Xvfb or xdotool is missing, or this is not root")
def test_virt_viewer_over_tls(gateway, libvirtd, desktop, home, screen, serial):
    log = f"{home}/log"
    uri = f"qemu+tls://{HOST}:{gateway.ports['tls']}{libvirtd.qemu_uri.removeprefix('qemu://')}"
    desktop.start(["dbus-run-session", "--", "virt-viewer", "--direct", "--debug", "-c", uri, GUEST], home, log, hosts=HOST,
                  everybodys=True)
    expect_screen_and_typing(desktop, gateway, screen, serial, log, "virt-viewer")


@pytest.mark.skipif(not have("virt-manager"), reason="virt-manager, Xvfb or xdotool is missing, or this is not root")
def test_virt_manager_opens_the_console_of_a_guest_without_a_port(gateway, libvirtd, desktop, home, screen, serial):
    """Unmodified, over qemu+tls, told nothing but the URI and the guest's name."""
    log = f"{home}/log"
    assert "<listen type='none'/>" in libvirtd.virsh("dumpxml", GUEST, uri=libvirtd.qemu_uri).stdout
    uri = f"qemu+tls://{HOST}:{gateway.ports['tls']}{libvirtd.qemu_uri.removeprefix('qemu://')}"
    desktop.start(["dbus-run-session", "--", "virt-manager", "--no-fork", "--debug", "-c", uri, "--show-domain-console", GUEST], home, log,
                  hosts=HOST, everybodys=True)
    expect_screen_and_typing(desktop, gateway, screen, serial, log, "virt-manager")


@pytest.mark.skipif(not have("vncviewer"), reason="TigerVNC's vncviewer, Xvfb or xdotool is missing, or this is not root")
def test_tigervnc_by_user_and_password(sasl_gateway, desktop, scratch, screen, serial):
    """It has no client certificates: X509Plain. The password comes by its environment, as it does for scripts."""
    gateway, home = sasl_gateway, scratch.directory("home-tigervnc")
    log = f"{home}/log"
    desktop.start(["env", f"VNC_USERNAME=alice@{GUEST}", f"VNC_PASSWORD={PASSWORDS['alice']}", "vncviewer", "-SecurityTypes", "X509Plain",
                   "-X509CA", gateway.authority.ca_cert, "-Log", "*:stderr:30", f"sasl.{HOST}::{gateway.ports['vnc']}"], home, log,
                  hosts=f"sasl.{HOST}")
    expect_screen_and_typing(desktop, gateway, screen, serial, log, "tigervnc")
    expect_session(gateway, mode="input")


# Says what is on the clipboard of its desktop, when there is something.
CLIPBOARD_READER = """
import sys, gi
gi.require_version("Gtk", "3.0")
from gi.repository import Gdk, GLib, Gtk
clipboard = Gtk.Clipboard.get(Gdk.SELECTION_CLIPBOARD)
def look():
    text = clipboard.wait_for_text()
    if text:
        print("TEXT:" + text, flush=True)
        Gtk.main_quit()
    return True
GLib.timeout_add(300, look)
Gtk.main()
"""


@pytest.mark.skipif(not have("vncviewer") or run([PYTHON, "-c", "import gi"], check=False).returncode != 0,
                    reason="TigerVNC's vncviewer, python3-gi, Xvfb or xdotool is missing, or this is not root")
def test_tigervnc_has_the_text_of_the_guests_clipboard(sasl_gateway, desktop, scratch, screen, serial):
    gateway, home = sasl_gateway, scratch.directory("home-tigervnc-copy")
    log, told = f"{home}/log", f"{home}/told"
    desktop.start(["env", f"VNC_USERNAME=alice@{GUEST}", f"VNC_PASSWORD={PASSWORDS['alice']}", "vncviewer", "-SecurityTypes", "X509Plain",
                   "-X509CA", gateway.authority.ca_cert, "-Log", "*:stderr:30", f"sasl.{HOST}::{gateway.ports['vnc']}"], home, log,
                  hosts=f"sasl.{HOST}")
    expect_screen_and_typing(desktop, gateway, screen, serial, log, "tigervnc-copy")
    desktop.start([PYTHON, "-c", CLIPBOARD_READER], home, told)
    with Viewer(gateway.ports["vnc"]) as other:
        other.start_tls(X509_PLAIN, ca=gateway.authority.ca_cert).plain(f"alice@{GUEST}", PASSWORDS["alice"]).init()
        other.send(struct.pack("!BxxxI", 6, 14) + b"from the guest")
        wait_until(lambda: b"TEXT:from the guest" in said(told), "the text on the desktop")


@pytest.mark.skipif(not have("gvncviewer"), reason="gvncviewer, Xvfb or xdotool is missing, or this is not root")
def test_who_may_only_look_sees_and_types_in_vain(gateway, desktop, scratch, screen, serial):
    home = scratch.directory("home-carol")
    log = f"{home}/log"
    assert gateway.virtgate("pki", "viewers", f"{gateway.authority.clients}/carol", "--home", home).returncode == 0
    desktop.start(["gvncviewer", f"{HOST}:{port_of(gateway) - 5900}"], home, log, hosts=HOST)
    x, y = expect_screen_and_typing(desktop, gateway, screen, serial, log, "gvncviewer-view", type_it=False)
    before = len(said(serial))
    desktop.click(x + 10, y + 10)
    for _ in range(5):
        desktop.xdotool("key", "a")
    # the guest's cursor blinks: what the viewer asks for then stands behind the keys, and passes
    passed = opened(gateway)[0]["bytes_to_guest"]
    wait_until(lambda: opened(gateway)[0]["bytes_to_guest"] > passed + 50, "what comes behind the keys")
    desktop.__exit__()
    record, = gateway.wait_audit(event="console.close", user__name="CN=carol,O=Lab")
    assert record["args"]["mode"] == "view" and record["args"]["dropped_messages"] >= 10, record["args"]
    assert len(said(serial)) == before


def test_virsh_vncdisplay(gateway, libvirtd, serial):
    told = gateway.virsh("alice", "vncdisplay", GUEST, uri=libvirtd.qemu_uri)
    assert told.stdout.strip() == f":{port_of(gateway) - 5900}", told.stderr


@pytest.mark.skipif(run(["sh", "-c", "command -v virt-xml"], check=False).returncode != 0, reason="there is no virt-xml here")
@pytest.mark.parametrize("option, value, mark", [("--metadata", "title=edited", r"\s*<title>edited</title>"), ("--graphics", "keymap=de", " keymap='de'")])
def test_virt_xml_changes_only_what_it_is_told(gateway, libvirtd, scratch, serial, option, value, mark):
    """It reads a definition and sends it back: nothing that is made for viewers comes with it."""
    uri, before = libvirtd.qemu_uri, libvirtd.virsh("dumpxml", "--inactive", GUEST, uri=libvirtd.qemu_uri).stdout
    through = gateway.uri("admin", uri)
    try:
        changed = run(["virt-xml", "-c", through, GUEST, "--edit", option, value], check=False)
        assert changed.returncode == 0, changed.stderr
        after = libvirtd.virsh("dumpxml", "--inactive", GUEST, uri=uri).stdout
        assert after != before and re.sub(mark, "", after) == before
    finally:
        libvirtd.virsh("define", scratch.write("viewers-before.xml", before), uri=uri)
    assert libvirtd.virsh("dumpxml", "--inactive", GUEST, uri=uri).stdout == before


def test_pki_viewers_overwrites_nothing(gateway, scratch):
    home, clients = scratch.directory("home-viewers"), gateway.authority.clients

    def put(who):
        return gateway.virtgate("pki", "viewers", f"{clients}/{who}", "--home", home)
    assert put("alice").returncode == 0
    placed = {os.path.relpath(os.path.join(where, name), home): os.stat(os.path.join(where, name)).st_mode & 0o777
              for where, _, names in os.walk(home) for name in names}
    assert len(placed) == 11 and all(mode == (0o600 if "key" in name else 0o644) for name, mode in placed.items()), placed
    assert "everything is in place" in put("alice").stdout
    refused = put("bob")
    assert refused.returncode == 1 and "exists and is never overwritten" in refused.stderr
    for name in placed:
        kind = os.path.basename(name)
        with open(f"{home}/{name}", "rb") as one, open(f"{clients}/alice/{kind}", "rb") as other:
            assert one.read() == other.read()
    assert not [name for _, _, names in os.walk(home) for name in names if name.endswith(".tmp")]
    refused = gateway.virtgate("pki", "viewers", f"{clients}/bob", "--home", "/nowhere")
    assert refused.returncode == 1 and "/nowhere" in refused.stderr
