"""
The same grants in two languages, and the same calls to both: policy.json for a gateway, and polkit's rules for a libvirtd with
access_drivers = ["polkit"], which is how libvirt itself judges calls. Both see the same process of the same user.
"""
import json
import os
import re
import struct
import subprocess
import traceback
from collections import namedtuple

import oracle_things
from lab.polkit import ACTIONS
from lab.process import PYTHON, LabError, clean_environment, die_with_parent
from oracle_things import GRANTED, GROUPS, HIDDEN, uuid_bytes
from rawrpc import OK, RawClient

# permissions: "CLASS:NAME" as the gateway has them; on: "*", or of each class "CLASS:GLOB", as in policy.json.
Grant = namedtuple("Grant", "permissions on")
# role: a built-in role instead of the permissions themselves, on the gateway's side.
Person = namedtuple("Person", "uid title grants role", defaults=(None,))

FIRST_UID = 59000
DENIED, UNKNOWN, READ_ONLY = 88, 39, 29
MISSING = {42, 43, 49, 50, 53, 57, 62, 66, 101, 107}
PARENTS = {"storage_vol": "storage_pool", "network_port": "network"}

# ---- permissions, as either side has them ----


def own_permissions(top):
    """Every permission of the gateway, in order of include/virtgate/permissions.def."""
    with open(f"{top}/include/virtgate/permissions.def", encoding="utf-8") as file:
        return [f"{group}:{name}" for group, name in re.findall(r"^(?:PERM|PART)\((\w+), (\w+),", file.read(), re.M)]


def libvirt_permissions():
    """Every permission that the libvirt which is installed asks polkit about."""
    with open(ACTIONS, encoding="utf-8") as file:
        actions = re.findall(r'<action id="org\.libvirt\.api\.([a-z-]+)\.([a-z-]+)"', file.read())
    return [f"{group}:{name}".replace("-", "_") for group, name in actions]


def action_of(permission):
    return "org.libvirt.api." + permission.replace(":", ".").replace("_", "-")


# ---- the two languages ----


def to_policy(people):
    """policy.json, as a document."""
    policy = {"version": 1, "roles": {}, "bindings": [{"id": "root", "who": ["unix:root"], "role": "admin", "on": ["*"]}]}
    for person in people:
        for number, grant in enumerate(person.grants):
            name = f"p{person.uid}-{number}"
            if person.role is None:
                policy["roles"][name] = {"allow": list(grant.permissions)}
            policy["bindings"].append({"id": name, "who": [f"unix:{person.uid}"], "role": person.role or name, "on": list(grant.on),
                                       "description": person.title})
    return policy


RULES = """\
var people = %s;
// What names an object of each class: the class of a pattern, then the attribute of polkit's action.
var names = {
    "domain": [["domain", "domain_name"]], "network": [["network", "network_name"]], "network-port": [["network", "network_name"]],
    "storage-pool": [["storage_pool", "pool_name"]], "storage-vol": [["storage_pool", "pool_name"], ["storage_vol", "vol_name"]],
    "nwfilter": [["nwfilter", "nwfilter_name"]], "nwfilter-binding": [["nwfilter_binding", "nwfilter_binding_portdev"]],
    "secret": [["secret", "secret_uuid"]], "interface": [["interface", "interface_name"]],
    "node-device": [["node_device", "node_device_name"]]
};
function matches(pattern, value) {
    return new RegExp("^" + pattern.replace(/[.+^${}()|[\\]\\\\]/g, "\\\\$&").replace(/\\*/g, ".*").replace(/\\?/g, ".") + "$").test(value);
}
function covers(on, group, action) {
    if (on === "*" || group === "connect")      // what is granted of the host holds for the host
        return true;
    return names[group].some(function(name) {
        var value = action.lookup(name[1]);
        return on.indexOf(name[0] + ":") === 0 && value !== undefined && matches(on.substr(name[0].length + 1).replace(/^uuid:/, ""), value);
    });
}
polkit.addRule(function(action, subject) {
    if (action.id.indexOf("org.libvirt.api.") !== 0)
        return polkit.Result.NOT_HANDLED;
    var group = action.id.split(".")[3], grants = people[subject.user] || [];
    var granted = grants.some(function(grant) {
        return grant.actions[action.id] === 1 && grant.on.some(function(on) { return covers(on, group, action); });
    });
    return granted ? polkit.Result.YES : polkit.Result.NO;
});
"""


def to_rules(people):
    """A file for polkit's rules.d. Nobody has more than here: also what libvirt's own defaults give to everyone is taken away."""
    table = {str(person.uid): [{"actions": {action_of(permission): 1 for permission in grant.permissions}, "on": list(grant.on)}
                               for grant in person.grants] for person in people}
    return RULES % json.dumps(table, indent=1)


