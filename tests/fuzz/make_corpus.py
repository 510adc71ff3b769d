#!/usr/bin/env python3
"""Makes the seeds of fuzz_browser, fuzz_rest, fuzz_socket, fuzz_ticket and fuzz_admission, and of fuzz_rpc and fuzz_xdr from captured messages: tests/fuzz/make_corpus.py, after
packets.txt changed.

Of each procedure one call and one reply at most, the shorter ones first, and some of every other kind of message."""
import json
import os
import struct

HERE = os.path.dirname(os.path.abspath(__file__))
PROGRAMS = [0x20008086, 0x20008087, 0x00068000]
TYPES = ["call", "reply", "event", "stream", "callfds", "replyfds", "hole"]
MAX_LEN, MAX_FILES = 400, 130


def packets():
    with open(os.path.join(HERE, "..", "data", "packets.txt"), encoding="ascii") as lines:
        for line in lines:
            if not line.startswith("#"):
                side, data = line.split()
                yield side, bytes.fromhex(data)


def write(folder, name, data):
    os.makedirs(os.path.join(HERE, "corpus", folder), exist_ok=True)
    with open(os.path.join(HERE, "corpus", folder, name), "wb") as out:
        out.write(data)


def empty(folder):
    path = os.path.join(HERE, "corpus", folder)
    for name in os.listdir(path) if os.path.isdir(path) else []:
        os.remove(os.path.join(path, name))


def kinds_first(packet):
    """Rare kinds of messages before calls and replies, then those with more in them for their length."""
    side, data = packet
    kind = struct.unpack(">i", data[16:20])[0]
    return kind <= 1, abs(len(data) - 80), data


RULES = (
    ("must_not", "/domain/devices/disk[source/@file = '/etc'] | /domain/devices/hostdev"), ("must_not", "//*[count(ancestor::*) > 9]"),
    ("must_not", "/domain/descendant::address[@type = 'mdev']"), ("must", "/domain/title"), ("must_not", "/domain/vcpu > 4"),
    ("must_not", "/domain/memory[kibibytes(.) > limit('memory')]"), ("must", "not(/domain/os/kernel) and known(/domain/name)"),
    ("must_not", "/volume/capacity[. > 1] | /pool/target/path[starts-with(., '/')]"),
)
SMALL = ("<disk type='file'><source file='/p'/></disk>", "<volume><name>v</name><capacity unit='GiB'>1</capacity></volume>",
         "<pool type='dir'><name>p</name><target><path>/p</path></target></pool>", "<domainsnapshot><name>s</name></domainsnapshot>",
         "<secret><usage type='volume'><volume>/p</volume></usage></secret>", "<memory model='dimm'><target><size>1</size></target></memory>",
         "<domain><memory>1</memory><cpu><numa><cell memory='1'/></numa></cpu><seclabel type='none'/><devices><graphics type='vnc'/></devices></domain>")


def admission():
    """Of each document one, with some rules of a site."""
    empty("admission")
    data = os.path.join(HERE, "..", "data", "admission")
    documents = [open(os.path.join(data, name), "rb").read() for name in sorted(os.listdir(data)) if name.endswith(".xml")]
    for i, document in enumerate([text for text in documents if len(text) < 3000] + [text.encode() for text in SMALL]):
        rules = [{"id": "r%d" % k, "class": ("domain", "device", "volume", "pool")[k % 4], RULES[(i + k) % len(RULES)][0]: RULES[(i + k) % len(RULES)][1]}
                 for k in range(4)]
        policy = {"version": 1, "bindings": [], "rules": rules, "quotas": [{"id": "q", "on": ["*"], "max_guests": 1}],
                  "admission": [{"id": "a", "profile": "restricted", "max_vcpus": 2, "macs": ["52:54:00:aa:*"]}]}
        write("admission", "%02d" % i, json.dumps(policy).encode() + b"\0" + document)


