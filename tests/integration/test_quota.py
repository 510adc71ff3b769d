"""Quotas of a tenant: what his guests and volumes may have together, on the test driver."""
import uuid

import pytest

from lab.process import wait_until

WHO = {name: [f"x509-cn:{name}"] for name in ("alice", "bob", "admin")}
POLICY = {
    "version": 1,
    "sets": {"webs": {"domain": ["web-q*"], "storage_pool": ["quota"]}},
    "bindings": [
        {"id": "hers", "who": WHO["alice"], "role": "vm-admin", "on": ["set:webs", "domain:free-*"]},
        {"id": "his", "who": WHO["bob"], "role": "vm-admin", "on": ["set:webs"]},
        {"id": "all", "who": WHO["admin"], "role": "admin", "on": ["*"]},
    ],
    "quotas": [
        {"id": "webs", "on": ["set:webs"], "max_guests": 5, "max_vcpus": 12, "max_memory_mib": 1024, "max_disk_mib": 100, "except": WHO["admin"]},
        {"id": "soon", "on": ["domain:web-q*"], "max_guests": 1, "mode": "audit", "who": WHO["bob"]},
    ],
}


def document(name, vcpus=1, memory=64, more=""):
    identity = f"<uuid>{uuid.uuid5(uuid.NAMESPACE_DNS, name)}</uuid>" if name != "NAME" else ""
    return (f"<domain type='test'><name>{name}</name>{identity}<memory unit='MiB'>{memory}</memory><vcpu>{vcpus}</vcpu><os><type>hvm</type></os>{more}"
            "<devices/></domain>")


@pytest.fixture(scope="module")
def quotas(make_gateway):
    return make_gateway("quotas", policy=POLICY)


@pytest.fixture
def define(quotas, scratch, libvirtd):
    """Defines as somebody; what is there of the tenant is gone before and after."""
    def clean():
        for name in libvirtd.virsh("list", "--all", "--name").stdout.split():
            if name.startswith(("web-q", "free-")):
                libvirtd.virsh("destroy", name, check=False)
                libvirtd.virsh("undefine", name, check=False)

    def run(who, name, verb="define", **more):
        return quotas.virsh(who, verb, scratch.write(f"{name}.xml", document(name, **more)))
    clean()
    yield run
    clean()


def refused(done, *texts):
    assert done.returncode != 0, done.stdout
    for text in ("access denied", *texts):
        assert text in done.stderr, done.stderr


def allowed(done):
    assert done.returncode == 0, done.stderr


AT_ONCE = """
import threading
connections = [connect() for _ in range(20)]
gate = threading.Barrier(20)
outcomes = []
def define(i):
    gate.wait()
    try:
        connections[i].defineXML(sys.argv[2].replace("NAME", "web-q%d" % i))
        outcomes.append("ok")
    except libvirt.libvirtError as error:
        outcomes.append((error.get_error_code(), error.get_error_message()))
threads = [threading.Thread(target=define, args=(i,)) for i in range(20)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
answer(outcomes)
"""


@pytest.mark.parametrize("bound, vcpus", (("guests", 1), ("processors", 2)))
def test_of_many_at_once_exactly_those_that_fit(quotas, define, libvirtd, bound, vcpus):
    """Twenty defines at the same time where five guests fit, or six by their processors."""
    if bound == "processors":       # one that is there already takes two of twelve
        allowed(define("alice", "web-qfirst", vcpus=4))
    outcomes = quotas.python("alice", AT_ONCE, document("NAME", vcpus=vcpus))
    fit = 5 if bound == "guests" else 4
    assert outcomes.count("ok") == fit, outcomes
    for code, text in (outcome for outcome in outcomes if outcome != "ok"):
        assert code == 88 and "quota 'webs': " in text and "are asked for" in text
    there = [name for name in libvirtd.virsh("list", "--all", "--name").stdout.split() if name.startswith("web-q")]
    assert len(there) == 5


def test_a_refusal_says_what_is_asked_used_and_the_limit(quotas, define):
    allowed(define("alice", "web-q1", vcpus=8, memory=512))
    refused(define("alice", "web-q2", vcpus=5), "quota 'webs': 5 processors more are asked for, 8 are used, the limit is 12")
    refused(define("alice", "web-q2", memory=513), "525312 KiB of memory more are asked for, 524288 are used, the limit is 1048576")
    allowed(define("alice", "web-q2", vcpus=4, memory=512))
    refused(define("alice", "web-q1", vcpus=9, memory=512), "1 processors more")
    allowed(define("alice", "web-q1", vcpus=1, memory=256))         # less is always allowed, and gives back
    allowed(define("alice", "web-q3", vcpus=7, memory=256))
    record = quotas.wait_audit(call="domain_define_xml", decision__rule="quota-vcpus", result__status="denied")[-1]
    assert record["admission"][0]["row"] == "webs"


def test_by_calls_of_their_own_renames_and_what_runs(quotas, define, libvirtd):
    allowed(define("alice", "web-q1", vcpus=8, memory=512))
    refused(quotas.virsh("alice", "setvcpus", "web-q1", "13", "--config", "--maximum"), "5 processors more are asked for, 8 are used")
    refused(quotas.virsh("alice", "setmaxmem", "web-q1", "1025M", "--config"), "quota 'webs'")
    allowed(define("alice", "free-1", vcpus=5))
    refused(quotas.virsh("alice", "domrename", "free-1", "web-q9"), "5 processors more are asked for")
    # one that only runs counts too, and what somebody defines beside the gateway
    refused(define("alice", "web-q2", "create", vcpus=5), "5 processors more are asked for")
    allowed(define("alice", "web-q2", "create", vcpus=4))
    refused(define("alice", "web-q3"), "1 processors more are asked for, 12 are used")
    libvirtd.virsh("destroy", "web-q2")
    allowed(define("alice", "web-q3"))


