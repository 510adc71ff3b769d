"""The browser's port: who gets in, what he sees and does, and how it ends. The browser here is a few lines of Python; a real one is in tests/browser."""
import gzip
import json
import os
import re
import signal
import socket
import ssl
import struct
import time

import pytest

from conftest import PASSWORDS, policy_with_realms
from lab.gateway import SaslUsers
from lab.process import PATIENCE, LabError, run, wait_until
from lab.web import Browser, Closed, WebSocket, cost
from screens import GUEST, GUEST_UUID, said, with_consoles

WORDS = {**PASSWORDS, "carol": "carol's word"}


@pytest.fixture(scope="module")
def users(scratch):
    return SaslUsers(scratch, name="sasl-web", passwords=WORDS, mechanisms="plain scram-sha-256")


@pytest.fixture(scope="module")
def gateway(make_gateway, users):
    return make_gateway("web", policy=with_consoles(policy_with_realms()), sasl=users, listen_web=True, web_port="0")


@pytest.fixture(scope="module")
def screens_gateway(make_gateway, libvirtd, users, serial):
    """On the guests with screens."""
    return make_gateway("web-screens", policy=with_consoles(policy_with_realms()), sasl=users, listen_web=True, web_port="0",
                        allowed_uris=[libvirtd.qemu_uri])


def person(gateway, name):
    return Browser(gateway).login(name, WORDS[name])


# ---- log-in ----

def test_password_and_certificate(gateway, authority):
    alice = person(gateway, "alice")
    assert alice.me["name"] == "alice" and alice.me["proofs"] == ["sasl"] and alice.me["permissions"]["audit:read"] is False
    assert [binding["id"] for binding in alice.me["bindings"]] == ["webops-on-web", "webops-see-db"]
    nobody = Browser(gateway, pki=f"{authority.clients}/admin")
    refused = nobody.get("/me")
    assert refused.status == 401 and refused.json["error"]["certificate_offered"] == "CN=admin,O=Lab"
    admin = nobody.login()
    assert admin.me["x509"] == "CN=admin,O=Lab" and admin.me["certificate"] is True
    both = Browser(gateway, pki=f"{authority.clients}/alice").login("alice", WORDS["alice"])
    assert both.me["proofs"] == ["x509", "sasl"]
    record = gateway.wait_audit(event="session.login", source__via="web", user__name="alice")[0]
    assert record["user"]["mech"] == "PLAIN" and record["source"]["address"] == "127.0.0.1"


def test_wrong_password_and_unknown_user_are_told_apart_by_nobody(gateway):
    answers, times = [], []
    for user, password in (("alice", "wrong"), ("nobody-here", "wrong"), ("alice", ""), ("a" * 300, "x")):
        begun = time.monotonic()
        answer = Browser(gateway).try_login(user, password)
        times.append(time.monotonic() - begun)
        answers.append((answer.status, answer.body, "set-cookie" in answer.headers))
    assert set(answers) == {(401, b'{"error":{"status":401,"code":45,"message":"authentication failed"}}', False)}
    assert min(times) > 0.95, "each is answered after the same second, whatever it took to find it wrong"
    record = gateway.wait_audit(code="VG1102W", user__name="nobody-here")[0]
    assert record["result"]["status"] == "denied" and record["source"]["via"] == "web"


def test_other_persons_certificate_does_not_go_with_a_password(gateway, authority):
    answer = Browser(gateway, pki=f"{authority.clients}/bob").try_login("alice", WORDS["alice"])
    assert answer.status == 401


def test_strangers_certificate_ends_the_handshake(gateway, stranger):
    with pytest.raises((ssl.SSLError, ConnectionError, LabError)):
        Browser(gateway, pki=stranger).get("/me")


def test_who_may_nothing_is_not_let_in(gateway, authority):
    answer = Browser(gateway, pki=f"{authority.clients}/mallory").try_login()
    assert answer.status == 403 and "connect:getattr" in answer.json["error"]["message"]


def test_many_failures_slow_down_only_their_name_and_address(make_gateway, users):
    gateway = make_gateway("web-throttled", sasl=users, listen_web=True, web_port="0")

    def log_in(name, word, number):
        return Browser(gateway, address=f"127.0.0.{number}").try_login(name, word).status
    assert {log_in("bob", "wrong", 1) for _ in range(10)} == {401}
    assert log_in("bob", WORDS["bob"], 2) == log_in("alice", WORDS["alice"], 1) == 401, "not even tried: the name, the address"
    assert all("not tried" in record["result"]["message"] for record in gateway.wait_audit(12, code="VG1102W")[-2:])
    assert log_in("alice", WORDS["alice"], 2) == 200


# ---- what is left behind ----

