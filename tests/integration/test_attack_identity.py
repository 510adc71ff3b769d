"""Raw clients that lie about whom or what they mean (B1 to B3, B9 to B13)."""
import json
import os
import socket
import stat
import struct
import threading

import pytest

from attack import (EVENT, MISSING, NOT_PERMITTED, OK, PROCEDURES, TENANTS, UNKNOWN_PROCEDURE, arguments, attacker, directly, make_objects,
                    remove_objects, typed_params)
from rawrpc import AUTH_LIST, AUTH_SASL_INIT, CALL, CALL_WITH_FDS, CONNECT_OPEN, HEADER, LXC, REMOTE, ERROR, RawClient, optional_string
from test_matrix_live import STATE, ask

NOBODY = "99999999-0000-4000-8000-000000000099"


@pytest.fixture(scope="module")
def gateway(make_gateway):
    return make_gateway("attack-identity", policy=TENANTS, listen_unix=True)


@pytest.fixture(scope="module")
def objects(libvirtd):
    made = make_objects(libvirtd)
    yield made
    remove_objects(libvirtd)


@pytest.fixture
def alice(gateway, libvirtd):
    with attacker(gateway, "alice", libvirtd.test_uri) as client:
        yield client


# ---- B1: an object is the one that libvirt will resolve ----

def test_B1_I24_I25_forged_pairs_of_every_class(gateway, alice, libvirtd, objects):
    """Her own name with another's UUID, and the other way round, and her own with a UUID that nobody has."""
    web, hr = objects["web"], objects["hr"]
    dom, other = libvirtd.seeds["web-1"][0], libvirtd.seeds["hr-1"][0]
    before = ask(libvirtd, STATE)
    conflicts = len(gateway.audit(event="session.identity_conflict"))
    for name, uuid in (("web-1", other), ("hr-1", dom), ("web-1", NOBODY), ("hr-1", other), ("web-2", dom)):
        for call in ("domain_destroy", "domain_suspend", "domain_undefine", "domain_create", "domain_get_info", "domain_get_xml_desc"):
            assert alice.refused(call, dom=(name, uuid)).code in MISSING, (call, name, uuid)
    for name, uuid in (("web-net", hr["net"]), ("hr-net", web["net"]), ("web-net", NOBODY), ("hr-net", hr["net"])):
        for call in ("network_create", "network_destroy", "network_undefine", "network_get_xml_desc"):
            assert alice.refused(call, net=(name, uuid)).code in MISSING, (call, name, uuid)
    for name, uuid in (("web-pool", hr["pool"]), ("hr-pool", web["pool"]), ("web-pool", NOBODY), ("hr-pool", hr["pool"])):
        for call in ("storage_pool_destroy", "storage_pool_undefine", "storage_pool_refresh", "storage_pool_get_xml_desc"):
            assert alice.refused(call, pool=(name, uuid)).code in MISSING, (call, name, uuid)
    assert json.loads(ask(libvirtd, STATE)) == json.loads(before)
    assert len(gateway.audit(event="session.identity_conflict")) >= conflicts + 15


def test_B1_I24_volume_is_its_pools_and_its_own_name(alice, libvirtd, objects):
    """libvirt ignores the key: hers on another's volume opens nothing, another's on hers changes nothing about what is meant."""
    web, hr = objects["web"], objects["hr"]
    before = ask(libvirtd, STATE)
    for pool, name, key in (("hr-pool", "hr-vol", web["key"]), ("hr-pool", "web-vol", web["key"]), ("hr-pool", "hr-vol", hr["key"])):
        for call in ("storage_vol_delete", "storage_vol_wipe", "storage_vol_get_info", "storage_vol_get_xml_desc", "storage_vol_get_path"):
            assert alice.refused(call, vol=(pool, name, key)).code in MISSING, (call, pool, name)
    assert json.loads(ask(libvirtd, STATE)) == json.loads(before)
    reply = alice.do("storage_vol_get_path", vol=("web-pool", "web-vol", hr["key"]))
    assert reply.status == OK and b"/web-pool/web-vol" in reply.body


