"""Processes that die, disks that fill, and a libvirtd that goes away."""
import json
import os
import signal

import pytest

from lab.process import alive, children_of, run, wait_until

TOGGLE = """
d = connect().lookupByName("web-2")
for line in sys.stdin:
    before = fail(d.isActive)
    result = before if before["code"] else fail(d.destroy if before["value"] == "1" else d.create)
    answer([result["code"], result.get("message", ""), before.get("value") == "1"])
"""


def ask(process):
    print("?", file=process.stdin, flush=True)
    line = process.stdout.readline()
    assert line, process.stderr.read()
    return json.loads(line)


@pytest.fixture
def end():
    """Kills the clients of a test."""
    processes = []
    yield lambda process: (processes.append(process), process)[1]
    for process in processes:
        process.kill()
        process.communicate()


def test_I76_front_killed_loses_its_own_clients_only(own_gateway, end):
    gateway = own_gateway(front_processes=2)
    assert len(gateway.children("front")) == 2
    clients = [end(gateway.popen_python("alice", """
        c = connect()
        answer("open")
        for line in sys.stdin:
            answer(fail(c.getLibVersion)["code"])
        """)) for _ in range(12)]
    for client in clients:
        assert client.stdout.readline() == '"open"\n'
    dead = gateway.kill_child("front")
    codes = [ask(client) for client in clients]
    assert any(code == 0 for code in codes) or len(set(codes)) == 1
    gateway.wait_child("front", other_than=(dead,))
    wait_until(lambda: len(gateway.children("front")) == 2, "the front's replacement")
    assert all(gateway.virsh("alice", "list").returncode == 0 for _ in range(4))
    assert gateway.wait_audit(event="gateway.crash")
    assert gateway.audit_verify().returncode == 0


def test_I76_gate_killed_ends_sessions_and_comes_back(own_gateway, end, web2_off):
    gateway = own_gateway()
    client = end(gateway.popen_python("alice", TOGGLE))
    ask(client)
    dead = gateway.kill_child("gate")
    code, message, _ = ask(client)
    assert code != 0, message
    gateway.wait_child("gate", other_than=(dead,))
    wait_until(lambda: gateway.virsh("alice", "list").returncode == 0, "service after the gate was replaced")
    assert gateway.audit_verify().returncode == 0


def test_I55_change_waits_for_its_intent_and_reads_do_not(own_gateway, libvirtd, end, web1_off):
    """The audit process stands still: a change must not reach libvirtd, a read must go through."""
    gateway = own_gateway()
    changer = end(gateway.popen_python("alice", """
        d = connect().lookupByName("web-1")
        answer("ready")
        sys.stdin.readline()
        answer(fail(d.create)["code"])
        """))
    reader = end(gateway.popen_python("bob", """
        d = connect().lookupByName("web-1")
        answer("ready")
        for line in sys.stdin:
            answer(d.isActive())
        """))
    assert changer.stdout.readline() == reader.stdout.readline() == '"ready"\n'
    audit, = gateway.children("audit")
    os.kill(audit, signal.SIGSTOP)
    try:
        print("go", file=changer.stdin, flush=True)
        for _ in range(50):
            assert ask(reader) == 0
        assert libvirtd.state("web-1") == "shut off"
    finally:
        os.kill(audit, signal.SIGCONT)
    assert changer.stdout.readline() == "0\n"
    assert libvirtd.state("web-1") == "running"