def test_cookie_token_and_logout(gateway):
    alice = person(gateway, "alice")
    attributes = alice.try_login("alice", WORDS["alice"]).headers["set-cookie"]
    assert re.fullmatch(r"__Host-virtgate=[\w-]{43}; Path=/; Secure; HttpOnly; SameSite=Strict", attributes)
    other = person(gateway, "alice")
    assert other.cookie != alice.cookie and other.token != alice.token
    assert alice.post("/logout").status == 200
    assert alice.get("/guests").status == 401, "the cookie is worth nothing any more"
    assert other.get("/guests").status == 200
    third = person(gateway, "alice")
    assert third.post("/logout", {"everywhere": True}).status == 200
    assert other.get("/guests").status == 401
    assert gateway.wait_audit(event="session.logout", source__via="web")


def test_every_answer_keeps_the_page_in_its_place(gateway):
    """Also refusals, files, and what libwebsockets answers by itself."""
    alice, nobody = person(gateway, "alice"), Browser(gateway)
    answers = [alice.get("/me"), alice.get("/nothing"), alice.get("//nothing"), nobody.get("/guests"), nobody.try_login("alice", "wrong"),
               alice.post("/logout", headers={"X-Auth-Token": None}), alice.get("/me", headers={"Host": "evil.example"}), alice.ask("PUT", "/me"),
               alice.post("/login", body=b"x" * 100_000), alice.ask("TRACE", "//"), alice.get("//")]
    page = Browser(gateway).get("//", headers={"Accept-Encoding": "gzip", "If-None-Match": "*", "Range": "bytes=0-1"})
    files = [alice.get("/" + path, headers={"Accept-Encoding": "gzip"}) for path in re.findall(r'(?:src|href)="(/[^"]+)"', gzip.decompress(page.body).decode())]
    assert [answer.status for answer in answers] == [200, 404, 404, 401, 401, 403, 421, 405, 413, 403, 406] and {file.status for file in [page, *files]} == {200}
    for answer in [*answers, page, *files]:
        headers = answer.headers
        assert "frame-ancestors 'none'" in headers["content-security-policy"] and "unsafe" not in headers["content-security-policy"], answer
        assert headers["strict-transport-security"].startswith("max-age=") and headers["x-content-type-options"] == "nosniff", answer
        assert headers["x-frame-options"] == "DENY" and headers["referrer-policy"] == "no-referrer" and "location" not in headers, answer
    assert all(answer.headers["cache-control"] == "no-store" for answer in [*answers, page] if "html" not in answer.headers["content-type"] or answer is page)
    assert len(files) == 3 and all("immutable" in file.headers["cache-control"] and file.headers["content-encoding"] == "gzip" for file in files)


# ---- guests ----

def test_one_sees_ones_own_guests_and_what_one_may(gateway, libvirtd):
    guests = person(gateway, "alice").guests()
    assert {"web-1", "web-2", "db-1"} <= set(guests) and not any(name.startswith("hr-") for name in guests)
    assert guests["web-2"]["may"]["start"] and not guests["db-1"]["may"]["start"]
    assert all(guests[name]["state"] == libvirtd.state(name).replace("shut off", "shutoff") for name in ("web-1", "web-2")) and guests["web-2"]["persistent"]
    carol = person(gateway, "carol").guests()
    assert set(carol) == {"web-1", "web-2"} and carol["web-1"]["may"]["view"] and not carol["web-1"]["may"]["input"]
    assert {"hr-1"} <= set(person(gateway, "admin").guests())


def test_the_list_comes_packed_to_who_takes_it(gateway):
    alice = person(gateway, "alice")
    plain = alice.get("/guests")
    packed = alice.get("/guests", headers={"Accept-Encoding": "gzip, br"})
    assert "content-encoding" not in plain.headers and plain.headers["content-type"] == packed.headers["content-type"]
    assert packed.headers["content-encoding"] == "gzip" and packed.headers["vary"] == "accept-encoding" and packed.headers["cache-control"] == "no-store"
    assert json.loads(gzip.decompress(packed.body)) == plain.json
    for guest in plain.json["guests"]:
        one = alice.get(f"/guests/{guest['uuid']}", headers={"Accept-Encoding": "gzip"})
        assert one.json == guest and "content-encoding" not in one.headers
    assert alice.get("/guests/00000000-0000-4000-8000-000000000000").status == 404


