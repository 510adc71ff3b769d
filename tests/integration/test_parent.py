"""The parent alone: it starts, joins, restarts, reloads and stops rooms that are stand-ins (rooms.c)."""
import ctypes
import itertools
import json
import os
import re
import signal
import socket
import subprocess
import time

import pytest

from lab.gateway import settings_text
from lab.process import PATIENCE, Scratch, alive, children_of, clean_environment, wait_until

SETTINGS, POLICY = 1 << 0, 1 << 5       # of the files that a room was given
numbers = itertools.count()


class Parent:
    """One daemon of stand-ins. `behave` says what the rooms do; `log()` is what they saw: lists of words."""

    def __init__(self, build, scratch, **settings):
        self.program = f"{build}/tests/integration/rooms"
        self.scratch = scratch
        self.name = f"parent-{next(numbers)}"
        self.dir = scratch.directory(self.name)
        self.process = None
        self.settings = {
            "listen_tls": False, "listen_tcp": True, "tcp_port": "0", "listen_addr": "127.0.0.1", "front_processes": 2,
            "run_dir": f"{self.dir}/run", "state_dir": f"{self.dir}/state", "audit_dir": f"{self.dir}/audit",
            "policy_file": scratch.write(f"{self.name}/policy.json", '{"version": 1, "bindings": []}'), "log_level": 2,
        }
        if os.geteuid() == 0:
            self.settings.update(user=scratch.run_as, group="nogroup")
        self.settings.update(settings)
        self.config = self.write_settings()
        self.rooms_log = scratch.write(f"{self.name}/rooms.log", "", mode=0o666)
        self.rooms_file = scratch.write(f"{self.name}/rooms.conf", "")
        self.environment = clean_environment(ROOMS_LOG=self.rooms_log, ROOMS_FILE=self.rooms_file)

    def write_settings(self, **changes):
        self.settings.update(changes)
        return self.scratch.write(f"{self.name}/virtgated.conf", settings_text(self.settings))

    def behave(self, *words):
        self.scratch.write(f"{self.name}/rooms.conf", "".join(f"{word}\n" for word in words))

    def popen(self, *options):
        self.process = subprocess.Popen([self.program, "--config", self.config, *options], env=self.environment,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        return self.process

    def start(self):
        assert self.popen("--foreground").stdout.readline() == "READY\n", self.process.communicate()
        return self

    def run(self, *options):
        """To its end: (exit code, standard output, standard error)."""
        output, errors = self.popen(*options).communicate(timeout=PATIENCE)
        return self.process.returncode, output, errors

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        _, errors = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, errors

    def kill(self):
        if self.process is not None and self.process.poll() is None:
            pids = children_of(self.process.pid)
            self.process.kill()
            self.process.communicate()
            for pid in filter(alive, pids):
                os.kill(pid, signal.SIGKILL)

    def log(self, room="", word=""):
        with open(self.rooms_log, encoding="utf-8") as file:
            lines = [line.split(maxsplit=3) for line in file]
        return [line for line in lines if line[0].startswith(room) and line[2] == (word or line[2])]

    def starts(self, room):
        """Process ids of a room, in order of starting."""
        return [int(line[1]) for line in self.log(room, "start")]

    def peers(self, pid):
        return sorted(line[3].strip() for line in self.log(word="peer") if line[1] == str(pid))

    def records(self, code):
        """Messages of the audit records with that code."""
        return [re.search(r'"message":"((?:[^"\\]|\\.)*)"', line[3]).group(1)
                for line in self.log("audit", "record") if f'"{code}"' in line[3]]

    def reload(self, expect):
        before = len(self.records(expect))
        self.process.send_signal(signal.SIGHUP)
        return wait_until(lambda: self.records(expect)[before:], f"a record {expect} after SIGHUP")[0]


@pytest.fixture(scope="module")
def place():
    with Scratch() as scratch:
        yield scratch


@pytest.fixture
def make_parent(build, place):
    made = []

    def make(**settings):
        made.append(Parent(build, place, **settings))
        return made[-1]
    yield make
    for parent in made:
        parent.kill()


@pytest.fixture
def parent(make_parent):
    return make_parent().start()


# ---- start ----

def test_start_joins_all_rooms_and_tells_its_ports(parent):
    wait_until(lambda: len(parent.log(word="peer")) == 13, "all links")
    with open(f"{parent.dir}/run/ports.json", encoding="utf-8") as file:
        ports = json.load(file)
    assert list(ports) == ["tcp"]
    socket.create_connection(("127.0.0.1", ports["tcp"]), timeout=PATIENCE).close()
    with open(f"{parent.dir}/run/virtgated.pid", encoding="utf-8") as file:
        assert int(file.read()) == parent.process.pid
    gate, audit, fronts = parent.starts("gate")[0], parent.starts("audit")[0], parent.starts("front")
    assert parent.peers(gate) == ["audit/0", "front/0", "front/1", "reader/0"]
    assert parent.peers(audit) == ["front/0", "front/1", "gate/0", "parent/0"]
    assert parent.peers(parent.starts("reader")[0]) == ["gate/0"]
    assert [parent.peers(pid) for pid in fronts] == [["audit/0", "gate/0"]] * 2
    wait_until(lambda: parent.records("VG1001I"), "the record of the start")


def test_I77_room_gets_what_its_kind_needs_and_no_more(parent):
    for room, files, listeners in (("audit", SETTINGS, 0), ("gate", SETTINGS | POLICY, 1), ("front", SETTINGS, 1),
                                    ("reader", 0, 0)):
        for line in parent.log(room, "start"):
            seen = dict(re.findall(r"(\w+) (\d+)", line[3]))
            assert int(seen["files"]) == files
            assert int(seen["listeners"]) == listeners
            # standard input, output and error, the link, the lock of the run, two of the stand-in's own, what was counted above, and the signing key
            assert int(seen["fds"]) == 7 + bin(files).count("1") + listeners + (room == "audit")
            assert seen["nnp"] == "1"
            assert int(seen["uid"]) != 0


def landlock_version():
    return max(ctypes.CDLL(None).syscall(444, None, ctypes.c_size_t(0), ctypes.c_uint(1)), 0)


@pytest.mark.skipif(landlock_version() < 6, reason="this kernel's Landlock does not know all that is tried here")
@pytest.mark.plain
def test_I65_I77_room_can_do_its_own_job_and_no_other(make_parent, sanitized):
    if sanitized:
        pytest.skip("a build with sanitizers is not confined: it writes reports")
    parent = make_parent()
    parent.behave("audit:probe", "gate:probe", "front:probe", "reader:probe")
    parent.start()
    can = {line[0]: {word for word, yes in re.findall(r"([a-z-]+) ([01])", line[3]) if yes == "1"}
           for line in parent.log(word="probe")}
    as_root = {"become-root"} if os.geteuid() == 0 and parent.settings.get("user") == "root" else set()
    assert can == {"audit": {"write-audit"} | as_root, "gate": as_root, "reader": {"write-index"} | as_root, "front/0": {"connect"} | as_root,
                   "front/1": {"connect"} | as_root}


@pytest.mark.parametrize("room", ["front", "gate", "audit", "reader"])
def test_room_that_cannot_start_ends_the_start_with_its_reason(make_parent, room):
    parent = make_parent()
    parent.behave(f"{room}:fail")
    code, output, errors = parent.run("--foreground")
    assert code == 1
    assert "READY" not in output
    assert "virtgated: the reason of the room\n" in errors
    wait_until(lambda: not any(alive(pid) for pid in parent.starts("")), "the end of all rooms")
    assert not os.path.exists(f"{parent.dir}/run/ports.json")


def test_second_daemon_in_one_run_dir_is_refused(parent, make_parent):
    code, _, errors = make_parent(run_dir=f"{parent.dir}/run").run("--foreground")
    assert code == 1
    assert f"another virtgated (process {parent.process.pid})" in errors
    assert os.path.exists(f"{parent.dir}/run/ports.json")


def test_port_in_use_is_explained(make_parent):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        code, _, errors = make_parent(tcp_port=port).run("--foreground")
    assert code == 1
    assert f"tcp_port: cannot listen on 127.0.0.1 port {port}" in errors
    assert "hint: is libvirtd itself listening there?" in errors


def test_without_listen_addr_both_families_share_one_free_port(make_parent):
    parent = make_parent(listen_addr=None).start()
    with open(f"{parent.dir}/run/ports.json", encoding="utf-8") as file:
        port = json.load(file)["tcp"]
    socket.create_connection(("127.0.0.1", port), timeout=PATIENCE).close()
    if os.path.exists("/proc/net/if_inet6"):
        socket.create_connection(("::1", port), timeout=PATIENCE).close()


def test_socket_that_was_left_behind_is_replaced_and_a_live_one_is_not(make_parent):
    parent = make_parent(listen_unix=True)
    os.mkdir(f"{parent.dir}/run")
    path = f"{parent.dir}/run/virtgate-sock"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(path)
        other.listen()
        code, _, errors = parent.run("--foreground")
        assert code == 1
        assert f"{path}: another process listens there" in errors
    parent.start()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
    assert os.stat(path).st_mode & 0o777 == 0o666
    assert os.stat(f"{parent.dir}/run/control.sock").st_mode & 0o777 == 0o600


@pytest.mark.parametrize("change, words", [
    ({"policy_file": "/nonexistent/policy.json"}, ["policy_file: /nonexistent/policy.json cannot be opened", "hint:"]),
    ({"policy_file": "/"}, ["policy_file: / is not a regular file"]),
    ({"listen_tls": True, "cert_file": "/nonexistent/cert.pem"}, ["cert_file: /nonexistent/cert.pem", "virtgate pki server"]),
    ({"audit_dir": "/nonexistent/a/b"}, ["audit_dir: /nonexistent/a/b cannot be made", "make the directory above it"]),
    ({"listen_addr": "nowhere.invalid"}, ["listen_addr: 'nowhere.invalid'"]),
    ({"log_outputs": ["1:file:/nonexistent/log"]}, ["log_outputs cannot be opened"]),
    ({"listen_tpc": 1}, ["unknown setting 'listen_tpc'", "did you mean 'listen_tcp'?"]),
])
def test_mistakes_at_start_are_explained(make_parent, change, words):
    parent = make_parent(**change)
    code, _, errors = parent.run("--foreground")
    assert code == 1
    for word in words:
        assert word in errors
    assert not parent.log()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root changes its user")
@pytest.mark.parametrize("key", ["user", "group"])
def test_user_that_does_not_exist_is_explained(make_parent, key):
    code, _, errors = make_parent(**{key: "no-such-one"}).run("--foreground")
    assert code == 1
    assert f"{key} 'no-such-one' does not exist" in errors


def test_in_the_background_it_returns_when_ready(make_parent):
    parent = make_parent()
    code, _, errors = parent.run()
    assert (code, errors) == (0, "")
    with open(f"{parent.dir}/run/virtgated.pid", encoding="utf-8") as file:
        pid = int(file.read())
    rooms = parent.starts("")
    try:
        assert len(rooms) == 5 and all(map(alive, rooms))
    finally:
        os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not any(map(alive, rooms + [pid])), "the end of all")


