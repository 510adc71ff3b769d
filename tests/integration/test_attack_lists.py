"""What a tenant could learn from counts, lists, errors and events of what is not his (B4, B8, I50 to I53)."""
import struct

import pytest

from attack import (ERROR, EVENT, MISSING, NOT_PERMITTED, OK, PROCEDURES, TENANTS, attacker, directly, make_objects, raw_uuid, remove_objects)

KEEPALIVE = 0x6B656570
# VIR_DOMAIN_EVENT_ID_*, VIR_NETWORK_…, VIR_STORAGE_POOL_…: how many there are in libvirt 9.0.0
NUM_DOMAIN_EVENTS, NUM_NETWORK_EVENTS, NUM_POOL_EVENTS = 27, 1, 2


@pytest.fixture(scope="module")
def gateway(make_gateway):
    return make_gateway("attack-lists", policy=TENANTS)


@pytest.fixture(scope="module")
def objects(libvirtd):
    made = make_objects(libvirtd)
    yield made
    remove_objects(libvirtd)


@pytest.fixture(autouse=True)
def web1_on(libvirtd):
    """What stirs it needs it to run, whatever tests before this one did."""
    if libvirtd.state("web-1") != "running":
        libvirtd.virsh("start", "web-1")


@pytest.fixture
def alice(gateway, libvirtd):
    with attacker(gateway, "alice", libvirtd.test_uri) as client:
        yield client


def hidden_texts(libvirtd, objects):
    """Whatever of a hidden object may stand in bytes that a tenant gets."""
    hr = objects["hr"]
    texts = [b"hr-1", b"db-1", b"hr-net", b"hr-pool", b"hr-vol", b"hr-if", b"52:54:00:00:82:01", hr["key"].encode()]
    for uuid in (libvirtd.seeds["hr-1"][0], libvirtd.seeds["db-1"][0], hr["net"], hr["pool"]):
        texts += [raw_uuid(uuid), uuid.encode()]
    return texts


def leaks(data, texts):
    return [text for text in texts if text in data]


# ---- counts and lists ----

COUNTS = {      # what libvirt knows, counted directly
    "domain": "[d.name() for d in c.listAllDomains()]", "network": "[n.name() for n in c.listAllNetworks()]",
    "storage_pool": "[p.name() for p in c.listAllStoragePools()]", "interface": "[i.name() for i in c.listAllInterfaces()]",
    "device": "[d.name() for d in c.listAllDevices()]",
}


def granted(libvirtd, what):
    code = next((code for key, code in COUNTS.items() if key in what.replace("node_num_of_devices", "device")), "[]")
    return directly(libvirtd, f"print('\\n'.join(n for n in {code} if n.startswith('web-')))").split()


@pytest.mark.parametrize("name", sorted(name for name in PROCEDURES if "_num_of_" in name and name.startswith(("connect_", "node_num"))))
def test_B4_I51_bare_counts_count_her_own(alice, libvirtd, objects, name):
    """No more than is hers, or not told at all."""
    reply = alice.do(name)
    if reply.status == ERROR:
        assert reply.code in (3, NOT_PERMITTED), reply
    else:
        assert struct.unpack("!i", reply.body)[0] <= len(granted(libvirtd, name)), name


@pytest.mark.parametrize("name", sorted(name for name in PROCEDURES if name.startswith("connect_list_all_")))
def test_B4_I51_need_results_0_counts_what_the_list_shows(alice, libvirtd, objects, name):
    for flags in (0, 1, 2, 3):
        full, bare = alice.do(name, need_results=1, flags=flags), alice.do(name, need_results=0, flags=flags)
        assert full.status == bare.status
        if full.status == ERROR:
            assert (full.code, full.text.rpartition("(decision")[0]) == (bare.code, bare.text.rpartition("(decision")[0])
            continue
        shown, = struct.unpack("!I", full.body[:4])
        assert full.body[-4:] == struct.pack("!I", shown)
        assert bare.body == struct.pack("!II", 0, shown)
        assert not leaks(full.body, hidden_texts(libvirtd, objects))
        assert shown <= max(len(granted(libvirtd, name)), 0)


@pytest.mark.parametrize("name", sorted(name for name in PROCEDURES if "_list_" in name and "_all_" not in name and
                                        name.startswith(("connect_list", "node_list"))))