def test_actions_take_the_way_of_a_call(gateway, libvirtd):
    alice = person(gateway, "alice")
    guests = alice.guests()
    uuid = guests["web-2"]["uuid"]
    try:
        assert alice.post(f"/guests/{uuid}/start").status == 200
        assert libvirtd.state("web-2") == "running"
        assert alice.guests()["web-2"]["state"] == "running"
        again = alice.post(f"/guests/{uuid}/start")
        assert again.status in (409, 502) and "already running" in again.json["error"]["message"], again  # the test driver calls it an internal error
        assert alice.post(f"/guests/{uuid}/suspend").status == 200 and libvirtd.state("web-2") == "paused"
        assert alice.post(f"/guests/{uuid}/resume").status == 200
    finally:
        assert alice.post(f"/guests/{uuid}/destroy").status == 200
    refused = alice.post(f"/guests/{guests['db-1']['uuid']}/start").json["error"]
    assert refused["permission"] == "domain:start" and refused["object"] == "domain 'db-1'" and len(refused["decision"]) == 26
    for stage in ("intent", "outcome"):
        record = gateway.wait_audit(call="domain_create_with_flags", stage=stage, user__name="alice")[0]
        assert record["source"]["via"] == "web" and record["object"]["name"] == "web-2"
    assert gateway.wait_audit(op=refused["decision"])[0]["result"]["status"] == "denied"
    hidden = person(gateway, "admin").guests()["hr-1"]["uuid"]
    missing = alice.post(f"/guests/{'0' * 8}-0000-4000-8000-000000000000/start")
    answer = alice.post(f"/guests/{hidden}/start")
    assert answer.status == missing.status == 404
    assert answer.json["error"]["message"].replace(hidden, "X") == missing.json["error"]["message"].replace("0" * 8 + "-0000-4000-8000-000000000000", "X")
    assert alice.post(f"/guests/{uuid}/undefine").status == 404 and alice.post("/guests/no-uuid/start").status == 400


def test_events_tell_what_changes(gateway, libvirtd):
    alice = person(gateway, "alice")
    events = alice.events()
    first = [next(events) for _ in range(len(alice.guests()))]
    assert {name for name, _ in first} == {"guest"}
    libvirtd.virsh("start", "web-2")
    try:
        name, guest = next(events)
        assert name == "guest" and guest["name"] == "web-2" and guest["state"] == "running"
    finally:
        libvirtd.virsh("destroy", "web-2")
    name, guest = next(events)
    assert guest["name"] == "web-2" and guest["state"] == "shutoff"
    alice.post("/logout")
    assert next(events) == ("end", {"reason": "logged out"})


def test_a_list_is_not_made_for_each_event(gateway, libvirtd, web1_off):
    """Nor is every guest asked about for it."""
    libvirtd.virsh("start", web1_off)
    alice, admin = person(gateway, "alice"), person(gateway, "admin")

    def calls():
        return next(session["calls"] for session in admin.get("/sessions").json["sessions"] if session["id"] == alice.me["session"])

    events = alice.events()
    shown = [next(events) for _ in range(len(alice.guests()))]
    assert all(guest["state"] for _, guest in shown)
    one_list = 4 + 1  # three lists, a question for what she may, one guest's state
    begin, before = time.monotonic(), calls()
    while time.monotonic() < begin + 4:
        libvirtd.virsh("suspend", "web-1")
        libvirtd.virsh("resume", "web-1")
    lists = (calls() - before) / one_list
    seconds = time.monotonic() - begin
    assert lists <= seconds + 1, (lists, seconds)
    # What came last is shown all the same.
    libvirtd.virsh("suspend", "web-1")
    assert any(guest["name"] == "web-1" and guest["state"] == "paused" for _, guest in events)
    wait_until(lambda: alice.guests()["web-1"]["state"] == "paused", "the last state in the list")


def test_revoked_right_shows_within_seconds(own_gateway, users):
    gateway = own_gateway(sasl=users, listen_web=True, web_port="0")
    alice = person(gateway, "alice")
    assert alice.get("/guests").status == 200
    gateway.write_policy({"version": 1, "bindings": [{"id": "other", "who": ["sasl:bob"], "role": "viewer", "on": ["*"]}]})
    gateway.reload()
    wait_until(lambda: alice.get("/guests").status == 401, "the log-in to end")


def test_who_read_the_trail_is_on_record_where_the_policy_says_so(own_gateway, users):
    gateway = own_gateway(sasl=users, listen_web=True, web_port="0", policy={**policy_with_realms(), "audit": {"reads": {"audit": "full"}}})
    admin, alice = person(gateway, "admin"), person(gateway, "alice")
    assert admin.get("/audit?user=alice&limit=5").status == 200
    record, = gateway.wait_audit(call="audit_search")
    assert record["user"]["name"] == "admin" and record["result"]["status"] == "ok" and record["decision"]["permissions"] == ["audit:read"]
    assert record["args"]["user"] == "alice" and "verb" not in record["args"]
    assert alice.get("/audit").status == 403
    assert gateway.wait_audit(2, call="audit_search")[-1]["result"]["status"] == "denied"


