"""A client of libvirt's RPC that says exactly the bytes it is told to, for tests that break the rules.

    with RawClient.tls(port, pkipath) as client:
        client.open("test:///default")
        reply = client.call(CONNECT_GET_LIB_VERSION)
"""
import socket
import ssl
import struct

from lab.process import PATIENCE

REMOTE, QEMU, LXC = 0x20008086, 0x20008087, 0x00068000
KEEPALIVE, ADMIN, LOCK, LOG = 0x6B656570, 0x06900690, 0x0EA7BEEF, 0x87539319

CALL, REPLY, EVENT, STREAM, CALL_WITH_FDS, REPLY_WITH_FDS, STREAM_HOLE = range(7)
OK, ERROR, CONTINUE = range(3)

CONNECT_OPEN, CONNECT_CLOSE, DOMAIN_CREATE = 1, 2, 9
DOMAIN_LOOKUP_BY_NAME, DOMAIN_LOOKUP_BY_UUID = 23, 24
CONNECT_NUM_OF_DOMAINS = 51
CONNECT_SUPPORTS_FEATURE = 60
AUTH_LIST, AUTH_SASL_INIT, AUTH_SASL_START, AUTH_SASL_STEP = 66, 67, 68, 69
AUTH_POLKIT = 70
CONNECT_GET_LIB_VERSION = 157
DOMAIN_GET_STATE = 212
CONNECT_LIST_ALL_DOMAINS = 273
CONNECT_SET_IDENTITY = 419

HEADER = struct.Struct("!IIIiiIi")
LARGEST = 33554436


def string(text):
    data = text.encode()
    return struct.pack("!I", len(data)) + data + b"\0" * (-len(data) % 4)


def optional_string(text):
    return struct.pack("!I", 0) if text is None else struct.pack("!I", 1) + string(text)


def domain(name, uuid, number=-1):
    return string(name) + bytes.fromhex(uuid.replace("-", "")) + struct.pack("!i", number)


class Message:
    """One message from the server; for error replies `code` and `text` are set."""

    def __init__(self, data):
        (self.length, self.program, self.version, self.procedure, self.type, self.serial, self.status) = HEADER.unpack(data[:28])
        self.body = data[28:]
        self.code, self.text = 0, ""
        if self.status == ERROR and len(self.body) >= 12:
            self.code, _, present = struct.unpack("!iII", self.body[:12])
            if present:
                length, = struct.unpack("!I", self.body[12:16])
                self.text = self.body[16:16 + length].decode()

    def __repr__(self):
        return f"Message(procedure={self.procedure} type={self.type} serial={self.serial} status={self.status} " \
               f"code={self.code} {self.text!r})"


class RawClient:
    def __init__(self, stream, seconds=PATIENCE):
        self.stream = stream
        self.stream.settimeout(seconds)
        self.serial = 0

    @classmethod
    def tls(cls, port, pkipath, greet=True, version=None, seconds=PATIENCE):
        """A mutual TLS connection; with `greet` the server's byte 1 has been taken."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(f"{pkipath}/cacert.pem")
        context.load_cert_chain(f"{pkipath}/clientcert.pem", f"{pkipath}/clientkey.pem")
        if version is not None:
            context.minimum_version = context.maximum_version = version
        plain = socket.create_connection(("127.0.0.1", port), timeout=seconds)
        client = cls(context.wrap_socket(plain, server_hostname="localhost"), seconds)
        if greet:
            byte = client.stream.recv(1)
            if byte != b"\1":
                raise ConnectionError(f"instead of the byte 1 after the handshake came {byte!r}")
        return client

    @classmethod
    def tcp(cls, port, seconds=PATIENCE):
        return cls(socket.create_connection(("127.0.0.1", port), timeout=seconds), seconds)

    @classmethod
    def unix(cls, path, seconds=PATIENCE):
        stream = socket.socket(socket.AF_UNIX)
        stream.connect(path)
        return cls(stream, seconds)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.stream.close()

    # ---- sending ----

    def send_bytes(self, data):
        self.stream.sendall(data)

    def send(self, procedure, body=b"", program=REMOTE, version=1, kind=CALL, serial=None, status=OK, length=None):
        """Any message; what is left out is as a well-behaved client would have it. Returns the serial."""
        if serial is None:
            self.serial += 1
            serial = self.serial
        size = 28 + len(body) if length is None else length
        self.send_bytes(HEADER.pack(size, program, version, procedure, kind, serial, status) + body)
        return serial

    def ping(self):
        self.send(1, program=KEEPALIVE, kind=EVENT, serial=0)

    # ---- receiving ----

    def receive_bytes(self, count):
        data = b""
        while len(data) < count:
            more = self.stream.recv(count - len(data))
            if not more:
                raise EOFError(f"closed after {len(data)} of {count} bytes")
            data += more
        return data

    def receive(self):
        """The next message, whatever it is. EOFError when the server has closed."""
        try:
            length, = struct.unpack("!I", self.receive_bytes(4))
            return Message(struct.pack("!I", length) + self.receive_bytes(length - 4))
        except (ConnectionResetError, BrokenPipeError, ssl.SSLError) as error:
            if isinstance(error, TimeoutError):
                raise
            raise EOFError(str(error)) from error

    def reply_to(self, serial):
        """The reply with that serial; keepalives and events on the way are skipped (pings are answered)."""
        while True:
            message = self.receive()
            if message.program == KEEPALIVE:
                if message.procedure == 1:
                    self.send(2, program=KEEPALIVE, kind=EVENT, serial=0)
                continue
            if message.type in (REPLY, REPLY_WITH_FDS) and message.serial == serial:
                return message

    def call(self, procedure, body=b"", **header):
        return self.reply_to(self.send(procedure, body, **header))

    def closed(self):
        """True when the server closes without another reply to a call; a message is an answer of False."""
        try:
            while True:
                if self.receive().program != KEEPALIVE:
                    return False
        except EOFError:
            return True

    # ---- what most tests begin with ----

    def open(self, uri, flags=0):
        """AUTH_LIST and CONNECT_OPEN as libvirt's client does; returns the reply to the latter."""
        reply = self.call(AUTH_LIST)
        if reply.status != OK:
            return reply
        return self.call(CONNECT_OPEN, optional_string(uri) + struct.pack("!I", flags))
