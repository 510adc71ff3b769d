"""Viewers without TLS: SASL with a security layer of its own (GSSAPI, by the lab's Kerberos), and nothing weaker."""
import struct

import pytest

from conftest import policy_with_realms
from lab.desktop import have
from lab.gateway import SaslUsers
from lab.process import LabError
from lab.sasl import LayeredSocket, SaslClient
from lab.vnc import Refused, Viewer
from screens import GUEST, PASSWORDS, with_consoles
from test_viewers import desktop, expect_screen_and_typing, expect_session, port_of, screen  # noqa: F401 (fixtures)
from test_vnc import free_range


@pytest.fixture(scope="module")
def users(scratch, kdc):
    return SaslUsers(scratch, name="sasl-kerberos-vnc", passwords=PASSWORDS, mechanisms="gssapi scram-sha-256 plain", keytab=kdc.keytab)


@pytest.fixture(scope="module")
def make(make_gateway, kdc, users, serial):
    def make_one(name, **more):
        return make_gateway(name, policy=with_consoles(policy_with_realms()), sasl=users, listen_vnc=True, auth_vnc="sasl",
                            vnc_ports=free_range(8), environment={"KRB5_CONFIG": f"{kdc.dir}/krb5.conf"}, **more)
    return make_one


@pytest.fixture(scope="module")
def gateway(make):
    """Only SASL: gtk-vnc takes VeNCrypt where it is offered."""
    return make("vnc-kerberos", vnc_security=["sasl"])


@pytest.fixture
def person(kdc, monkeypatch):
    """person("alice"): whose tickets this process has."""
    def become(user):
        for name, value in kdc.tickets(user).items():
            monkeypatch.setenv(name, value)
    return become


def choose(gateway):
    """Up to the list of mechanisms."""
    one = Viewer(port_of(gateway))
    one.version()
    assert one.security_types() == [20]
    one.send(b"\x14")
    return one


def negotiate(one, most=256, behind=b""):
    """The exchange; `behind` is sent with its last message. Returns the client's side of the layer."""
    client = SaslClient("vnc", "localhost", most)
    mechanism, data = client.start(",".join(one.mechanisms()))
    answer, complete = one.sasl_start(mechanism, data)
    while not complete:
        data = client.step(answer)
        sent = one.send
        if client.done and behind:
            one.send = lambda message: sent(message + behind)
        answer, complete = one.sasl_data(data)
        one.send = sent
    return client


def enter(gateway):
    one = choose(gateway)
    client = negotiate(one)
    assert client.strength() >= 112
    one.result()                # SecurityResult is in the clear
    one.socket = LayeredSocket(one.socket, client)
    one.send(b"\1")             # ClientInit is not, nor what follows
    one.size = struct.unpack("!HH", one.read(4))
    one.read(16)
    one.name = one.text()
    return one


def test_screen_inside_the_layer(gateway, person, serial):
    person("alice")
    with enter(gateway) as one:
        assert GUEST in one.name
        one.encodings(0)
        for _ in range(3):      # more than one packet of the layer holds
            one.request()
            assert one.update() == one.size[0] * one.size[1]
    record = gateway.wait_audit(event="console.open", args__mode="input")[-1]
    assert record["user"]["sasl"].split("@")[0] == "alice" and record["user"]["mech"] == "GSSAPI", record["user"]
    assert record["source"]["via"] == "vnc"


@pytest.mark.skipif(not have("gvncviewer"), reason="gvncviewer, Xvfb or xdotool is missing, or this is not root")
def test_gvncviewer_by_kerberos(gateway, kdc, desktop, scratch, screen, serial):  # noqa: F811
    home = scratch.directory("home-kerberos")
    log, tickets = f"{home}/log", [f"{name}={value}" for name, value in kdc.tickets("alice").items()]
    desktop.start(["env", *tickets, "gvncviewer", f"localhost:{port_of(gateway) - 5900}"], home, log)
    expect_screen_and_typing(desktop, gateway, screen, serial, log, "gvncviewer-kerberos")
    expect_session(gateway, mode="input")


def test_only_mechanisms_with_a_layer(gateway, serial):
    """SCRAM and PLAIN are there under TLS, and not here: they protect nothing that follows."""
    with choose(gateway) as one:
        assert one.mechanisms() == ["GSSAPI"]
    for mechanism, data in (("SCRAM-SHA-256", b"n,,n=alice,r=x"), ("PLAIN", b"\0alice\0word"), ("ANONYMOUS", b""), ("EXTERNAL", b"alice")):
        with choose(gateway) as one:
            one.mechanisms()
            assert one.sasl_start(mechanism, data) == (b"", True)
            with pytest.raises(Refused, match="^authentication failed$"):
                one.result()
    assert gateway.wait_audit(code="VG1102W", result__message="SASL mechanism not offered")


def test_weaker_layers_are_refused(gateway, person, serial):
    """Integrity alone, or nothing: the client may ask for less than it could have."""
    person("alice")
    for most in (0, 1, 56):
        with choose(gateway) as one:
            with pytest.raises((LabError, Refused, EOFError)):
                negotiate(one, most)
                one.result()


def test_clear_text_behind_the_last_message_is_not_the_sessions(gateway, person, serial):
    person("alice")
    before, failed = len(gateway.audit(event="console.open")), len(gateway.audit(code="VG1102W", user__mech="GSSAPI"))
    with choose(gateway) as one:
        negotiate(one, behind=b"\1")
        with pytest.raises((Refused, EOFError)):
            one.result()
    gateway.wait_audit(failed + 1, code="VG1102W", user__mech="GSSAPI")
    assert len(gateway.audit(event="console.open")) == before


def test_what_does_not_decode_ends_it(gateway, person, serial):
    person("alice")
    one = choose(gateway)
    negotiate(one)
    one.result()
    one.send(b"\1")             # ClientInit in the clear
    one.send(b"\0" * 64)
    assert one.ended()


def test_refusal_is_in_the_clear(gateway, person, serial):
    """bob may see no screen; he learns no more than who gave a wrong password, in words that a viewer can read."""
    person("bob")
    with choose(gateway) as one:
        negotiate(one)
        with pytest.raises(Refused, match="access denied"):
            one.result()
        assert one.ended()


def test_beside_vencrypt_and_only_where_a_port_names_the_guest(make, serial):
    gateway = make("vnc-both", vnc_security=["vencrypt", "sasl"], vnc_port="0")
    with Viewer(port_of(gateway)) as one:
        one.version()
        assert one.security_types() == [19, 20]
    with Viewer(gateway.ports["vnc"]) as one:
        one.version()
        assert one.security_types() == [19]
        one.send(b"\x14")
        with pytest.raises(Refused):
            one.result()


def test_vnc_port_without_a_way_in_says_so(gateway, serial):
    with Viewer(gateway.ports["vnc"]) as one, pytest.raises(Refused, match="port of the guest"):
        one.version().security_types()
