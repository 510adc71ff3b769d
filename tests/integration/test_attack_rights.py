"""Calls whose flags, paths and documents reach further than their permission says (B5 to B7; I28 to I46)."""
import json
import os
import struct

import pytest

from attack import (ERROR, MISSING, NOT_PERMITTED, OK, TENANTS, attacker, directly, make_objects, remove_objects)
from conftest import GUEST
from lab.libvirtd import have_qemu
from test_matrix_live import STATE, ask

WEB, WEB_UUID = "web-a", "11111111-0000-4000-8000-0000000000a1"
HR, HR_UUID = "hr-a", "33333333-0000-4000-8000-0000000000a3"
MARK = "Vnc5ecrt"
VALUE = b"the value of a secret"


@pytest.fixture(scope="module")
def gateway(make_gateway):
    return make_gateway("attack-rights", policy=TENANTS)


@pytest.fixture(scope="module")
def objects(libvirtd):
    made = make_objects(libvirtd)
    yield made
    remove_objects(libvirtd)


@pytest.fixture
def unchanged(libvirtd):
    """Whatever the test does, the test driver has the same objects afterwards."""
    before = ask(libvirtd, STATE)
    yield
    assert json.loads(ask(libvirtd, STATE)) == json.loads(before)


@pytest.fixture(scope="module")
def host(libvirtd, scratch):
    """On the QEMU driver: a guest with a password for its screen, a pool, a volume, a secret; and each of these for hr."""
    if not have_qemu():
        pytest.skip("there is no QEMU here")
    made = {}
    for who, uuid in ((WEB, WEB_UUID), (HR, HR_UUID)):
        xml = libvirtd.guest_xml(who, uuid).replace("<graphics type='vnc'>", f"<graphics type='vnc' passwd='{MARK}'>")
        libvirtd.virsh("define", scratch.write(f"{who}.xml", xml), uri=libvirtd.qemu_uri)
        directory = libvirtd.storage_pool(f"{who}-pool")
        made[who] = {"dir": directory, "dom": (who, uuid)}
    out = directly(libvirtd, """
out = []
for who in ("web-a", "hr-a"):
    pool = c.storagePoolLookupByName(who + "-pool")
    vol = pool.createXML(f"<volume><name>{who}-vol</name><capacity>1048576</capacity></volume>")
    secret = c.secretDefineXML(f"<secret private='no'><usage type='volume'><volume>{who}-key</volume></usage></secret>")
    secret.setValue(b"the value of a secret")
    out.append([pool.UUIDString(), vol.key(), secret.UUIDString()])
print(json.dumps(out))
""", uri=libvirtd.qemu_uri)
    for who, (pool, key, secret) in zip((WEB, HR), json.loads(out)):
        made[who].update(pool=(f"{who}-pool", pool), vol=(f"{who}-pool", f"{who}-vol", key), secret=(secret, 1, f"{who}-key"))
    yield made
    directly(libvirtd, """
for who in ("web-a", "hr-a"):
    pool = c.storagePoolLookupByName(who + "-pool")
    for vol in pool.listAllVolumes(): vol.delete()
    pool.destroy(); pool.undefine()
    c.lookupByName(who).undefine()
    c.secretLookupByUsage(libvirt.VIR_SECRET_USAGE_TYPE_VOLUME, who + "-key").undefine()
""", uri=libvirtd.qemu_uri)


@pytest.fixture
def alice(gateway, libvirtd):
    with attacker(gateway, "alice", libvirtd.test_uri) as client:
        yield client


@pytest.fixture
def tenant(gateway, libvirtd, host):
    """alice on the QEMU driver."""
    with attacker(gateway, "alice", libvirtd.qemu_uri) as client:
        yield client


def denied(client, call, **values):
    """Not permitted: he sees the object, and may not."""
    reply = client.refused(call, **values)
    assert reply.code == NOT_PERMITTED, f"{call}: {reply!r}"


# ---- B1 on the drivers of a real host ----

