"""
What the gateway decides against what libvirt decides by itself: its polkit access driver judges the same calls of the same people,
whose grants are written in both languages (oracle.py). Every difference is on a list here, with its reason.

`./check` tries each permission on the calls of its class; `make oracle` tries every call for everybody (half an hour).
"""
import json
import os
import random
import re
import signal
from collections import namedtuple
from fnmatch import fnmatchcase

import pytest

from conftest import TEST_SECONDS, TOP
from lab.libvirtd import have_qemu
from lab.polkit import Polkit, PolkitLibvirtd, SecludedLibvirtd, why_no_polkit
from oracle import (DENIED, ENDED, FIRST_UID, MISSING, PARENTS, READ_ONLY, UNKNOWN, Grant, Keeper, Person, ask_both, libvirt_permissions,
                    own_permissions, to_policy, to_rules)
from oracle_calls import all_calls
from oracle_things import DEVICE, GRANTED, HIDDEN, INTERFACE, groups_after, saved_image, uuid_of
from rawrpc import LXC

NO_POLKIT = why_no_polkit() or (None if have_qemu() else "no qemu-system-x86_64")
pytestmark = [pytest.mark.plain, pytest.mark.skipif(NO_POLKIT is not None, reason=str(NO_POLKIT))]
EVERYTHING_ASKED = os.environ.get("VIRTGATE_ORACLE") == "all"
URI = "qemu:///system"
NO_SUPPORT = 3
NO_IMAGE = 9, "there is no saved domain in"     # what the gateway says of the image of a guest that is not there

# ---- people ----

WEB1 = {"domain": "domain:web-1", "network": "network:web-1", "storage_pool": "storage_pool:web-1", "nwfilter": "nwfilter:web-1",
        "nwfilter_binding": "nwfilter_binding:web-1", "secret": f"secret:uuid:{uuid_of('secret', GRANTED)}",
        "interface": f"interface:{INTERFACE}", "node_device": f"node_device:{DEVICE}"}
SEE = ["connect:getattr", "connect:read", "connect:search_*", "[!c]*:getattr", "[!c]*:read"]
OPERATE = ["domain:" + name for name in ("start", "stop", "reset", "suspend", "init_control", "pm_control", "send_input", "send_signal",
                                         "screenshot", "open_graphics", "open_device")]
OWN = [f"{group}:*" for group in ("domain", "storage_vol", "storage_pool", "network", "network_port", "nwfilter", "secret")]
# As the manual describes the built-in roles: globs of what they have, and of what they have not all the same.
ROLES = {
    "viewer": (SEE, []), "console-viewer": (SEE + ["domain:screenshot"], []), "operator": (SEE + OPERATE, []),
    "vm-admin": (SEE + OPERATE + OWN, ["*:read_secure"]), "auditor": (SEE, []), "admin": (["*"], []),
}


def any_of(globs, text):
    return any(fnmatchcase(text, glob) for glob in globs)


def with_sight(permission):
    """That permission, and what it takes to come so far: to open a connection, and to know that the object is there."""
    group = permission.split(":")[0]
    names = {"connect:getattr", permission}
    if group != "connect":
        names |= {f"{each}:getattr" for each in (group, PARENTS.get(group, group))}
    return sorted(names)


def everybody(permissions):
    """People by kind."""
    made = {}

    def add(kind, title, *grants, role=None):
        uid = FIRST_UID + sum(map(len, made.values()))
        made.setdefault(kind, []).append(Person(uid, title, grants, role))
    add("nobody", "nobody", Grant(["connect:getattr"], ["*"]))
    add("stranger", "a stranger")
    add("everything", "everything", Grant(permissions, ["*"]))
    for permission in permissions:
        add("alone", f"{permission} alone", Grant(with_sight(permission), ["*"]))
        group = permission.split(":")[0]
        if group != "connect":
            add("one object", f"{permission} on web-1", Grant(with_sight(permission), [WEB1[PARENTS.get(group, group)]]))
        if permission != "connect:getattr":
            add("all but one", f"all but {permission}", Grant([each for each in permissions if each != permission], ["*"]))
    for group in WEB1:
        add("unseen", f"{group}:read without getattr", Grant(["connect:getattr", f"{group}:read"], ["*"]))
    for role, (has, has_not) in ROLES.items():
        names = [each for each in permissions if any_of(has, each) and not any_of(has_not, each)]
        for on in (["*"], sorted(WEB1.values())):
            add("roles", f"{role} on {'everything' if on == ['*'] else 'web-1'}", Grant(names, on), role=role)
    chance = random.Random(9)
    sight = [each for each in permissions if each.endswith(":getattr")]
    for number in range(40):
        add("random", f"random {number}", Grant(sight if number % 4 else ["connect:getattr"], ["*"]),
            *(random_grant(chance, permissions) for _ in range(chance.randint(1, 4))))
    return made


