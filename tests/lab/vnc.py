"""Viewers: gtk-vnc's gvnccapture, and one in Python that can misbehave."""
import base64
import hashlib
import hmac
import os
import pty
import select
import shutil
import socket
import ssl
import struct
import subprocess
import termios
import time
import zlib

from .process import PATIENCE, LabError, clean_environment, wait_until

X509_NONE, X509_PLAIN, X509_SASL = 260, 262, 263
# The extended clipboard: its encoding, and the bits of its flags.
CLIPBOARD = -1063131698
CLIP_TEXT, CLIP_CAPS, CLIP_REQUEST, CLIP_PEEK, CLIP_NOTIFY, CLIP_PROVIDE = 1, 1 << 24, 1 << 25, 1 << 26, 1 << 27, 1 << 28


class Refused(Exception):
    """The server's SecurityResult says no; the text is its reason."""


class Viewer:
    """
    One connection to a gateway's VNC port. Each step of the handshake is a method, so that a test can leave the path anywhere:
    Viewer(port).start_tls(X509_PLAIN).plain("alice@web-1", "word").init()
    """

    def __init__(self, port, host="127.0.0.1"):
        self.socket = socket.create_connection((host, port), timeout=PATIENCE)
        self.size = None

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, data):
        self.socket.sendall(data)

    def read(self, count):
        data = b""
        while len(data) < count:
            piece = self.socket.recv(count - len(data))
            if not piece:
                raise EOFError(f"the connection ended after {len(data)} of {count} bytes: {data!r}")
            data += piece
        return data

    def ended(self):
        """True when the other end closes, whatever it still says."""
        try:
            while self.socket.recv(65536):
                pass
        except (ConnectionResetError, ssl.SSLError):
            pass
        return True

    def number(self, form="!I"):
        return struct.unpack(form, self.read(struct.calcsize(form)))[0]

    def text(self):
        return self.read(self.number()).decode()

    # ---- handshake ----

    def version(self, version=b"RFB 003.008\n"):
        banner = self.read(12)
        assert banner == b"RFB 003.008\n", banner
        self.send(version)
        return self

    def security_types(self):
        count = self.number("!B")
        if count == 0:
            raise Refused(self.text())
        return list(self.read(count))

    def subtypes(self):
        """The VeNCrypt subtypes offered."""
        assert 19 in self.version().security_types()
        self.send(b"\x13")
        assert self.read(2) == b"\0\2"
        self.send(b"\0\2")
        assert self.read(1) == b"\0"
        count = self.number("!B")
        return list(struct.unpack(f"!{count}I", self.read(4 * count)))

    def start_tls(self, subtype, pki=None, name="localhost", ca=None):
        """`pki`: directory of the client's certificate; `name`: what it takes the server for."""
        self.subtypes()
        self.send(struct.pack("!I", subtype))
        if self.read(1) != b"\1":
            raise Refused("subtype")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.load_verify_locations(ca or f"{pki}/cacert.pem")
        if pki:
            context.load_cert_chain(f"{pki}/clientcert.pem", f"{pki}/clientkey.pem")
        self.socket = context.wrap_socket(self.socket, server_hostname=name)
        return self

    def plain(self, user, password):
        user, password = user.encode(), password.encode()
        self.send(struct.pack("!II", len(user), len(password)) + user + password)
        return self

    def mechanisms(self):
        return self.text().split(",")

    def sasl_start(self, mechanism, data):
        self.send(struct.pack("!I", len(mechanism)) + mechanism.encode())
        return self.sasl_data(data)

    def sasl_data(self, data):
        """Sends one message; returns the answer and whether it was the last."""
        self.send(struct.pack("!I", 0) if data is None else struct.pack("!I", len(data) + 1) + data + b"\0")
        answer = self.read(self.number())
        return answer[:-1], self.number("!B") == 1

    def scram(self, user, password):
        """SCRAM-SHA-256, after mechanisms()."""
        nonce = base64.b64encode(os.urandom(12)).decode()
        bare = f"n={user},r={nonce}"
        answer, complete = self.sasl_start("SCRAM-SHA-256", f"n,,{bare}".encode())
        if complete:
            return self
        first = answer.decode()
        fields = dict(part.split("=", 1) for part in first.split(","))
        salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(fields["s"]), int(fields["i"]))
        key = hmac.digest(salted, b"Client Key", "sha256")
        final = f"c=biws,r={fields['r']}"
        signature = hmac.digest(hashlib.sha256(key).digest(), f"{bare},{first},{final}".encode(), "sha256")
        proof = bytes(a ^ b for a, b in zip(key, signature))
        answer, complete = self.sasl_data(f"{final},p={base64.b64encode(proof).decode()}".encode())
        if not complete:
            answer, complete = self.sasl_data(b"")
        assert complete
        return self

    def result(self):
        if self.number() != 0:
            raise Refused(self.text())
        return self

    def init(self, shared=1):
        """SecurityResult, ClientInit, ServerInit."""
        self.result()
        self.send(bytes([shared]))
        width, height = struct.unpack("!HH", self.read(4))
        self.read(16)
        self.size = (width, height)
        self.name = self.text()
        return self

    # ---- messages ----

    def encodings(self, *numbers):
        self.send(struct.pack("!BxH", 2, len(numbers)) + b"".join(struct.pack("!i", number) for number in numbers))

    def request(self, incremental=0):
        self.send(struct.pack("!BBHHHH", 3, incremental, 0, 0, *self.size))

    def key(self, sym, down):
        self.send(struct.pack("!BBxxI", 4, down, sym))

    def type(self, sym):
        self.key(sym, 1)
        self.key(sym, 0)

    def clipboard(self, flags, payload=b""):
        """An extended ClientCutText."""
        self.send(struct.pack("!BxxxiI", 6, -4 - len(payload), flags) + payload)

    def clipboard_message(self):
        """The next extended ServerCutText: flags and what is behind them. Nothing else may come before it."""
        assert self.number("!B") == 3
        self.read(3)
        length = -self.number("!i")
        assert length >= 4, "text in the old form"
        return self.number(), self.read(length - 4)

    def share_clipboard(self):
        """Both ends say that they have the extended clipboard."""
        self.encodings(0, CLIPBOARD)
        flags, _ = self.clipboard_message()
        assert flags & CLIP_CAPS and flags & CLIP_TEXT
        self.clipboard(CLIP_CAPS | CLIP_REQUEST | CLIP_NOTIFY | CLIP_PROVIDE | CLIP_TEXT, struct.pack("!I", 1 << 20))
        return self

    def wait_text(self):
        """The text that somebody else put onto the clipboard."""
        assert self.clipboard_message() == (CLIP_NOTIFY | CLIP_TEXT, b"")
        self.clipboard(CLIP_REQUEST | CLIP_TEXT)
        return self.given_text()

    def given_text(self):
        flags, payload = self.clipboard_message()
        assert flags == CLIP_PROVIDE | CLIP_TEXT, hex(flags)
        plain = zlib.decompressobj().decompress(payload)
        return plain[4:4 + struct.unpack("!I", plain[:4])[0]].rstrip(b"\0").decode()

    def provide_text(self, text):
        """When it is asked for."""
        assert self.clipboard_message() == (CLIP_REQUEST | CLIP_TEXT, b"")
        stream = zlib.compressobj()     # as noVNC does: flushed, without an end
        data = text.encode() + b"\0"
        self.clipboard(CLIP_PROVIDE | CLIP_TEXT, stream.compress(struct.pack("!I", len(data)) + data) + stream.flush(zlib.Z_FULL_FLUSH))

    def update(self):
        """One FramebufferUpdate in raw encoding: bytes of pixels. Other messages before it are skipped."""
        while True:
            kind = self.number("!B")
            if kind == 0:
                break
            if kind == 3:
                self.read(3)
                self.text()
            elif kind == 1:
                self.read(3)
                self.read(6 * self.number("!H"))
            elif kind != 2:
                raise LabError(f"server message of type {kind}")
        self.read(1)
        pixels = 0
        for _ in range(self.number("!H")):
            _, _, width, height, encoding = struct.unpack("!HHHHi", self.read(12))
            if encoding == 0:
                self.read(4 * width * height)
                pixels += width * height
            elif encoding != -223:
                raise LabError(f"encoding {encoding}")
        return pixels


