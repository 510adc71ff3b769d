"""What the benchmarks measure: one private libvirtd, and the ways to it that are compared.

Everything runs on the loopback, as children of this process that die with it, with all files below one directory.
"""
import collections
import ctypes
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid

PR_SET_PDEATHSIG = 1
CLIENT_NAME = "bench"
POOL, VOLUME = "bench", "volume.img"
PATIENCE = 60	# seconds that a server has to become ready

LIBC = ctypes.CDLL(None, use_errno=True)


class BenchError(Exception):
    """Something that the person at the terminal has to put right."""


def die_with_parent():
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def write(path, text):
    with open(path, "w", encoding="utf-8") as out:
        out.write(text)
    return path


def descendants(pid):
    """The process and all its children, grandchildren and so on."""
    found = [pid]
    for parent in found:
        try:
            with open(f"/proc/{parent}/task/{parent}/children", encoding="ascii") as children:
                found += [int(child) for child in children.read().split()]
        except FileNotFoundError:
            continue
    return found


def private_kib(pids):
    """Memory that nobody else shares, in KiB."""
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as rollup:
            for line in rollup:
                if line.startswith(("Private_Clean:", "Private_Dirty:")):
                    total += int(line.split()[1])
    return total


def anonymous_kib(pids):
    """Memory that is no file's, in KiB; what forked processes still share counts once."""
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as rollup:
            total += sum(int(line.split()[1]) for line in rollup if line.startswith("Pss_Anon:"))
    return total


def threads(pid):
    return [f"/proc/{pid}/task/{thread}" for thread in os.listdir(f"/proc/{pid}/task")]


def cpu_us(pid):
    """CPU that all threads of a process have had."""
    total = 0
    for thread in threads(pid):
        with open(f"{thread}/schedstat", encoding="ascii") as text:
            total += int(text.read().split()[0])
    return total / 1000


def wake_ups(pid):
    """How often its threads had gone to sleep."""
    total = 0
    for thread in threads(pid):
        with open(f"{thread}/status", encoding="ascii") as status:
            total += sum(int(line.split()[1]) for line in status if line.startswith("voluntary_ctxt_switches"))
    return total


class CountedCalls:
    """System calls that processes make inside the `with`, counted by strace: by_pid[pid][name]. Slows them down."""

    def __init__(self, pids, directory):
        self.outputs = {pid: os.path.join(directory, f"strace.{pid}") for pid in pids}
        self.tracers = []
        self.by_pid = {}

    def __enter__(self):
        for pid, output in self.outputs.items():
            tracer = subprocess.Popen(["strace", "-f", "-c", "-U", "name,calls", "-o", output, "-p", str(pid)],
                                      stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                                      preexec_fn=die_with_parent)
            self.tracers.append(tracer)
            if "attached" not in tracer.stderr.readline():
                raise BenchError(f"strace cannot attach to process {pid}")
        return self

    def __exit__(self, *failure):
        for tracer in self.tracers:
            tracer.send_signal(signal.SIGINT)
            tracer.stderr.read()
            tracer.wait()
        self.by_pid = {pid: self.parse(output) for pid, output in self.outputs.items()}

    @staticmethod
    def parse(path):
        calls = collections.Counter()
        with open(path, encoding="ascii") as summary:
            for line in summary:
                words = line.split()
                if len(words) == 2 and words[1].isdigit() and words[0] != "total":
                    calls[words[0]] += int(words[1])
        return calls

    def total(self):
        return sum(self.by_pid.values(), collections.Counter())


class Server:
    """A child process with a log, ready when `is_ready` says so."""

    def __init__(self, name, argv, directory, env=None):
        self.name = name
        self.log = os.path.join(directory, f"{name}.out")
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=env, preexec_fn=die_with_parent)

    def wait_until(self, is_ready):
        deadline = time.monotonic() + PATIENCE
        while not is_ready():
            if self.process.poll() is not None:
                raise BenchError(f"{self.name} ended with status {self.process.returncode}:\n{self.tail()}")
            if time.monotonic() > deadline:
                raise BenchError(f"{self.name} was not ready in {PATIENCE} s:\n{self.tail()}")
            time.sleep(0.02)
        return self

    def tail(self):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return "".join(log.readlines()[-15:])

    def pids(self):
        return descendants(self.process.pid)

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def accepts(family, address):
    with socket.socket(family) as probe:
        try:
            probe.connect(address)
        except OSError:
            return False
    return True


