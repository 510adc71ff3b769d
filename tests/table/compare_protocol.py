#!/usr/bin/env python3
"""Compares proto/tables with libvirt's own protocol files: make compare-protocol LIBVIRT_SRC=DIR

DIR is an unpacked source tree of libvirt. Numbers, names, layouts, limits, permissions with their conditions, filters
and stream directions must agree; a procedure that libvirt has and we have not, or the reverse, is a difference. Ends
with 1 when there is any."""
import glob
import os
import re
import sys

TABLES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "proto", "tables")
PROGRAMS = {"REMOTE": "remote", "QEMU": "qemu", "LXC": "lxc"}
PRIMITIVES = {"int": "int32", "unsigned int": "uint32", "hyper": "int64", "unsigned hyper": "uint64",
              "double": "double", "char": "char", "unsigned char": "uchar", "unsigned short": "ushort"}
# Where our permissions differ from the annotations on purpose.
OUR_NEEDS = {
    "domain_set_max_memory": "the driver hands over to a call that needs domain:save too",
    "domain_set_scheduler_parameters": "the driver hands over to a call that changes",
    "domain_monitor_command": "domain:write would open the monitor: a permission of our own",
    "domain_monitor_command_with_files": "as domain_monitor_command",
    "domain_agent_command": "domain:write would open the agent: a permission of our own",
    "domain_attach": "adopts any process of the host: connect:write too",
    "connect_domain_monitor_event_register": "as domain_monitor_command",
    "connect_domain_monitor_event_deregister": "taking back what one was allowed",
}
# Streams without an annotation: the dispatcher is written by hand.
OUR_STREAMS = {"domain_migrate_prepare_tunnel3_params": "WRITE"}


class Source:
    """libvirt's .x files and the numbers of its public headers."""

    def __init__(self, folder):
        self.folder = folder
        self.numbers = {"VIR_UUID_BUFLEN": 16}
        self.structs, self.typedefs, self.procs = {}, {}, {}
        for path in glob.glob(os.path.join(folder, "include", "libvirt", "*.h")):
            self.read_numbers(self.text(path))
        for program in PROGRAMS:
            self.read_protocol(program, self.text(os.path.join(folder, "src/remote/%s_protocol.x" % PROGRAMS[program])))

    @staticmethod
    def text(path):
        with open(path, encoding="utf-8") as file:
            return file.read()

    def read_numbers(self, text):
        number = r"\(?\s*(0x[0-9a-fA-F]+|\d+)\s*(?:(<<|\+)\s*(\d+))?\s*\)?"
        for name, first, operator, second in re.findall(r"\b(VIR_\w+)\s*=?\s+" + number + r"\s*(?:,|\n|/\*)", text):
            value = int(first, 0)
            self.numbers[name] = value << int(second) if operator == "<<" else value + int(second or 0)
        self.numbers.update(re.findall(r"\b(VIR_\w+)\s*=\s*(VIR_\w+)\s*[,/]", text))

    def value(self, text):
        """Of a number, a name of one, or a name of such a name."""
        while text in self.numbers:
            text = self.numbers[text]
        return int(text, 0) if isinstance(text, str) else text

    def read_protocol(self, program, text):
        for name, value in re.findall(r"^const\s+(\w+)\s*=\s*(\w+);", text, re.M):
            self.numbers[name] = self.value(value)
        self.typedefs.update({n: t for t, n in re.findall(r"^typedef (\w+) \*(\w+);", text, re.M)})
        plain = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
        for name, body in re.findall(r"^struct (\w+) \{(.*?)^\};", plain, re.M | re.S):
            self.structs[name] = [self.field(f.strip()) for f in body.split(";") if f.strip()]
        prefix = "%s_PROC_" % program
        enum = re.search(r"^enum \w+_procedure \{(.*?)^\};", text, re.M | re.S).group(1)
        for notes, name, number in re.findall(r"/\*\*(.*?)\*/\s*" + prefix + r"(\w+) = (\d+)", enum, re.S):
            self.procs[(program, int(number))] = (name.lower(), notes)

    def field(self, text):
        kind, optional, name, fixed, limit = re.match(
            r"((?:unsigned\s+)?\w+)\s+(\*?)(\w+)(?:\[(\w+)\])?(?:<(\w+)>)?$", text).groups()
        if kind == "opaque":
            return ("B", name, self.value(limit))
        if kind in self.typedefs:
            kind, optional = self.typedefs[kind], "*"
        kind = PRIMITIVES.get(kind, re.sub("^(remote|qemu|lxc)_", "", kind))
        if fixed:
            return ("N", name, kind, self.value(fixed))
        if limit:
            return ("A", name, kind, self.value(limit))
        return ("O" if optional else "F", name, kind)

    def fields(self, program, name, suffix):
        return self.structs.get("%s_%s_%s" % (PROGRAMS[program], name, suffix), [])

    def needs(self, notes):
        needs = []
        for words in re.findall(r"@acl: (\S+)", notes):
            parts = words.split(":")
            if parts[0] == "none":
                continue
            if len(parts) == 2:
                needs.append(("P", *parts))
            elif len(parts) == 5:
                needs.append(("P_EQ", *parts[:2], parts[3], self.value(parts[4])))
            else:
                mask = 0
                for flag in parts[2].lstrip("!").split("|"):
                    mask |= self.value(flag)
                needs.append(("P_NONE" if parts[2][0] == "!" else "P_ALL", *parts[:2], "flags", mask))
        return needs


