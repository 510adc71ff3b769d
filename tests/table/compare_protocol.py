#!/usr/bin/env python3
"""Compares proto/tables with libvirt's own protocol files.

  compare_protocol.py             with the facts kept in tests/data/libvirt-protocol.jsonl: a test
  compare_protocol.py DIR         with an unpacked source tree of libvirt: make compare-protocol LIBVIRT_SRC=DIR
  compare_protocol.py DIR --keep  and keeps its facts for the test
  compare_protocol.py --headers   only the known flags, with the installed headers in /usr/include

Numbers, names, layouts, limits, permissions with their conditions, filters, stream directions and known flags must
agree; a procedure that libvirt has and we have not, or the reverse, is a difference. Ends with 1 when there is any.

Which public enums are an argument's flags is only told by libvirt's prose. It stands in the kept facts: "flags":
{argument: [mask, enum, …]}; the mask is of all versions up to 12.8, and --keep adds what the headers have beyond it."""
import functools
import glob
import json
import operator
import os
import re
import sys

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
TABLES = os.path.join(TOP, "proto", "tables")
FACTS = os.path.join(TOP, "tests", "data", "libvirt-protocol.jsonl")
PROGRAMS = {"REMOTE": "remote", "QEMU": "qemu", "LXC": "lxc"}
PRIMITIVES = {"int": "int32", "unsigned int": "uint32", "hyper": "int64", "unsigned hyper": "uint64",
              "double": "double", "char": "char", "unsigned char": "uchar", "unsigned short": "ushort"}
# Where our permissions differ from the annotations on purpose, and what they are instead.
MONITOR = [("P", "domain", "monitor")]      # domain:write would open the monitor
OUR_FILTER = {"network_get_dhcp_leases": ["domain_getattr"]}    # libvirt shows the leases of everybody's guests
OUR_NEEDS = {
    "domain_monitor_command": MONITOR,
    "domain_monitor_command_with_files": MONITOR,
    "domain_agent_command": [("P", "domain", "agent")],
    "connect_domain_monitor_event_register": [("P", "connect", "search_domains"), *MONITOR],
    "connect_domain_monitor_event_deregister": [("P", "connect", "search_domains")],
    # Adopts any process of the host.
    "domain_attach": [("P", "domain", "start"), ("P", "domain", "write"), ("P", "connect", "write")],
    # What they return has passwords in it.
    "domain_save_image_get_xml_desc": [("P", "domain", "write"), ("P_ALL", "domain", "read_secure", "flags", 1)],
    "domain_migrate_begin3": [("P", "domain", "migrate"), ("P", "domain", "read_secure")],
    "domain_migrate_begin3_params": [("P", "domain", "migrate"), ("P", "domain", "read_secure")],
    # With the flag that throws somebody out.
    **{name: [("P", "domain", "open_device"), ("P_ALL", "domain", "takeover_console", "flags", 1)] for name in (
        "domain_open_console", "domain_open_channel")},
    # The drivers hand over to calls that need domain:save too; of the second the annotation says only domain:read.
    "domain_set_max_memory": [("P", "domain", "write"), ("P", "domain", "save")],
    "domain_set_scheduler_parameters": [("P", "domain", "write"), ("P", "domain", "save")],
    # The drivers read the device's XML as the caller.
    **{name: [("P", "node_device", "detach"), ("P", "node_device", "read")] for name in (
        "node_device_dettach", "node_device_re_attach", "node_device_reset", "node_device_detach_flags")},
}
# Arguments that are sets of bits.
BITS = ("flags", "types", "stats")
# Enums younger than the oldest libvirt that we are built with, 9.0.0.
NEWER = ("virNodeDeviceXMLFlags", "virConnectGetDomainCapabilitiesFlags", "virNodeDeviceUpdateFlags", "virDomainSetVcpuFlags")
# Streams without an annotation: the dispatcher is written by hand.
OUR_STREAMS = {"domain_migrate_prepare_tunnel3_params": "WRITE"}


