#!/usr/bin/python3
"""Measures virtgate beside the other ways to libvirtd and prints a table of ratios.

Every round visits every peer before the next round begins, so a machine that slows down slows down for all of them;
figures are medians of the rounds. Clients and servers share the cores. See --help.
"""
import argparse
import contextlib
import json
import os
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import audit
import peers

REFERENCE = "libvirtd-tls"
OURS = {"websockify": "virtgate-web"}	# the way through virtgate that a peer is compared with, where it is not the usual one


class Metric:
    """A row of the table. `bars` are what virtgate must reach, as ratio to a peer or as a plain number (peer None)."""

    def __init__(self, group, unit, more_is_better, bars=()):
        self.group, self.unit, self.more_is_better, self.bars = group, unit, more_is_better, bars
        self.values = {}	# peer -> one number per round

    def add(self, peer, value):
        self.values.setdefault(peer, []).append(value)

    def median(self, peer):
        return statistics.median(self.values[peer]) if peer in self.values else None

    def ratio(self, peer):
        ours, theirs = self.median(OURS.get(peer, "virtgate")), self.median(peer)
        return ours / theirs if ours is not None and theirs else None

    def missed(self):
        """The bars that virtgate did not reach, as text."""
        for peer, bar in self.bars:
            reached = self.ratio(peer) if peer else self.median("virtgate")
            if reached is not None and (reached < bar if self.more_is_better else reached > bar):
                sign = ">=" if self.more_is_better else "<="
                yield f"{reached:.2f}, wanted {sign} {bar:g}" + (f" x {peer}" if peer else f" {self.unit}")