def masked(data, opcode=2, first=0x80):
    """A frame of a WebSocket, with a mask of zeros."""
    head = bytes([first | opcode]) + (bytes([0x80 | len(data)]) if len(data) < 126 else struct.pack("!BH", 0x80 | 126, len(data)))
    return head + bytes(4) + data


def http2_frame(kind, flags, stream, payload=b""):
    return struct.pack("!I", len(payload))[1:] + bytes([kind, flags]) + struct.pack("!I", stream) + payload


def http2_request(method, path, *more):
    return b"".join(b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value for name, value in
                    ((b":method", method), (b":scheme", b"https"), (b":authority", b"localhost"), (b":path", path), *more))


def browser():
    """Seeds of fuzz_browser: each route, a log-in, both ways to show a ticket, and HTTP/2."""
    empty("browser")
    known, domain, word = b"Cookie: __Host-virtgate=" + b"A" * 43 + b"\r\nX-Auth-Token: " + b"A" * 43 + b"\r\n", b"11000000-0000-0000-0000-000000000000", b"A" * 43

    def request(method, path, body=b"", more=known, origin=b"https://localhost"):
        length = b"Content-Length: %d\r\n" % len(body) if method == b"POST" else b""
        return method + b" " + path + b" HTTP/1.1\r\nHost: localhost\r\nOrigin: " + origin + b"\r\nAccept-Encoding: gzip\r\n" + more + length + b"\r\n" + body

    def upgrade(protocols, origin=b"https://localhost"):
        return request(b"GET", b"/console", origin=origin, more=b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
                       b"Sec-WebSocket-Version: 13\r\n" + protocols)
    for path in (b"/", b"/api/v1/me", b"/api/v1/guests", b"/api/v1/guests/" + domain, b"/api/v1/guests/" + domain + b"/screenshot", b"/api/v1/events",
                 b"/api/v1/sessions", b"/api/v1/audit?user=a&since=2026-01-01&limit=5", b"/api/v1/audit/state", b"/api/v1/audit/export?format=cef", b"/api/v1/audit/01M8"):
        write("browser", "get" + path.split(b"?")[0].decode().replace("/", "_"), b"1" + request(b"GET", path))
    for path, body in ((b"/api/v1/login", b'{"user":"alice","password":"x"}'), (b"/api/v1/logout", b'{"everywhere":true}'),
                       (b"/api/v1/policy/can", b'{"permission":"domain:start","object":"domain:web-1","explain":true}'),
                       (b"/api/v1/guests/" + domain + b"/start", b"{}"), (b"/api/v1/guests/" + domain + b"/console", b'{"mode":"input"}')):
        write("browser", "post" + path.decode().replace("/", "_"), b"1" + request(b"POST", path, body) + b"\x1e" + request(b"GET", b"/api/v1/me"))
    write("browser", "delete", b"1" + request(b"DELETE", b"/api/v1/sessions/01M8"))
    viewer = [masked(b"RFB 003.008\n"), masked(b"\1"), masked(b"\1"), masked(b"\4\1\0\0\0\0\0a" * 20), masked(b"", 9), masked(b"\3\xe8", 8)]
    elsewhere, console = b"https://portal.example.com", b"/api/v1/guests/" + domain + b"/console"
    write("browser", "console", b"1" + b"\x1e".join([request(b"POST", console, b'{"mode":"input"}'), b"\x1f",
                                                     upgrade(b"Sec-WebSocket-Protocol: binary, ticket." + word + b"\r\n"), *viewer]))
    write("browser", "console-elsewhere", b"1" + b"\x1e".join([request(b"POST", console, b'{"mode":"view","origin":"' + elsewhere + b'"}'), b"\x1f",
                                                               upgrade(b"", elsewhere), masked((b"ID:" + word).ljust(250, b"\0")), *viewer]))
    begin = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + http2_frame(4, 0, 0, b"\0\4\0\0\0\x10")
    cookie = (b"cookie", b"__Host-virtgate=" + word), (b"x-auth-token", word), (b"origin", b"https://localhost")
    write("browser", "http2-get", b"2" + b"\x1e".join([begin, http2_frame(1, 5, 1, http2_request(b"GET", b"/api/v1/guests", *cookie)),
                                                       http2_frame(8, 0, 0, b"\0\0\x10\0"), http2_frame(8, 0, 1, b"\0\0\x10\0"), http2_frame(6, 0, 0, bytes(8))]))
    write("browser", "http2-table", b"2" + b"\x1e".join([begin, http2_frame(1, 5, 1, http2_request(b"GET", b"/") + b"\x22" + b"\x62\4host")]))
    padded = b"\3" + bytes(5) + http2_request(b"GET", b"/api/v1/guests", *cookie) + bytes(3)
    write("browser", "http2-padded", b"2" + b"\x1e".join([begin, http2_frame(1, 5 | 8 | 32, 1, padded), http2_frame(1, 1 | 8, 3, b"\2" + http2_request(b"GET", b"/")[:30] + bytes(2)),
                                                          http2_frame(9, 4, 3, http2_request(b"GET", b"/")[30:])]))
    write("browser", "http2-post", b"2" + b"\x1e".join([begin, http2_frame(1, 4, 1, http2_request(b"POST", b"/api/v1/login", *cookie)),
                                                        http2_frame(0, 1, 1, b'{"user":"a","password":"b"}'), http2_frame(3, 0, 1, bytes(4)), http2_frame(7, 0, 0, bytes(8))]))


