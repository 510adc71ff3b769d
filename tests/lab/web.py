"""A browser without a screen: requests, event streams and WebSockets, each of which can be made wrong."""
import base64
import http.client
import json
import os
import socket
import ssl
import struct

from .process import PATIENCE, LabError


def cost(gateway, room="web"):
    """CPU seconds and resident KiB of one of its processes."""
    pid, = gateway.children(room)
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        pages = int(file.read().split()[1])
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"), pages * os.sysconf("SC_PAGE_SIZE") // 1024


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"{self.status} {self.body[:300]!r}"


class Browser:
    """
    One person's: browser = Browser(gateway).login("alice", "word"); browser.get("/guests"). With `pki` it shows the certificate in that
    directory, and it comes from `address`. What a page of the server itself would send (Origin, token) is sent; headers=... puts others in their place, None none.
    """

    def __init__(self, gateway, pki=None, host="localhost", address="127.0.0.1"):
        self.gateway, self.host, self.port, self.address = gateway, host, gateway.ports["web"], address
        self.context = ssl.create_default_context(cafile=gateway.authority.ca_cert)
        if pki:
            self.context.load_cert_chain(f"{pki}/clientcert.pem", f"{pki}/clientkey.pem")
        self.cookie = self.token = self.me = None

    @property
    def origin(self):
        return f"https://{self.host}:{self.port}"

    def headers(self, more=None):
        headers = {"Host": f"{self.host}:{self.port}", "Origin": self.origin}
        if self.cookie:
            headers["Cookie"] = self.cookie
        if self.token:
            headers["X-Auth-Token"] = self.token
        headers.update(more or {})
        return {name: value for name, value in headers.items() if value is not None}

    def connect(self):
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE, source_address=(self.address, 0))
        return self.context.wrap_socket(plain, server_hostname=self.host)

    def ask(self, method, path, body=None, headers=None):
        """`path` below /api/v1, unless it begins with two slashes: then one of them."""
        path = path[1:] if path.startswith("//") else "/api/v1" + path
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=self.context, timeout=PATIENCE)
        connection.sock = self.connect()
        try:
            data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
            connection.request(method, path, body=data, headers=self.headers(headers))
            answer = connection.getresponse()
            return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def get(self, path, **more):
        return self.ask("GET", path, **more)

    def post(self, path, body=None, **more):
        return self.ask("POST", path, {} if body is None else body, **more)

    def delete(self, path, **more):
        return self.ask("DELETE", path, **more)

    def try_login(self, user=None, password=None):
        answer = self.post("/login", {} if user is None else {"user": user, "password": password})
        if answer.status == 200:
            self.cookie = answer.headers["set-cookie"].split(";")[0]
            self.me = answer.json
            self.token = self.me["csrf"]
        return answer

    def login(self, user=None, password=None):
        answer = self.try_login(user, password)
        assert answer.status == 200, answer
        return self

    def guests(self):
        answer = self.get("/guests")
        assert answer.status == 200, answer
        return {guest["name"]: guest for guest in answer.json["guests"]}

    def events(self):
        return Events(self)

    def try_events(self):
        """None: it was refused."""
        try:
            return self.events()
        except LabError:
            return None

    def console(self, uuid, mode="input"):
        ticket = self.post(f"/guests/{uuid}/console", {"mode": mode})
        assert ticket.status == 200, ticket
        return self.show_ticket(ticket.json)

    def show_ticket(self, given):
        return WebSocket(self, given["path"], ["binary", f"ticket.{given['ticket']}"])


class Events:
    """A stream of events: next() is (name, data)."""

    def __init__(self, browser):
        self.connection = http.client.HTTPSConnection("127.0.0.1", browser.port, context=browser.context, timeout=PATIENCE)
        self.connection.sock = browser.connect()
        self.connection.request("GET", "/api/v1/events", headers=browser.headers())
        self.answer = self.connection.getresponse()
        if self.answer.status != 200:
            raise LabError(f"no events: {self.answer.status} {self.answer.read()!r}")

    def __iter__(self):
        return self

    def __next__(self):
        name = None
        while True:
            line = self.answer.fp.readline().decode().rstrip("\n")
            if line.startswith("event: "):
                name = line[7:]
            elif line.startswith("data: "):
                return name, json.loads(line[6:])
            elif line == "" and self.answer.fp.closed:
                raise StopIteration

    def close(self):
        self.answer.close()     # it holds the socket
        self.connection.close()


