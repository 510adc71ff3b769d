"""What a vm-admin of some guests may ask for in documents and paths, with virsh, on the QEMU driver."""
import json
import os

import pytest

from lab.libvirtd import have_qemu

TENANCY = {
    "version": 1,
    "bindings": [
        {"id": "alice-runs-web", "who": ["x509-cn:alice"], "role": "vm-admin",
         "on": ["domain:web-*", "storage_pool:tenant", "network:tenant-net"]},
        {"id": "alice-looks", "who": ["x509-cn:alice"], "role": "viewer", "on": ["network:*", "storage_pool:*"]},
        {"id": "admin", "who": ["x509-cn:admin"], "role": "admin", "on": ["*"]},
    ],
}
NETWORK = "<network><name>{0}</name><bridge name='{1}'/><ip address='{2}' netmask='255.255.255.0'/></network>"


@pytest.fixture(scope="module")
def saves(scratch):
    """A directory that libvirtd writes in, and the gateway's user may search but not read."""
    directory = scratch.directory("admission-saves")
    os.chmod(directory, 0o711)
    return directory


@pytest.fixture(scope="module")
def gateway(make_gateway, saves):
    return make_gateway("admission", policy=TENANCY, save_dirs=[saves], migration_uris=["tcp://kvm2.example.com"])


@pytest.fixture(scope="module")
def place(libvirtd, scratch):
    """Pools tenant and other with a volume each, networks tenant-net and management."""
    if not have_qemu():
        pytest.skip("there is no QEMU here")
    uri = libvirtd.qemu_uri
    dirs = {name: libvirtd.storage_pool(name) for name in ("tenant", "other")}
    for name in dirs:
        libvirtd.virsh("vol-create-as", name, "disk.img", "4M", "--format", "raw", uri=uri)
    for name, bridge, address in (("tenant-net", "vgt0", "10.211.1.1"), ("management", "vgm0", "10.211.2.1")):
        libvirtd.virsh("net-define", scratch.write(f"{name}.xml", NETWORK.format(name, bridge, address)), uri=uri)
    yield dirs
    for name in ("tenant-net", "management"):
        libvirtd.virsh("net-undefine", name, uri=uri)
    for name in dirs:
        libvirtd.virsh("vol-delete", "disk.img", name, uri=uri)
        libvirtd.virsh("pool-destroy", name, uri=uri)
        libvirtd.virsh("pool-undefine", name, uri=uri)


def document(name, devices="", more=""):
    return (f"<domain type='qemu'><name>{name}</name><memory unit='MiB'>64</memory><vcpu>1</vcpu><os><type arch='x86_64'>hvm</type></os>{more}"
            f"<devices><emulator>/usr/bin/qemu-system-x86_64</emulator>{devices}<memballoon model='none'/></devices></domain>")


def raw_disk(path, target="vda"):
    return f"<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{path}'/><target dev='{target}' bus='virtio'/></disk>"


@pytest.fixture
def alice(gateway, libvirtd, scratch):
    """Runs virsh as her, with the text of a document as its file."""
    def run(*arguments, xml=None, who="alice"):
        words = [scratch.write("admission.xml", xml) if word == "FILE" else word for word in arguments]
        return gateway.virsh(who, *words, uri=libvirtd.qemu_uri)
    return run


@pytest.fixture
def web(alice, libvirtd, place):
    """A guest that alice defined herself, with a disk of hers."""
    done = alice("define", "FILE", xml=document("web-own", raw_disk(f"{place['tenant']}/disk.img")))
    assert done.returncode == 0, done.stderr
    yield "web-own"
    libvirtd.virsh("destroy", "web-own", uri=libvirtd.qemu_uri, check=False)
    libvirtd.virsh("undefine", "web-own", "--snapshots-metadata", uri=libvirtd.qemu_uri)


def refused(done, *texts):
    assert done.returncode != 0, done.stdout
    for text in texts:
        assert text in done.stderr, done.stderr


