"""The audit trail tells who did what, and tells when it was touched."""
import glob
import hashlib
import json
import os
import shutil
import struct
import zlib

import pytest


def change(gateway, user="alice", command="start", domain="web-1"):
    return gateway.virsh(user, command, domain)


def test_I58_change_has_intent_and_outcome(gateway, libvirtd, web1_off):
    assert change(gateway).returncode == 0
    outcome = gateway.wait_audit(stage="outcome", object__name="web-1", result__status="ok")[-1]
    intent, = gateway.audit(op=outcome["op"], stage="intent")
    assert intent["seq"] < outcome["seq"]
    assert intent["event"].startswith("domain.")
    assert intent["user"]["x509"] == "CN=alice,O=Lab"
    assert intent["object"]["uuid"] == libvirtd.seeds["web-1"][0]
    assert intent["decision"]["verdict"] == "allow"
    assert intent["decision"]["binding"] == "webops-on-web"
    assert "domain:start" in intent["decision"]["permissions"]
    assert intent["connection"]["uri"] == libvirtd.test_uri


def test_I59_denial_is_on_record(gateway):
    result = change(gateway, domain="db-1")
    assert result.returncode != 0
    decision = result.stderr.partition("(decision ")[2].partition(")")[0]
    record = gateway.wait_audit(op=decision)[0]
    assert record["result"]["status"] == "denied"
    assert record["decision"]["verdict"] == "deny"
    assert record["decision"]["permissions"] == ["domain:start"]
    assert record["object"]["name"] == "db-1"


def test_orderly_end_is_no_lost_backend(gateway):
    before = len(gateway.audit(event="session.logout"))
    assert gateway.virsh("alice", "list").returncode == 0
    session = gateway.wait_audit(before + 1, event="session.logout")[-1]["session"]
    assert not gateway.audit(event="backend.lost", session=session)


def test_failed_change_says_so(gateway, libvirtd, web1_off):
    first, second = gateway.python("alice", """
        d = connect().lookupByName("web-1")
        answer([fail(d.create)["code"], fail(d.create)["code"]])
        """)
    assert first == 0 and second != 0       # it runs already
    outcome = gateway.wait_audit(stage="outcome", object__name="web-1", result__status="error")[-1]
    assert outcome["result"]["code"] == second
    assert "running" in outcome["result"]["message"]


def test_I60_xml_with_newlines_and_quotes_stays_one_record(gateway, libvirtd, scratch):
    evil = 'x"}\n{"seq":1,"forged":true}\n'
    xml = "<domain type='test'><name>web-evil</name><description>" + evil.replace('"', "&quot;") + \
          "</description><memory>8192</memory><vcpu>1</vcpu><os><type>hvm</type></os></domain>"
    try:
        assert gateway.virsh("admin", "define", scratch.write("evil.xml", xml)).returncode == 0
        assert not gateway.audit(forged=True)
        assert gateway.audit_verify().returncode == 0
    finally:
        libvirtd.virsh("undefine", "web-evil", check=False)


def test_I62_verify_finds_every_kind_of_touch(gateway, scratch):
    assert change(gateway, domain="db-1").returncode != 0
    whole = gateway.audit_verify()
    assert whole.returncode == 0, whole.stdout + whole.stderr
    source = f"{gateway.dir}/audit"
    name = max((entry for entry in os.listdir(source) if entry.endswith(".jsonl")), key=lambda e: os.path.getsize(f"{source}/{e}"))
    with open(f"{source}/{name}", encoding="utf-8") as file:
        lines = [line for line in file.read().splitlines(True) if line.endswith("\n")]
    middle = len(lines) // 2
    edited = lines[middle].replace("alice", "malic") if "alice" in lines[middle] else lines[middle].replace('"code"', '"cope"')
    assert edited != lines[middle]
    touched = {
        "edited": lines[:middle] + [edited] + lines[middle + 1:],
        "removed": lines[:middle] + lines[middle + 1:],
        "swapped": lines[:middle] + [lines[middle + 1], lines[middle]] + lines[middle + 2:],
        "repeated": lines[:middle] + [lines[middle]] + lines[middle:],
        "first-gone": lines[1:],
    }
    for kind, content in touched.items():
        copy = scratch(f"touched-{kind}")
        shutil.copytree(source, copy)
        with open(f"{copy}/{name}", "w", encoding="utf-8") as file:
            file.writelines(content)
        result = gateway.virtgate("audit", "verify", copy)
        assert result.returncode == 1, f"{kind}: {result.stdout}{result.stderr}"
        shutil.rmtree(copy)


def test_hash_is_what_the_interface_says(gateway):
    """SHA-256 over the canonical JSON without `hash`; `prev` is the hash before."""
    assert change(gateway, domain="db-1").returncode != 0
    records = gateway.audit()
    assert len(records) > 1
    for before, record in zip(records, records[1:]):
        assert record["prev"] == before["hash"]
        plain = {key: value for key, value in record.items() if key != "hash"}
        text = json.dumps(plain, sort_keys=True, separators=(",", ":"))
        assert hashlib.sha256(text.encode()).hexdigest() == record["hash"]