METRICS = {
    "rpc_p50_us": Metric("rpc", "us", False, [(REFERENCE, 1.7)]),
    "rpc_p99_us": Metric("rpc", "us", False),
    "rpc_calls_s": Metric("rpc", "calls/s", True),
    "rpc_8_calls_s": Metric("rpc", "calls/s", True, [(REFERENCE, 0.6)]),
    "list1000_p50_us": Metric("list", "us", False),
    "list10k_filtered_ms": Metric("filter", "ms", False, [("unix", 1.1)]),	# of 10,000 guests he sees 99 %
    "list10k_few_ms": Metric("filter", "ms", False, [("unix", 1.1)]),		# and here 1 %
    "events_decisions_s": Metric("events", "/s", True),
    "download_mib_s": Metric("stream", "MiB/s", True, [(REFERENCE, 0.85), ("haproxy", 1.0)]),
    "upload_mib_s": Metric("stream", "MiB/s", True, [(REFERENCE, 0.85), ("haproxy", 1.0)]),
    "connects_s": Metric("connect", "/s", True, [(REFERENCE, 1.0)]),
    "connects_1_s": Metric("connect", "/s", True),
    "idle_kib": Metric("idle", "KiB", False, [(None, 64)]),
    "decision_ns": Metric("policy", "ns", False, [(None, 500)]),
    "decision_whole_policy_ns": Metric("policy", "ns", False),
    "decision_all_his_ns": Metric("policy", "ns", False),
    "admission_us": Metric("admission", "us", False, [(None, 300)]),
    "admission_restricted_us": Metric("admission", "us", False),
    "admission_1000_rules_us": Metric("admission", "us", False),
    "console_mib_s": Metric("console", "MiB/s", True, [("haproxy", 0.9), ("websockify", 5)]),
    "console_64_mib_s": Metric("console", "MiB/s", True),
    "console_cpu_s_per_gib": Metric("console", "s", False),			# of the server alone
    "console_updates_s": Metric("console", "/s", True, [("websockify", 5)]),	# of 4 KiB, eight screens at once
    "console_update_cpu_us": Metric("console", "us", False),			# of the server alone
    "console_key_p50_us": Metric("console", "us", False),
    "console_key_p99_us": Metric("console", "us", False),
    "console_key_added_p50_us": Metric("console", "us", False),			# to the bare socket
    "console_key_added_us": Metric("console", "us", False, [(None, 200)]),	# to its p99
    "console_idle_kib": Metric("console", "KiB", False, [("websockify", 1 / 20)]),
    "web_requests_s": Metric("web", "/s", True, [(None, 1000)]),		# of the list of guests, while RPC clients call
    "web_requests_p99_us": Metric("web", "us", False),
    "web_requests_most_s": Metric("web", "/s", True),				# one after the other on eight connections, and no RPC
    "web_request_cpu_us": Metric("web", "us", False),				# of the server alone, and then
    "web_browser_cpu_us": Metric("web", "us", False),				# of who asks, for one request
    "web_answer_kib": Metric("web", "KiB", False),
    "web_rpc_p50_us": Metric("web", "us", False, [("alone", 1.1)]),		# RPC beside browsers that ask 1,000 times a second;
    "web_rpc_p99_us": Metric("web", "us", False, [("alone", 1.1)]),		# "haproxy": beside browsers that ask it, not us
    "web_rpc_8_calls_s": Metric("web", "calls/s", True, [("alone", 1 / 1.1)]),
    "web_idle_kib": Metric("web", "KiB", False, [(None, 64)]),			# a connection of HTTP/2 between two requests
    "web_login_kib": Metric("web", "KiB", False),				# somebody who is logged in
    "web_login_list_kib": Metric("web", "KiB", False),				# and has asked for the list of guests
    "audit_changes_s": Metric("audit", "/s", True),				# with eight clients
    "audit_changes_1_s": Metric("audit", "/s", True),
    "audit_changes_64_s": Metric("audit", "/s", True, [("ceiling", 0.8)]),
    "audit_changes_256_s": Metric("audit", "/s", True),
    "audit_calls_p99_us": Metric("audit", "us", False),				# a read
    "audit_changes_p99_us": Metric("audit", "us", False),			# a change alone; of the disk: two fdatasyncs
    "audit_added_p99_us": Metric("audit", "us", False, [(None, 100)]),		# what the second has more than the first, less that of the bare socket and the disk
    "audit_fdatasync_per_change": Metric("audit", "", False),
    "audit_fdatasync_per_change_256": Metric("audit", "", False, [(None, 0.1)]),
    "audit_defines_1_s": Metric("audit", "/s", True),				# changes with documents
    "audit_defines_64_s": Metric("audit", "/s", True),
    "audit_defines_256_s": Metric("audit", "/s", True),
    "audit_fdatasync_per_define": Metric("audit", "", False),
    "audit_fdatasync_per_define_64": Metric("audit", "", False),
    "audit_fdatasync_per_define_256": Metric("audit", "", False),
    "audit_wakes_per_read": Metric("audit", "", False, [(None, 0.01)]),		# of the audit process: reads do not concern it
}
COLUMNS = ["virtgate", *OURS.values(), *peers.NAMES, "ceiling"]	# of the table, from the left
GROUPS = sorted({metric.group for metric in METRICS.values()})


class Client:
    """Runs the load generator."""
    PATIENCE = 120	# seconds that one measurement may take

    def __init__(self, program, before=()):
        self.program, self.before = program, before

    def under(self, argv):
        """The same, run by another program."""
        return Client(self.program, argv)

    def run(self, mode, peer, *args):
        return self.call(peer.name, mode, peer.uri, *args)

    def run_disk(self, directory, count, records):
        return self.call("disk", "disk", directory, count, records)

    def call(self, name, mode, *args):
        argv = [*self.before, self.program, mode, *map(str, args)]
        try:
            done = subprocess.run(argv, capture_output=True, text=True, timeout=self.PATIENCE, check=False)
        except subprocess.TimeoutExpired:
            raise peers.BenchError(f"{name}: no end of '{mode}' in {self.PATIENCE} s") from None
        if done.returncode != 0:
            raise peers.BenchError(f"{name}: {mode}: {done.stderr.strip()}")
        return json.loads(done.stdout)

    @contextlib.contextmanager
    def opened(self, name, mode, *args):
        """The process, once it says that its connections are open; it keeps them until the end of this."""
        with subprocess.Popen([self.program, mode, *map(str, args)], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, preexec_fn=peers.die_with_parent) as process:
            try:
                if not process.stdout.readline():
                    raise peers.BenchError(f"{name}: {mode}: {process.stderr.read().strip()}")
                yield process
            finally:
                process.stdin.close()
                process.wait()

    @staticmethod
    def answer(name, process):
        line = process.stdout.readline()
        if not line:
            raise peers.BenchError(f"{name}: {process.stderr.read().strip()}")
        return json.loads(line)

    def idle(self, name, count, *address):
        return self.opened(name, "idle", *address, count)


