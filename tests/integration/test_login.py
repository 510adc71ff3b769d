"""Who gets in, who does not, and what both are told."""
import os

import pytest

from conftest import TOP
from lab.gateway import find_build
from lab.pki import VirtgateAuthority
from lab.process import Scratch
from rawrpc import OK, RawClient


def refused_by_tls(port, pkipath):
    """True when the connection ends before the server's byte 1."""
    try:
        RawClient.tls(port, pkipath).close()
    except (OSError, EOFError):
        return True
    return False


def test_stranger_is_refused(gateway, stranger):
    result = gateway.virsh("alice", "list", pki=stranger)
    assert result.returncode != 0
    assert refused_by_tls(gateway.ports["tls"], stranger)


def test_refused_client_learns_it_and_lives(gateway, stranger):
    """Closed at once, the connection would be reset, and virsh killed by SIGPIPE before it can say anything."""
    for _ in range(20):
        result = gateway.virsh("alice", "list", pki=stranger)
        assert result.returncode == 1, result
        assert "error: failed to connect to the hypervisor" in result.stderr


def test_who_has_no_binding_learns_it(gateway):
    result = gateway.virsh("mallory", "list")
    assert result.returncode == 1 and "access denied: 'connect:getattr' on this host" in result.stderr


@pytest.mark.parametrize("why", ["expired", "server-use", "no-certificate"])
def test_I3_certificate_is_refused(gateway, authority, why):
    if why == "expired":
        directory = authority.client("late", days=-1)
    elif why == "server-use":
        directory = authority.client("wrong-use", usage="serverAuth")
    else:
        directory = "/nonexistent"
    if why != "no-certificate":
        assert refused_by_tls(gateway.ports["tls"], directory)
    assert gateway.virsh("late", "list", pki=directory).returncode != 0


def test_I3_revoked_and_missing_crl(own_gateway, scratch, libvirtd, authority):
    with Scratch() as place:
        other = VirtgateAuthority(find_build(TOP), place("pki"))
        other.server()
        good, bad = other.client("alice"), other.client("gone")
        crl = other.revoke("gone")
        gateway = own_gateway(ca_file=other.ca_cert, cert_file=other.server_cert, key_file=other.server_key,
                              crl_file=crl)
        assert refused_by_tls(gateway.ports["tls"], bad)
        with RawClient.tls(gateway.ports["tls"], good) as client:
            assert client.open(libvirtd.test_uri).status == OK
        os.unlink(crl)
        gateway.daemon.signal(1)
        # with the file gone the reload is refused, or everybody is: nobody unchecked gets in
        gateway.wait_audit(event="gateway.reload")
        assert refused_by_tls(gateway.ports["tls"], bad)


def test_allow_list_of_names(own_gateway, authority):
    gateway = own_gateway(tls_allowed_dn_list=["CN=alice,*", "CN=nobody"])
    assert gateway.virsh("alice", "list").returncode == 0
    result = gateway.virsh("bob", "list")
    assert result.returncode != 0
    assert refused_by_tls(gateway.ports["tls"], f"{authority.clients}/bob")


def test_wrong_password(sasl_gateway, sasl_users):
    result = sasl_gateway.virsh("alice", "list", authfile=sasl_users.authfile("alice", "wrong"))
    assert result.returncode != 0
    assert "authentication failed" in result.stderr
    assert sasl_gateway.wait_audit(event="session.login", code="VG1102W")


def test_user_who_does_not_exist_is_told_the_same(sasl_gateway, sasl_users):
    wrong = sasl_gateway.virsh("alice", "list", authfile=sasl_users.authfile("alice", "wrong"))
    nobody = sasl_gateway.virsh("alice", "list", authfile=sasl_users.authfile("nosuch", "wrong"))
    assert nobody.returncode != 0 and nobody.stderr == wrong.stderr


def test_I8_password_of_another_person_than_the_certificate(sasl_gateway, sasl_users):
    """alice's certificate with bob's password is neither alice nor bob."""
    result = sasl_gateway.virsh("alice", "list", authfile=sasl_users.authfile("bob"))
    assert result.returncode != 0
    assert "authentication failed" in result.stderr


def test_I9_other_case_or_realm_is_another_person(sasl_gateway, sasl_users):
    for name in ("Alice", "alice@elsewhere", "ALICE", "alice "):
        result = sasl_gateway.virsh("alice", "list", authfile=sasl_users.authfile(name, sasl_users.passwords["alice"]))
        assert result.returncode != 0, name


def test_both_proofs_are_in_the_identity(sasl_gateway):
    assert sasl_gateway.virsh("alice", "list").returncode == 0
    user = sasl_gateway.wait_audit(event="session.login", code="VG1101I")[-1]["user"]
    assert user["sasl"].split("@")[0] == "alice"
    assert user["mech"] == "SCRAM-SHA-256"
    assert user["x509"] == "CN=alice,O=Lab"
    assert len(user["x509_sha256"]) == 64


def test_gssapi_identity(gssapi_gateway):
    before = len(gssapi_gateway.audit(event="session.login", code="VG1101I"))
    assert gssapi_gateway.virsh("alice", "list", via="tcp").returncode == 0
    record = gssapi_gateway.wait_audit(before + 1, event="session.login", code="VG1101I")[-1]
    assert record["user"]["mech"] == "GSSAPI"
    assert record["user"]["sasl"].split("@")[0] == "alice"
    assert record["source"]["via"] == "rpc-tcp"


def test_gssapi_without_a_ticket(gssapi_gateway):
    assert gssapi_gateway.virsh("mallory", "list", via="tcp").returncode != 0


def test_login_and_logout_are_on_record(gateway):
    before = len(gateway.audit(event="session.logout"))
    assert gateway.virsh("alice", "list").returncode == 0
    logout = gateway.wait_audit(before + 1, event="session.logout")[-1]
    login = gateway.audit(event="session.login", session=logout["session"])
    assert [record["code"] for record in login] == ["VG1101I"]
    assert login[0]["source"]["address"] == "127.0.0.1"
    assert login[0]["user"]["x509"] == "CN=alice,O=Lab"
