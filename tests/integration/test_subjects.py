"""Each kind of person and each condition that a policy can name, with real clients: he who is meant gets in, nobody else does."""
import datetime
import grp
import os
import pwd

import pytest

from lab.process import run, wait_until


def one(who, **when):
    """Only the person of this text may see anything."""
    return {"version": 1, "bindings": [{"id": "one", "who": [who], "role": "viewer", "on": ["*"], **({"when": when} if when else {})}]}


def may(gateway, user, **where):
    done = gateway.virsh(user, "list", "--all", "--name", **where)
    assert done.returncode == 0 or "access denied" in done.stderr, done.stderr
    return done.returncode == 0


def certificate(authority, user, *options):
    return run(["openssl", "x509", "-in", f"{authority.clients}/{user}/clientcert.pem", "-noout", *options]).stdout.strip()


@pytest.mark.parametrize("kind", ["x509", "x509-cn", "x509-sha256", "group", "anyone"])
def test_who_by_certificate(own_gateway, authority, kind):
    digest = certificate(authority, "alice", "-fingerprint", "-sha256").split("=", 1)[1]
    who = {"x509": "x509:*CN=alice*", "x509-cn": "x509-cn:alice", "x509-sha256": f"x509-sha256:{digest}", "group": "group:g", "anyone": "anyone"}[kind]
    policy = {**one(who), **({"groups": {"g": ["x509-cn:alice"]}} if kind == "group" else {})}
    gateway = own_gateway(policy=policy)
    assert may(gateway, "alice")
    assert may(gateway, "bob") == (kind == "anyone")


def test_who_by_alternative_name(own_gateway, authority, scratch):
    pki = authority.client("mail", days=30)
    authority.issue(f"{pki}/client", "/O=Lab/CN=mail", "clientAuth", "email:mail@lab.test")
    gateway = own_gateway(policy=one("x509-san:email:mail@lab.test"))
    assert may(gateway, "mail", pki=pki)
    assert not may(gateway, "alice")


def test_who_by_sasl(own_gateway, sasl_users):
    gateway = own_gateway(policy=one("sasl:alice*"), sasl=sasl_users, auth_tls="sasl")
    assert may(gateway, "alice")
    assert not may(gateway, "bob")


def test_who_by_local_account_and_group(own_gateway):
    me = pwd.getpwuid(os.geteuid()).pw_name
    group = grp.getgrgid(pwd.getpwuid(os.geteuid()).pw_gid).gr_name
    gateway = own_gateway(policy=one(f"unix:{me}"), listen_unix=True)
    assert may(gateway, me, via="unix")
    gateway.write_policy(one(f"unix-group:{group}"))
    gateway.reload()
    assert may(gateway, me, via="unix")
    assert gateway.wait_audit(event="session.login", user__unix=me)[0]["user"]["unix_groups"][0] == group
    can = gateway.virtgate("policy", "can", f"unix:{me}+unix-group:{group}", "domain:getattr", "domain:web-1", "--policy", gateway.policy_file)
    assert can.returncode == 0, can.stdout + can.stderr
    gateway.write_policy(one("unix-group:no-such-group"))
    gateway.reload()
    assert not may(gateway, me, via="unix")
    # a group counts by its proof: somebody with that name in his certificate is not in it
    gateway.write_policy(one("unix-group:alice"))
    gateway.reload()
    assert not may(gateway, "alice")


def test_conditions_end_to_end(own_gateway):
    now = datetime.datetime.now()
    soon, later = [(now + datetime.timedelta(hours=hours)).strftime("%H:%M") for hours in (3, 5)]
    before = (now - datetime.timedelta(hours=2)).strftime("%H:%M")
    gateway = own_gateway(policy=one("x509-cn:alice"))
    for when, wanted in (({"from": ["127.0.0.0/8", "::1"]}, True), ({"from": ["10.0.0.0/8", "2001:db8::/32"]}, False),
                         ({"proof": ["x509"]}, True), ({"proof": ["x509", "sasl"]}, False),
                         ({"hours": f"{before}-{soon}"}, True), ({"hours": f"{soon}-{later}"}, False),
                         ({"until": "2999-01-01T00:00:00Z"}, True), ({"until": "2020-01-01T00:00:00Z"}, False)):
        gateway.write_policy(one("x509-cn:alice", **when))
        gateway.reload()
        assert may(gateway, "alice") == wanted, when


def test_I82_reload_tells_who_gained_what(own_gateway):
    gateway = own_gateway(policy=one("x509-cn:alice"))
    gateway.write_policy(one("x509-cn:bob"))
    gateway.reload()
    changes = gateway.wait_audit(event="gateway.policy")[0]["changes"]
    assert any(line.startswith("x509-cn:bob gains ") for line in changes), changes
    assert any(line.startswith("x509-cn:alice loses ") for line in changes), changes
    wait_until(lambda: "x509-cn:bob gains " in gateway.log(), "the word in the log")