def have_gvnccapture():
    return shutil.which("gvnccapture") is not None and os.geteuid() == 0


def gvnccapture(port, picture, ca, pki=None, answers=(), seconds=2 * PATIENCE):
    """
    Takes a picture of the screen at localhost:`port`. gtk-vnc looks for certificates below /etc/pki: in a mount namespace of its
    own. `answers` are typed as it asks. Returns what it printed.
    """
    script = "mount -t tmpfs none /etc/pki; mkdir -p /etc/pki/CA; cp \"$1\" /etc/pki/CA/cacert.pem; if [ -n \"$2\" ]; then " \
             "mkdir -p /etc/pki/gvnccapture/private; cp \"$2/clientcert.pem\" /etc/pki/gvnccapture/; " \
             "cp \"$2/clientkey.pem\" /etc/pki/gvnccapture/private/; fi; shift 2; exec \"$@\""
    command = ["unshare", "-m", "--propagation", "private", "sh", "-ec", "mkdir -p /etc/pki; " + script, "sh", ca, pki or "",
               "gvnccapture", f"localhost:{port - 5900}", picture]
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvpe(command[0], command, clean_environment(HOME="/nonexistent"))
    printed, left, deadline = b"", list(answers), time.monotonic() + seconds
    try:
        while time.monotonic() < deadline:
            if not select.select([terminal], [], [], 0.2)[0]:
                continue
            try:
                piece = os.read(terminal, 4096)
            except OSError:
                break
            if not piece:
                break
            printed += piece
            if left and printed.rstrip().endswith(b":"):
                if b"assword" in printed:   # what is typed before the terminal hides it is thrown away
                    wait_until(lambda: not termios.tcgetattr(terminal)[3] & termios.ECHO, "gvnccapture to hide the password")
                os.write(terminal, left.pop(0).encode() + b"\n")
        else:
            os.kill(pid, 9)
    finally:
        os.close(terminal)
        os.waitpid(pid, 0)
    return printed.decode(errors="replace")