def unix_accepts(path):
    return lambda: accepts(socket.AF_UNIX, path)


def port_accepts(port):
    return lambda: accepts(socket.AF_INET, ("127.0.0.1", port))


class Pki:
    """A certificate authority, a server and a client, in the files that libvirt and its peers want."""

    def __init__(self, directory):
        self.directory = directory
        os.makedirs(directory)
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                     "-keyout", "cakey.pem", "-out", "cacert.pem", "-days", "2", "-subj", "/CN=bench CA",
                     "-addext", "keyUsage=critical,keyCertSign,cRLSign")
        self.issue("server", "/O=bench/CN=localhost", "serverAuth", "subjectAltName=DNS:localhost,IP:127.0.0.1")
        self.issue("client", f"/O=bench/CN={CLIENT_NAME}", "clientAuth")
        self.ca, self.cert, self.key = (self.path(name) for name in ("cacert.pem", "servercert.pem", "serverkey.pem"))
        with open(self.path("server.pem"), "w", encoding="ascii") as both:
            for name in (self.cert, self.key):
                with open(name, encoding="ascii") as part:
                    both.write(part.read())

    def path(self, name):
        return os.path.join(self.directory, name)

    def openssl(self, *args):
        done = subprocess.run(["openssl", *args], cwd=self.directory, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise BenchError(f"openssl {args[0]}: {done.stderr}")

    def issue(self, name, subject, usage, *more):
        extensions = ["basicConstraints=critical,CA:FALSE", "keyUsage=critical,digitalSignature,keyEncipherment",
                      f"extendedKeyUsage={usage}", *more]
        write(self.path("extensions"), "\n".join(extensions) + "\n")
        self.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                     "-keyout", f"{name}key.pem", "-out", "request", "-subj", subject)
        self.openssl("x509", "-req", "-in", "request", "-CA", "cacert.pem", "-CAkey", "cakey.pem", "-CAcreateserial",
                     "-days", "2", "-extfile", "extensions", "-out", f"{name}cert.pem")


def guest_xml(number):
    name = f"guest-{number:04d}"
    return f"""<domain type='qemu'><name>{name}</name><uuid>{uuid.uuid5(uuid.NAMESPACE_DNS, name)}</uuid>
<memory unit='MiB'>64</memory><vcpu>1</vcpu><os><type arch='x86_64' machine='pc'>hvm</type></os>
<devices><emulator>{shutil.which("qemu-system-x86_64")}</emulator></devices></domain>
"""


class Libvirtd:
    """libvirtd as root with /etc, /run and /var of its own; UNIX socket and TLS with certificates only."""

    PRIVATE = {"etc": "/etc/libvirt", "lib": "/var/lib/libvirt", "run-libvirt": "/run/libvirt",
               "log": "/var/log/libvirt", "cache": "/var/cache/libvirt"}

    def __init__(self, directory, pki, guests, volume_mib):
        self.directory, self.pki = directory, pki
        self.server = None
        self.socket = os.path.join(directory, "run", "libvirt-sock")
        self.volumes = tempfile.mkdtemp(prefix="virtgate-bench-", dir="/dev/shm")
        for name in ("run", "etc/qemu", "etc/storage/autostart", *self.PRIVATE):
            os.makedirs(os.path.join(directory, name), exist_ok=True)
        write(os.path.join(directory, "etc/qemu.conf"),
              'user = "root"\ngroup = "root"\ndynamic_ownership = 0\nremember_owner = 0\nsecurity_driver = "none"\n'
              'cgroup_controllers = []\nnamespaces = []\nstdio_handler = "file"\n')
        for number in range(guests):
            write(os.path.join(directory, f"etc/qemu/guest-{number:04d}.xml"), guest_xml(number))
        self.make_pool(volume_mib)

    def make_pool(self, volume_mib):
        with open(os.path.join(self.volumes, VOLUME), "wb") as volume:
            for _ in range(volume_mib):
                volume.write(os.urandom(4096) * 256)
        xml = write(os.path.join(self.directory, f"etc/storage/{POOL}.xml"),
                    f"<pool type='dir'><name>{POOL}</name><uuid>{uuid.uuid4()}</uuid>"
                    f"<target><path>{self.volumes}</path></target></pool>\n")
        os.symlink(xml, os.path.join(self.directory, f"etc/storage/autostart/{POOL}.xml"))

    def start(self):
        port = free_port()
        config = write(os.path.join(self.directory, "libvirtd.conf"), f"""
unix_sock_dir = "{self.directory}/run"
unix_sock_rw_perms = "0777"
unix_sock_ro_perms = "0777"
auth_unix_ro = "none"
auth_unix_rw = "none"
listen_tls = 1
listen_tcp = 0
listen_addr = "127.0.0.1"
tls_port = "{port}"
auth_tls = "none"
ca_file = "{self.pki.ca}"
cert_file = "{self.pki.cert}"
key_file = "{self.pki.key}"
max_clients = 5000
max_queued_clients = 5000
max_anonymous_clients = 5000
log_outputs = "3:file:{self.directory}/libvirtd.log"
""")
        mounts = "".join(f"mount --bind '{self.directory}/{name}' {target}\n" for name, target in self.PRIVATE.items())
        script = f"set -e\nmkdir -p {' '.join(self.PRIVATE.values())}\n{mounts}" \
                 f"exec libvirtd -f '{config}' -p '{self.directory}/libvirtd.pid' --listen"
        self.server = Server("libvirtd", ["unshare", "-m", "--propagation", "private", "sh", "-c", script],
                             self.directory)
        self.server.wait_until(unix_accepts(self.socket)).wait_until(port_accepts(port))
        self.unix_uri = f"qemu:///system?socket={self.socket}"
        self.tls_uri = tls_uri(port, self.pki)

    def stop(self):
        if self.server is not None:
            self.server.stop()

    def close(self):
        self.stop()
        shutil.rmtree(self.volumes, ignore_errors=True)