def random_grant(chance, permissions):
    group = chance.choice(sorted(WEB1))
    globs = ["*"] if group in ("secret", "interface", "node_device") else ["*", "web-*", "?eb-1", "*-1", "h*d-?"]
    ons = ["*", WEB1[group]] + [f"{group}:{glob}" for glob in globs]
    return Grant(chance.sample(permissions, chance.choice((2, 10, 40, 90))), chance.sample(ons, chance.randint(1, 2)))


def holds(person, permission, on=None):
    """A third opinion, for the conditions of the list: has he the permission on that object, or (None) on everything?"""
    for grant in person.grants:
        if permission not in grant.permissions:
            continue
        group = permission.split(":")[0]
        if group == "connect" or "*" in grant.on:
            return True
        for pattern in grant.on:
            pattern_group, glob = pattern.split(":", 1)
            if pattern_group in (group, PARENTS.get(group)) and (glob == "*" or on is not None and fnmatchcase(on, glob)):
                return True
    return False


# ---- calls ----

with open(f"{TOP}/tests/data/libvirt-protocol.jsonl", encoding="utf-8") as facts:
    # What libvirt's annotations ask for: {"domain_create": {"domain:start"}, ...}
    NEEDS = {fact["name"]: {f"{need[1]}:{need[2]}" for need in fact["needs"]} for fact in
             (json.loads(line)[1] for line in facts) if "needs" in fact}
CLASSES = ("domain", "interface", "network_port", "network", "node_device", "nwfilter_binding", "nwfilter", "secret", "storage_pool",
           "storage_vol")


def class_of(call):
    """Of what that call is about."""
    if call.name == "network_port_create_xml":
        return "network"        # the port is not there yet
    if call.name == "storage_pool_lookup_by_volume":
        return "storage_vol"
    names = [each for each in CLASSES if call.name.startswith((each, f"connect_{each}_event_"))]
    return "domain" if call.name == "connect_domain_monitor_event_register" else names[0] if names else "connect"


def unseen(person, call):
    """Does he not know of the object of that call?"""
    group = class_of(call)
    name = {"secret": f"uuid:{uuid_of('secret', call.about)}", "interface": INTERFACE, "node_device": DEVICE}.get(group, call.about)
    return group != "connect" and not all(holds(person, f"{each}:getattr", name) for each in {group, PARENTS.get(group, group)})


def narrow(person, call):
    """Has he something that the call takes only on some objects?"""
    return not all(holds(person, each) for each in NEEDS[call.name])


def narrow_on(permission):
    return lambda person, call: not holds(person, permission)


def without(permission):
    return lambda person, call: not holds(person, permission, call.about)


def only_reads(person, call):
    return all(each.split(":")[1] in ("getattr", "read") or each.startswith("connect:search_") for grant in person.grants
               for each in grant.permissions)


def always(person, call):
    return True


# ---- the list of differences ----

