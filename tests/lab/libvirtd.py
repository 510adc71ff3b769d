"""A libvirtd of our own: as root in a private mount namespace (qemu:///system), else in session mode."""
import os
import shutil
import signal
import socket
import subprocess

from .process import PATIENCE, PYTHON, Daemon, LabError, alive, clean_environment, die_with_parent, run, wait_until

QEMU_CONF = """\
user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
cgroup_controllers = []
namespaces = []
stdio_handler = "file"
vnc_listen = "127.0.0.1"
"""

# Holds a connection to the test driver, whose domains live only as long as somebody is connected.
HOLDER = """
import sys, libvirt
c = libvirt.open(sys.argv[1])
for domain in c.listAllDomains():
    if domain.isActive():
        domain.destroy()
    domain.undefine()
for item in sys.argv[2:]:
    name, uuid, state = item.split(",")
    domain = c.defineXML(f"<domain type='test'><name>{name}</name><uuid>{uuid}</uuid><memory>8192</memory>"
                         "<vcpu>1</vcpu><os><type>hvm</type></os></domain>")
    if state == "running":
        domain.create()
print("seeded", flush=True)
sys.stdin.read()
"""

# Boot sector: prints GUEST-READY on the first serial port, then sends back each byte that it gets, plus one.
BOOT_SECTOR = bytes.fromhex(
    "fa 31c0 8ed8"              # cli; xor ax, ax; mov ds, ax
    "be357c"                    # mov si, 0x7c00 + offset of the text
    "ac 84c0 7405"              # next: lodsb; test al, al; jz echo
    "e81400 ebf6"               # call send; jmp next
    "bafd03 ec a801 74f8"       # echo: mov dx, 0x3fd; in al, dx; test al, 1; jz echo
    "baf803 ec 40"              # mov dx, 0x3f8; in al, dx; inc ax
    "e80200 ebee"               # call send; jmp echo
    "88c4"                      # send: mov ah, al
    "bafd03 ec a820 74f8"       # wait: mov dx, 0x3fd; in al, dx; test al, 0x20; jz wait
    "88e0 baf803 ee c3"         # mov al, ah; mov dx, 0x3f8; out dx, al; ret
) + b"GUEST-READY\r\n\0"


def boot_disk():
    """A disk of 1 MiB that boots into the serial echo."""
    sector = BOOT_SECTOR.ljust(510, b"\0") + b"\x55\xaa"
    return sector.ljust(1 << 20, b"\0")


def have_qemu():
    return shutil.which("qemu-system-x86_64") is not None


