"""What a permission alone does not make safe: paths, URIs, names and disks in the arguments, against a real libvirtd."""
import os

import pytest

from attack import ERROR, NOT_PERMITTED, OK, attacker
from conftest import GUEST, GUEST_UUID, HIDDEN_GUEST, OTHER_GUEST

DESTINATION = "qemu+tls://host2.example/system"
POLICY = {"version": 1, "bindings": [
    {"id": "admins", "who": ["x509-cn:admin"], "role": "admin", "on": ["*"]},
    {"id": "tenant", "who": ["x509-cn:alice"], "role": "vm-admin", "on": ["domain:web-*", "storage_pool:web-*"]},
    {"id": "sees", "who": ["x509-cn:alice"], "role": "viewer", "on": ["domain:db-*"]},
    # Everything but the host itself.
    {"id": "all-guests", "who": ["x509-cn:bob"], "role": "vm-admin", "on": ["*"]},
]}


@pytest.fixture(scope="module")
def saves(scratch):
    return scratch.directory("saves")


@pytest.fixture(scope="module")
def gateway(make_gateway, saves):
    return make_gateway("arguments", policy=POLICY, save_dirs=[saves], migration_uris=["tcp://host2.example", DESTINATION])


@pytest.fixture
def running(libvirtd, guests):
    for guest in (GUEST, HIDDEN_GUEST):
        if libvirtd.state(guest, uri=guests) != "running":
            libvirtd.virsh("start", guest, uri=guests)
    yield guests
    for guest in (GUEST, HIDDEN_GUEST):
        if libvirtd.state(guest, uri=guests) != "shut off":
            libvirtd.virsh("destroy", guest, uri=guests)


@pytest.fixture
def tenant(gateway, guests):
    with attacker(gateway, "alice", guests) as client:
        yield client


def must(result):
    assert result.returncode == 0, result.stderr
    return result


def refused(result, *words):
    assert result.returncode != 0
    for word in words:
        assert word in result.stderr
    return result


def test_I39_B6_paths_elsewhere_are_refused_to_everybody(gateway, libvirtd, saves, running, scratch):
    """Also to those who may do everything; and what a link or a directory for everybody could lead to."""
    outside = scratch.directory("outside")
    with open(f"{outside}/secret", "w", encoding="ascii"):
        pass
    os.symlink(outside, f"{saves}/out")
    os.symlink(f"{outside}/target", f"{saves}/link")
    os.link(f"{outside}/secret", f"{saves}/hard")
    os.mkdir(f"{saves}/open")
    os.chmod(f"{saves}/open", 0o777)
    try:
        for path in (f"{outside}/x", f"{saves}/out/x", f"{saves}/link", f"{saves}/hard", f"{saves}/../outside/x", f"{saves}/open/x", "/dev/shm/x",
                     "/proc/self/cwd/x", saves):
            for user in ("alice", "admin"):
                for command in (("save", GUEST, path), ("dump", GUEST, path), ("restore", path), ("save-image-dumpxml", path)):
                    refused(gateway.virsh(user, *command, uri=running), "access denied: ")
        assert os.listdir(outside) == ["secret"] and os.path.getsize(f"{outside}/secret") == 0
        assert libvirtd.state(GUEST, uri=running) == "running"
        records = gateway.wait_audit(call="domain_save", result__status="denied")
        assert {record["decision"]["rule"] for record in records} == {"path"}
    finally:
        for name in ("out", "link", "hard"):
            os.unlink(f"{saves}/{name}")
        os.rmdir(f"{saves}/open")


def test_I47_rename_needs_the_right_under_the_new_name(gateway, libvirtd, guests, tenant):
    dom = (GUEST, GUEST_UUID)
    assert libvirtd.state(GUEST, uri=guests) == "shut off"
    taken, free = (tenant.refused("domain_rename", dom=dom, new_name=name) for name in (HIDDEN_GUEST, "hr-free"))
    assert taken.code == free.code == NOT_PERMITTED
    assert taken.text.rpartition("(decision")[0].replace(HIDDEN_GUEST, "X") == free.text.rpartition("(decision")[0].replace("hr-free", "X")
    assert "as it would be called" in tenant.refused("domain_rename", dom=dom, new_name=OTHER_GUEST).text
    for name in ("", "web-/x", "web-\n", "web-" + "x" * 300):
        assert "a domain's name has" in tenant.refused("domain_rename", dom=dom, new_name=name).text
    try:
        must(gateway.virsh("alice", "domrename", GUEST, "web-renamed", uri=guests))
    finally:
        libvirtd.virsh("domrename", "web-renamed", GUEST, uri=guests)


def test_I41_disks_are_the_guests_own(gateway, libvirtd, running, tenant, scratch):
    dom = (GUEST, GUEST_UUID)
    target, source = libvirtd.virsh("domblklist", GUEST, uri=running).stdout.split("\n")[2].split()
    for path in (target, source):
        assert tenant.do("domain_block_peek", dom=dom, path=path, offset=0, size=16).status == OK
        assert tenant.do("domain_get_block_info", dom=dom, path=path).status == OK
    for path in ("/etc/shadow", f"{source}x", f"{source}/../x"):
        for call, values in (("domain_block_peek", {"path": path, "size": 16}), ("domain_block_pull", {"path": path}),
                             ("domain_block_rebase", {"path": target, "base": path}), ("domain_block_rebase", {"path": path}),
                             ("domain_block_commit", {"disk": target, "base": path}), ("domain_block_commit", {"disk": target, "top": path}),
                             ("domain_block_copy", {"path": path, "destxml": "<disk/>"})):
            reply = tenant.refused(call, dom=dom, **values)
            assert reply.code == NOT_PERMITTED and "is no disk of domain" in reply.text, f"{call} {path}: {reply!r}"
    # with VIR_DOMAIN_BLOCK_REBASE_COPY the base is a file that is written
    assert "is not checked" in tenant.refused("domain_block_rebase", dom=dom, path=target, base=scratch("copy"), flags=8).text
    assert not os.path.exists(scratch("copy"))


