#!/usr/bin/env python3
"""Makes the seeds of fuzz_rpc and fuzz_xdr from captured messages, and those of fuzz_admission: tests/fuzz/make_corpus.py, after packets.txt changed.

Of each procedure one call and one reply at most, the shorter ones first, and some of every other kind of message."""
import json
import os
import struct

HERE = os.path.dirname(os.path.abspath(__file__))
PROGRAMS = [0x20008086, 0x20008087, 0x00068000]
TYPES = ["call", "reply", "event", "stream", "callfds", "replyfds", "hole"]
MAX_LEN, MAX_FILES = 400, 130


def packets():
    with open(os.path.join(HERE, "..", "data", "packets.txt"), encoding="ascii") as lines:
        for line in lines:
            if not line.startswith("#"):
                side, data = line.split()
                yield side, bytes.fromhex(data)


def write(folder, name, data):
    os.makedirs(os.path.join(HERE, "corpus", folder), exist_ok=True)
    with open(os.path.join(HERE, "corpus", folder, name), "wb") as out:
        out.write(data)


def empty(folder):
    path = os.path.join(HERE, "corpus", folder)
    for name in os.listdir(path) if os.path.isdir(path) else []:
        os.remove(os.path.join(path, name))


def kinds_first(packet):
    """Rare kinds of messages before calls and replies, then those with more in them for their length."""
    side, data = packet
    kind = struct.unpack(">i", data[16:20])[0]
    return kind <= 1, abs(len(data) - 80), data


RULES = (
    ("must_not", "/domain/devices/disk[source/@file = '/etc'] | /domain/devices/hostdev"), ("must_not", "//*[count(ancestor::*) > 9]"),
    ("must_not", "/domain/descendant::address[@type = 'mdev']"), ("must", "/domain/title"), ("must_not", "/domain/vcpu > 4"),
    ("must_not", "/domain/memory[kibibytes(.) > limit('memory')]"), ("must", "not(/domain/os/kernel) and known(/domain/name)"),
    ("must_not", "/volume/capacity[. > 1] | /pool/target/path[starts-with(., '/')]"),
)
SMALL = ("<disk type='file'><source file='/p'/></disk>", "<volume><name>v</name><capacity unit='GiB'>1</capacity></volume>",
         "<pool type='dir'><name>p</name><target><path>/p</path></target></pool>", "<domainsnapshot><name>s</name></domainsnapshot>",
         "<secret><usage type='volume'><volume>/p</volume></usage></secret>", "<memory model='dimm'><target><size>1</size></target></memory>",
         "<domain><memory>1</memory><cpu><numa><cell memory='1'/></numa></cpu><seclabel type='none'/><devices><graphics type='vnc'/></devices></domain>")


def admission():
    """Of each document one, with some rules of a site."""
    empty("admission")
    data = os.path.join(HERE, "..", "data", "admission")
    documents = [open(os.path.join(data, name), "rb").read() for name in sorted(os.listdir(data)) if name.endswith(".xml")]
    for i, document in enumerate([text for text in documents if len(text) < 3000] + [text.encode() for text in SMALL]):
        rules = [{"id": "r%d" % k, "class": ("domain", "device", "volume", "pool")[k % 4], RULES[(i + k) % len(RULES)][0]: RULES[(i + k) % len(RULES)][1]}
                 for k in range(4)]
        policy = {"version": 1, "bindings": [], "rules": rules, "quotas": [{"id": "q", "on": ["*"], "max_guests": 1}],
                  "admission": [{"id": "a", "profile": "restricted", "max_vcpus": 2, "macs": ["52:54:00:aa:*"]}]}
        write("admission", "%02d" % i, json.dumps(policy).encode() + b"\0" + document)


def main():
    admission()
    empty("rpc")
    empty("xdr")
    chosen = sorted((p for p in packets() if len(p[1]) <= MAX_LEN), key=kinds_first)
    for side, data in chosen[:MAX_FILES]:
        _, program, _, number, kind, _, status = struct.unpack(">IIIiiIi", data[:28])
        write("rpc", "%s-%x-%d-%s-%d" % (side, program, number, TYPES[kind], status), side.encode() + data)
    bodies = [(s, d) for s, d in chosen if len(d) > 32 and struct.unpack(">i", d[16:20])[0] <= 2]
    for side, data in bodies[:MAX_FILES]:
        _, program, _, number, kind, _, status = struct.unpack(">IIIiiIi", data[:28])
        if program in PROGRAMS and status == 0:
            prefix = struct.pack(">BHB", PROGRAMS.index(program), number, kind == 1)
            write("xdr", "%x-%d-%s" % (program, number, TYPES[kind]), prefix + data[28:])


if __name__ == "__main__":
    main()
