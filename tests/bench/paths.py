#!/usr/bin/python3
"""Counts what one call, one listing and one MiB of a stream cost in every process on the way: CPU, wake-ups (times that
the process had gone to sleep) and system calls. The table in ARCHITECTURE.md is made with this. Needs strace.
"""
import argparse
import collections
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import peers
import run

CALLS, LISTS, OPENS, VOLUME_MIB = 4000, 100, 400, 256


def first_line(path):
    with open(path, encoding="utf-8") as text:
        return text.readline().strip()


def children_cpu_us():
    usage = os.times()
    return (usage.children_user + usage.children_system) * 1e6


def name_of(pid):
    return first_line(f"/proc/{pid}/comm")


class Work:
    """One thing to count: how it is done, and by how much the counts are divided."""

    def __init__(self, name, amount, *client_args):
        self.name, self.amount, self.client_args = name, amount, client_args


WORKS = [
    Work("small call", CALLS, "calls", 1, CALLS),
    Work("list", LISTS, "list", 1, LISTS),
    Work("open and close", OPENS, "opens", 1, OPENS),
    Work("change", CALLS, "changes", 64, CALLS // 64),
    Work("definition", CALLS // 4, "defines", 64, CALLS // 256),
    Work("MiB down", VOLUME_MIB, "download", peers.POOL, peers.VOLUME),
    Work("MiB up", VOLUME_MIB, "upload", peers.POOL, peers.VOLUME),
]


def count_time(client, peer, work, pids):
    """CPU us and wake-ups per unit of work, by process; the client's CPU beside them."""
    before = {pid: (peers.cpu_us(pid), peers.wake_ups(pid)) for pid in pids}
    client_before = children_cpu_us()
    client.run(work.client_args[0], peer, *work.client_args[1:])
    client_cpu = (children_cpu_us() - client_before) / work.amount
    return client_cpu, {pid: ((peers.cpu_us(pid) - before[pid][0]) / work.amount,
                              (peers.wake_ups(pid) - before[pid][1]) / work.amount) for pid in pids}


def count_syscalls(client, peer, work, pids, directory):
    with peers.CountedCalls(pids, directory) as counted:
        client.run(work.client_args[0], peer, *work.client_args[1:])
    return {pid: collections.Counter({name: calls / work.amount for name, calls in counts.items()})
            for pid, counts in counted.by_pid.items()}


def report(work, peer, times, client_cpu, calls):
    print(f"\n{peer.name}, per {work.name}")
    print(f"  {'client':<24}{client_cpu:9.1f} us CPU")
    for pid, (cpu, wakes) in times.items():
        if cpu < 0.05:
            continue
        most = ", ".join(f"{name} {count:.2f}" for name, count in calls[pid].most_common(8) if count >= 0.01)
        print(f"  {name_of(pid):<24}{cpu:9.1f} us CPU {wakes:8.2f} wake-ups {sum(calls[pid].values()):8.2f} syscalls: {most}")


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default=os.getcwd(), help="directory that was built in (default: this one)")
    parser.add_argument("--peers", default="virtgate", help="comma-separated (default: %(default)s)")
    parser.add_argument("--only", dest="works", action="append", choices=[work.name for work in WORKS],
                        help="count this only (repeatable)")
    parser.add_argument("--dir", default="/var/tmp", help="a directory on a disk (default /var/tmp)")
    options = parser.parse_args()
    options.peers = options.peers.split(",")
    return options


def count_all(options):
    client = run.Client(run.find_programs(options))
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="virtgate-paths-", dir=options.dir))
        libvirtd, chosen = run.prepare(stack, directory, options.peers, 1000, VOLUME_MIB)
        libvirtd.start()
        for peer in chosen:
            peer.start()
            client.run("opens", peer, 8, 10)
            pids = list(dict.fromkeys(peer.pids() + libvirtd.server.pids()))
            for work in WORKS:
                if options.works and work.name not in options.works:
                    continue
                client_cpu, times = count_time(client, peer, work, pids)
                report(work, peer, times, client_cpu, count_syscalls(client, peer, work, pids, directory))


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        if shutil.which("strace") is None:
            raise peers.BenchError("counting system calls needs strace: apt install strace")
        count_all(parse_options())
    except peers.BenchError as error:
        print(f"paths: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