def test_passwords_from_a_reload_on(own_gateway, users):
    gateway = own_gateway(sasl=users, listen_web=True, web_port="0", auth_web="none")
    assert Browser(gateway).try_login("alice", WORDS["alice"]).status == 401
    for scheme, status in (("sasl", 200), ("none", 401), ("sasl", 200)):
        gateway.write_settings(auth_web=scheme)
        gateway.reload()
        assert Browser(gateway).try_login("alice", WORDS["alice"]).status == status
    assert Browser(gateway).try_login("alice", "wrong").status == 401


# ---- what must not work ----

@pytest.mark.parametrize("headers, status", [
    ({"Origin": "https://evil.example"}, 403), ({"Origin": "null"}, 403), ({"Origin": None}, 403), ({"X-Auth-Token": None}, 403),
    ({"X-Auth-Token": "A" * 43}, 403), ({"Host": "evil.example"}, 421), ({"Cookie": None}, 401), ({"Cookie": "__Host-virtgate=" + "A" * 43}, 401)])
def test_I67_changes_come_from_ones_own_page(gateway, libvirtd, headers, status):
    alice = person(gateway, "alice")
    uuid = alice.guests()["web-2"]["uuid"]
    assert alice.post(f"/guests/{uuid}/start", headers=headers).status == status
    assert libvirtd.state("web-2") == "shut off"


def test_I67_plain_http_is_no_language_here(gateway):
    with socket.create_connection(("127.0.0.1", gateway.ports["web"]), timeout=PATIENCE) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        try:
            assert not plain.recv(100).startswith(b"HTTP")
        except ConnectionResetError:
            pass


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("version, works", [("TLSv1_1", False), ("TLSv1_2", True), ("TLSv1_3", True)])
def test_old_tls_is_refused(gateway, version, works):
    browser = Browser(gateway)
    browser.context.set_ciphers("DEFAULT@SECLEVEL=0")
    browser.context.minimum_version, browser.context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion[version]
    if works:
        assert browser.get("/me").status == 401
    else:
        with pytest.raises(ssl.SSLError, match="(?i)protocol.version"):
            browser.connect()


@pytest.mark.parametrize("path", ["//../etc/passwd", "//assets/../../etc/passwd", "//%2e%2e/%2e%2e/etc/passwd", "//api/v1/../../etc/passwd", "//\\..\\", "////evil.example/"])
def test_I68_no_path_leads_out(gateway, path):
    answer = Browser(gateway).get(path)
    assert answer.status in (400, 403, 404) and b"root:" not in answer.body and "location" not in answer.headers


def test_bodies_are_bounded_and_of_one_opinion(gateway):
    alice = person(gateway, "alice")
    assert alice.ask("POST", "/login", body=b"x" * 100_000).status == Browser(gateway).ask("POST", "/login", body=b"x" * 17_000).status == 413
    assert Browser(gateway).try_login("a" * 300, "x" * 15_000).status == 401
    for body in (b"[]", b'{"a":1,"a":2}', b"{", b'"x"', b"[" * 5000):
        assert alice.ask("POST", "/policy/can", body=body).status == 400, body[:20]
    assert alice.ask("POST", "/login", body=b"{}", headers={"Transfer-Encoding": "chunked", "Content-Length": None}).status in (400, 501)
    assert person(gateway, "bob").guests()


# ---- questions ----

def test_a_draft_of_the_policy(gateway):
    alice, admin = person(gateway, "alice"), person(gateway, "admin")
    assert alice.get("/policy").json["error"]["permission"] == "policy:read"
    for verb in ("check", "diff", "replay"):
        assert alice.post(f"/policy/{verb}", {"draft": "{}"}).status == 403
        assert Browser(gateway).post(f"/policy/{verb}", {"draft": "{}"}).status == 401
    shown = admin.get("/policy").json
    assert shown["text"] == open(shown["file"], encoding="utf-8").read() and "vm-admin" in shown["roles"]
    # alice's refusal is in the trail; a draft that grants it turns it, one that takes her guests away turns what she did
    refused = alice.post("/policy/can", {"user": "sasl:bob", "permission": "domain:start", "object": "domain:web-1"}).json["error"]["decision"]
    gateway.wait_audit(op=refused)
    policy = json.loads(shown["text"])
    policy["bindings"].append({"id": "alice-reads", "who": ["sasl:alice", "x509-cn:alice"], "role": "auditor", "on": ["*"]})
    text = json.dumps(policy)
    assert admin.post("/policy/check", {"draft": text}).json["good"]
    gains = [change for people in admin.post("/policy/diff", {"draft": text}).json["people"] if "sasl:alice" in people["who"] for change in people["changes"]]
    assert {"policy:*"} & {name for change in gains for name in change["permissions"]} or any("policy:read" in change["permissions"] for change in gains), gains
    replayed = wait_until(lambda: next((row for row in admin.post("/policy/replay", {"draft": text, "days": 1}).json["changes"]
                                        if row["permission"] == "policy:read" and row["who"].startswith("alice")), None), "the refusal to be replayed")
    assert (replayed["change"], replayed["then"], replayed["draft"], replayed["binding"]) == ("allowed", "deny", "allow", "alice-reads")
    # mistakes have their line; what is too large says so; and only who is logged in may send so much
    mistake = admin.post("/policy/check", {"draft": '{ "version": 1,\n "bindings": [ { "id": "x", "who": ["sasl:a"], "role": "viewr", "on": ["*"] } ] }'}).json["mistakes"][0]
    assert mistake["line"] == 2 and "unknown role 'viewr'" in mistake["what"] and "viewer" in mistake["hint"]
    assert admin.post("/policy/check", {"draft": "\n" * 50_000 + text}).status == 200
    assert admin.post("/policy/check", {"draft": " " * 70_000}).status == 400
    assert admin.post("/policy/check", {"draft": " " * 140_000}).status == 413
    assert Browser(gateway).post("/policy/check", {"draft": " " * 70_000}).status == 413
    assert json.loads(admin.get("/policy").json["text"]) == json.loads(shown["text"]), "nothing is kept of a draft"