def test_B4_I51_lists_of_names_with_any_room(alice, libvirtd, objects, name):
    """With room for all, for one, for none: nothing of others, and the room that she has is not used up by what is hidden."""
    room = next(field[1] for field in PROCEDURES[name][2]["args"] if field[1].startswith("max"))
    whole = alice.do(name, **{room: 1024})
    assert whole.status == OK or whole.code in (3, NOT_PERMITTED), whole
    assert not leaks(whole.body, hidden_texts(libvirtd, objects))
    if whole.status != OK:
        return
    shown, = struct.unpack("!I", whole.body[:4])
    for size in (0, 1):
        part = alice.do(name, **{room: size})
        if part.status == OK:
            assert struct.unpack("!I", part.body[:4])[0] <= min(size, shown)
            assert not leaks(part.body, hidden_texts(libvirtd, objects))


def test_B4_I51_statistics_of_her_own_only(alice, libvirtd, objects):
    own, other = ("web-1", libvirtd.seeds["web-1"][0]), ("hr-1", libvirtd.seeds["hr-1"][0])
    everything = alice.do("connect_get_all_domain_stats", stats=0)
    assert everything.status == OK and struct.unpack("!I", everything.body[:4])[0] == 2
    assert not leaks(everything.body, hidden_texts(libvirtd, objects))
    # named among her own, alone, and lied about
    for doms in ([own, other], [other], [("web-1", other[1])]):
        reply = alice.do("connect_get_all_domain_stats", doms=doms, stats=0)
        assert reply.status == ERROR or not leaks(reply.body, [b"hr-1", raw_uuid(other[1])]), doms
        if reply.status == ERROR:
            assert reply.code in MISSING, reply


def test_B4_counts_inside_hidden_objects_are_missing(alice, libvirtd, objects):
    hr = objects["hr"]
    dom, pool, net = ("hr-1", libvirtd.seeds["hr-1"][0]), ("hr-pool", hr["pool"]), ("hr-net", hr["net"])
    for call, values in (("domain_snapshot_num", {"dom": dom}), ("domain_snapshot_list_names", {"dom": dom, "maxnames": 10}),
                         ("domain_list_all_snapshots", {"dom": dom, "need_results": 0}), ("domain_list_all_checkpoints", {"dom": dom}),
                         ("domain_has_current_snapshot", {"dom": dom}), ("domain_is_active", {"dom": dom}), ("domain_get_job_info", {"dom": dom}),
                         ("storage_pool_num_of_volumes", {"pool": pool}), ("storage_pool_list_volumes", {"pool": pool, "maxnames": 10}),
                         ("storage_pool_list_all_volumes", {"pool": pool, "need_results": 0}), ("storage_pool_is_active", {"pool": pool}),
                         ("network_get_dhcp_leases", {"net": net, "need_results": 0}), ("network_list_all_ports", {"network": net}),
                         ("network_is_active", {"net": net}), ("network_get_bridge_name", {"net": net})):
        assert alice.refused(call, **values).code in MISSING, call


# ---- errors ----

def test_I50_no_refusal_names_what_is_hidden(alice, libvirtd, objects):
    """Every call that takes one object, with one of hers and one that is hidden; names that collide; keys of hidden things."""
    texts = hidden_texts(libvirtd, objects)
    hr = objects["hr"]
    taken = libvirtd.seeds["hr-1"][0]
    document = f"<domain type='test'><name>web-9</name><uuid>{taken}</uuid><memory>1</memory><os><type>hvm</type></os></domain>"
    tries = [("domain_define_xml", {"xml": document}), ("domain_create_xml", {"xml_desc": document}),
             ("domain_lookup_by_id", {"id": int(libvirtd.virsh("domid", "hr-1").stdout)}),
             ("network_define_xml", {"xml": f"<network><name>web-9</name><uuid>{hr['net']}</uuid></network>"}),
             ("network_create_xml", {"xml": "<network><name>web-9</name><bridge name='virbr82'/></network>"}),
             ("storage_pool_define_xml", {"xml": f"<pool type='dir'><name>web-9</name><uuid>{hr['pool']}</uuid><target><path>/x</path></target></pool>"}),
             ("storage_pool_create_xml", {"xml": "<pool type='dir'><name>web-9</name><target><path>/hr-pool</path></target></pool>"}),
             ("interface_lookup_by_mac_string", {"mac": "52:54:00:00:82:01"}),
             ("storage_vol_lookup_by_path", {"path": "/hr-pool/hr-vol"}), ("storage_pool_lookup_by_target_path", {"path": "/hr-pool"}),
             ("node_device_lookup_by_name", {"name": "computer"})]
    for call, values in tries:
        reply = alice.do(call, **values)
        asked = b"".join(value.encode() if isinstance(value, str) else b"" for value in values.values())
        assert reply.status == ERROR, f"{call}: {reply!r}"
        assert not [text for text in leaks(reply.body, texts) if text not in asked], f"{call}: {reply!r}"


