"""Clients that break the rules of the RPC, byte by byte."""
import ssl
import struct

import pytest

from rawrpc import (ADMIN, AUTH_LIST, AUTH_SASL_INIT, AUTH_SASL_START, CALL, CALL_WITH_FDS, CONNECT_GET_LIB_VERSION, CONNECT_LIST_ALL_DOMAINS,
                    CONNECT_OPEN, CONNECT_SET_IDENTITY, CONTINUE, DOMAIN_CREATE, DOMAIN_LOOKUP_BY_NAME, ERROR, EVENT, KEEPALIVE, LARGEST,
                    LOCK, LOG, LXC, OK, QEMU, REMOTE, REPLY, STREAM, STREAM_HOLE, RawClient, domain, optional_string, string)


@pytest.fixture
def pki(authority):
    return f"{authority.clients}/alice"


@pytest.fixture
def client(gateway, pki, libvirtd):
    """Connected as alice, test:///default opened."""
    with RawClient.tls(gateway.ports["tls"], pki) as made:
        reply = made.open(libvirtd.test_uri)
        assert reply.status == OK, reply
        yield made


def still_works(client):
    return client.call(CONNECT_GET_LIB_VERSION).status == OK


# ---- opening ----

@pytest.mark.parametrize("uri", ["qemu:///session", "test:///default/", "test:///default?x=1", "TEST:///default", "test:///etc/passwd",
                                 "qemu+ssh://elsewhere/system", "qemu+ext:///system?command=/bin/true", "qemu+unix:///system?socket=/tmp/x",
                                 "esx://host/", "", None])
def test_I31_connect_open_takes_only_allowed_uris(gateway, pki, uri):
    with RawClient.tls(gateway.ports["tls"], pki) as made:
        reply = made.open(uri)
        assert reply.status == ERROR, f"{uri!r} was opened"


def test_I31_unknown_flags_of_connect_open_are_refused(gateway, pki, libvirtd):
    with RawClient.tls(gateway.ports["tls"], pki) as made:
        made.call(AUTH_LIST)
        try:
            reply = made.call(CONNECT_OPEN, optional_string(libvirtd.test_uri) + struct.pack("!I", 0x80))
            assert reply.status == ERROR
        except EOFError:
            pass


def test_I31_second_connect_open_is_refused(client, libvirtd):
    try:
        reply = client.call(CONNECT_OPEN, optional_string(libvirtd.test_uri) + struct.pack("!I", 0))
        assert reply.status == ERROR
    except EOFError:
        pass


def test_call_before_connect_open_is_refused(gateway, pki):
    with RawClient.tls(gateway.ports["tls"], pki) as made:
        made.call(AUTH_LIST)
        try:
            assert made.call(CONNECT_LIST_ALL_DOMAINS, struct.pack("!iI", 1, 0)).status == ERROR
        except EOFError:
            pass


# ---- before authentication ----

@pytest.mark.parametrize("procedure,body", [
    (CONNECT_OPEN, optional_string("test:///default") + struct.pack("!I", 0)),
    (CONNECT_GET_LIB_VERSION, b""),
    (DOMAIN_LOOKUP_BY_NAME, string("web-1")),
], ids=["open", "version", "lookup"])
def test_I2_calls_before_authentication_close(sasl_gateway, pki, procedure, body):
    with RawClient.tls(sasl_gateway.ports["tls"], pki) as made:
        made.send(procedure, body)
        assert made.closed()


def test_I2_auth_list_and_ping_are_answered_before_authentication(sasl_gateway, pki):
    with RawClient.tls(sasl_gateway.ports["tls"], pki) as made:
        made.ping()
        pong = made.receive()
        assert (pong.program, pong.procedure, pong.type) == (KEEPALIVE, 2, EVENT)
        reply = made.call(AUTH_LIST)
        assert reply.status == OK and reply.body == struct.pack("!Ii", 1, 1)     # one type: SASL