def tls_uri(port, pki):
    return f"qemu+tls://127.0.0.1:{port}/system?pkipath={pki.directory}"


class Peer:
    """One way to libvirtd, or to a screen: a URI or an address, and the processes whose memory it costs."""
    many = 200	# idle consoles to measure

    def __init__(self, directory, libvirtd):
        self.directory = os.path.join(directory, self.name)
        os.makedirs(self.directory, exist_ok=True)
        self.libvirtd, self.pki = libvirtd, libvirtd.pki
        self.servers = []
        self.uri = None

    def pids(self):
        return self.servers[0].pids()

    def stop(self):
        for server in self.servers:
            server.stop()
        self.servers = []


class Unix(Peer):
    name = "unix"

    def start(self):
        self.uri = self.libvirtd.unix_uri

    def pids(self):
        return self.libvirtd.server.pids()


class LibvirtdTls(Unix):
    name = "libvirtd-tls"

    def start(self):
        self.uri = self.libvirtd.tls_uri


class Haproxy(Peer):
    """TLS 1.2 only, and the byte that libvirt's server says hello with sent by a line of Lua: with TLS 1.3 the session
    tickets reach libvirt's client together with that byte, and it gives up."""
    name = "haproxy"

    def start(self):
        port = free_port()
        lua = write(os.path.join(self.directory, "hello.lua"),
                    'core.register_action("hello", {"tcp-req"}, function(txn) txn.res:send("\\1") end)\n')
        config = write(os.path.join(self.directory, "haproxy.cfg"), f"""
global
  lua-load {lua}
  nbthread {os.cpu_count()}
  maxconn 5000
defaults
  mode tcp
  timeout connect 5s
  timeout client 1h
  timeout server 1h
frontend tls
  bind 127.0.0.1:{port} ssl crt {self.pki.path("server.pem")} ca-file {self.pki.ca} verify required ssl-min-ver TLSv1.2 ssl-max-ver TLSv1.2
  tcp-request content lua.hello
  default_backend libvirtd
backend libvirtd
  server local unix@{self.libvirtd.socket}
""")
        self.servers = [Server("haproxy", ["haproxy", "-db", "-f", config], self.directory)]
        self.servers[0].wait_until(port_accepts(port))
        self.uri = tls_uri(port, self.pki)


class Stunnel(Peer):
    """One stunnel on each side. Only the server's is counted as memory."""
    name = "stunnel"

    def start(self):
        port = free_port()
        near = os.path.join(self.directory, "near.sock")
        if os.path.exists(near):
            os.unlink(near)
        common = f"foreground = yes\ndebug = 3\npid =\n[libvirt]\nCAfile = {self.pki.ca}\nverifyChain = yes\n"
        far = write(os.path.join(self.directory, "server.conf"),
                    f"{common}accept = 127.0.0.1:{port}\nconnect = {self.libvirtd.socket}\n"
                    f"cert = {self.pki.cert}\nkey = {self.pki.key}\n")
        here = write(os.path.join(self.directory, "client.conf"),
                     f"{common}client = yes\naccept = {near}\nconnect = 127.0.0.1:{port}\n"
                     f"cert = {self.pki.path('clientcert.pem')}\nkey = {self.pki.path('clientkey.pem')}\n")
        self.servers = [Server("stunnel-server", ["stunnel4", far], self.directory),
                        Server("stunnel-client", ["stunnel4", here], self.directory)]
        self.servers[0].wait_until(port_accepts(port))
        self.servers[1].wait_until(unix_accepts(near))
        self.uri = f"qemu:///system?socket={near}"