class Source:
    """libvirt's .x files and the numbers of its public headers."""

    def __init__(self, folder, protocol=True):
        self.folder = folder
        self.numbers = {"VIR_UUID_BUFLEN": 16}
        self.structs, self.typedefs, self.procs = {}, {}, {}
        for path in glob.glob(os.path.join(folder, "include", "libvirt", "*.h")):
            self.read_numbers(self.text(path))
        for program in PROGRAMS if protocol else ():
            self.read_protocol(program, self.text(os.path.join(folder, "src/remote/%s_protocol.x" % PROGRAMS[program])))

    @staticmethod
    def text(path):
        with open(path, encoding="utf-8") as file:
            return file.read()

    def read_numbers(self, text):
        number = r"\(?\s*(0x[0-9a-fA-F]+|\d+)[uU]?\s*(?:(<<|\+)\s*(\d+))?\s*\)?"
        for name, first, sign, second in re.findall(r"\b(VIR_\w+)\s*=?\s+" + number + r"\s*(?:,|\n|/\*)", text):
            value = int(first, 0)
            self.numbers[name] = value << int(second) if sign == "<<" else value + int(second or 0)
        self.numbers.update(re.findall(r"\b(VIR_\w+)\s*=\s*(VIR_\w+)\s*[,/]", text))

    def enums(self):
        """{"virDomainXMLFlags": all its bits} of the public headers; without those that are no sets of bits."""
        masks = {}
        for path in glob.glob(os.path.join(self.folder, "include", "libvirt", "*.h")):
            for body, name in re.findall(r"typedef enum \{(.*?)\} (\w+);", self.text(path), re.S):
                try:
                    values = [self.value(member) for member in re.findall(r"^\s*(VIR_\w+)\s*=", body, re.M)]
                except ValueError:      # a negative number
                    continue
                masks[name] = functools.reduce(operator.or_, values, 0)
        return masks

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


# ---- facts: what is known of libvirt, in one form whether read from its source or kept ----

def facts_of(source):
    facts = {}
    for (program, number), (name, notes) in sorted(source.procs.items()):
        stream = re.findall(r"@(read|write)stream", notes)
        facts["%s %d" % (program, number)] = {
            "name": name, "args": source.fields(program, name, "args"), "ret": source.fields(program, name, "ret"),
            "msg": source.fields(program, name, "msg"), "needs": source.needs(notes),
            "filter": ["%s_%s" % f for f in re.findall(r"@aclfilter: (\w+):(\w+)", notes)][:1],
            "stream": stream[0].upper() if stream else OUR_STREAMS.get(name)}
    for name, fields in source.structs.items():
        if name.startswith("remote_"):
            facts["struct " + name[7:]] = {"fields": fields}
    return json.loads(json.dumps(facts))        # lists for tuples, as when read back


def keep(facts, table):
    with open(FACTS, "w", encoding="utf-8") as out:
        for key, fact in facts.items():
            if not key.startswith("struct ") or key[7:] in table.structs:
                out.write(json.dumps([key, fact]) + "\n")


def kept():
    with open(FACTS, encoding="utf-8") as lines:
        return dict(json.loads(line) for line in lines)


# ---- parts of permissions ----

def wholes():
    """{("domain", "write_cpu"): "write"} of include/virtgate/permissions.def."""
    text = Source.text(os.path.join(TOP, "include", "virtgate", "permissions.def"))
    return {(group, name): whole for group, name, whole in re.findall(r"^PART\((\w+), (\w+), (\w+),", text, re.M)}


def as_libvirt_asks(needs, parts):
    """With the permission of libvirt for each of our parts of it, once."""
    result = []
    for test, group, name, *condition in needs:
        need = ("P", group, parts[(group, name)]) if test == "P_XML" else (test, group, parts.get((group, name), name), *condition)
        if need not in result:
            result.append(need)
    return result


# ---- flags ----

def add_flags(facts, known, enums):
    """To facts from libvirt's source: the enums that the kept ones name, with what the source has in them."""
    for key, fact in facts.items():
        if "args" in fact and any(field[1] in BITS for field in fact["args"]):
            fact["flags"] = {}
            for field in fact["args"]:
                if field[1] in BITS:
                    mask, *names = known.get(key, {}).get("flags", {}).get(field[1], [0])
                    for name in names:
                        mask |= enums.get(name, 0)
                    fact["flags"][field[1]] = [mask, *names]


def compare_flags(where, fact, members):
    known = {arg: mask for arg, (mask, *_) in fact.get("flags", {}).items() if mask}
    ours = {"flags": int(mask, 16) for mask in re.findall(r"\.flags = (0x[0-9a-f]+)", members)}
    ours.update({arg: int(mask, 16) for arg, mask in re.findall(r'\.more_flags = \{ "(\w+)", (0x[0-9a-f]+) \}', members)})
    for field in fact["args"]:
        if field[1] in BITS and field[1] not in fact.get("flags", {}):
            yield "%s: which flags are known of '%s'? Say so in the kept facts" % (where, field[1])
    if known != ours:
        yield "%s, known flags: should be %s, the table has %s" % (where, known, ours)