def test_I38_tenant_defines_starts_and_changes_a_guest(alice, web, place, libvirtd):
    """A guest's whole life within what is hers; libvirtd has it as the gateway wrote it."""
    assert alice("start", web).returncode == 0
    assert libvirtd.state(web, uri=libvirtd.qemu_uri) == "running"
    done = alice("attach-device", web, "FILE", "--live", xml="<interface type='network'><source network='tenant-net'/><model type='virtio'/></interface>")
    refused(done, "is not active")      # libvirt's own answer: it came that far
    assert alice("destroy", web).returncode == 0
    done = alice("attach-device", web, "FILE", "--config", xml="<!-- mine --><interface type='network'><source network='tenant-net'/></interface>")
    assert done.returncode == 0, done.stderr
    assert "tenant-net" in libvirtd.virsh("dumpxml", web, uri=libvirtd.qemu_uri).stdout


def test_I35_each_document_names_rule_and_place(alice, gateway, place):
    for devices, more, rule, where in (
            ("<hostdev mode='subsystem' type='pci'><source><address domain='0' bus='0' slot='1' function='0'/></source></hostdev>", "",
             "host-device", "/domain/devices/hostdev"),
            ("<serial type='file'><source path='/etc/cron.d/x'/></serial>", "", "chardev", "/domain/devices/serial"),
            ("<filesystem><source dir='/'/><target dir='r'/></filesystem>", "", "filesystem", "/domain/devices/filesystem"),
            ("<graphics type='vnc' port='-1'/>", "", "graphics", "/domain/devices/graphics"),
            ("", "<seclabel type='none'/>", "seclabel", "/domain/seclabel"),
            ("", "<memoryBacking><locked/></memoryBacking>", "host-memory", "/domain/memoryBacking/locked")):
        done = alice("define", "FILE", xml=document("web-bad", devices, more))
        refused(done, f"admission rule '{rule}' at {where}", "(line 1)", "decision 01")
    for rule in ("host-device", "chardev", "seclabel"):
        gateway.wait_audit(call="domain_define_xml", decision__rule=rule, result__status="denied")
    done = alice("define", "FILE", xml=document("web-bad").replace("<domain type", "<domain xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0' type")
                 .replace("</domain>", "<qemu:commandline><qemu:arg value='-S'/></qemu:commandline></domain>"))
    refused(done, "of a namespace outside metadata")


def test_I41_disks_and_networks_must_be_hers(alice, place, scratch):
    """By path, by pool and name, as a backing image, a network: one answer whether it is another's or not there."""
    other, hers = place["other"], place["tenant"]
    for path in (f"{other}/disk.img", "/etc/shadow", "/dev/sda", f"{hers}/missing.img", f"{hers}/../{os.path.basename(other)}/disk.img"):
        refused(alice("define", "FILE", xml=document("web-bad", raw_disk(path))), "'storage_vol:data_read' on the volume at", "which the document uses")
    for pool in ("other", "nowhere"):
        refused(alice("define", "FILE", xml=document("web-bad", f"<disk type='volume' device='disk'><driver name='qemu' type='raw'/>"
                                                     f"<source pool='{pool}' volume='disk.img'/><target dev='vda'/></disk>")),
                f"'storage_vol:data_read' on storage volume '{pool}/disk.img'")
    chain = raw_disk(f"{hers}/disk.img").replace("type='raw'", "type='qcow2'")
    refused(alice("define", "FILE", xml=document("web-bad", chain)), "admission rule 'backing-chain'")
    refused(alice("define", "FILE", xml=document("web-bad", chain.replace(
        "<target", f"<backingStore type='file'><format type='raw'/><source file='{other}/disk.img'/></backingStore><target"))), "which the document uses")
    for network in ("management", "nowhere"):
        refused(alice("define", "FILE", xml=document("web-bad", f"<interface type='network'><source network='{network}'/></interface>")),
                f"'network:use' on network '{network}'")
    refused(alice("define", "FILE", xml=document("web-bad", "<interface type='bridge'><source bridge='vgm0'/></interface>")), "rule 'interface-type'")
    refused(alice("vol-create", "tenant", "FILE", xml=f"<volume><name>x</name><capacity>1</capacity><backingStore><path>{other}/disk.img</path>"
                                                      "<format type='raw'/></backingStore></volume>"), "which the document uses")