def test_in_the_background_a_failed_start_is_told(make_parent):
    parent = make_parent()
    parent.behave("gate:fail")
    code, _, errors = parent.run()
    assert code == 1
    assert "the reason of the room" in errors


def test_check_config_names_every_problem(make_parent):
    parent = make_parent(state_dir="/nonexistent/a/b", audit_dir="/dev/null", sasl_conf_dir="/nonexistent")
    parent.scratch.write(f"{parent.name}/policy.json", '{"version": 1, "bindngs": [], "groups": 3}')
    code, output, _ = parent.run("--check-config")
    assert code == 1
    for word in ("state_dir: /nonexistent/a/b", "audit_dir: /dev/null is not a directory", "/nonexistent/libvirt.conf",
                 "saslpasswd2 -a libvirt", "policy.json:1:", "bindngs", "warning: ", "backend_socket: no socket"):
        assert word in output
    assert not parent.log() and not os.path.exists(f"{parent.dir}/run")


def test_check_config_looks_at_sasl_as_the_user_that_will(make_parent, place):
    directory = place.directory(f"sasl-{next(numbers)}")
    database = f"{directory}/sasldb2"
    parent = make_parent(sasl_conf_dir=directory)
    place.write(f"{directory}/libvirt.conf", f"mech_list: scram-sha-256\nsasldb_path: {database}\n")
    code, output, _ = parent.run("--check-config")
    assert code == 0 and f"{database}: there is no SASL user yet" in output
    place.write(database, "", mode=0o600)
    code, output, _ = parent.run("--check-config")
    if os.geteuid() == 0:
        assert code == 1 and f"{database}: user '{place.run_as}' may not read the SASL passwords" in output
        assert "adduser" in output
    os.chmod(database, 0o644)
    code, output, _ = parent.run("--check-config")
    assert code == 0 and "SASL" not in output
    place.write(f"{directory}/libvirt.conf", "mech_list: gssapi\n")
    assert parent.run("--check-config")[0] == 0