def test_B1_I24_I25_secrets_filters_and_domains(tenant, gateway, libvirtd, host):
    """A secret is its UUID whatever usage is claimed; a filter's and a domain's name and UUID belong together."""
    web, hr = host[WEB], host[HR]
    filters = json.loads(directly(libvirtd, """
def uuid(name):
    try:
        return c.nwfilterDefineXML(f"<filter name='{name}'/>").UUIDString()
    except libvirt.libvirtError:
        return None
print(json.dumps([uuid("web-f"), uuid("hr-f")]))
""", uri=libvirtd.qemu_uri))
    before = ask(libvirtd, STATE, libvirtd.qemu_uri)
    try:
        for kind, usage in ((1, "web-a-key"), (1, "hr-a-key"), (0, ""), (2, "web-a-key")):
            for call, values in (("secret_get_xml_desc", {}), ("secret_get_value", {}), ("secret_set_value", {"value": b"x"}), ("secret_undefine", {})):
                assert tenant.refused(call, secret=(hr["secret"][0], kind, usage), **values).code in MISSING, (call, kind, usage)
        for name, uuid in (("web-f", filters[1]), ("hr-f", filters[0]), ("hr-f", filters[1])):
            for call in ("nwfilter_get_xml_desc", "nwfilter_undefine"):
                assert uuid is None or tenant.refused(call, nwfilter=(name, uuid)).code in MISSING, (call, name)
        for name, uuid in ((WEB, HR_UUID), (HR, WEB_UUID), (HR, HR_UUID)):
            for call in ("domain_create", "domain_undefine", "domain_get_xml_desc", "domain_open_console", "domain_managed_save"):
                assert tenant.refused(call, dom=(name, uuid)).code in MISSING, (call, name, uuid)
        assert json.loads(ask(libvirtd, STATE, libvirtd.qemu_uri)) == json.loads(before)
    finally:
        directly(libvirtd, "for f in c.listAllNWFilters():\n    if f.name() in ('web-f', 'hr-f'): f.undefine()", uri=libvirtd.qemu_uri)


# ---- B5: flags and arguments ----

def test_B5_I28_flags_that_need_more(gateway, libvirtd, unchanged):
    """Each with the flag that asks for more than the role has; without it, it is allowed (or stands for itself)."""
    dom = ("web-1", libvirtd.seeds["web-1"][0])
    secure, migratable, agent, config, guest = 1, 8, 2, 2, 8       # secure by itself: test_I29_a_description_without_secrets_is_none
    with attacker(gateway, "bob", libvirtd.test_uri) as viewer:
        assert viewer.do("domain_get_xml_desc", dom=dom).status == OK
        for flags in (migratable, secure | migratable):
            denied(viewer, "domain_get_xml_desc", dom=dom, flags=flags)
        denied(viewer, "domain_interface_addresses", dom=dom, source=1)
        denied(viewer, "domain_get_vcpus_flags", dom=dom, flags=guest)
        denied(viewer, "domain_get_hostname", dom=dom, flags=agent)
    with attacker(gateway, "carol", libvirtd.test_uri) as operator:
        for call in ("domain_reboot", "domain_shutdown_flags"):
            denied(operator, call, dom=dom, flags=agent)
        denied(operator, "domain_set_vcpus_flags", dom=dom, nvcpus=2, flags=config)
        denied(operator, "domain_set_memory_flags", dom=dom, memory=1024, flags=config)
        denied(operator, "domain_get_xml_desc", dom=dom, flags=migratable)


def test_I28_flags_that_nobody_knows(gateway, libvirtd, unchanged):
    """Refused for the admin too, before it is looked whether the object is there, and on record."""
    dom = ("web-1", libvirtd.seeds["web-1"][0])
    with attacker(gateway, "admin", libvirtd.test_uri) as admin:
        for flags in (0x10, 0x80000000, 0xffffffff):
            for name in (dom, ("none", "00" * 16)):
                refusal = admin.do("domain_get_xml_desc", dom=name, flags=flags)
                assert (refusal.status, refusal.code) == (ERROR, 8) and "unsupported flags (%#x)" % (flags & ~0xf) in refusal.text, refusal
        for call, values in (("domain_create_with_flags", {"flags": 0x40}), ("domain_reset", {"flags": 1}), ("domain_get_guest_info", {"types": 1 << 20}),
                             ("domain_migrate_confirm3", {"flags": 1 << 40})):
            assert admin.do(call, dom=dom, **values).code == 8, call
    records = gateway.wait_audit(10, decision__rule="flags")
    assert {r["call"] for r in records} >= {"domain_get_xml_desc", "domain_create_with_flags", "domain_reset", "domain_migrate_confirm3"}


def test_I29_secure_documents_need_read_secure(gateway, libvirtd, host):
    """Passwords are in no document that a vm-admin gets: neither asked for, nor by the way."""
    web = host[WEB]
    with attacker(gateway, "alice", libvirtd.qemu_uri) as tenant:
        for flags in (1, 3, 8, 9):
            denied(tenant, "domain_get_xml_desc", dom=web["dom"], flags=flags)
        for flags in (0, 2, 4):
            reply = tenant.do("domain_get_xml_desc", dom=web["dom"], flags=flags)
            assert reply.status == OK and b"graphics" in reply.body and MARK.encode() not in reply.body
        denied(tenant, "domain_snapshot_get_xml_desc", snap=("x", web["dom"]), flags=1)
        denied(tenant, "domain_checkpoint_get_xml_desc", checkpoint=("x", web["dom"]), flags=1)
        denied(tenant, "domain_managed_save_get_xml_desc", dom=web["dom"], flags=1)
        tenant.refused("domain_save_image_get_xml_desc", file=f"{web['dir']}/image", flags=1)
        denied(tenant, "domain_migrate_begin3", dom=web["dom"], flags=0)
    with attacker(gateway, "admin", libvirtd.qemu_uri) as admin:
        assert MARK.encode() in admin.do("domain_get_xml_desc", dom=web["dom"], flags=1).body


