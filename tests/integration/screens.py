"""What the tests of guests' screens share: a guest that says on its serial port what is typed, and who may see it."""
import socket

import pytest

from lab.libvirtd import have_qemu
from lab.process import wait_until

GUEST, GUEST_UUID = "web-k", "11111111-0000-4000-8000-0000000000ee"
PASSWORDS = {"alice": "alice's word", "bob": "bob's word", "carol": "carol's word"}

# Boot sector: prints KEYS-READY on the serial port, then each scan code that the keyboard gives.
KEYS_SECTOR = bytes.fromhex(
    "fa 31c0 8ed8 be307c"       # cli; ds = 0; si = text
    "ac 84c0 7405 e80f00 ebf6"  # next: lodsb; test al, al; jz keys; call send; jmp next
    "e464 a801 74fa e460 e80200 ebf3"   # keys: wait for port 0x64 bit 0; in al, 0x60; call send; jmp keys
    "88c4 bafd03 ec a820 74fb"  # send: mov ah, al; wait for the transmitter
    "88e0 baf803 ee c3"         # out 0x3f8, al; ret
) + b"KEYS-READY\r\n\0"


def said(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return b""


def with_consoles(policy):
    """carol may look at the screens of web-*; bob sees everything and may open no screen."""
    policy = {**policy, "groups": dict(policy["groups"]), "bindings": list(policy["bindings"])}
    policy["groups"]["watchers"] = ["x509-cn:carol", "sasl:carol", f"sasl:carol@{socket.gethostname()}"]
    policy["bindings"].append({"id": "watchers", "who": ["group:watchers"], "role": "console-viewer", "on": ["domain:web-*"]})
    return policy


def with_copying(policy):
    """alice and hers may also have the text on the clipboards of web-*."""
    return {**policy, "roles": {"copier": {"allow": ["domain:copy_graphics"]}}, "bindings": [
        *policy["bindings"], {"id": "copiers", "who": ["group:webops"], "role": "copier", "on": ["set:web"]}]}


def keys_guest(libvirtd, scratch):
    """Runs the guest web-k; yields the path of a file with what it says on its serial port."""
    if not have_qemu():
        pytest.skip("there is no QEMU here")
    disk, output = f"{libvirtd.dir}/keys.img", f"{libvirtd.dir}/keys.serial"
    with open(disk, "wb") as file:
        file.write((KEYS_SECTOR.ljust(510, b"\0") + b"\x55\xaa").ljust(1 << 20, b"\0"))
    xml = libvirtd.guest_xml(GUEST, GUEST_UUID).replace(f"{libvirtd.dir}/{GUEST}.img", disk)
    xml = xml.replace("<serial type='pty'>", f"<serial type='file'><source path='{output}'/>").replace(
        "<console type='pty'><target type='serial' port='0'/></console>", "")
    libvirtd.virsh("define", scratch.write("keys.xml", xml), uri=libvirtd.qemu_uri)
    libvirtd.virsh("start", GUEST, uri=libvirtd.qemu_uri)
    wait_until(lambda: b"KEYS-READY" in said(output), "the guest to boot", 60)
    yield output
    libvirtd.virsh("destroy", GUEST, uri=libvirtd.qemu_uri, check=False)
    libvirtd.virsh("undefine", GUEST, uri=libvirtd.qemu_uri, check=False)