# ---- our tables ----

def split(text, separator):
    """At separators that are in no brackets."""
    parts, depth, start = [], 0, 0
    for at, char in enumerate(text):
        depth += (char in "({") - (char in ")}")
        if char == separator and depth == 0:
            parts.append(text[start:at].strip())
            start = at + 1
    parts.append(text[start:].strip())
    return [p for p in parts if p]


def calls(text):
    """F(dom, nonnull_domain) O(…) to tuples."""
    return [(word, *[int(p.strip('"'), 0) if re.fullmatch(r"0x[0-9a-f]+|\d+", p) else p.strip('"')
                     for p in split(args, ",")]) for word, args in re.findall(r"(\w+)\(([^()]*)\)", text)]


def inside(text):
    return text[text.index("(") + 1:-1]


def rows(path):
    text = re.sub(r"/\*.*?\*/", "", Source.text(path), flags=re.S)
    for word, body in re.findall(r"^(CALL|EVENT|STRUCT)\((.*?)\)\n(?=[A-Z]|\Z)", text, re.M | re.S):
        yield word, split(body, ",")


def layout(text):
    return [f if f[2:3] != ("count",) else (*f[:2], "int32") for f in calls(text)]


class Table:
    def __init__(self):
        self.procs, self.structs = {}, {}
        for path in sorted(glob.glob(os.path.join(TABLES, "*.def"))):
            for word, parts in rows(path):
                if word == "STRUCT":
                    self.structs[parts[0]] = layout(parts[1])
                else:
                    self.procs[(parts[0], int(parts[1]))] = (word, parts)


# ---- comparing ----

def compare(source, table):
    def differs(what, theirs, ours):
        if theirs != ours:
            yield "%s: libvirt has %s, the table %s" % (what, theirs, ours)

    for key in sorted(set(source.procs) | set(table.procs)):
        if key not in table.procs:
            yield "%s %d: no row for %s" % (*key, source.procs[key][0])
            continue
        word, parts = table.procs[key]
        name = parts[2]
        if key not in source.procs:
            yield "%s %d %s: not in libvirt" % (*key, name)
            continue
        theirs, notes = source.procs[key]
        where = "%s %d %s" % (*key, name)
        members = " ".join(parts[4:])
        yield from differs(where + ", name", theirs, name)
        if word == "EVENT":
            yield from differs(where + ", message", source.fields(key[0], theirs, "msg"), layout(inside(parts[3])))
            continue
        yield from differs(where + ", arguments", source.fields(key[0], theirs, "args"), layout(inside(parts[4])))
        yield from differs(where + ", reply", source.fields(key[0], theirs, "ret"), layout(inside(parts[5])))
        if name not in OUR_NEEDS:
            yield from differs(where + ", permissions", source.needs(notes), calls(inside(parts[6])))
        filters = re.findall(r"@aclfilter: (\w+):(\w+)", notes)
        ours = re.findall(r"\.filter = VG_PERM_(\w+)", members)
        yield from differs(where + ", filter", ["%s_%s" % f for f in filters][:1], ours)
        stream = re.findall(r"@(read|write)stream", notes)
        theirs = stream[0].upper() if stream else OUR_STREAMS.get(name)
        direction = re.search(r"\.stream = RPC_STREAM_(\w+)", members)
        ours = direction.group(1) if direction else None
        yield from differs(where + ", stream", theirs, theirs if theirs and ours == "BOTH" else ours)
    for name, ours in table.structs.items():
        yield from differs("struct " + name, source.structs.get("remote_" + name), ours)


def main():
    if len(sys.argv) != 2 or not os.path.isfile(os.path.join(sys.argv[1], "src/remote/remote_protocol.x")):
        sys.exit("usage: compare_protocol.py DIR: a source tree of libvirt, with src/remote/remote_protocol.x")
    source, table = Source(sys.argv[1]), Table()
    differences = list(compare(source, table))
    print("\n".join(differences + ["%d procedures of libvirt, %d rows, %d differences" %
                                   (len(source.procs), len(table.procs), len(differences))]))
    sys.exit(1 if differences else 0)


if __name__ == "__main__":
    main()
