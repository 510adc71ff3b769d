"""Every call of the protocol, by people whose roles only look, against libvirt's drivers: nothing may change (I30)."""
import json
import struct
import subprocess

import pytest

from lab.libvirtd import Libvirtd, have_qemu
from lab.process import PYTHON, clean_environment, run
from rawrpc import LXC, OK, QEMU, RawClient, domain, string

NAME = "web-1"
SEEING = {"version": 1, "bindings": [
    {"id": "viewers", "who": ["x509-cn:bob"], "role": "viewer", "on": ["*"]},
    {"id": "auditors", "who": ["x509-cn:carol"], "role": "auditor", "on": ["*"]},
    # Bridged to the socket that can write: only the gate stands between him and a change.
    {"id": "screens", "who": ["x509-cn:alice"], "role": "console-viewer", "on": ["*"]},
    {"id": "tenants", "who": ["x509-cn:mallory"], "role": "viewer", "on": ["domain:web-*"]},
]}
# After these the gateway hangs up, as it should.
HANGS_UP = {"connect_close", "auth_sasl_init", "auth_sasl_start", "auth_sasl_step", "auth_polkit"}
NOT_PERMITTED, UNKNOWN_PROCEDURE = 88, 39
MISSING = {42, 43, 49, 50, 53, 57, 62, 66, 101, 107}
# Classes as include/virtgate/permission.h numbers them: the first byte of a UUID that bodies prints.
DOMAIN, NETWORK, NWFILTER, SECRET, POOL = 2, 4, 7, 9, 10
QEMU_DOMAIN_UUID = "11111111-0000-4000-8000-0000000000cc"

# What there is besides the seeded domains, and everything that a call could change, as one JSON document.
MAKE = """
import sys, libvirt
c = libvirt.open(sys.argv[1])
net = c.networkDefineXML("<network><name>web-1</name><bridge name='virbr77'/><ip address='10.77.0.1' netmask='255.255.255.0'/></network>")
net.create()
pool = c.storagePoolDefineXML("<pool type='dir'><name>web-1</name><target><path>/web-1</path></target></pool>")
pool.create()
pool.createXML("<volume><name>web-1</name><capacity>1048576</capacity></volume>")
c.interfaceDefineXML("<interface type='ethernet' name='web-1'><start mode='none'/><mac address='52:54:00:00:00:01'/><mtu size='1492'/></interface>")
domain = c.lookupByName("web-1")
domain.snapshotCreateXML("<domainsnapshot><name>web-1</name></domainsnapshot>")
print(net.UUIDString(), pool.UUIDString())
"""
REMOVE = """
import sys, libvirt
c = libvirt.open(sys.argv[1])
for snapshot in c.lookupByName("web-1").listAllSnapshots(): snapshot.delete()
c.interfaceLookupByName("web-1").undefine()
pool = c.storagePoolLookupByName("web-1")
pool.storageVolLookupByName("web-1").delete()
for thing in (pool, c.networkLookupByName("web-1")): thing.destroy(); thing.undefine()
"""
# The same for the drivers of a real host; nothing is started. What a build of libvirt lacks gets a UUID of nothing.
MAKE_QEMU = """
import sys, libvirt
libvirt.registerErrorHandler(lambda _, error: None, None)
c = libvirt.open(sys.argv[1])
def uuid(function, *arguments):
    try:
        return function(*arguments).UUIDString()
    except libvirt.libvirtError:
        return "ab" * 16
pool = c.storagePoolLookupByName("web-1")
pool.createXML("<volume><name>web-1</name><capacity>1048576</capacity></volume>")
print(uuid(c.networkDefineXML, "<network><name>web-1</name><bridge name='virbr77'/><ip address='10.77.0.1' netmask='255.255.255.0'/></network>"),
    uuid(c.nwfilterDefineXML, "<filter name='web-1'/>"),
    uuid(c.secretDefineXML, "<secret private='no'><usage type='volume'><volume>web-1</volume></usage></secret>"), pool.UUIDString())
"""
REMOVE_QEMU = """
import sys, libvirt
c = libvirt.open(sys.argv[1])
pool = c.storagePoolLookupByName("web-1")
pool.storageVolLookupByName("web-1").delete()
pool.destroy()
things = [pool, c.lookupByName("web-1")]
for find in (c.networkLookupByName, c.nwfilterLookupByName, lambda name: c.secretLookupByUsage(libvirt.VIR_SECRET_USAGE_TYPE_VOLUME, name)):
    try:
        things.append(find("web-1"))
    except libvirt.libvirtError:
        pass
for thing in things: thing.undefine()
"""
STATE = """
import json, sys, libvirt
libvirt.registerErrorHandler(lambda _, error: None, None)
c = libvirt.open(sys.argv[1])
def ask(function, *arguments):
    try:
        return function(*arguments)
    except libvirt.libvirtError as error:
        return error.get_error_code()
def volume(v):
    return [v.key(), v.path(), v.XMLDesc(), v.info()]
def everything(function):
    found = ask(function)
    return found if isinstance(found, list) else []
print(json.dumps({
    "domains": sorted([d.name(), d.UUIDString(), d.XMLDesc(libvirt.VIR_DOMAIN_XML_SECURE), ask(d.XMLDesc, libvirt.VIR_DOMAIN_XML_INACTIVE),
        d.state(), d.ID(), d.autostart(), d.isPersistent(), ask(d.hasManagedSaveImage), d.maxMemory(), ask(d.schedulerParameters),
        ask(d.metadata, libvirt.VIR_DOMAIN_METADATA_DESCRIPTION, None), ask(d.metadata, libvirt.VIR_DOMAIN_METADATA_TITLE, None),
        [s.getXMLDesc() for s in d.listAllSnapshots()], [p.getXMLDesc() for p in everything(d.listAllCheckpoints)]] for d in everything(c.listAllDomains)),
    "networks": sorted([n.name(), n.XMLDesc(), n.isActive(), n.autostart(), n.isPersistent()] for n in everything(c.listAllNetworks)),
    "pools": sorted([p.name(), p.XMLDesc(), p.info(), p.isActive(), p.autostart(), p.isPersistent(),
        sorted(volume(v) for v in p.listAllVolumes()) if p.isActive() else None] for p in everything(c.listAllStoragePools)),
    "interfaces": sorted([i.name(), i.XMLDesc(), i.isActive()] for i in everything(c.listAllInterfaces)),
    "devices": sorted([n.name(), n.XMLDesc(), ask(n.isActive), ask(n.autostart)] for n in everything(c.listAllDevices)),
    "filters": sorted([f.name(), f.XMLDesc()] for f in everything(c.listAllNWFilters)),
    "secrets": sorted([s.UUIDString(), s.XMLDesc()] for s in everything(c.listAllSecrets)),
}))
"""


