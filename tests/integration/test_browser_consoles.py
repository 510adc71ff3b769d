"""Consoles in Chromium, as they are lived with: see test_browser.py."""
import contextlib
import socket
import struct
import threading

import pytest

from conftest import policy_with_realms
from lab.vnc import CLIP_NOTIFY, CLIP_TEXT, X509_PLAIN, Viewer
from screens import GUEST, GUEST_UUID, with_consoles, with_copying
from test_browser import WORDS, Scenario, off, pytestmark, users  # noqa: F401: fixtures, and what skips all of them


@pytest.fixture(scope="module")
def gateway(make_gateway, libvirtd, users, serial):  # noqa: F811
    policy = with_copying(with_consoles(policy_with_realms()))
    policy["roles"]["no-text"] = {"deny": ["domain:paste_graphics", "domain:copy_graphics"]}
    policy["bindings"].append({"id": "no-text", "who": ["anyone"], "role": "no-text", "on": ["domain:web-second"]})
    return make_gateway("browser-consoles", policy=policy, sasl=users, listen_web=True, web_port="0", listen_vnc=True, vnc_port="0", auth_vnc="sasl",
                        allowed_uris=[libvirtd.qemu_uri])


class Cable:
    """A wire to the gateway's port for browsers, which can be cut."""

    def __init__(self, port):
        self.target, self.pairs = port, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self.target))
            self.pairs += [near, far]
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=(one, other), daemon=True).start()

    @staticmethod
    def _pump(one, other):
        try:
            while data := one.recv(65536):
                other.sendall(data)
        except OSError:
            pass
        for end in (one, other):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def cut(self):
        """Whatever runs over it ends without a word; what comes later finds it whole again."""
        pairs, self.pairs = self.pairs, []
        for end in pairs:
            with contextlib.suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def close(self):
        self.listener.close()
        self.cut()


@pytest.fixture
def cable(gateway):
    wire = Cable(gateway.ports["web"])
    yield wire
    wire.close()


@pytest.fixture
def second(libvirtd):
    """Another guest with a screen, on which alice may type but neither give nor take text."""
    libvirtd.define_guest("web-second", "44444444-0000-4000-8000-0000000000ee")
    libvirtd.virsh("start", "web-second", uri=libvirtd.qemu_uri)
    yield "web-second"
    libvirtd.virsh("destroy", "web-second", uri=libvirtd.qemu_uri, check=False)
    libvirtd.virsh("undefine", "web-second", uri=libvirtd.qemu_uri)


def test_consoles_as_they_are_lived_with(gateway, cable, serial, off, second):  # noqa: F811
    def logins():
        """Those of pages: a console has a session, and so a record, of its own."""
        consoles = {record["session"] for record in gateway.audit(event="console.open", user__name="alice")}
        return {record["session"] for record in gateway.audit(event="session.login", user__name="alice") if "session" in record} - consoles

    before = len(logins())
    peer = Viewer(gateway.ports["vnc"]).start_tls(X509_PLAIN, ca=gateway.authority.ca_cert).plain(f"alice@{GUEST}", WORDS["alice"]).init().share_clipboard()
    with peer, Scenario("consoles", gateway, url=f"https://localhost:{cable.port}", password=WORDS["alice"], guest=GUEST, off="web-off", second=second) as alice:
        alice.wait("by keyboard")
        assert alice.wait("tabs") == [GUEST, second]
        assert alice.wait("shown") == {"current": GUEST, "visible": 1, "open": 2}
        alice.wait("full screen")
        alice.wait("pasted")
        assert peer.wait_text() == "from the browser"
        alice.wait("sent")
        assert peer.wait_text() == "typed for the guest: Wörter €"
        alice.wait("waiting for a text")
        peer.clipboard(CLIP_NOTIFY | CLIP_TEXT)
        peer.provide_text("out of the guest: <b>Wörter</b>\nand a line")
        text = "out of the guest: <b>Wörter</b>\nand a line"
        assert alice.wait("copied") == {"text": text, "told": f"{len(text)} characters came from the guest.", "writable": False}
        assert alice.wait("taken along") == text
        assert alice.wait("no paste") == 0
        alice.wait("connected")
        cable.cut()
        assert alice.wait("back") == {"sockets": 2, "open": 2, "login": 0}
        assert alice.wait("ended") == 4
        assert alice.wait("consoles left") == 0
        alice.end()
    opened = [record for record in gateway.wait_audit(5, event="console.open", user__name="alice") if record["source"]["via"] == "web"]
    assert sorted(record["object"]["name"] for record in opened) == sorted([GUEST, second] * 2)
    gateway.wait_audit(5, event="console.close", user__name="alice")
    assert len(logins()) == before + 1, "one log-in for all of it"