def test_B6_by_attach_and_snapshot(alice, web, place):
    refused(alice("attach-device", web, "FILE", "--config", xml=raw_disk(f"{place['other']}/disk.img", "vdb")), "which the document uses")
    refused(alice("attach-device", web, "FILE", "--config", xml="<hostdev mode='subsystem' type='usb'/>"), "rule 'host-device' at /hostdev")
    refused(alice("snapshot-create", web, "FILE", xml="<domainsnapshot><disks><disk name='vda' snapshot='external'><source file='/etc/cron.d/x'/></disk>"
                                                      "</disks></domainsnapshot>"), "rule 'snapshot-file'")


def test_I39_saves_only_where_the_settings_say(alice, web, saves, libvirtd):
    assert alice("start", web).returncode == 0
    for path in ("/etc/x", f"{saves}/../x", "/dev/null"):
        refused(alice("save", web, path), "access denied")
        refused(alice("dump", web, path, "--memory-only"), "access denied")
    os.symlink("/etc", f"{saves}/link")
    refused(alice("save", web, f"{saves}/link/x"), "is not a directory")
    done = alice("save", web, f"{saves}/web")
    assert done.returncode == 0, done.stderr
    assert libvirtd.state(web, uri=libvirtd.qemu_uri) == "shut off"
    done = alice("restore", f"{saves}/web")
    assert done.returncode == 0, done.stderr
    assert alice("save", web, f"{saves}/web").returncode == 0           # over her own image
    refused(alice("restore", f"{saves}/none"), "there is no saved domain in")
    refused(alice("restore", "/etc/passwd"), "access denied")


def test_I39_anothers_image_looks_like_none(alice, saves, libvirtd, guests):
    """An image of hr's guest in the same directory: not to be restored, read, overwritten."""
    uri = libvirtd.qemu_uri
    libvirtd.virsh("start", "hr-q", uri=uri)
    libvirtd.virsh("save", "hr-q", f"{saves}/hr", uri=uri)
    texts = [alice("restore", f"{saves}/{name}").stderr.replace(f"{saves}/{name}", "PATH") for name in ("hr", "nothing")]
    assert texts[0] == texts[1]
    assert "there is no saved domain in" in texts[0]
    assert libvirtd.state("hr-q", uri=uri) == "shut off"


def test_I36_the_guests_own_documents_on_every_road(alice, web, saves, libvirtd, place):
    """What comes with a save, a restore, a saved image or a managed save is a definition too, and must be of the same guest."""
    uri, image = libvirtd.qemu_uri, f"{saves}/road"
    good = alice("dumpxml", web, "--inactive").stdout
    bad = good.replace("</devices>", "<serial type='file'><source path='/etc/cron.d/x'/></serial></devices>")
    other = good.replace(">web-own<", ">hr-q<")
    assert alice("start", web).returncode == 0
    for xml, why in ((bad, "admission rule 'chardev'"), (other, "must be those of domain 'web-own'")):
        refused(alice("save", web, image, "--xml", "FILE", xml=xml), why)
    done = alice("save", web, image, "--xml", "FILE", xml=good)
    assert done.returncode == 0, done.stderr
    for xml, why in ((bad, "admission rule 'chardev'"), (other, "must be those of domain 'web-own'")):
        refused(alice("save-image-define", image, "FILE", xml=xml), why)
        refused(alice("restore", image, "--xml", "FILE", xml=xml), why)
    done = alice("save-image-define", image, "FILE", xml=good)
    assert done.returncode == 0, done.stderr
    done = alice("restore", image, "--xml", "FILE", xml=good)
    assert done.returncode == 0, done.stderr
    assert libvirtd.state(web, uri=uri) == "running"
    assert alice("managedsave", web).returncode == 0
    refused(alice("managedsave-define", web, "FILE", xml=bad), "admission rule 'chardev'")
    done = alice("managedsave-define", web, "FILE", xml=good)
    assert done.returncode == 0, done.stderr
    assert alice("managedsave-remove", web).returncode == 0


