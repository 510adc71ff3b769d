"""Volumes up and down: streams with back-pressure, also sparse ones."""
import hashlib
import os
import struct

import pytest

MIB = 1 << 20


def digest(path):
    total = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(MIB), b""):
            total.update(block)
    return total.hexdigest()


def must(result):
    assert result.returncode == 0, result.stderr
    return result


@pytest.fixture
def volume(request, libvirtd, pool):
    """Name of a fresh raw volume of 48 MiB."""
    name = "vol-" + "".join(c if c.isalnum() else "-" for c in request.node.name)[-40:]
    libvirtd.virsh("vol-create-as", "images", name, "48M", "--format", "raw", "--allocation", "0", uri=libvirtd.qemu_uri)
    yield name
    libvirtd.virsh("vol-delete", name, "images", uri=libvirtd.qemu_uri, check=False)


@pytest.fixture(scope="module")
def noise(scratch):
    """A file of 48 MiB without any pattern."""
    path = scratch("noise.bin")
    with open(path, "wb") as file:
        for _ in range(48):
            file.write(os.urandom(MIB))
    return path


def test_create_upload_download_compare(way, libvirtd, pool, noise, scratch):
    uri = libvirtd.qemu_uri
    name = "vol-" + "".join(c for c in way.name if c.isalnum())
    back = scratch(name)
    try:
        must(way.virsh("admin", "vol-create-as", "images", name, "48M", "--format", "raw", uri=uri))
        must(way.virsh("admin", "vol-upload", name, noise, "images", uri=uri))
        assert digest(f"{pool}/{name}") == digest(noise)
        must(way.virsh("admin", "vol-download", name, back, "images", uri=uri))
        assert digest(back) == digest(noise)
        assert name in must(way.virsh("admin", "vol-list", "images", uri=uri)).stdout
        must(way.virsh("admin", "vol-delete", name, "images", uri=uri))
        assert not os.path.exists(f"{pool}/{name}")
    finally:
        libvirtd.virsh("vol-delete", name, "images", uri=uri, check=False)


def test_sparse_upload_and_download(way, libvirtd, pool, volume, scratch):
    uri = libvirtd.qemu_uri
    source, back = scratch("holes.bin"), scratch("holes-back.bin")
    with open(source, "wb") as file:
        for offset in (0, 17 * MIB, 40 * MIB):
            file.seek(offset)
            file.write(os.urandom(MIB))
        file.truncate(48 * MIB)
    must(way.virsh("admin", "vol-upload", "--sparse", volume, source, "images", uri=uri))
    assert digest(f"{pool}/{volume}") == digest(source)
    must(way.virsh("admin", "vol-download", "--sparse", volume, back, "images", uri=uri))
    assert digest(back) == digest(source)
    assert os.stat(back).st_blocks * 512 < 24 * MIB, "the holes have been filled"
    os.unlink(source)
    os.unlink(back)


def test_viewer_and_operator_may_not_touch_volumes(gateway, libvirtd, volume, noise, pool):
    before = digest(f"{pool}/{volume}")
    for user in ("bob", "alice", "mallory"):
        assert gateway.virsh(user, "vol-upload", volume, noise, "images", uri=libvirtd.qemu_uri).returncode != 0
        assert gateway.virsh(user, "vol-delete", volume, "images", uri=libvirtd.qemu_uri).returncode != 0
    assert digest(f"{pool}/{volume}") == before


def test_I63_streams_are_on_record_with_what_was_in_them(gateway, libvirtd, volume, noise, scratch):
    must(gateway.virsh("admin", "vol-upload", volume, noise, "images", uri=libvirtd.qemu_uri))
    intent = gateway.wait_audit(call="storage_vol_upload", stage="intent", object__name=volume)[-1]
    outcome = gateway.wait_audit(op=intent["op"], stage="outcome")[0]
    assert outcome["result"]["status"] == "ok"
    assert outcome["stream_bytes"] == 48 * MIB and outcome["stream_sha256"] == digest(noise)
    back = scratch("I63-back.bin")
    must(gateway.virsh("admin", "vol-download", volume, back, "images", uri=libvirtd.qemu_uri))
    opened = gateway.wait_audit(call="storage_vol_download", stage="event", object__name=volume, result__status="ok")[0]
    closed = gateway.wait_audit(event="stream.close", opened=opened["op"])[0]
    assert closed["stream_bytes"] == 48 * MIB and closed["stream_sha256"] == digest(noise)
    os.unlink(back)


