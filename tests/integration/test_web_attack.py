"""The browser's port under attack: requests that two readers could read differently, that are too large, too slow, too many, or deep."""
import http.client
import resource
import socket
import ssl
import struct
import threading
import time

import pytest

from conftest import PASSWORDS, policy_with_realms
from lab.gateway import SaslUsers
from lab.http2 import DATA, END_HEADERS, END_STREAM, HEADERS, WINDOW_UPDATE, Connection, frame
from lab.process import PATIENCE, LabError, wait_until
from lab.web import Browser, Closed, WebSocket, cost
from screens import GUEST_UUID, with_consoles
from test_web_http2 import INITIAL_WINDOW_SIZE, script

SILENCE = 1.5    # seconds without a byte after which no further answer is expected
INNER = b"GET /api/v1/inner HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture(scope="module")
def users(scratch):
    return SaslUsers(scratch, name="sasl-web-attack", passwords=PASSWORDS, mechanisms="plain")


@pytest.fixture(scope="module")
def gateway(make_gateway, users):
    return make_gateway("web-attack", policy=with_consoles(policy_with_realms()), sasl=users, listen_web=True, web_port="0")


def person(gateway, name="alice"):
    return Browser(gateway).login(name, PASSWORDS[name])


def still_serves(gateway):
    begun = time.monotonic()
    assert Browser(gateway).get("/me").status == 401
    assert time.monotonic() - begun < 15, "the least that anything slow is waited for is twenty"


def everything(stream, silence=SILENCE):
    """All that comes until the other end closes or is silent: (bytes, whether it closed)."""
    stream.settimeout(silence)
    data = b""
    try:
        while True:
            piece = stream.recv(65536)
            if not piece:
                return data, True
            data += piece
    except TimeoutError:
        return data, False
    except (ConnectionError, ssl.SSLError):
        return data, True


def raw(gateway, request, silence=SILENCE):
    stream = Browser(gateway).connect()
    try:
        stream.sendall(request)
        return everything(stream, silence)
    except (ConnectionError, ssl.SSLError):
        return b"", True
    finally:
        stream.close()


@pytest.fixture(scope="module")
def lasting(make_gateway, users, libvirtd, serial):
    """From the first test that takes long on: somebody with two screens, of which one answers no ping; (when, gateway, browser, screen, silent)."""
    gateway = make_gateway("web-lasting", policy=with_consoles(policy_with_realms()), sasl=users, listen_web=True, web_port="0", web_max_seconds=90,
                           allowed_uris=[libvirtd.qemu_uri])
    begun = time.monotonic()
    alice = person(gateway)
    screen, silent = alice.console(GUEST_UUID), alice.console(GUEST_UUID, "view")
    screen.open()
    silent.open()
    screen.socket.settimeout(180)
    ends = []
    reader = threading.Thread(target=lambda: ends.append((screen.closed(), time.monotonic() - begun)))
    reader.start()
    yield gateway, alice, silent, reader, ends
    silent.close()


@pytest.fixture(scope="module")
def held(gateway):
    """Requests over HTTP/2 whose answers have no window to be sent in, from the first test that takes long on: (connection, when)."""
    connection = Connection(Browser(gateway)).begin((INITIAL_WINDOW_SIZE, 0))
    block = connection.request(script(gateway), more=[("accept-encoding", "gzip")])
    connection.socket.sendall(b"".join(frame(HEADERS, END_HEADERS | END_STREAM, stream, block) for stream in range(1, 40, 2)))
    yield connection, time.monotonic()
    connection.close()