class Virtgate(Peer):
    """RBAC on (a role bound on everything), audit on, its trail on a disk."""
    name = "virtgate"
    program = None
    SETTINGS = ""	# more lines of virtgated.conf
    POLICY = {"version": 1, "bindings": [{"id": "bench", "who": ["x509:*"], "role": "admin", "on": ["*"]}]}

    def start(self):
        user = pwd.getpwnam("nobody")
        for name in ("audit", "state", "run"):
            path = os.path.join(self.directory, name)
            os.makedirs(path, mode=0o700, exist_ok=True)
            os.chown(path, user.pw_uid, user.pw_gid)
        policy = write(os.path.join(self.directory, "policy.json"), json.dumps(self.POLICY, indent=1))
        config = write(os.path.join(self.directory, "virtgated.conf"), f"""
listen_addr = "127.0.0.1"
tls_port = "0"
ca_file = "{self.pki.ca}"
cert_file = "{self.pki.cert}"
key_file = "{self.pki.key}"
max_anonymous_clients = 5000
backend_socket = "{self.libvirtd.socket}"
backend_socket_ro = "{self.libvirtd.socket}-ro"
policy_file = "{policy}"
audit_dir = "{self.directory}/audit"
state_dir = "{self.directory}/state"
run_dir = "{self.directory}/run"
user = "{user.pw_name}"
group = "nogroup"
{self.SETTINGS}""")
        ports = os.path.join(self.directory, "run", "ports.json")
        if os.path.exists(ports):
            os.unlink(ports)
        self.servers = [Server("virtgated", [self.program, "--config", config, "--foreground"], self.directory)]
        self.servers[0].wait_until(self.says_ready)
        with open(ports, encoding="ascii") as listing:
            self.ports = {name: int(port[0] if isinstance(port, list) else port) for name, port in json.load(listing).items()}
        self.uri = tls_uri(self.ports["tls"], self.pki)

    def audit_pid(self):
        for pid in self.pids():
            with open(f"/proc/{pid}/comm", encoding="ascii") as name:
                if name.read().strip() == "virtgated-audit":
                    return pid
        raise BenchError("virtgated has no audit process")

    def says_ready(self):
        with open(self.servers[0].log, encoding="utf-8", errors="replace") as log:
            return "READY" in log.read().split()


class Tenant(Virtgate):
    """A gateway before somebody who sees some of the guests: what is hidden is filtered out."""
    name = "tenant"

    def __init__(self, directory, libvirtd, name, guests):
        self.name = name
        super().__init__(directory, libvirtd)
        self.POLICY = {"version": 1, "bindings": [{"id": "bench", "who": ["x509:*"], "role": "viewer", "on": [f"domain:{glob}" for glob in guests]}]}


class Guest:
    """A guest's screen that draws as fast as it is asked, behind a scripted libvirtd: screen.c."""
    program = None

    def __init__(self, directory, pki):
        os.makedirs(directory, exist_ok=True)
        os.chmod(directory, 0o755)
        self.directory, self.pki = directory, pki
        self.socket, self.screen = os.path.join(directory, "libvirt-sock"), os.path.join(directory, "screen-sock")
        self.process = None

    def start(self):
        self.process = subprocess.Popen([self.program, "serve", self.socket, self.screen], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        preexec_fn=die_with_parent)
        if self.process.stdout.readline() != "READY\n":
            raise BenchError("the scripted guest did not start")
        for path in (self.socket, self.screen):
            os.chmod(path, 0o777)

    def stop(self):
        if self.process is not None:
            self.process.stdin.close()
            self.process.wait()
            self.process = None


class VirtgateWeb(Virtgate):
    """Beside RPC clients it serves browsers, which log in with the certificate of the client."""
    SETTINGS = 'listen_web = 1\nweb_port = "0"\nauth_web = "none"\nmax_web_connections_per_address = 1000\n'

    def start(self):
        super().start()
        self.address = f"{self.ports['web']}:{self.pki.directory}"


