"""SIGHUP: what is new holds when the record of the reload is there, what is broken changes nothing, and nobody is dropped."""
import copy
import datetime
import hashlib
import json
import os

import pytest

from conftest import policy_with_realms
from lab.pki import VirtgateAuthority
from lab.process import PATIENCE, wait_until

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
        assert ask(client)[0] == 88
        gateway.write_policy(policy_with_realms())
        gateway.reload()
        assert ask(client)[0] == 0
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
        wait_until(lambda: "policy.json:" in gateway.log() and "bindings" in gateway.log(), "the word in the log")
    finally:
        client.kill()
        client.communicate()


def test_I82_broken_settings_change_nothing(own_gateway):
    gateway = own_gateway()
    gateway.write_settings(max_clientz=7)
    gateway.reload(expect="VG1005E")
    assert gateway.virsh("alice", "list").returncode == 0
    wait_until(lambda: "virtgated.conf:" in gateway.log() and "max_clients" in gateway.log(), "the word in the log")


def digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def test_what_a_reload_changes_and_who_asked_is_on_record(own_gateway):
    gateway = own_gateway()
    config = f"{gateway.dir}/virtgated.conf"
    started, = gateway.wait_audit(event="gateway.start")
    assert started["files"]["policy_file"] == {"path": gateway.policy_file, "sha256": digest(gateway.policy_file)}
    assert started["files"]["settings"]["sha256"] == digest(config) and "key_file" not in started["files"]
    old = digest(gateway.policy_file)
    gateway.write_settings(max_clients=77, tls_allowed_dn_list=["*"])
    gateway.write_policy({**policy_with_realms(), "description": "another"})
    gateway.reload()
    record = gateway.wait_audit(event="gateway.reload", code="VG1004I")[-1]
    assert record["by"] == {"via": "signal", "uid": os.geteuid()}
    changed = {row["key"]: (row["was"], row["now"]) for row in record["settings"]}
    assert changed["max_clients"] == ("5000", "77") and changed["tls_allowed_dn_list"][1] == '["*"]' and len(changed) == 2, changed
    assert record["files"]["policy_file"] == {"path": gateway.policy_file, "was_sha256": old, "sha256": digest(gateway.policy_file)}
    assert set(record["files"]) == {"policy_file", "settings"}
    done = gateway.virtgate("--config", config, "reload")
    assert done.returncode == 0, done.stderr
    record = gateway.wait_audit(2, event="gateway.reload", code="VG1004I")[-1]
    assert record["by"] == {"via": "control", "uid": os.geteuid()} and "settings" not in record and "files" not in record
    gateway.stop()
    assert gateway.audit(event="gateway.stop")[0]["by"] == {"via": "signal", "uid": os.geteuid()}


def test_a_revoked_certificate_is_on_record_with_the_reload(own_gateway, build, scratch):
    """`virtgate pki revoke` changes a file; what takes it into force tells so."""
    authority = VirtgateAuthority(build, scratch.directory("revoked-pki"))
    authority.server()
    authority.client("eve")
    gateway = own_gateway(ca_file=authority.ca_cert, crl_file=authority.crl_file, cert_file=authority.server_cert, key_file=authority.server_key)
    before = digest(authority.crl_file)
    authority.revoke("eve")
    gateway.reload()
    files = gateway.wait_audit(event="gateway.reload", code="VG1004I")[-1]["files"]
    assert files["crl_file"]["was_sha256"] == before and files["crl_file"]["sha256"] == digest(gateway.settings["crl_file"])


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
        assert shown() != old
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
        output, errors = client.communicate("stop\n", timeout=PATIENCE)
        assert client.returncode == 0, errors
        assert int(output) > 10
    finally:
        client.kill()
        client.communicate()


# ---- what lasts longer than a call ----

STREAMS = """
import time
c = connect()
volume = c.storagePoolLookupByName("images").storageVolLookupByName({name!r})
stream = c.newStream(0)
{way}
answer("open")
sys.stdin.readline()
try:
    while True:
        {step}
except libvirt.libvirtError as error:
    answer(error.get_error_code())
try:
    answer(len(c.listAllDomains()) >= 0)      # the session goes on
except libvirt.libvirtError as error:
    answer(str(error))
"""
DOWN = {"way": "volume.download(stream, 0, 0, 0); stream.recv(4096)", "step": "assert stream.recv(65536) != b''"}
UP = {"way": "volume.upload(stream, 0, 0, 0); stream.send(bytes(4096))", "step": "stream.send(bytes(65536)); time.sleep(0.001)"}
MAY = {"version": 1, "roles": {"data": {"include": ["viewer"], "allow": ["storage_vol:data_*", "storage_pool:search_storage_vols"]}},
       "bindings": [{"id": "sees", "who": ["x509-cn:alice"], "role": "viewer", "on": ["*"]},
                    {"id": "streams", "who": ["x509-cn:alice"], "role": "data", "on": ["storage_pool:images"]}]}