def ask(libvirtd, code, uri=None):
    return run([PYTHON, "-c", code, libvirtd.direct(uri or libvirtd.test_uri)], environment=clean_environment()).stdout


@pytest.fixture(scope="module")
def objects(libvirtd):
    """UUIDs of web-1 by class, in hex."""
    network, pool = ask(libvirtd, MAKE).split()
    uuids = {DOMAIN: libvirtd.seeds[NAME][0], NETWORK: network, POOL: pool}
    yield {number: uuid.replace("-", "") for number, uuid in uuids.items()}
    ask(libvirtd, REMOVE)


@pytest.fixture(scope="module")
def qemu_objects(libvirtd):
    libvirtd.define_guest(NAME, QEMU_DOMAIN_UUID)
    libvirtd.storage_pool(NAME)
    network, nwfilter, secret, pool = ask(libvirtd, MAKE_QEMU, libvirtd.qemu_uri).split()
    uuids = {DOMAIN: QEMU_DOMAIN_UUID, NETWORK: network, NWFILTER: nwfilter, SECRET: secret, POOL: pool}
    yield {number: uuid.replace("-", "") for number, uuid in uuids.items()}
    ask(libvirtd, REMOVE_QEMU, libvirtd.qemu_uri)


def all_calls(build, objects):
    """(program, number, name, kind, flags, body) of every procedure, about objects that are there."""
    output = subprocess.run([f"{build}/tests/integration/bodies"], check=True, stdout=subprocess.PIPE, text=True).stdout
    rows = []
    for line in output.splitlines():
        program, number, name, kind, flags, *body = line.split(" ")
        data = body[0] if body else ""
        for number_of_class, uuid in objects.items():
            data = data.replace(f"{number_of_class:02x}" + "3e" * 15, uuid)
        rows.append((int(program), int(number), name, kind, int(flags), bytes.fromhex(data)))
    assert len({row[2] for row in rows}) == 407
    return rows


@pytest.fixture(scope="module")
def calls(build, objects):
    return all_calls(build, objects)


@pytest.fixture(scope="module")
def seeing(make_gateway):
    return make_gateway("matrix", policy=SEEING)


def connect(gateway, authority, user, uri):
    client = RawClient.tls(gateway.ports["tls"], f"{authority.clients}/{user}")
    assert client.open(uri).status == OK
    return client


