"""What the attack tests share: calls built from libvirt's own table of arguments, tenants, and objects to attack."""
import json
import os
import struct

from lab.process import PYTHON, clean_environment, run
from rawrpc import ERROR, EVENT, OK, QEMU, REMOTE, RawClient, domain, optional_string, string

TOP = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
NOT_PERMITTED, UNKNOWN_PROCEDURE = 88, 39
MISSING = {42, 43, 49, 50, 53, 57, 62, 66, 101, 107}
SECURE = 1

# alice may do everything to web-* that a tenant may, short of secrets and monitor; bob sees everything; carol operates web-*;
# mallory sees only web-1; the objects called hr-* are nobody's but admin's.
WEB = [f"{kind}:web-*" for kind in ("domain", "network", "storage_pool", "secret", "interface", "node_device", "nwfilter",
                                    "nwfilter_binding")]
TENANTS = {"version": 1, "bindings": [
    {"id": "admins", "who": ["x509-cn:admin"], "role": "admin", "on": ["*"]},
    {"id": "tenant", "who": ["x509-cn:alice"], "role": "vm-admin", "on": WEB},
    {"id": "viewers", "who": ["x509-cn:bob"], "role": "viewer", "on": ["*"]},
    {"id": "operators", "who": ["x509-cn:carol"], "role": "operator", "on": WEB},
    {"id": "one", "who": ["x509-cn:mallory"], "role": "viewer", "on": ["domain:web-1"]},
]}


def _table():
    with open(f"{TOP}/tests/data/libvirt-protocol.jsonl", encoding="utf-8") as lines:
        for line in lines:
            key, row = json.loads(line)
            program, _, number = key.partition(" ")
            if number.isdigit() and "args" in row:
                yield {"REMOTE": REMOTE, "QEMU": QEMU}.get(program), int(number), row


PROCEDURES = {row["name"]: (program, number, row) for program, number, row in _table() if program is not None}
EVENTS = {(program, number): name for name, (program, number, row) in PROCEDURES.items() if row["msg"]}


# ---- arguments ----

def raw_uuid(text):
    return bytes.fromhex(text.replace("-", ""))


def typed_params(params):
    """A list of (name, value): int is an INT, str a STRING, a tuple (type, bytes) is as it says."""
    out = struct.pack("!I", len(params))
    for name, value in params:
        if isinstance(value, tuple):
            out += string(name) + struct.pack("!I", value[0]) + value[1]
        elif isinstance(value, str):
            out += string(name) + struct.pack("!I", 7) + string(value)
        else:
            out += string(name) + struct.pack("!Ii", 1, value)
    return out


OBJECTS = {     # what the fields of a tuple are
    "nonnull_domain": lambda name, uuid, number=-1: domain(name, uuid, number),
    "nonnull_network": lambda name, uuid: string(name) + raw_uuid(uuid),
    "nonnull_storage_pool": lambda name, uuid: string(name) + raw_uuid(uuid),
    "nonnull_nwfilter": lambda name, uuid: string(name) + raw_uuid(uuid),
    "nonnull_storage_vol": lambda pool, name, key: string(pool) + string(name) + string(key),
    "nonnull_secret": lambda uuid, kind=0, usage="": raw_uuid(uuid) + struct.pack("!i", kind) + string(usage),
    "nonnull_interface": lambda name, mac: string(name) + string(mac),
    "nonnull_node_device": string,
    "nonnull_nwfilter_binding": lambda port, name: string(port) + string(name),
    "nonnull_domain_snapshot": lambda name, of: string(name) + domain(*of),
    "nonnull_domain_checkpoint": lambda name, of: string(name) + domain(*of),
}
NUMBERS = {"int32": "!i", "uint32": "!I", "int64": "!q", "uint64": "!Q", "count": "!i", "ucount": "!I", "uchar": "!I", "char": "!i", "ushort": "!I",
           "short": "!i"}


def encode_value(kind, value):
    if kind in NUMBERS:
        return struct.pack(NUMBERS[kind], value or 0)
    if kind == "uuid":
        return raw_uuid(value or "00" * 16)
    if kind == "nonnull_string":
        return string(value or "")
    if kind in OBJECTS:
        return OBJECTS[kind](*([value] if isinstance(value, str) else value))
    if kind == "typed_param":
        return typed_params([value])[4:]
    raise NotImplementedError(kind)


