"""The pages in Debian's Chromium, driven by playwright: tests/browser has what people do there. Pictures of every page are kept in build/artefacts."""
import functools
import http.server
import json
import os
import queue
import re
import ssl
import struct
import subprocess
import threading

import libvirt
import pytest

from conftest import PASSWORDS, TOP, policy_with_realms
from lab.desktop import Picture
from lab.gateway import SaslUsers, find_build
from lab.process import PATIENCE, LabError, wait_until
from lab.web import Browser
from screens import GUEST, GUEST_UUID, said, with_consoles

MODULES = f"{find_build(TOP)}/web/npm/node_modules"
NOVNC = "/usr/share/novnc"
WORDS = {**PASSWORDS, "carol": "carol's word"}

pytestmark = pytest.mark.skipif(not os.path.exists("/usr/bin/chromium") or not os.path.isdir(MODULES), reason="there is no Chromium, or virtgate was built without its pages")


class Scenario:
    """One of tests/browser, running: what it says, word by word."""

    def __init__(self, name, gateway, **given):
        given = {"url": f"https://localhost:{gateway.ports['web']}", "modules": MODULES, "artefacts": f"{TOP}/build/artefacts", **given}
        self.name, self.words, self.errors = name, queue.Queue(), []
        self.process = subprocess.Popen(["node", f"{TOP}/tests/browser/{name}.mjs", json.dumps(given)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)
        threading.Thread(target=self._read, daemon=True).start()
        self.reader = threading.Thread(target=lambda: self.errors.extend(self.process.stderr), daemon=True)
        self.reader.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait()

    def _read(self):
        for line in self.process.stdout:
            self.words.put(json.loads(line))
        self.words.put(None)

    def wait(self, word, seconds=3 * PATIENCE):
        """The value that came with the word."""
        while True:
            got = self.words.get(timeout=seconds)
            if got is None:
                self.reader.join(PATIENCE)
                raise LabError(f"{self.name} ended before '{word}':\n{''.join(self.errors)}")
            if got["word"] == word:
                return got.get("value")

    def go_on(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def end(self):
        code = self.process.wait(timeout=PATIENCE)
        self.reader.join(PATIENCE)
        assert code == 0, "".join(self.errors)


@pytest.fixture(scope="module")
def users(scratch):
    return SaslUsers(scratch, name="sasl-browser", passwords=WORDS, mechanisms="plain scram-sha-256")


def start(make, libvirtd, users, name=None, **more):
    args = () if name is None else (name,)
    policy = with_consoles(policy_with_realms())
    policy["bindings"].append({"id": "guest-work", "who": ["sasl:alice"], "role": "viewer", "on": ["domain:guest-*"],
                               "when": {"until": "2199-01-01T00:00:00Z", "hours": "Mon-Fri 08:00-18:00"}})
    return make(*args, policy=policy, sasl=users, listen_web=True, web_port="0", allowed_uris=[libvirtd.qemu_uri], **more)


@pytest.fixture(scope="module")
def gateway(make_gateway, libvirtd, users, serial):
    return start(make_gateway, libvirtd, users, "browser")


@pytest.fixture
def off(libvirtd):
    """A guest that is off, beside one that alice may not see."""
    xml = "<domain type='qemu'><name>%s</name><memory unit='MiB'>32</memory><os><type arch='x86_64'>hvm</type></os></domain>"
    with libvirt.open(libvirtd.direct(libvirtd.qemu_uri)) as connection:
        guest, hidden = connection.defineXML(xml % "web-off"), connection.defineXML(xml % "hr-off")
        yield guest
        if guest.isActive():
            guest.destroy()
        guest.undefine()
        hidden.undefine()


def screenshot(libvirtd):
    """What libvirt itself says is on the screen."""
    with libvirt.open(libvirtd.direct(libvirtd.qemu_uri)) as connection:
        stream, data = connection.newStream(), bytearray()
        connection.lookupByName(GUEST).screenshot(stream, 0)
        stream.recvAll(lambda _stream, piece, _opaque: data.extend(piece), None)
        stream.finish()
    return Picture.of_image(bytes(data))


def different(screen, picture):
    """The part of the pixels that is not the same."""
    assert (screen["width"], screen["height"]) == (picture.width, picture.height)
    wanted, shown = b"".join(picture.rows), screen["data"]
    pixels = picture.width * picture.height
    return sum(1 for i in range(pixels) if any(abs(shown[4 * i + c] - wanted[3 * i + c]) > 8 for c in range(3))) / pixels


def test_an_operators_day(gateway, libvirtd, serial, off):
    before = len(said(serial))
    with Scenario("operator", gateway, password=WORDS["alice"], guest=GUEST, uuid=GUEST_UUID, off="web-off") as day:
        seen = set(day.wait("guests"))
        assert {GUEST, "web-off"} <= seen and all(name.startswith(("web-", "db-")) for name in seen), seen
        day.wait("started")
        assert different(day.wait("screen"), screenshot(libvirtd)) < 0.02
        day.wait("typed")
        wait_until(lambda: 0x1e in said(serial)[before:], "the key to reach the guest")
        for word, codes in (("three keys", b"\x1d\x38\xe0\x53"), ("combination", b"\x38\x3e")):
            day.wait(word)
            wait_until(lambda keys=codes: keys in said(serial)[before:], f"{word} to reach the guest")
        bindings = {row.split("\t")[-1].strip(): row for row in day.wait("bindings")}
        assert re.search("2(198|199)-(12-31|01-01)", bindings["guest-work"]) and "Mon-Fri 08:00-18:00" in bindings["guest-work"], bindings
        assert "no end" in bindings["webops-on-web"] and "always" in bindings["webops-on-web"], bindings
        day.wait("logged out")
        day.end()
    for wanted in ({"call": "domain_create_with_flags"}, {"call": "domain_destroy_flags"}, {"event": "console.open"}, {"event": "console.close"},
                   {"event": "session.login"}):
        record = gateway.wait_audit(user__name="alice", **wanted)[-1]
        assert record["source"]["via"] == "web", record


def test_who_may_only_look(own_gateway, libvirtd, users, serial):
    gateway = start(own_gateway, libvirtd, users)
    policy = with_consoles(policy_with_realms())

    def give(role):
        policy["bindings"][-1]["role"] = role
        gateway.write_policy(policy)
        gateway.reload()
    give("operator")
    with Scenario("watcher", gateway, password=WORDS["carol"], guest=GUEST) as carol:
        carol.wait("may type")
        give("console-viewer")
        carol.go_on()
        before = len(said(serial))
        carol.wait("typed")
        # alice types behind it: hers is the first that arrives
        screen = Browser(gateway).login("alice", WORDS["alice"]).console(GUEST_UUID)
        screen.open()
        screen.send(struct.pack("!BBxxI", 4, 1, ord("b")) + struct.pack("!BBxxI", 4, 0, ord("b")))
        wait_until(lambda: len(said(serial)) > before + 1, "alice's key in the guest")
        assert said(serial)[before:] == b"\x30\xb0", "what a watcher types goes nowhere"
        screen.close()
        give("viewer")
        carol.go_on()
        assert "Your right to this console was withdrawn" in carol.wait("ended")
        carol.wait("done")
        carol.end()
    assert len(gateway.audit(event="console.open", user__name="carol")) == 1, "it went on, narrowed"


def test_what_a_page_says_when_its_console_ends(own_gateway, libvirtd, users, serial):
    policy = with_consoles(policy_with_realms())
    policy["roles"] = {"taker": {"allow": ["domain:takeover_console", "domain:open_graphics"]}}
    policy["bindings"].append({"id": "takers", "who": ["group:watchers"], "role": "taker", "on": ["set:web"]})
    gateway = own_gateway(policy=policy, sasl=users, listen_web=True, web_port="0", allowed_uris=[libvirtd.qemu_uri])
    carol = Browser(gateway).login("carol", WORDS["carol"])
    with Scenario("endings", gateway, password=WORDS["alice"], guest=GUEST, uuid=GUEST_UUID) as page, \
            libvirt.open(libvirtd.direct(libvirtd.qemu_uri)) as connection:
        guest = connection.lookupByName(GUEST)
        assert page.wait("tab") == GUEST
        page.wait("to be taken")
        taker = carol.console(GUEST_UUID)
        taker.open(shared=False)
        assert page.wait("told").startswith("Another viewer has taken this screen for himself. You can come back when he has left.")
        taker.close()
        gateway.wait_audit(event="console.close", user__name="carol")
        page.go_on()
        page.wait("to be switched off")
        guest.destroy()
        assert page.wait("told").startswith("The guest is off. The console comes back when it is started.")
        page.go_on()
        page.wait("to be switched on")
        guest.create()
        page.wait("back")
        page.wait("to be logged out")
        Browser(gateway).login("alice", WORDS["alice"]).post("/logout", {"everywhere": True})
        assert page.wait("why") == "You are not logged in any more: logged out everywhere."
        page.end()


@pytest.fixture
def portal(authority):
    """A web server of somebody else's, with Debian's noVNC: its origin."""
    if not os.path.exists(f"{NOVNC}/vnc.html"):
        pytest.skip("there is no noVNC (package novnc)")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(http.server.SimpleHTTPRequestHandler, directory=NOVNC))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.server_cert, authority.server_key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"https://localhost:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_novncs_own_page_elsewhere(own_gateway, libvirtd, users, serial, portal):
    """vnc.html of the package novnc, as it is: no word of the ticket in any address that reaches a server."""
    gateway = start(own_gateway, libvirtd, users, web_embed_origins=[portal], web_embed_hosts=["consoles.localhost"])
    alice = Browser(gateway).login("alice", WORDS["alice"])
    ticket = alice.post(f"/guests/{GUEST_UUID}/console", {"mode": "input", "origin": portal}).json["ticket"]
    before = len(said(serial))
    with Scenario("embedded", gateway, page=portal, ticket=ticket) as page:
        assert ticket not in page.wait("socket")
        assert different(page.wait("screen"), screenshot(libvirtd)) < 0.02
        page.wait("typed")
        wait_until(lambda: 0x1e in said(serial)[before:], "the key to reach the guest")
        page.wait("refused")    # the page was loaded again: its ticket counted once
        page.end()
    assert len(gateway.audit(event="console.open", user__name="alice")) == 1


def test_an_auditor_with_a_certificate(gateway, authority, off, libvirtd, scratch):
    xml = off.XMLDesc().replace("32768</memory>", "49152</memory>")
    changed = gateway.virsh("admin", "define", scratch.write("web-off.xml", xml), uri=libvirtd.qemu_uri)
    assert changed.returncode == 0, changed.stderr
    alice, bob = (Browser(gateway).login(name, WORDS[name]) for name in ("alice", "bob"))
    for action in ("start", "destroy", "undefine"):
        assert alice.post(f"/guests/{off.UUIDString()}/{action}").status == (404 if action == "undefine" else 200)
    assert bob.post(f"/guests/{off.UUIDString()}/start").status == 403
    gateway.wait_audit(user__name="bob", result__status="denied")
    gateway.wait_audit(event="outside.host")
    with Scenario("auditor", gateway, certificate=f"{authority.clients}/admin/clientcert.pem", key=f"{authority.clients}/admin/clientkey.pem",
                  dn="CN=admin,O=Lab", changed="web-off") as admin:
        rows = [[cell.strip() for cell in row.split("\t")] for row in admin.wait("events")]
        done = {(who, what, on, result) for _, who, what, on, result in rows}
        assert {("CN=admin,O=Lab", "domain.define", "domain web-off", "ok"), ("alice", "domain.create", "domain web-off", "ok"),
                ("alice", "domain.destroy", "domain web-off", "ok"), ("bob", "domain.create", "domain web-off", "denied")} <= done, rows
        assert any("out of band" in who and what == "outside.host" for _, who, what, _, _ in rows), rows
        assert "whole" in admin.wait("chain")
        diff = admin.wait("diff")
        assert "-" in diff and "49152" in diff
        everybody = [row.split("\t") for row in admin.wait("everybody")]
        assert ["sasl:alice", "allow", "always", "webops-on-web"] in everybody and any(row[3] == "admins-on-all" for row in everybody), everybody
        assert "bob" in admin.wait("asked")
        admin.wait("killed")
        assert bob.get("/guests").status == 401 and alice.get("/guests").status == 200
        assert admin.wait("export").startswith("virtgate-audit")
        admin.end()


def test_an_admin_drafts_a_policy(gateway, authority, libvirtd, off, scratch):
    alice = Browser(gateway).login("alice", WORDS["alice"])
    for action in ("start", "destroy"):
        assert alice.post(f"/guests/{off.UUIDString()}/{action}").status == 200
    gateway.wait_audit(user__name="alice", call="domain_destroy_flags", stage="outcome")
    with Scenario("editor", gateway, certificate=f"{authority.clients}/admin/clientcert.pem", key=f"{authority.clients}/admin/clientkey.pem",
                  binding="webops-on-web", on="domain:db-*") as admin:
        rights = [row.split("\t") for row in admin.wait("rights")]
        assert any("group:webops" in row[0] and row[1].strip() == "loses" and "domain:start" in row[2] for row in rights), rights
        assert any(row[0].strip() == "anyone" and row[1].strip() == "changes" and "reads of class domain" in row[2] and row[3] == "denied → metadata" for row in rights), rights
        decisions = admin.wait("decisions")
        assert any(told.endswith("would now be denied") for told in decisions["told"]), decisions
        assert any("alice" in row and "domain:start" in row and "web-off" in row and "deny" in row for row in decisions["rows"]), decisions
        text = admin.wait("file")
        drafted = {binding["id"]: binding for binding in json.loads(text)["bindings"]}
        assert drafted["webops-on-web"]["on"] == ["domain:db-*"]
        assert json.loads(text)["audit"] == {"reads": {"domain": "metadata"}}
        checked = gateway.virtgate("policy", "check", scratch.write("draft.json", text))
        assert checked.returncode == 0 and "good" in checked.stdout, checked
        assert "did you mean 'operator'" in admin.wait("mistake")
        assert '"operatr"' in admin.wait("selected")
        assert admin.wait("kept") == 0
        admin.end()
    assert alice.post(f"/guests/{off.UUIDString()}/start").status == 200, "a draft is not in force"