def test_I44_B3_migration_only_where_the_setting_says(running, tenant):
    dom = (GUEST, GUEST_UUID)
    peer_to_peer = 2
    for dconnuri in ("qemu+tls://elsewhere/system", "qemu+ssh://host2.example/system", "qemu+tls://root@host2.example/system",
                     "qemu+tls://host2.example/session", "qemu+tls://host2.example/system?no_verify=1", "qemu+tls://host2.example:1/system/",
                     "qemu+ext:///system?command=/bin/true", "test:///default", ""):
        for call in ("domain_migrate_perform3", "domain_migrate_perform3_params"):
            reply = tenant.refused(call, dom=dom, dconnuri=dconnuri, flags=peer_to_peer)
            assert reply.code == NOT_PERMITTED and "(migration_uris)" in reply.text, f"{dconnuri}: {reply!r}"
    for name, value in (("migrate_uri", "tcp://elsewhere"), ("disks_uri", "unix:///run/x"), ("graphics_uri", "spice://elsewhere:1?tlsPort=2"),
                        ("listen_address", "0.0.0.0"), ("tls.destination", "elsewhere")):
        reply = tenant.refused("domain_migrate_perform3_params", dom=dom, dconnuri=DESTINATION, params=[(name, value)], flags=peer_to_peer)
        assert "(migration_uris)" in reply.text
    twice = [("migrate_uri", "tcp://host2.example"), ("migrate_uri", "tcp://elsewhere")]
    assert tenant.refused("domain_migrate_perform3_params", dom=dom, dconnuri=DESTINATION, params=twice, flags=peer_to_peer).code == NOT_PERMITTED
    assert "is not checked" in tenant.refused("domain_migrate_perform3_params", dom=dom, dconnuri=DESTINATION,
                                              params=[("persistent_xml", "<domain/>")], flags=peer_to_peer).text
    assert "is not checked" in tenant.refused("domain_migrate_perform3", dom=dom, cookie_in=b"x", uri="tcp://host2.example").text
    # what is on the list comes as far as libvirt, which finds nobody there
    reply = tenant.do("domain_migrate_perform3_params", dom=dom, dconnuri=DESTINATION, params=[("migrate_uri", "tcp://host2.example:49152")],
                      flags=peer_to_peer)
    assert reply.status == ERROR and reply.code != NOT_PERMITTED


def test_I43_I46_host_rights_beside_ones_own(gateway, libvirtd, guests, pool):
    with attacker(gateway, "bob", guests) as client:
        uuid = libvirtd.virsh("pool-uuid", "images", uri=guests).stdout.strip()
        for call, values in (("storage_pool_build", {"pool": ("images", uuid), "flags": 8}), ("storage_pool_delete", {"pool": ("images", uuid)}),
                             ("network_define_xml", {"xml": "<network><name>x</name></network>"}),
                             ("storage_pool_define_xml", {"xml": "<pool type='dir'><name>x</name><target><path>/etc</path></target></pool>"})):
            reply = client.refused(call, **values)
            assert reply.code == NOT_PERMITTED and "'connect:write' on this host" in reply.text, f"{call}: {reply!r}"


def test_I42_clone_between_pools(gateway, libvirtd, guests, tenant):
    """The source must be his to read; names cannot climb out of a pool."""
    for name in ("web-from", "hr-from", "web-to"):
        libvirtd.storage_pool(name)
    uuids = {name: libvirtd.virsh("pool-uuid", name, uri=guests).stdout.strip() for name in ("web-from", "hr-from", "web-to")}
    for name in ("web-from", "hr-from"):
        libvirtd.virsh("vol-create-as", name, "source", "1M", uri=guests)
    xml = "<volume><name>{}</name><capacity>1048576</capacity></volume>"
    try:
        with attacker(gateway, "admin", guests) as admin:
            made = {"pool": ("web-to", uuids["web-to"]), "clonevol": ("web-from", "source", "x")}
            assert admin.do("storage_vol_create_xml_from", xml=xml.format("copy"), **made).status == OK
            for bad in ("../copy", "a/b", ".."):
                admin.refused("storage_vol_create_xml_from", xml=xml.format(bad), **made)
                admin.refused("storage_vol_create_xml", pool=made["pool"], xml=xml.format(bad))
                assert admin.refused("storage_vol_download", vol=("web-from", bad, "x")).code == 50
            # name and UUID of two pools: libvirt would look for the source in the one, and write into the other
            assert admin.refused("storage_vol_create_xml_from", xml=xml.format("c"), pool=("web-from", uuids["web-to"]), clonevol=made["clonevol"]).code == 49
        assert tenant.refused("storage_vol_create_xml_from", xml=xml.format("c"), pool=made["pool"], clonevol=("hr-from", "source", "x")).code == 49
    finally:
        for pool, volume in (("web-to", "copy"), ("web-from", "source"), ("hr-from", "source")):
            libvirtd.virsh("vol-delete", volume, pool, uri=guests, check=False)
        for name in uuids:
            libvirtd.virsh("pool-destroy", name, uri=guests)
            libvirtd.virsh("pool-undefine", name, uri=guests)
