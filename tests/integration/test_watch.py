"""A policy in permissive mode as a whole: nothing is refused but what never is softened, everything is on record."""
import json

from conftest import policy_with_realms
from lab.process import wait_until


def watching():
    return {**policy_with_realms(), "mode": "permissive"}


def status(gateway):
    found = gateway.virtgate("--config", f"{gateway.dir}/virtgated.conf", "--json", "status")
    assert found.returncode == 0, found.stderr
    return json.loads(found.stdout)


def test_watching_gateway_lets_through_and_records(own_gateway, libvirtd):
    gateway = own_gateway(policy=watching())
    started = gateway.virsh("alice", "start", "db-1")
    try:
        assert started.returncode == 0, started.stderr
        assert libvirtd.state("db-1") == "running"
        stopped = gateway.virsh("alice", "destroy", "db-1")
        assert stopped.returncode == 0, stopped.stderr
    finally:
        libvirtd.virsh("destroy", "db-1", check=False)
    for stage in ("intent", "outcome"):
        decision = gateway.wait_audit(call="domain_create", stage=stage)[0]["decision"]
        assert decision == {"verdict": "would-deny", "permissions": ["domain:start"], "binding": None, "rule": None, "failed": "domain:start"}
    counted = status(gateway)
    assert counted["mode"] == "permissive" and counted["refused_calls"] == 0
    assert counted["would_refuse_calls"] >= 2 and counted["would_denials"] >= 2


def test_watching_gateway_shows_what_it_would_hide_and_records_that(own_gateway):
    gateway = own_gateway(policy=watching())
    shown = gateway.virsh("alice", "dominfo", "hr-1")
    assert shown.returncode == 0, shown.stderr
    looked_up = gateway.wait_audit(call="domain_lookup_by_name", decision__verdict="would-deny")[0]
    assert looked_up["object"]["name"] == "hr-1" and looked_up["decision"]["failed"] == "domain:getattr"
    assert looked_up["args"] == {"name": "hr-1"} and looked_up["stage"] == "event"
    read = gateway.wait_audit(call="domain_get_info", decision__verdict="would-deny")[0]
    assert {"domain:getattr", "domain:read"} == {lack["permission"] for lack in read["decision"]["lacked"]}
    names = set(gateway.virsh("alice", "list", "--all", "--name").stdout.split())
    assert {"hr-1", "web-1", "db-1"} <= names
    listed = gateway.wait_audit(call="connect_list_all_domains", decision__verdict="would-deny")[0]
    assert listed["decision"]["would_hide"] == len([name for name in names if not name.startswith(("web-", "db-"))])
    assert listed["object"] == {"class": "domain"}
    # what he may see anyway leaves no trace
    assert not gateway.audit(call="domain_lookup_by_name", object__name="web-1")
    gateway.virsh("bob", "list", "--all")
    gateway.virsh("alice", "dominfo", "web-1")
    assert len(gateway.audit(call="connect_list_all_domains")) == 1
    assert not gateway.audit(object__name="web-1", decision__verdict="would-deny")


def test_watching_gateway_lets_people_in_of_whom_the_policy_says_nothing(own_gateway):
    gateway = own_gateway(policy=watching())
    assert "web-1" in gateway.virsh("mallory", "list", "--all").stdout
    opened = gateway.wait_audit(call="connect_open", decision__verdict="would-deny")[0]
    assert opened["decision"]["failed"] == "connect:getattr" and opened["user"]["name"] == "CN=mallory,O=Lab"


def test_watching_gateway_still_refuses_what_is_never_softened(own_gateway):
    gateway = own_gateway(policy=watching())
    for user in ("alice", "mallory"):
        raw = gateway.virsh(user, "qemu-monitor-command", "web-1", "--hmp", "info status")
        assert raw.returncode != 0 and "access denied: 'domain:monitor'" in raw.stderr, raw.stderr
    assert gateway.wait_audit(call="domain_monitor_command", decision__verdict="deny")[0]["decision"]["failed"] == "domain:monitor"