# ---- events ----

@pytest.fixture(scope="module")
def makers(make_gateway):
    """The tenants, where alice may also make networks and pools without seeing those of others, and see three devices of the host."""
    allow = ["connect:write", "network:write", "network:save", "storage_pool:write", "storage_pool:save"]
    devices = ["node_device:scsi_host1", "node_device:scsi_host11", "node_device:scsi_host2"]
    more = [{"id": "maker", "who": ["x509-cn:alice"], "role": "maker", "on": ["*"]},
            {"id": "devices", "who": ["x509-cn:alice"], "role": "viewer", "on": devices}]
    return make_gateway("attack-mentions", policy=TENANTS | {"roles": {"maker": {"allow": allow}}, "bindings": TENANTS["bindings"] + more})


def test_I50_no_error_names_whatever_is_in_the_way(makers, libvirtd, objects):
    """libvirtd's own texts say who has a UUID or a path already: the admin reads it, she reads that something is there."""
    hr, web = objects["hr"], objects["web"]
    texts = hidden_texts(libvirtd, objects)
    free = "99999999-0000-4000-8000-000000000099"
    tries = [("network_define_xml", f"<network><name>web-9</name><uuid>{hr['net']}</uuid></network>", "hr-net"),
             ("network_define_xml", f"<network><name>hr-net</name><uuid>{free}</uuid></network>", hr["net"]),
             ("network_define_xml", f"<network><name>web-net</name><uuid>{free}</uuid></network>", web["net"]),
             ("storage_pool_define_xml", f"<pool type='dir'><name>web-9</name><uuid>{hr['pool']}</uuid><target><path>/web</path></target></pool>",
              "hr-pool"),
             ("storage_pool_define_xml", "<pool type='dir'><name>web-9</name><target><path>/hr-pool</path></target></pool>", "hr-pool")]
    with attacker(makers, "alice", libvirtd.test_uri) as alice, attacker(makers, "admin", libvirtd.test_uri) as admin:
        for call, xml, named in tries:
            reply = admin.do(call, xml=xml)
            assert reply.status == ERROR and named in reply.text, f"{call}: {reply!r}"
            mine = alice.do(call, xml=xml)
            assert (mine.status, mine.code) == (ERROR, reply.code), repr(mine)
            if named == web["net"]:
                assert mine.text == reply.text
            else:
                assert mine.text == "operation failed: another object of this host is in the way"
                assert not [text for text in leaks(mine.body, texts) if text.decode("latin-1") not in xml]


def test_B4_hidden_parents_of_devices_are_not_named(makers, libvirtd):
    """As a device without a parent; one that she sees is named, and others read what libvirtd says."""
    with attacker(makers, "alice", libvirtd.test_uri) as alice, attacker(makers, "bob", libvirtd.test_uri) as bob:
        for name, parent in (("scsi_host1", b"computer"), ("scsi_host2", b"computer"), ("scsi_host11", b"scsi_host1")):
            told, xml = bob.do("node_device_get_parent", name=name), bob.do("node_device_get_xml_desc", name=name)
            assert parent in told.body and b"<parent>" + parent + b"</parent>" in xml.body
            hers, her_xml = alice.do("node_device_get_parent", name=name), alice.do("node_device_get_xml_desc", name=name)
            assert hers.status == her_xml.status == OK
            if parent == b"computer":
                assert hers.body == bytes(4)
                assert b"parent" not in her_xml.body and b"computer" not in her_xml.body and b"<fabric_wwn>" in her_xml.body
            else:
                assert (hers.body, her_xml.body) == (told.body, xml.body)
        assert alice.do("node_device_get_parent", name="computer").code in MISSING


@pytest.fixture
def by_uuid(make_gateway, objects):
    """alice may touch a network and a pool, whatever they are called."""
    on = [f"network:uuid:{objects['web']['net']}", f"storage_pool:uuid:{objects['web']['pool']}"]
    return make_gateway("attack-by-uuid", policy={"version": 1, "bindings": [
        {"id": "admins", "who": ["x509-cn:admin"], "role": "admin", "on": ["*"]},
        {"id": "tenant", "who": ["x509-cn:alice"], "role": "vm-admin", "on": on}]})


