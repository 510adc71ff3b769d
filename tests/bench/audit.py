"""The group `audit` of run.py: what it costs that every change is durably recorded before it is made, and again when it was.

A change takes two fdatasyncs, of its intent and of its outcome. With N changes in flight a disk could take N / (backend + 2 fdatasync) of them a second,
when all that wait go out with one: the peer "ceiling", from what libvirtd does over the bare socket with as many clients and what the disk does,
both measured in the same round. On a machine with few processors and a fast disk nobody comes near it, since libvirtd alone has them all.
"""
import os
import shutil

import peers

IN_FLIGHT = (1, 64, 256)
TOTAL = 4000	# changes of one measurement, of all clients together
EVENT = "syscalls:sys_enter_fdatasync"


def each(clients, effort):
    return max(10, int(TOTAL * effort / clients))


def count_syncs(client, gateway, mode, clients, effort):
    """fdatasyncs of the audit process for each change. perf does not slow it down as strace does, which would make larger groups."""
    output = os.path.join(gateway.directory, "syncs")
    pid = gateway.audit_pid()
    if shutil.which("perf") is not None:
        argv = ["perf", "stat", "-x", ",", "-e", EVENT, "-o", output, "-p", str(pid), "--"]
        done = client.under(argv).run(mode, gateway, clients, each(clients, effort))
        with open(output, encoding="ascii") as counts:
            for line in counts:
                if EVENT in line:
                    return int(line.split(",")[0]) / done["operations"]
        raise peers.BenchError(f"perf did not count {EVENT}")
    with peers.CountedCalls([pid], gateway.directory) as counted:
        done = client.run(mode, gateway, clients, each(clients, effort))
    return counted.total()["fdatasync"] / done["operations"]


def measure(metrics, peer, client, effort):
    """One peer; only virtgate and the bare socket are compared further."""
    metrics["audit_changes_s"].add(peer.name, client.run("changes", peer, 8, int(100 * effort))["per_second"])
    if peer.name not in ("virtgate", "unix"):
        return
    for clients in IN_FLIGHT:
        metrics[f"audit_changes_{clients}_s"].add(peer.name, client.run("changes", peer, clients, each(clients, effort))["per_second"])
        metrics[f"audit_defines_{clients}_s"].add(peer.name, client.run("defines", peer, clients, each(clients, effort / 4))["per_second"])
    for mode in ("calls", "changes"):
        metrics[f"audit_{mode}_p99_us"].add(peer.name, client.run(mode, peer, 1, int(2000 * effort))["p99_us"])
    if peer.name == "virtgate":
        measure_gateway(metrics, peer, client, effort)


def measure_gateway(metrics, gateway, client, effort):
    trail = os.path.join(gateway.directory, "audit")
    metrics["audit_changes_s"].add("disk", client.run_disk(trail, int(500 * effort), 1)["per_second"])
    metrics["audit_changes_p99_us"].add("disk", client.run_disk(trail, int(1000 * effort), 2)["p99_us"])
    if shutil.which("perf") is not None or shutil.which("strace") is not None:
        for name, mode, clients in (("change", "changes", 8), ("change_256", "changes", 256), ("define", "defines", 1), ("define_64", "defines", 64),
                                    ("define_256", "defines", 256)):
            metrics[f"audit_fdatasync_per_{name}"].add(gateway.name, count_syncs(client, gateway, mode, clients, effort / 2))
    pid = gateway.audit_pid()
    before = peers.wake_ups(pid)
    done = client.run("calls", gateway, 1, int(2000 * effort))
    metrics["audit_wakes_per_read"].add(gateway.name, (peers.wake_ups(pid) - before) / done["operations"])


def finish(metrics):
    """What follows from the rounds."""
    syncs = metrics["audit_changes_s"].values.get("disk", [])
    for clients in IN_FLIGHT:
        metric = metrics[f"audit_changes_{clients}_s"]
        for changes, sync in zip(metric.values.get("unix", []), syncs):
            metric.add("ceiling", clients / (clients / changes + 2 / sync))
    reads, changes = metrics["audit_calls_p99_us"].values, metrics["audit_changes_p99_us"].values
    if all(peer in reads and peer in changes for peer in ("virtgate", "unix")):
        for with_trail, read, bare, bare_read, disk in zip(changes["virtgate"], reads["virtgate"], changes["unix"], reads["unix"], changes["disk"]):
            metrics["audit_added_p99_us"].add("virtgate", with_trail - read - (bare - bare_read) - disk)