def test_I8_anonymous_and_external_are_not_offered(sasl_gateway, pki):
    with RawClient.tls(sasl_gateway.ports["tls"], pki) as made:
        reply = made.call(AUTH_SASL_INIT)
        assert reply.status == OK
        length, = struct.unpack("!I", reply.body[:4])
        offered = reply.body[4:4 + length].decode().upper().replace(",", " ").split()
        assert "SCRAM-SHA-256" in offered
        assert not {"ANONYMOUS", "EXTERNAL"} & set(offered)


@pytest.mark.parametrize("mechanism", ["ANONYMOUS", "EXTERNAL", "LOGIN", "x" * 300, ""], ids=["ANONYMOUS", "EXTERNAL", "LOGIN", "long", "empty"])
def test_I8_mechanism_that_was_not_offered_is_refused(sasl_gateway, pki, mechanism):
    with RawClient.tls(sasl_gateway.ports["tls"], pki) as made:
        made.call(AUTH_SASL_INIT)
        try:
            reply = made.call(AUTH_SASL_START, string(mechanism) + struct.pack("!i", 1) + string("alice"))
            assert reply.status == ERROR
        except EOFError:
            return
        made.send(CONNECT_OPEN, optional_string("test:///default") + struct.pack("!I", 0))
        assert made.closed()


@pytest.mark.parametrize("length", [0, 4, 27, 1 << 20, LARGEST + 4, 0xFFFFFFFF])
def test_I13_impossible_lengths_close_before_authentication(sasl_gateway, pki, length):
    with RawClient.tls(sasl_gateway.ports["tls"], pki) as made:
        made.send_bytes(struct.pack("!IIIiiIi", length, REMOTE, 1, AUTH_LIST, CALL, 1, OK))
        assert made.closed()


@pytest.mark.plain
def test_I13_nobody_who_is_not_known_yet_costs_memory(sasl_gateway, pki):
    def claim(length):
        with RawClient.tls(sasl_gateway.ports["tls"], pki) as made:
            made.send_bytes(struct.pack("!IIIiiIi", length, REMOTE, 1, AUTH_LIST, CALL, 1, OK))
            assert made.closed()
    claim(LARGEST)
    before = sasl_gateway.memory_kib("front")
    for length in (1 << 20, LARGEST, LARGEST + 4, 0xFFFFFFFF):
        claim(length)
    assert sasl_gateway.memory_kib("front") - before < 4096


def test_I8_plain_tcp_offers_no_plain_password(gssapi_gateway):
    with RawClient.tcp(gssapi_gateway.ports["tcp"]) as made:
        reply = made.call(AUTH_SASL_INIT)
        assert reply.status == OK
        length, = struct.unpack("!I", reply.body[:4])
        assert reply.body[4:4 + length].decode().upper().split(",") == ["GSSAPI"]


def test_plain_tcp_without_authentication_is_closed(gssapi_gateway):
    with RawClient.tcp(gssapi_gateway.ports["tcp"]) as made:
        made.send(CONNECT_OPEN, optional_string("test:///default") + struct.pack("!I", 0))
        assert made.closed()


# ---- framing ----

@pytest.mark.parametrize("length", [0, 4, 27, LARGEST + 4, 0x7FFFFFFF, 0xFFFFFFFF])
def test_I13_impossible_lengths_close(client, length):
    client.send_bytes(struct.pack("!IIIiiIi", length, REMOTE, 1, CONNECT_GET_LIB_VERSION, CALL, 99, OK))
    assert client.closed()


@pytest.mark.plain
def test_I13_memory_grows_with_what_came_not_with_the_claim(own_gateway, pki, libvirtd):
    gateway = own_gateway(front_processes=1)
    clients = []
    try:
        for _ in range(3):
            made = RawClient.tls(gateway.ports["tls"], pki)
            made.open(libvirtd.test_uri)
            clients.append(made)
        before = gateway.memory_kib("front", "gate")
        for made in clients:
            made.send_bytes(struct.pack("!IIIiiIi", LARGEST, REMOTE, 1, DOMAIN_LOOKUP_BY_NAME, CALL, 99, OK))
        with RawClient.tls(gateway.ports["tls"], pki) as other:
            assert other.open(libvirtd.test_uri).status == OK
            assert gateway.memory_kib("front", "gate") - before < 8192
    finally:
        for made in clients:
            made.close()