def test_a_snapshot_does_not_bring_back_what_was_given_back(quotas, define, scratch, libvirtd):
    allowed(define("alice", "web-q1", vcpus=8))
    allowed(quotas.virsh("alice", "snapshot-create-as", "web-q1", "large"))
    try:
        allowed(define("alice", "web-q1", vcpus=1))
        allowed(define("alice", "web-q2", vcpus=8))
        refused(quotas.virsh("alice", "snapshot-revert", "web-q1", "large"), "7 processors more are asked for, 9 are used, the limit is 12")
    finally:
        libvirtd.virsh("snapshot-delete", "web-q1", "large")


RUN_ON = """
import threading
running = [connect().lookupByName("web-q%d" % i) for i in range(5)]
connections = [connect() for _ in range(6)]
over = threading.Event()
def undefine():
    for domain in running:
        domain.undefine()
        time.sleep(0.1)
    over.set()
def define(i):
    n = 0
    while not over.is_set():
        n += 1
        fail(connections[i].defineXML, sys.argv[2].replace("NAME", "web-qm%d-%d" % (i, n)))
threads = [threading.Thread(target=undefine)] + [threading.Thread(target=define, args=(i,)) for i in range(6)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
answer(sorted(domain.name() for domain in connect().listAllDomains() if domain.name().startswith("web-q")))
"""


def test_a_guest_that_runs_on_without_a_definition_counts_all_the_time(quotas, define, libvirtd):
    """Its event says that it is gone; whether it is, libvirtd is asked, and nothing is decided before the answer."""
    for i in range(5):
        allowed(define("alice", f"web-q{i}"))
        libvirtd.virsh("start", f"web-q{i}")
    assert quotas.python("alice", RUN_ON, document("NAME")) == [f"web-q{i}" for i in range(5)]
    libvirtd.virsh("destroy", "web-q0")
    allowed(define("alice", "web-q7"))


def test_who_is_excepted_and_who_is_only_watched(quotas, define):
    for i in range(5):
        allowed(define("admin", f"web-q{i}"))
    refused(define("alice", "web-q5"), "1 guests more are asked for, 5 are used, the limit is 5")
    allowed(define("admin", "web-q5"))
    refused(define("bob", "web-q6"), "6 are used, the limit is 5")
    record = quotas.wait_audit(call="domain_define_xml", user__x509="CN=bob,O=Lab", result__status="denied")[-1]
    assert [(note["row"], note["mode"]) for note in record["admission"]] == [("webs", "enforce"), ("soon", "audit")]


@pytest.fixture
def pool(libvirtd, tmp_path):
    libvirtd.virsh("pool-define-as", "quota", "dir", "--target", str(tmp_path))
    libvirtd.virsh("pool-start", "quota")
    yield
    for line in libvirtd.virsh("vol-list", "quota").stdout.splitlines()[2:]:
        if line.strip():
            libvirtd.virsh("vol-delete", line.split()[0], "quota")
    libvirtd.virsh("pool-destroy", "quota")
    libvirtd.virsh("pool-undefine", "quota")


def test_volumes_count_by_what_they_may_grow_to(quotas, pool, scratch):
    allowed(quotas.virsh("alice", "vol-create-as", "quota", "a", "60M", "--allocation", "0"))
    refused(quotas.virsh("alice", "vol-create-as", "quota", "b", "41M"), "quota 'webs': 41984 KiB of disk more are asked for, 61440 are used, the limit is 102400")
    allowed(quotas.virsh("alice", "vol-create-as", "quota", "b", "40M"))
    refused(quotas.virsh("alice", "vol-create-as", "quota", "c", "1K"), "102400 are used")
    allowed(quotas.virsh("admin", "vol-create-as", "quota", "c", "10M"))
    # what says no amount cannot be counted beforehand: nothing for her, libvirt's own business for others
    unsaid = scratch.write("unsaid.xml", "<volume><name>u</name></volume>")
    refused(quotas.virsh("alice", "vol-create", "quota", unsaid), "a quota cannot count it: line 1: the volume's capacity is not said; <capacity unit='GiB'>")
    assert "quota cannot" not in quotas.virsh("admin", "vol-create", "quota", unsaid).stderr
    allowed(quotas.virsh("alice", "vol-delete", "a", "quota"))
    allowed(quotas.virsh("alice", "vol-create-as", "quota", "d", "50M"))


def test_a_new_gate_counts_what_is_there(quotas, define):
    for i in range(5):
        allowed(define("alice", f"web-q{i}", vcpus=2))
    before = quotas.children("gate")
    quotas.kill_child("gate", 9)
    quotas.wait_child("gate", other_than=before)
    wait_until(lambda: quotas.virsh("alice", "list").returncode == 0, "service after the gate was replaced")
    refused(define("alice", "web-q7"), "1 guests more are asked for, 5 are used")
    refused(quotas.virsh("alice", "setvcpus", "web-q1", "5", "--config", "--maximum"), "3 processors more are asked for, 10 are used")