def test_I29_a_description_without_secrets_is_none(gateway, libvirtd, guests):
    """virt-manager and `virsh edit` always ask for secrets; where there are none, who may not have them gets the same as without asking."""
    plain = gateway.virsh("alice", "dumpxml", GUEST, uri=guests)
    assert plain.returncode == 0, plain.stderr
    for options in (["--security-info"], ["--security-info", "--inactive"]):
        asked = gateway.virsh("alice", "dumpxml", GUEST, *options, uri=guests)
        assert asked.returncode == 0, asked.stderr
        assert asked.stdout == gateway.virsh("alice", "dumpxml", GUEST, *options[1:], uri=guests).stdout
    refused = gateway.virsh("alice", "dumpxml", GUEST, "--security-info", "--migratable", uri=guests)
    assert "'domain:read_secure'" in refused.stderr


def test_I34_agent_needs_its_rights(gateway, libvirtd, host, unchanged):
    """What goes through the guest's agent, by an operator and by a viewer of the guest."""
    dom = host[WEB]["dom"]
    calls = (("domain_set_user_password", {"user": "root", "password": "x"}), ("domain_fsfreeze", {}), ("domain_fsthaw", {}),
             ("domain_fstrim", {}), ("domain_set_time", {"seconds": 1}), ("domain_set_guest_vcpus", {"cpumap": "0", "state": 0}),
             ("domain_authorized_ssh_keys_set", {"user": "root", "keys": ["ssh-ed25519 AAAA"]}), ("domain_set_block_threshold", {"dev": "hda", "threshold": 1}),
             ("domain_pm_wakeup", {}), ("domain_agent_set_response_timeout", {"timeout": 1}))
    with attacker(gateway, "carol", libvirtd.qemu_uri) as operator, attacker(gateway, "bob", libvirtd.qemu_uri) as viewer:
        for call, values in calls:
            if call != "domain_pm_wakeup":
                denied(operator, call, dom=dom, **values)
            denied(viewer, call, dom=dom, **values)
        for client in (viewer,):
            for call, values in (("domain_get_time", {}), ("domain_get_fsinfo", {}), ("domain_get_guest_info", {"types": 0}),
                                 ("domain_authorized_ssh_keys_get", {"user": "root"}), ("domain_get_guest_vcpus", {}),
                                 ("domain_interface_addresses", {"source": 1})):
                denied(client, call, dom=dom, **values)


# ---- B6: paths ----

def test_B6_I39_paths_on_the_host(tenant, gateway, libvirtd, host, scratch):
    """By a tenant with every right on the guest: no path of the host is written, read, or told to exist."""
    dom = host[WEB]["dom"]
    outside = scratch.directory("attack-paths")
    os.chmod(outside, 0o777)
    os.symlink(outside, f"{host[WEB]['dir']}/link")
    paths = [f"{outside}/f", f"{host[WEB]['dir']}/../attack-paths/f", f"{host[WEB]['dir']}/link/f", "/dev/null", "/proc/self/mem", "/etc/passwd", "relative",
             "", "//", f"{host[HR]['dir']}/hr-a-vol"]
    try:
        for path in paths:
            for call, values in (("domain_save", {"to": path}), ("domain_save_flags", {"to": path}), ("domain_core_dump", {"to": path}),
                                 ("domain_core_dump_with_format", {"to": path}),
                                 ("domain_save_params", {"params": [("file", path)]})):
                tenant.refused(call, dom=dom, **values)
            for call, field in (("domain_restore", "from"), ("domain_restore_flags", "from"), ("domain_save_image_get_xml_desc", "file")):
                tenant.refused(call, **{field: path})
            tenant.refused("domain_save_image_define_xml", file=path, dxml="<domain/>")
            tenant.refused("domain_restore_params", params=[("file", path)])
        # the same answer whether the file is there or not
        there, not_there = (tenant.refused("domain_save_image_get_xml_desc", file=path) for path in ("/etc/passwd", "/etc/passwe"))
        assert there.text.rpartition("(decision")[0].replace("passwd", "F") == not_there.text.rpartition("(decision")[0].replace("passwe", "F")
        assert os.listdir(outside) == []
    finally:
        os.unlink(f"{host[WEB]['dir']}/link")
    before = gateway.audit(event="domain.save", stage="outcome", result__status="ok")
    assert before == []