def test_I56_stalled_disk_refuses_changes_in_time_and_holds_no_read_up(own_gateway, libvirtd, end, web1_off):
    """The audit process stands still as it does in a sync of a disk that stalls: who waits is told so, and nothing is made of it later."""
    gateway = own_gateway()
    changer = end(gateway.popen_python("alice", """
        d = connect().lookupByName("web-1")
        answer("ready")
        sys.stdin.readline()
        begun = time.monotonic()
        error = fail(d.create)
        answer([error["code"], error.get("message", ""), time.monotonic() - begun])
        sys.stdin.readline()
        answer(fail(d.create)["code"])
        """))
    reader = end(gateway.popen_python("bob", """
        d = connect().lookupByName("web-1")
        answer("ready")
        for line in sys.stdin:
            begun = time.monotonic()
            d.info()
            answer(time.monotonic() - begun)
        """))
    assert changer.stdout.readline() == reader.stdout.readline() == '"ready"\n'
    audit, = gateway.children("audit")
    os.kill(audit, signal.SIGSTOP)
    try:
        print("go", file=changer.stdin, flush=True)
        slowest = max(ask(reader) for _ in range(200))
        code, message, seconds = json.loads(changer.stdout.readline())
        assert code == 38 and "cannot be written in time" in message and "nothing was changed" in message, (code, message)
        assert 5 < seconds and slowest < seconds / 2, (seconds, slowest)
        assert libvirtd.state("web-1") == "shut off"
    finally:
        os.kill(audit, signal.SIGCONT)
    intent, = gateway.wait_audit(call="domain_create", stage="intent")
    outcome, = gateway.wait_audit(call="domain_create", stage="outcome", op=intent["op"])
    assert outcome["result"]["status"] == "error" and libvirtd.state("web-1") == "shut off"
    print("go", file=changer.stdin, flush=True)
    assert changer.stdout.readline() == "0\n"
    assert gateway.audit_verify().returncode == 0


def test_I56_audit_killed_again_and_again_loses_nothing(own_gateway, end, web2_off):
    """Each change either is refused with words, or stands in the trail."""
    gateway = own_gateway()
    client = end(gateway.popen_python("alice", TOGGLE))
    done, refused = 0, 0
    for turn in range(24):
        if turn % 4 == 1:
            pid = gateway.children("audit")
            if pid:
                os.kill(pid[0], signal.SIGKILL)
        code, message, _ = ask(client)
        if code == 0:
            done += 1
        else:
            refused += 1
            assert "audit" in message, message
    wait_until(lambda: ask(client)[0] == 0, "changes to be possible again")
    done += 1
    outcomes = gateway.wait_audit(done, stage="outcome", object__name="web-2", result__status="ok")
    intents = {record["op"] for record in gateway.audit(stage="intent", object__name="web-2")}
    assert {record["op"] for record in outcomes} <= intents
    assert len(outcomes) >= done
    verified = gateway.audit_verify()
    assert verified.returncode == 0, verified.stdout + verified.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_I56_audit_disk_full_refuses_changes_not_reads(own_gateway, scratch, libvirtd, end, web2_off):
    small = scratch.directory("small-disk")
    run(["mount", "-t", "tmpfs", "-o", "size=256k,mode=0755", "tmpfs", small])
    try:
        place = scratch.directory("small-disk", "audit")
        scratch.give(place)
        gateway = own_gateway(audit_dir=place)
        client = end(gateway.popen_python("alice", TOGGLE))
        assert ask(client)[0] == 0
        filler = os.open(f"{small}/filler", os.O_WRONLY | os.O_CREAT)
        try:
            while os.write(filler, b"x" * 4096) == 4096:
                pass
        except OSError:
            pass
        finally:
            os.close(filler)

        def refusal():
            """True once a change was refused outright; before that one may have been done and not be on record yet."""
            code, message, before = ask(client)
            after = libvirtd.state("web-2") == "running"
            if code == 0:
                return False
            assert code == 38 and "audit" in message, (code, message)
            if "was carried out" in message:
                return False
            assert "nothing was changed" in message and after == before, (message, before, after)
            return True
        wait_until(refusal, "a refused change")
        assert gateway.virsh("bob", "list", "--all").returncode == 0, "reads must go on"
        os.unlink(f"{small}/filler")
        wait_until(lambda: ask(client)[0] == 0, "changes to be possible again")
        verified = gateway.virtgate("audit", "verify", place)
        assert verified.returncode == 0, verified.stdout + verified.stderr
        gateway.stop()
    finally:
        run(["umount", "-l", small])