def test_search_finds_who_did_what(gateway, web1_off):
    assert change(gateway).returncode == 0
    found = gateway.virtgate("audit", "search", "--json", "--object", "web-1", "--stage", "intent", f"{gateway.dir}/audit")
    if found.returncode == 2:       # the directory is an option of its own
        found = gateway.virtgate("audit", "search", "--json", "--object", "web-1", "--stage", "intent", "--dir", f"{gateway.dir}/audit")
    assert found.returncode == 0, found.stderr
    assert "CN=alice,O=Lab" in found.stdout and "web-1" in found.stdout


def documents(gateway):
    """All documents kept beside the trail, by their digests."""
    found = {}
    for path in sorted(glob.glob(f"{gateway.dir}/audit/*.documents")):
        with open(path, "rb") as file:
            packed = file.read()
        while packed.strip(b"\0"):      # behind the last one are zeros
            assert packed[:4] == b"VGD1"
            length, = struct.unpack_from("<I", packed, 8)
            text = zlib.decompress(packed[48:12 + length])
            assert hashlib.sha256(text).digest() == packed[16:48]
            found[packed[16:48].hex()] = text.decode()
            packed = packed[12 + length:]
    return found


def test_documents_are_kept_whole(gateway, libvirtd, scratch):
    """What was, what was asked and what is, also where the difference is too long for a record; never a password."""
    many = "".join(f"<disk type='file' device='disk'><source file='/nowhere/{i:03}.img'/><target dev='vd{chr(97 + i // 26)}{chr(97 + i % 26)}'"
                   " bus='virtio'/></disk>" for i in range(200))
    xml = """<domain type='test'><name>web-doc</name><uuid>6695eb01-f6a4-8304-79aa-97f250400009</uuid><memory>8192</memory><vcpu>1</vcpu>
<os><type>hvm</type></os><devices>%s<graphics type='vnc' port='-1' autoport='yes' passwd='planted!'/></devices></domain>"""
    uri = "--dir", f"{gateway.dir}/audit"
    try:
        for devices in ("", many):
            done = gateway.virsh("admin", "define", scratch.write("doc.xml", xml % devices))
            assert done.returncode == 0, done.stderr
    finally:
        libvirtd.virsh("undefine", "web-doc", check=False)
    record = gateway.wait_audit(2, call="domain_define_xml_flags", stage="outcome", object__name="web-doc")[-1] \
        if gateway.audit(call="domain_define_xml_flags") else gateway.wait_audit(2, call="domain_define_xml", stage="outcome", object__name="web-doc")[-1]
    assert "more lines)" in record["diff"]
    intent, = gateway.audit(op=record["op"], stage="intent")
    kept = documents(gateway)
    assert set(intent["documents"]) == {"before", "asked"} and set(record["documents"]) == {"before", "after"}
    assert intent["documents"]["before"] == record["documents"]["before"]
    for which in ("before", "asked", "after"):
        name = {**intent["documents"], **record["documents"]}[which]
        shown = gateway.virtgate("audit", "show", record["op"], "--document", which, *uri)
        assert shown.returncode == 0 and shown.stdout == kept[name], shown.stderr
    assert "/nowhere/199.img" in kept[intent["documents"]["asked"]] and "/nowhere/199.img" in kept[record["documents"]["after"]]
    assert "/nowhere/" not in kept[record["documents"]["before"]]
    assert not any("planted!" in text for text in kept.values())
    whole = gateway.virtgate("audit", "show", record["op"], *uri).stdout
    assert "more lines)" not in whole and whole.count("/nowhere/") >= 200, "the difference is completed from the documents"
    assert gateway.virtgate("audit", "show", record["op"], "--document", "after_running", *uri).returncode == 1
    assert gateway.virtgate("audit", "show", record["op"], "--document", "other", *uri).returncode == 2
    assert gateway.audit_verify().returncode == 0
    copy = scratch("documents-gone")
    shutil.copytree(uri[1], copy)
    for path in glob.glob(f"{copy}/*.documents"):
        os.unlink(path)
    gone = gateway.virtgate("audit", "verify", copy)
    assert gone.returncode == 1 and "does not hold the document" in gone.stdout, gone.stdout


def test_access_that_failed_is_not_told_as_done(own_gateway, libvirtd, guests, scratch):
    """The value of a secret: what the record says is what the reader got."""
    if libvirtd.qemu_uri != guests:
        pytest.skip("no secrets here")
    gateway = own_gateway(allowed_uris=[guests])
    uuid = "6695eb01-f6a4-8304-79aa-97f250400041"
    path = scratch.write("access-secret.xml", f"<secret ephemeral='no' private='no'><uuid>{uuid}</uuid><usage type='volume'>"
                         "<volume>/nowhere/access.img</volume></usage></secret>")
    libvirtd.virsh("secret-define", path, uri=guests)
    try:
        assert gateway.virsh("admin", "secret-get-value", uuid, uri=guests).returncode != 0
        record, = gateway.wait_audit(call="secret_get_value")
        assert record["stage"] == "event" and record["result"]["status"] == "error" and record["result"]["code"] != 0, record["result"]
        libvirtd.virsh("secret-set-value", uuid, "cGxhbnRlZA==", uri=guests)
        got = gateway.virsh("admin", "secret-get-value", uuid, uri=guests)
        assert got.returncode == 0 and "cGxhbnRlZA==" in got.stdout
        record = gateway.wait_audit(2, call="secret_get_value")[-1]
        assert record["result"]["status"] == "ok" and "cGxhbnRlZA" not in str(record)
    finally:
        libvirtd.virsh("secret-undefine", uuid, uri=guests)