def test_what_the_gate_is_asked(gateway):
    alice, admin = person(gateway, "alice"), person(gateway, "admin")
    assert alice.post("/policy/can", {"permission": "domain:start", "object": "domain:web-1"}).json["verdict"] == "allow"
    assert alice.post("/policy/can", {"user": "sasl:bob", "permission": "domain:start", "object": "domain:web-1"}).status == 403
    assert admin.post("/policy/can", {"user": "sasl:bob", "permission": "domain:start", "object": "domain:web-1"}).json["verdict"] == "deny"
    question = {"permission": "domain:start", "object": "domain:web-1"}
    assert alice.post("/policy/who-can", question).json["error"]["permission"] == "policy:read"
    answer, told = admin.post("/policy/who-can", question), gateway.virtgate("policy", "who-can", *question.values(), "--policy", gateway.policy_file, "--json")
    assert answer.json["people"] == json.loads(told.stdout) and ("sasl:alice", "allow") in {(one["who"], one["verdict"]) for one in answer.json["people"]}
    assert admin.post("/policy/who-can", {"permission": "domain:strat", "object": "*"}).status == 400
    for path in ("", "/state", "/export?format=cef", "/1"):
        assert alice.get(f"/audit{path}").json["error"]["permission"] == "audit:read", path
        assert admin.get(f"/audit{path}").status == 200, path
    assert {session["user"] for session in alice.get("/sessions").json["sessions"]} == {"alice"}
    others = [session for session in admin.get("/sessions").json["sessions"] if session["user"] == "alice"]
    assert others
    assert alice.get("/guests").status == 200
    assert admin.delete(f"/sessions/{alice.me['session']}").json == {"killed": 1}
    wait_until(lambda: alice.get("/guests").status == 401, "the killed log-in to end")


# ---- consoles ----

def test_screen_and_keys(screens_gateway, serial):
    alice = person(screens_gateway, "alice")
    uuid = alice.guests()[GUEST]["uuid"]
    picture = alice.get(f"/guests/{uuid}/screenshot")
    assert picture.status == 200 and picture.headers["content-type"] in ("image/png", "image/x-portable-pixmap") and len(picture.body) > 500
    assert person(screens_gateway, "bob").get(f"/guests/{uuid}/screenshot").json["error"]["permission"] == "domain:screenshot", "who sees the guest need not see this"
    screen = alice.console(uuid)
    width, height, name = screen.open()
    assert (width, height) == (720, 400) and GUEST in name
    screen.send(struct.pack("!BxHi", 2, 1, 0))
    screen.send(struct.pack("!BBHHHH", 3, 0, 0, 0, width, height))
    assert screen.read(1) == b"\0"
    before = len(said(serial))
    screen.send(struct.pack("!BBxxI", 4, 1, ord("a")) + struct.pack("!BBxxI", 4, 0, ord("a")))
    wait_until(lambda: 0x1e in said(serial)[before:], "the key to reach the guest")
    opened = screens_gateway.wait_audit(event="console.open", user__name="alice")[-1]
    assert opened["source"]["via"] == "web" and opened["args"]["mode"] == "input"
    alice.post("/logout")
    assert screen.closed() == (4410, "logged out")
    assert screens_gateway.wait_audit(event="console.close", source__via="web")


def memory(gateway):
    """KiB of the two rooms that a screen passes."""
    return cost(gateway)[1] + cost(gateway, "gate")[1]


MOST_KIB = 4 * 1024     # that a console may cost both of them together: what they may keep of it, and what an allocator does with that