def test_copies_backups_and_checkpoints_go_to_her_volumes(alice, web, place):
    def disk(path, driver="<driver type='raw'/>"):
        return f"<disk type='file'>{driver}<source file='{path}'/></disk>"

    def backup(path):
        return (f"<domainbackup><disks><disk name='vda' type='file'><driver type='raw'/><target file='{path}'/></disk></disks></domainbackup>")

    assert alice("start", web).returncode == 0
    for path in (f"{place['other']}/disk.img", "/etc/cron.d/x"):
        refused(alice("blockcopy", web, "vda", "--xml", "FILE", xml=disk(path)), "which the document uses")
        refused(alice("backup-begin", web, "FILE", xml=backup(path)), "which the document uses")
    refused(alice("blockcopy", web, "vda", "--reuse-external", "--xml", "FILE", xml=disk(f"{place['tenant']}/disk.img", "")), "rule 'copy-format'")
    refused(alice("backup-begin", web, "FILE", xml="<domainbackup mode='pull'><server transport='tcp' name='0.0.0.0' port='10809'/></domainbackup>"),
            "rule 'backup-pull'")
    refused(alice("checkpoint-create", web, "FILE", "--redefine", xml=f"<domaincheckpoint><name>c</name>{document('web-own')}</domaincheckpoint>"),
            "rule 'checkpoint-element' at /domaincheckpoint/domain")
    done = alice("blockcopy", web, "vda", "--xml", "FILE", "--wait", "--finish", xml=disk(f"{place['tenant']}/copy.img"))
    refused(done, "which the document uses")        # it must be there: a name that nobody has is nobody's
    assert alice("vol-create-as", "tenant", "copy.img", "4M", "--format", "raw").returncode == 0
    done = alice("blockcopy", web, "vda", "--reuse-external", "--transient-job", "--xml", "FILE", "--wait", "--finish", xml=disk(f"{place['tenant']}/copy.img"))
    assert done.returncode == 0, done.stderr
    done = alice("backup-begin", web, "FILE", "--reuse-external", xml=backup(f"{place['tenant']}/copy.img"))
    assert done.returncode == 0, done.stderr
    assert alice("destroy", web).returncode == 0
    assert alice("vol-delete", "copy.img", "tenant").returncode == 0


def test_I44_migration_goes_where_the_settings_say(alice, web, gateway):
    assert alice("start", web).returncode == 0
    for arguments in (("--p2p", "--live", web, "qemu+tcp://evil.example.com/system"), ("--p2p", "--live", web, "qemu+ssh://kvm2.example.com/system")):
        refused(alice("migrate", *arguments), "is none of the places that a migration may go to")


def test_privileged_documents_pass_as_they_are(alice, libvirtd, place):
    """Who holds the permission on everything is not judged by the profile."""
    done = alice("define", "FILE", xml=document("adm-1", "<serial type='file'><source path='/tmp/x'/></serial>"), who="admin")
    assert done.returncode == 0, done.stderr
    libvirtd.virsh("undefine", "adm-1", uri=libvirtd.qemu_uri)


COUNTS = """
c = connect()
pool = c.storagePoolLookupByName("tenant")
answer([c.numOfStoragePools(), len(c.listStoragePools()), len(c.listAllStoragePools())])
answer([c.numOfDefinedNetworks(), len(c.listDefinedNetworks()), len([n for n in c.listAllNetworks() if not n.isActive()])])
answer([c.numOfNetworks(), len(c.listNetworks())])
answer([pool.numOfVolumes(), len(pool.listVolumes()), len(pool.listAllVolumes())])
answer([c.numOfSecrets(), len(c.listSecrets()), len(c.listAllSecrets())])
answer([c.numOfDevices(None), len(c.listDevices(None)), len(c.listAllDevices())])
"""