def names_in(reply):
    assert reply.status == OK, repr(reply)
    count, = struct.unpack("!I", reply.body[:4])
    at, names = 4, []
    for _ in range(count):
        length, = struct.unpack("!I", reply.body[at:at + 4])
        names.append(reply.body[at + 4:at + 4 + length].decode())
        at += 4 + (length + 3) // 4 * 4
    return names


def test_I51_I27_granted_by_uuid_is_seen_where_only_names_are_told(by_uuid, libvirtd, objects):
    """Lists of names, and volumes by key and path; also of objects that came, or took another's name, later."""
    uuid = objects["web"]["pool"]

    def sees(client):
        return [sorted(names_in(client.do("connect_list_defined_networks", maxnames=100))),
                sorted(names_in(client.do("connect_list_storage_pools", maxnames=100)) +
                       names_in(client.do("connect_list_defined_storage_pools", maxnames=100))),
                [client.do(f"storage_vol_lookup_by_{how}", **{how: f"/{who}-pool/{who}-vol"}).status == OK
                 for who in ("web", "hr") for how in ("path", "key")]]

    with attacker(by_uuid, "alice", libvirtd.test_uri) as alice:
        assert sees(alice) == [["web-net"], ["web-pool"], [True, True, False, False]]
        try:
            # her pool goes by another name, and its name by another pool
            directly(libvirtd, "p = c.storagePoolLookupByName('web-pool')\np.storageVolLookupByName('web-vol').delete()\np.destroy()\np.undefine()\n"
                     "c.storagePoolDefineXML('<pool type=\"dir\"><name>web-pool</name><target><path>/web-pool</path></target></pool>').create()\n"
                     f"c.storagePoolDefineXML('<pool type=\"dir\"><name>moved</name><uuid>{uuid}</uuid><target><path>/moved</path></target></pool>')")
            assert sees(alice)[:2] == [["web-net"], ["moved"]]
        finally:
            directly(libvirtd, "c.storagePoolLookupByName('moved').undefine()\np = c.storagePoolLookupByName('web-pool')\np.destroy()\np.undefine()\n"
                     f"p = c.storagePoolDefineXML('<pool type=\"dir\"><name>web-pool</name><uuid>{uuid}</uuid><target><path>/web-pool</path></target></pool>')\n"
                     "p.create()\np.createXML('<volume><name>web-vol</name><capacity>1048576</capacity></volume>')")


def collect(client, until):
    """Everything that comes until bytes of an event hold the text `until`."""
    seen = []
    while True:
        message = client.receive()
        if message.program == KEEPALIVE:
            if message.procedure == 1:
                client.send(2, program=KEEPALIVE, kind=EVENT, serial=0)
            continue
        if message.type == EVENT:
            seen.append(message)
            if until in message.body:
                return seen


STIR = """
d = c.lookupByName("hr-1")
d.suspend(); d.resume()
d.setMetadata(libvirt.VIR_DOMAIN_METADATA_TITLE, "hr", None, None, 1)
d.snapshotCreateXML("<domainsnapshot><name>hr-snap</name></domainsnapshot>").delete()
d.destroy(); d.create()
e = c.defineXML("<domain type='test'><name>hr-new</name><memory>8192</memory><os><type>hvm</type></os></domain>")
e.rename("hr-newer")
e.undefine()
n = c.networkLookupByName("hr-net")
n.create(); n.destroy()
p = c.storagePoolLookupByName("hr-pool")
p.destroy(); p.create(); p.refresh()
w = c.lookupByName("web-1")
w.suspend(); w.resume()
"""


def test_B8_I52_events_of_every_kind_only_of_her_own(gateway, libvirtd, objects):
    """Registered for all there is, in the old forms and the new ones. hr-* is stirred, then web-1: nothing of the former comes."""
    with attacker(gateway, "alice", libvirtd.test_uri) as alice, attacker(gateway, "bob", libvirtd.test_uri) as bob:
        for client in (alice, bob):
            registered = 0
            for event in range(NUM_DOMAIN_EVENTS):
                registered += client.do("connect_domain_event_callback_register_any", eventID=event).status == OK
            assert registered == NUM_DOMAIN_EVENTS
            registered = [client.do("connect_network_event_register_any", eventID=event).status for event in range(NUM_NETWORK_EVENTS)]
            registered += [client.do("connect_storage_pool_event_register_any", eventID=event).status for event in range(NUM_POOL_EVENTS)]
            assert set(registered) == {OK}
        before = alice.do("domain_get_info", dom=("web-1", libvirtd.seeds["web-1"][0])).status
        assert before == OK
        directly(libvirtd, STIR)
        seen = collect(alice, b"web-1")
        texts = hidden_texts(libvirtd, objects) + [b"hr-"]
        assert not [message for message in seen if leaks(message.body, texts)]
        assert len(seen) == 1       # the very first that came is of web-1: also no empty shell of another
        # and bob, who may see them all, does get them
        assert {b"hr-1", b"hr-net", b"hr-pool"} <= {text for message in collect(bob, b"web-1") for text in leaks(message.body, texts)}