@pytest.fixture
def big(libvirtd, pool, request):
    name = "big-" + "".join(c if c.isalnum() else "-" for c in request.node.name)[-30:]
    libvirtd.virsh("vol-create-as", "images", name, "2G", "--format", "raw", "--allocation", "0", uri=libvirtd.qemu_uri)
    yield name
    libvirtd.virsh("vol-delete", name, "images", uri=libvirtd.qemu_uri, check=False)


def told(process):
    return json.loads(process.stdout.readline())


@pytest.mark.parametrize("words,call", ((DOWN, "storage_vol_download"), (UP, "storage_vol_upload")), ids=("download", "upload"))
def test_I11_stream_is_cut_when_its_right_ends(own_gateway, libvirtd, big, words, call):
    """A reload takes the right away: the stream ends within a second, with an error that says so; the session does not."""
    gateway = own_gateway(policy=MAY)
    client = gateway.popen_python("alice", STREAMS.format(name=big, **words), uri=libvirtd.qemu_uri)
    try:
        assert told(client) == "open"
        gateway.write_policy({**MAY, "bindings": MAY["bindings"][:1]})
        gateway.reload()
        print("go", file=client.stdin, flush=True)
        assert told(client) == 88
        assert told(client) is True
        gateway.wait_audit(code="VG1105W", event="session.rights")
        if call == "storage_vol_upload":
            gateway.wait_audit(call=call, stage="outcome", result__status="denied")
    finally:
        client.kill()
        client.communicate()


def soon_over(gateway, number):
    """From the next reload on, the binding of that number ends in three seconds: who begins before that has the time that he needs."""
    soon = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=3)).strftime("%Y-%m-%dT%H:%M:%SZ")
    policy = copy.deepcopy(MAY)
    policy["bindings"][number]["when"] = {"until": soon}
    policy["bindings"] = policy["bindings"][:number + 1]
    gateway.write_policy(policy)
    gateway.reload()


def test_I11_binding_that_ends_narrows_without_a_reload(own_gateway, libvirtd, big):
    """`until` passes while nothing else happens: the stream is cut, and the trail tells which binding is gone."""
    gateway = own_gateway(policy=MAY)
    client = gateway.popen_python("alice", STREAMS.format(name=big, **DOWN), uri=libvirtd.qemu_uri)
    try:
        assert told(client) == "open"
        soon_over(gateway, 1)
        record = gateway.wait_audit(code="VG1105W", event="session.rights")[0]
        assert record["result"]["message"] == "bindings in force: sees; before: sees, streams", record
        print("go", file=client.stdin, flush=True)
        assert told(client) == 88
    finally:
        client.kill()
        client.communicate()


def test_I11_last_binding_that_ends_ends_the_session(own_gateway):
    gateway = own_gateway(policy={**MAY, "bindings": MAY["bindings"][:1]})
    client = gateway.popen_python("alice", "c = connect()\nanswer('open')\nsys.stdin.readline()")
    try:
        assert told(client) == "open"
        soon_over(gateway, 0)
        gateway.wait_audit(event="session.logout", result__message="rights revoked")
    finally:
        client.kill()
        client.communicate()


def test_I21_limits_of_one_user_are_his_alone(own_gateway):
    """Sessions over the limit are told which; another user is not affected."""
    gateway = own_gateway(max_user_sessions=3)
    clients = [gateway.popen_python("alice", "c = connect()\nanswer('open')\nsys.stdin.readline()") for _ in range(3)]
    try:
        assert [told(client) for client in clients] == ["open"] * 3
        done = gateway.virsh("alice", "list")
        assert done.returncode != 0 and "3 is the limit (max_user_sessions)" in done.stderr, done.stderr
        gateway.wait_audit(code="VG1106W", event="session.limit")
        assert gateway.virsh("bob", "list").returncode == 0
        print("go", file=clients[0].stdin, flush=True)
        clients[0].wait()
        wait_until(lambda: gateway.virsh("alice", "list").returncode == 0, "room for one more")
    finally:
        for client in clients:
            client.kill()
            client.communicate()
