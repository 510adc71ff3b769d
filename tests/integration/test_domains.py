"""What people do with domains, through each way in, against libvirt's test driver."""
import re

from lab.libvirtd import Libvirtd

DENIED = re.compile(r"access denied: '(\S+)' on (\S+) '(\S+)' \(decision [0-9A-Z]{26}\)")


def names(virsh_result):
    assert virsh_result.returncode == 0, virsh_result.stderr
    return set(virsh_result.stdout.split())


def test_I51_list_shows_visible_domains_only(way):
    assert names(way.virsh("alice", "list", "--all", "--name")) == {"web-1", "web-2", "db-1"}
    assert {"web-1", "web-2", "db-1", "hr-1"} <= names(way.virsh("bob", "list", "--all", "--name"))


def test_dominfo_and_dumpxml(way):
    info = way.virsh("alice", "dominfo", "web-1")
    assert info.returncode == 0, info.stderr
    assert re.search(r"^UUID: +" + Libvirtd.seeds["web-1"][0], info.stdout, re.M)
    xml = way.virsh("alice", "dumpxml", "web-1")
    assert "<name>web-1</name>" in xml.stdout, xml.stderr


def test_operator_starts_and_stops_his_domain(way, libvirtd, web1_off):
    started = way.virsh("alice", "start", "web-1")
    assert started.returncode == 0, started.stderr
    assert libvirtd.state("web-1") == "running"
    stopped = way.virsh("alice", "destroy", "web-1")
    assert stopped.returncode == 0, stopped.stderr
    assert libvirtd.state("web-1") == "shut off"


def test_operator_is_refused_on_a_domain_he_only_sees(way, libvirtd):
    result = way.virsh("alice", "start", "db-1")
    assert result.returncode != 0
    assert DENIED.search(result.stderr).groups() == ("domain:start", "domain", "db-1")
    assert libvirtd.state("db-1") == "shut off"


def test_denial_has_code_88_and_names_permission_and_object(way):
    error = way.python("alice", """
        d = connect().lookupByName("db-1")
        answer(fail(d.create))
        """)
    assert error["code"] == 88
    assert DENIED.search(error["message"]).groups() == ("domain:start", "domain", "db-1")


def test_I30_viewer_reads_and_changes_nothing(way, libvirtd, web1_off):
    assert "web-1" in way.virsh("bob", "dominfo", "web-1").stdout
    for command in ("start", "destroy", "undefine", "suspend", "managedsave"):
        result = way.virsh("bob", command, "web-1")
        assert result.returncode != 0, command
        assert "access denied" in result.stderr or "forbidden" in result.stderr, result.stderr
    assert libvirtd.state("web-1") == "shut off"


def test_I27_hidden_domain_looks_like_a_missing_one(way):
    answers = way.python("alice", """
        c = connect()
        for name, uuid in ((sys.argv[2], sys.argv[3]), ("hr-0", "33333333-0000-4000-8000-00000000ffff")):
            answer([fail(c.lookupByName, name), fail(c.lookupByUUIDString, uuid)])
        """, "hr-1", Libvirtd.seeds["hr-1"][0])
    hidden, missing = answers
    for one, other in zip(hidden, missing):
        assert one["code"] == other["code"] == 42
        assert one["domain"] == other["domain"]


def test_I51_counts_are_those_of_the_filtered_list(way):
    running, defined, ids, listed = way.python("alice", """
        c = connect()
        answer(c.numOfDomains()); answer(c.numOfDefinedDomains()); answer(len(c.listDomainsID()))
        answer(len(c.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE)))
        """)
    assert running == ids == listed
    assert running + defined == 3


def test_admin_defines_edits_and_undefines(way, libvirtd, scratch):
    name = "web-new"
    uuid = "44444444-0000-4000-8000-000000000001"
    def xml(memory):
        return scratch.write("new.xml", f"<domain type='test'><name>{name}</name><uuid>{uuid}</uuid><memory>{memory}</memory>"
                             "<vcpu>1</vcpu><os><type>hvm</type></os></domain>")
    try:
        defined = way.virsh("admin", "define", xml(8192))
        assert defined.returncode == 0, defined.stderr
        assert f"<uuid>{uuid}</uuid>" in libvirtd.virsh("dumpxml", name).stdout
        # the new domain is web-*: alice's at once
        assert name in names(way.virsh("alice", "list", "--all", "--name"))
        edited = way.virsh("admin", "define", xml(16384))
        assert edited.returncode == 0, edited.stderr
        assert "16384</memory>" in libvirtd.virsh("dumpxml", name).stdout
        assert way.virsh("alice", "undefine", name).returncode != 0
        undefined = way.virsh("admin", "undefine", name)
        assert undefined.returncode == 0, undefined.stderr
        assert name not in libvirtd.virsh("list", "--all", "--name").stdout
        assert way.virsh("alice", "dominfo", name).returncode != 0
    finally:
        libvirtd.virsh("undefine", name, check=False)


def test_B1_name_that_belongs_to_another_uuid_is_refused(gateway, libvirtd, authority):
    from rawrpc import DOMAIN_CREATE, ERROR, RawClient, domain
    with RawClient.tls(gateway.ports["tls"], f"{authority.clients}/alice") as client:
        client.open(libvirtd.test_uri)
        # allowed name, forbidden UUID: the UUID is what libvirt would start
        reply = client.call(DOMAIN_CREATE, domain("web-2", Libvirtd.seeds["db-1"][0]))
        assert reply.status == ERROR
    assert libvirtd.state("db-1") == "shut off"
    assert gateway.wait_audit(event="session.identity_conflict")[0]["code"] == "VG1203W"


def test_person_without_any_binding_gets_nothing(gateway):
    result = gateway.virsh("mallory", "list", "--all")
    assert result.returncode != 0
    assert "web-1" not in result.stdout + result.stderr


def test_I31_read_only_connection_stays_read_only(gateway, libvirtd, web1_off):
    error = gateway.python("alice", """
        c = connect(libvirt.VIR_CONNECT_RO)
        answer(fail(c.lookupByName("web-1").create))
        """)
    assert error["code"] in (29, 88), error
    assert libvirtd.state("web-1") == "shut off"


def test_I32_person_may_not_become_another(gateway):
    error = gateway.python("alice", """
        c = connect()
        answer(fail(c.setIdentity, {"user-name": "root"}))
        """)
    assert error["code"] in (3, 39)     # not supported, or no such procedure


def test_local_person_by_peer_credentials(gateway, libvirtd, web1_off):
    """unix:root is an admin in the policy."""
    import os
    import pytest
    if os.geteuid() != 0:
        pytest.skip("needs root: the policy knows root only")
    assert "hr-1" in names(gateway.virsh("root", "list", "--all", "--name", via="unix"))
    started = gateway.virsh("root", "start", "web-1", via="unix")
    assert started.returncode == 0, started.stderr
    assert libvirtd.state("web-1") == "running"
    records = gateway.wait_audit(call="domain_create_with_flags", stage="outcome", source__via="rpc-unix") \
        if gateway.audit(call="domain_create_with_flags") else gateway.wait_audit(call="domain_create", source__via="rpc-unix")
    assert records[-1]["user"]["name"] in ("root", "unix:root")
