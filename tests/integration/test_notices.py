"""
libvirt's own notices on permissions (class P) and on crashes that a client can cause (class D), and what came after them: what each
was about is tried through the gateway. tests/data/notices.tsv lists all of them, also those that do not concern a gateway.
"""
import os
import struct
import subprocess
import threading

import pytest

from attack import (ERROR, EVENT, MISSING, NOT_PERMITTED, OK, PROCEDURES, TENANTS, UNKNOWN_PROCEDURE, arguments, attacker, directly,
                    make_objects, remove_objects, typed_params)
from lab.libvirtd import have_qemu
from lab.process import wait_until
from rawrpc import AUTH_LIST, CALL, CONTINUE, QEMU, REMOTE, STREAM, RawClient, domain, optional_string, string

NAME, UUID = "web-n", "11111111-0000-4000-8000-0000000000e1"
COOKIE, PASSWORD = "crumb-of-web", "pAss8chr"
HUGE = 0x7FFFFFFF


@pytest.fixture(scope="module")
def gateway(make_gateway):
    return make_gateway("notices", policy=TENANTS)


@pytest.fixture(scope="module")
def objects(libvirtd):
    made = make_objects(libvirtd)
    yield made
    remove_objects(libvirtd)


@pytest.fixture(autouse=True)
def everybody_lives(gateway, libvirtd):
    """After each test libvirtd and every room of the gateway are the same processes, and serve."""
    before = [libvirtd.daemon.pid] + [gateway.children(kind) for kind in ("front", "gate", "audit")]
    yield
    libvirtd.daemon.require_running()
    assert [libvirtd.daemon.pid] + [gateway.children(kind) for kind in ("front", "gate", "audit")] == before
    for uri in (libvirtd.test_uri, libvirtd.qemu_uri):
        with attacker(gateway, "bob", uri) as client:
            assert client.do("connect_list_all_domains", need_results=1).status == OK


def person(name):
    @pytest.fixture
    def connected(gateway, libvirtd):
        with attacker(gateway, name, libvirtd.test_uri) as client:
            yield client
    return connected


tenant, viewer, operator, admin = person("alice"), person("bob"), person("carol"), person("admin")


@pytest.fixture
def web1(libvirtd):
    return ("web-1", libvirtd.seeds["web-1"][0])


@pytest.fixture(scope="module")
def guest(libvirtd, scratch):
    """A guest of the QEMU driver with a password and a cookie in its definition."""
    if not have_qemu():
        pytest.skip("there is no QEMU here")
    disk = f"<disk type='network' device='cdrom'><driver name='qemu' type='raw'/><source protocol='https' name='x'><host name='127.0.0.1' port='1'/>" \
           f"<cookies><cookie name='a'>{COOKIE}</cookie></cookies></source><target dev='hdc' bus='ide'/><readonly/></disk>"
    xml = libvirtd.guest_xml(NAME, UUID).replace("<graphics type='vnc'>", f"{disk}<graphics type='vnc' passwd='{PASSWORD}'>")
    libvirtd.virsh("define", scratch.write("notices.xml", xml), uri=libvirtd.qemu_uri)
    yield (NAME, UUID)
    libvirtd.virsh("undefine", NAME, uri=libvirtd.qemu_uri)


def denied(client, call, **values):
    reply = client.do(call, **values)
    assert (reply.status, reply.code) == (ERROR, NOT_PERMITTED), f"{call}: {reply!r}"


def dropped(gateway, user, uri, call, body):
    """The call does not reach libvirtd: an error or the end of the session, which is on record."""
    program, number, _ = PROCEDURES[call]
    with attacker(gateway, user, uri) as client:
        try:
            reply = client.call(number, body, program=program)
        except EOFError:
            return
        assert reply.status == ERROR, f"{call} was carried out: {reply!r}"


# ---- P: what a role must not ----

def test_lsn_2008_0001_read_only_changes_nothing(viewer, web1):
    for call, values in (("domain_set_memory", {"memory": 1}), ("domain_set_max_memory", {"memory": 1}), ("domain_set_vcpus", {"nvcpus": 1}),
                         ("domain_pin_vcpu", {"cpumap": b"\1"}), ("domain_set_autostart", {"autostart": 1}), ("domain_save", {"to": "/tmp/x"}),
                         ("domain_migrate_perform", {"uri": "tcp://x"}), ("domain_block_peek", {"path": "hda"}), ("domain_memory_peek", {"size": 1}),
                         ("domain_set_scheduler_parameters", {"params": [("weight", 1)]}), ("domain_attach_device", {"xml": "<disk/>"}),
                         ("domain_detach_device", {"xml": "<disk/>"})):
        denied(viewer, call, dom=web1, **values)