def arguments(call, **values):
    """The body of a call; what is not named is 0, empty or absent. `bytes` are taken as they are (but for opaque data)."""
    fields = PROCEDURES[call][2]["args"]
    unknown = set(values) - {field[1] for field in fields}
    assert not unknown, f"{call} has no argument {unknown}"
    out = b""
    for form, field, kind, *_ in fields:
        value = values.get(field)
        if form == "B":
            value = value or b""
            out += struct.pack("!I", len(value)) + value + b"\0" * (-len(value) % 4)
        elif isinstance(value, bytes):
            out += value
        elif form == "F":
            out += encode_value(kind, value)
        elif form == "O":
            out += struct.pack("!I", 0) if value is None else struct.pack("!I", 1) + encode_value(kind, value)
        elif kind == "typed_param":
            out += typed_params(value or [])
        else:
            items = value or []
            out += struct.pack("!I", len(items)) + b"".join(encode_value(kind, item) for item in items)
    return out


class Attacker(RawClient):
    """A raw client that knows the calls by name."""

    def do(self, call, **values):
        program, number, _ = PROCEDURES[call]
        return self.call(number, arguments(call, **values), program=program)

    def refused(self, call, **values):
        """The error of a call that must not be carried out: not permitted, missing, or never passed on."""
        reply = self.do(call, **values)
        assert reply.status == ERROR and reply.code in MISSING | {NOT_PERMITTED, UNKNOWN_PROCEDURE}, f"{call}: {reply!r}"
        return reply


def attacker(gateway, user, uri, flags=0):
    client = Attacker.tls(gateway.ports["tls"], f"{gateway.authority.clients}/{user}")
    reply = client.open(uri, flags)
    assert reply.status == OK, reply
    return client


def directly(libvirtd, code, *more, uri=None):
    """Runs a snippet on libvirtd itself; `c` is the connection."""
    text = "import json, sys, libvirt\nlibvirt.registerErrorHandler(lambda _, error: None, None)\nc = libvirt.open(sys.argv[1])\n" + code
    return run([PYTHON, "-c", text, libvirtd.direct(uri or libvirtd.test_uri), *more], environment=clean_environment(), seconds=120).stdout


# ---- objects of the test driver, one of each for alice (web-net, …) and one that she may not know of (hr-net, …) ----

MAKE = """
out = {}
for who, octet in (("web", 81), ("hr", 82)):
    net = c.networkDefineXML(f"<network><name>{who}-net</name><bridge name='virbr{octet}'/><ip address='10.{octet}.0.1' netmask='255.255.255.0'/></network>")
    pool = c.storagePoolDefineXML(f"<pool type='dir'><name>{who}-pool</name><target><path>/{who}-pool</path></target></pool>")
    pool.create()
    vol = pool.createXML(f"<volume><name>{who}-vol</name><capacity>1048576</capacity></volume>")
    c.interfaceDefineXML(f"<interface type='ethernet' name='{who}-if'><start mode='none'/><mac address='52:54:00:00:{octet}:01'/></interface>")
    out[who] = {"net": net.UUIDString(), "pool": pool.UUIDString(), "key": vol.key()}
print(json.dumps(out))
"""
REMOVE = """
for who in ("web", "hr"):
    c.interfaceLookupByName(f"{who}-if").undefine()
    pool = c.storagePoolLookupByName(f"{who}-pool")
    pool.storageVolLookupByName(f"{who}-vol").delete()
    net = c.networkLookupByName(f"{who}-net")
    for thing in (pool, net):
        if thing.isActive():
            thing.destroy()
        thing.undefine()
"""


def make_objects(libvirtd):
    return json.loads(directly(libvirtd, MAKE))


def remove_objects(libvirtd):
    directly(libvirtd, REMOVE)


__all__ = ["Attacker", "ERROR", "EVENT", "EVENTS", "MISSING", "NOT_PERMITTED", "OK", "OBJECTS", "PROCEDURES", "QEMU", "REMOTE", "TENANTS",
           "UNKNOWN_PROCEDURE", "arguments", "attacker", "directly", "domain", "make_objects", "optional_string", "raw_uuid", "remove_objects",
           "string", "typed_params"]
