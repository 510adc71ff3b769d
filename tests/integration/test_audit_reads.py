"""What the trail is told of calls that only read is the policy's to say, class by class."""
import copy

from conftest import policy_with_realms

LOOK = """
c = connect()
c.lookupByName("web-1").info()
fail(c.lookupByName, "no-such-guest")
c.listAllNetworks()
answer(0)
"""


def reads(gateway, **more):
    return gateway.audit(stage="event", user__name="CN=alice,O=Lab", **more)


def policy(levels):
    return {**copy.deepcopy(policy_with_realms()), "audit": {"reads": levels}}


def test_reads_are_recorded_as_the_policy_says_and_from_a_reload_on(own_gateway, libvirtd):
    gateway = own_gateway()
    assert gateway.python("alice", LOOK) == 0
    assert gateway.wait_audit(event="session.logout")
    assert not gateway.audit(call="domain_get_info")
    gateway.write_policy(policy({"domain": "metadata", "network": "full"}))
    gateway.reload()
    changes = gateway.wait_audit(event="gateway.policy")[-1]["changes"]
    assert "of reads of class domain the trail is told: metadata; before: denied" in changes
    assert gateway.python("alice", LOOK) == 0
    listed, = gateway.wait_audit(call="connect_list_all_networks")      # what was asked last
    info, = reads(gateway, call="domain_get_info")
    assert info["stage"] == "event" and info["code"].endswith("I") and info["result"]["status"] == "ok" and "args" not in info
    assert info["object"]["uuid"] == libvirtd.seeds["web-1"][0] and info["decision"]["binding"] == "webops-on-web"
    assert info["user"]["name"] == "CN=alice,O=Lab" and info["duration_us"] > 0
    found, missing = reads(gateway, call="domain_lookup_by_name")
    assert found["result"]["status"] == "ok" and missing["result"]["status"] == "error" and missing["result"]["code"] == 42
    assert missing["object"]["name"] == "no-such-guest"
    assert listed["args"] == {"need_results": 1, "flags": 0}
    assert not gateway.audit(call="connect_get_lib_version"), "of another class"
    assert gateway.audit_verify().returncode == 0


def test_hidden_objects_are_told_as_missing(own_gateway):
    gateway = own_gateway(policy=policy({"*": "full"}))
    assert gateway.python("alice", "answer(fail(connect().lookupByName, 'hr-1')['code'])") == 42
    record, = gateway.wait_audit(call="domain_lookup_by_name")
    assert record["result"]["status"] == "error" and record["result"]["code"] == 42 and record["args"] == {"name": "hr-1"}


def test_refused_reads_can_be_left_out_and_changes_cannot(own_gateway, web1_off):
    """Refusing stays what it is; it only has no record, and says so by naming no decision."""
    narrow = policy({"*": "none"})
    narrow["roles"] = {"sees": {"allow": ["domain:getattr"]}}
    next(binding for binding in narrow["bindings"] if binding["id"] == "webops-see-db")["role"] = "sees"
    gateway = own_gateway(policy=narrow)
    code = """
        d = connect().lookupByName("db-1")
        answer([fail(d.info)["message"], fail(d.create)["message"]])
        """
    read, change = gateway.python("alice", code)
    assert "access denied" in read and "decision" not in read
    assert "access denied" in change and "decision" in change
    denied = gateway.wait_audit(result__status="denied")
    assert [record["call"] for record in denied] == ["domain_create"]
    assert gateway.virsh("alice", "start", "web-1").returncode == 0
    assert gateway.wait_audit(call="domain_create", stage="outcome", result__status="ok")