# calls: globs of names. gate and libvirt: what either does (verdict_of_gate, verdict_of_libvirt). when: to whom it happens.
Row = namedtuple("Row", "calls gate libvirt when why")
DIFFERENCES = [
    Row(["*"], "hides", "denies", unseen, "what one may not know of looks as if it were not there; libvirt says that it is"),
    Row(["*"], "hides", "allows", unseen, "without getattr there is no object, whatever else is granted; libvirt asks for getattr in look-ups only"),
    Row(["domain_monitor_command", "domain_agent_command", "connect_domain_monitor_event_register"], "denies", "allows", always,
        "domain:monitor and domain:agent are permissions of their own; libvirt asks for domain:write"),
    Row(["domain_open_graphics_fd", "domain_*_with_files"], "denies", "allows", always,
        "descriptors do not go through a gateway"),
    Row(["connect_set_identity"], "denies", "allows", always, "nobody becomes somebody else behind the gateway"),
    Row(["domain_create_xml", "domain_define_xml*"], "denies", "allows", narrow,
        "what a document uses must be one's own as well, and its disk is a file of the host"),
    Row(["domain_restore_flags", "domain_save_flags", "domain_save_image_define_xml", "domain_managed_save_define_xml", "domain_backup_begin",
         "domain_checkpoint_create_xml", "domain_block_copy", "domain_migrate_begin3", "domain_migrate_p*", "domain_migrate_finish*",
         "network_create_xml*", "network_define_xml*", "network_update", "network_port_create_xml", "storage_pool_create_xml",
         "storage_pool_define_xml", "secret_define_xml", "nwfilter_define_xml*", "nwfilter_binding_create_xml"],
        "denies", "allows", narrow, "documents and cookies that are not judged are for those who have the permission on everything"),
    Row(["storage_pool_build", "storage_pool_delete", "connect_find_storage_pool_sources", "nwfilter_define_xml*",
         "nwfilter_undefine", "nwfilter_binding_create_xml", "network_create_xml*", "network_define_xml*", "storage_pool_create_xml",
         "storage_pool_define_xml", "node_device_re_attach", "node_device_reset"], "denies", "allows", without("connect:write"),
        "what is the host's own takes connect:write as well"),
    Row(["domain_open_console", "domain_open_channel"], "denies", "allows", without("domain:takeover_console"),
        "with force they throw somebody out, which is a permission of its own; libvirt asks for domain:open_device"),
    Row(["domain_get_xml_desc"], "allows", "denies", without("domain:read_secure"),
        "a description that is asked for with its secrets is given to who may not have them where there are none"),
    Row(["domain_save_image_get_xml_desc", "domain_migrate_begin3*"], "denies", "allows", without("domain:read_secure"),
        "what they return has passwords in it; libvirt does not ask for read_secure"),
    Row(["storage_vol_create_xml_from", "storage_vol_resize"], "denies", "allows", narrow,
        "the header of an image that somebody uploaded leads to further files of the host"),
    Row(["storage_vol_create_xml_from"], "denies", "allows", without("storage_vol:data_read"), "a clone reads what it is a clone of"),
    Row(["domain_get_launch_security_info", "node_device_get_autostart", "node_get_sev_info"], "denies", "allows", only_reads,
        "who only reads comes to libvirtd's read-only socket, which has not all that one may read"),
    Row(["node_device_get_parent"], "denies", "allows", without("node_device:read"), "libvirtd asks, but answers a refusal with no parent"),
    Row(["connect_num_of_defined_interfaces"], "counts otherwise", "counts", narrow_on("interface:getattr"),
        "lo is neither up nor down: libvirt has it in its full list, by which the gateway counts, but in neither number"),
    Row(["domain_migrate_perform3*"], "answers otherwise", "answers", always, "that the guest is off says the gateway, without asking libvirtd"),
    Row(["domain_get_security_label_list"], "denies", "allows", without("domain:read"), "libvirt asks for nothing where there is no security driver"),
]
# Calls in which libvirt 9.0.0 finds another mistake before it asks for permission, so that it says nothing to those who have none.
SILENT = {
    "it asks for a callback of the session's own first": ["connect_*deregister*"],
    "it looks into the host or at the device first": ["node_device_create*", "node_device_define_xml", "node_device_detach_flags",
                                                       "node_device_dettach", "node_device_lookup_scsi_host_by_wwn"],
    "it looks at arguments or flags first": ["domain_migrate_prepare*", "domain_open_graphics", "domain_fd_associate"],
}
used = set()


def verdict_of_gate(gate, libvirt):
    if gate.code in (DENIED, UNKNOWN, READ_ONLY) or gate == ENDED:
        return "denies"
    missing = gate.code in MISSING or gate.code == NO_IMAGE[0] and NO_IMAGE[1] in gate.text
    return "hides" if missing and gate.code != libvirt.code else "allows"