def test_lsn_2011_0001_read_only_changes_nothing(viewer, web1):
    for call in ("node_device_dettach", "node_device_re_attach", "node_device_reset"):
        denied(viewer, call, name="computer")
    for call in ("domain_revert_to_snapshot", "domain_snapshot_delete"):
        denied(viewer, call, snap=("none", web1))
    for call, values in (("connect_domain_xml_to_native", {"domainXml": "<domain/>"}), ("connect_domain_xml_from_native", {"nativeConfig": "x"})):
        denied(viewer, call, nativeFormat="qemu-argv", **values)


def test_lsn_2011_0002_errors_reach_the_one_they_are_for(gateway, libvirtd):
    """Many errors at once on several connections, all with the same serials: each client gets his own."""
    wrong = []

    def ask(number):
        with attacker(gateway, "bob", libvirtd.test_uri) as client:
            bodies = {serial: f"none-{number}-{serial}" for serial in range(100, 140)}
            for _ in range(5):
                for serial, name in bodies.items():
                    client.send(23, string(name), serial=serial)
                for _ in bodies:
                    reply = client.receive()
                    if reply.status != ERROR or f"'{bodies[reply.serial]}'" not in reply.text:
                        wrong.append(f"{number}: {reply!r}")
    threads = [threading.Thread(target=ask, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_lsn_2013_0015_conversions_of_documents(tenant, viewer, operator):
    for client in (tenant, viewer, operator):
        client.refused("connect_domain_xml_from_native", nativeFormat="qemu-argv", nativeConfig="/bin/sh -hda /etc/shadow")
        client.refused("connect_domain_xml_to_native", nativeFormat="qemu-argv", domainXml="<domain type='qemu'><devices><emulator>/bin/sh</emulator></devices></domain>")


def test_lsn_2014_0002_events_are_judged(gateway, libvirtd, objects, web1_off):
    """mallory sees one domain: he may ask for the events of all, and gets those of that one."""
    with attacker(gateway, "mallory", libvirtd.test_uri) as client:
        for event in range(3):
            client.do("connect_domain_event_callback_register_any", eventID=event)
        client.do("connect_network_event_register_any", eventID=0)
        client.do("connect_domain_event_register")
        directly(libvirtd, "n = c.networkLookupByName('web-net')\nn.create(); n.destroy()\nh = c.lookupByName('hr-1')\nh.suspend(); h.resume()\n"
                 "c.lookupByName('web-1').create()")
        while (message := client.receive()).type != EVENT or message.program != REMOTE:
            pass
        assert b"web-1" in message.body


def test_lsn_2014_0003_documents_read_no_file(gateway, libvirtd, scratch):
    """An external entity, by somebody who may define everything: in no document, no answer and no error is what is in the file."""
    path = scratch.write("entity", "what only the file says")
    os.chmod(path, 0o644)
    prolog = f"<!DOCTYPE x [<!ENTITY file SYSTEM 'file://{path}'>]>"
    documents = {"domain_define_xml": ("xml", f"{prolog}<domain type='test'><name>web-&file;</name><memory>1</memory><title>&file;</title><os><type>hvm</type></os></domain>"),
                 "network_define_xml": ("xml", f"{prolog}<network><name>web-ent</name><domain name='&file;'/></network>"),
                 "storage_pool_define_xml": ("xml", f"{prolog}<pool type='dir'><name>web-ent</name><target><path>/&file;</path></target></pool>"),
                 "connect_domain_xml_to_native": ("domainXml", f"{prolog}<domain><title>&file;</title></domain>"),
                 "connect_compare_cpu": ("xml", f"{prolog}<cpu><model>&file;</model></cpu>")}
    for call, (field, xml) in documents.items():
        for uri in (libvirtd.test_uri, libvirtd.qemu_uri):
            with attacker(gateway, "admin", uri) as client:
                try:
                    reply = client.do(call, **{field: xml})
                except EOFError:
                    continue
                assert b"what only" not in reply.body
    for uri in (libvirtd.test_uri, libvirtd.qemu_uri):
        kept = directly(libvirtd, "print([d.XMLDesc() for d in c.listAllDomains()], [n.XMLDesc() for n in c.listAllNetworks()])", uri=uri)
        assert "what only" not in kept
        directly(libvirtd, "for things in (c.listAllNetworks(), c.listAllStoragePools()):\n    for t in things:\n        if t.name() == 'web-ent': t.undefine()", uri=uri)


def test_lsn_2014_0007_migratable_is_as_secret_as_secure(gateway, libvirtd, guest):
    with attacker(gateway, "alice", libvirtd.qemu_uri) as client:
        for flags in (1, 8, 9, 2 | 8):
            denied(client, "domain_get_xml_desc", dom=guest, flags=flags)
        assert PASSWORD.encode() not in client.do("domain_get_xml_desc", dom=guest).body


def test_lsn_2015_0001_snapshots_and_images_keep_passwords(gateway, libvirtd, guest):
    for user in ("alice", "bob"):
        with attacker(gateway, user, libvirtd.qemu_uri) as client:
            denied(client, "domain_snapshot_get_xml_desc", snap=("x", guest), flags=1)
            client.refused("domain_save_image_get_xml_desc", file="/tmp/x", flags=1)
            client.refused("domain_save_image_get_xml_desc", file="/tmp/x")


def test_lsn_2015_0004_volume_names_do_not_climb(gateway, libvirtd, scratch):
    directory = libvirtd.storage_pool("web-climb")
    outside = os.path.join(os.path.dirname(directory), "climbed")
    uuid = directly(libvirtd, "print(c.storagePoolLookupByName('web-climb').UUIDString())", uri=libvirtd.qemu_uri).strip()
    try:
        for user in ("alice", "admin"):
            with attacker(gateway, user, libvirtd.qemu_uri) as client:
                for name in ("../climbed", "./../climbed", "x/../../climbed", outside):
                    reply = client.do("storage_vol_create_xml", pool=("web-climb", uuid), xml=f"<volume><name>{name}</name><capacity>1024</capacity></volume>")
                    assert reply.status == ERROR, name
        assert not os.path.exists(outside) and os.listdir(directory) == []
    finally:
        directly(libvirtd, "p = c.storagePoolLookupByName('web-climb')\np.destroy(); p.undefine()", uri=libvirtd.qemu_uri)


def test_lsn_2016_0002_time_of_the_guest(viewer, web1):
    denied(viewer, "domain_get_time", dom=web1)
    denied(viewer, "domain_set_time", dom=web1, seconds=1)


def test_lsn_2017_0002_certificates_are_always_verified(gateway):
    """The setting that turns it off is refused, and says so."""
    config = gateway.scratch.write("no-verify.conf", open(f"{gateway.dir}/virtgated.conf", encoding="utf-8").read() + "tls_no_verify_certificate = 1\n")
    done = subprocess.run([f"{gateway.build}/virtgated", "--config", config, "--check-config"], capture_output=True, text=True, check=False)
    assert done.returncode != 0 and "tls_no_verify_certificate" in done.stderr + done.stdout


def test_lsn_2019_0001_hostname_and_time_of_the_guest(gateway, libvirtd, web1):
    with attacker(gateway, "bob", libvirtd.test_uri) as client:
        denied(client, "domain_get_time", dom=web1)
        denied(client, "domain_get_hostname", dom=web1, flags=2)
        denied(client, "domain_get_hostname", dom=web1, flags=0)


def test_lsn_2019_0003_control_socket_is_for_its_owner(gateway):
    mode = os.stat(f"{gateway.dir}/run/control.sock").st_mode
    assert mode & 0o077 == 0
    for name in ("audit", "run", "state"):
        assert os.stat(f"{gateway.dir}/{name}").st_mode & 0o022 == 0, name


def test_lsn_2019_0004_save_images_are_not_for_viewers(viewer, operator, tenant):
    for client in (viewer, operator, tenant):
        texts = []
        for path in ("/etc/passwd", "/etc/nothing"):
            texts.append(client.refused("domain_save_image_get_xml_desc", file=path).text.rpartition("(decision")[0].replace(path, "PATH"))
        assert texts[0] == texts[1]         # nor which files there are


def test_lsn_2019_0005_managed_save_is_not_redefined_by_viewers(viewer, operator, web1):
    for client in (viewer, operator):
        denied(client, "domain_managed_save_define_xml", dom=web1, dxml="<domain/>")
        denied(client, "domain_managed_save", dom=web1)


def test_lsn_2019_0006_capabilities_run_no_emulator(gateway, libvirtd, scratch):
    """An emulator that leaves a trace when it is run."""
    directory = scratch.directory("emulator")
    os.chmod(directory, 0o777)
    program = f"{directory}/qemu"
    with open(program, "w", encoding="utf-8") as file:
        file.write(f"#!/bin/sh\ntouch {directory}/ran\n")
    os.chmod(program, 0o755)
    for user in ("alice", "bob", "carol"):
        with attacker(gateway, user, libvirtd.qemu_uri) as client:
            client.refused("connect_get_domain_capabilities", emulatorbin=program, arch="x86_64", virttype="qemu")
    assert not os.path.exists(f"{directory}/ran")


def test_lsn_2019_0007_hypervisor_cpu_runs_no_emulator(gateway, libvirtd, scratch):
    directory = scratch.directory("emulator-cpu")
    os.chmod(directory, 0o777)
    program = f"{directory}/qemu"
    with open(program, "w", encoding="utf-8") as file:
        file.write(f"#!/bin/sh\ntouch {directory}/ran\n")
    os.chmod(program, 0o755)
    for user in ("alice", "bob", "carol"):
        with attacker(gateway, user, libvirtd.qemu_uri) as client:
            client.refused("connect_compare_hypervisor_cpu", emulator=program, xmlCPU="<cpu/>")
            client.refused("connect_baseline_hypervisor_cpu", emulator=program, xmlCPUs=["<cpu/>"])
    assert not os.path.exists(f"{directory}/ran")


def test_lsn_2020_0002_cookies_of_disks_are_secrets(gateway, libvirtd, guest):
    for user in ("alice", "bob", "carol"):
        with attacker(gateway, user, libvirtd.qemu_uri) as client:
            for flags in (0, 2):
                reply = client.do("domain_get_xml_desc", dom=guest, flags=flags)
                assert reply.status == OK and b"https" in reply.body and COOKIE.encode() not in reply.body
            denied(client, "domain_get_xml_desc", dom=guest, flags=1)
    with attacker(gateway, "admin", libvirtd.qemu_uri) as client:
        assert COOKIE.encode() in client.do("domain_get_xml_desc", dom=guest, flags=1).body


# ---- D: what must not end libvirtd, nor the gateway ----

def test_lsn_2012_0002_typed_parameters(gateway, libvirtd, web1):
    """Counts that are negative, none, or more than there can be; types that there are not; an empty name."""
    uri = libvirtd.test_uri
    for call in ("domain_get_scheduler_parameters", "domain_get_memory_parameters", "domain_get_blkio_parameters", "domain_get_numa_parameters"):
        for count in (-1, -HUGE, HUGE):
            dropped(gateway, "admin", uri, call, arguments(call, dom=web1, nparams=count))
    for params in (struct.pack("!I", HUGE), struct.pack("!I", 17) + b"".join(typed_params([("x", 1)])[4:] for _ in range(17)),
                   struct.pack("!I", 1) + string("weight") + struct.pack("!II", 0, 0), struct.pack("!I", 1) + string("weight") + struct.pack("!II", 8, 0),
                   struct.pack("!I", 0xFFFFFFFF)):
        dropped(gateway, "admin", uri, "domain_set_scheduler_parameters", arguments("domain_set_scheduler_parameters", dom=web1, params=params))
    with attacker(gateway, "admin", uri) as client:
        for params in ([], [("", 1)], [("weight", "text")], [("weight", 1), ("weight", 2)]):
            client.do("domain_set_scheduler_parameters", dom=web1, params=params)
        assert client.do("connect_get_lib_version").status == OK


def test_lsn_2012_0003_illegal_procedures(gateway, libvirtd):
    """Numbers that no procedure has, of every kind of message, with and without a body."""
    with attacker(gateway, "admin", libvirtd.test_uri) as client:
        for program in (REMOTE, QEMU):
            for number in (0, -1, -HUGE - 1, 453, 460, 461, 1000, 65536, HUGE):
                for body in (b"", b"\0" * 64):
                    reply = client.call(number, body, program=program)
                    assert (reply.status, reply.code) == (ERROR, UNKNOWN_PROCEDURE)
        assert client.do("connect_get_lib_version").status == OK
    # an event's number as a call
    with attacker(gateway, "admin", libvirtd.test_uri) as client:
        for call in ("domain_event_lifecycle", "domain_event_callback_lifecycle", "network_event_lifecycle"):
            assert client.call(PROCEDURES[call][1], b"\0" * 32).status == ERROR


def test_lsn_2013_0001_errors_of_dispatch(gateway, libvirtd, web1):
    """Every call with a body cut short, and cut short within a message of the right length: none is carried out."""
    calls = [name for name, (program, _, row) in PROCEDURES.items() if row["args"] and not row["msg"] and program == REMOTE]
    for call in calls[::12]:
        for body in (b"", b"\0" * 3, b"\xff" * 8, struct.pack("!I", 4194304)):
            dropped(gateway, "admin", libvirtd.test_uri, call, body)


def test_lsn_2013_0002_lists_of_volumes_leak_no_descriptors(gateway, libvirtd, objects, tenant):
    def descriptors():
        return sum(len(os.listdir(f"/proc/{pid}/fd")) for kind in ("gate", "front") for pid in gateway.children(kind))
    pool = ("web-pool", objects["web"]["pool"])
    before = None
    for number in range(300):
        assert tenant.do("storage_pool_list_all_volumes", pool=pool, need_results=number % 2).status == OK
        tenant.do("storage_pool_list_all_volumes", pool=("hr-pool", objects["hr"]["pool"]), need_results=1)
        if number == 20:
            before = descriptors()
    wait_until(lambda: descriptors() <= before, "as few descriptors as in the beginning")     # others of the gate's come and go


def test_lsn_2013_0003_interfaces_of_the_host(viewer, tenant, objects):
    for client in (viewer, tenant):
        for room in (0, 1, 16384):
            for call in ("connect_list_interfaces", "connect_list_defined_interfaces"):
                client.do(call, maxnames=room)
        for flags in (0, 1, 2, 3):
            for results in (0, 1):
                client.do("connect_list_all_interfaces", need_results=results, flags=flags)
        assert client.do("connect_get_lib_version").status == OK


@pytest.mark.parametrize("event", [-1, -HUGE - 1, 27, 28, 1000, HUGE])
def test_lsn_2013_0004_events_that_there_are_not(viewer, event):
    for call in ("connect_domain_event_register_any", "connect_domain_event_deregister_any", "connect_domain_event_callback_register_any",
                 "connect_network_event_register_any", "connect_storage_pool_event_register_any", "connect_node_device_event_register_any",
                 "connect_secret_event_register_any"):
        assert viewer.do(call, eventID=event).status == ERROR, call
    for call in ("connect_domain_event_callback_deregister_any", "connect_network_event_deregister_any", "connect_storage_pool_event_deregister_any"):
        assert viewer.do(call, callbackID=event).status == ERROR, call


def test_lsn_2013_0005_vcpus_by_the_agent(gateway, libvirtd, viewer, web1, guest):
    denied(viewer, "domain_get_vcpus_flags", dom=web1, flags=8)
    with attacker(gateway, "admin", libvirtd.qemu_uri) as client:
        assert client.do("domain_get_vcpus_flags", dom=guest, flags=8).status == ERROR      # there is no agent
        assert client.do("domain_set_vcpus_flags", dom=guest, nvcpus=1, flags=8).status == ERROR


def test_lsn_2013_0006_no_agent_is_active(gateway, libvirtd, guest):
    with attacker(gateway, "admin", libvirtd.qemu_uri) as client:
        for call, values in (("domain_fsfreeze", {}), ("domain_fsthaw", {}), ("domain_fstrim", {}), ("domain_shutdown_flags", {"flags": 2}),
                             ("domain_reboot", {"flags": 2}), ("domain_pm_suspend_for_duration", {"target": 0}), ("domain_get_fsinfo", {}),
                             ("domain_get_time", {}), ("domain_interface_addresses", {"source": 1})):
            assert client.do(call, dom=guest, **values).status == ERROR, call


def test_lsn_2013_0009_parameters_of_a_migration(gateway, libvirtd, web1):
    """More of them than libvirt's limit, a count without parameters, a cookie above its limit."""
    for call in ("domain_migrate_begin3_params", "domain_migrate_perform3_params", "domain_migrate_prepare3_params", "domain_migrate_confirm3_params"):
        fields = {field[1] for field in PROCEDURES[call][2]["args"]}
        dom = {"dom": web1} if "dom" in fields else {}
        for params in (struct.pack("!I", 65) + typed_params([("x", 1)])[4:] * 65, struct.pack("!I", HUGE), struct.pack("!I", 0xFFFFFFFF)):
            dropped(gateway, "admin", libvirtd.test_uri, call, arguments(call, params=params, **dom))
    dropped(gateway, "admin", libvirtd.test_uri, "domain_migrate_prepare3", struct.pack("!I", HUGE))


def test_lsn_2013_0010_memory_statistics(gateway, libvirtd, web1):
    for most in (-1, 1025, HUGE, -HUGE - 1):
        dropped(gateway, "bob", libvirtd.test_uri, "domain_memory_stats", arguments("domain_memory_stats", dom=web1, maxStats=struct.pack("!i", most)))
    with attacker(gateway, "bob", libvirtd.test_uri) as client:
        for most in (0, 1, 1024):
            client.do("domain_memory_stats", dom=web1, maxStats=most)
        assert client.do("connect_get_lib_version").status == OK


def test_lsn_2013_0011_no_nbd_server_for_a_tenant(tenant, web1):
    non_shared = 0x40
    for call, values in (("domain_migrate_begin3", {"dom": web1}), ("domain_migrate_prepare3", {"dom_xml": "<domain/>"}),
                         ("domain_backup_begin", {"dom": web1, "backup_xml": "<domainbackup mode='pull'><server name='0.0.0.0' port='1'/></domainbackup>"})):
        tenant.refused(call, **values, **({} if call == "domain_backup_begin" else {"flags": non_shared}))


def test_lsn_2013_0013_events_come_and_go_while_they_are_judged(gateway, libvirtd, web1_off):
    """Registered and taken back again and again while events of granted and hidden domains fly; sessions end in the middle."""
    stop = threading.Event()

    def stir():
        while not stop.is_set():
            directly(libvirtd, "for _ in range(20):\n    for n in ('hr-1', ):\n        d = c.lookupByName(n)\n        d.suspend(); d.resume()")
    thread = threading.Thread(target=stir)
    thread.start()
    try:
        for _ in range(30):
            client = attacker(gateway, "mallory", libvirtd.test_uri)
            for _ in range(5):
                reply = client.do("connect_domain_event_callback_register_any", eventID=0)
                assert reply.status == OK
                number, = struct.unpack("!i", reply.body)
                client.do("connect_domain_event_callback_register_any", eventID=1)
                client.do("connect_domain_event_callback_deregister_any", callbackID=number)
            client.close()      # one registration left
    finally:
        stop.set()
        thread.join()


def test_lsn_2013_0016_bitmaps(gateway, libvirtd, web1):
    """Maps of processors: empty, of other sizes, above the limit, and rooms for them that overflow when multiplied."""
    for size in (2049, 1 << 20):
        dropped(gateway, "admin", libvirtd.test_uri, "domain_pin_vcpu", arguments("domain_pin_vcpu", dom=web1, cpumap=b"\xff" * size))
    for call, rooms in (("domain_get_vcpus", ("maxinfo", "maplen")), ("domain_get_vcpu_pin_info", ("ncpumaps", "maplen"))):
        for one, two in ((-1, 1), (1, -1), (HUGE, HUGE), (65536, 65536), (16385, 1), (1, HUGE)):
            dropped(gateway, "bob", libvirtd.test_uri, call, arguments(call, dom=web1, **dict(zip(rooms, (one, two)))))
    with attacker(gateway, "admin", libvirtd.test_uri) as client:
        for vcpu, data in ((0, b""), (0, b"\0"), (4711, b"\xff"), (0, b"\xff" * 2048)):
            client.do("domain_pin_vcpu", dom=web1, vcpu=vcpu, cpumap=data)
        assert client.do("connect_get_lib_version").status == OK
    directly(libvirtd, "d = c.lookupByName('web-1')\nif d.isActive(): d.destroy()")


def test_lsn_2014_0001_clients_that_close_early(gateway, authority, libvirtd, web1):
    """Gone after each step of the way, also with a call under way that keeps libvirtd busy."""
    opening = optional_string(libvirtd.test_uri) + struct.pack("!I", 0)
    steps = [(AUTH_LIST, b""), (1, opening), (273, struct.pack("!iI", 1, 0)), (316, struct.pack("!iI", 0, 0)), (14, domain(*web1) + struct.pack("!I", 0))]
    for _ in range(8):
        for far in range(len(steps) + 1):
            client = RawClient.tls(gateway.ports["tls"], f"{authority.clients}/bob")
            for number, body in steps[:far]:
                client.send(number, body)
            client.close()


def test_lsn_2014_0005_lists_while_domains_come_and_go(gateway, libvirtd):
    stop = threading.Event()

    def come_and_go():
        while not stop.is_set():
            directly(libvirtd, "for i in range(30):\n    d = c.defineXML(f'<domain type=\"test\"><name>hr-come-{i}</name><memory>8192</memory>"
                     "<os><type>hvm</type></os></domain>')\n    d.undefine()")
    thread = threading.Thread(target=come_and_go)
    thread.start()
    try:
        with attacker(gateway, "alice", libvirtd.test_uri) as client:
            for number in range(400):
                reply = client.do("connect_list_all_domains", need_results=number % 2)
                assert reply.status == OK and b"hr-" not in reply.body and reply.body[-4:] == struct.pack("!I", 2)
    finally:
        stop.set()
        thread.join()


def test_lsn_2014_0008_statistics_of_all(gateway, libvirtd, web1):
    with attacker(gateway, "alice", libvirtd.test_uri) as client:
        for stats in (0, 1, 0xFFFFFFFF):
            for flags in (0, 1, 2, 0xFFFFFFFF):
                reply = client.do("connect_get_all_domain_stats", stats=stats, flags=flags)
                assert reply.status == ERROR or b"hr-1" not in reply.body
        for doms in ([web1] * 2, [web1] * 1000, [("web-1", "99999999-0000-4000-8000-000000000099")]):
            reply = client.do("connect_get_all_domain_stats", doms=doms)
            assert reply.status == ERROR or b"hr-1" not in reply.body
        assert client.do("connect_get_lib_version").status == OK


def test_lsn_2014_0009_uploads(gateway, libvirtd, pool):
    """To a volume: beyond its end, of no length, given up at once, and with a finish that nobody expects."""
    made = directly(libvirtd, "p = c.storagePoolLookupByName('images')\nv = p.createXML('<volume><name>up</name><capacity>4096</capacity></volume>')\nprint(v.key())",
                    uri=libvirtd.qemu_uri).strip()
    vol = ("images", "up", made)
    number = PROCEDURES["storage_vol_upload"][1]
    try:
        for offset, length, packets in ((1 << 62, 1, []), (0, 1 << 63, []), (8192, 10, []), (0, 0, []), (0, 4096, [(CONTINUE, b"x" * 5000)]),
                                        (0, 10, [(CONTINUE, b"x"), (ERROR, b"")]), (0, 10, [(OK, b"")]), (0, 10, [(OK, b""), (OK, b"")])):
            with attacker(gateway, "admin", libvirtd.qemu_uri) as client:
                body = arguments("storage_vol_upload", vol=vol, offset=offset, length=length)
                serial = client.send(number, body)
                for status, data in packets:
                    client.send(number, data, kind=STREAM, status=status, serial=serial)
                try:
                    client.reply_to(serial)
                except EOFError:
                    pass
    finally:
        directly(libvirtd, "c.storagePoolLookupByName('images').storageVolLookupByName('up').delete()", uri=libvirtd.qemu_uri)


def test_lsn_2014_0010_migrations_that_fail(gateway, libvirtd, web1, guest):
    """By an admin, out of order, of a guest that is off (which ends a libvirtd 9.0.0): errors, and it is not left locked."""
    with attacker(gateway, "admin", libvirtd.qemu_uri) as client:
        for call in ("domain_migrate_perform3", "domain_migrate_perform3_params"):
            for flags in (0, 1, 0x400):
                assert client.do(call, dom=guest, flags=flags).code == 55
        for call, values in (("domain_migrate_finish3", {"dname": NAME, "cancelled": 1}), ("domain_migrate_confirm3", {"dom": guest, "cancelled": 1}),
                             ("domain_migrate_perform3", {"dom": guest, "uri": "tcp://127.0.0.1:1"}), ("domain_migrate_begin3", {"dom": guest})):
            client.do(call, **values)
        assert client.do("domain_get_info", dom=guest).status == OK
        assert client.do("domain_set_autostart", dom=guest, autostart=0).status == OK


def test_lsn_2015_0003_pools_are_not_built_by_tenants(tenant, objects):
    for kind in ("netfs", "dir", "fs"):
        xml = f"<pool type='{kind}'><name>web-nfs</name><source><host name='127.0.0.1'/><dir path='/'/></source><target><path>/web-nfs</path></target></pool>"
        tenant.refused("storage_pool_create_xml", xml=xml, flags=1)
        tenant.refused("storage_pool_define_xml", xml=xml)


def test_lsn_2019_0002_interfaces_by_the_agent(viewer, operator, web1):
    denied(viewer, "domain_interface_addresses", dom=web1, source=1)
    denied(operator, "domain_interface_addresses", dom=web1, source=1)


def test_lsn_2020_0001_pools_without_a_path(gateway, libvirtd):
    """Pools that have no target (of the kinds that this libvirt knows); looked for by path, by those who may see them and those who may not."""
    directly(libvirtd, """
for kind in ("rbd", "gluster", "sheepdog", "iscsi-direct", "zfs"):
    try:
        c.storagePoolDefineXML(f"<pool type='{kind}'><name>hr-{kind}</name><source><name>x</name><host name='127.0.0.1'/><device path='x'/>"
            "<initiator><iqn name='x'/></initiator><dir path='/'/></source></pool>")
    except libvirt.libvirtError:
        pass
""", uri=libvirtd.qemu_uri)
    try:
        for user in ("alice", "bob"):
            with attacker(gateway, user, libvirtd.qemu_uri) as client:
                for path in ("/", "", "/none", "x"):
                    client.do("storage_pool_lookup_by_target_path", path=path)
                assert client.do("connect_list_all_storage_pools", need_results=1).status == OK
    finally:
        directly(libvirtd, "for p in c.listAllStoragePools():\n    if p.name()[:3] == 'hr-': p.undefine()", uri=libvirtd.qemu_uri)


# ---- after the notices ----

def test_cve_2020_25637_permission_depends_on_the_source(viewer, web1):
    """One call, three sources of its answer, of which one is the agent."""
    denied(viewer, "domain_interface_addresses", dom=web1, source=1)
    for source in (0, 2):
        reply = viewer.do("domain_interface_addresses", dom=web1, source=source)
        assert reply.code != NOT_PERMITTED, source
    for source in (3, HUGE, 0xFFFFFFFF):
        assert viewer.do("domain_interface_addresses", dom=web1, source=source).status == ERROR


@pytest.mark.plain
def test_cve_2020_12430_statistics_leak_nothing(gateway, tenant, web1):
    def ask(times):
        for _ in range(times):
            tenant.do("connect_get_all_domain_stats")
            tenant.do("domain_memory_stats", dom=web1, maxStats=10)
            tenant.do("domain_get_cpu_stats", dom=web1, nparams=0, start_cpu=0, ncpus=1)
        return gateway.memory_kib("front", "gate")
    before = ask(200)
    assert ask(2000) - before < 1024


def test_cve_2022_0897_filters_are_counted_for_nobody_who_may_not(gateway, libvirtd):
    """The gateway answers from what libvirtd said, or refuses: no tenant makes libvirtd count what is not his."""
    with attacker(gateway, "alice", libvirtd.qemu_uri) as client:
        reply = client.do("connect_num_of_nwfilters")
        assert reply.code == NOT_PERMITTED or reply.body == struct.pack("!i", 0)


def test_cve_2023_3750_look_ups_leave_nothing_locked(gateway, libvirtd):
    """By somebody who may not know of the pool: missing each time, and others go on using it."""
    directory = libvirtd.storage_pool("hr-locked")
    uuid = directly(libvirtd, "print(c.storagePoolLookupByName('hr-locked').UUIDString())", uri=libvirtd.qemu_uri).strip()
    try:
        with attacker(gateway, "alice", libvirtd.qemu_uri) as client:
            for _ in range(20):
                assert client.do("storage_pool_lookup_by_target_path", path=directory).code in MISSING
        with attacker(gateway, "bob", libvirtd.qemu_uri) as client:
            assert client.do("storage_pool_lookup_by_target_path", path=directory).status == OK
            assert client.do("storage_pool_get_info", pool=("hr-locked", uuid)).status == OK
    finally:
        directly(libvirtd, "p = c.storagePoolLookupByName('hr-locked')\np.destroy(); p.undefine()", uri=libvirtd.qemu_uri)


@pytest.mark.parametrize("room", [-1, -HUGE - 1, 16385, HUGE])
def test_cve_2024_1441_2496_rooms_for_names(gateway, libvirtd, room):
    for call in [name for name in PROCEDURES if name.startswith("connect_list") and "maxnames" in {f[1] for f in PROCEDURES[name][2]["args"]}]:
        dropped(gateway, "bob", libvirtd.test_uri, call, arguments(call, maxnames=struct.pack("!i", room)))
    dropped(gateway, "bob", libvirtd.test_uri, "connect_list_domains", struct.pack("!i", room))
    if room > 65536 or room < 0:
        dropped(gateway, "bob", libvirtd.test_uri, "node_list_devices", arguments("node_list_devices", maxnames=struct.pack("!i", room)))


def test_cve_2024_2494_negative_counts(gateway, libvirtd, web1):
    """Every argument of a call on a domain that counts something."""
    counts = {"nparams", "maxparams", "maxids", "maxnames", "maxuuids", "ncpumaps", "maplen", "maxinfo", "maxStats", "maxerrors", "maxCells", "ncpus"}
    tried = 0
    for name, (program, _, row) in PROCEDURES.items():
        if program != REMOTE or row["msg"]:
            continue
        for _, field, kind, *_ in row["args"]:
            if field in counts or kind == "count":
                fields = {f[1]: f[2] for f in row["args"]}
                values = {"dom": web1} if fields.get("dom") == "nonnull_domain" else {}
                if any(kind.startswith("nonnull_") and kind not in ("nonnull_string", "nonnull_domain") for kind in fields.values() if isinstance(kind, str)):
                    continue
                dropped(gateway, "admin", libvirtd.test_uri, name, arguments(name, **values, **{field: struct.pack("!i", -1)}))
                tried += 1
    assert tried > 25


def test_cve_2024_4418_gate_runs_no_client_of_libvirt(gateway):
    """It speaks the protocol with its own codec: libvirt's client library is in none of its processes."""
    for kind in ("front", "gate", "audit"):
        for pid in gateway.children(kind):
            with open(f"/proc/{pid}/maps", encoding="utf-8") as maps:
                assert "libvirt.so" not in maps.read(), kind


def test_cve_2024_8235_interfaces_without_room(gateway, libvirtd):
    with attacker(gateway, "bob", libvirtd.qemu_uri) as client:
        for call in ("connect_list_interfaces", "connect_list_defined_interfaces"):
            client.do(call, maxnames=0)
        client.do("connect_list_all_interfaces", need_results=0)
        client.do("connect_num_of_interfaces")
        client.do("interface_lookup_by_name", name="")


def test_cve_2025_12748_documents_of_those_who_may_not_are_not_parsed(gateway, libvirtd):
    """Refused by the header, before the document has come; and it never reaches libvirtd."""
    number = PROCEDURES["domain_define_xml_flags"][1]
    for user in ("bob", "carol"):
        with attacker(gateway, user, libvirtd.test_uri) as client:
            size = 4 * 1024 * 1024
            head = struct.pack("!IIIiiIi", 28 + 4 + size + 4, REMOTE, 1, number, CALL, 99, OK)
            client.send_bytes(head + struct.pack("!I", size))
            reply = client.reply_to(99)
            assert (reply.status, reply.code) == (ERROR, NOT_PERMITTED)


def test_cve_2025_13193_snapshots_of_tenants_write_no_files(tenant, web1):
    xml = "<domainsnapshot><disks><disk name='hda' snapshot='external'><source file='/tmp/world-readable'/></disk></disks></domainsnapshot>"
    for flags in (0, 16, 16 | 64):
        tenant.refused("domain_snapshot_create_xml", dom=web1, xml_desc=xml, flags=flags)
    assert not os.path.exists("/tmp/world-readable")