def test_command_line(make_parent):
    parent = make_parent()
    assert parent.run("--version")[1].startswith("virtgated ")
    assert "--check-config" in parent.run("--help")[1]
    for wrong in (["--nonsense"], ["word"], ["--check-config", "--foreground"]):
        code, _, errors = parent.run(*wrong)
        assert code == 2 and "Usage:" in errors


# ---- falls ----

@pytest.mark.parametrize("room, number", [("front", 2), ("gate", 1), ("audit", 1), ("reader", 1)])
def test_I76_room_that_is_killed_is_started_and_joined_again(parent, room, number):
    wait_until(lambda: len(parent.log(word="peer")) == 13, "all links")
    first = parent.starts(room)[0]
    neighbours = {pid: len(parent.peers(pid)) for pid in parent.starts("")}
    peers = parent.peers(first)
    os.kill(first, signal.SIGKILL)
    second = wait_until(lambda: parent.starts(room)[number:], "the next one")[0]
    wait_until(lambda: parent.peers(second) == peers, "its links")
    wait_until(lambda: sum(len(parent.peers(pid)) == count + 1 for pid, count in neighbours.items() if pid != first)
               == len(peers) - (room == "audit"), "its neighbours' links")
    told = wait_until(lambda: parent.records("VG1003E"), "a record of the fall")[0]
    assert f"{first}" in told and "signal 9" in told
    assert parent.stop()[0] == 0