@pytest.mark.parametrize("kind,status", [(REPLY, OK), (EVENT, OK), (CALL_WITH_FDS, OK), (5, OK), (7, OK), (-1, OK), (CALL, ERROR),
                                         (CALL, CONTINUE)])
def test_I15_types_and_status_that_no_client_sends_close(client, kind, status):
    try:
        client.send(CONNECT_GET_LIB_VERSION, kind=kind, status=status, serial=7)
        message = client.receive()
    except EOFError:
        return
    assert kind == CALL_WITH_FDS and message.status == ERROR, f"{message} instead of a closed connection"


def test_I15_serial_in_flight_is_not_reused(client):
    """Two calls in one write with one serial: the second is not carried out as a call of its own."""
    message = struct.pack("!IIIiiIi", 28, REMOTE, 1, CONNECT_GET_LIB_VERSION, CALL, 50, OK)
    client.send_bytes(message * 2)
    replies = 0
    try:
        client.send(CONNECT_GET_LIB_VERSION, serial=51)
        while True:
            reply = client.receive()
            if reply.serial == 50 and reply.status == OK:
                replies += 1
            if reply.serial == 51:
                break
    except EOFError:
        pass
    assert replies <= 2


@pytest.mark.parametrize("body", [string("web-1") + b"\0\0\0\0", struct.pack("!I", 5) + b"web-1\0\0\1", struct.pack("!I", 0xFFFFFFFF),
                                  struct.pack("!I", 4194304) + b"web-", string("web-1")[:-4], b"", string("web\0-1")],
                         ids=["trailing", "padding", "negative", "over-limit", "cut", "empty", "nul"])
def test_I19_arguments_that_do_not_add_up_are_refused(client, body):
    try:
        reply = client.call(DOMAIN_LOOKUP_BY_NAME, body)
        assert reply.status == ERROR, "was carried out"
    except EOFError:
        pass


def test_I19_boolean_that_is_neither_0_nor_1_is_refused(gateway, pki):
    with RawClient.tls(gateway.ports["tls"], pki) as made:
        made.call(AUTH_LIST)
        try:
            reply = made.call(CONNECT_OPEN, struct.pack("!I", 2) + string("test:///default") + struct.pack("!I", 0))
            assert reply.status == ERROR
        except EOFError:
            pass


# ---- programs and procedures ----

@pytest.mark.parametrize("program,version", [(LXC, 1), (ADMIN, 1), (LOCK, 1), (LOG, 1), (0x12345678, 1), (REMOTE, 2), (REMOTE, 0), (QEMU, 9)])
def test_I14_other_programs_and_versions_are_refused(client, program, version):
    reply = client.call(1, program=program, version=version)
    assert (reply.status, reply.code) == (ERROR, 39)
    assert still_works(client)


@pytest.mark.parametrize("procedure", [0, -1, 460, 5000, 0x7FFFFFFF])
def test_I23_unknown_procedures_are_refused(client, procedure):
    reply = client.call(procedure)
    assert (reply.status, reply.code) == (ERROR, 39)
    assert still_works(client)


def test_I32_set_identity_is_refused(client, gateway):
    reply = client.call(CONNECT_SET_IDENTITY, struct.pack("!II", 0, 0))
    assert (reply.status, reply.code) == (ERROR, 39)
    assert still_works(client)
    assert gateway.wait_audit(event="session.refused_program")


def test_I10_authentication_after_success_is_refused(client):
    try:
        reply = client.call(AUTH_SASL_INIT)
        assert reply.status == ERROR
    except EOFError:
        pass


# ---- streams ----

@pytest.mark.parametrize("kind,status,body", [(STREAM, CONTINUE, b"x" * 100), (STREAM, OK, b""), (STREAM, ERROR, b""),
                                              (STREAM_HOLE, CONTINUE, struct.pack("!qI", 1 << 20, 0))],
                         ids=["data", "finish", "abort", "hole"])