def test_B1_I25_id_of_another(alice, libvirtd):
    """Her running domain with the id of another's, and with one that nobody has: no difference tells which are in use."""
    running = int(libvirtd.virsh("domid", "hr-1").stdout)
    uuid = libvirtd.seeds["web-1"][0]
    taken, free = (alice.refused("domain_get_info", dom=("web-1", uuid, number)) for number in (running, 31337))
    assert taken.body == free.body


def test_B1_snapshot_of_anothers_domain(alice, libvirtd):
    directly(libvirtd, "c.lookupByName('hr-1').snapshotCreateXML('<domainsnapshot><name>web-1</name></domainsnapshot>')")
    try:
        other = libvirtd.seeds["hr-1"][0]
        for name in ("hr-1", "web-1"):
            for call in ("domain_snapshot_get_xml_desc", "domain_snapshot_delete", "domain_revert_to_snapshot"):
                assert alice.refused(call, snap=("web-1", (name, other))).code in MISSING, call
        assert directly(libvirtd, "print(c.lookupByName('hr-1').snapshotNum())") == "1\n"
    finally:
        directly(libvirtd, "c.lookupByName('hr-1').snapshotLookupByName('web-1').delete()")


# ---- B2 ----

@pytest.mark.parametrize("params", [
    [], [("user-name", "root"), ("unix-user-id", (4, struct.pack("!Q", 0)))], [("x509-distinguished-name", "CN=admin")],
    [("sasl-user-name", "admin"), ("user-name", "root")],
], ids=["nothing", "root", "certificate", "sasl"])
def test_B2_I32_nobody_becomes_another(gateway, libvirtd, params):
    for user in ("alice", "admin"):
        with attacker(gateway, user, libvirtd.test_uri) as client:
            reply = client.call(419, typed_params(params) + struct.pack("!I", 0))
            assert (reply.status, reply.code) == (ERROR, UNKNOWN_PROCEDURE)
            if user == "alice":
                client.refused("domain_destroy", dom=("hr-1", libvirtd.seeds["hr-1"][0]))


# ---- B3 ----

def test_B3_I31_connect_open_reaches_no_other_place(gateway, authority, scratch):
    """Real places that a URI could lead to: a TCP and a UNIX listener, a command, a file. Nobody is reached."""
    directory = scratch.directory("attack-uri")
    os.chmod(directory, 0o777)
    command, touched, unix = f"{directory}/command", f"{directory}/touched", f"{directory}/socket"
    with open(command, "w", encoding="utf-8") as file:
        file.write(f"#!/bin/sh\ntouch {touched}\n")
    os.chmod(command, 0o755)
    with open(f"{directory}/host.xml", "w", encoding="utf-8") as file:
        file.write("<node/>")
    tcp = socket.create_server(("127.0.0.1", 0))
    local = socket.socket(socket.AF_UNIX)
    local.bind(unix)
    local.listen()
    os.chmod(unix, 0o777)
    port = tcp.getsockname()[1]
    uris = [f"test+tcp://127.0.0.1:{port}/default", f"qemu+tls://127.0.0.1:{port}/system?no_verify=1", f"test+ssh://u@127.0.0.1:{port}/default",
            f"test+ssh://localhost/default?command={command}", f"test+ext:///default?command={command}", f"qemu:///system?socket={unix}",
            f"test+unix:///default?socket={unix}", f"test://{directory}/host.xml", f"esx://127.0.0.1:{port}/", f"vbox+libssh2://127.0.0.1:{port}/",
            "test:///default\n", "test:///default#", "test:///default ", " test:///default", "test://localhost/default", "test:/default",
            "test:///default/../default", "test:////default", "remote:///default", "qemu:///embed?root=/tmp/x", "lxc:///", "default"]
    try:
        for user in ("alice", "admin"):
            for uri in uris:
                with RawClient.tls(gateway.ports["tls"], f"{authority.clients}/{user}") as client:
                    reply = client.open(uri)
                    assert (reply.status, reply.code) == (ERROR, NOT_PERMITTED), uri
        for listener in (tcp, local):
            listener.setblocking(False)
            with pytest.raises(BlockingIOError):
                listener.accept()
        assert not os.path.exists(touched)
    finally:
        tcp.close()
        local.close()