@pytest.mark.parametrize("by", ("name", "uuid"))
def test_I51_bare_counts_are_those_of_the_lists(own_gateway, libvirtd, place, by):
    """Of pools, networks, volumes: what is hers, by name and by UUID, however it is asked for."""
    uri = libvirtd.qemu_uri
    pool, network = ("storage_pool:tenant", "network:tenant-net") if by == "name" else (
        "storage_pool:uuid:" + libvirtd.virsh("pool-uuid", "tenant", uri=uri).stdout.strip(),
        "network:uuid:" + libvirtd.virsh("net-uuid", "tenant-net", uri=uri).stdout.strip())
    policy = {"version": 1, "bindings": [{"id": "hers", "who": ["x509-cn:alice"], "role": "vm-admin", "on": [pool, network]},
                                         {"id": "all", "who": ["x509-cn:admin"], "role": "admin", "on": ["*"]}]}
    gateway = own_gateway(policy=policy)
    hers = gateway.python("alice", COUNTS, uri=uri)
    assert hers[0] == [1, 1, 1]
    assert hers[3] == [1, 1, 1]
    assert hers[2][0] == hers[2][1] == 0
    assert hers[4] == [0, 0, 0] and hers[5] == [0, 0, 0]
    assert hers[1] == [1, 1, 1]
    everything = gateway.python("admin", COUNTS, uri=uri)
    for counts in everything:
        assert len(set(counts)) == 1, counts
    assert everything[0][0] >= 2 and everything[1][0] >= 2


# ---- rows of the policy ----

SECURE = ("<domain type='test'><name>{name}</name><memory unit='MiB'>{memory}</memory><vcpu>{vcpus}</vcpu>"
          "<os firmware='efi'><type arch='x86_64'>hvm</type><loader secure='yes'/></os><features><acpi/><smm state='on'/></features>"
          "<devices>{devices}<tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm></devices></domain>")
INTERFACE = "<interface type='network'><mac address='{mac}'/><source network='default'/>{filter}</interface>"


@pytest.fixture(scope="module")
def by_rows(make_gateway):
    """alice is restricted, bob is judged by nobody, admin by baseline too; an auditing and a warning row about everybody else."""
    who = {name: [f"x509-cn:{name}"] for name in ("alice", "bob", "admin", "carol")}
    rights = [{"id": f"{name}-all", "who": who[name], "role": "vm-admin", "on": ["domain:web-*", "network:default"]} for name in ("alice", "bob", "carol")]
    return make_gateway("admission-rows", policy={
        "version": 1, "bindings": rights + [{"id": "admin", "who": who["admin"], "role": "admin", "on": ["*"]}],
        "admission": [
            {"id": "tenants", "profile": "restricted", "who": who["alice"], "macs": ["52:54:00:AA:*"], "max_vcpus": 2, "max_memory_mib": 1024},
            {"id": "trusted", "profile": "privileged", "who": who["bob"]},
            {"id": "admins", "profile": "baseline", "who": who["admin"]},
            {"id": "soon", "profile": "restricted", "mode": "warn", "who": who["carol"]},
            {"id": "all", "profile": "restricted", "mode": "audit", "except": ["role:admin", *who["alice"]]},
        ],
        "rules": [
            {"id": "titled", "class": "domain", "must": "/domain/title", "who": who["bob"], "message": "no title", "hint": "<title>cost centre</title>"},
            {"id": "owned", "class": "domain", "must": "/domain/title = $user and /domain/name = $object and $cn = $user", "who": who["admin"],
             "mode": "audit"},
            {"id": "not-so-many", "class": "device", "must_not": "/domain/devices/disk[3]", "mode": "warn"},
        ]})


def secure(name="web-r", memory=512, vcpus=1, devices=""):
    return SECURE.format(name=name, memory=memory, vcpus=vcpus, devices=devices)


def nic(mac="52:54:00:aa:00:01", name="clean-traffic"):
    return INTERFACE.format(mac=mac, filter=f"<filterref filter='{name}'/>" if name else "")