def measure_rpc(peer, client, effort):
    one = client.run("calls", peer, 1, int(6000 * effort))
    METRICS["rpc_p50_us"].add(peer.name, one["p50_us"])
    METRICS["rpc_p99_us"].add(peer.name, one["p99_us"])
    METRICS["rpc_calls_s"].add(peer.name, one["per_second"])
    METRICS["rpc_8_calls_s"].add(peer.name, client.run("calls", peer, 8, int(1500 * effort))["per_second"])


def measure_list(peer, client, effort):
    METRICS["list1000_p50_us"].add(peer.name, client.run("list", peer, 1, int(150 * effort))["p50_us"])


def measure_stream(peer, client, _effort):
    for mode in ("download", "upload"):
        METRICS[f"{mode}_mib_s"].add(peer.name, client.run(mode, peer, peers.POOL, peers.VOLUME)["mib_s"])


def measure_connect(peer, client, effort):
    METRICS["connects_s"].add(peer.name, client.run("opens", peer, 4, int(100 * effort))["per_second"])
    METRICS["connects_1_s"].add(peer.name, client.run("opens", peer, 1, int(150 * effort))["per_second"])


def measure_audit(peer, client, effort):
    audit.measure(METRICS, peer, client, effort)


MEASURES = {"rpc": measure_rpc, "list": measure_list, "stream": measure_stream, "connect": measure_connect,
            "audit": measure_audit}


def settled_kib(peer, measure=peers.private_kib):
    """Memory once it has stopped moving."""
    last = None
    while True:
        now = measure(peer.pids())
        if now == last:
            return now
        last = now
        time.sleep(0.3)


def measure_idle(peer, client, few=10, many=1000):
    """On fresh processes: what a freed heap would hide is seen."""
    peer.stop()
    peer.libvirtd.stop()
    peer.libvirtd.start()
    peer.start()
    with client.idle(peer.name, few, peer.uri):
        before = settled_kib(peer)
    with client.idle(peer.name, many, peer.uri):
        METRICS["idle_kib"].add(peer.name, (settled_kib(peer) - before) / (many - few))
    peer.stop()


@contextlib.contextmanager
def tenants(directory, guests, **visible):
    """A libvirtd of its own with that many guests, the bare socket, and a gateway for each keyword: what its person sees."""
    os.makedirs(directory)
    libvirtd = peers.Libvirtd(os.path.join(directory, "libvirtd"), peers.Pki(os.path.join(directory, "pki")), guests, 1)
    started = []
    try:
        libvirtd.start()
        for peer in [peers.Unix(directory, libvirtd)] + [peers.Tenant(directory, libvirtd, name, globs) for name, globs in visible.items()]:
            peer.start()
            started.append(peer)
        yield started
    finally:
        for peer in started:
            peer.stop()
        libvirtd.close()


def measure_filter(options, client, directory):
    """The same list of 10,000 by somebody who sees nearly all of it, by somebody who sees little, and unfiltered without a gateway."""
    most = [f"guest-{digit}*" for digit in "123456789"] + [f"guest-0{digit}*" for digit in "123456789"]
    with tenants(directory, 10_000, most=most, few=["guest-00*"]) as chosen:
        for number in range(options.rounds):
            for peer in chosen[number % 3:] + chosen[:number % 3]:
                value = client.run("list", peer, 1, max(3, int(12 * options.effort)))["p50_us"] / 1000
                for metric, gateway in (("list10k_filtered_ms", "most"), ("list10k_few_ms", "few")):
                    if peer.name in ("unix", gateway):
                        METRICS[metric].add("unix" if peer.name == "unix" else "virtgate", value)