def compare_headers(facts, enums):
    """Of the installed libvirt: has it bits that the table does not know?"""
    for key, fact in facts.items():
        for arg, (mask, *names) in fact.get("flags", {}).items():
            for name in names:
                if name not in enums and name not in NEWER:
                    yield "%s %s: no enum %s in the headers" % (key, fact["name"], name)
                if enums.get(name, 0) & ~mask:
                    yield "%s %s: %s has %#x more for '%s'" % (key, fact["name"], name, enums[name] & ~mask, arg)


def compare_names(facts, source):
    """proto/tables/flag_names.def: are bits called as in the installed headers, and every argument by its enums?"""
    with open(os.path.join(TABLES, "flag_names.def"), encoding="utf-8") as file:
        text = file.read()
    flags = re.findall(r"^FLAG\((\w+), (\w+), (\w+)\)$", text, re.M)
    uses = set(re.findall(r"^FLAGS_OF\((\w+), (\w+), (\w+)\)$", text, re.M))
    named = {enum for enum, _, _ in flags}
    for enum, bit, name in flags:
        if source.value(name) != int(bit, 16):
            yield "flag_names.def: %s of %s is %s, the table has %s" % (name, enum, source.value(name), bit)
    for fact in facts.values():
        for arg, (_, *enums) in fact.get("flags", {}).items():
            for enum in enums:
                if enum in named and (fact["name"], arg, enum) not in uses:
                    yield "flag_names.def: no FLAGS_OF(%s, %s, %s)" % (fact["name"], arg, enum)
                elif enum not in named and enum not in NEWER:
                    yield "flag_names.def: no bit of %s has a name" % enum


# ---- comparing ----

def compare(facts, table):
    """One line for each difference."""
    def differs(what, theirs, ours):
        if theirs != json.loads(json.dumps(ours)):
            yield "%s: should be %s, the table has %s" % (what, theirs, ours)

    parts_of = wholes()
    rows_by_key = {"%s %d" % key: row for key, row in table.procs.items()}
    for key in sorted(set(rows_by_key) | {k for k in facts if not k.startswith("struct ")}):
        if key not in rows_by_key:
            yield "%s: no row for %s" % (key, facts[key]["name"])
            continue
        word, parts = rows_by_key[key]
        name = parts[2]
        if key not in facts:
            yield "%s %s: not in libvirt" % (key, name)
            continue
        fact, where = facts[key], "%s %s" % (key, name)
        yield from differs(where + ", name", fact["name"], name)
        if word == "EVENT":
            yield from differs(where + ", message", fact["msg"], layout(inside(parts[3])))
            continue
        members = " ".join(parts[7:])
        yield from compare_flags(where, fact, members)
        yield from differs(where + ", arguments", fact["args"], layout(inside(parts[4])))
        yield from differs(where + ", reply", fact["ret"], layout(inside(parts[5])))
        needs = [list(n) for n in OUR_NEEDS[name]] if name in OUR_NEEDS else fact["needs"]
        yield from differs(where + ", permissions", needs, as_libvirt_asks(calls(inside(parts[6])), parts_of))
        yield from differs(where + ", filter", OUR_FILTER.get(name, fact["filter"]), re.findall(r"\.filter = VG_PERM_(\w+)", members))
        direction = re.search(r"\.stream = RPC_STREAM_(\w+)", members)
        ours = direction.group(1) if direction else None
        if fact["stream"] is None or ours != "BOTH":    # libvirt names one direction of a console
            yield from differs(where + ", stream", fact["stream"], ours)
    for name, ours in table.structs.items():
        yield from differs("struct " + name, facts.get("struct " + name, {}).get("fields"), ours)


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else None
    if folder == "--headers":
        source = Source("/usr", protocol=False)
        enums = source.enums()
        more = list(compare_headers(kept(), enums)) + list(compare_names(kept(), source))
        print("\n".join(more + ["%d enums in the installed headers, %d with flags that the table does not know" % (len(enums), len(more))]))
        sys.exit(1 if more or not enums else 0)
    if folder is not None and not os.path.isfile(os.path.join(folder, "src/remote/remote_protocol.x")):
        sys.exit("usage: compare_protocol.py [DIR [--keep]]: no src/remote/remote_protocol.x in %s" % folder)
    table = Table()
    facts = kept()
    if folder is not None:
        source = Source(folder)
        known, facts = facts, facts_of(source)
        add_flags(facts, known, source.enums())
    if "--keep" in sys.argv[2:]:
        keep(facts, table)
    differences = list(compare(facts, table))
    procs = sum(not key.startswith("struct ") for key in facts)
    print("\n".join(differences + ["%d procedures of libvirt, %d rows, %d differences" %
                                   (procs, len(table.procs), len(differences))]))
    sys.exit(1 if differences else 0)


if __name__ == "__main__":
    main()
