"""
Every call of the protocol about the things of oracle_things.py: bodies that tests/integration/bodies makes, mended where libvirt would
not come as far as asking for permission. They may all be sent, and do little where they are allowed: the guests have no disk, sleeping
for 4 seconds is too short for libvirt, and SecludedLibvirtd keeps the rest from the host.
"""
import re
import struct
import subprocess
from collections import namedtuple

from oracle_things import DEVICE, GRANTED, GROUPS, HIDDEN, INTERFACE, INTERFACE_MAC, PLACE, document, uuid_bytes, uuid_of
from rawrpc import string

# about: the name of the thing that the call is about.
Call = namedtuple("Call", "name program number kind flags about body")

# Numbers are 4. Calls in which 0 says more: numbers of events, states, types.
ZERO = re.compile(r"connect_.*_event_(de|)register_any|domain_set_(vcpu|guest_vcpus|lifecycle_action)$|domain_send_key|domain_pm_suspend_for_duration")


def word(value):
    return struct.pack("!I", value)


def parameter(field, kind, value):
    return string(field) + word(kind) + value


INT, UINT, ULLONG, BOOLEAN, TEXT = 1, 2, 4, 6, 7
# One that the call takes.
PARAMETERS = {
    "domain_set_scheduler_parameters": parameter("cpu_shares", ULLONG, bytes(7) + b"\x40"),
    "domain_set_memory_parameters": parameter("hard_limit", ULLONG, bytes(5) + b"\x40" + bytes(2)),
    "domain_set_blkio_parameters": parameter("weight", UINT, word(500)),
    "domain_set_block_io_tune": parameter("total_bytes_sec", ULLONG, bytes(8)),
    "domain_set_numa_parameters": parameter("numa_nodeset", TEXT, string("0")),
    "domain_set_interface_parameters": parameter("inbound.average", UINT, word(1)),
    "domain_set_perf_events": parameter("cmt", BOOLEAN, word(0)),
    "connect_set_identity": parameter("user-name", TEXT, string("root")),
    "domain_block_copy": parameter("bandwidth", ULLONG, bytes(8)),
    "domain_set_launch_security_state": parameter("sev-secret", TEXT, string("x")),
    "domain_migrate_": parameter("destination_name", TEXT, string(GRANTED)),
}

# A document that a libvirtd takes for each that only names its object.
BETTER_DOCUMENTS = {
    "<domain><name>web-1</name></domain>": document("domain", GRANTED),
    "<network><name>web-1</name></network>": document("network", GRANTED),
    "<networkport><uuid>3e3e3e3e-3e3e-3e3e-3e3e-3e3e3e3e3e3e</uuid></networkport>": document("network_port", GRANTED),
    "<pool><name>web-1</name></pool>": document("storage_pool", GRANTED),
    "<volume><name>web-1</name></volume>": document("storage_vol", GRANTED),
    "<secret><usage type='volume'/></secret>": document("secret", GRANTED),
    "<filterbinding><portdev name='web-1'/></filterbinding>": document("nwfilter_binding", GRANTED),
    "<filter name='web-1'/>": document("nwfilter", GRANTED),
    "<domainsnapshot/>": "<domainsnapshot><name>web-1</name></domainsnapshot>",
    "<device><name>web-1</name></device>": "<device><parent>computer</parent><capability type='mdev'><type id='x'/>"
                                           f"<uuid>{uuid_of('domain', GRANTED)}</uuid></capability></device>",
}


def some_parameters(xml, saved):
    """What bodies puts into every list of parameters."""
    return word(3) + parameter("destination_name", TEXT, string(GRANTED)) + parameter("destination_xml", TEXT, string(xml)) + \
        parameter("file", TEXT, string(saved))


def whole_body(name, data):
    """Calls whose body is better written by hand; None for the others."""
    group = re.match(r"(domain|network|network_port|nwfilter|secret|storage_pool)_lookup_by_uuid$", name)
    if group and group[1] != "network_port":
        return uuid_bytes(group[1], GRANTED)
    by_hand = {
        "network_port_lookup_by_uuid": string(GRANTED) + uuid_bytes("network", GRANTED) + uuid_bytes("network_port", GRANTED),
        "storage_vol_lookup_by_key": string(f"{PLACE}/web-1/web-1"),
        "storage_vol_lookup_by_path": string(f"{PLACE}/web-1/web-1"),
        "storage_pool_lookup_by_target_path": string(f"{PLACE}/web-1"),
        "secret_lookup_by_usage": word(1) + string(GRANTED),
        "interface_lookup_by_mac_string": string(INTERFACE_MAC),
        "network_get_dhcp_leases": string(GRANTED) + uuid_bytes("network", GRANTED) + word(0) + word(1) + word(0),
        "node_device_detach_flags": string(DEVICE) + word(0) + word(0),
        "domain_fstrim": string(GRANTED) + uuid_bytes("domain", GRANTED) + b"\xff" * 4 + word(0) + bytes(8) + word(0),
        "domain_fsfreeze": string(GRANTED) + uuid_bytes("domain", GRANTED) + b"\xff" * 4 + word(0) + word(0),
        "domain_fsthaw": string(GRANTED) + uuid_bytes("domain", GRANTED) + b"\xff" * 4 + word(0) + word(0),
    }
    if name in ("domain_set_vcpu", "domain_set_guest_vcpus"):
        return data.replace(word(0xffffffff) + string(GRANTED), word(0xffffffff) + string("0"))
    return by_hand.get(name)


def body_about_web1(name, data, saved):
    # Classes as include/virtgate/permission.h numbers them.
    for number_of_class, group in ((2, "domain"), (4, "network"), (5, "network_port"), (7, "nwfilter"), (9, "secret"), (10, "storage_pool")):
        data = data.replace(bytes([number_of_class]) + b"\x3e" * 15, uuid_bytes(group, GRANTED))
    for old, new in BETTER_DOCUMENTS.items():
        for prefix, parameters in PARAMETERS.items():
            if name.startswith(prefix):
                data = data.replace(some_parameters(old, saved), word(1) + parameters)
        if name in ("domain_save_params", "domain_restore_params"):
            data = data.replace(some_parameters(old, saved), word(1) + parameter("file", TEXT, string(saved)))
        data = data.replace(string(old), string(new))
    if name.startswith("interface_"):
        data = data.replace(string(GRANTED), string(INTERFACE))
    if name.startswith(("node_device_", "connect_node_device_")):
        data = data.replace(string(GRANTED), string(DEVICE))
    return whole_body(name, data) or data


def all_calls(build, saves):
    """Every call of the protocol with the flags that matter, about web-1 and, where it names something, about hid-1. `saves` has saved images."""
    outputs = [subprocess.run([f"{build}/tests/integration/bodies", value, saves], check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
               for value in ("4", "0")]
    calls = []
    for lines in zip(*outputs):
        name = lines[0].split(" ")[2]
        program, code, name, kind, flags, *body = lines[ZERO.match(name) is not None].split(" ")
        data = body_about_web1(name, bytes.fromhex(body[0] if body else ""), f"{saves}/web-1.saved")
        calls.append(Call(name, int(program), int(code), kind, int(flags), GRANTED, data))
        other = data.replace(GRANTED.encode(), HIDDEN.encode())
        for group in GROUPS:
            other = other.replace(uuid_bytes(group, GRANTED), uuid_bytes(group, HIDDEN)).replace(
                uuid_of(group, GRANTED).encode(), uuid_of(group, HIDDEN).encode())
        if other != data:
            calls.append(Call(name, int(program), int(code), kind, int(flags), HIDDEN, other))
    return calls