@pytest.mark.plain      # a sanitizer keeps what was freed
def test_a_viewer_who_reads_nothing_is_waited_for(screens_gateway, serial):
    """No more of a screen is kept than fits its buffers, however much he asks for; what was kept back comes when he reads."""
    alice = person(screens_gateway, "alice")
    screen = alice.console(GUEST_UUID)
    width, height, _ = screen.open()
    screen.send(struct.pack("!BxHi", 2, 1, 0))
    before, updates = memory(screens_gateway), 0
    for _ in range(40):
        screen.send(struct.pack("!BBHHHH", 3, 0, 0, 0, width, height))
        time.sleep(0.05)    # QEMU answers requests that come together once
    assert memory(screens_gateway) - before < MOST_KIB
    try:
        while True:
            screen.socket.settimeout(3)
            kind, rectangles = struct.unpack("!BxH", screen.read(4))
            assert kind == 0
            screen.socket.settimeout(PATIENCE)
            for _ in range(rectangles):
                _, _, w, h, encoding = struct.unpack("!HHHHi", screen.read(12))
                assert encoding == 0 and len(screen.read(w * h * 4)) == w * h * 4
            updates += 1
    except TimeoutError:
        assert screen.data == b"", "an update is whole"
    assert updates > 1
    screen.close()


@pytest.mark.plain      # a sanitizer keeps what was freed
def test_a_guest_that_reads_nothing_is_waited_for(screens_gateway, libvirtd, serial):
    """Keys for a QEMU that stands still: he who types them waits, nothing of it is lost, and nobody keeps it meanwhile."""
    alice = person(screens_gateway, "alice")
    screen = alice.console(GUEST_UUID)
    width, height, _ = screen.open()
    key = struct.pack("!BBxxI", 4, 0, ord("b"))
    pid, before = libvirtd.qemu_pid(GUEST), memory(screens_gateway)
    os.kill(pid, signal.SIGSTOP)
    try:
        screen.socket.settimeout(2)
        with pytest.raises(TimeoutError):
            for _ in range(4000):
                screen.send(key * 1000)
        assert memory(screens_gateway) - before < MOST_KIB
        assert alice.get("/me").status == 200, "others do not wait"
    finally:
        os.kill(pid, signal.SIGCONT)
    screen.close()
    assert alice.console(GUEST_UUID).open()[0] == width


def test_nothing_is_compressed(screens_gateway, serial):
    alice = person(screens_gateway, "alice")
    ticket = alice.post(f"/guests/{GUEST_UUID}/console", {"mode": "input"}).json["ticket"]
    screen = WebSocket(alice, "/console", ["binary", "ticket." + ticket], headers={"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"})
    assert "extensions" not in screen.head.lower() and screen.open()[0] == 720


def test_nobody_has_events_without_end(gateway):
    alice, other = person(gateway, "alice"), person(gateway, "alice")
    streams = [alice.events() for _ in range(20)]
    assert alice.get("/events").status == 503
    streams.append(other.events())
    streams[0].close()
    wait_until(lambda: alice.try_events() is not None, "the one that was closed to be forgotten")
    for stream in streams:
        stream.close()


def test_a_withdrawn_right_is_told_at_once(own_gateway, users):
    gateway = own_gateway(policy=with_consoles(policy_with_realms()), sasl=users, listen_web=True, web_port="0")
    alice = person(gateway, "alice")
    events = alice.events()
    guest = alice.guests()["web-1"]
    assert guest["may"]["suspend"]
    policy = with_consoles(policy_with_realms())
    policy["bindings"][1]["role"] = "viewer"
    gateway.write_policy(policy)
    gateway.reload()
    told, seen = time.monotonic(), []
    while not any(name == "guest" and data["name"] == "web-1" and not data["may"]["suspend"] for name, data in seen):
        seen.append(next(events))
    assert ("rights", {}) in seen and time.monotonic() - told < 30, "not with the next list, which is made each minute"
    policy["bindings"][1]["on"] = ["domain:db-*"]
    gateway.write_policy(policy)
    gateway.reload()
    while ("gone", {"uuid": guest["uuid"]}) not in seen:
        seen.append(next(events))
    assert "web-1" not in alice.guests()


