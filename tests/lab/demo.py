"""The show of ./demo: each step is a command as a person would type it, its real output, and what was expected of it."""
import argparse
import json
import os
import re
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

from lab.gateway import settings_text                                                     # noqa: E402
from lab.libvirtd import Libvirtd, have_qemu                                              # noqa: E402
from lab.pki import Authority                                                             # noqa: E402
from lab.process import Daemon, LabError, Scratch, clean_environment, wait_until          # noqa: E402

GUEST = "web-vm"
GUEST_UUID = "11111111-0000-4000-8000-0000000000ee"

POLICY = """\
{
  "version": 1,
  "groups": {
    "webops":  ["sasl:alice"],
    "readers": ["sasl:bob"]
  },
  "sets": { "web": { "domain": ["web-*"] } },
  "bindings": [
    { "id": "webops-on-web", "who": ["group:webops"],  "role": "operator", "on": ["set:web"] },
    { "id": "webops-see-db", "who": ["group:webops"],  "role": "viewer",   "on": ["domain:db-*"] },
    { "id": "readers",       "who": ["group:readers"], "role": "viewer",   "on": ["*"] }
  ]
}
"""


START = """\
import sys, libvirt
libvirt.registerErrorHandler(lambda *_: None, None)
wanted = [libvirt.VIR_CRED_AUTHNAME, libvirt.VIR_CRED_PASSPHRASE]   # answered by the URI's authfile
try:
    libvirt.openAuth(sys.argv[1], [wanted, lambda *_: -1, None]).lookupByName(sys.argv[2]).create()
except libvirt.libvirtError as error:
    sys.exit(f"libvirt error {error.get_error_code()}: {error}")
"""


class Look:
    """Colours only where somebody looks."""

    def __init__(self):
        coloured = sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb" and "NO_COLOR" not in os.environ
        self.bold, self.dim, self.green, self.red, self.plain = \
            ("\033[1m", "\033[2m", "\033[32m", "\033[31m", "\033[0m") if coloured else ("",) * 5


look = Look()


