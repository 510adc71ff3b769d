"""polkitd on a bus of its own, and a libvirtd that asks it about every call (access_drivers = ["polkit"])."""
import os
import shutil

from .libvirtd import Libvirtd
from .process import Daemon, clean_environment, run

POLKITD = "/usr/lib/polkit-1/polkitd"
# The list of libvirt's actions: polkit knows only those that a file in this directory declares.
ACTIONS = "/usr/share/polkit-1/actions/org.libvirt.api.policy"

BUS = """\
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_destination="*" eavesdrop="true"/>
    <allow receive_sender="*"/>
  </policy>
</busconfig>
"""


def why_no_polkit():
    """Why polkitd cannot be used here; None when it can."""
    if os.geteuid() != 0:
        return "polkitd and its private mount namespace take root"
    if shutil.which("dbus-daemon") is None:
        return "no dbus-daemon (package dbus-daemon)"
    if not os.path.exists(POLKITD):
        return "no polkitd (package polkitd)"
    return None if os.path.exists(ACTIONS) else f"no {ACTIONS} (package libvirt-daemon-system)"


class Polkit:
    """
    Use: Polkit(scratch, rules, uids).start(), rules in polkit's JavaScript. `uids` are users made for it: only polkitd and a
    PolkitLibvirtd know them, and the name of each is its number, which is also what the gateway calls a uid without a name.
    `address` is the bus's, for DBUS_SYSTEM_BUS_ADDRESS.
    """

    def __init__(self, scratch, rules, uids=(), name="polkit"):
        self.scratch = scratch
        self.dir = scratch.directory(name)
        self.socket = f"{self.dir}/bus"
        self.address = f"unix:path={self.socket}"
        scratch.directory(name, "none")
        scratch.directory(name, "rules.d")
        scratch.write(f"{name}/rules.d/10-test.rules", rules)
        with open("/etc/passwd", encoding="utf-8") as file:
            users = file.read() + "".join(f"{uid}:x:{uid}:65534::/nonexistent:/usr/sbin/nologin\n" for uid in uids)
        self.passwd = scratch.write(f"{name}/passwd", users)
        scratch.write(f"{name}/bus.conf", BUS.format(socket=self.socket))
        self.bus = self.daemon = None

    def start(self):
        self.bus = Daemon("dbus-daemon", ["dbus-daemon", "--nofork", "--nopidfile", f"--config-file={self.dir}/bus.conf"],
                          f"{self.dir}/bus.log")
        self.scratch.later(self.stop)
        self.bus.wait_ready(lambda: os.path.exists(self.socket), f"socket {self.socket}")
        # Only our rules: neither the host's own nor those of its packages.
        mounts = 'mount --bind "$1/passwd" /etc/passwd; mount --bind "$1/rules.d" /etc/polkit-1/rules.d; mount --bind "$1/none" /usr/share/polkit-1/rules.d; ' \
                 'exec "$2" --no-debug'
        self.daemon = Daemon("polkitd", ["unshare", "-m", "--propagation", "private", "sh", "-ec", mounts, "sh", self.dir, POLKITD],
                             f"{self.dir}/polkitd.log", clean_environment(DBUS_SYSTEM_BUS_ADDRESS=self.address))
        self.daemon.wait_ready(self._on_the_bus, "org.freedesktop.PolicyKit1 on the bus")
        return self

    def _on_the_bus(self):
        return "boolean true" in run(["dbus-send", f"--bus={self.address}", "--print-reply", "--dest=org.freedesktop.DBus", "/",
                                      "org.freedesktop.DBus.NameHasOwner", "string:org.freedesktop.PolicyKit1"], check=False).stdout

    def stop(self):
        for daemon in (self.daemon, self.bus):
            if daemon is not None:
                daemon.stop()


class SecludedLibvirtd(Libvirtd):
    """A libvirtd whose calls may all be tried: in a network of its own, and with a /sys that cannot be written to."""

    seeds = {}
    extra = ""
    passwd = ""

    def _configuration(self, extra=""):
        return super()._configuration(extra + self.extra)

    def _system(self):
        command, environment = super()._system()
        seclude = 'mount -o remount,bind,ro /sys; [ -z "$1" ] || mount --bind "$1" /etc/passwd; shift; exec "$@"'
        return ["unshare", "-m", "-n", "--propagation", "private", "sh", "-ec", seclude, "sh", self.passwd] + command, environment

    def seed(self):
        """Nothing: what there is, is defined by who uses it."""


class PolkitLibvirtd(SecludedLibvirtd):
    extra = 'access_drivers = [ "polkit" ]\n'

    def __init__(self, scratch, polkit, name="libvirtd-polkit", cache=None):
        super().__init__(scratch, name, cache)
        self.polkit = polkit
        self.passwd = polkit.passwd

    def _system(self):
        command, environment = super()._system()
        return command, dict(environment, DBUS_SYSTEM_BUS_ADDRESS=self.polkit.address)