def test_room_that_keeps_falling_is_tried_later_and_later(parent):
    parent.behave("front:fail")
    began = time.monotonic()
    os.kill(parent.starts("front/0")[0], signal.SIGKILL)
    # at once, after 100, 200, 400 ms, and so on
    wait_until(lambda: len(parent.starts("front/0")) >= 5, "the fifth start")
    starts = min(len(parent.starts("front/0")), 8)
    assert time.monotonic() - began > 0.09 * (2 ** (starts - 2) - 1)
    parent.behave()
    sound = wait_until(lambda: [pid for pid in parent.starts("front/0")[1:] if len(parent.peers(pid)) == 2], "a sound one")
    assert alive(sound[0])
    assert len(parent.starts("gate")) == 1


def test_I76_no_room_outlives_the_parent(parent):
    rooms = parent.starts("")
    parent.process.kill()
    wait_until(lambda: not any(map(alive, rooms)), "the end of all rooms")


# ---- reload ----

def test_reload_gives_each_room_its_files(parent):
    assert parent.reload("VG1004I") == ""
    assert [int(line[3]) for line in parent.log("gate", "reload")] == [SETTINGS | POLICY]
    assert [int(line[3]) for line in parent.log("audit", "reload")] == [SETTINGS]
    assert [int(line[3]) for line in parent.log("reader", "reload")] == [0]
    assert [int(line[3]) for line in parent.log("front", "reload")] == [SETTINGS] * 2


def test_I82_settings_that_do_not_load_change_nothing(parent):
    parent.write_settings(max_clientz=1)
    told = parent.reload("VG1005E")
    assert "virtgated.conf:" in told and "max_clientz" in told and "max_clients" in told
    parent.write_settings(max_clientz=None, policy_file="/nonexistent/policy.json")
    assert "/nonexistent/policy.json" in parent.reload("VG1005E")
    assert not parent.log(word="reload")
    # a room that falls now is started with what is in force, not with what is broken
    gate = parent.starts("gate")[0]
    os.kill(gate, signal.SIGKILL)
    wait_until(lambda: len(parent.starts("gate")) == 2, "the next gate")
    assert [line[3].split()[1] for line in parent.log("gate", "start")] == [str(SETTINGS | POLICY)] * 2


def test_I82_refusal_of_a_room_is_recorded_with_its_reason(parent):
    parent.behave("gate:refuse")
    assert parent.reload("VG1005E") == "gate: no such thing"
    parent.behave()
    assert parent.reload("VG1004I") == ""