def measure_events(options, client, directory, subscribers=1000, events=100):
    """Every event is judged for every subscriber; half of them are of a guest that nobody may see."""
    with tenants(directory, 4, one=["guest-0001"]) as chosen:
        for number in range(options.rounds):
            for peer in chosen[number % 2:] + chosen[:number % 2]:
                done = client.call(peer.name, "events", peer.uri, chosen[0].uri, subscribers, events, "guest-0000", "guest-0001")
                METRICS["events_decisions_s"].add("unix" if peer.name == "unix" else "virtgate", done["per_second"])


@contextlib.contextmanager
def screens(options, directory):
    os.makedirs(directory)
    guest = peers.Guest(os.path.join(directory, "guest"), peers.Pki(os.path.join(directory, "pki")))
    started = []
    try:
        guest.start()
        for kind in peers.SCREENS:
            if kind.name in [*options.peers, *OURS.values()]:
                started.append(kind(directory, guest))
                started[-1].start()
        yield started
    finally:
        for peer in started:
            peer.stop()
        guest.stop()


def measure_idle_screens(viewer, peer, few=10):
    with viewer.idle(peer.name, few, peer.way, peer.address):
        before = settled_kib(peer, peers.anonymous_kib)
    with viewer.idle(peer.name, peer.many, peer.way, peer.address):
        METRICS["console_idle_kib"].add(peer.name, (settled_kib(peer, peers.anonymous_kib) - before) / (peer.many - few))


def pump(viewer, peer, consoles, seconds, width, height, ahead):
    """What the viewers had, and `cpu_us` of the servers between their first request and their last update."""
    with viewer.opened(peer.name, "pump", peer.way, peer.address, consoles, seconds, width, height, ahead) as process:
        pids = peer.pids()
        before = sum(map(peers.cpu_us, pids))
        process.stdin.write("go\n")
        process.stdin.flush()
        done = viewer.answer(peer.name, process)
        done["cpu_us"] = sum(map(peers.cpu_us, pids)) - before
    return done


def measure_screens(viewer, peer, effort):
    done = pump(viewer, peer, 1, 1, 1920, 1080, 2)
    METRICS["console_mib_s"].add(peer.name, done["mib_s"])
    if peer.name != "unix":
        METRICS["console_cpu_s_per_gib"].add(peer.name, done["cpu_us"] / done["mib"] * 1024 / 1e6)
    done = pump(viewer, peer, 8, 1, 32, 32, 1)
    METRICS["console_updates_s"].add(peer.name, done["updates_s"])
    if peer.name != "unix":
        METRICS["console_update_cpu_us"].add(peer.name, done["cpu_us"] / done["updates"])
    METRICS["console_64_mib_s"].add(peer.name, pump(viewer, peer, 64, 1, 640, 480, 2)["mib_s"])
    done = viewer.call(peer.name, "keys", peer.way, peer.address, int(5000 * effort))
    METRICS["console_key_p50_us"].add(peer.name, done["p50_us"])
    METRICS["console_key_p99_us"].add(peer.name, done["p99_us"])
    return done


def measure_console(options, _client, directory):
    """Whole screens of 8 MiB and small updates back to back, and a key with the pixel that the guest draws for it."""
    viewer = Client(os.path.join(options.build, "tests", "bench", "screen"))
    with screens(options, directory) as chosen:
        for peer in chosen:
            if peer.name != "unix":
                measure_idle_screens(viewer, peer)
        for number in range(options.rounds):
            keys = {peer.name: measure_screens(viewer, peer, options.effort)
                    for peer in chosen[number % len(chosen):] + chosen[:number % len(chosen)]}
            bare = keys.pop("unix", None)
            for name, done in keys.items() if bare else ():
                METRICS["console_key_added_p50_us"].add(name, done["p50_us"] - bare["p50_us"])
                METRICS["console_key_added_us"].add(name, done["p99_us"] - bare["p99_us"])