def verdict_of_libvirt(libvirt):
    return "denies" if libvirt.code == DENIED else "allows"


def judge(person, call, gate, libvirt):
    """What is wrong with the two answers to that call, as text; None when nothing is, or when it is on the list."""
    ours, theirs = verdict_of_gate(gate, libvirt), verdict_of_libvirt(libvirt)
    if ours == theirs == "allows" and call.kind == "read" and re.search("list|get_all", call.name) and gate.seen != libvirt.seen:
        ours, theirs = "shows less" if set(gate.seen) < set(libvirt.seen) else "shows more", "shows"
    if ours == theirs == "allows" and gate.code != libvirt.code:
        ours, theirs = "answers otherwise", "answers"       # not on the list: then the two hosts are not the same any more
    elif ours == theirs == "allows" and re.search("_list_all_|_num", call.name) and gate.number != libvirt.number:
        ours, theirs = "counts otherwise", "counts"
    if ours != theirs:
        rows = [row for row in DIFFERENCES if (row.gate, row.libvirt) == (ours, theirs) and any_of(row.calls, call.name) and row.when(person, call)]
        used.update((row.why, glob) for row in rows for glob in row.calls if fnmatchcase(call.name, glob))
        if rows:
            return None
        return f"the gateway {ours} {gate.seen} {gate.number}, libvirt {theirs} {libvirt.seen} {libvirt.number}"
    return None


class World:
    def __init__(self, scratch, build, make_gateway):
        permissions = libvirt_permissions()
        assert set(permissions) <= set(own_permissions(TOP))
        self.people = everybody(permissions)
        people = [person for kind in self.people.values() for person in kind]
        cache = os.path.join(TOP, "build", "qemu-cache")
        self.asking = PolkitLibvirtd(scratch, Polkit(scratch, to_rules(people), [person.uid for person in people]).start(), cache=cache).start()
        self.plain = SecludedLibvirtd(scratch, "libvirtd-plain", cache=cache).start()
        self.keepers = [Keeper(scratch, libvirtd) for libvirtd in (self.asking, self.plain)]
        saves = scratch.directory("oracle-saves")
        for name in (GRANTED, HIDDEN):
            with open(f"{saves}/{name}.saved", "wb") as file:
                file.write(saved_image(name))
        self.gateway = make_gateway("oracle", libvirtd=self.plain, policy=to_policy(people), listen_unix=True, listen_tls=False,
                                    log_level=3, allowed_uris=[URI],
                                    save_dirs=[saves], migration_uris=[f"tcp://{name}" for name in (GRANTED, HIDDEN)])
        self.calls = [call for call in all_calls(build, saves) if call.program != LXC and not any_of(
            ["auth_*", "connect_open", "connect_close"], call.name)]
        self.silent = set()     # calls by which nobody learns anything from libvirt
        for call, _, libvirt in self.ask(self.people["nobody"][0], self.calls)[1:]:
            if libvirt.code not in MISSING | {DENIED, 0}:
                self.silent.add(call)
        self.speaking = [call for call in self.calls if call not in self.silent]

    def ask(self, person, calls, curious=None):
        return ask_both(person, calls, [f"{self.gateway.dir}/run/virtgate-sock", self.asking.socket], URI, self.mend, curious)

    def mend(self, call):
        for group in groups_after(call):
            Keeper.restore(self.keepers, group, call.about)

    def compare(self, people, calls_of, needing_only=False):
        """
        Asks for all of them and asserts that every difference is on the list. Returns the answers to the last one. needing_only: libvirt is
        asked about the gateway's refusals only where the permission of that person is needed.
        """
        wrong, number = [], 0
        for person in people:
            signal.alarm(TEST_SECONDS)      # each of them has the time of a test
            curious = (lambda call: permission_of(person) in NEEDS[call.name]) if needing_only and not EVERYTHING_ASKED else None
            answers = self.ask(person, self.speaking if EVERYTHING_ASKED else calls_of(person), curious)[1:]
            for call, gate, libvirt in answers:
                number += 1
                problem = judge(person, call, gate, libvirt)
                if problem is not None:
                    wrong.append(f"{person.title}: {call.name} flags {call.flags} about {call.about}: {problem}; {gate.code} {gate.text!r}, "
                                 f"{libvirt.code} {libvirt.text!r}")
        print(f"{len(people)} people, {number} calls of each side")
        assert number > 0 and not wrong, f"{len(wrong)} of {number}:\n" + "\n".join(wrong[:40])
        return answers