def test_who_looks_drops_what_he_types(screens_gateway, serial):
    before, views = len(said(serial)), len(screens_gateway.audit(event="console.close", args__mode="view"))
    for name, mode in (("carol", "view"), ("carol", "input"), ("alice", "view")):
        browser = person(screens_gateway, name)
        screen = browser.console(GUEST_UUID, mode)
        width, height, _ = screen.open()
        screen.send(struct.pack("!BxHi", 2, 1, 0) + struct.pack("!BBxxI", 4, 1, ord("a")) * 3 + struct.pack("!BBHHHH", 3, 0, 0, 0, width, height))
        assert screen.read(1) == b"\0"      # the answer to what he sent behind them
        screen.close()
        screens_gateway.wait_audit(views + 1, event="console.close", args__mode="view")
        views += 1
    closed = screens_gateway.audit(event="console.close", args__mode="view")[-3:]
    assert all(record["args"]["dropped_messages"] == 3 for record in closed), closed
    # alice types behind it: hers is the first that arrives
    screen = person(screens_gateway, "alice").console(GUEST_UUID)
    screen.open()
    screen.send(struct.pack("!BBxxI", 4, 1, ord("b")) + struct.pack("!BBxxI", 4, 0, ord("b")))
    wait_until(lambda: len(said(serial)) > before + 1, "alice's key in the guest")
    assert said(serial)[before:] == b"\x30\xb0"


def test_I66_a_ticket_counts_once_and_for_one_page(screens_gateway, serial):
    alice = person(screens_gateway, "alice")

    def ticket():
        return "ticket." + alice.post(f"/guests/{GUEST_UUID}/console", {"mode": "view"}).json["ticket"]
    one = ticket()
    WebSocket(alice, "/console", ["binary", one]).open()
    for wrong in (one, "ticket." + "A" * 43, "ticket.", ""):
        assert WebSocket(alice, "/console", ["binary", wrong] if wrong else ["binary"]).closed()[0] == 4401, wrong
    for headers in ({"Origin": "https://evil.example"}, {"Origin": None}, {"Host": "evil.example"}):
        with pytest.raises((LabError, Closed)):
            WebSocket(alice, "/console", ["binary", ticket()], headers=headers)
    late = ticket()
    alice.post("/logout")
    assert WebSocket(alice, "/console", ["binary", late]).closed()[0] == 4401
    assert not [r for r in screens_gateway.audit() if late.removeprefix("ticket.") in json.dumps(r)]
    assert late.removeprefix("ticket.") not in screens_gateway.log()


def test_nobody_has_all_the_tickets(screens_gateway, serial):
    alice, other = person(screens_gateway, "alice"), person(screens_gateway, "alice")
    statuses = [alice.post(f"/guests/{GUEST_UUID}/console", {"mode": "view"}).status for _ in range(22)]
    assert statuses == [200] * 20 + [503] * 2
    assert other.console(GUEST_UUID, "input").open()[0] == 720


def test_no_certificate_is_asked_for_under_the_name_for_pages_elsewhere(own_gateway, users, authority):
    """Chromium gives up a WebSocket that is asked for one, unless somebody was asked there before."""
    gateway = own_gateway(sasl=users, listen_web=True, web_port="0", web_embed_hosts=["consoles.localhost"])
    for host, offered in (("localhost", "CN=alice,O=Lab"), ("consoles.localhost", None)):
        browser = Browser(gateway, pki=f"{authority.clients}/alice", host=host)
        browser.context.check_hostname = False
        assert browser.get("/me").json["error"]["certificate_offered"] == offered
        assert (browser.try_login().status == 200) == (offered is not None)


def test_I66_a_page_elsewhere_needs_a_ticket_of_its_own(own_gateway, users, libvirtd, serial):
    portal, other = "https://portal.example.com", "https://other.example.com:8443"
    gateway = own_gateway(sasl=users, listen_web=True, web_port="0", allowed_uris=[libvirtd.qemu_uri], web_embed_origins=[portal, other])
    alice = person(gateway, "alice")

    def ticket(**more):
        answer = alice.post(f"/guests/{GUEST_UUID}/console", {"mode": "view", **more})
        return answer.json["ticket"] if answer.status == 200 else answer.status

    def socket_of(origin, *protocols, path="/console"):
        return WebSocket(alice, path, protocols, headers={"Origin": origin, **({} if protocols else {"Sec-WebSocket-Protocol": None})})
    for origin in ("https://evil.example", portal + "/", "null", "", 1, None):
        assert ticket(origin=origin) == 400, origin
    one = ticket(origin=portal)
    assert socket_of(portal).show(one).open()[0] == 720
    assert socket_of(portal).show(one).closed()[0] == 4401, "used"
    assert socket_of(portal, "binary", "ticket." + ticket(origin=portal)).open()[0] == 720
    for origin, wrong in ((portal, ticket()), (portal, ticket(origin=other)), (portal, "A" * 43), (other, ticket(origin=portal))):
        assert socket_of(origin).show(wrong).closed()[0] == 4401, (origin, wrong)
        assert socket_of(origin, "binary", "ticket." + wrong).closed()[0] == 4401
    assert socket_of(alice.origin, "binary", "ticket." + ticket(origin=portal)).closed()[0] == 4401
    assert socket_of(alice.origin).closed()[0] == 4401, "our own page has its ticket in a subprotocol, or none"
    for text, code in ((b"id:".ljust(250, b"\0"), 1006), (b"ID:".ljust(250, b"x"), 1006), (b"ID:".ljust(251, b"\0"), 1006), (b"ID:" + one.encode(), 4408)):
        stream = socket_of(portal)
        stream.send(text)
        assert stream.closed()[0] == code, text
    with pytest.raises((LabError, Closed)):
        socket_of("https://evil.example").read(1)
    with pytest.raises((LabError, Closed)):
        socket_of(portal, path="/console?ticket=" + ticket(origin=portal)).read(1)
    late = socket_of(portal)
    kept = ticket(origin=portal)
    alice.post("/logout")
    assert late.show(kept).closed()[0] == 4401
    assert kept not in gateway.log() and one not in gateway.log()


