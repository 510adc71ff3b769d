"""Events reach those who may see the object, and nobody else."""

WATCH = """
libvirt.virEventRegisterDefaultImpl()
seen = []
def lifecycle(conn, dom, event, detail, opaque):
    answer([dom.name(), event])
c = connect()
callback = c.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, lifecycle, None)
answer("watching")
def until_told():
    sys.stdin.readline()
    os._exit(0)
threading.Thread(target=until_told, daemon=True).start()
while True:
    libvirt.virEventRunDefaultImpl()
"""


def events_of(process, count):
    return [process.stdout.readline().strip() for _ in range(count)]


def test_I52_lifecycle_events_of_visible_domains_only(way, libvirtd, web1_off):
    where = {"via": way.via}
    alice = way.gateway.popen_python("alice", WATCH, **where)
    bob = way.gateway.popen_python("bob", WATCH, **where)
    try:
        assert alice.stdout.readline() == bob.stdout.readline() == '"watching"\n'
        libvirtd.virsh("suspend", "hr-1")
        libvirtd.virsh("resume", "hr-1")
        libvirtd.virsh("start", "web-1")
        # STARTED is 2, SUSPENDED 3, RESUMED 4: alice's first event is not of hr-1
        assert events_of(alice, 1) == ['["web-1", 2]']
        assert events_of(bob, 3) == ['["hr-1", 3]', '["hr-1", 4]', '["web-1", 2]']
        libvirtd.virsh("destroy", "web-1")
        assert events_of(alice, 1) == events_of(bob, 1) == ['["web-1", 5]']
    finally:
        for process in (alice, bob):
            process.kill()
            process.communicate()


def test_events_while_calls_are_made(gateway, libvirtd, web1_off):
    """Events between replies on one connection: none is lost, none comes twice, no call hangs."""
    process = gateway.popen_python("alice", """
        libvirt.virEventRegisterDefaultImpl()
        counts = {}
        def lifecycle(conn, dom, event, detail, opaque):
            counts[event] = counts.get(event, 0) + 1
        def loop():
            while True:
                libvirt.virEventRunDefaultImpl()
        threading.Thread(target=loop, daemon=True).start()
        c = connect()
        d = c.lookupByName("web-1")
        c.domainEventRegisterAny(d, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, lifecycle, None)
        for _ in range(25):
            d.create(); d.destroy()
        deadline = time.monotonic() + 60
        while counts.get(5, 0) < 25 and time.monotonic() < deadline:
            c.getLibVersion()
        answer([counts.get(2), counts.get(5)])
        os._exit(0)
        """)
    output, errors = process.communicate(timeout=180)
    assert output == "[25, 25]\n", errors


def test_I53_registering_for_a_hidden_domain_is_like_for_a_missing_one(gateway, libvirtd):
    hidden = gateway.python("alice", """
        libvirt.virEventRegisterDefaultImpl()
        c = connect()
        answer(fail(c.lookupByUUIDString, sys.argv[2]))
        """, libvirtd.seeds["hr-1"][0])
    assert hidden["code"] == 42