@pytest.mark.parametrize("end", ("s.abort()", "os._exit(0)"), ids=("abort", "gone"))
def test_I63_stream_that_is_not_finished_is_no_success(gateway, libvirtd, volume, end):
    """What came of it by then is in the record; that it was all is not."""
    gateway.python("admin", f"""
        c = connect()
        s = c.newStream(0)
        c.storagePoolLookupByName("images").storageVolLookupByName(sys.argv[2]).upload(s, 0, 0, 0)
        s.send(b"half" * 1000)
        answer("sent")
        sys.stdout.flush()
        {end}
        """, volume, uri=libvirtd.qemu_uri)
    outcome = gateway.wait_audit(call="storage_vol_upload", stage="outcome", object__name=volume)[-1]
    assert outcome["result"]["status"] in ("error", "unknown"), outcome["result"]
    assert outcome["stream_bytes"] == 4000 and outcome["stream_sha256"] == hashlib.sha256(b"half" * 1000).hexdigest()


def test_I63_holes_count_in_the_digest(gateway, libvirtd, volume, scratch):
    source = scratch("I63-holes.bin")
    with open(source, "wb") as file:
        file.write(bytes(range(256)) * 4096)
        file.truncate(3 * MIB)
    must(gateway.virsh("admin", "vol-upload", "--sparse", volume, source, "images", uri=libvirtd.qemu_uri))
    outcome = gateway.wait_audit(call="storage_vol_upload", stage="outcome", object__name=volume)[-1]
    hole = struct.pack(">qI", 2 * MIB, 0)
    assert outcome["stream_bytes"] == MIB + len(hole)
    assert outcome["stream_sha256"] == hashlib.sha256(bytes(range(256)) * 4096 + hole).hexdigest()


def test_several_streams_on_one_connection(gateway, libvirtd, volume, noise, pool):
    must(gateway.virsh("admin", "vol-upload", volume, noise, "images", uri=libvirtd.qemu_uri))
    sums = gateway.python("admin", """
        import hashlib
        c = connect()
        v = c.storagePoolLookupByName("images").storageVolLookupByName(sys.argv[2])
        streams = [c.newStream(0) for _ in range(4)]
        sums = [hashlib.sha256() for _ in streams]
        for s in streams:
            v.download(s, 0, 0, 0)
        def pump(s, total):
            while True:
                data = s.recv(262120)
                if not data:
                    break
                total.update(data)
            s.finish()
        threads = [threading.Thread(target=pump, args=pair) for pair in zip(streams, sums)]
        [t.start() for t in threads]; [t.join() for t in threads]
        answer([total.hexdigest() for total in sums])
        """, volume, uri=libvirtd.qemu_uri)
    assert sums == [digest(noise)] * 4


@pytest.mark.plain
def test_I80_reader_that_stops_reading_costs_bounded_memory(own_gateway, libvirtd, volume, noise):
    """Libvirtd has 48 MiB to send, the client takes none of them: the gateway may hold a fraction only."""
    gateway = own_gateway(front_processes=1)
    must(gateway.virsh("admin", "vol-upload", volume, noise, "images", uri=libvirtd.qemu_uri))
    before = gateway.memory_kib("front", "gate")
    reader = gateway.popen_python("admin", """
        c = connect()
        v = c.storagePoolLookupByName("images").storageVolLookupByName(sys.argv[2])
        s = c.newStream(0)
        v.download(s, 0, 0, 0)
        s.recv(1000)
        answer("stopped")
        os.kill(os.getpid(), 19)
        """, volume, uri=libvirtd.qemu_uri)
    try:
        assert reader.stdout.readline() == '"stopped"\n'
        # the same gateway goes on for others meanwhile, which also gives the stream the time to fill what it fills
        for _ in range(5):
            must(gateway.virsh("alice", "list", "--all"))
        assert gateway.memory_kib("front", "gate") - before < 12 * 1024
    finally:
        reader.kill()
        reader.communicate()