def test_B6_I41_block_calls_name_the_guests_own_disks(tenant, host):
    """A path that is no disk of it, or of the host."""
    dom = host[WEB]["dom"]
    for path in ("/etc/shadow", f"{host[HR]['dir']}/hr-a-vol", "vdz", "../hda"):
        for call, values in (("domain_block_peek", {"size": 16}), ("domain_block_resize", {"disk": path, "size": 1}), ("domain_block_pull", {}),
                             ("domain_block_rebase", {"base": path}), ("domain_block_commit", {"disk": path, "base": path, "top": path}),
                             ("domain_block_stats", {}), ("domain_get_block_info", {})):
            field = "disk" if call in ("domain_block_resize", "domain_block_commit") else "path"
            names = {name: value for name, value in values.items() if name not in ("disk", "path")}
            reply = tenant.do(call, dom=dom, **{field: path}, **names)
            assert reply.status == ERROR, f"{call} {path}: {reply!r}"
    # a copy to a place of the host, by path and by document
    for document in ("<disk type='file' device='disk'><source file='/etc/shadow'/></disk>",
                     "<disk type='block' device='disk'><source dev='/dev/sda'/></disk>",
                     "<disk type='network' device='disk'><source protocol='nbd' name='x'><host name='127.0.0.1' port='1'/></source></disk>"):
        tenant.refused("domain_block_copy", dom=dom, path="hda", destxml=document)
    tenant.refused("domain_block_rebase", dom=dom, path="hda", base="/etc/shadow", flags=8)


def test_I42_volumes_stay_in_their_pool(tenant, libvirtd, host):
    """Names that climb, sources in a pool that is not hers, documents with backing files elsewhere."""
    web, hr = host[WEB], host[HR]
    before = sorted(os.listdir(web["dir"])), sorted(os.listdir(hr["dir"])), sorted(os.listdir(os.path.dirname(web["dir"])))
    for name in ("../out", "../pool-hr-a-pool/x", "/etc/out", "a/b", "..", "."):
        for call, values in (("storage_vol_create_xml", {}), ("storage_vol_create_xml_from", {"clonevol": web["vol"]})):
            reply = tenant.do(call, pool=web["pool"], xml=f"<volume><name>{name}</name><capacity>1048576</capacity></volume>", **values)
            assert reply.status == ERROR, f"{call} {name}"
        assert tenant.do("storage_vol_lookup_by_name", pool=web["pool"], name=name).status == ERROR
        assert tenant.do("storage_vol_delete", vol=(web["pool"][0], name, web["vol"][2])).status == ERROR
    plain = "<volume><name>copy</name><capacity>1048576</capacity></volume>"
    for pool, source in ((web["pool"], hr["vol"]), (hr["pool"], web["vol"]), (hr["pool"], hr["vol"])):
        assert tenant.refused("storage_vol_create_xml_from", pool=pool, xml=plain, clonevol=source).code in MISSING
    assert tenant.refused("storage_vol_create_xml", pool=hr["pool"], xml=plain).code in MISSING
    # the header of an image that she uploaded would lead qemu-img, run as root, to any file: to read it, or to cut it
    assert tenant.refused("storage_vol_create_xml_from", pool=web["pool"], xml=plain, clonevol=web["vol"]).code == NOT_PERMITTED
    assert tenant.refused("storage_vol_resize", vol=web["vol"], capacity=2097152).code == NOT_PERMITTED
    for backing in ("/etc/shadow", hr["vol"][2]):
        tenant.refused("storage_vol_create_xml", pool=web["pool"], xml=f"<volume><name>back</name><capacity>1048576</capacity><target><format type='qcow2'/>"
                       f"</target><backingStore><path>{backing}</path><format type='raw'/></backingStore></volume>")
    for call in ("storage_vol_upload", "storage_vol_download", "storage_vol_wipe", "storage_vol_resize", "storage_vol_delete", "storage_vol_get_info"):
        assert tenant.refused(call, vol=hr["vol"]).code in MISSING
    assert (sorted(os.listdir(web["dir"])), sorted(os.listdir(hr["dir"])), sorted(os.listdir(os.path.dirname(web["dir"])))) == before


# ---- B7: documents ----

