"""SIGHUP: what is new holds within a second, what is broken changes nothing, and nobody is dropped."""
import copy
import json

from conftest import policy_with_realms
from lab.process import wait_until

KEEPS_STARTING = """
d = connect().lookupByName("web-2")
for line in sys.stdin:
    result = fail(d.create)
    if result["code"] == 0:
        d.destroy()
    answer([result["code"], d.name(), d.isActive()])
"""


def ask(process):
    print("?", file=process.stdin, flush=True)
    return json.loads(process.stdout.readline())


def test_I11_right_that_was_taken_away_ends_in_a_live_session(own_gateway):
    gateway = own_gateway()
    client = gateway.popen_python("alice", KEEPS_STARTING)
    try:
        assert ask(client)[0] == 0
        narrower = copy.deepcopy(policy_with_realms())
        narrower["bindings"][1]["role"] = "viewer"
        gateway.write_policy(narrower)
        gateway.reload()
        wait_until(lambda: ask(client)[0] == 88, "the refusal", 1.0)
        gateway.write_policy(policy_with_realms())
        gateway.reload()
        wait_until(lambda: ask(client)[0] == 0, "the right to be back", 2.0)
    finally:
        client.kill()
        client.communicate()


def test_I82_broken_policy_changes_nothing_and_is_explained(own_gateway):
    gateway = own_gateway()
    client = gateway.popen_python("alice", KEEPS_STARTING)
    try:
        assert ask(client)[0] == 0
        gateway.write_policy(json.dumps(policy_with_realms(), indent=2).replace('"bindings"', '"bindngs"'))
        gateway.reload(expect="VG1005E")
        assert ask(client)[0] == 0
        assert gateway.virsh("alice", "list").returncode == 0
        assert "policy.json:" in gateway.log() and "bindings" in gateway.log()
    finally:
        client.kill()
        client.communicate()


def test_I82_broken_settings_change_nothing(own_gateway):
    gateway = own_gateway()
    gateway.write_settings(max_clientz=7)
    gateway.reload(expect="VG1005E")
    assert gateway.virsh("alice", "list").returncode == 0
    assert "virtgated.conf:" in gateway.log() and "max_clients" in gateway.log()


def test_new_certificate_without_dropping_anyone(own_gateway, authority, scratch):
    from lab.pki import SERVER_NAMES
    import ssl
    import socket
    directory = scratch.directory("renewed")
    authority.issue(f"{directory}/server", "/O=Lab/CN=localhost", "serverAuth", SERVER_NAMES)
    gateway = own_gateway()

    def shown():
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(authority.ca_cert)
        pki = f"{authority.clients}/alice"
        context.load_cert_chain(f"{pki}/clientcert.pem", f"{pki}/clientkey.pem")
        with context.wrap_socket(socket.create_connection(("127.0.0.1", gateway.ports["tls"])), server_hostname="localhost") as stream:
            return stream.getpeercert()["serialNumber"]
    client = gateway.popen_python("alice", KEEPS_STARTING)
    try:
        assert ask(client)[0] == 0
        old = shown()
        gateway.write_settings(cert_file=f"{directory}/servercert.pem", key_file=f"{directory}/serverkey.pem")
        gateway.reload()
        wait_until(lambda: shown() != old, "the new certificate", 2.0)
        assert ask(client)[0] == 0
    finally:
        client.kill()
        client.communicate()


def test_I83_reloads_under_load_drop_nobody(own_gateway):
    gateway = own_gateway()
    client = gateway.popen_python("alice", """
        c = connect()
        count = 0
        def watch():
            sys.stdin.readline()
            answer(count)
            os._exit(0)
        c.getLibVersion()
        answer("ready")
        threading.Thread(target=watch, daemon=True).start()
        while True:
            c.getLibVersion()
            count += 1
        """)
    try:
        assert client.stdout.readline() == '"ready"\n'
        for _ in range(10):
            gateway.reload()
        output, errors = client.communicate("stop\n", timeout=30)
        assert client.returncode == 0, errors
        assert int(output) > 10
    finally:
        client.kill()
        client.communicate()
