"""Secrets that people send are in nothing that the gateway writes: trail, documents, index, state, log, copies; nor any digest of them."""
import base64
import copy
import hashlib
import os
import re

import pytest

from conftest import GUEST, policy_with_realms
from test_sinks import Collector, delivered

# VNC passwords have eight characters. None is part of another.
SECRETS = {"vnc": "plant-v1", "agent": "plant-a2", "user": "plant-u3", "monitor": "plant-m4", "value": "plant-s5", "native": "plant-n6", "hmp": "plant-h7",
           "env": "plant-e8", "argument": "plant-a9", "oem": "plant-o0"}
NAMESPACE = "http://libvirt.org/schemas/domain/qemu/1.0"
SECRET_UUID = "6695eb01-f6a4-8304-79aa-97f250400031"

SEND = """
import libvirt_qemu
xml, value, agent, user, monitor, native, hmp = sys.argv[2:]
c = connect()
d = c.defineXML(xml)
fail(d.setUserPassword, "root", user, 0)
fail(libvirt_qemu.qemuAgentCommand, d, json.dumps({"execute": "guest-set-user-password", "arguments": {"username": "root", "password": agent}}), 1, 0)
fail(libvirt_qemu.qemuMonitorCommand, d, json.dumps({"execute": "set_password", "arguments": {"protocol": "vnc", "password": monitor}}), 0)
fail(libvirt_qemu.qemuMonitorCommand, d, "set_password vnc " + hmp, 1)
fail(c.domainXMLFromNative, "qemu-argv", "qemu-system-x86_64 -object secret,id=s,data=" + native, 0)
s = c.secretDefineXML("<secret ephemeral='no' private='yes'><uuid>%s</uuid><usage type='volume'><volume>/nowhere/p.img</volume></usage></secret>")
fail(s.setValue, value.encode(), 0)
s.undefine()
fail(d.sendKey, 0, 50, [25, 38, 30, 49, 20], 5, 0)
answer(0)
""" % SECRET_UUID


def written(gateway):
    for folder, _, names in os.walk(gateway.dir):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.isfile(path) and not name.endswith((".pem", ".json.in")):
                with open(path, "rb") as file:
                    yield path, file.read()


def forms(secret):
    raw = secret.encode()
    for text in (raw, base64.b64encode(raw).rstrip(b"="), raw.hex().encode(), raw.hex().upper().encode(), hashlib.sha256(raw).digest(),
                 hashlib.sha256(raw).hexdigest().encode(), hashlib.sha1(raw).hexdigest().encode(), hashlib.md5(raw).hexdigest().encode()):
        yield text


def test_I61_planted_secrets_are_in_nothing_written(own_gateway, libvirtd, guests, scratch):
    if libvirtd.qemu_uri != guests:
        pytest.skip("no QEMU guests here")
    policy = copy.deepcopy(policy_with_realms())
    policy["roles"] = {"raw": {"include": ["admin"], "allow": ["domain:monitor", "domain:agent"]}}
    policy["bindings"][0]["role"] = "raw"
    policy["audit"] = {"reads": {"*": "full"}}
    place = scratch.directory("planted-dev", mode=0o755)
    collector = Collector(f"{place}/log")
    collector.start()
    gateway = own_gateway(policy=policy, allowed_uris=[libvirtd.test_uri, guests], audit_sinks=[f"syslog:{place}/log"], log_level=1,
                          log_outputs=["1:stderr"])
    plain = libvirtd.virsh("dumpxml", "--inactive", GUEST, uri=guests).stdout
    guarded = re.sub(r"<graphics type='vnc'[^>]*>", f"<graphics type='vnc' port='-1' autoport='yes' passwd='{SECRETS['vnc']}'>", plain)
    guarded = guarded.replace("</domain>", f"""<sysinfo type='smbios'><oemStrings><entry>io.systemd.credential:a={SECRETS['oem']}</entry></oemStrings></sysinfo>
        <qemu:commandline xmlns:qemu='{NAMESPACE}'><qemu:arg value='-object'/><qemu:arg value='secret,id=s0,data={SECRETS['argument']}'/>
        <qemu:env name='A' value='{SECRETS['env']}'/></qemu:commandline></domain>""")
    assert all(SECRETS[name] in guarded for name in ("vnc", "oem", "argument", "env"))
    try:
        assert gateway.python("admin", SEND, guarded, *(SECRETS[name] for name in ("value", "agent", "user", "monitor", "native", "hmp")),
                              uri=guests) == 0
        # with its passwords, by somebody who may: what he reads is nobody else's
        shown = gateway.virsh("admin", "dumpxml", "--security-info", "--inactive", GUEST, uri=guests)
        assert all(SECRETS[name] in shown.stdout for name in ("vnc", "oem", "argument", "env"))
    finally:
        libvirtd.virsh("define", scratch.write("planted-restored.xml", plain), uri=guests)
    calls = {record.get("call") for record in gateway.wait_audit(call="domain_send_key") and gateway.audit()}
    assert {"domain_define_xml", "domain_set_user_password", "domain_agent_command", "domain_monitor_command", "connect_domain_xml_from_native",
            "secret_set_value", "domain_send_key", "domain_get_xml_desc"} <= calls, calls
    key = gateway.audit(call="domain_send_key")[0]
    assert key["args"]["keycodes_num"] == 5
    assert '"guest-set-user-password"' in gateway.audit(call="domain_agent_command")[0]["args"]["cmd"]
    delivered(gateway, collector.has)
    # a digest of the whole document would let its password be guessed: the rest of it is known
    asked = re.sub(rb"<\?xml.*?\?>", b"", guarded.encode())
    digests = [hashlib.sha256(text).hexdigest().encode() for text in (guarded.encode(), asked, guarded.strip().encode())]
    places = dict(written(gateway)) | {"collector": b"\n".join(collector.messages)}
    assert any(path.endswith(".jsonl") for path in places) and any(path.endswith("log") for path in places)
    for path, content in places.items():
        for digest in digests:
            assert digest not in content, path
        for name, secret in SECRETS.items():
            for form in forms(secret):
                assert form not in content, f"{name} as {form!r} in {path}"
    collector.stop()