HOST_RESOURCES = {
    "emulator": "<emulator>/bin/sh</emulator>",
    "disk of the host": "<disk type='block' device='disk'><source dev='/dev/sda'/><target dev='vda'/></disk>",
    "file of the host": "<disk type='file' device='disk'><source file='/etc/shadow'/><target dev='vda'/></disk>",
    "file of another": "<disk type='file' device='disk'><source file='{hr}/hr-a-vol'/><target dev='vda'/></disk>",
    "directory": "<filesystem type='mount'><source dir='/'/><target dir='host'/></filesystem>",
    "device of the host": "<hostdev mode='subsystem' type='pci'><source><address domain='0' bus='0' slot='1' function='0'/></source></hostdev>",
    "usb": "<hostdev mode='subsystem' type='usb'><source><vendor id='0x1234'/><product id='0xbeef'/></source></hostdev>",
    "script": "<interface type='ethernet'><script path='/bin/sh'/></interface>",
    "vhost-user": "<interface type='vhostuser'><source type='unix' path='/run/x' mode='client'/></interface>",
    "direct": "<interface type='direct'><source dev='eth0' mode='passthrough'/></interface>",
    "serial to a file": "<serial type='file'><source path='/etc/cron.d/x'/></serial>",
    "serial to a device": "<serial type='dev'><source path='/dev/mem'/></serial>",
    "serial to the network": "<serial type='tcp'><source mode='connect' host='127.0.0.1' service='22'/></serial>",
    "serial log": "<serial type='pty'><log file='/etc/cron.d/x'/></serial>",
    "tpm": "<tpm model='tpm-tis'><backend type='passthrough'><device path='/dev/tpm0'/></backend></tpm>",
    "rng": "<rng model='virtio'><backend model='random'>/dev/mem</backend></rng>",
    "shmem": "<shmem name='x'><model type='ivshmem-doorbell'/><server path='/run/x'/></shmem>",
    "input": "<input type='passthrough' bus='virtio'><source evdev='/dev/input/event0'/></input>",
    "memory": "<memory model='nvdimm'><source><path>/dev/mem</path></source><target><size unit='KiB'>1024</size></target></memory>",
    "smartcard": "<smartcard mode='host-certificates'><certificate>a</certificate><certificate>b</certificate><certificate>c</certificate>"
                 "<database>/etc/pki</database></smartcard>",
    "rom": "<interface type='user'><rom file='/etc/shadow'/></interface>",
    "rendernode": "<graphics type='spice'><gl enable='yes' rendernode='/dev/mem'/></graphics>",
    "channel's name": "<channel type='unix'><source mode='bind'/><target type='virtio' name='../../../../../../etc/cron.d/x'/></channel>",
    "dump by a watchdog": "<watchdog model='i6300esb' action='dump'/>",
    "listen socket": "<graphics type='vnc' socket='/run/libvirt/libvirt-sock'/>",
}
OUTSIDE_DEVICES = {
    "kernel": ("<os><type>hvm</type><kernel>/etc/shadow</kernel></os>", ""),
    "loader": ("<os><type>hvm</type><loader readonly='no' type='pflash'>/etc/shadow</loader></os>", ""),
    "nvram": ("<os><type>hvm</type><nvram template='/etc/shadow'>/tmp/x</nvram></os>", ""),
    "acpi table": ("<os><type>hvm</type><acpi><table type='slic'>/etc/shadow</table></acpi></os>", ""),
    "resource": ("<os><type>hvm</type></os><resource><partition>/machine/../system</partition></resource>", ""),
    "seclabel": ("<os><type>hvm</type></os><seclabel type='none'/>", ""),
    "model of a seclabel": ("<os><type>hvm</type></os><seclabel model='none'/>", ""),
    "second seclabel": ("<os><type>hvm</type></os><seclabel type='dynamic' model='selinux'/><seclabel model='none' relabel='yes'/>", ""),
    "dump on a crash": ("<os><type>hvm</type></os><on_crash>coredump-restart</on_crash>", ""),
    "serial numbers": ("<os><type>hvm</type><smbios mode='host'/></os>", ""),
    "command line": ("<os><type>hvm</type></os>", "<q:commandline xmlns:q='http://libvirt.org/schemas/domain/qemu/1.0'><q:arg value='-chardev'/></q:commandline>"),
    "memory backing": ("<os><type>hvm</type></os><memoryBacking><source type='file'/></memoryBacking>", ""),
    "cpu pinning": ("<os><type>hvm</type></os><cputune><vcpupin vcpu='0' cpuset='0'/></cputune>", ""),
    "sysinfo": ("<os><type>hvm</type></os><sysinfo type='fwcfg'><entry name='opt/x' file='/etc/shadow'/></sysinfo>", ""),
}


def document(name, uuid, devices="", osxml="<os><type>hvm</type></os>", more=""):
    return f"<domain type='qemu'><name>{name}</name><uuid>{uuid}</uuid><memory>8192</memory>{osxml}<devices>{devices}</devices>{more}</domain>"


def test_I35_documents_of_a_tenant_reach_no_host(tenant, libvirtd, host):
    """As a definition, a transient guest, a device: refused for each kind of thing of the host, and nothing is there afterwards."""
    dom = host[WEB]["dom"]
    whole = [document(WEB, WEB_UUID, xml.format(hr=host[HR]["dir"])) for xml in HOST_RESOURCES.values()]
    whole += [document(WEB, WEB_UUID, osxml=osxml, more=more) for osxml, more in OUTSIDE_DEVICES.values()]
    before = ask(libvirtd, STATE, libvirtd.qemu_uri)
    for xml in whole:
        tenant.refused("domain_define_xml", xml=xml)
        tenant.refused("domain_define_xml_flags", xml=xml)
        tenant.refused("domain_create_xml", xml_desc=xml)
    for xml in HOST_RESOURCES.values():
        if xml.startswith("<emulator"):
            continue
        for call in ("domain_attach_device", "domain_attach_device_flags", "domain_update_device_flags"):
            more = {} if call == "domain_attach_device" else {"flags": 2}
            tenant.refused(call, dom=dom, xml=xml.format(hr=host[HR]["dir"]), **more)
    assert json.loads(ask(libvirtd, STATE, libvirtd.qemu_uri)) == json.loads(before)


