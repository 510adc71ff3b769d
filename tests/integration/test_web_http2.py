"""HTTP/2 as a weapon: floods that cost the sender little, headers without an end, answers that nobody takes. Each ends its own connection, and nothing else."""
import gzip
import re
import ssl
import struct
import time

import pytest

from conftest import PASSWORDS, policy_with_realms
from lab.gateway import SaslUsers
from lab.http2 import (CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PADDED, PING, PRIORITY, RST_STREAM, SETTINGS, WINDOW_UPDATE, WITH_PRIORITY, Connection,
                       frame, literal, settings)
from lab.process import PATIENCE
from lab.web import Browser, cost

INITIAL_WINDOW_SIZE = 4


@pytest.fixture(scope="module")
def users(scratch):
    return SaslUsers(scratch, name="sasl-web-http2", passwords=PASSWORDS, mechanisms="plain")


@pytest.fixture(scope="module")
def gateway(make_gateway, users):
    return make_gateway("web-http2", policy=policy_with_realms(), sasl=users, listen_web=True, web_port="0")


def asset(gateway, path):
    """As it is sent: compressed."""
    return Browser(gateway).get("/" + path, headers={"Accept-Encoding": "gzip"}).body


def script(gateway):
    """The path of a large answer: the page's script."""
    found = re.search(r'src="(/[^"]+\.js)"', gzip.decompress(asset(gateway, "/")).decode())
    if found is None:
        pytest.skip("virtgate was built without its pages")
    return found[1]


def numbered():
    yield from range(1, 1 << 31, 2)


def rapid_reset(connection):
    block = connection.request()
    for stream in numbered():
        yield frame(HEADERS, END_HEADERS | END_STREAM, stream, block) + frame(RST_STREAM, 0, stream, struct.pack("!I", 8))


def resets_only(_):
    for _ in numbered():
        yield frame(RST_STREAM, 0, 1, struct.pack("!I", 8))


def endless_headers(connection):
    yield frame(HEADERS, END_STREAM, 1, connection.request())
    for number in numbered():
        yield frame(CONTINUATION, 0, 1, literal(f"x-{number}", "a" * 50))


def empty_continuations(connection):
    yield frame(HEADERS, END_STREAM, 1, connection.request())
    for _ in numbered():
        yield frame(CONTINUATION, 0, 1)


def pings(_):
    for _ in numbered():
        yield frame(PING, payload=b"12345678")


def settings_again(_):
    for _ in numbered():
        yield settings((3, 100), (4, 65535))


def windows(_):
    for _ in numbered():
        yield frame(WINDOW_UPDATE, payload=struct.pack("!I", 1))


def priorities(_):
    for stream in numbered():
        yield frame(PRIORITY, 0, stream, struct.pack("!IB", 0, 10))


def header_bomb(connection):
    """A field of 3,900 bytes that the other end keeps, then one byte for each time that it is meant."""
    yield frame(HEADERS, END_HEADERS | END_STREAM, 1, connection.request(more=[("x-a", "a" * 3900, True)]))
    for stream in range(3, 1 << 31, 2):
        yield frame(HEADERS, END_HEADERS | END_STREAM, stream, connection.request() + b"\xbe" * 4000)


def empty_data(connection):
    yield frame(HEADERS, END_HEADERS, 1, connection.request("/api/v1/login", "POST", [("origin", connection.browser.origin)]))
    for _ in numbered():
        yield frame(DATA, 0, 1)


def many_streams(connection):
    for stream in numbered():
        yield frame(HEADERS, END_HEADERS, stream, connection.request("/api/v1/login", "POST"))


def nothing_known(_):
    for _ in numbered():
        yield frame(77, payload=b"x" * 10)


def flood(connection, frames):
    """True when the other end put an end to it. A MiB at a time is made before it is sent: who makes frames while he sends them may be too slow for a flood."""
    begun = time.monotonic()
    try:
        while time.monotonic() - begun < PATIENCE:
            piece = bytearray()
            while len(piece) < 1 << 20:
                more = next(frames, None)
                if more is None:
                    break
                piece += more
            connection.socket.sendall(piece)
    except (OSError, ssl.SSLError):
        return True
    return False


@pytest.mark.parametrize("send", [rapid_reset, resets_only, endless_headers, empty_continuations, pings, settings_again, windows, priorities, header_bomb,
                                  empty_data, many_streams, nothing_known], ids=lambda send: send.__name__)
def test_a_flood_ends_its_own_connection(gateway, sanitized, send):
    pids = gateway.children("web")
    before = cost(gateway)
    connection = Connection(Browser(gateway)).begin()
    ended = flood(connection, send(connection))
    after = cost(gateway)
    connection.close()
    print(f"{send.__name__}: {after[0] - before[0]:.2f} s, {after[1] - before[1]} KiB")
    assert ended and gateway.children("web") == pids
    assert after[0] - before[0] < 1 and (sanitized or after[1] - before[1] < 16 * 1024)
    assert Browser(gateway).get("/me").status == 401


def test_a_browser_is_not_taken_for_a_flood(gateway):
    """Hundreds of requests in one connection, with a PING and window now and then; and as many streams at a time as there may be."""
    connection = Connection(Browser(gateway)).begin()
    block = connection.request()
    for stream in range(1, 801, 2):
        connection.socket.sendall(frame(HEADERS, END_HEADERS | END_STREAM, stream, block) + frame(WINDOW_UPDATE, 0, 0, struct.pack("!I", 1000)))
        if stream % 100 == 1:
            connection.socket.sendall(frame(PING, payload=b"12345678"))
        assert next(got for got in connection.frames() if got is None or (got[0] == DATA and got[1] & END_STREAM)) is not None, stream
    connection.socket.sendall(b"".join(frame(HEADERS, END_HEADERS | END_STREAM, stream, block) for stream in range(801, 841, 2)))
    done = set()
    for got in connection.frames():
        assert got is not None
        if got[0] == DATA and got[1] & END_STREAM:
            done.add(got[2])
        if len(done) == 20:
            break
    connection.close()