def test_I16_stream_packets_without_a_stream_reach_nobody(client, kind, status, body):
    try:
        client.send(208, body, kind=kind, status=status, serial=77)
        assert still_works(client)
    except EOFError:
        pass


# ---- slow and many ----

def test_I80_one_byte_at_a_time(gateway, pki, libvirtd):
    with RawClient.tls(gateway.ports["tls"], pki) as made:
        made.open(libvirtd.test_uri)
        message = struct.pack("!IIIiiIi", 28 + 12, REMOTE, 1, DOMAIN_LOOKUP_BY_NAME, CALL, 9, OK) + string("web-1")
        for offset in range(len(message)):
            made.send_bytes(message[offset:offset + 1])
        assert made.reply_to(9).status == OK


def test_many_calls_in_one_write_are_all_answered(client):
    """More than max_client_requests at once: some wait, none is lost."""
    serials = range(1000, 1200)
    client.send_bytes(b"".join(struct.pack("!IIIiiIi", 28, REMOTE, 1, CONNECT_GET_LIB_VERSION, CALL, serial, OK) for serial in serials))
    assert {client.receive().serial for _ in serials} == set(serials)


def test_I22_ping_is_answered(client):
    client.ping()
    pong = client.receive()
    assert (pong.program, pong.procedure, pong.type, pong.status) == (KEEPALIVE, 2, EVENT, OK)


def test_oldest_unauthenticated_connection_gives_way(own_gateway, sasl_users, pki):
    gateway = own_gateway(sasl=sasl_users, auth_tls="sasl", max_anonymous_clients=5, front_processes=1)
    waiting = [RawClient.tls(gateway.ports["tls"], pki) for _ in range(5)]
    try:
        assert waiting[0].call(AUTH_LIST).status == OK
        newest = RawClient.tls(gateway.ports["tls"], pki)
        waiting.append(newest)
        assert newest.call(AUTH_LIST).status == OK
        assert waiting[0].closed()
        assert waiting[4].call(AUTH_LIST).status == OK
    finally:
        for made in waiting:
            made.close()


def test_login_has_a_time_limit(own_gateway, sasl_users, pki):
    """It runs from the first byte of the handshake on, which a busy machine may not even end in time."""
    gateway = own_gateway(sasl=sasl_users, auth_tls="sasl", auth_timeout=1)
    try:
        with RawClient.tls(gateway.ports["tls"], pki) as made:
            assert made.closed()
    except (ConnectionError, ssl.SSLError) as error:
        assert not isinstance(error, TimeoutError)
    with RawClient.tcp(gateway.ports["tls"]) as silent:
        assert silent.closed()


# ---- TLS ----

def test_I7_old_tls_is_refused(gateway, pki):
    with pytest.raises((ssl.SSLError, ConnectionError)):
        RawClient.tls(gateway.ports["tls"], pki, version=ssl.TLSVersion.TLSv1_1)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_both_tls_versions_serve(gateway, pki, libvirtd, version):
    with RawClient.tls(gateway.ports["tls"], pki, version=version) as made:
        assert made.open(libvirtd.test_uri).status == OK


def test_I5_no_session_can_be_resumed(gateway, pki, libvirtd):
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        with RawClient.tls(gateway.ports["tls"], pki, version=version) as made:
            made.open(libvirtd.test_uri)
            session = made.stream.session
            assert session is None or not session.has_ticket


def test_I1_no_certificate_no_service(gateway, authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(authority.ca_cert)
    import socket
    with pytest.raises((ssl.SSLError, ConnectionError, EOFError)):
        with context.wrap_socket(socket.create_connection(("127.0.0.1", gateway.ports["tls"])), server_hostname="localhost") as stream:
            if stream.recv(1) != b"\1":
                raise EOFError
    assert not gateway.audit(event="session.login", user__x509=None, user__name=None)


def test_operator_cannot_create_by_uuid_of_another(client, libvirtd):
    reply = client.call(DOMAIN_CREATE, domain("db-1", libvirtd.seeds["db-1"][0]))
    assert (reply.status, reply.code) == (ERROR, 88)
    assert libvirtd.state("db-1") == "shut off"