def test_everybody_is_told_that_the_gateway_only_watches_and_a_reload_ends_it(own_gateway):
    gateway = own_gateway(policy=watching())
    config = ("--config", f"{gateway.dir}/virtgated.conf")
    client = gateway.popen_python("alice", """
        d = connect().lookupByName("db-1")
        for line in sys.stdin:
            result = fail(d.create)
            if result["code"] == 0:
                d.destroy()
            answer(result)
        """)
    def ask():
        print("?", file=client.stdin, flush=True)
        return json.loads(client.stdout.readline())
    try:
        assert ask()["code"] == 0
        wait_until(lambda: "THE GATEWAY ONLY WATCHES" in gateway.log(), "the warning at the start")
        assert "ONLY WATCHES" in gateway.virtgate(*config, "status").stdout
        sessions = gateway.virtgate(*config, "session", "list")
        assert "ONLY WATCHES" in sessions.stderr and "alice" in sessions.stdout
        assert json.loads(gateway.virtgate(*config, "--json", "session", "list").stdout)["mode"] == "permissive"
        assert "ONLY WATCHES" in gateway.virtgate(*config, "policy", "check").stderr
        gateway.write_policy(policy_with_realms())
        gateway.reload()
        refused = ask()
        assert refused["code"] == 88 and "domain:start" in refused["message"]
        assert status(gateway)["mode"] == "enforce" and status(gateway)["refused_calls"] >= 1
        assert gateway.virtgate(*config, "session", "list").stderr == ""
        gateway.write_policy(watching())
        gateway.reload()
        wait_until(lambda: gateway.log().count("ONLY WATCHES") == 2, "the warning at the reload")
    finally:
        client.kill()
        client.communicate()


def test_refusal_can_be_explained_by_its_id(own_gateway):
    gateway = own_gateway()
    config = ("--config", f"{gateway.dir}/virtgated.conf")
    refused = gateway.virsh("alice", "start", "db-1").stderr
    decision = refused.partition("(decision ")[2].partition(")")[0]
    gateway.wait_audit(op=decision)
    said = gateway.virtgate(*config, "policy", "explain", "--decision", decision)
    assert said.returncode == 1, said.stderr
    for words in ("x509:CN=alice,O=Lab", "from 127.0.0.1", "virDomainCreate (domain_create)", "domain:start on domain:db-1",
                  "webops-on-web: it is not on domain 'db-1'", "webops-see-db: its role 'viewer' does not allow domain:start",
                  "no: no binding allows it"):
        assert words in said.stdout, said.stdout
    assert "ANOTHER NOW" not in said.stdout
    policy = policy_with_realms()
    policy["bindings"] = policy["bindings"] + [
        {"id": "alice-starts-db", "who": ["group:webops"], "role": "operator", "on": ["domain:db-*"]}]
    gateway.write_policy(policy)
    said = gateway.virtgate(*config, "policy", "explain", "--decision", decision)
    assert said.returncode == 0
    assert "yes: binding 'alice-starts-db'\nTHE VERDICT IS ANOTHER NOW: then deny, today allow" in said.stdout, said.stdout
    found = json.loads(gateway.virtgate(*config, "--json", "policy", "explain", "--decision", decision).stdout)
    assert found["changed"] and found["record"]["op"] == decision
    assert [(one["permission"], one["object"], one["binding"]) for one in found["permissions"]] == [("domain:start", "domain:db-1", "alice-starts-db")]


def test_document_that_the_rules_admit_is_no_would_be_refusal(own_gateway, libvirtd):
    policy = watching()
    policy["bindings"] = [{"id": "webops-manage-web", "who": ["group:webops"], "role": "vm-admin", "on": ["domain:web-*"]}]
    gateway = own_gateway(policy=policy)
    xml = "<domain type='test'><name>web-w</name><uuid>11111111-0000-4000-8000-0000000000ee</uuid><memory>1024</memory><os><type>hvm</type></os>{}</domain>"
    device = "<devices><hostdev mode='subsystem' type='pci'><source><address domain='0' bus='6' slot='2' function='0'/></source></hostdev></devices>"
    try:
        for text in (xml.format(""), xml.format(device)):
            done = gateway.python("alice", "answer(fail(connect().defineXML, sys.argv[2]))", text)
            assert done["code"] == 0, done
        admitted, refused = (record["decision"] for record in gateway.wait_audit(2, call="domain_define_xml", stage="intent"))
        assert admitted["verdict"] == "allow" and "failed" not in admitted, admitted
        assert refused["verdict"] == "would-deny" and refused["rule"] is not None, refused
        assert refused["on"]["every"] is True
    finally:
        libvirtd.virsh("undefine", "web-w", check=False)
