"""HTTP/2 (RFC 9113) frame by frame, as wrong as one likes."""
import socket
import ssl
import struct

from .process import PATIENCE

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED, WITH_PRIORITY = 1, 1, 4, 8, 32
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack("!I", len(payload))[1:] + bytes([kind, flags]) + struct.pack("!I", stream) + payload


def settings(*pairs):
    return frame(SETTINGS, payload=b"".join(struct.pack("!HI", *pair) for pair in pairs))


def literal(name, value, index=False):
    """A header field (RFC 7541, 6.2), its name and value in the clear; index: the other end is to remember it."""
    def text(data):
        data = data.encode()
        return bytes([len(data)]) + data if len(data) < 127 else b"\x7f" + number(len(data) - 127) + data

    def number(rest):
        out = b""
        while rest >= 128:
            out, rest = out + bytes([rest & 127 | 128]), rest >> 7
        return out + bytes([rest])
    return (b"\x40" if index else b"\0") + text(name) + text(value)


class Connection:
    def __init__(self, browser):
        self.browser = browser
        context = ssl.create_default_context(cafile=browser.gateway.authority.ca_cert)
        context.set_alpn_protocols(["h2"])
        self.socket = context.wrap_socket(socket.create_connection(("127.0.0.1", browser.port), timeout=PATIENCE), server_hostname=browser.host)
        assert self.socket.selected_alpn_protocol() == "h2"
        self.data = b""

    def begin(self, *pairs):
        self.socket.sendall(PREFACE + settings(*pairs))
        return self

    def request(self, path="/api/v1/me", method="GET", more=()):
        """The header block of a request."""
        fields = [(":method", method), (":scheme", "https"), (":authority", f"{self.browser.host}:{self.browser.port}"), (":path", path), *more]
        return b"".join(literal(*field) for field in fields)

    def frames(self, seconds=PATIENCE):
        """Those that come until the other end closes (then None is the last) or is silent for so long."""
        self.socket.settimeout(seconds)
        try:
            while True:
                while len(self.data) < 9 or len(self.data) < 9 + int.from_bytes(self.data[:3], "big"):
                    piece = self.socket.recv(65536)
                    if not piece:
                        yield None
                        return
                    self.data += piece
                size = int.from_bytes(self.data[:3], "big")
                kind, flags, stream = self.data[3], self.data[4], int.from_bytes(self.data[5:9], "big")
                payload, self.data = self.data[9:9 + size], self.data[9 + size:]
                yield kind, flags, stream, payload
        except TimeoutError:
            return
        except (ConnectionError, ssl.SSLError):
            yield None

    def close(self):
        self.socket.close()
