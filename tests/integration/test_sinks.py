"""Copies of the trail: to journald, rsyslog, and to collectors of the tests' own that break off when they are told to."""
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import threading

import pytest

from lab.audit import kernel_audit
from lab.process import PATIENCE, Daemon, LabError, answers, free_port, run, wait_until

JOURNALD = "/lib/systemd/systemd-journald"
NAMESPACE = f"virtgate-test-{os.getpid()}"


class Collector:
    """Takes syslog messages on a stream, counted, or as datagrams. stop() breaks connections as a crash does, leave() ends as a restart in order."""

    def __init__(self, address, tls=None):
        self.address = address
        self.tls = tls
        self.messages = []
        self.threads = []
        self.listener = None
        self.ending = None      # "stop" or "leave"

    def start(self):
        unix = isinstance(self.address, str)
        self.ending = None
        self.listener = socket.socket(socket.AF_UNIX if unix else socket.AF_INET, socket.SOCK_DGRAM if unix else socket.SOCK_STREAM)
        if unix:
            if os.path.exists(self.address):
                os.unlink(self.address)
            self.listener.bind(self.address)
            os.chmod(self.address, 0o666)
            self._thread(self._datagrams, self.listener)
        else:
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.listener.bind(self.address)
            self.listener.listen()
            self.address = self.listener.getsockname()
            self._thread(self._accept, self.listener)
        return self

    def _thread(self, target, *arguments):
        self.threads.append(threading.Thread(target=target, args=arguments, daemon=True))
        self.threads[-1].start()

    def stop(self, how="stop"):
        listener, self.listener = self.listener, None
        self.ending = how
        try:
            listener.shutdown(socket.SHUT_RDWR)     # wakes the thread; close alone does not
        except OSError:
            pass
        for thread in self.threads:
            thread.join(20)
        self.threads = []
        listener.close()
        if isinstance(self.address, str):
            os.unlink(self.address)

    def leave(self):
        self.stop("leave")

    def _datagrams(self, listener):
        """What its socket has taken is read, also when it takes no more."""
        while True:
            data = listener.recv(1 << 20)
            if not data:
                return
            self.messages.append(data)

    def _accept(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            self._thread(self._stream, connection)

    def _stream(self, connection):
        said = False
        data = b""
        try:
            if self.tls is not None:
                connection = self.tls.wrap_socket(connection, server_side=True)
            connection.settimeout(0.02)
            while self.ending != "stop":
                if self.ending == "leave" and not said:
                    said = True
                    socket.socket.shutdown(connection, socket.SHUT_WR)     # the rest is read until the other side has closed, too
                try:
                    more = connection.recv(1 << 16)
                except TimeoutError:
                    continue
                if not more:
                    break
                data = self._take(data + more)
            if self.ending == "stop":
                # what was not read is thrown away with a reset, and nothing is said before it
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        except OSError:
            pass
        socket.socket.close(connection)

    def _take(self, data):
        """Whole messages; the rest."""
        while True:
            count, blank, rest = data.partition(b" ")
            if not blank or len(rest) < int(count):
                return data
            self.messages.append(rest[:int(count)])
            data = rest[int(count):]

    def records(self):
        return [syslog_record(message) for message in list(self.messages)]

    def has(self, record):
        return any(one["seq"] == record["seq"] for one in self.records())


SYSLOG = re.compile(rb'<(\d+)>1 (\S+) (\S+) virtgate - (VG\d{4}[IWE]) \[virtgate@32473 seq="(\d+)" op="(\w{26})" stage="(\w+)" '
                    rb'hash="([0-9a-f]{64})"\] (\{.*\})', re.DOTALL)


def syslog_record(message):
    found = SYSLOG.fullmatch(message)
    assert found, message
    record = json.loads(found[9])
    assert int(found[1]) // 8 == 13
    assert found[2].decode() == record["time"] and int(found[5]) == record["seq"] and found[8].decode() == record["hash"]
    return record


def delivered(gateway, has):
    """
    Stops it, and returns the trail when `has` is true of its last record. For what the stop itself adds a sink has one second (STOP_MS of
    sink_main.c), which a busy machine may not give it: then it comes in the next life.
    """
    gateway.stop()
    trail = gateway.audit()
    try:
        wait_until(lambda: has(trail[-1]), "the last record", 2)
    except LabError:
        gateway.start()
        wait_until(lambda: has(trail[-1]), "the last record, at the latest in the next life")
        gateway.stop()
    return trail


def assert_complete(records, trail, may_repeat=False):
    """Every record of the trail, in order; what comes twice is the same."""
    records = [record for record in records if record["seq"] <= trail[-1]["seq"]]
    by_seq = {}
    for record in records:
        assert by_seq.setdefault(record["seq"], record) == record
    assert [by_seq[seq] for seq in sorted(by_seq)] == trail
    if not may_repeat:
        assert [record["seq"] for record in records] == [record["seq"] for record in trail]


def stop_and_compare(gateway, collector, may_repeat=False):
    trail = delivered(gateway, collector.has)
    assert_complete(collector.records(), trail, may_repeat)
    assert trail[-1]["event"] == "audit.checkpoint"


def server_context(authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.server_cert, authority.server_key)
    return context


@pytest.fixture(params=["unix", "tcp", "tls"])
def way(request, scratch, authority):
    """A collector that does not run yet, and the text of its sink."""
    if request.param == "unix":
        place = scratch.directory(f"dev-{request.node.name[:40].replace('[', '-')}", mode=0o755)
        collector = Collector(f"{place}/log")
        yield collector, {"audit_sinks": [f"syslog:{place}/log"]}
    else:
        port = free_port()
        collector = Collector(("127.0.0.1", port), server_context(authority) if request.param == "tls" else None)
        yield collector, {"audit_sinks": [f"syslog+{request.param}://{'localhost' if request.param == 'tls' else '127.0.0.1'}:{port}"]}
    if collector.listener is not None:
        collector.stop()


def make_changes(gateway, num=3):
    for _ in range(num):
        gateway.virsh("alice", "list")
        gateway.virsh("alice", "undefine", "db-1")


def test_collector_gets_every_record_once_and_in_order(own_gateway, way):
    collector, settings = way
    collector.start()
    gateway = own_gateway(**settings)
    make_changes(gateway)
    stop_and_compare(gateway, collector)


def test_collector_that_was_away_gets_what_it_missed(own_gateway, way):
    collector, settings = way
    gateway = own_gateway(**settings)
    make_changes(gateway)
    collector.start()
    make_changes(gateway)
    stop_and_compare(gateway, collector)
    gateway.start()                     # a second life goes on where the first ended
    make_changes(gateway)
    stop_and_compare(gateway, collector)


def test_collector_and_sink_that_break_lose_nothing(own_gateway, way):
    collector, settings = way
    collector.start()
    gateway = own_gateway(**settings)
    crashes = len(gateway.audit(event="gateway.crash"))
    for turn in range(3):
        make_changes(gateway, 2)
        collector.stop()
        make_changes(gateway, 2)
        collector.start()
        make_changes(gateway, 1)
        gateway.kill_child("sink")
        wait_until(lambda: len(gateway.audit(event="gateway.crash")) == crashes + turn + 1, "the record of the crash")
    last = gateway.audit()[-1]["seq"]
    wait_until(lambda: any(record["seq"] >= last for record in collector.records()), "what is in the trail at the collector")
    stop_and_compare(gateway, collector, may_repeat=True)
    print(f"3 crashes of the collector and 3 of the sink: {len(collector.messages) - len(gateway.audit())} of {len(gateway.audit())} records came twice")


LOAD = """
c = connect()
for line in sys.stdin:
    for _ in range(int(line)):
        fail(c.lookupByName("db-1").undefine)
    answer("done")
"""


def test_collector_that_is_restarted_in_order_under_load_gets_each_record_once(own_gateway, way):
    collector, settings = way
    collector.start()
    gateway = own_gateway(**settings)
    clients = [gateway.popen_python("alice", LOAD) for _ in range(3)]
    try:
        for _ in range(6):
            before = len(collector.messages)
            for client in clients:
                print(150, file=client.stdin, flush=True)
            wait_until(lambda: len(collector.messages) > before + 100, "records at the collector")
            collector.leave()
            collector.start()
            assert [client.stdout.readline() for client in clients] == ['"done"\n'] * 3
    finally:
        for client in clients:
            client.kill()
            client.communicate()
    last = gateway.audit()[-1]["seq"]
    wait_until(lambda: any(record["seq"] >= last for record in collector.records()), "what is in the trail at the collector", 30)
    stop_and_compare(gateway, collector)


@pytest.mark.parametrize("way", ["tcp", "tls"], indirect=True)
def test_stalled_collector_holds_nobody_up(own_gateway, way):
    """It takes connections and reads nothing."""
    collector, settings = way
    stalled = socket.socket()
    stalled.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    stalled.bind(collector.address)
    stalled.listen()
    gateway = own_gateway(**settings)
    make_changes(gateway)
    assert gateway.audit(event="session.login")
    gateway.stop()      # in order: nobody is killed
    stalled.close()


@pytest.mark.parametrize("wrong", ["name", "authority"])
def test_tls_collector_that_is_another_gets_nothing(own_gateway, scratch, authority, wrong):
    from lab.pki import Authority
    other = Authority(scratch.directory(f"other-collector-{wrong}"))
    other.issue(f"{other.dir}/server", "/CN=elsewhere", "serverAuth",
                "DNS:elsewhere.example.com" if wrong == "name" else "DNS:localhost,IP:127.0.0.1")
    collector = Collector(("127.0.0.1", 0), server_context(other)).start()
    more = {"audit_sink_ca_file": other.ca_cert} if wrong == "name" else {}
    gateway = own_gateway(audit_sinks=[f"syslog+tls://localhost:{collector.address[1]}"], **more)
    make_changes(gateway, 1)
    wait_until(lambda: "certificate" in gateway.log(), "the refusal in the log")
    assert not collector.messages
    collector.stop()


def test_linux_audit_has_who_and_what(own_gateway):
    if os.geteuid() != 0:
        pytest.skip("messages of Linux audit can be read by root alone")
    with contextlib.ExitStack() as stack:
        try:
            audit = stack.enter_context(kernel_audit())
        except OSError as error:
            pytest.skip(f"this kernel's audit is not ours to turn on: {error}")
        gateway = own_gateway(audit_sinks=["linux-audit"])
        if gateway.settings.get("user", "root") != "root":
            for pid in gateway.children("sink"):
                with open(f"/proc/{pid}/status", encoding="ascii") as status:
                    assert "CapEff:\t0000000020000000" in status.read()
        make_changes(gateway)
        messages = {}

        def has(record):
            for kind, text in audit.messages(0.2):
                found = re.search(r"code=VG\S+ seq=(\d+) ", text)
                if found:
                    messages[int(found[1])] = (kind, text)
            return record["seq"] in messages
        trail = delivered(gateway, has)
        expected = [record for record in trail if record["stage"] != "intent"]
        assert [seq for seq in sorted(messages) if seq <= trail[-1]["seq"]] == [record["seq"] for record in expected]
        denied = next(record for record in expected if record["event"] == "domain.undefine")
        kind, text = messages[denied["seq"]]
        assert kind == 2500 and 'vm="db-1"' in text and "hostname=127.0.0.1 addr=127.0.0.1 terminal=rpc-tls res=failed" in text
        assert "acct=" in text and f"uuid={denied['object']['uuid']}" in text
        assert next(messages[record["seq"]] for record in expected if record["event"] == "session.login")[0] == 1112


def test_mistakes_are_told_at_the_start(own_gateway):
    for sinks, words in ((["syslog+udp://x"], "audit_sinks"), (["syslog+tcp://a b"], "is no sink"), (["syslog+tcp://a:70000"], "is no sink")):
        with pytest.raises(LabError) as told:
            own_gateway(audit_sinks=sinks)
        assert words in str(told.value), told.value


@pytest.mark.skipif(shutil.which("rsyslogd") is None, reason="rsyslogd is not installed")
@pytest.mark.parametrize("transport", ["tcp", "tls"])
def test_rsyslog_keeps_the_trail_and_its_checkpoints(own_gateway, scratch, authority, transport):
    port = free_port()
    place = scratch.directory(f"rsyslog-{transport}", mode=0o755)
    tls = f"""
global(defaultNetstreamDriver="gtls" defaultNetstreamDriverCAFile="{authority.ca_cert}"
       defaultNetstreamDriverCertFile="{authority.server_cert}" defaultNetstreamDriverKeyFile="{authority.server_key}")
module(load="imtcp" streamDriver.name="gtls" streamDriver.mode="1" streamDriver.authMode="anon")
"""
    config = scratch.write(f"rsyslog-{transport}.conf", f"""
global(workDirectory="{place}" maxMessageSize="128k")
{tls if transport == "tls" else 'module(load="imtcp")'}
input(type="imtcp" port="{port}" address="127.0.0.1")
template(name="all" type="string" string="%timestamp:::date-rfc3339% %hostname% %app-name% %msgid% %structured-data% %msg%\\n")
action(type="omfile" file="{place}/messages" template="all")
""")
    daemon = Daemon("rsyslogd", ["rsyslogd", "-n", "-f", config, "-i", f"{place}/pid"], f"{place}/log", dict(os.environ))
    try:
        daemon.wait_ready(lambda: answers(port), "rsyslogd's port")
        gateway = own_gateway(audit_sinks=[f"syslog+{transport}://localhost:{port}"])
        make_changes(gateway)

        def written():
            if not os.path.exists(f"{place}/messages"):
                return []
            with open(f"{place}/messages", encoding="utf-8") as file:
                return [line for line in file if line.endswith("\n") and " virtgate " in line]
        trail = delivered(gateway, lambda record: any(record["hash"] in line for line in written()))
        assert_complete([json.loads(line[line.index("{"):]) for line in written()], trail)
        verified = gateway.virtgate("audit", "verify", f"{gateway.dir}/audit", "--checkpoint", f"{place}/messages")
        assert verified.returncode == 0 and "confirmed: up to record" in verified.stdout, verified.stdout + verified.stderr
    finally:
        daemon.stop()


def forget_journal(machine):
    for leftover in (f"/run/systemd/journal.{NAMESPACE}", f"/run/log/journal/{machine}.{NAMESPACE}",
                     f"/var/log/journal/{machine}.{NAMESPACE}"):
        shutil.rmtree(leftover, ignore_errors=True)


@pytest.mark.skipif(not os.access(JOURNALD, os.X_OK) or os.geteuid() != 0, reason="systemd-journald is not installed, or we are not root")
def test_journald_has_the_fields(own_gateway, scratch):
    os.makedirs("/run/systemd", exist_ok=True)
    with open("/etc/machine-id", encoding="ascii") as file:
        machine = file.read().strip()
    forget_journal(machine)
    daemon = subprocess.Popen([JOURNALD, NAMESPACE], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    path = f"/run/systemd/journal.{NAMESPACE}/socket"
    try:
        wait_until(lambda: os.path.exists(path), "journald's socket")
        gateway = own_gateway(audit_sinks=[f"journald:{path}"])
        make_changes(gateway)
        logs = [f"{root}/{machine}.{NAMESPACE}" for root in ("/run/log/journal", "/var/log/journal")]
        logs = wait_until(lambda: next((entry for entry in logs if os.path.isdir(entry)), None), "the journal")

        def entries():
            text = run(["journalctl", "--directory", logs, "-o", "json", "--all", "SYSLOG_IDENTIFIER=virtgate"], check=False).stdout
            return [json.loads(line) for line in text.splitlines() if line.startswith("{")]
        trail = delivered(gateway, lambda record: any(record["hash"] in entry["VIRTGATE_RECORD"] for entry in entries()))
        found = entries()
        assert_complete([json.loads(entry["VIRTGATE_RECORD"]) for entry in found], trail)
        denied = next(entry for entry in found if entry.get("VIRTGATE_RESULT") == "denied")
        assert denied["PRIORITY"] == "4" and denied["VIRTGATE_USER"] and denied["VIRTGATE_OBJECT"] == "db-1"
        kept = scratch.write("journal-export", "\n".join(entry["VIRTGATE_CHECKPOINT"] for entry in found
                                                         if "VIRTGATE_CHECKPOINT" in entry) + "\n")
        verified = gateway.virtgate("audit", "verify", f"{gateway.dir}/audit", "--checkpoint", kept)
        assert verified.returncode == 0 and "confirmed" in verified.stdout, verified.stdout + verified.stderr
    finally:
        daemon.send_signal(signal.SIGTERM)
        daemon.wait(PATIENCE)
        forget_journal(machine)