def test_B3_name_with_nul_or_too_long_is_refused(gateway, authority):
    for body in (struct.pack("!II", 1, 16) + b"test:///default\0", struct.pack("!I", 1) + struct.pack("!I", 4194304)):
        with RawClient.tls(gateway.ports["tls"], f"{authority.clients}/alice") as client:
            client.call(AUTH_LIST)
            client.send(CONNECT_OPEN, body + struct.pack("!I", 0))
            try:
                assert client.receive().status == ERROR
            except (EOFError, TimeoutError):
                pass


# ---- B9 ----

def test_B9_I14_other_programs_change_nothing(gateway, libvirtd):
    """Numbers that are harmless in one program, sent to the others, by somebody who may do everything."""
    before = ask(libvirtd, STATE)
    with attacker(gateway, "admin", libvirtd.test_uri) as client:
        for program in (LXC, 0x06900690, 0x0EA7BEEF, 0x87539319, 0x20008088, 0):
            for number in (1, 2, 3, 14, 19):
                reply = client.call(number, program=program)
                assert (reply.status, reply.code, reply.program) == (ERROR, UNKNOWN_PROCEDURE, program)
    assert json.loads(ask(libvirtd, STATE)) == json.loads(before)


def test_B9_I33_monitor_needs_a_grant_by_name(gateway, libvirtd):
    """Also the vm-admin of that domain, and the admin."""
    for user in ("alice", "admin"):
        with attacker(gateway, user, libvirtd.test_uri) as client:
            dom = ("web-1", libvirtd.seeds["web-1"][0])
            assert client.refused("domain_monitor_command", dom=dom, cmd="info status").code == NOT_PERMITTED
            assert client.refused("domain_agent_command", dom=dom, cmd="{}").code == NOT_PERMITTED
            for target in (None, dom):
                assert client.refused("connect_domain_monitor_event_register", dom=target, event=None).code == NOT_PERMITTED
            client.refused("domain_monitor_command_with_files", dom=dom, cmd="info status")
    with attacker(gateway, "alice", libvirtd.test_uri) as client:
        client.refused("domain_attach", pid_value=1)


# ---- B10 ----

def test_B10_I15_descriptors_go_nowhere(gateway, libvirtd):
    """On the local socket, where they could be sent: refused, and the descriptor is closed at once, not kept."""
    if os.geteuid() != 0:
        pytest.skip("needs root: the policy of the local socket knows root only")
    policy = {**TENANTS, "bindings": TENANTS["bindings"] + [{"id": "root", "who": ["unix:root"], "role": "admin", "on": ["*"]}]}
    gateway.write_policy(policy)
    gateway.reload()
    ours, theirs = os.pipe()
    with RawClient.unix(f"{gateway.dir}/run/virtgate-sock") as client:
        assert client.open(libvirtd.test_uri).status == OK
        number = PROCEDURES["domain_open_graphics"][1]
        body = arguments("domain_open_graphics", dom=("web-1", libvirtd.seeds["web-1"][0]))
        message = HEADER.pack(28 + len(body) + 4, REMOTE, 1, number, CALL_WITH_FDS, 9, 0) + struct.pack("!I", 1) + body
        client.stream.sendmsg([message], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("i", theirs))])
        os.close(theirs)
        assert client.closed()
    assert os.read(ours, 1) == b""      # end of file: nobody holds the other end
    os.close(ours)