class Libvirtd:
    """Use: Libvirtd(scratch).start(). Attributes: socket, socket_ro, test_uri and qemu_uri (what a client of the gateway names)."""

    seeds = {
        "web-1": ("11111111-0000-4000-8000-000000000001", "running"),
        "web-2": ("11111111-0000-4000-8000-000000000002", "shut"),
        "db-1": ("22222222-0000-4000-8000-000000000001", "shut"),
        "hr-1": ("33333333-0000-4000-8000-000000000001", "running"),
    }
    test_uri = "test:///default"

    def __init__(self, scratch, name="libvirtd", cache=None):
        self.scratch = scratch
        self.name = name
        self.cache = cache
        self.root = os.geteuid() == 0
        self.qemu_uri = "qemu:///system" if self.root else "qemu:///session"
        self.dir = scratch.directory(name)
        self.daemon = None
        self.holder = None
        if self.root:
            self.socket = f"{self.dir}/run/libvirt-sock"
            self.socket_ro = f"{self.dir}/run/libvirt-sock-ro"
        else:       # session mode has one socket, in a place of its own choice
            self.socket = self.socket_ro = f"{self.dir}/runtime/libvirt/libvirt-sock"

    def direct(self, uri):
        """The URI that reaches this daemon without the gateway."""
        scheme, rest = uri.split("://", 1)
        transport = "" if scheme == "qemu" else "+unix"
        return f"{scheme}{transport}://{rest}?socket={self.socket}"

    # ---- start and stop ----

    def start(self):
        self.start_daemon()
        self.scratch.later(self.stop)
        self.seed()
        return self

    def start_daemon(self):
        for path in (self.socket, self.socket_ro):
            if os.path.exists(path):
                os.unlink(path)
        command, environment = self._system() if self.root else self._session()
        self.daemon = Daemon("libvirtd", command, f"{self.dir}/output", environment)
        self.daemon.wait_ready(lambda: self._answers(self.socket) and self._answers(self.socket_ro), f"socket {self.socket}")

    def _configuration(self, extra=""):
        with open(f"{self.dir}/libvirtd.conf", "w", encoding="utf-8") as file:
            file.write('auth_unix_ro = "none"\nauth_unix_rw = "none"\nmax_clients = 6000\nmax_anonymous_clients = 200\n'
                       f'max_queued_clients = 2000\nlog_outputs = "3:file:{self.dir}/libvirtd.log"\n{extra}')
        return ["libvirtd", "-f", f"{self.dir}/libvirtd.conf", "-p", f"{self.dir}/libvirtd.pid"]

    def _system(self):
        for name in ("etc/qemu/networks", "etc/hooks", "etc/nwfilter", "lib/qemu", "runlv", "log", "cache", "run"):
            os.makedirs(f"{self.dir}/{name}", exist_ok=True)
        with open(f"{self.dir}/etc/qemu.conf", "w", encoding="utf-8") as file:
            file.write(QEMU_CONF)
        if self.cache and os.path.isdir(self.cache):
            shutil.copytree(self.cache, f"{self.dir}/cache/qemu", dirs_exist_ok=True)
        command = self._configuration(f'unix_sock_dir = "{self.dir}/run"\nunix_sock_rw_perms = "0777"\n'
                                      'unix_sock_ro_perms = "0777"\n')
        mounts = 'd=$1; shift; mkdir -p /run/libvirt /etc/libvirt /var/lib/libvirt /var/log/libvirt /var/cache/libvirt; ' \
                 'mount --bind "$d/etc" /etc/libvirt; mount --bind "$d/lib" /var/lib/libvirt; ' \
                 'mount --bind "$d/runlv" /run/libvirt; mount --bind "$d/log" /var/log/libvirt; ' \
                 'mount --bind "$d/cache" /var/cache/libvirt; exec "$@"'
        return (["unshare", "-m", "--propagation", "private", "sh", "-ec", mounts, "sh", self.dir] + command,
                clean_environment(HOME=self.dir))

    def _session(self):
        for name in ("runtime", "config/libvirt", "cache", "data", "home"):
            os.makedirs(f"{self.dir}/{name}", mode=0o700, exist_ok=True)
        with open(f"{self.dir}/config/libvirt/qemu.conf", "w", encoding="utf-8") as file:
            file.write('stdio_handler = "file"\n')
        return self._configuration(), clean_environment(
            HOME=f"{self.dir}/home", XDG_RUNTIME_DIR=f"{self.dir}/runtime", XDG_CONFIG_HOME=f"{self.dir}/config",
            XDG_CACHE_HOME=f"{self.dir}/cache", XDG_DATA_HOME=f"{self.dir}/data")

    @staticmethod
    def _answers(path):
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(path) == 0

    def seed(self):
        items = [f"{name},{uuid},{state}" for name, (uuid, state) in self.seeds.items()]
        self.holder = subprocess.Popen([PYTHON, "-c", HOLDER, self.direct(self.test_uri)] + items, stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE, text=True, env=clean_environment(), preexec_fn=die_with_parent,
                                       start_new_session=True)
        if self.holder.stdout.readline() != "seeded\n":
            raise LabError("the test driver's domains could not be defined")

    def stop_holder(self):
        if self.holder is not None:
            self.holder.kill()
            self.holder.communicate()
            self.holder = None

    def stop(self):
        self.stop_holder()
        self.daemon.stop()
        self.stop_guests()
        if self.cache and self.root and os.path.isdir(f"{self.dir}/cache/qemu/capabilities"):
            shutil.copytree(f"{self.dir}/cache/qemu", self.cache, dirs_exist_ok=True)

    def stop_guests(self):
        """QEMU outlives its libvirtd: ended by the process ids that libvirtd wrote down."""
        directory = f"{self.dir}/runlv/qemu" if self.root else f"{self.dir}/runtime/libvirt/qemu/run"
        if not os.path.isdir(directory):
            return
        for name in os.listdir(directory):
            if name.endswith(".pid") and name != "driver.pid":
                try:
                    with open(f"{directory}/{name}", encoding="ascii") as file:
                        pid = int(file.read())
                    os.kill(pid, signal.SIGKILL)
                except (OSError, ValueError):
                    continue
                wait_until(lambda pid=pid: not alive(pid), f"the end of QEMU {pid}")

    def crash(self):
        """kill -9; guests stay."""
        self.daemon.process.kill()
        self.daemon.process.wait()

    # ---- what is inside, asked directly ----

    def virsh(self, *arguments, uri=None, check=True, seconds=2 * PATIENCE):
        return run(["virsh", "-c", self.direct(uri or self.test_uri), *arguments], check=check, seconds=seconds)

    def state(self, domain, uri=None):
        return self.virsh("domstate", domain, uri=uri).stdout.strip()

    # ---- a real guest ----

    def guest_xml(self, name, uuid):
        """A QEMU guest without KVM that boots in a second and echoes on its serial port."""
        disk = f"{self.dir}/{name}.img"
        if not os.path.exists(disk):
            with open(disk, "wb") as file:
                file.write(boot_disk())
        return f"""<domain type='qemu'><name>{name}</name><uuid>{uuid}</uuid><memory unit='MiB'>32</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='pc'>hvm</type><boot dev='hd'/></os><features><acpi/></features>
<on_poweroff>destroy</on_poweroff><on_reboot>restart</on_reboot><on_crash>destroy</on_crash>
<devices><emulator>/usr/bin/qemu-system-x86_64</emulator>
<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{disk}'/><target dev='hda' bus='ide'/></disk>
<controller type='usb' model='none'/><memballoon model='none'/>
<serial type='pty'><target port='0'/></serial><console type='pty'><target type='serial' port='0'/></console>
<graphics type='vnc'><listen type='none'/></graphics><video><model type='vga' vram='16384' heads='1'/></video>
</devices></domain>"""

    def define_guest(self, name, uuid):
        path = self.scratch.write(f"{self.name}/{name}.xml", self.guest_xml(name, uuid))
        self.virsh("define", path, uri=self.qemu_uri)
        return path

    def qemu_pid(self, name):
        """The process of a guest that runs."""
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    words = file.read().split(b"\0")
            except OSError:
                continue    # it ended meanwhile
            if f"guest={name},debug-threads=on".encode() in words and any(self.dir.encode() in word for word in words):
                return int(pid)
        raise LabError(f"no QEMU runs {name}")

    def storage_pool(self, name):
        """A directory pool, started. Returns its directory."""
        directory = self.scratch.directory(self.name, f"pool-{name}")
        path = self.scratch.write(f"{self.name}/pool-{name}.xml", f"<pool type='dir'><name>{name}</name>"
                                  f"<target><path>{directory}</path></target></pool>")
        self.virsh("pool-define", path, uri=self.qemu_uri)
        self.virsh("pool-start", name, uri=self.qemu_uri)
        return directory