def rest():
    """Of each route one request as it is meant, one without what it needs, and some with headers of their own."""
    empty("rest")
    guest = "api/v1/guests/11000000-0000-0000-0000-000000000000"
    with open(os.path.join(HERE, "..", "..", "web", "openapi.json"), encoding="utf-8") as file:
        paths = json.load(file)["paths"]
    bodies = {"/login": {"user": "alice", "password": "x"}, "/logout": {"everywhere": True}, "/guests/{uuid}/console": {"mode": "input"},
              "/policy/can": {"permission": "domain:start", "object": "domain:web-1", "explain": True}}
    for path, operations in paths.items():
        for method in operations:
            real = "api/v1" + path.replace("/guests/{uuid}", guest[6:]).format(action="start", id="01M8").replace("api/v1", "", 1)
            query = "?" + "&".join(f"{one['name']}=1" for one in operations[method].get("parameters", []) if one["in"] == "query")
            number = ("get", "post", "delete", "put").index(method) << 3
            body = json.dumps(bodies.get(path, {"draft": "{}"})).encode() if method == "post" else b""

            def asked(how, more=b"", number=number, text=(real + query.rstrip("?")).encode(), body=body):
                return bytes([number | how]) + text + b"\x1e" + more + b"\x1e" + body
            write("rest", method + path.replace("/", "_").replace("{", "").replace("}", ""), b"\x1d".join([asked(7), asked(0), asked(5)]))
    write("rest", "page", b"\x1d".join([b"\0\x1e\x1e", b"\7assets/app.js\x1e\x1e", b"\7\x1eAccept-Encoding: identity\n\x1e", b"\7../etc/passwd\x1e\x1e"]))
    write("rest", "headers", b"\x1d".join(b"\7api/v1/me\x1e" + line + b"\x1e" for line in (
        b"Cookie: a=b; __Host-virtgate=" + b"A" * 43, b"Host: evil.example", b"Origin: null", b"X-Auth-Token: x\nIf-None-Match: *\nRange: bytes=0-1", b"Expect: 100-continue")))