class Keeper:
    """A process of root that defines what there is on one libvirtd and restores it on demand."""

    def __init__(self, scratch, libvirtd):
        self.process = subprocess.Popen([PYTHON, "-B", oracle_things.__file__, libvirtd.direct("qemu:///system")], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, env=clean_environment(), preexec_fn=die_with_parent)
        scratch.later(self.stop)
        self._ready()

    def _ready(self):
        if self.process.stdout.readline() != "ready\n":
            raise LabError("what the oracle is asked about could not be defined")

    @staticmethod
    def restore(keepers, group, name):
        """On all of them at a time."""
        for keeper in keepers:
            keeper.process.stdin.write(f"{group} {name}\n")
            keeper.process.stdin.flush()
        for keeper in keepers:
            keeper._ready()

    def stop(self):
        self.process.kill()
        self.process.communicate()


# ---- asking ----

# code 0: done. seen: which of the names and UUIDs of GROUPS the reply has in it; number: its last word.
Answer = namedtuple("Answer", "code seen number text")
ENDED = Answer(-1, "", 0, "the session ended")


class Side:
    """One session of the person at one side; a new one when the other end hangs up."""

    def __init__(self, path, uri):
        self.path, self.uri, self.client, self.serial = path, uri, None, 0

    def open(self):
        """The answer to CONNECT_OPEN."""
        self.client = RawClient.unix(self.path, 60)
        return self._answer(self.client.open(self.uri))

    def send(self, call):
        if self.client is None and self.open().code != 0:
            raise LabError(f"{self.path} lets nobody in")
        self.serial = self.client.send(call.number, call.body, program=call.program)

    def receive(self):
        try:
            return self._answer(self.client.reply_to(self.serial))
        except EOFError:
            self.close()
            return ENDED

    @staticmethod
    def _answer(reply):
        if reply.status != OK:
            return Answer(reply.code, "", 0, reply.text)
        seen = "".join(mark for mark, names in (("w", [GRANTED]), ("h", [HIDDEN])) for name in names
                       if name.encode() in reply.body or any(uuid_bytes(group, name) in reply.body for group in GROUPS))
        return Answer(0, seen, struct.unpack("!i", reply.body[-4:])[0] if reply.body else 0, "")

    def close(self):
        if self.client is not None:
            self.client.close()
            self.client = None


def ask_both(person, calls, paths, uri, mend, curious=None):
    """
    As that user, in a process of its own, whose credentials both peers see: a list of (call, the gateway's answer, libvirt's), first
    those to opening the connection, with None as the call. `mend` is called after what changed something. With `curious`, libvirt is
    not asked (which takes a millisecond) about calls that the gateway refuses, but for those of which curious(call) is true.
    """
    down, up = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(down[1])
            os.close(up[0])
            die_with_parent()
            be_person(person, calls, paths, uri, curious, os.fdopen(down[0], "rb", 0),
                      os.fdopen(up[1], "w", 1))
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    os.close(down[0])
    os.close(up[1])
    found = []
    try:
        with os.fdopen(down[1], "wb", 0) as orders, os.fdopen(up[0]) as answers:
            for line in answers:
                number, changed, gate, libvirt = json.loads(line)
                call = None if number is None else calls[number]
                found.append((call, Answer(*gate), Answer(*libvirt)))
                if changed:
                    mend(call)
                    orders.write(b"\n")
    finally:
        _, status = os.waitpid(pid, 0)
    if status != 0:
        raise LabError(f"the process of {person.title} ended with {status} after {found[-1:]}")
    return found


def be_person(person, calls, paths, uri, curious, orders, answers):
    os.setgroups([])
    os.setgid(65534)
    os.setuid(person.uid)
    sides = gate, libvirt = [Side(path, uri) for path in paths]
    opened = [side.open() for side in sides]
    answers.write(json.dumps([None, False, *opened]) + "\n")
    if any(answer.code != 0 for answer in opened):
        return
    for number, call in enumerate(calls):
        gate.send(call)
        if curious is None or curious(call):
            libvirt.send(call)
            replies = [gate.receive(), libvirt.receive()]
        else:
            replies = [gate.receive()]
            if replies[0].code in MISSING | {DENIED, UNKNOWN}:
                continue
            libvirt.send(call)
            replies.append(libvirt.receive())
        done = any(reply.code == 0 for reply in replies)
        changed = done and call.kind != "read"
        answers.write(json.dumps([number, changed, *replies]) + "\n")
        if changed:
            orders.read(1)
        if done and (call.kind != "read" or "register" in call.name):
            for side in sides:      # a stream that was opened, a callback, a transaction: gone with the session
                side.close()
