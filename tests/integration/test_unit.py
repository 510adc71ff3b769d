"""The systemd unit's filter of system calls lets through what the daemon does, seen by strace while people work."""
import json
import os
import re
import shutil
import signal
import subprocess

import pytest

from lab.gateway import Gateway
from lab.process import Daemon, wait_until

# A build with sanitizers is not confined, and makes calls of its own.
pytestmark = [pytest.mark.plain, pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed"),
              pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")]
TOP = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))


def permitted():
    """The calls that SystemCallFilter= allows, sets within sets taken apart."""
    with open(f"{TOP}/gateway/virtgated.service.in", encoding="utf-8") as file:
        words = re.search(r"^SystemCallFilter=(.*)$", file.read(), re.M).group(1).split()
    calls, seen = set(), set()
    while words:
        word = words.pop()
        if not word.startswith("@"):
            calls.add(word)
        elif word not in seen:
            seen.add(word)
            told = subprocess.run(["systemd-analyze", "syscall-filter", word], capture_output=True, text=True, check=True).stdout
            words += [line.strip() for line in told.splitlines()[1:] if line.strip() and not line.strip().startswith("#")]
    return calls


def test_filter_of_system_calls(scratch, libvirtd, authority):
    gateway = Gateway(TOP, scratch, libvirtd, authority, name="traced", listen_vnc=True)
    config, trace, ready = gateway.write_settings(), f"{gateway.dir}/trace", f"{gateway.dir}/stdout"
    with open(ready, "wb") as output:
        daemon = Daemon("virtgated", ["strace", "-f", "-qq", "-o", trace, f"{gateway.build}/virtgated", "--config", config, "--foreground"],
                        f"{gateway.dir}/log", stdout=output)
    try:
        try:
            daemon.wait_ready(lambda: "READY" in gateway._read(ready), "READY on standard output")
        except Exception:
            if "ptrace" in daemon.log_tail():
                pytest.skip("strace does not work here")
            raise
        with open(f"{gateway.dir}/run/virtgated.pid", encoding="ascii") as file:
            pid = int(file.read())
        gateway.ports = json.loads(gateway._read(f"{gateway.dir}/run/ports.json"))
        gateway.virsh("admin", "list", "--all", check=True)
        gateway.virsh("admin", "start", "web-2", check=True)
        gateway.virsh("admin", "destroy", "web-2", check=True)
        os.kill(pid, signal.SIGHUP)
        gateway.virsh("bob", "list", "--all", check=True)
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda: not daemon.running(), "the end of virtgated")
    finally:
        daemon.stop()
    with open(trace, encoding="utf-8", errors="replace") as file:
        made = set(re.findall(r"^\d+ +(\w+)\(", file.read(), re.M))
    assert {"execve", "landlock_restrict_self", "accept4", "fdatasync"} <= made, sorted(made)
    assert made <= permitted(), f"the unit forbids {sorted(made - permitted())}"