@pytest.fixture
def ext4(scratch):
    """A small file system of its own on a loop device; its directory."""
    image, place = scratch("ext4.img"), scratch.directory("ext4")
    with open(image, "wb") as file:
        file.truncate(24 << 20)
    run(["mkfs.ext4", "-q", image])
    mounted = run(["mount", "-o", "loop", image, place], check=False)
    if mounted.returncode != 0:
        pytest.skip(f"no loop devices here: {mounted.stderr}")
    yield place
    run(["umount", "-l", place])


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a file system needs root")
def test_I56_disk_that_becomes_read_only_refuses_changes_not_reads(own_gateway, scratch, libvirtd, end, ext4, web2_off):
    """What the kernel does with errors=remount-ro: writes fail from one moment on, what is there stays readable."""
    place = os.path.join(ext4, "audit")
    os.mkdir(place, 0o700)
    scratch.give(place)
    gateway = own_gateway(audit_dir=place)
    client = end(gateway.popen_python("alice", TOGGLE))
    assert ask(client)[0] == 0
    with open(f"{place}/audit-000001.jsonl", encoding="utf-8") as file:
        before = [line for line in file if line.endswith("\n")]
    assert any('"stage":"outcome"' in line for line in before)
    run(["mount", "-o", "remount,abort", ext4])

    def refusal():
        code, message, was = ask(client)
        running = libvirtd.state("web-2") == "running"
        if "was carried out" in message or code == 0:
            return False        # under way when it happened
        assert code == 38 and "nothing was changed" in message and running == was, (code, message)
        return True
    wait_until(refusal, "a refused change")
    assert gateway.virsh("bob", "list", "--all").returncode == 0, "reads must go on"
    with open(f"{place}/audit-000001.jsonl", encoding="utf-8") as file:
        assert file.readlines()[:len(before)] == before
    verified = gateway.virtgate("audit", "verify", place)
    assert verified.returncode == 0, verified.stdout + verified.stderr


def test_I84_libvirtd_gone_under_a_session_is_a_clear_error(own_gateway, other_libvirtd, end):
    gateway = own_gateway(libvirtd=other_libvirtd)
    client = end(gateway.popen_python("alice", """
        c = connect()
        for line in sys.stdin:
            begun = time.monotonic()
            error = fail(c.getLibVersion)
            answer([error["code"], error.get("message", ""), time.monotonic() - begun])
        """))
    assert ask(client)[0] == 0
    other_libvirtd.stop_holder()
    other_libvirtd.crash()
    code, message, seconds = wait_until(lambda: (lambda a: a if a[0] != 0 else None)(ask(client)), "an error")
    assert message and seconds < 20, (code, message, seconds)
    refused = gateway.virsh("alice", "list")
    assert refused.returncode != 0 and refused.stderr.strip()
    assert gateway.wait_audit(event="backend.lost")
    other_libvirtd.start_daemon()
    other_libvirtd.seed()
    wait_until(lambda: "web-1" in gateway.virsh("alice", "list", "--all").stdout, "service after libvirtd is back")
    assert gateway.audit_verify().returncode == 0


def test_I84_pending_change_is_unknown_when_libvirtd_dies(own_gateway, other_libvirtd, end):
    """libvirtd stands still with a change in its hands, then dies: nobody says "ok"."""
    gateway = own_gateway(libvirtd=other_libvirtd)
    client = end(gateway.popen_python("alice", TOGGLE))
    ask(client)
    other_libvirtd.daemon.signal(signal.SIGSTOP)
    print("?", file=client.stdin, flush=True)
    try:
        pending = wait_until(lambda: len(gateway.audit(stage="intent", object__name="web-2")) >= 2 or None, "the second intent", 5)
        assert pending
    except Exception:
        # isActive() of the toggle waits for libvirtd: then there is no change on its way, only a read
        pass
    other_libvirtd.crash()
    code, message, _ = json.loads(client.stdout.readline() or '[1, "closed", 0]')
    assert code != 0, message
    assert not [record for record in gateway.audit(stage="outcome", object__name="web-2", result__status="ok")][1:]