def test_I72_frames_that_close(screens_gateway, serial):
    alice = person(screens_gateway, "alice")
    for text in (b"x", struct.pack("!BBxxI", 4, 1, ord("a")), b""):    # the second one is a key: no RFB message is wrong here, only the frame
        for before in (0, 3):
            screen = alice.console(GUEST_UUID)
            screen.open()
            for _ in range(before):
                screen.send(struct.pack("!BBxxI", 4, 0, ord("b")))
            screen.frame(text, masked=False)
            assert screen.closed()[0] == 1006, (text, before)
    head = f"GET /console HTTP/1.1\r\nHost: localhost:{alice.port}\r\nOrigin: {alice.origin}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" \
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: binary\r\n\r\n"
    for text in (head.encode() + b"\x82\x80AAAA", head.encode() + b"\r\n\r\n", f"GET /api/v1/me HTTP/1.1\r\nHost: localhost:{alice.port}\r\n\r\n{head}".encode(),
                 head.replace("Upgrade: websocket", "Upgrade: h2c").encode()):
        with alice.connect() as stream:
            stream.sendall(text)
            answers = b""
            while piece := stream.recv(65536):
                answers += piece
        assert b" 101 " not in answers, text
    for frame in ({"data": b"x", "masked": False}, {"data": b"x" * 200, "opcode": 9}, {"data": b"x", "opcode": 9, "fin": False}, {"data": b"x", "reserved": 4},
                  {"data": b"x", "opcode": 3}, {"data": b"text", "opcode": 1}, {"data": b"x", "length": 1 << 62}):
        screen = alice.console(GUEST_UUID)
        screen.open()
        screen.frame(**frame)
        assert screen.closed()[0] in (1002, 1003, 1006, 1007, 1009, 4400), frame
    assert alice.console(GUEST_UUID).open()[0] == 720


def test_revoked_right_ends_a_running_console(own_gateway, users, libvirtd, serial):
    gateway = own_gateway(sasl=users, listen_web=True, web_port="0", allowed_uris=[libvirtd.qemu_uri])
    alice = person(gateway, "alice")
    screen = alice.console(GUEST_UUID)
    screen.open()
    gateway.write_policy({"version": 1, "bindings": [{"id": "look", "who": ["sasl:alice"], "role": "viewer", "on": ["*"]}]})
    gateway.reload()
    assert screen.closed()[0] == 4403
    refused = WebSocket(alice, "/console", ["binary", "ticket." + alice.post(f"/guests/{GUEST_UUID}/console", {"mode": "input"}).json["ticket"]])
    with pytest.raises(LabError, match="access denied: 'domain:open_graphics'"):
        refused.open()


def test_I6_what_the_browser_has_opens_nothing_at_libvirts_port(gateway, authority):
    """No TLS session of one port is taken up at another, and a cookie or token says nothing there."""
    alice = person(gateway, "alice")
    stream = alice.connect()
    assert stream.session is None or not stream.session.has_ticket
    certified = Browser(gateway, pki=f"{authority.clients}/alice")
    with socket.create_connection(("127.0.0.1", gateway.ports["tls"]), timeout=PATIENCE) as plain, \
            certified.context.wrap_socket(plain, server_hostname="localhost") as other:
        assert other.recv(1) == b"\1" and not other.session_reused
        other.sendall(f"GET /me HTTP/1.1\r\nHost: localhost\r\nCookie: {alice.cookie}\r\nX-Auth-Token: {alice.token}\r\n\r\n".encode())
        with pytest.raises((ConnectionError, ssl.SSLError, EOFError)):
            if other.recv(1) == b"":
                raise EOFError


def test_http2(gateway):
    if "HTTP2" not in run(["curl", "--version"]).stdout:
        pytest.skip("this curl speaks no HTTP/2")
    got = run(["curl", "-sS", "--http2", "--cacert", gateway.authority.ca_cert, "-w", "%{http_version} %{http_code}", "-o", "/dev/null",
               f"https://localhost:{gateway.ports['web']}/api/v1/me"])
    assert got.stdout == "2 401"