@pytest.fixture(scope="module")
def world(scratch, build, make_gateway):
    return World(scratch, build, make_gateway)


def permission_of(person):
    return next(word for word in person.title.split() if ":" in word)


def needing(world, abouts):
    return lambda person: [call for call in world.speaking if call.about in abouts and permission_of(person) in NEEDS[call.name]]


def test_polkit_judges_every_call(world):
    """Without this the comparison would prove nothing: libvirt refuses who has no permission and lets in who has every one."""
    everything = world.people["everything"][0]
    answers = {call: libvirt for call, _, libvirt in world.compare([everything], lambda person: world.speaking)}
    assert [call for call, libvirt in answers.items() if libvirt.code == DENIED] == []
    answers = {call: libvirt for call, _, libvirt in world.compare(world.people["nobody"], lambda person: world.speaking)}
    asks_for_nothing = {call.name for call, libvirt in answers.items() if libvirt.code == 0}
    assert asks_for_nothing == {name for name in asks_for_nothing if NEEDS[name] <= {"connect:getattr"} or name == "domain_get_security_label_list"}
    silent = {call.name for call, _, libvirt in world.ask(everything, sorted(world.silent))[1:]
              if libvirt.code not in (NO_SUPPORT, UNKNOWN) and not any_of(sum(SILENT.values(), []), call.name)}
    assert silent == set()
    assert len({call.name for call in world.speaking}) > 320


def test_who_may_not_even_ask_is_let_in_by_neither(world):
    (_, gate, libvirt), = world.ask(world.people["stranger"][0], world.calls)
    assert gate.code == libvirt.code == DENIED


def test_polkit_and_the_gateway_agree_on_each_permission_alone(world):
    def calls(person):
        group = permission_of(person).split(":")[0]
        return [call for call in world.speaking if call.about == GRANTED and
                (group in (class_of(call), PARENTS.get(class_of(call))) or permission_of(person) in NEEDS[call.name])]
    world.compare(world.people["alone"], calls, needing_only=True)


def test_polkit_and_the_gateway_agree_on_each_permission_on_one_object(world):
    world.compare(world.people["one object"], needing(world, (GRANTED, HIDDEN)))


def test_polkit_and_the_gateway_agree_on_all_but_one_permission(world):
    def calls(person):
        # What the gateway asks for beside what libvirt does: there every call may be refused.
        beside = permission_of(person) in ("connect:write", "domain:read_secure")
        return [call for call in world.speaking if call.about == GRANTED] if beside else needing(world, (GRANTED,))(person)
    world.compare(world.people["all but one"], calls)


def test_polkit_and_the_gateway_agree_on_what_is_not_seen(world):
    world.compare(world.people["unseen"], needing(world, (GRANTED, HIDDEN)))


@pytest.mark.parametrize("role", ROLES)
def test_polkit_and_the_gateway_agree_on_the_role(world, role):
    world.compare([person for person in world.people["roles"] if person.role == role and (EVERYTHING_ASKED or "web-1" in person.title)],
                  lambda person: world.speaking)


def test_polkit_and_the_gateway_agree_on_grants_by_chance(world):
    chance = random.Random(5)
    world.compare(world.people["random"][:40 if EVERYTHING_ASKED else 12], lambda person: chance.sample(world.speaking, 60))


def test_no_difference_is_on_the_list_for_nothing(world, request):
    ran = {item.name for item in request.session.items if item.module is request.module}
    asked = {name for name, function in vars(request.module).items() if name.startswith("test_")}
    if not asked <= {name.split("[")[0] for name in ran}:
        pytest.skip("only some of the people were asked for")
    unused = [f"{glob}: {row.why}" for row in DIFFERENCES for glob in row.calls if (row.why, glob) not in used]
    assert not unused, "\n".join(unused)