def test_I58_restart_of_the_whole_gateway_keeps_the_chain(own_gateway, web1_off):
    gateway = own_gateway()
    assert gateway.virsh("alice", "start", "web-1").returncode == 0
    children = children_of(gateway.daemon.pid)
    gateway.daemon.process.kill()
    gateway.daemon.process.wait()
    wait_until(lambda: not any(alive(pid) for pid in children), "its children to end with it")
    gateway.daemon = None
    gateway.start()
    assert gateway.virsh("alice", "destroy", "web-1").returncode == 0
    verified = gateway.audit_verify()
    assert verified.returncode == 0, verified.stdout + verified.stderr
    first, second = gateway.audit(event="gateway.start")
    crash, = gateway.audit(event="gateway.crash")
    assert first["seq"] < crash["seq"] < second["seq"] and f"since {first['time'][:10]}" in crash["result"]["message"]
    sequence = [record["seq"] for record in gateway.audit()]
    assert sequence == sorted(set(sequence))
    ops = [record["op"] for record in gateway.audit(stage="intent")]
    assert len(ops) == len(set(ops))


def test_stop_is_on_record_and_clean(own_gateway):
    gateway = own_gateway()
    assert gateway.virsh("alice", "list").returncode == 0
    pid = gateway.daemon.pid
    gateway.stop()
    assert gateway.audit(event="gateway.stop")
    assert gateway.audit_verify().returncode == 0
    assert not os.path.exists(f"/proc/{pid}")
    gateway.start()
    gateway.stop()
    assert not gateway.audit(event="gateway.crash"), "an orderly end is no crash"


def test_port_in_use_is_explained(own_gateway, gateway, scratch, libvirtd):
    config = scratch.write("clash.conf", open(f"{gateway.dir}/virtgated.conf", encoding="utf-8").read().replace(
        'tls_port = "0"', f'tls_port = "{gateway.ports["tls"]}"').replace(f"{gateway.dir}/run", scratch.directory("clash-run")))
    done = run([f"{gateway.build}/virtgated", "--config", config, "--foreground"], check=False)
    assert done.returncode != 0
    assert str(gateway.ports["tls"]) in done.stderr and "in use" in done.stderr


def test_checkpoints_show_what_root_did(own_gateway, scratch, web1_off):
    """The trail is put back to how it was: nothing in it tells, a checkpoint that was kept elsewhere does."""
    gateway = own_gateway()
    assert gateway.virsh("alice", "list").returncode == 0
    gateway.stop()
    trail, key = f"{gateway.dir}/audit", f"{gateway.dir}/state/audit-key"
    with open(f"{gateway.dir}/state/audit-root.pub", encoding="ascii") as file:
        root = file.read().strip()
    assert gateway.audit(event="audit.key")[0]["args"]["root"] == root
    assert os.stat(key).st_mode & 0o777 == 0o600 and os.stat(key).st_uid == os.geteuid()
    old_trail, old_key = scratch("old-trail"), scratch("old-key")
    run(["cp", "-a", trail, old_trail])
    run(["cp", "-a", key, old_key])
    gateway.start()
    assert gateway.virsh("alice", "start", "web-1").returncode == 0
    gateway.stop()
    kept = scratch.write("messages", "kvm1 virtgate: " + gateway.audit(event="audit.checkpoint")[-1]["checkpoint"] + "\n")
    right = gateway.virtgate("audit", "verify", trail, "--checkpoint", kept, "--root", root)
    assert right.returncode == 0 and "confirmed: up to record" in right.stdout, right.stdout + right.stderr
    run(["rm", "-r", trail])
    run(["cp", "-a", old_trail, trail])
    run(["cp", "-a", old_key, key])
    assert gateway.audit_verify().returncode == 0
    wrong = gateway.virtgate("audit", "verify", trail, "--checkpoint", kept)
    assert wrong.returncode == 1 and "cut from the end" in wrong.stdout, wrong.stdout + wrong.stderr
    gateway.start()
    assert gateway.virsh("alice", "list").returncode == 0
    gateway.stop()
    assert gateway.virtgate("audit", "verify", trail, "--checkpoint", kept).returncode == 1