class HaproxyAnswers(Peer):
    """Answers every request with so many bytes out of its memory, over the same TLS and HTTP/2: as little as a server can do."""
    name = "haproxy"

    def start(self, size):
        port = free_port()
        with open(os.path.join(self.directory, "answer"), "wb") as answer:
            answer.write(os.urandom(size))
        config = write(os.path.join(self.directory, "answers.cfg"), f"""
global
  nbthread 1
  tune.bufsize {size + 16384}
defaults
  mode http
  timeout connect 5s
  timeout client 1h
  timeout server 1h
frontend answers
  bind 127.0.0.1:{port} ssl crt {self.pki.path("server.pem")} alpn h2
  http-request return status 200 content-type application/json file {self.directory}/answer
""")
        self.servers = [Server("haproxy-answers", ["haproxy", "-db", "-f", config], self.directory)]
        self.servers[0].wait_until(port_accepts(port))
        self.address = f"{port}:{self.pki.directory}"


class BareScreen(Peer):
    name, way = "unix", "unix"

    def pids(self):
        return []

    def start(self):
        self.address = self.libvirtd.screen


class HaproxyScreen(Peer):
    """TLS with a client certificate in front of the same socket."""
    name, way = "haproxy", "tls"

    def start(self):
        port = free_port()
        config = write(os.path.join(self.directory, "screen.cfg"), f"""
global
  nbthread {os.cpu_count()}
  maxconn 5000
defaults
  mode tcp
  timeout connect 5s
  timeout client 1h
  timeout server 1h
frontend tls
  bind 127.0.0.1:{port} ssl crt {self.pki.path("server.pem")} ca-file {self.pki.ca} verify required
  default_backend screen
backend screen
  server local unix@{self.libvirtd.screen}
""")
        self.servers = [Server("haproxy", ["haproxy", "-db", "-f", config], self.directory)]
        self.servers[0].wait_until(port_accepts(port))
        self.address = f"{port}:{self.pki.directory}"


class Websockify(Peer):
    """A WebSocket in TLS in front of the same socket; a process for each console."""
    name, way = "websockify", "wss"
    many = 40	# 7 MiB each

    def start(self):
        port = free_port()
        self.servers = [Server("websockify", ["websockify", "--ssl-only", "--cert", self.pki.cert, "--key", self.pki.key,
                                              "--unix-target", self.libvirtd.screen, f"127.0.0.1:{port}"], self.directory)]
        self.servers[0].wait_until(port_accepts(port))
        self.address = f"{port}:{self.pki.directory}"


class VirtgateScreen(Virtgate):
    way, listener = "vencrypt", "vnc"
    SETTINGS = 'listen_vnc = 1\nvnc_port = "0"\nvnc_ports = "0"\nlisten_tls = 1\nallowed_uris = [ "test:///default" ]\nmax_console_viewers = 1000\n'

    def start(self):
        super().start()
        self.address = f"{self.ports[self.listener]}:{self.pki.directory}"


class VirtgateBrowser(VirtgateScreen):
    """The same guest by a browser's way, through the process of browsers."""
    name, way, listener = "virtgate-web", "browser", "web"
    SETTINGS = 'listen_web = 1\nweb_port = "0"\nauth_web = "none"\nallowed_uris = [ "test:///default" ]\nmax_console_viewers = 1000\n'


SCREENS = (VirtgateScreen, VirtgateBrowser, Websockify, HaproxyScreen, BareScreen)


PEERS = {peer.name: peer for peer in (Virtgate, Unix, LibvirtdTls, Haproxy, Stunnel)}
NAMES = [*PEERS, Websockify.name]
OPTIONAL = {"haproxy": "haproxy", "stunnel": "stunnel4", "websockify": "websockify"}	# peer -> its program
NEEDED = {"libvirtd": "libvirt-daemon-system", "qemu-system-x86_64": "qemu-system-x86", "openssl": "openssl",
          "unshare": "util-linux"}	# program -> package


def check_host():
    """What stands in the way of a run, said before anything is started."""
    if os.geteuid() != 0:
        raise BenchError("the benchmark starts its own libvirtd in a private mount namespace: run it as root")
    missing = {package for program, package in NEEDED.items() if shutil.which(program) is None}
    if missing:
        raise BenchError(f"missing programs: apt install {' '.join(sorted(missing))}")