@pytest.fixture
def define(by_rows, scratch, libvirtd):
    """Defines a guest of the test driver, and takes it away again."""
    def run(who, xml):
        done = by_rows.virsh(who, "define", scratch.write("row.xml", xml))
        if done.returncode == 0:
            by_rows.virsh("admin", "undefine", "web-r")
        return done
    return run


def test_a_restricted_tenant_keeps_to_his_row(define):
    done = define("alice", secure())
    assert done.returncode == 0, done.stderr
    for xml, rule in ((secure(memory=1025), "memory-bound"), (secure(vcpus=3), "vcpu-bound"),
                      (secure(devices=nic(mac="52:54:00:bb:00:01")), "interface-mac"), (secure(devices=nic(name="")), "interface-filter"),
                      (secure(devices=nic()).replace("<source network='default'/>", "<source network='default' portgroup='x'/>"), "known-element"),
                      (secure().replace(" secure='yes'", ""), "secure-boot"), (secure().replace("2.0", "1.2"), "vtpm"),
                      (secure(devices="<hostdev mode='subsystem' type='usb'/>"), "host-device")):
        refused(define("alice", xml), f"admission rule '{rule}' at /domain", "row 'tenants'")


def test_plain_arguments_keep_to_the_row_too(by_rows, scratch):
    """Processors, memory and autostart by the calls of their own, which bring no document."""
    assert by_rows.virsh("alice", "define", scratch.write("row.xml", secure())).returncode == 0
    try:
        for words, rule in ((("setvcpus", "web-r", "3", "--config", "--maximum"), "vcpu-bound"), (("setmaxmem", "web-r", "2G", "--config"), "memory-bound"),
                            (("setmem", "web-r", "2G", "--config"), "memory-bound"), (("autostart", "web-r"), "autostart")):
            refused(by_rows.virsh("alice", *words), f"admission rule '{rule}', row 'tenants'")
            done = by_rows.virsh("bob", *words)         # of whom no row bounds anything
            assert "access denied" not in done.stderr, done.stderr
        for words in (("setvcpus", "web-r", "2", "--config", "--maximum"), ("autostart", "web-r", "--disable"), ("setmaxmem", "web-r", "1G", "--config")):
            done = by_rows.virsh("alice", *words)
            assert "access denied" not in done.stderr, done.stderr
        record = by_rows.wait_audit(call="domain_set_autostart", result__status="denied")[-1]
        assert record["admission"] == [{"rule": "autostart", "path": "", "line": 0, "row": "tenants", "mode": "enforce"}]
    finally:
        by_rows.virsh("admin", "undefine", "web-r")


def test_rows_free_bind_and_warn(define, by_rows):
    bad = secure(devices="<serial type='file'><source path='/tmp/x'/></serial>")
    assert define("bob", bad.replace("<memory", "<title>t</title><memory", 1)).returncode == 0
    refused(define("bob", bad), "admission rule 'titled' at /domain (line 1): no title; <title>cost centre</title>")
    refused(define("admin", bad), "admission rule 'chardev'", "row 'admins'")
    record = by_rows.wait_audit(call="domain_define_xml", user__x509="CN=admin,O=Lab", result__status="denied")[-1]
    assert "owned" in [note["rule"] for note in record["admission"]]
    refused(define("admin", bad.replace("<memory", "<title>admin</title><memory", 1)), "admission rule 'chardev'", "row 'admins'")
    record = by_rows.wait_audit(2, call="domain_define_xml", user__x509="CN=admin,O=Lab", result__status="denied")[-1]
    assert "owned" not in [note["rule"] for note in record["admission"]]
    # carol is no tenant of a row that refuses: what holds without one still does, and what would be refused is told
    refused(define("carol", bad), "admission rule 'chardev' at /domain/devices/serial (line 1): ")
    done = define("carol", secure(memory=100).replace(" secure='yes'", ""))
    assert done.returncode == 0, done.stderr
    record = by_rows.wait_audit(call="domain_define_xml", stage="intent", user__x509="CN=carol,O=Lab")[-1]
    assert [(note["rule"], note["row"], note["mode"]) for note in record["admission"]] == [
        ("secure-boot", "soon", "warn"), ("secure-boot", "all", "audit")]