class Closed(Exception):
    """The other end closed the socket: its code and reason."""

    def __init__(self, code, reason):
        super().__init__(f"{code} {reason}")
        self.code, self.reason = code, reason


class WebSocket:
    """RFC 6455, HTTP/1.1. read(n) as of a stream of binary messages."""

    def __init__(self, browser, path, protocols, headers=None):
        self.socket = browser.connect()
        self.data = b""
        sent = {"Host": f"{browser.host}:{browser.port}", "Origin": browser.origin, "Upgrade": "websocket", "Connection": "Upgrade",
                "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(), "Sec-WebSocket-Version": "13",
                "Sec-WebSocket-Protocol": ", ".join(protocols), **(headers or {})}
        self.socket.sendall((f"GET {path} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in sent.items() if v is not None) + "\r\n").encode())
        head = b""
        while b"\r\n\r\n" not in head:
            piece = self.socket.recv(1)
            if not piece:
                raise LabError(f"no upgrade: {head!r}")
            head += piece
        self.head = head.decode()
        if not self.head.startswith("HTTP/1.1 101"):
            raise LabError(f"no upgrade: {self.head.splitlines()[0]}")

    def close(self):
        self.socket.close()

    def frame(self, data, opcode=2, fin=True, masked=True, length=None, reserved=0):
        """One frame, as wrong as one likes."""
        size = len(data) if length is None else length
        head = bytes([(0x80 if fin else 0) | reserved << 4 | opcode])
        bit = 0x80 if masked else 0
        head += bytes([bit | size]) if size < 126 else bytes([bit | 126]) + struct.pack("!H", size) if size < 65536 else bytes([bit | 127]) + struct.pack("!Q", size)
        mask = os.urandom(4) if masked else b""
        self.socket.sendall(head + mask + (bytes(byte ^ mask[i % 4] for i, byte in enumerate(data)) if masked else data))

    def send(self, data):
        self.frame(data)

    def _exact(self, count):
        data = b""
        while len(data) < count:
            piece = self.socket.recv(count - len(data))
            if not piece:
                raise Closed(1006, "")
            data += piece
        return data

    def message(self):
        while True:
            first, second = self._exact(2)
            size = second & 127
            if size == 126:
                size, = struct.unpack("!H", self._exact(2))
            elif size == 127:
                size, = struct.unpack("!Q", self._exact(8))
            data = self._exact(size)
            if first & 15 == 8:
                raise Closed(struct.unpack("!H", data[:2])[0] if data else 1005, data[2:].decode())
            if first & 15 == 9:
                self.frame(data, opcode=10)
            elif first & 15 in (0, 1, 2):
                return data

    def read(self, count):
        while len(self.data) < count:
            self.data += self.message()
        data, self.data = self.data[:count], self.data[count:]
        return data

    def closed(self):
        """Waits for the end: (code, reason)."""
        try:
            while True:
                self.message()
        except Closed as end:
            return end.code, end.reason

    # ---- RFB ----

    def show(self, ticket):
        """In the way of a VNC repeater, as noVNC's own page does."""
        assert self.read(12) == b"RFB 000.000\n"
        self.send(f"ID:{ticket}".encode().ljust(250, b"\0"))
        return self

    def open(self, shared=True):
        """Up to ServerInit: (width, height, name)."""
        assert self.read(12) == b"RFB 003.008\n"
        self.send(b"RFB 003.008\n")
        assert self.read(2) == b"\1\1"
        self.send(b"\1")
        if self.read(4) != b"\0\0\0\0":
            raise LabError(self.read(struct.unpack("!I", self.read(4))[0]).decode())
        self.send(bytes([shared]))
        width, height = struct.unpack("!HH", self.read(4))
        self.read(16)
        return width, height, self.read(struct.unpack("!I", self.read(4))[0]).decode()