def try_all(seeing, authority, user, uri, calls):
    """Sends every call; returns the names of those that were answered."""
    client = connect(seeing, authority, user, uri)
    allowed, wrong = set(), []
    for program, number, name, kind, flags, body in calls:
        try:
            reply = client.call(number, body, program=program)
        except EOFError:
            reply = None
        if name in HANGS_UP or reply is None:
            if name not in HANGS_UP:
                wrong.append(f"{name} with {flags:#x} ended the session")
            client.close()
            client = connect(seeing, authority, user, uri)
            continue
        if reply.status == OK:
            allowed.add(name)
        # The gate itself refuses a change: it does not lean on libvirtd's read-only connections.
        if kind == "change" and (reply.status == OK or reply.code not in MISSING | {NOT_PERMITTED, UNKNOWN_PROCEDURE}):
            wrong.append(f"{name} with {flags:#x}: {reply!r}")
    client.close()
    assert not wrong
    return allowed


@pytest.mark.parametrize("user", ["bob", "carol", "alice"])
def test_I30_no_call_of_a_role_that_looks_changes_anything(seeing, authority, libvirtd, calls, user):
    before = ask(libvirtd, STATE)
    allowed = try_all(seeing, authority, user, libvirtd.test_uri, calls)
    assert json.loads(ask(libvirtd, STATE)) == json.loads(before)
    assert {"domain_get_xml_desc", "network_get_xml_desc", "storage_vol_get_xml_desc", "interface_get_xml_desc", "domain_snapshot_get_xml_desc",
            "connect_list_all_domains", "connect_get_all_domain_stats"} <= allowed
    assert ("domain_screenshot" in allowed) == (user == "alice")


@pytest.mark.skipif(not have_qemu(), reason="no qemu-system-x86_64")
@pytest.mark.parametrize("user", ["bob", "alice"])
def test_I30_nor_on_a_real_host(seeing, authority, libvirtd, build, qemu_objects, user):
    before = ask(libvirtd, STATE, libvirtd.qemu_uri)
    assert len(json.loads(before)["domains"]) > 0
    allowed = try_all(seeing, authority, user, libvirtd.qemu_uri, all_calls(build, qemu_objects))
    assert json.loads(ask(libvirtd, STATE, libvirtd.qemu_uri)) == json.loads(before)
    assert {"domain_get_xml_desc", "storage_vol_get_xml_desc", "storage_pool_get_info", "connect_list_all_domains", "connect_get_all_domain_stats",
            "connect_get_capabilities"} <= allowed


# What takes objects away that the others are about comes behind them.
LAST = ("undefine", "delete", "destroy", "rename", "managed_save", "migrate", "save")


def test_I55_I58_every_change_has_an_intent_and_an_outcome(own_gateway, authority, scratch, build):
    """Every call that the table says is a change, by somebody who may all of them: none passes without both, whatever libvirtd says to it."""
    libvirtd = Libvirtd(scratch, name="changes-libvirtd").start()
    scratch.later(libvirtd.stop)
    network, pool = ask(libvirtd, MAKE).split()
    objects = {number: uuid.replace("-", "") for number, uuid in {DOMAIN: libvirtd.seeds[NAME][0], NETWORK: network, POOL: pool}.items()}
    policy = {"version": 1, "roles": {"all": {"include": ["admin"], "allow": ["domain:monitor", "domain:agent"]}},
              "bindings": [{"id": "all", "who": ["x509-cn:admin"], "role": "all", "on": ["*"]}]}
    gateway = own_gateway(policy=policy, libvirtd=libvirtd)
    changes = sorted((row for row in all_calls(build, objects) if row[3] == "change" and row[4] == 0), key=lambda row: any(word in row[2] for word in LAST))
    client, without = connect(gateway, authority, "admin", libvirtd.test_uri), {}
    for program, number, name, *_, body in changes:
        try:
            reply = client.call(number, body, program=program)
        except EOFError:
            client.close()
            client, reply = connect(gateway, authority, "admin", libvirtd.test_uri), None
        without[name] = reply
    client.close()
    gateway.stop()
    stages = {}
    for record in gateway.audit():
        if "call" in record:
            stages.setdefault(record["call"], []).append((record["stage"], record["op"], record["result"]["status"] if "result" in record else None))
    passed = set()
    for name, reply in without.items():
        records = stages.get(name, [])
        intents = [op for stage, op, _ in records if stage == "intent"]
        assert len(intents) == len(set(intents)) <= 1, (name, records)
        assert [op for stage, op, _ in records if stage == "outcome"] == intents, (name, records)
        if intents:
            passed.add(name)
        else:       # the gate refused it itself, with a record or as missing
            assert reply is not None and reply.status != OK, (name, reply)
            assert any(status == "denied" for _, _, status in records) or reply.code in MISSING | {UNKNOWN_PROCEDURE}, (name, reply)
    assert len(changes) == 188 and len(passed) > 150, (len(changes), len(passed), sorted(set(without) - passed))