def test_reload_tells_what_needs_a_restart(parent):
    parent.write_settings(tcp_port="1", max_clients=7, state_dir="/elsewhere")
    assert parent.reload("VG1004I") == "tcp_port, state_dir"


def test_gate_may_ask_for_a_reload(parent):
    parent.behave("gate:ask")
    os.kill(parent.starts("gate")[0], signal.SIGKILL)
    wait_until(lambda: parent.records("VG1004I"), "a reload")


def test_room_that_falls_during_a_reload_does_not_hold_it_up(parent):
    front = parent.starts("front")[0]
    os.kill(front, signal.SIGSTOP)
    parent.process.send_signal(signal.SIGHUP)
    wait_until(lambda: len(parent.log(word="reload")) == 4, "the others")
    assert not parent.records("VG1004I")
    os.kill(front, signal.SIGKILL)
    wait_until(lambda: parent.records("VG1004I"), "the end of the reload")


def test_way_in_that_left_the_settings_stays_open_until_the_next_start(own_gateway):
    gateway = own_gateway()
    gateway.write_settings(listen_tls=False, listen_tcp=True, log_level=1)
    gateway.reload()
    wait_until(lambda: "listen_tls, listen_tcp" in gateway.log(), "the word in the log")
    assert gateway.virsh("alice", "list").returncode == 0
    gateway.write_settings(log_level=4)
    gateway.reload()


def test_I76_no_process_of_the_real_daemon_outlives_the_parent(own_gateway):
    gateway = own_gateway()
    client = gateway.popen_python("alice", "connect(); answer(1); sys.stdin.read()")
    try:
        assert client.stdout.readline() == "1\n"
        rooms = children_of(gateway.daemon.pid)
        gateway.daemon.process.kill()
        gateway.daemon.process.wait()
        wait_until(lambda: not any(map(alive, rooms)), "the end of all rooms")
    finally:
        client.kill()
        client.communicate()
    gateway.daemon = None
    gateway.start()
    assert gateway.virsh("alice", "list").returncode == 0


# ---- stop ----

def test_stop_goes_front_to_back_and_is_recorded(parent):
    code, errors = parent.stop()
    assert code == 0, errors
    order = [line[0].partition("/")[0] for line in parent.log(word="stop")]
    assert (order[:2], sorted(order[2:4]), order[4:]) == (["front", "front"], ["gate", "reader"], ["audit"])
    seen = [line[2] for line in parent.log("audit")]
    assert seen.index("stop") > max(i for i, word in enumerate(seen) if word == "record")
    assert parent.records("VG1002I") == [""]
    assert os.listdir(f"{parent.dir}/run") == ["virtgated.lock"]
    assert "error" not in errors


def test_sinks_stop_last_and_are_started_again(make_parent):
    parent = make_parent(audit_sinks=["syslog", "journald"])
    parent.start()
    assert [parent.peers(pid) for pid in parent.starts("sink")] == [[]] * 2
    os.kill(parent.starts("sink")[0], signal.SIGKILL)
    wait_until(lambda: len(parent.starts("sink")) == 3, "another sink")
    code, errors = parent.stop()
    assert code == 0, errors
    order = [line[0].partition("/")[0] for line in parent.log(word="stop")]
    assert order[-3:] == ["audit", "sink", "sink"]


def test_rooms_that_do_not_stop_are_killed_in_time(parent):
    parent.behave("front:deaf", "gate:deaf", "audit:deaf", "reader:deaf")
    rooms = parent.starts("")
    code, errors = parent.stop()
    assert code == 0
    assert "fronts did not end in time" in errors
    assert not any(map(alive, rooms))


def test_systemd_is_told(make_parent, place):
    path = place(f"notify-{next(numbers)}")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(path)
        systemd.settimeout(PATIENCE)
        parent = make_parent()
        parent.environment["NOTIFY_SOCKET"] = path
        parent.start()
        assert systemd.recv(100) == b"READY=1"
        parent.reload("VG1004I")
        assert systemd.recv(100).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
        assert systemd.recv(100).startswith(b"READY=1")
        assert parent.stop()[0] == 0
        assert systemd.recv(100) == b"STOPPING=1"