def test_I36_documents_name_their_own_domain(tenant, libvirtd, host):
    """The UUID or the name of a domain that is not hers; whose it is, is not told. (A UUID that is taken cannot be told from one that is
    free by anything but that no domain can be made with it.)"""
    before = ask(libvirtd, STATE, libvirtd.qemu_uri)
    free = "99999999-0000-4000-8000-000000000098"
    texts = []
    for name, uuid in ((WEB, HR_UUID), (HR, WEB_UUID), (HR, HR_UUID), ("web-new", HR_UUID), (HR, free)):
        for call in ("domain_define_xml", "domain_create_xml"):
            reply = tenant.refused(call, **{"xml" if "define" in call else "xml_desc": document(name, uuid)})
            texts.append(reply.text)
    assert not [text for text in texts if "already exists" in text or "is already" in text]
    assert not [text for text in texts[:2] + texts[6:8] if HR in text or HR_UUID in text]
    assert json.loads(ask(libvirtd, STATE, libvirtd.qemu_uri)) == json.loads(before)


def test_B7_I40_documents_that_replace_the_definition(tenant, libvirtd, host):
    """Every other way in for a definition: with save, restore, managed save, snapshot, checkpoint, backup and migration."""
    dom = host[WEB]["dom"]
    evil = document(HR, HR_UUID, HOST_RESOURCES["disk of the host"])
    snapshot = f"<domainsnapshot><name>s</name><state>shutoff</state><creationTime>1</creationTime>{evil}</domainsnapshot>"
    outside = "<domainsnapshot><disks><disk name='hda' snapshot='external'><source file='/etc/cron.d/x'/></disk></disks></domainsnapshot>"
    checkpoint = f"<domaincheckpoint><name>c</name><creationTime>1</creationTime>{evil}</domaincheckpoint>"
    backup = "<domainbackup mode='push'><disks><disk name='hda' type='file'><target file='/etc/cron.d/x'/></disk></disks></domainbackup>"
    pull = "<domainbackup mode='pull'><server transport='tcp' name='0.0.0.0' port='10809'/></domainbackup>"
    before = ask(libvirtd, STATE, libvirtd.qemu_uri)
    for call, values in (("domain_save_flags", {"dom": dom, "to": f"{host[WEB]['dir']}/image", "dxml": evil}),
                         ("domain_restore_flags", {"from": f"{host[WEB]['dir']}/image", "dxml": evil}),
                         ("domain_save_image_define_xml", {"file": f"{host[WEB]['dir']}/image", "dxml": evil}),
                         ("domain_managed_save_define_xml", {"dom": dom, "dxml": evil}),
                         ("domain_snapshot_create_xml", {"dom": dom, "xml_desc": snapshot, "flags": 1}),
                         ("domain_snapshot_create_xml", {"dom": dom, "xml_desc": outside, "flags": 16}),
                         ("domain_backup_begin", {"dom": dom, "backup_xml": backup}), ("domain_backup_begin", {"dom": dom, "backup_xml": pull}),
                         ("domain_migrate_begin3", {"dom": dom, "xmlin": evil}),
                         ("domain_migrate_begin3_params", {"dom": dom, "params": [("destination_xml", evil)]})):
        tenant.refused(call, **values)
    # with a definition of her own guest that reaches the host, libvirtd would take it
    mine = checkpoint.replace(evil, "<disks><disk name='vda' checkpoint='bitmap'/></disks>" + document(WEB, WEB_UUID, HOST_RESOURCES["disk of the host"]))
    for xml in (checkpoint, mine):
        tenant.refused("domain_checkpoint_create_xml", dom=dom, xml_desc=xml, flags=1)
    assert json.loads(ask(libvirtd, STATE, libvirtd.qemu_uri)) == json.loads(before)
    assert not os.path.exists("/etc/cron.d/x")


@pytest.mark.parametrize("prolog", ["<!DOCTYPE domain [<!ENTITY x SYSTEM 'file:///etc/hostname'>]>", "<!DOCTYPE domain SYSTEM 'http://127.0.0.1:1/x.dtd'>",
                                    "<!DOCTYPE domain [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;'><!ENTITY x '&b;&b;&b;&b;&b;&b;'>]>"])
def test_I37_no_entity_is_read(gateway, libvirtd, prolog):
    """By somebody who may define whatever he likes: the document itself is refused, nothing of it becomes a domain."""
    with attacker(gateway, "admin", libvirtd.test_uri) as admin:
        xml = f"{prolog}<domain type='test'><name>web-ent</name><memory>8192</memory><title>&x;</title><os><type>hvm</type></os></domain>"
        try:
            assert admin.do("domain_define_xml_flags", xml=xml).status == ERROR
        except EOFError:
            pass
    assert "web-ent" not in libvirtd.virsh("list", "--all", "--name").stdout


