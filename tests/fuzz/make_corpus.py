#!/usr/bin/env python3
"""Makes the seeds of fuzz_rpc and fuzz_xdr from captured messages: tests/fuzz/make_corpus.py, after packets.txt changed.

Of each procedure one call and one reply at most, the shorter ones first, and some of every other kind of message."""
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


def main():
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