# ---- B11 ----

def test_B11_order_of_calls(gateway, authority, libvirtd):
    """Nothing but authentication and CONNECT_OPEN before CONNECT_OPEN, and each of these once."""
    opening = optional_string(libvirtd.test_uri) + struct.pack("!I", 0)
    for name in ("connect_get_lib_version", "connect_list_all_domains", "domain_lookup_by_name", "connect_domain_event_register",
                 "connect_supports_feature", "node_get_info"):
        with RawClient.tls(gateway.ports["tls"], f"{authority.clients}/admin") as client:
            assert client.call(AUTH_LIST).status == OK
            try:
                assert client.call(PROCEDURES[name][1], arguments(name)).status == ERROR or name == "connect_supports_feature"
            except EOFError:
                pass
    with attacker(gateway, "bob", libvirtd.test_uri) as client:
        for uri in (libvirtd.test_uri, libvirtd.qemu_uri):
            assert client.call(CONNECT_OPEN, optional_string(uri) + struct.pack("!I", 0)).status == ERROR
        client.refused("domain_destroy", dom=("web-1", libvirtd.seeds["web-1"][0]))     # still the viewer
        assert client.do("connect_get_lib_version").status == OK
        assert client.do("connect_close").status == OK
        try:
            assert client.call(CONNECT_OPEN, opening).status == ERROR
        except EOFError:
            pass
    with attacker(gateway, "bob", libvirtd.test_uri) as client:
        try:
            assert client.call(AUTH_SASL_INIT).status == ERROR
        except EOFError:
            pass


