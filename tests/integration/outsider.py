"""What somebody on the host does without the gateway: objects of five kinds, and what the gateway notes of them."""
import contextlib
import os
import signal
import sqlite3

from lab.process import alive, children_of, wait_until

UUID = "6695eb01-f6a4-8304-79aa-97f25050%04d"
DEFINE = {
    "domain": ("define", "undefine", "<domain type='qemu'><name>%s</name><uuid>%s</uuid><memory unit='KiB'>%d</memory><os><type>hvm</type></os></domain>"),
    "network": ("net-define", "net-undefine", "<network><name>%s</name><uuid>%s</uuid><bridge name='vgaw%d'/></network>"),
    "storage_pool": ("pool-define", "pool-undefine", "<pool type='dir'><name>%s</name><uuid>%s</uuid><target><path>/nowhere/%d</path></target></pool>"),
    "nwfilter": ("nwfilter-define", "nwfilter-undefine", "<filter name='%s' chain='root' priority='%d'><uuid>%s</uuid></filter>"),
    "secret": ("secret-define", "secret-undefine", "<secret ephemeral='no' private='yes'><uuid>%s</uuid><description>%d</description>"
               "<usage type='volume'><volume>/nowhere/%s</volume></usage></secret>"),
}
WORLD = "SELECT compared FROM world"


def name_of(kind, number):
    return UUID % number if kind == "secret" else f"away-{kind}-{number}"


def define(own, scratch, kind, number, value):
    """Number `number` of a kind; another `value` is another definition."""
    name, uuid = name_of(kind, number), UUID % number
    value = value * 1024 if kind == "domain" else value * 10 + number       # what bridges and directories must not share
    words = {"secret": (uuid, value, uuid), "nwfilter": (name, value, uuid)}.get(kind, (name, uuid, value))
    own.virsh(DEFINE[kind][0], scratch.write(f"away-{kind}-{number}-{value}.xml", DEFINE[kind][2] % words), uri=own.qemu_uri)


def undefine(own, kind, number):
    own.virsh(DEFINE[kind][1], name_of(kind, number), uri=own.qemu_uri)


def kept(gateway, question):
    path = f"{gateway.dir}/state/audit-index/census.db"
    if not os.path.exists(path):
        return []
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=20)) as database:
        try:
            return database.execute(question).fetchall()
        except sqlite3.DatabaseError:
            return []


def kill_all(gateway):
    pids = [gateway.daemon.pid] + children_of(gateway.daemon.pid)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    gateway.daemon.process.wait()
    wait_until(lambda: not any(alive(pid) for pid in pids), "the end of all of it")
    gateway.daemon = None