class Show:
    """Runs and prints the steps; counts those that did not give what was expected."""

    def __init__(self, directory, variables):
        self.directory = directory
        self.environment = variables
        self.right = 0
        self.wrong = 0

    def title(self, text):
        print(f"\n{look.bold}{text}{look.plain}", flush=True)

    def say(self, text):
        print(f"  {text}", flush=True)

    def judge(self, good, expected):
        self.right += good
        self.wrong += not good
        mark = f"{look.green}✓{look.plain}" if good else f"{look.red}✗{look.plain}"
        print(f"  {mark} {expected}" + ("" if good else f"  {look.red}<- this was expected{look.plain}"), flush=True)
        return good

    def holds_picture(self, name):
        try:
            with open(os.path.join(self.directory, name), "rb") as file:
                return file.read(2) in (b"P6", b"\x89P")
        except OSError:
            return False

    def step(self, command, expected, code=0, has=(), lacks=(), quiet=False):
        """Runs a shell command in the scratch directory. `code` None: any but 0. `has`: expressions the output must match."""
        print(f"\n  {look.bold}$ {command}{look.plain}", flush=True)
        done = subprocess.run(["bash", "-c", command], cwd=self.directory, env=self.environment, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", timeout=180, check=False)
        lines = [line.rstrip() for line in done.stdout.strip("\n").splitlines()]
        if not quiet or done.returncode != 0:
            for line in lines:
                print(f"    {line}")
        good = done.returncode == code if code is not None else done.returncode != 0
        good = good and all(re.search(pattern, done.stdout, re.M) for pattern in has)
        good = good and not any(re.search(pattern, done.stdout, re.M) for pattern in lacks)
        self.judge(good, expected)
        return done


def prepare(show, scratch):
    show.title("1. Certificates, people and a policy")
    show.step("virtgate pki init --dir pki --name 'Demo CA' && virtgate pki server --dir pki localhost 127.0.0.1",
              "a CA, and a certificate for this gateway")
    for person in ("alice", "bob"):
        show.step(f"virtgate pki client --dir pki {person}", f"a certificate for {person}", quiet=person == "bob")
    show.step("virtgate pki init --dir stranger --name 'Another CA' && virtgate pki client --dir stranger mallory",
              "and a stranger with a certificate of some other CA", quiet=True)
    scratch.directory("sasl")
    scratch.write("sasl/libvirt.conf", "mech_list: scram-sha-256\npwcheck_method: auxprop\nauxprop_plugin: sasldb\n"
                  f"sasldb_path: {scratch('sasl', 'sasldb2')}\n")
    show.step("echo alice-secret | saslpasswd2 -p -c -f sasl/sasldb2 -a libvirt alice &&\n"
              "    echo bob-secret | saslpasswd2 -p -c -f sasl/sasldb2 -a libvirt bob", "passwords, checked by SCRAM-SHA-256")
    scratch.give(scratch("sasl", "sasldb2"))
    for name, user, password in (("alice", "alice", "alice-secret"), ("bob", "bob", "bob-secret"), ("wrong", "alice", "guessed")):
        scratch.write(f"{name}.auth", f"[credentials-x]\nauthname={user}\npassword={password}\n"
                      "[auth-libvirt-localhost]\ncredentials=x\n", mode=0o600)
    # A stranger who trusts our server but whose own certificate is from elsewhere.
    Authority.trust(scratch("stranger/clients/mallory"), scratch("pki/CA/cacert.pem"), scratch("stranger/CA/cacert.pem"))
    scratch.write("policy.json", POLICY)
    scratch.write("start.py", START)
    show.step("cat policy.json", "alice operates web-* and sees db-*, bob only reads")
    show.step("virtgate policy check policy.json", "the policy has no mistakes")
    show.step("virtgate policy can sasl:alice domain:start domain:web-1 --policy policy.json", "yes, by webops-on-web",
              has=["^yes", "webops-on-web"])
    show.step("virtgate policy can sasl:alice domain:start domain:db-1 --policy policy.json", "no", code=1, has=["^no"])


def start_gateway(show, scratch, libvirtd, build):
    show.title("2. A libvirtd that nobody reaches but virtgate, and virtgated in front of it")
    for name in ("audit", "state", "run"):
        scratch.give(scratch.directory(name))
    settings = {
        "listen_addr": "127.0.0.1", "tls_port": "0", "auth_tls": "sasl",
        "ca_file": scratch("pki/CA/cacert.pem"), "cert_file": scratch("pki/libvirt/servercert.pem"),
        "key_file": scratch("pki/libvirt/private/serverkey.pem"), "crl_file": scratch("pki/CA/cacrl.pem"),
        "sasl_conf_dir": scratch("sasl"),
        "backend_socket": libvirtd.socket, "backend_socket_ro": libvirtd.socket_ro,
        "allowed_uris": [libvirtd.test_uri, libvirtd.qemu_uri],
        "policy_file": scratch("policy.json"),
        "audit_dir": scratch("audit"), "state_dir": scratch("state"), "run_dir": scratch("run"),
    }
    if os.geteuid() == 0:
        settings.update(user=scratch.run_as, group="nogroup")
    scratch.write("virtgated.conf", settings_text(settings))
    show.say(f"libvirtd listens on {libvirtd.socket}")
    show.step("virtgated --config virtgated.conf --check-config", "the settings have no mistakes")
    print(f"\n  {look.bold}$ virtgated --config virtgated.conf --foreground &{look.plain}", flush=True)
    with open(scratch("virtgated.out"), "wb") as output:
        daemon = Daemon("virtgated", [f"{build}/virtgated", "--config", scratch("virtgated.conf"), "--foreground"],
                        scratch("virtgated.log"), clean_environment(), stdout=output)
    scratch.later(daemon.stop)

    def ready():
        with open(scratch("virtgated.out"), encoding="utf-8") as output:
            return "READY" in output.read()
    daemon.wait_ready(ready, "READY on standard output")
    with open(scratch("run/ports.json"), encoding="utf-8") as file:
        port = json.load(file)["tls"]
    show.say(f"  READY: TLS on localhost:{port}")
    return port, daemon


def write_addresses(show, scratch, port, with_guest):
    """The URIs go into shell variables: they are long, and the same ones serve whoever tries by hand."""
    def uri(scheme, rest, pki, auth):
        return f"{scheme}+tls://localhost:{port}/{rest}?pkipath={pki}&authfile={scratch(auth)}"
    clients = scratch("pki", "clients")
    addresses = {
        "ALICE": uri("test", "default", f"{clients}/alice", "alice.auth"),
        "BOB": uri("test", "default", f"{clients}/bob", "bob.auth"),
        "STRANGER": uri("test", "default", scratch("stranger/clients/mallory"), "alice.auth"),
        "GUESSER": uri("test", "default", f"{clients}/alice", "wrong.auth"),
    }
    if with_guest:
        addresses["ALICE_QEMU"] = uri("qemu", "system" if os.geteuid() == 0 else "session", f"{clients}/alice", "alice.auth")
    scratch.write("addresses", "".join(f"export {name}='{value}'\n" for name, value in addresses.items()))
    show.environment.update(addresses)
    show.step("cat addresses", "where alice, bob and others connect to")


def people(show, libvirtd, with_guest):
    show.title("3. alice, operator of web-*")
    show.step("virsh -c \"$ALICE\" list --all", "she sees web-1 and db-1, but not hr-1", has=["web-1", "db-1"], lacks=["hr-1"])
    show.step("virsh -c \"$ALICE\" start web-1", "she may start web-1", has=["started"])
    show.judge(libvirtd.state("web-1") == "running", "libvirtd itself says that web-1 is running")
    show.step("virsh -c \"$ALICE\" destroy web-1", "and stop it", has=["destroyed"])
    show.judge(libvirtd.state("web-1") == "shut off", "libvirtd itself says that web-1 is shut off")
    show.step("virsh -c \"$ALICE\" start db-1", "db-1 is not hers: refused, naming permission and object", code=1,
              has=["access denied: 'domain:start' on domain 'db-1'"])
    show.judge(libvirtd.state("db-1") == "shut off", "and db-1 was not started")
    show.step("/usr/bin/python3 start.py \"$ALICE\" db-1", "what a program gets: error 88, VIR_ERR_ACCESS_DENIED", code=1,
              has=["^libvirt error 88: access denied"])
    hidden = show.step("virsh -c \"$ALICE\" domstate hr-1", "hr-1 she may not even see", code=1, lacks=["access denied"])
    missing = show.step("virsh -c \"$ALICE\" domstate hr-9", "it looks just like one that does not exist", code=1)
    show.judge(hidden.stdout.replace("hr-1", "hr-9") == missing.stdout, "the same words, but for the name")
    if with_guest:
        show.title("   The same for a real QEMU guest")
        show.step("virsh -c \"$ALICE_QEMU\" start " + GUEST, "a virtual machine starts", has=["started"])
        show.step("virsh -c \"$ALICE_QEMU\" screenshot " + GUEST + " screen.png", "its screen comes through as a stream",
                  has=["Screenshot saved"])
        show.judge(show.holds_picture("screen.png"), "and is a picture")
        show.step("virsh -c \"$ALICE_QEMU\" list", "and it is running", has=[GUEST + " +running"])

    show.title("4. bob, who only reads")
    show.step("virsh -c \"$BOB\" list --all", "he sees everything", has=["web-1", "db-1", "hr-1"])
    show.step("virsh -c \"$BOB\" dominfo web-1", "and reads it", has=["State: +shut off"])
    show.step("virsh -c \"$BOB\" start web-1", "but starts nothing", code=1, has=["access denied: 'domain:start' on domain 'web-1'"])

    show.title("5. Others")
    # virsh may be writing when the gateway hangs up, and is then ended by SIGPIPE without a word: any failure will do.
    show.step("virsh -c \"$STRANGER\" list", "a certificate of another CA is refused", code=None, lacks=["web-1"])
    show.step("virsh -c \"$GUESSER\" list", "so is a wrong password", code=1, has=["authentication failed"], lacks=["web-1"])


def audit(show):
    show.title("6. Who did what, and who was refused")
    def recorded():
        done = subprocess.run(["virtgate", "audit", "search", "--dir", "audit", "--json"], cwd=show.directory, env=show.environment,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
        return '"VG1102W"' in done.stdout
    try:
        wait_until(recorded, "the last records")
    except LabError:
        pass        # the next steps say what is missing
    show.step("virtgate audit search --dir audit --object web-1", "what happened to web-1", has=["alice.*web-1", "bob.*web-1"])
    show.step("virtgate audit search --dir audit --result denied", "what was refused, and to whom", has=["alice.*db-1", "bob.*web-1"])
    show.step("virtgate audit search --dir audit --code VG1102W", "log-ins that failed", has=["VG1102W|session.login"])
    show.step("virtgate audit verify audit", "nothing was added, changed or removed afterwards")


def by_hand(show, build, libvirtd, with_guest):
    print(f"""
{look.bold}Try it yourself{look.plain}, in another terminal:

  cd {show.directory}
  . ./addresses
  export PATH={build}:$PATH
  virsh -c "$ALICE" list --all
  virsh -c "$ALICE" start web-1
  virsh -c "$BOB" dumpxml db-1
  virtgate policy explain sasl:bob domain:start domain:web-1 --policy policy.json
  virtgate audit tail --dir audit""" + (f"""
  virsh -c "$ALICE_QEMU" console {GUEST}        # it sends back each key plus one; leave with Ctrl-]""" if with_guest else "") + f"""

Change policy.json, then `virtgate reload --config virtgated.conf`. The settings are in virtgated.conf, the log in virtgated.log.
The libvirtd behind it all: virsh -c '{libvirtd.direct(libvirtd.test_uri)}'
""", flush=True)


def run_show(arguments, scratch):
    variables = clean_environment(HOME=scratch.directory("home"), LANG="C.UTF-8")
    variables["PATH"] = f"{arguments.build}:{variables['PATH']}"
    variables["XDG_CACHE_HOME"] = variables["XDG_RUNTIME_DIR"] = variables["HOME"]
    show = Show(scratch.path, variables)
    print(f"{look.bold}virtgate: the guarded door of a KVM host{look.plain}\n  scratch directory {scratch.path}")

    prepare(show, scratch)
    libvirtd = Libvirtd(scratch, cache=f"{arguments.build}/qemu-cache")
    libvirtd.seeds = {name: (uuid, "running" if name == "hr-1" else "shut") for name, (uuid, _) in Libvirtd.seeds.items()
                      if name != "web-2"}
    libvirtd.start()
    with_guest = have_qemu()
    if with_guest:
        libvirtd.define_guest(GUEST, GUEST_UUID)
    port, daemon = start_gateway(show, scratch, libvirtd, arguments.build)
    write_addresses(show, scratch, port, with_guest)
    people(show, libvirtd, with_guest)
    audit(show)

    print(f"\n{look.bold}{show.right} of {show.right + show.wrong} steps gave what was expected.{look.plain}")
    if show.wrong:
        print(f"The gateway's log ends:\n{daemon.log_tail(15)}")
    if not arguments.once:
        by_hand(show, arguments.build, libvirtd, with_guest)
        print("Up until Ctrl-C.", flush=True)
        try:
            while daemon.running():
                time.sleep(0.5)
            print(f"virtgated has ended by itself; its log ends:\n{daemon.log_tail()}")
            show.wrong += 1
        except KeyboardInterrupt:
            print("\nEnding.")
    return 0 if show.wrong == 0 else 1


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    parser.add_argument("--once", action="store_true")
    parser.add_argument("--dir")
    arguments = parser.parse_args()
    if arguments.dir and os.path.isdir(arguments.dir) and os.listdir(arguments.dir):
        print(f"demo: {arguments.dir} is not empty; name another directory, or remove it", file=sys.stderr)
        return 2
    if arguments.dir and len(arguments.dir) > 70:
        print("demo: the path given with --dir is too long for UNIX sockets below it (70 characters)", file=sys.stderr)
        return 2

    def terminated(*_):
        raise KeyboardInterrupt
    signal.signal(signal.SIGTERM, terminated)
    signal.signal(signal.SIGHUP, terminated)
    with Scratch(arguments.dir, keep=arguments.dir is not None) as scratch:
        try:
            return run_show(arguments, scratch)
        except LabError as error:
            print(f"demo: {error}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("\ndemo: interrupted", file=sys.stderr)
            return 130


sys.exit(main())
