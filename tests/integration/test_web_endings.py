"""Why a browser's console ended: the close code of its WebSocket and the reason behind it, each at a real guest (include/virtgate/endings.def)."""
import contextlib
import copy
import os
import signal
import struct

import libvirt
import pytest

from conftest import PASSWORDS, policy_with_realms
from lab.gateway import SaslUsers
from lab.process import LabError, wait_until
from lab.web import Browser, Closed
from screens import GUEST, GUEST_UUID, with_consoles, with_copying

WORDS = {**PASSWORDS, "carol": "carol's word"}
EXTENDED_CLIPBOARD = -0x3f5e1a32    # rfbproto.rst: 0xc0a1e5ce


def policy_of_takers():
    """carol may take screens; who of the others may see sessions is the admin."""
    policy = with_copying(with_consoles(policy_with_realms()))
    policy["roles"]["taker"] = {"allow": ["domain:takeover_console", "domain:open_graphics"]}
    policy["bindings"].append({"id": "takers", "who": ["group:watchers"], "role": "taker", "on": ["set:web"]})
    return policy


POLICY = policy_of_takers()


def without(*bindings):
    policy = copy.deepcopy(POLICY)
    policy["bindings"] = [binding for binding in policy["bindings"] if binding["id"] not in bindings]
    return policy


class Lab:
    """A gateway that each row may bend; after it all is as it was."""

    def __init__(self, gateway, libvirtd):
        self.gateway, self.libvirtd, self.people = gateway, libvirtd, {}

    def person(self, name):
        if name not in self.people or self.people[name].get("/me").status != 200:
            self.people[name] = Browser(self.gateway).login(name, WORDS[name])
        return self.people[name]

    def open(self, name, mode="input", shared=True):
        screen = self.person(name).console(GUEST_UUID, mode)
        screen.open(shared)
        return screen

    @contextlib.contextmanager
    def policy(self, policy):
        self.gateway.write_policy(policy)
        self.gateway.reload()
        yield
        self.gateway.write_policy(POLICY)
        self.gateway.reload()

    @contextlib.contextmanager
    def settings(self, **changes):
        self.gateway.write_settings(**changes)
        self.gateway.reload()
        yield
        self.gateway.write_settings(**dict.fromkeys(changes, 0))
        self.gateway.reload()

    def session_of(self, name):
        """Of his console, as the admin sees it."""
        found, = [one["id"] for one in self.person("admin").get("/sessions").json["sessions"] if one["user"] == name and one.get("console") == GUEST]
        return found

    def guest(self, word):
        with libvirt.open(self.libvirtd.direct(self.libvirtd.qemu_uri)) as connection:
            getattr(connection.lookupByUUIDString(GUEST_UUID), word)()


@pytest.fixture(scope="module")
def users(scratch):
    return SaslUsers(scratch, name="sasl-endings", passwords=WORDS, mechanisms="plain scram-sha-256")


@pytest.fixture(scope="module")
def lab(make_gateway, libvirtd, users, serial):
    return Lab(make_gateway("endings", policy=POLICY, sasl=users, listen_web=True, web_port="0", allowed_uris=[libvirtd.qemu_uri]), libvirtd)


# ---- what ends it: each gives what the screen heard ----

def withdrawn(lab):
    screen = lab.open("alice")
    with lab.policy(without("webops-on-web")):
        return screen.closed()


def copying_withdrawn(lab):
    screen = lab.open("alice")
    screen.send(struct.pack("!BxHii", 2, 2, 0, EXTENDED_CLIPBOARD))
    assert screen.read(1) == b"\3", "QEMU says what it knows of clipboards: it has heard of ours"
    with lab.policy(without("copiers")):
        return screen.closed()


def taken(who):
    def end(lab):
        screen = lab.open(who)
        taker = lab.open("carol", shared=False)
        heard = screen.closed()
        taker.close()
        return heard
    return end


def killed(by, whose="alice"):
    def end(lab):
        screen = lab.open(whose)
        assert lab.person(by).delete(f"/sessions/{lab.session_of(whose)}").json == {"killed": 1}
        return screen.closed()
    return end


def killed_on_the_host(lab):
    screen = lab.open("alice")
    lab.gateway.virtgate("session", "kill", lab.session_of("alice"), "--config", f"{lab.gateway.dir}/virtgated.conf", check=True)
    return screen.closed()


def ended_of_itself(lab, **settings):
    """After a second, in which a busy machine may not even have opened it."""
    with lab.settings(**settings):
        screen = lab.person("alice").console(GUEST_UUID)
        try:
            screen.open()
        except Closed as end:
            return end.code, end.reason
        return screen.closed()


def idle(lab):
    return ended_of_itself(lab, console_idle_seconds=1)


def too_long(lab):
    return ended_of_itself(lab, console_max_seconds=1)