def request(gateway, *headers, method="POST", path="/api/v1/login", body=b""):
    port = gateway.ports["web"]
    lines = [f"{method} {path} HTTP/1.1", f"Host: localhost:{port}", f"Origin: https://localhost:{port}", *headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


# ---- where does a request end? ----

@pytest.mark.parametrize("headers", [
    ["Transfer-Encoding: chunked"], ["Transfer-Encoding: chunked", "Content-Length: 5"], ["Content-Length: 5", "Transfer-Encoding: chunked"],
    ["Transfer-Encoding: xchunked"], ["Transfer-Encoding: identity"], ["Transfer-Encoding:\tchunked"]], ids=str)
def test_I72_transfer_encodings_are_no_hiding_place(gateway, headers):
    """What stands behind such a request is never read as one of its own."""
    answers, _ = raw(gateway, request(gateway, *headers, body=b"0\r\n\r\n" + INNER))
    assert answers.count(b"HTTP/1.1 ") <= 1 and b" 200 " not in answers and b" 404 " not in answers, answers


@pytest.mark.parametrize("headers", [
    ["Content-Length: 0", f"Content-Length: {len(INNER)}"], [f"Content-Length: {len(INNER)}", "Content-Length: 0"], ["Content-Length: -1"],
    ["Content-Length: +0"], ["Content-Length: 0, 0"], ["Content-Length: 0x0"], ["Content-Length: 0e1"], ["Content-Length: 18446744073709551616"],
    ["Content-Length: 99999999999999999999999"], ["Content-Length : 0"], ["Content-Length:"], ["X: y", " Content-Length: 0"]], ids=str)
def test_I72_lengths_are_of_one_opinion(gateway, headers):
    answers, _ = raw(gateway, request(gateway, *headers, body=INNER))
    assert answers.count(b"HTTP/1.1 ") <= 1 and b" 404 " not in answers, answers


@pytest.mark.parametrize("method", ["GET", "DELETE", "HEAD", "OPTIONS"])
def test_I72_what_has_no_body_hides_no_request(gateway, method):
    answers, _ = raw(gateway, request(gateway, f"Content-Length: {len(INNER)}", method=method, path="/api/v1/me", body=INNER))
    assert answers.count(b"HTTP/1.1 ") <= 1 and b" 404 " not in answers, answers


def test_I72_nothing_stands_behind_the_answer_to_a_head(gateway):
    """Somebody in between takes what comes there for the answer to somebody else's request."""
    answers, closed = raw(gateway, request(gateway, method="HEAD", path="/api/v1/me") + request(gateway, method="GET", path="/api/v1/me"), PATIENCE)
    assert closed and answers.count(b"HTTP/1.1 ") == 1, answers


@pytest.mark.parametrize("text", [
    b"GET /api/v1/me HTTP/1.1\nHost: evil.example\n\n", b"GET /api/v1/me HTTP/1.1\r\nHost: evil.example\r\nHost: localhost\r\n\r\n",
    b"GET https://evil.example/api/v1/me HTTP/1.1\r\nHost: evil.example\r\n\r\n", b"GET /api/v1/me HTTP/1.1\r\n\r\n", b"GET /api/v1/me HTTP/1.0\r\n\r\n",
    b"GET /api/v1/me HTTP/9.9\r\nHost: evil.example\r\n\r\n", b"GET /api/v1/me\r\n\r\n", b"\0" * 4096, b"\r\n" * 2000, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n", b"TRACE / HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    b"GET /api/v1/me HTTP/1.1\r\nHost: localhost@evil.example\r\n\r\n", b"GET /api/v1/me HTTP/1.1\r\nHost: local\0host\r\n\r\n"], ids=lambda text: repr(text[:60]))
def test_I66_only_our_own_name_is_answered(gateway, text):
    """No answer but a refusal, and none that sends the browser elsewhere."""
    answers, _ = raw(gateway, text)
    assert b" 200 " not in answers and b" 401 " not in answers and b"location:" not in answers.lower(), answers
    still_serves(gateway)


# ---- too much, too slow, too deep ----

@pytest.mark.parametrize("headers, path", [
    (["X-Long: " + "a" * 20_000], "/api/v1/me"), ([f"X-{i}: {i}" for i in range(2000)], "/api/v1/me"), (["Cookie: " + "a=b; " * 3000], "/api/v1/me"),
    ([], "/" + "a" * 20_000), ([], "/" + "a/" * 5000), ([], "/api/v1/audit?" + "a=b&" * 4000), (["X" * 20_000 + ": y"], "/api/v1/me")],
    ids=["long", "many", "cookies", "path", "segments", "query", "name"])
def test_headers_are_bounded(gateway, headers, path):
    answers, _ = raw(gateway, request(gateway, *headers, method="GET", path=path))
    assert b" 200 " not in answers
    still_serves(gateway)


@pytest.mark.parametrize("begin", [b"", b"GET /api/v1/me HT", b"POST /api/v1/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000\r\n\r\n{"],
                         ids=["nothing", "header", "body"])
def test_slow_requests_are_ended(gateway, lasting, held, begin):
    """One byte a second is no request; others do not wait for it."""
    stream = Browser(gateway).connect()
    stream.sendall(begin)
    begun = time.monotonic()
    closed = False
    while not closed and time.monotonic() - begun < 75:
        if begin:
            try:
                stream.sendall(b"x")
            except (ConnectionError, ssl.SSLError):
                break
        _, closed = everything(stream, 1)
        if time.monotonic() - begun < 3:
            still_serves(gateway)
    assert time.monotonic() - begun < 75, "it holds its connection for ever"


def test_a_handshake_that_never_comes_is_ended(gateway):
    with socket.create_connection(("127.0.0.1", gateway.ports["web"]), timeout=120) as plain:
        plain.sendall(b"\x16\x03\x01")
        begun = time.monotonic()
        try:
            assert plain.recv(100) == b"" or plain.recv(100) == b""
        except ConnectionError:
            pass
        assert time.monotonic() - begun < 100
    still_serves(gateway)


def test_ten_thousand_idle_connections_are_in_nobodys_way(own_gateway, users):
    """From forty addresses, without a word; and as many as one address may have, and one more."""
    gateway = own_gateway(sasl=users, listen_web=True, web_port="0", max_clients=12_000, max_web_connections_per_address=250)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 11_000:
        pytest.skip("there may not be so many open files here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    alice = person(gateway)
    _, before = cost(gateway)
    idle = []

    def connect(address):
        idle.append(socket.create_connection(("127.0.0.1", gateway.ports["web"]), source_address=(address, 0)))
        return idle[-1]
    try:
        for number in range(40):
            for _ in range(250):
                connect(f"127.0.1.{number + 1}")
        wait_until(lambda: alice.get("/guests").status == 200, "the log-in to go on")
        for _ in range(3):
            one_more = connect("127.0.1.40")
            one_more.settimeout(PATIENCE)
            try:
                assert one_more.recv(1) == b"", "it is closed"
            except ConnectionResetError:
                pass
        told, = gateway.wait_audit(event="session.crowd")
        assert told["code"] == "VG1107W" and told["source"]["address"] == "127.0.1.40" and told["source"]["via"] == "web", told
        assert "250, the most that max_web_connections_per_address" in told["result"]["message"] and told["result"]["message"] in gateway.log(), told
        _, after = cost(gateway)
        print(f"{(after - before) / len(idle):.1f} KiB for each of {len(idle)} idle connections")
        assert person(gateway, "bob").guests() is not None
    finally:
        for one in idle:
            one.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    wait_until(lambda: cost(gateway) and alice.get("/guests").status == 200, "the log-in to be as it was")

    def stays():
        with socket.create_connection(("127.0.0.1", gateway.ports["web"]), source_address=("127.0.1.40", 0)) as again:
            again.settimeout(1)
            try:
                return again.recv(1) != b""
            except TimeoutError:
                return True
            except ConnectionResetError:
                return False
    wait_until(stays, "those that left to be counted no more")


@pytest.mark.parametrize("body", [
    b"[" * 60_000, b'{"a":' * 10_000 + b"1" + b"}" * 10_000, b'{"permission":1e99999}', b'{"permission":' + b"9" * 60_000 + b"}",
    b'{"user":"alice\\u0000","permission":"domain:start","object":"*"}', b'{"permission":"\xff\xfe"}', b'{"permission":"\\ud800"}', b"\xef\xbb\xbf{}",
    b'{"permission":["domain:start"]}', b'{"permission":"domain:start","object":{"a":1}}', b'{"verb":"kill","id":"1"}', b'{"explain":"yes"}',
    b"{" + b",".join(b'"k%d":1' % i for i in range(6000)) + b"}"], ids=lambda body: repr(body[:25]))
def test_json_bombs(gateway, body):
    alice = person(gateway)
    begun = time.monotonic()
    answer = alice.ask("POST", "/policy/can", body=body)
    assert 400 <= answer.status < 600 and answer.status != 500 and answer.json["error"]["message"], answer
    assert time.monotonic() - begun < 15
    assert alice.get("/guests").status == 200, "the log-in is as it was"


@pytest.mark.parametrize("query", ["limit=-1", "limit=99999999999999999999", "since=%00", "since=%0d%0aSet-Cookie:%20a=b", "user=" + "a" * 2000, "before=x",
                                   "limit=1&limit=500", "format=%ff%fe"])
def test_queries_are_only_questions(gateway, query):
    admin = person(gateway, "admin")
    for path in ("/audit", "/audit/export"):
        try:
            answer = admin.get(f"{path}?{query}")
        except (ConnectionError, http.client.BadStatusLine):
            continue    # no answer at all is one too: a NUL in it
        assert answer.status in (200, 400, 403, 404, 414, 501, 502) and "set-cookie" not in answer.headers, answer


@pytest.mark.parametrize("query", ["before=x", "limit=1x", "after=-1", "user=%ff%fe"])
def test_a_filter_that_cannot_be_read_is_not_left_out(gateway, query):
    for path in ("/audit", "/audit/export"):
        assert person(gateway, "admin").get(f"{path}?{query}").status == 400


# ---- what is over is over ----

@pytest.mark.parametrize("end", ["logout", "everywhere", "idle"])
def test_I66_a_cookie_is_worth_nothing_afterwards(own_gateway, users, end):
    gateway = own_gateway(sasl=users, listen_web=True, web_port="0", **({"web_idle_seconds": 30} if end == "idle" else {}))
    alice = person(gateway)
    if end == "idle":
        events = alice.events()     # a page that is left open is nobody who does something
        before = len(gateway.audit(event="session.logout"))
        gateway.wait_audit(before + 1, event="session.logout", seconds=120)
        events.close()
    else:
        assert alice.post("/logout", {"everywhere": end == "everywhere"}).status == 200
    for path in ("/guests", "/me", "/sessions", "/audit", "/events"):
        assert alice.get(path).status == 401, path
    assert alice.post("/policy/can", {"permission": "domain:start", "object": "*"}).status == 401


def test_a_login_ends_in_the_end_and_so_does_who_answers_no_ping(lasting):
    """The socket that is silent after 50 seconds (web/loop.c), the other one with the log-in, after 90."""
    gateway, alice, silent, reader, ends = lasting
    reader.join(180)
    (code, reason), seconds = ends[0]
    assert code == 4410 and "as long as one may" in reason and 89 <= seconds < 150, ends
    assert alice.get("/me").status == 401
    frames, closed = everything(silent.socket, PATIENCE)
    assert closed and frames.startswith(b"\x89") and b"\x11\x3a" not in frames, "a ping, and no close code 4410: it ended before"
    assert len(gateway.wait_audit(2, event="console.close")) == 2


def test_answers_that_nobody_takes_are_not_kept(gateway, held):
    """When the windows are opened at last there is nothing to send any more."""
    connection, since = held
    time.sleep(max(0, since + 45 - time.monotonic()))      # they are kept for twenty seconds
    heads = [got for got in connection.frames(0.5) if got is not None and got[0] in (HEADERS, DATA)]
    assert len(heads) == 20 and all(got[0] == HEADERS for got in heads)
    try:
        connection.socket.sendall(frame(WINDOW_UPDATE, 0, 0, struct.pack("!I", 1 << 24)) +
                                  b"".join(frame(WINDOW_UPDATE, 0, stream, struct.pack("!I", 1 << 20)) for stream in range(1, 40, 2)))
        assert not any(got and got[0] == DATA for got in connection.frames(1))
    except (OSError, ssl.SSLError):
        pass    # the connection has ended


def test_one_persons_token_does_not_fit_anothers_cookie(gateway):
    alice, bob = person(gateway), person(gateway, "bob")
    assert alice.post("/logout", headers={"X-Auth-Token": bob.token}).status == 403
    assert alice.post("/logout", headers={"Cookie": bob.cookie}).status == 403
    assert alice.get("/guests", headers={"Cookie": alice.cookie + "x"}).status == 401
    assert alice.get("/guests", headers={"Cookie": "x" + alice.cookie}).status == 401
    assert alice.get("/guests").status == bob.get("/guests").status == 200


def test_many_sockets_without_a_ticket_cost_nothing(gateway):
    alice = person(gateway)
    for _ in range(50):
        assert WebSocket(alice, "/console", ["binary", "ticket." + "A" * 43]).closed()[0] == 4401
    for path in ("/api/v1/me", "/", "/console/", "/consolex", "/console?ticket=" + "A" * 43):
        with pytest.raises((LabError, Closed)):
            WebSocket(alice, path, ["binary"]).read(1)
    wait_until(lambda: alice.get("/guests").status == 200, "the log-in to be as it was")


@pytest.mark.parametrize("behind", [INNER, INNER[:40], b"x" * 3000], ids=["request", "part", "nothing"])
@pytest.mark.parametrize("together", [True, False], ids=["together", "later"])
def test_what_comes_behind_a_request_that_waits_is_not_taken_up(gateway, behind, together):
    """A log-in that fails is answered after a second: no answer of another request comes before it, and none in its place."""
    stream = Browser(gateway).connect()
    body = b'{"user":"nobody","password":"x"}'
    first = request(gateway, f"Content-Length: {len(body)}", body=body)
    before, _ = cost(gateway)
    stream.sendall(first + behind if together else first)
    if not together:
        time.sleep(0.1)
        stream.sendall(behind)
    answers, _ = everything(stream, 2)
    assert b"inner" not in answers and b" 404 " not in answers.split(b"authentication failed")[0], answers
    assert cost(gateway)[0] - before < 0.5
    stream.close()


@pytest.mark.parametrize("to", ["h2c", "TLS/1.0", "x" * 3000, "websocket, h2c"])
def test_CVE_2025_11677_an_upgrade_to_something_else_is_refused(gateway, to):
    """libwebsockets frees the headers of such a request, and goes on with them."""
    answers, closed = raw(gateway, request(gateway, f"Upgrade: {to}", "Connection: Upgrade", method="GET", path="/api/v1/me"), PATIENCE)
    assert closed and b" 101 " not in answers and b" 200 " not in answers, answers
    still_serves(gateway)


def test_a_post_without_a_body_is_one_request(gateway):
    alice = person(gateway)
    assert alice.ask("POST", "/logout", headers={"Content-Length": "0"}).status == 200
    assert alice.get("/guests").status == 401


@pytest.mark.parametrize("what", ["ends", "sends on", "leaves"])
def test_waiting_with_somebody_costs_nothing(gateway, what):
    """He says that he sends no more, or goes on sending, or is gone, while his request has no end."""
    alice = person(gateway)
    stream = alice.connect()
    headers = "".join(f"{name}: {value}\r\n" for name, value in alice.headers().items())
    stream.sendall(f"GET /api/v1/events HTTP/1.1\r\n{headers}\r\n".encode())
    assert stream.recv(12) == b"HTTP/1.1 200"
    if what == "ends":
        stream.shutdown(socket.SHUT_WR)
    elif what == "sends on":
        stream.sendall(b"GET / HTTP/1.1\r\n" * 1000)
    else:
        stream.close()
    before, _ = cost(gateway)
    time.sleep(2)
    assert cost(gateway)[0] - before < 0.3
    stream.close()
    assert alice.get("/guests").status == 200


def test_events_go_on(gateway):
    """An event stream is one long answer: the time that a request may take is not its."""
    alice = person(gateway)
    events = alice.events()
    begun = time.monotonic()
    while time.monotonic() - begun < 35:
        assert events.answer.fp.readline() != b"", f"it ended after {time.monotonic() - begun:.0f} s"
    events.close()