BROWSERS, ASKED_S, LIST = 8, 1020, "/api/v1/guests"	# connections; requests a second, a little more than is wanted


@contextlib.contextmanager
def asking(browser, peer, who, rate):
    """Browsers ask all the time inside of this; their figures are in what it gives, afterwards."""
    done = {}
    with browser.opened(peer.name, "requests", peer.address, who, BROWSERS, rate, LIST) as process:
        pids = peer.pids()
        before = sum(map(peers.cpu_us, pids))
        for word in ("go", "stop"):
            process.stdin.write(word + "\n")
            process.stdin.flush()
            if word == "go":
                yield done
        done.update(browser.answer(peer.name, process))
        done["server_cpu_us"] = sum(map(peers.cpu_us, pids)) - before


def measure_calls(client, gateway, name, effort):
    """RPC, while whatever is going on goes on."""
    one = client.run("calls", gateway, 1, int(5000 * effort))
    METRICS["web_rpc_p50_us"].add(name, one["p50_us"])
    METRICS["web_rpc_p99_us"].add(name, one["p99_us"])
    METRICS["web_rpc_8_calls_s"].add(name, client.run("calls", gateway, 8, int(1500 * effort))["per_second"])


def measure_browsers(options, client, browser, gateway, haproxy):
    with asking(browser, gateway, "login", 0) as most:
        time.sleep(2 * options.effort)
    METRICS["web_requests_most_s"].add("virtgate", most["per_second"])
    METRICS["web_request_cpu_us"].add("virtgate", most["server_cpu_us"] / most["per_second"] / most["seconds"])
    METRICS["web_answer_kib"].add("virtgate", most["kib"])
    ways = [("virtgate", gateway, "login"), ("alone", None, None)]
    if haproxy is not None:
        haproxy.start(int(most["kib"] * 1024))
        ways.append(("haproxy", haproxy, "nobody"))
    for number in range(options.rounds):
        for name, peer, who in ways[number % len(ways):] + ways[:number % len(ways)]:
            with asking(browser, peer, who, ASKED_S) if peer else contextlib.nullcontext() as done:
                measure_calls(client, gateway, name, options.effort)
            if peer:
                METRICS["web_requests_s"].add(name, done["per_second"])
                METRICS["web_requests_p99_us"].add(name, done["p99_us"])
                METRICS["web_browser_cpu_us"].add(name, done["cpu_us"])


def settled_with(browser, gateway, mode, *args):
    with browser.opened(gateway.name, mode, gateway.address, *args):
        return settled_kib(gateway, peers.anonymous_kib)


def measure_memory(browser, gateway, few=10, many=500, logins=25):
    before = settled_with(browser, gateway, "idle", few)
    METRICS["web_idle_kib"].add("virtgate", (settled_with(browser, gateway, "idle", many) - before) / (many - few))
    for metric, path in (("web_login_kib", "/api/v1/me"), ("web_login_list_kib", LIST)):
        before = settled_with(browser, gateway, "logins", 1, path)
        # Those of before are still logged in.
        METRICS[metric].add("virtgate", (settled_with(browser, gateway, "logins", logins, path) - before) / logins)
        gateway.stop()
        gateway.start()


def measure_web(options, client, directory):
    browser = Client(os.path.join(options.build, "tests", "bench", "browser"))
    os.makedirs(directory)
    libvirtd = peers.Libvirtd(os.path.join(directory, "libvirtd"), peers.Pki(os.path.join(directory, "pki")), options.guests, 1)
    gateway = peers.VirtgateWeb(directory, libvirtd)
    haproxy = peers.HaproxyAnswers(directory, libvirtd) if "haproxy" in options.peers else None
    try:
        libvirtd.start()
        gateway.start()
        measure_memory(browser, gateway)
        measure_browsers(options, client, browser, gateway, haproxy)
    finally:
        for peer in (gateway, haproxy):
            if peer is not None:
                peer.stop()
        libvirtd.close()