@pytest.mark.parametrize("old", ["connect_domain_event_register", "connect_domain_event_register_any"])
def test_B8_I52_old_registrations(gateway, libvirtd, objects, old):
    with attacker(gateway, "alice", libvirtd.test_uri) as alice:
        if old.endswith("_any"):
            for event in range(NUM_DOMAIN_EVENTS):
                alice.do(old, eventID=event)
        else:
            assert alice.do(old).status == OK
        directly(libvirtd, STIR)
        seen = collect(alice, b"web-1")
        assert len(seen) == 1 and not leaks(seen[0].body, hidden_texts(libvirtd, objects) + [b"hr-"])


def test_I52_granted_is_judged_when_it_is_delivered(gateway, libvirtd):
    """A domain that was hers when she registered for it, and has another name now."""
    uuid = "44444444-0000-4000-8000-0000000000c1"
    directly(libvirtd, f"c.defineXML('<domain type=\"test\"><name>web-leaves</name><uuid>{uuid}</uuid><memory>8192</memory><os><type>hvm</type></os></domain>')")
    try:
        with attacker(gateway, "alice", libvirtd.test_uri) as alice:
            reply = alice.do("connect_domain_event_callback_register_any", eventID=0, dom=("web-leaves", uuid))
            assert reply.status == OK
            assert alice.do("connect_domain_event_callback_register_any", eventID=0).status == OK
            directly(libvirtd, "d = c.lookupByName('web-leaves')\nd.rename('hr-leaves')\nd = c.lookupByName('hr-leaves')\nd.create()\nd.destroy()\n"
                     "w = c.lookupByName('web-1')\nw.suspend(); w.resume()")
            seen = collect(alice, b"web-1")
            assert not [message for message in seen if b"hr-leaves" in message.body]
    finally:
        directly(libvirtd, f"c.lookupByUUIDString('{uuid}').undefine()")


def test_I53_registering_for_hidden_is_as_for_missing(gateway, libvirtd, objects):
    """Same length of name, another UUID: the same bytes but for what was asked."""
    hr = objects["hr"]
    nobody = "99999999-0000-4000-8000-000000000099"
    with attacker(gateway, "alice", libvirtd.test_uri) as alice:
        for call, field, hidden, missing in (
                ("connect_domain_event_callback_register_any", "dom", ("hr-1", libvirtd.seeds["hr-1"][0]), ("hr-0", nobody)),
                ("connect_network_event_register_any", "net", ("hr-net", hr["net"]), ("hr-not", nobody)),
                ("connect_storage_pool_event_register_any", "pool", ("hr-pool", hr["pool"]), ("hr-poor", nobody))):
            one, two = (alice.refused(call, eventID=0, **{field: target}) for target in (hidden, missing))
            assert one.body.replace(hidden[0].encode(), b"N").replace(hidden[1].encode(), b"U") == \
                two.body.replace(missing[0].encode(), b"N").replace(missing[1].encode(), b"U"), call


def test_I53_callback_of_another_client_is_not_there(gateway, libvirtd, web1_off):
    """Another session of hers, and another person, take her callback back: an error, and her events go on."""
    with attacker(gateway, "alice", libvirtd.test_uri) as alice:
        reply = alice.do("connect_domain_event_callback_register_any", eventID=0)
        assert reply.status == OK
        mine, = struct.unpack("!i", reply.body)
        for user in ("alice", "bob", "admin"):
            with attacker(gateway, user, libvirtd.test_uri) as other:
                taken = other.do("connect_domain_event_callback_deregister_any", callbackID=mine)
                unknown = other.do("connect_domain_event_callback_deregister_any", callbackID=4711)
                assert taken.status == unknown.status == ERROR and taken.code == unknown.code
                assert taken.text.replace(str(mine), "N") == unknown.text.replace("4711", "N")
        directly(libvirtd, "c.lookupByName('web-1').create()")
        assert b"web-1" in collect(alice, b"web-1")[-1].body
