"""Many at once: threads on one connection, many clients, clients that vanish."""
import os
import signal

from lab.process import alive, children_of, wait_until
from rawrpc import DOMAIN_CREATE, RawClient, domain

SHARE = """
N, T = 250, 4
c = connect()
worst = [0.0] * T
def run(i):
    for _ in range(N):
        begun = time.monotonic()
        c.getLibVersion()
        worst[i] = max(worst[i], time.monotonic() - begun)
threads = [threading.Thread(target=run, args=(i,)) for i in range(T)]
[t.start() for t in threads]; [t.join() for t in threads]
answer(max(worst))
"""


def test_threads_on_one_connection_never_stall(way):
    """Two RPC messages in one TLS record would make libvirt's client wait for its next keepalive, which is five seconds away, or for ever."""
    assert way.python("alice", SHARE) < 4.5


def test_overlapping_lists_and_lookups(way):
    worst, wrong = way.python("alice", """
        c = connect()
        worst, wrong = [0.0], []
        def lists():
            for _ in range(40):
                begun = time.monotonic()
                names = sorted(d.name() for d in c.listAllDomains())
                worst[0] = max(worst[0], time.monotonic() - begun)
                if names != ["db-1", "web-1", "web-2"]:
                    wrong.append(names)
        def lookups(name):
            for _ in range(40):
                if c.lookupByName(name).name() != name:
                    wrong.append(name)
        threads = [threading.Thread(target=lists) for _ in range(2)]
        threads += [threading.Thread(target=lookups, args=(n,)) for n in ("web-1", "web-2", "db-1")]
        [t.start() for t in threads]; [t.join() for t in threads]
        answer(worst[0]); answer(wrong)
        """)
    assert worst < 4.5 and wrong == []


def test_two_clients_at_once(way, libvirtd):
    """A change by one is what the other sees next."""
    one = way.gateway.popen_python("alice", """
        d = connect().lookupByName("web-2")
        for line in sys.stdin:
            d.create() if line == "start\\n" else d.destroy()
            answer("done")
        """, via=way.via)
    other = way.gateway.popen_python("bob", """
        d = connect().lookupByName("web-2")
        for line in sys.stdin:
            answer(d.isActive())
        """, via=way.via)
    try:
        for order, active in (("start", "1"), ("stop", "0")) * 3:
            print(order, file=one.stdin, flush=True)
            assert one.stdout.readline() == '"done"\n'
            print("?", file=other.stdin, flush=True)
            assert other.stdout.readline().strip() == active
    finally:
        for process in (one, other):
            process.kill()
            process.communicate()
        libvirtd.virsh("destroy", "web-2", check=False)


def test_200_clients(gateway):
    """All connected at the same time, each gets its own answers."""
    code = """
        connections = []
        lock = threading.Lock()
        def some():
            for _ in range(25):
                c = connect()
                with lock:
                    connections.append(c)
        threads = [threading.Thread(target=some) for _ in range(8)]
        [t.start() for t in threads]; [t.join() for t in threads]
        names = {",".join(sorted(d.name() for d in c.listAllDomains())) for c in connections}
        answer([len(connections), sorted(names)])
        """
    assert gateway.python("alice", code, seconds=300) == [200, ["db-1,web-1,web-2"]]


def test_client_killed_in_the_middle_of_a_stream(gateway, libvirtd, pool, scratch):
    uri = libvirtd.qemu_uri
    libvirtd.virsh("vol-create-as", "images", "victim", "256M", "--format", "raw", "--allocation", "0", uri=uri)
    target = scratch("victim.part")
    try:
        client = gateway.popen_virsh("admin", "vol-download", "victim", target, "images", uri=uri)
        wait_until(lambda: os.path.exists(target) and os.path.getsize(target) > 1 << 20, "the first MiB")
        client.send_signal(signal.SIGKILL)
        client.communicate()
        gateway.wait_audit(event="session.logout", user__x509="CN=admin,O=Lab")
        assert gateway.virsh("admin", "vol-list", "images", uri=uri).returncode == 0
    finally:
        libvirtd.virsh("vol-delete", "victim", "images", uri=uri, check=False)


def test_I58_client_gone_in_the_middle_of_a_call(gateway, libvirtd, authority, web1_off):
    """The change was asked for and its asker is gone: it is not made, or it has an intent, and one outcome."""
    before = {record["op"] for record in gateway.audit(call="domain_create")}
    client = RawClient.tls(gateway.ports["tls"], f"{authority.clients}/alice")
    client.open(libvirtd.test_uri)
    session = gateway.wait_audit(event="session.login", source__port=client.stream.getsockname()[1])[-1]["session"]
    client.send(DOMAIN_CREATE, domain("web-1", libvirtd.seeds["web-1"][0]))
    client.close()

    def ended():
        new = [record["stage"] for record in gateway.audit(call="domain_create") if record["op"] not in before]
        return new + ["end"] if len(new) != 1 and gateway.audit(event="session.logout", session=session) else None
    running = libvirtd.virsh("domstate", "web-1").stdout.strip() == "running" if wait_until(ended, "the end") == ["end"] else None
    assert running in (None, False)


def test_connection_storm_leaves_nothing_behind(gateway, authority):
    """Handshakes that go no further are forgotten, descriptors included."""
    def descriptors():
        return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in children_of(gateway.daemon.pid) if alive(pid))
    with RawClient.tls(gateway.ports["tls"], f"{authority.clients}/alice"):
        pass
    before = descriptors()
    for _ in range(60):
        RawClient.tls(gateway.ports["tls"], f"{authority.clients}/alice").close()
    wait_until(lambda: descriptors() <= before + 4, "descriptors to be closed")