# Groups that bring a libvirtd of their own.
OWN_LIBVIRTD = {"filter": measure_filter, "events": measure_events, "console": measure_console, "web": measure_web}


def attempt(measure, failures, peer, *args):
    """One peer's failure is reported and does not spoil the others' figures."""
    try:
        measure(peer, *args)
    except peers.BenchError as error:
        print(f"  {error}", file=sys.stderr)
        failures.append(peer.name)


def measure_program(build, rounds, program):
    """No server in it: the decision, or the judgement, alone."""
    for _ in range(rounds):
        done = subprocess.run([os.path.join(build, "tests", "bench", program)], capture_output=True, text=True,
                              check=False)
        if done.returncode != 0:
            raise peers.BenchError(done.stderr.strip())
        for name, value in json.loads(done.stdout).items():
            METRICS[name].add("virtgate", value)


def measure_all(options, client, chosen, libvirtd, directory):
    failures = []
    if "policy" in options.groups and "virtgate" in options.peers:
        measure_program(options.build, options.rounds, "bench_policy")
    if "admission" in options.groups and "virtgate" in options.peers:
        measure_program(options.build, options.rounds, "bench_admission")
    busy = [group for group in options.groups if group in MEASURES]
    if busy:
        libvirtd.start()
        for peer in chosen:
            peer.start()
            # What a server does only once (threads, caches) belongs to nobody's figure.
            attempt(lambda peer: client.run("opens", peer, 8, 10), failures, peer)
    for number in range(options.rounds if busy else 0):
        print(f"round {number + 1} of {options.rounds}", file=sys.stderr)
        for group in busy:
            # Nobody is always first after the machine was idle.
            for peer in chosen[number % len(chosen):] + chosen[:number % len(chosen)]:
                attempt(MEASURES[group], failures, peer, client, options.effort)
    audit.finish(METRICS)
    for peer in chosen:
        peer.stop()
    for group in options.groups:
        if group in OWN_LIBVIRTD and "virtgate" in options.peers:
            print(f"{group}, {options.rounds} rounds", file=sys.stderr)
            OWN_LIBVIRTD[group](options, client, os.path.join(directory, group))
    for number in range(options.idle_rounds if "idle" in options.groups else 0):
        print(f"idle connections, round {number + 1} of {options.idle_rounds}", file=sys.stderr)
        for peer in chosen:
            attempt(measure_idle, failures, peer, client)
    return failures


def text(value):
    if value is None:
        return "-"
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def print_table():
    measured = {name: metric for name, metric in METRICS.items() if metric.values}
    names = sorted({peer for metric in measured.values() for peer in metric.values}, key=lambda peer: (COLUMNS + [peer]).index(peer))
    others = [name for name in names if name not in ("virtgate", *OURS.values())]
    heads = ["metric", "unit", *names, *(f"/ {name}" for name in others)]
    rows = [[name, metric.unit, *(text(metric.median(peer)) for peer in names),
             *(text(metric.ratio(peer)) for peer in others)] for name, metric in measured.items()]
    widths = [max(len(row[i]) for row in [heads, *rows]) for i in range(len(heads))]
    for row in [heads, *rows]:
        print("  ".join(cell.ljust(width) if i < 2 else cell.rjust(width)
                        for i, (cell, width) in enumerate(zip(row, widths))))
    print("'/ PEER': virtgate's median divided by that peer's")
    for peer in others:
        if peer in OURS:
            print(f"'/ {peer}': {OURS[peer]}'s median divided by it")


def print_bars():
    """True when virtgate reached every bar that was measured."""
    missed = [(name, what) for name, metric in METRICS.items() for what in metric.missed()]
    for name, what in missed:
        print(f"missed: {name} {what}")
    return not missed