def socket():
    """Messages whole, in parts, with control frames between; and each fault."""
    empty("socket")
    key = b"\4\1\0\0\0\0\0a"

    def frames(*pieces):
        return b"\0" + b"\x1e".join(bytes([first, how]) + data for first, how, data in pieces)
    write("socket", "messages", frames((0x82, 0, key), (0x82, 2, key * 30), (0x82, 4, key), (0x82, 0, b"")))
    write("socket", "parts", frames((0x02, 0, key[:3]), (0x89, 0, b"ping"), (0x00, 2, key[3:5]), (0x8a, 0, b""), (0x80, 0, key[5:]), (0x82, 0, key)))
    write("socket", "by-hand", b"\1" + b"\x1e".join([b"\x82\0RFB 003", b"\x82\2.008\n", b"\x82\0\1", b"\x82\0" + key]))
    for name, first, how, data in (("unmasked", 0x82, 1, key), ("unmasked-ping", 0x89, 1, b"x"), ("compressed", 0xc2, 0, key), ("text", 0x81, 0, b"text"),
                                   ("unknown", 0x83, 0, key), ("long-ping", 0x89, 0, b"x" * 126), ("ping-told-long", 0x89, 4, b"x"), ("parted-ping", 0x09, 0, b"x"),
                                   ("close", 0x88, 0, b"\3\xe8"), ("continued", 0x80, 0, key)):
        write("socket", name, frames((0x82, 0, key), (first, how, data), (0x82, 0, key)))
    write("socket", "message-in-message", frames((0x02, 0, key), (0x82, 0, key), (0x82, 0, key)))
    write("socket", "no-rfb", b"\1" + b"\x1e".join([b"\x82\0RFB 003.003\n", b"\x82\0\1", b"\x82\0" + key]))
    write("socket", "too-early", b"\1\x82\0RFB 003.008\n\1" + key)


def ticket():
    """Given (0), shown as subprotocol (1) and as repeater id (2), time (3), log-out (4)."""
    empty("ticket")
    give, protocols, repeater = lambda how: bytes([0, how]), lambda which, origin, text: bytes([1, which, origin, len(text)]) + text, \
        lambda which, origin, text: bytes([2, which, origin, len(text)]) + text
    write("ticket", "once", give(0) + protocols(0, 0, b"binary, \1\2") * 2 + give(4) + protocols(1, 0, b"\1\2, binary"))
    write("ticket", "elsewhere", give(1) + give(2) + repeater(0, 1, b"\1\2") * 2 + repeater(1, 1, b"\1\2") + repeater(1, 2, b"\1\2") + give(3) + give(9))
    write("ticket", "late", give(0) + bytes([3, 29]) + protocols(0, 0, b"\1\2") + give(0) + bytes([3, 30]) + protocols(1, 0, b"\1\2"))
    write("ticket", "logged-out", give(0) + give(16) + bytes([4, 0]) + protocols(0, 0, b"\1\2") + protocols(1, 0, b"\1\2"))
    write("ticket", "wrong", give(0) + protocols(0, 0, b"\1\2x") + protocols(0, 0, b"\1x") + protocols(0, 0, b"\1\1\2") + repeater(0, 0, b"\2") + repeater(0, 0, b"\1\2\2"))


def main():
    admission()
    browser()
    rest()
    socket()
    ticket()
    empty("rpc")
    empty("xdr")
    chosen = sorted((p for p in packets() if len(p[1]) <= MAX_LEN), key=kinds_first)
    for side, data in chosen[:MAX_FILES]:
        _, program, _, number, kind, _, status = struct.unpack(">IIIiiIi", data[:28])
        write("rpc", "%s-%x-%d-%s-%d" % (side, program, number, TYPES[kind], status), side.encode() + data)
    bodies = [(s, d) for s, d in chosen if len(d) > 32 and struct.unpack(">i", d[16:20])[0] <= 2]
    for side, data in bodies[:MAX_FILES]:
        _, program, _, number, kind, _, status = struct.unpack(">IIIiiIi", data[:28])
        if program in PROGRAMS and status == 0:
            prefix = struct.pack(">BHB", PROGRAMS.index(program), number, kind == 1)
            write("xdr", "%x-%d-%s" % (program, number, TYPES[kind]), prefix + data[28:])


if __name__ == "__main__":
    main()
