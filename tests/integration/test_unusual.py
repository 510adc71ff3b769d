"""What is unusual without being wrong by itself has records of its own, of level W."""
import copy
import datetime

from attack import attacker
from conftest import policy_with_realms


def look_ups(gateway, user, names):
    """One session for each: who is counted is the person. By raw clients, which are done with all of them in the minute that is counted together."""
    for name in names:
        with attacker(gateway, user, gateway.libvirtd.test_uri) as client:
            assert client.do("domain_lookup_by_name", name=name).code in (0, 42)


def test_asking_for_what_one_does_not_see_in_series_is_on_record(own_gateway, libvirtd):
    gateway = own_gateway()
    guesses = ["hr-1", "hr-2", "secret", "payroll", "ceo", "hr-3", "hr-4", "hr-5", "hr-6"]
    look_ups(gateway, "alice", guesses)
    look_ups(gateway, "alice", ["web-1", "web-99", "db-1"])      # what she sees, and would see were it there
    look_ups(gateway, "admin", guesses + guesses)                # he would see all of them
    assert not gateway.audit(event="session.hidden_series")
    look_ups(gateway, "alice", ["hr-1"])
    record, = gateway.wait_audit(event="session.hidden_series")
    assert record["code"] == "VG1204W" and record["user"]["name"] == "CN=alice,O=Lab" and record["call"] == "domain_lookup_by_name"
    assert record["connection"]["uri"] == libvirtd.test_uri and record["result"]["status"] == "denied"
    assert "10 requests" in record["result"]["message"] and "no domain with matching name 'hr-1'" in record["result"]["message"]
    look_ups(gateway, "alice", guesses)
    assert gateway.virsh("admin", "list").returncode == 0
    assert len(gateway.audit(event="session.hidden_series")) == 1, "once in a while is enough"


def test_handles_of_hidden_objects_count_too(own_gateway, libvirtd):
    gateway = own_gateway()
    codes = gateway.python("alice", """
        c = connect()
        answer([fail(c.lookupByUUIDString, sys.argv[2])["code"] for _ in range(10)])
        """, libvirtd.seeds["hr-1"][0])
    assert codes == [42] * 10
    assert "matching uuid" in gateway.wait_audit(event="session.hidden_series")[0]["result"]["message"]


def other_day():
    """Hours that are none of these, whatever the clock says."""
    return (datetime.datetime.now() + datetime.timedelta(days=3)).strftime("%a") + " 00:00-24:00"


def test_access_outside_hours_is_on_record(own_gateway, web1_off):
    policy = copy.deepcopy(policy_with_realms())
    hours = other_day()
    operator = next(binding for binding in policy["bindings"] if binding["id"] == "webops-on-web")
    operator["when"] = {"hours": hours}
    policy["bindings"].append({"id": "webops-see-web", "who": ["group:webops"], "role": "viewer", "on": ["set:web"]})
    gateway = own_gateway(policy=policy)
    refused = gateway.virsh("alice", "start", "web-1")
    assert refused.returncode != 0 and "domain:start" in refused.stderr
    record, = gateway.wait_audit(event="session.outside_hours")
    assert record["code"] == "VG1205W" and record["decision"]["binding"] == "webops-on-web" and record["decision"]["permissions"] == ["domain:start"]
    assert record["object"]["name"] == "web-1" and hours in record["result"]["message"]
    assert gateway.audit(op=record["of"])[0]["call"] == "domain_create"
    # what is never granted is no matter of hours, and what is denied by another binding neither
    assert gateway.virsh("bob", "start", "web-1").returncode != 0
    assert gateway.virsh("admin", "list").returncode == 0
    assert len(gateway.audit(event="session.outside_hours")) == 1


def test_coming_outside_hours_is_on_record(own_gateway):
    policy = copy.deepcopy(policy_with_realms())
    policy["bindings"] = [{**binding, "when": {"hours": other_day()}} if "group:webops" in binding["who"] else binding for binding in policy["bindings"]]
    gateway = own_gateway(policy=policy)
    assert gateway.virsh("alice", "list").returncode != 0
    record, = gateway.wait_audit(event="session.outside_hours")
    assert record["decision"]["permissions"] == ["connect:getattr"] and record["user"]["name"] == "CN=alice,O=Lab"
