"""The kernel's audit system, of which there is one: who switches it on has it for himself until he is done."""
import contextlib
import fcntl
import os
import socket
import struct
import tempfile
import time


def audit_enabled(value=None):
    """What the kernel's audit is, 0 or 1, after setting it. OSError where it may not be asked."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 9) as link:
        link.settimeout(60)
        if value is not None:       # AUDIT_SET of struct audit_status: mask AUDIT_STATUS_ENABLED
            body = struct.pack("=10I", 1, value, *[0] * 8)
            link.send(struct.pack("=IHHII", 16 + len(body), 1001, 5, 1, 0) + body)
            if struct.unpack("=i", link.recv(8192)[16:20])[0] != 0:
                raise OSError("audit cannot be set")
        link.send(struct.pack("=IHHII", 16, 1000, 1, 2, 0))
        while True:
            answer = link.recv(8192)
            if struct.unpack("=H", answer[4:6])[0] == 1000:
                return struct.unpack("=2I", answer[16:24])[1]


class KernelAudit:
    def __init__(self, link):
        self.link = link

    def messages(self, seconds):
        """(type, text) of what comes within that time; the caller stops when he has enough."""
        end = time.monotonic() + seconds
        self.link.settimeout(0.2)
        while time.monotonic() < end:
            try:
                data = self.link.recv(65536)
            except TimeoutError:
                continue
            yield struct.unpack("=H", data[4:6])[0], data[16:].decode("ascii", "replace")


@contextlib.contextmanager
def kernel_audit():
    """Switched on, with all messages from now on. OSError where it is not ours to switch."""
    with open(os.path.join(tempfile.gettempdir(), "virtgate-tests-audit.lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        was = audit_enabled()
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 9) as link:
            link.bind((0, 1))       # AUDIT_NLGRP_READLOG
            link.setsockopt(socket.SOL_SOCKET, 33, 4 << 20)     # SO_RCVBUFFORCE
            audit_enabled(1)
            try:
                yield KernelAudit(link)
            finally:
                audit_enabled(was)
