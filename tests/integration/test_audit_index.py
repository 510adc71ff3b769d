"""The audit reader keeps an index of the trail while the gateway works, and the command line finds by it what is there without it."""
import json
import os
import signal

from lab.process import wait_until


def index_of(gateway):
    return f"{gateway.dir}/state/audit-index/index.db"


def search(gateway, *arguments):
    """Standard output and error of `virtgate audit search` with the gateway's own settings."""
    result = gateway.virtgate("audit", "search", "--config", f"{gateway.dir}/virtgated.conf", *arguments)
    return result.stdout, result.stderr


def has_index(gateway):
    """The index goes as far as the trail did a moment ago."""
    stat = os.stat(index_of(gateway)) if os.path.exists(index_of(gateway)) else None
    return stat is not None and stat.st_size > 0 and "the index is not used" not in search(gateway, "--limit", "1")[1]


def test_search_by_the_index_is_search_without_it(own_gateway, web1_off):
    gateway = own_gateway()
    assert gateway.virsh("alice", "start", "web-1").returncode == 0
    assert gateway.virsh("alice", "start", "db-1").returncode != 0
    wait_until(lambda: has_index(gateway), "an index")
    assert gateway.virsh("alice", "destroy", "web-1").returncode == 0
    gateway.wait_audit(len(gateway.settings["allowed_uris"]), event="inventory.taken")
    gateway.wait_audit(3, event="session.logout")     # from here on nothing is added
    for filters in (["--user", "x509:CN=alice*"], ["--object", "domain:web-1"], ["--result", "denied"], ["--limit", "3"], ["--event", "domain.*"],
                    ["--json", "--object", "web-1"]):
        found, errors = search(gateway, *filters)
        assert (found, errors) == search(gateway, *filters, "--no-index"), filters
        assert found, filters
    assert oct(os.stat(index_of(gateway)).st_mode & 0o777) == "0o600"
    assert oct(os.stat(os.path.dirname(index_of(gateway))).st_mode & 0o777) == "0o700"
    summary = json.loads(gateway.virtgate("audit", "summary", "--json", "--config", f"{gateway.dir}/virtgated.conf", "--by", "object").stdout)
    web1, = [row for row in summary if row["name"] == "domain:web-1"]
    assert web1["changes"] == 2 and web1["refused"] == 0


def test_an_index_that_is_wrong_is_made_anew(own_gateway, web1_off):
    gateway = own_gateway()
    assert gateway.virsh("alice", "start", "web-1").returncode == 0
    wait_until(lambda: has_index(gateway), "an index")
    before = gateway.children("reade")      # as much of the name as the kernel keeps
    assert len(before) == 1
    gateway.daemon.signal(signal.SIGSTOP)   # so that the next one does not begin with what is still right
    gateway.kill_child("reade")
    with open(index_of(gateway), "r+b") as file:
        file.write(b"this is no database")
    gateway.daemon.signal(signal.SIGCONT)
    gateway.wait_child("reade", other_than=before)
    wait_until(lambda: "the index of the trail is made anew" in gateway.log(), "the word that it is made anew")
    wait_until(lambda: has_index(gateway), "the index")
    assert gateway.wait_audit(code="VG1003E")
    # nobody else noticed
    assert gateway.virsh("alice", "destroy", "web-1").returncode == 0
    assert gateway.audit_verify().returncode == 0