def guest_off(lab):
    screen = lab.open("alice")
    lab.guest("destroy")
    heard = screen.closed()
    lab.guest("create")
    return heard


def no_screen(lab):
    lab.guest("destroy")
    wait_until(lambda: lab.person("alice").guests()[GUEST]["state"] == "shutoff", "the guest to be known as off")
    try:
        screen = lab.person("alice").console(GUEST_UUID)
        with pytest.raises(LabError, match="the console is not available"):
            screen.open()
        return screen.closed()
    finally:
        lab.guest("create")


def no_rfb(lab):
    screen = lab.open("alice")
    screen.send(b"\xfe")
    return screen.closed()


def not_binary(lab):
    screen = lab.open("alice")
    screen.frame(b"text", opcode=1)
    return screen.closed()


def logged_out(lab):
    screen = lab.open("alice")
    assert lab.person("alice").post("/logout").status == 200
    return screen.closed()


def no_trail(lab):
    pid, = lab.gateway.children("audit")
    alice = lab.person("alice")
    os.kill(pid, signal.SIGSTOP)
    try:
        screen = alice.console(GUEST_UUID)
        with pytest.raises(LabError, match="the audit trail cannot be written"):
            screen.open()
        return screen.closed()
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize(("end", "code", "reason"), [
    (withdrawn, 4403, "rights revoked"),
    (copying_withdrawn, 4414, "the right to the guest's clipboard was revoked"),
    (taken("alice"), 4409, "another viewer took the screen"),
    (taken("admin"), 4409, "another viewer took the screen: carol"),
    (taken("carol"), 4409, "another viewer took the screen: carol"),
    (killed("admin"), 4413, "ended by an admin"),
    (killed("admin", "admin"), 4413, "ended by an admin: admin"),
    (killed("alice"), 4413, "ended by an admin: alice"),
    (killed_on_the_host, 4413, "ended by an admin"),
    (idle, 4411, "nobody typed for console_idle_seconds"),
    (too_long, 4412, "open for console_max_seconds"),
    (guest_off, 4415, "the guest's console went away"),
    (no_screen, 4417, "the guest's console cannot be had"),
    (no_rfb, 4400, "client broke the protocol"),
    (not_binary, 1003, "only binary messages"),
    (logged_out, 4410, "logged out"),
    (no_trail, 4505, "the audit trail cannot be written"),
], ids=lambda value: getattr(value, "__qualname__", None))
def test_what_ended_a_console_is_told(lab, end, code, reason):
    assert end(lab) == (code, reason)


def test_a_hidden_guest_ends_as_one_that_is_not_there(lab):
    """A ticket was given while he saw it; what he hears later does not tell which of both has happened."""
    uuid = "11111111-0000-4000-8000-0000000000ed"
    xml = f"<domain type='qemu'><name>web-hidden</name><uuid>{uuid}</uuid><memory unit='MiB'>32</memory><os><type arch='x86_64'>hvm</type></os></domain>"

    def refused(screen):
        with pytest.raises(LabError) as told:
            screen.open()
        return str(told.value), screen.closed()

    with libvirt.open(lab.libvirtd.direct(lab.libvirtd.qemu_uri)) as connection:
        guest = connection.defineXML(xml)
        alice = wait_until(lambda: "web-hidden" in lab.person("alice").guests() and lab.person("alice"), "the guest to be known")
        late = [alice.post(f"/guests/{uuid}/console", {"mode": "input"}).json for _ in range(2)]
        try:
            with lab.policy(without("webops-on-web", "copiers")):
                hidden = refused(alice.show_ticket(late[0]))
        finally:
            guest.undefine()
        wait_until(lambda: "web-hidden" not in lab.person("admin").guests(), "the guest to be known as gone")
        gone = refused(alice.show_ticket(late[1]))
    assert hidden == gone == ("authentication failed", (4404, "the console was refused"))


def test_a_gateway_that_goes_says_so(own_gateway, libvirtd, users, serial):
    """The gate killed: nobody could say a word. The whole of it stopped: one of the rooms is the first to say it."""
    gateway = own_gateway(policy=POLICY, sasl=users, listen_web=True, web_port="0", allowed_uris=[libvirtd.qemu_uri])
    lab = Lab(gateway, libvirtd)
    screen = lab.open("alice")
    gateway.kill_child("gate")
    assert screen.closed() in ((4500, "the gateway is not ready"), (4410, "logged out: the gateway has ended the session"))

    def back():
        with contextlib.suppress(AssertionError, Closed, LabError, OSError):
            return lab.open("alice")
        return None
    screen = wait_until(back, "the gateway to be back")
    gateway.stop()
    assert screen.closed() in ((4503, "gateway stopping"), (4410, "logged out: the gateway stops"))