# ---- pools ----

POOL = "<pool type='dir'><name>{0}</name><target><path>{1}</path></target></pool>"


@pytest.fixture(scope="module")
def pools(scratch, make_gateway):
    """alice may have the pools web-*, in a directory that the settings name."""
    place = scratch.directory("admission-pools")
    os.chmod(place, 0o711)
    return place, make_gateway("admission-pools", pool_dirs=[place], policy=TENANCY | {"bindings": TENANCY["bindings"] + [
        {"id": "pools", "who": ["x509-cn:alice"], "role": "vm-admin", "on": ["storage_pool:web-*"]},
        {"id": "half", "who": ["x509-cn:bob"], "role": "vm-admin", "on": ["*"]}]})


def test_I43_pools_lie_where_the_settings_say_and_are_called(pools, scratch, libvirtd):
    """In the directory of their own name, or not at all; who holds everything but the host's rights is held to it too."""
    place, gateway = pools
    uri = libvirtd.qemu_uri

    def define(who, xml, verb="pool-define", *more):
        return gateway.virsh(who, verb, scratch.write("pool.xml", xml), *more, uri=uri)
    os.makedirs(f"{place}/web-other")
    os.symlink("/etc", f"{place}/web-link")
    for who in ("alice", "bob"):
        for name, path in (("web-p", "/etc"), ("web-p", place), ("web-p", f"{place}/web-other"), ("web-p", f"{place}/web-p/../web-other"),
                           ("web-p", f"{place}/web-p/below"), ("web-p", f"{place}//web-p"), ("web-p", "")):
            refused(define(who, POOL.format(name, path)), "access denied")
        refused(define(who, POOL.format("web-link", f"{place}/web-link")), f"'{place}/web-link' is not a directory")
        refused(define(who, POOL.format("web-p", f"{place}/web-p").replace("'dir'", "'fs'")), "admission rule 'pool-type' at /pool ")
    refused(define("alice", POOL.format("hr-p", f"{place}/hr-p")), "'storage_pool:write' on storage pool 'hr-p'")
    done = define("alice", POOL.format("web-p", f"{place}/web-p"), "pool-create", "--build")
    assert done.returncode == 0, done.stderr
    try:
        assert gateway.virsh("alice", "vol-create-as", "web-p", "v", "1M", uri=uri).returncode == 0
        assert os.path.exists(f"{place}/web-p/v")
        assert gateway.virsh("alice", "vol-delete", "v", "web-p", uri=uri).returncode == 0
    finally:
        libvirtd.virsh("pool-destroy", "web-p", uri=uri)
    done = define("admin", POOL.format("adm-p", place))        # holds everything, the host's rights too
    assert done.returncode == 0, done.stderr
    libvirtd.virsh("pool-undefine", "adm-p", uri=uri)


# ---- all guests ----

def test_scan_sees_guests_that_only_run(by_rows, libvirtd, scratch):
    """libvirtd is asked: also of a guest that has no file."""
    bad = secure(name="web-transient", devices="<serial type='file'><source path='/tmp/x'/></serial>")
    libvirtd.virsh("create", scratch.write("transient.xml", bad))
    try:
        done = by_rows.virtgate("admission", "scan", "--config", f"{by_rows.dir}/virtgated.conf")
        assert done.returncode == 1, done.stderr
        assert [line for line in done.stdout.splitlines() if line.startswith("web-transient:") and ": chardev: /domain/devices/serial" in line]
        told = {guest["name"]: guest for guest in json.loads(by_rows.virtgate("admission", "scan", "--config", f"{by_rows.dir}/virtgated.conf", "--json").stdout)}
        names = libvirtd.virsh("list", "--all", "--name").stdout.split()
        assert set(names) <= set(told) and told["web-transient"]["admitted"] is False
    finally:
        libvirtd.virsh("destroy", "web-transient")