@pytest.mark.plain      # a sanitizer keeps what was freed
def test_I37_deep_and_wide_documents_cost_little(gateway, libvirtd):
    """Nesting, attributes and entities beyond reason, by somebody who may define: an error, and the gateway serves on."""
    before = gateway.memory_kib("front", "gate")
    depth = 100_000
    for xml in ("<domain>" + "<a>" * depth + "</a>" * depth + "</domain>", "<domain " + " ".join(f"a{i}=''" for i in range(50_000)) + "/>",
                "<domain a='1' a='2'><name>web-x</name></domain>", "<domain><name>web-x</name>" + "<b/>" * 200_000, "\xff<domain/>",
                "<x:domain xmlns:x='urn:x'><name>web-x</name></x:domain>"):
        with attacker(gateway, "admin", libvirtd.test_uri) as admin:
            try:
                assert admin.do("domain_define_xml_flags", xml=xml).status == ERROR
            except EOFError:
                pass
        with attacker(gateway, "alice", libvirtd.test_uri) as alice:
            try:
                assert alice.do("domain_define_xml_flags", xml=xml).status == ERROR
            except EOFError:
                pass
            assert alice.do("connect_get_lib_version").status == OK
    assert gateway.memory_kib("front", "gate") - before < 64 * 1024
    assert "web-x" not in libvirtd.virsh("list", "--all", "--name").stdout


# ---- the host itself ----

def test_I43_host_objects_need_host_rights(tenant, gateway, libvirtd, host):
    """What reaches the host's storage, devices, interfaces and filters, named as if it were hers."""
    before = ask(libvirtd, STATE, libvirtd.qemu_uri)
    pools = [f"<pool type='{kind}'><name>web-x</name><source><host name='127.0.0.1'/><dir path='/'/><device path='/dev/sda'/></source>"
             "<target><path>/</path></target></pool>" for kind in ("dir", "fs", "netfs", "disk", "iscsi", "logical", "rbd", "scsi")]
    network = "<network><name>web-x</name><forward mode='passthrough'><interface dev='eth0'/></forward></network>"
    dnsmasq = "<network xmlns:dnsmasq='http://libvirt.org/schemas/network/dnsmasq/1.0'><name>web-x</name><dnsmasq:options>" \
              "<dnsmasq:option value='dhcp-script=/bin/sh'/></dnsmasq:options></network>"
    for xml in pools:
        tenant.refused("storage_pool_define_xml", xml=xml)
        tenant.refused("storage_pool_create_xml", xml=xml)
    for kind in ("netfs", "iscsi", "logical", "disk"):
        tenant.refused("connect_find_storage_pool_sources", type=kind, srcSpec="<source><host name='127.0.0.1'/></source>")
    for xml in (network, dnsmasq):
        tenant.refused("network_define_xml", xml=xml)
        tenant.refused("network_create_xml", xml=xml)
    tenant.refused("interface_define_xml", xml="<interface type='ethernet' name='web-x'/>")
    for call in ("interface_change_begin", "interface_change_commit", "interface_change_rollback"):
        tenant.refused(call)
    tenant.refused("nwfilter_define_xml", xml="<filter name='web-x'/>")
    tenant.refused("nwfilter_binding_create_xml", xml="<filterbinding><owner><name>web-a</name></owner><portdev name='web-x'/></filterbinding>")
    tenant.refused("node_device_create_xml", xml_desc="<device><parent>scsi_host1</parent></device>")
    tenant.refused("node_device_define_xml", xml_desc="<device><parent>scsi_host1</parent></device>")
    for call in ("node_device_detach_flags", "node_device_dettach", "node_device_re_attach", "node_device_reset", "node_device_destroy"):
        tenant.refused(call, name="pci_0000_00_00_0")
    for call in ("node_suspend_for_duration", "node_set_memory_parameters", "node_alloc_pages"):
        tenant.refused(call)
    tenant.refused("storage_pool_build", pool=host[HR]["pool"])
    assert json.loads(ask(libvirtd, STATE, libvirtd.qemu_uri)) == json.loads(before)


def test_I44_migration_goes_nowhere(tenant, host):
    """Out of this host, into it, peer to peer, with a listener or a tunnel: not for a tenant."""
    dom = host[WEB]["dom"]
    uri = [("migrate_uri", "tcp://127.0.0.1:1"), ("destination_xml", document(WEB, WEB_UUID)), ("listen_address", "0.0.0.0")]
    for call, values in (("domain_migrate_perform", {"dom": dom, "uri": "tcp://127.0.0.1:1"}),
                         ("domain_migrate_perform3", {"dom": dom, "dconnuri": "qemu+ssh://127.0.0.1/system", "uri": "tcp://127.0.0.1:1", "flags": 2}),
                         ("domain_migrate_perform3_params", {"dom": dom, "dconnuri": "qemu+tcp://127.0.0.1/system", "params": uri, "flags": 2}),
                         ("domain_migrate_prepare2", {"uri_in": "tcp://0.0.0.0:1", "dom_xml": document(WEB, WEB_UUID)}),
                         ("domain_migrate_prepare3", {"uri_in": "tcp://0.0.0.0:1", "dom_xml": document(WEB, WEB_UUID)}),
                         ("domain_migrate_prepare3_params", {"params": uri}), ("domain_migrate_prepare_tunnel3", {"dom_xml": document(WEB, WEB_UUID)}),
                         ("domain_migrate_prepare_tunnel3_params", {"params": uri}), ("domain_migrate_finish2", {"dname": "hr-a", "uri": "tcp://x"}),
                         ("domain_migrate_finish3", {"dname": "hr-a"}), ("domain_migrate_begin3", {"dom": dom})):
        tenant.refused(call, **values)