def have_virt_viewer():
    return shutil.which("virt-viewer") is not None and shutil.which("xvfb-run") is not None and os.geteuid() == 0


def start_virt_viewer(uri, guest, pki, log):
    """
    virt-viewer on a screen of its own, with libvirt's and gtk-vnc's certificates where both look for them: /etc/pki, in a mount
    namespace of its own. A process group of its own too, which end_group() ends: children of graphical programs outlive them.
    """
    script = "mkdir -p /etc/pki; mount -t tmpfs none /etc/pki; mkdir -p /etc/pki/CA /etc/pki/libvirt/private; " \
             "cp \"$1/cacert.pem\" /etc/pki/CA/; cp \"$1/clientcert.pem\" /etc/pki/libvirt/; " \
             "cp \"$1/clientkey.pem\" /etc/pki/libvirt/private/; shift; exec \"$@\""
    home = os.path.dirname(log)
    with open(log, "wb") as output:
        return subprocess.Popen(["unshare", "-m", "--propagation", "private", "sh", "-ec", script, "sh", pki, "xvfb-run", "-a",
                                 "virt-viewer", "--direct", "--debug", "-c", uri, guest], stdin=subprocess.DEVNULL, stdout=output,
                                stderr=output, start_new_session=True,
                                env=clean_environment(HOME=home, XDG_RUNTIME_DIR=home, NO_AT_BRIDGE="1", GTK_A11Y="none"))


def end_group(process):
    try:
        os.killpg(process.pid, 9)
    except ProcessLookupError:
        pass
    process.wait()