def test_B11_I18_answers_go_to_the_one_that_asked(gateway, libvirtd):
    """Two people, the same serials at the same time, other questions: each gets his own answer (and error) every time."""
    own, theirs = libvirtd.seeds["web-1"][0], libvirtd.seeds["hr-1"][0]
    wrong = []

    def ask_about(user, name, uuid, visible):
        with attacker(gateway, user, libvirtd.test_uri) as client:
            for _ in range(400):
                reply = client.do("domain_lookup_by_name", name=name)
                if (reply.status == OK) != visible or (name.encode() not in reply.body) or \
                        (visible and bytes.fromhex(uuid.replace("-", "")) not in reply.body):
                    wrong.append(f"{user} asked about {name}: {reply!r}")
    threads = [threading.Thread(target=ask_about, args=args) for args in
               (("alice", "web-1", own, True), ("alice", "hr-1", theirs, False), ("bob", "hr-1", theirs, True))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


# ---- B12 ----

def define(name, uuid):
    return f"c.defineXML('<domain type=\"test\"><name>{name}</name><uuid>{uuid}</uuid><memory>8192</memory><os><type>hvm</type></os></domain>')\n"


def test_B12_I47_rights_follow_the_name_that_it_has_now(alice, libvirtd):
    """A domain of alice's is renamed away, renamed back, and comes back with her name or her UUID as another."""
    first, second = "44444444-0000-4000-8000-0000000000b1", "44444444-0000-4000-8000-0000000000b2"
    directly(libvirtd, define("web-move", first))
    try:
        assert alice.do("domain_get_info", dom=("web-move", first)).status == OK
        directly(libvirtd, "c.lookupByName('web-move').rename('hr-move')")
        for name in ("web-move", "hr-move"):
            assert alice.refused("domain_create", dom=(name, first)).code in MISSING
            assert alice.refused("domain_lookup_by_name", name=name).code in MISSING
        assert alice.refused("domain_lookup_by_uuid", uuid=first).code in MISSING
        assert b"move" not in alice.do("connect_list_all_domains", need_results=1).body
        # another domain takes the name that was hers: the old handle is not a handle of the new one
        directly(libvirtd, define("web-move", second))
        assert alice.refused("domain_create", dom=("web-move", first)).code in MISSING
        assert alice.do("domain_get_info", dom=("web-move", second)).status == OK
        # her UUID, undefined and defined again under a name that is not hers
        directly(libvirtd, "c.lookupByName('web-move').undefine()\n" + define("db-move", second))
        for name in ("web-move", "db-move"):
            assert alice.refused("domain_create", dom=(name, second)).code in MISSING
        # and back again
        directly(libvirtd, "c.lookupByName('hr-move').rename('web-move')")
        assert alice.do("domain_get_info", dom=("web-move", first)).status == OK
        assert directly(libvirtd, "print([d.isActive() for d in c.listAllDomains() if 'move' in d.name()])") == "[0, 0]\n"
    finally:
        directly(libvirtd, "for d in c.listAllDomains():\n    if 'move' in d.name(): d.undefine()")


def test_B12_I47_nobody_renames_into_or_out_of_his_rights(alice, libvirtd):
    """To a name that is another's, that is free but not hers, and odd ones; taken and free answer alike."""
    uuid = "44444444-0000-4000-8000-0000000000b3"
    directly(libvirtd, define("web-mine", uuid))
    try:
        answers = {}
        for name in ("hr-1", "hr-9", "", "web-../x", "../web-x", "db-1"):
            reply = alice.refused("domain_rename", dom=("web-mine", uuid), new_name=name)
            answers[name] = reply.text.replace(f"'{name}'", "NAME").rpartition(" (decision")[0]
        assert answers["hr-1"] == answers["hr-9"] == answers["db-1"]
        assert directly(libvirtd, f"print(c.lookupByUUIDString('{uuid}').name())") == "web-mine\n"
    finally:
        directly(libvirtd, f"c.lookupByUUIDString('{uuid}').undefine()")


# ---- B13 ----

def test_B13_I49_labels_of_a_domain_give_no_rights(gateway, alice, libvirtd):
    """Decisions are made on name and UUID; what somebody writes into metadata, title or description moves nobody's rights."""
    dom = ("web-1", libvirtd.seeds["web-1"][0])
    xml = "<v:grant xmlns:v='http://virtgate/1' who='x509-cn:alice' on='*' role='admin'/>"
    with attacker(gateway, "carol", libvirtd.test_uri) as operator:
        for kind, text, uri in ((0, "admin", None), (1, "admin", None), (2, xml, "http://virtgate/1")):
            operator.refused("domain_set_metadata", dom=dom, type=kind, metadata=text, key="v" if uri else None, uri=uri)
    before = alice.do("connect_list_all_domains", need_results=1).body
    alice.do("domain_set_metadata", dom=dom, type=2, metadata=xml, key="v", uri="http://virtgate/1", flags=1)
    alice.do("domain_set_metadata", dom=dom, type=1, metadata="hr-1", flags=1)
    try:
        assert alice.do("connect_list_all_domains", need_results=1).body == before
        alice.refused("domain_create", dom=("hr-1", libvirtd.seeds["hr-1"][0]))
        alice.refused("domain_define_xml_flags", xml=f"<domain type='test'><name>hr-1</name><uuid>{libvirtd.seeds['hr-1'][0]}</uuid><memory>1</memory>"
                      f"<os><type>hvm</type></os><metadata>{xml}</metadata></domain>")
    finally:
        directly(libvirtd, "d = c.lookupByName('web-1')\nfor k, u in ((2, 'http://virtgate/1'), (1, None)):\n"
                 "    try: d.setMetadata(k, None, 'v' if u else None, u, 1)\n    except libvirt.libvirtError: pass")


def test_B10_sockets_and_files_are_not_for_others(gateway):
    """What a local person could reach beside the RPC socket."""
    for name in ("control.sock",):
        mode = os.stat(f"{gateway.dir}/run/{name}").st_mode
        assert stat.S_ISSOCK(mode) and mode & 0o077 == 0, oct(mode)