def test_I45_I61_secrets_and_their_record(tenant, gateway, libvirtd, host):
    """The value of a secret is for read_secure; set by whoever may, it stands in no record."""
    web, hr = host[WEB], host[HR]
    assert tenant.do("secret_get_xml_desc", secret=web["secret"]).status == OK
    denied(tenant, "secret_get_value", secret=web["secret"])
    assert tenant.refused("secret_get_value", secret=hr["secret"]).code in MISSING
    assert tenant.refused("secret_set_value", secret=hr["secret"], value=b"x").code in MISSING
    with attacker(gateway, "bob", libvirtd.qemu_uri) as viewer:
        denied(viewer, "secret_get_value", secret=web["secret"])
        denied(viewer, "secret_set_value", secret=web["secret"], value=b"x")
    word = b"a word that nobody may read in the trail"
    with attacker(gateway, "admin", libvirtd.qemu_uri) as admin:
        assert admin.do("secret_set_value", secret=web["secret"], value=word).status == OK
        assert VALUE not in (reply := admin.do("secret_get_value", secret=web["secret"])).body and word in reply.body
        admin.do("domain_set_user_password", dom=web["dom"], user="root", password=word.decode())
        admin.do("domain_define_xml_flags", xml=document(WEB, WEB_UUID, f"<graphics type='vnc' passwd='{word.decode()[:8]}'/>").replace("<os>", "<wrong/><os>"))
    gateway.wait_audit(call="secret_set_value", stage="outcome", result__status="ok")
    for name in os.listdir(f"{gateway.dir}/audit"):
        with open(f"{gateway.dir}/audit/{name}", "rb") as file:
            data = file.read()
        assert b"nobody may read" not in data and word[:20] not in data and word.hex().encode() not in data


def test_I46_emulators_and_native_files_need_host_rights(tenant, gateway, libvirtd, host):
    native = "/usr/bin/qemu-system-x86_64 -hda /etc/shadow"
    with attacker(gateway, "bob", libvirtd.qemu_uri) as viewer, attacker(gateway, "carol", libvirtd.qemu_uri) as operator:
        for client in (tenant, viewer, operator):
            client.refused("connect_domain_xml_from_native", nativeFormat="qemu-argv", nativeConfig=native)
            client.refused("connect_domain_xml_to_native", nativeFormat="qemu-argv", domainXml=document(WEB, WEB_UUID))
            for emulator in ("/bin/sh", "/tmp/x", "../x"):
                client.refused("connect_get_domain_capabilities", emulatorbin=emulator)
                client.refused("connect_compare_hypervisor_cpu", emulator=emulator, xmlCPU="<cpu/>")
                client.refused("connect_baseline_hypervisor_cpu", emulator=emulator, xmlCPUs=["<cpu/>"])


def test_I33_vm_admin_has_no_monitor(tenant, host):
    for cmd in ("info status", '{"execute":"human-monitor-command"}'):
        denied(tenant, "domain_monitor_command", dom=host[WEB]["dom"], cmd=cmd, flags=1)
    denied(tenant, "domain_agent_command", dom=host[WEB]["dom"], cmd='{"execute":"guest-exec"}')


def test_I30_read_only_by_choice_changes_nothing(gateway, libvirtd, unchanged):
    """An admin who opened with VIR_CONNECT_RO; the calls that libvirt's first notices were about."""
    dom = ("web-1", libvirtd.seeds["web-1"][0])
    with attacker(gateway, "admin", libvirtd.test_uri, flags=1) as client:
        for call, values in (("domain_destroy", {"dom": dom}), ("domain_set_memory", {"dom": dom, "memory": 1}), ("domain_undefine", {"dom": dom}),
                             ("domain_set_autostart", {"dom": dom, "autostart": 1}), ("domain_get_xml_desc", {"dom": dom, "flags": 1}),
                             ("domain_save", {"dom": dom, "to": "/tmp/x"}), ("node_device_dettach", {"name": "computer"})):
            reply = client.do(call, **values)
            assert reply.status == ERROR and struct.unpack("!i", reply.body[:4])[0] in (3, 29, NOT_PERMITTED), f"{call}: {reply!r}"