def test_I27_every_lookup_of_a_hidden_object_is_as_of_a_missing_one(seeing, authority, libvirtd, objects):
    """The same procedure for something that is there but not his, and for something that is not there."""
    uuid = bytes.fromhex
    # The two keys are of one length, so that the answers can be compared byte for byte.
    running, ids = libvirtd.virsh("domid", "hr-1").stdout.strip(), libvirtd.virsh("list", "--id").stdout.split()
    unused = next(text for text in (str(number).zfill(len(running)) for number in range(10 ** len(running))) if text == str(int(text)) and text not in ids)
    lookups = {
        "domain by name": (23, string("db-1"), "db-1", string("no-1"), "no-1"),
        "domain by id": (22, struct.pack("!i", int(running)), running, struct.pack("!i", int(unused)), unused),
        "domain by uuid": (24, uuid(libvirtd.seeds["hr-1"][0].replace("-", "")), None, uuid("ab" * 16), None),
        "network by name": (46, string(NAME), NAME, string("non-1"), "non-1"),
        "network by uuid": (47, uuid(objects[NETWORK]), None, uuid("ab" * 16), None),
        "pool by name": (84, string(NAME), NAME, string("non-1"), "non-1"),
        "pool by uuid": (85, uuid(objects[POOL]), None, uuid("ab" * 16), None),
        "volume by path": (97, string("/web-1/web-1"), "/web-1/web-1", string("/non-1/non-1"), "/non-1/non-1"),
        "volume by key": (96, string("/web-1/web-1"), "/web-1/web-1", string("/non-1/non-1"), "/non-1/non-1"),
        "pool of a volume": (86, string(NAME) * 2 + string("/web-1/web-1"), NAME, string("non-1") * 2 + string("/non-1/non-1"), "non-1"),
        "interface by name": (128, string(NAME), NAME, string("non-1"), "non-1"),
        "interface by mac": (129, string("52:54:00:00:00:01"), "52:54:00:00:00:01", string("52:54:00:00:00:99"), "52:54:00:00:00:99"),
        "device by name": (113, string("computer"), "computer", string("nobodyis"), "nobodyis"),
    }
    wrong = []
    with connect(seeing, authority, "mallory", libvirtd.test_uri) as client:
        for what, (number, body, key, other_body, other_key) in lookups.items():
            hidden, missing = client.call(number, body), client.call(number, other_body)
            key, other_key = (key, other_key) if key else (dashed(body), dashed(other_body))
            same = hidden.body.replace(key.encode(), b"KEY") == missing.body.replace(other_key.encode(), b"KEY")
            if hidden.code not in MISSING or not same:
                wrong.append(f"{what}: {hidden!r} {missing!r}")
    assert not wrong


def dashed(data):
    text = data.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def test_a_reader_with_little_room_for_names_does_not_end_libvirtd(seeing, authority, libvirtd, objects):
    """libvirtd 9.0.0 reads behind its array when there are more snapshots than the client has room for, and dies with none."""
    web1 = domain(NAME, libvirtd.seeds[NAME][0])
    with connect(seeing, authority, "bob", libvirtd.test_uri) as client:
        for room, names in ((0, b""), (1, string(NAME)), (5, string(NAME))):
            reply = client.call(188, web1 + struct.pack("!iI", room, 0))
            assert reply.body == struct.pack("!I", min(room, 1)) + names
        assert client.call(247, string(NAME) + web1 + struct.pack("!iI", 0, 0)).body == struct.pack("!I", 0)


def test_I14_programs_that_are_never_passed_on(seeing, authority, libvirtd, calls):
    with connect(seeing, authority, "alice", libvirtd.test_uri) as client:
        for program, number, name, _, _, body in calls:
            if program == LXC or name in ("domain_monitor_command_with_files", "connect_set_identity", "domain_fd_associate"):
                assert client.call(number, body, program=program).code == UNKNOWN_PROCEDURE, name
        for _, number, name, _, _, body in (row for row in calls if row[0] == QEMU and row[1] == 1):
            assert client.call(number, body, program=QEMU).code == NOT_PERMITTED, name
