#!/usr/bin/python3
"""Does the gateway grow? The same mixed work round after round: sessions, changes, definitions, lists, browsers' log-ins and consoles, clients that
are killed amid a call, connections that send nonsense, changes behind the gateway's back, reloads. After each round the memory and the descriptors of
every process. The first rounds fill caches; what grew after them, by round, is told at the end. Status 1 when a process gained descriptors or is
another one than at the beginning.
"""
import argparse
import contextlib
import os
import random
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time

import peers
import run

WARM_UP = 5		# rounds
SPARE_FDS = 3		# a descriptor more or less is a connection that just ends
LIST = run.LIST


# Log-ins end within a few rounds, so that what is left of them would be seen.
SHORT = "web_idle_seconds = 30\nweb_max_seconds = 60\n"


class Calls(peers.VirtgateWeb):
    name = "rpc-and-web"
    SETTINGS = peers.VirtgateWeb.SETTINGS + SHORT


class Screens(peers.VirtgateBrowser):
    name = "consoles-web"
    SETTINGS = peers.VirtgateBrowser.SETTINGS + SHORT


class Soak:
    def __init__(self, client, browser, viewer, libvirtd, gateway, consoles):
        self.client, self.browser, self.viewer = client, browser, viewer
        self.bare, self.gateway, self.consoles = libvirtd, gateway, consoles
        self.context = ssl.create_default_context(cafile=gateway.pki.ca)

    # ---- the work of one round ----

    def sessions(self):
        self.client.run("opens", self.gateway, 8, 25)
        self.client.run("list", self.gateway, 4, 10)
        self.client.run("calls", self.gateway, 4, 500)

    def changes(self):
        self.client.run("changes", self.gateway, 16, 20)
        self.client.run("defines", self.gateway, 8, 5)

    def behind_its_back(self):
        self.client.run("defines", self.bare, 2, 5)

    def killed_clients(self):
        for mode in ("calls", "changes", "defines"):
            with subprocess.Popen([self.client.program, mode, self.gateway.uri, "8", "1000000"], stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL, preexec_fn=peers.die_with_parent) as process:
                time.sleep(0.5)
                process.kill()

    def nonsense(self):
        """What no peer sends: garbage, nothing, half a handshake, no certificate, a request without an end."""
        for name in ("tls", "web"):
            address = ("127.0.0.1", self.gateway.ports[name])
            for _ in range(20):
                with socket.create_connection(address) as raw:
                    raw.sendall(random.randbytes(random.randrange(1, 600)))
                with socket.create_connection(address) as raw:
                    pass
                with contextlib.suppress(OSError), socket.create_connection(address) as raw, \
                        self.context.wrap_socket(raw, server_hostname="localhost") as tls:
                    tls.sendall(b"GET /api/v1/guests HTTP/1.1\r\nHost: " + b"x" * random.randrange(2000))

    def browsers(self):
        with run.asking(self.browser, self.gateway, "login", 0):
            time.sleep(1)
        with self.browser.opened(self.gateway.name, "logins", self.gateway.address, 10, LIST):
            pass
        with self.browser.opened(self.gateway.name, "idle", self.gateway.address, 50):
            pass

    def screens(self):
        for peer in self.consoles:
            run.pump(self.viewer, peer, 8, 1, 640, 480, 2)
            with self.viewer.idle(peer.name, 20, peer.way, peer.address):
                pass

    def reload(self):
        self.gateway.servers[0].process.send_signal(signal.SIGHUP)
        time.sleep(0.5)

    def work(self):
        for step in (self.sessions, self.changes, self.behind_its_back, self.killed_clients, self.nonsense, self.browsers, self.screens, self.reload):
            step()

    # ---- what it left ----

    def state(self):
        """(gateway, process, its number) to (KiB, descriptors)."""
        found = {}
        for peer in (self.gateway, *self.consoles):
            for pid in peer.pids():
                with open(f"/proc/{pid}/comm", encoding="ascii") as name:
                    found[peer.name, name.read().strip(), pid] = peers.private_kib([pid]), len(os.listdir(f"/proc/{pid}/fd"))
        return found


def report(rounds):
    """One line a process; True when nothing is wrong. What stops growing is a cache: the second half tells."""
    first, middle, last = rounds[0], rounds[len(rounds) // 2], rounds[-1]
    second_half = max(1, len(rounds) - 1 - len(rounds) // 2)
    good = set(first) == set(last)
    if not good:
        print(f"other processes than at the beginning: {sorted(set(first) ^ set(last))}")
    print(f"\n{'':<32}{'KiB first':>12}{'half way':>10}{'last':>10}{'each round of the second half':>32}{'fds':>8}{'last':>6}")
    for key in sorted(set(first) & set(last)):
        kib, fds = zip(first[key], middle[key], last[key])
        more = fds[2] > fds[0] + SPARE_FDS
        good = good and not more
        print(f"{key[0] + ' ' + key[1]:<32}{kib[0]:>12}{kib[1]:>10}{kib[2]:>10}{(kib[2] - kib[1]) / second_half:>32.1f}{fds[0]:>8}{fds[2]:>6}"
              + "  MORE" * more)
    return good


def soak(options):
    client = run.Client(run.find_programs(options))
    browser, viewer = (run.Client(os.path.join(options.build, "tests", "bench", name)) for name in ("browser", "screen"))
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="virtgate-soak-", dir=options.dir))
        libvirtd, (bare,) = run.prepare(stack, directory, ["unix"], options.guests, 1)
        libvirtd.start()
        bare.start()
        gateway = Calls(directory, libvirtd)
        guest = peers.Guest(os.path.join(directory, "guest"), libvirtd.pki)
        guest.start()
        stack.callback(guest.stop)
        consoles = [kind(directory, guest) for kind in (peers.VirtgateScreen, Screens)]
        for peer in (gateway, *consoles):
            stack.callback(peer.stop)
            peer.start()
        one, rounds, end = Soak(client, browser, viewer, bare, gateway, consoles), [], time.monotonic() + options.minutes * 60
        while time.monotonic() < end or len(rounds) <= WARM_UP:
            one.work()
            rounds.append(one.state())
            print(f"round {len(rounds)}: {sum(kib for kib, _ in rounds[-1].values()) / 1024:.1f} MiB, {sum(fds for _, fds in rounds[-1].values())} "
                  f"descriptors", flush=True)
        return report(rounds[WARM_UP:])


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default=os.getcwd(), help="directory that was built in (default: this one)")
    parser.add_argument("--minutes", type=float, default=60, help="how long (default 60)")
    parser.add_argument("--guests", type=int, default=200, help="defined guests (default 200)")
    parser.add_argument("--dir", default="/var/tmp", help="a directory on a disk (default /var/tmp)")
    options = parser.parse_args()
    options.peers = ["virtgate", "unix"]
    return options


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        return 0 if soak(parse_options()) else 1
    except peers.BenchError as error:
        print(f"soak: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