def test_no_websocket_in_http2(gateway):
    """It is not offered (RFC 8441), and who asks all the same is ended: what is inside of a stream nobody looks at. Nothing is left of it in memory."""
    connection = Connection(Browser(gateway)).begin()
    offered = next(got for got in connection.frames() if got is None or (got[0] == SETTINGS and got[3]))
    pairs = dict(struct.iter_unpack("!HI", offered[3]))
    assert pairs.get(8, 0) == 0 and pairs[3] == 24, pairs
    more = [(":protocol", "websocket"), ("origin", connection.browser.origin), ("sec-websocket-version", "13"), ("sec-websocket-protocol", "binary")]
    connection.socket.sendall(frame(HEADERS, END_HEADERS, 1, connection.request("/console", "CONNECT", more)))
    came = list(connection.frames())
    assert came[-1] is None and not any(got and got[0] == DATA for got in came), "the connection ended"
    connection.close()
    assert Browser(gateway).get("/me").status == 401


def test_answers_stay_in_their_windows(gateway):
    """A stream's and the connection's (RFC 9113, 5.2), and go on when they are opened."""
    path = script(gateway)
    connection = Connection(Browser(gateway)).begin((INITIAL_WINDOW_SIZE, 1000))
    connection.socket.sendall(frame(HEADERS, END_HEADERS | END_STREAM, 1, connection.request(path, more=[("accept-encoding", "gzip")])))
    sent, whole = [], 65535     # the connection's window
    for stream, opened in ((None, 0), (1, 5000), (1, 1 << 20), (0, 1 << 20)):
        if stream is not None:
            connection.socket.sendall(frame(WINDOW_UPDATE, 0, stream, struct.pack("!I", opened)))
        may = min({None: 1000, 1: sum(sent) + opened if opened < whole else whole, 0: 1 << 20}[stream], len(asset(gateway, path)))
        for seconds in (PATIENCE, 0.5):     # what there is room for comes, and then nothing
            for got in connection.frames(seconds):
                assert got is not None
                sent += [len(got[3])] if got[0] == DATA else []
                if sum(sent) >= may and seconds == PATIENCE:
                    break
        assert sum(sent) == may, (stream, opened, sent)
    assert sum(sent) > whole, "the script is too short for this test"
    connection.close()


def test_the_header_table_keeps_its_size(gateway):
    """Libraries say again which size it has; another one ends the connection, before libwebsockets forgets what it puts there (a sanitizer would tell)."""
    connection = Connection(Browser(gateway)).begin()
    connection.socket.sendall(frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\x3f\xe1\x1f" + connection.request()))
    assert next(got for got in connection.frames() if got is None or got[0] == HEADERS)[2] == 1
    connection.socket.sendall(frame(HEADERS, END_HEADERS | END_STREAM, 3, connection.request() + b"\x22" + b"\x62\x04host"))
    assert list(connection.frames())[-1] is None
    connection.close()


def test_padded_headers_are_headers(gateway):
    """RFC 9113, 6.2: with priority and without, in two frames, and in as much padding as there may be."""
    connection = Connection(Browser(gateway)).begin()
    block = connection.request()
    for stream, frames in enumerate((
            frame(HEADERS, END_HEADERS | END_STREAM | PADDED, 1, b"\7" + block + bytes(7)),
            frame(HEADERS, END_HEADERS | END_STREAM | PADDED, 3, b"\0" + block),
            frame(HEADERS, END_HEADERS | END_STREAM | PADDED | WITH_PRIORITY, 5, b"\xff" + b"\0\0\0\0\x0f" + block + bytes(255)),
            frame(HEADERS, END_STREAM | PADDED, 7, b"\2" + block[:20] + bytes(2)) + frame(CONTINUATION, END_HEADERS, 7, block[20:]),
            frame(HEADERS, END_STREAM | PADDED, 9, b"\2" + bytes(2)) + frame(CONTINUATION, END_HEADERS, 9, block))):
        connection.socket.sendall(frames)
        came = next(got for got in connection.frames() if got is None or got[0] == HEADERS)
        assert came is not None and came[2] == 2 * stream + 1
    connection.close()


@pytest.mark.parametrize(("kind", "flags", "before"), [
    (HEADERS, PADDED, b"\0"), (HEADERS, WITH_PRIORITY, bytes(5)), (HEADERS, PADDED | WITH_PRIORITY, bytes(6)),
    (CONTINUATION, WITH_PRIORITY, b"\6aaaa\x20"), (CONTINUATION, PADDED, b"\1a\0"), (DATA, PADDED, b"\0"), (PING, PADDED, bytes(8)),
], ids=str)
def test_no_frame_ends_where_libwebsockets_sees_no_end(gateway, kind, flags, before):
    """What follows would be read from another place, or other bytes of it, than web/wire.c has looked at."""
    connection = Connection(Browser(gateway)).begin()
    if kind == CONTINUATION:
        connection.socket.sendall(frame(HEADERS, END_STREAM, 1, connection.request()[:1]))
    connection.socket.sendall(frame(kind, flags, 0 if kind == PING else 1, before))
    assert list(connection.frames())[-1] is None
    connection.close()
    assert Browser(gateway).get("/me").status == 401