def as_json():
    result = {}
    for name, metric in METRICS.items():
        others = [peer for peer in metric.values if peer != "virtgate"]
        if not metric.values:
            continue
        result[name] = {
            "unit": metric.unit,
            "virtgate": metric.median("virtgate"),
            "peers": {peer: metric.median(peer) for peer in others},
            "ratio": {peer: metric.ratio(peer) for peer in others if peer not in OURS.values() and metric.ratio(peer) is not None},
            "runs": max(len(values) for values in metric.values.values()),
            "spread": {peer: [min(values), max(values)] for peer, values in metric.values.items()},
        }
    return result


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=os.getcwd(), help="directory that was built in (default: this one)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds over all peers (default 5)")
    parser.add_argument("--idle-rounds", type=int, default=1, help="rounds of the memory measurement (default 1)")
    parser.add_argument("--effort", type=float, default=1.0, help="factor on the number of operations")
    parser.add_argument("--only", dest="groups", action="append", choices=GROUPS, help="this group (repeatable)")
    parser.add_argument("--peers", default=",".join(peers.NAMES), help="comma-separated (default: %(default)s)")
    parser.add_argument("--guests", type=int, default=1000, help="defined guests (default 1000)")
    parser.add_argument("--volume-mib", type=int, default=1024, help="size of the volume (default 1024)")
    parser.add_argument("--output", default="bench.json", help="where the figures go (default bench.json)")
    parser.add_argument("--dir", default="/var/tmp", help="a directory on a disk, for the audit trail (default /var/tmp)")
    parser.add_argument("--strict", action="store_true", help="end with status 1 when a bar was missed")
    options = parser.parse_args()
    options.groups = options.groups or GROUPS
    options.peers = options.peers.split(",")
    unknown = [name for name in options.peers if name not in peers.NAMES]
    if unknown:
        parser.error(f"no peer '{unknown[0]}'; there are: {', '.join(peers.NAMES)}")
    return options


def find_programs(options):
    peers.check_host()
    for name, program in peers.OPTIONAL.items():
        if name in options.peers and shutil.which(program) is None:
            print(f"{name}: not installed, left out", file=sys.stderr)
            options.peers.remove(name)
    client = os.path.join(options.build, "tests", "bench", "client")
    peers.Virtgate.program = os.path.join(options.build, "virtgated")
    peers.Guest.program = os.path.join(options.build, "tests", "bench", "screen")
    for program in [client] + [peers.Virtgate.program] * ("virtgate" in options.peers):
        if not os.access(program, os.X_OK):
            raise peers.BenchError(f"{program} is not built: run make there, or name the directory with --build")
    return client


def prepare(stack, directory, names, guests, volume_mib):
    """libvirtd and the peers, none of them started, all of them stopped when `stack` is unwound."""
    os.chmod(directory, 0o755)
    libvirtd = peers.Libvirtd(os.path.join(directory, "libvirtd"), peers.Pki(os.path.join(directory, "pki")),
                              guests, volume_mib)
    stack.callback(libvirtd.close)
    chosen = [peers.PEERS[name](directory, libvirtd) for name in names if name in peers.PEERS]
    for peer in chosen:
        stack.callback(peer.stop)
    return libvirtd, chosen


def run(options):
    client = Client(find_programs(options))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 20000)), hard))
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="virtgate-bench-", dir=options.dir))
        libvirtd, chosen = prepare(stack, directory, options.peers, options.guests, options.volume_mib)
        failures = measure_all(options, client, chosen, libvirtd, directory)
    print_table()
    reached = print_bars()
    with open(options.output, "w", encoding="utf-8") as out:
        json.dump(as_json(), out, indent=2)
        out.write("\n")
    return 1 if "virtgate" in failures or (options.strict and not reached) else 0


def main():
    # So that a terminated run cleans up as well.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        return run(parse_options())
    except peers.BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
