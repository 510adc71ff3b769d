"""virtgated with its settings, policy, certificates, SASL users and the clients that talk to it."""
import json
import os
import signal
import subprocess
import textwrap

from .process import PATIENCE, PYTHON, Daemon, Complaint, LabError, alive, children_of, clean_environment, run, wait_until

# alice operates web-*, sees db-*, and must not learn that hr-1 exists; bob sees everything; admin may do everything.
POLICY = {
    "version": 1,
    "groups": {
        "admins": ["x509-cn:admin", "sasl:admin", "unix:root"],
        "webops": ["x509-cn:alice", "sasl:alice"],
        "readers": ["x509-cn:bob", "sasl:bob"],
        "auditors": ["x509-cn:carol", "sasl:carol"],
    },
    "sets": {"web": {"domain": ["web-*"]}},
    "bindings": [
        {"id": "admins-on-all", "who": ["group:admins"], "role": "admin", "on": ["*"]},
        {"id": "webops-on-web", "who": ["group:webops"], "role": "operator", "on": ["set:web"]},
        {"id": "webops-see-db", "who": ["group:webops"], "role": "viewer", "on": ["domain:db-*"]},
        {"id": "readers-on-all", "who": ["group:readers"], "role": "viewer", "on": ["*"]},
    ],
}

# What runs a test's snippet in a process of its own: `conn` is open, fail(f) gives the libvirt error of f() as a dict.
PRELUDE = """
import json, os, sys, threading, time
import libvirt
libvirt.registerErrorHandler(lambda _, error: None, None)
def answer(value):
    print(json.dumps(value), flush=True)
def failure(error):
    return {"code": error.get_error_code(), "domain": error.get_error_domain(), "message": error.get_error_message()}
def fail(function, *arguments):
    try:
        return {"code": 0, "value": repr(function(*arguments))}
    except libvirt.libvirtError as error:
        return failure(error)
URI = sys.argv[1]
def connect(flags=0):
    # the answers are in the file that authfile= names; without a callback libvirt would not even look
    wanted = [libvirt.VIR_CRED_AUTHNAME, libvirt.VIR_CRED_PASSPHRASE]
    return libvirt.openAuth(URI, [wanted, lambda credentials, _: -1, None], flags)
"""


def find_build(top):
    """Where the programs are: VIRTGATE_BUILD, else the newest of the usual places."""
    if "VIRTGATE_BUILD" in os.environ:
        return os.path.abspath(os.environ["VIRTGATE_BUILD"])
    places = [os.path.join(top, "build", name) for name in ("check-asan", "check-gcc", "demo", ".")]
    built = [place for place in places if os.path.exists(f"{place}/virtgated")]
    if not built:
        raise LabError(f"virtgated is not built: looked in {', '.join(places)}; run ./check or set VIRTGATE_BUILD")
    return max(built, key=lambda place: os.path.getmtime(f"{place}/virtgated"))


def settings_text(settings):
    """libconfig's syntax, as libvirtd.conf has it."""
    def value_text(value):
        if isinstance(value, bool):
            return str(int(value))
        if isinstance(value, (list, tuple)):
            return "[" + ", ".join(json.dumps(item) for item in value) + "]"
        return json.dumps(value)
    return "".join(f"{key} = {value_text(value)}\n" for key, value in settings.items() if value is not None)


class SaslUsers:
    """A sasldb of our own and the configuration directory that names it."""

    def __init__(self, scratch, name="sasl", mechanisms="scram-sha-256", passwords=None, keytab=None):
        self.scratch = scratch
        self.dir = scratch.directory(name)
        self.database = f"{self.dir}/sasldb2"
        self.passwords = dict(passwords or {})
        scratch.write(f"{name}/libvirt.conf", f"mech_list: {mechanisms}\npwcheck_method: auxprop\nauxprop_plugin: sasldb\n"
                      f"sasldb_path: {self.database}\n" + (f"keytab: {keytab}\n" if keytab else ""))
        for user, password in self.passwords.items():
            # no -u: the realm is the name of this host, as the server looks it up
            run(["saslpasswd2", "-p", "-c", "-f", self.database, "-a", "libvirt", user], stdin=password + "\n")
        if os.path.exists(self.database):
            os.chmod(self.database, 0o600)
            scratch.give(self.database)

    def authfile(self, user, password=None):
        """A file with credentials for virsh's authfile=."""
        name = user if password is None else f"{user}-other"
        return self.scratch.write(f"{os.path.basename(self.dir)}/auth-{name}.conf", f"""\
[credentials-x]
authname={user}
password={self.passwords.get(user, "none") if password is None else password}
[auth-libvirt-localhost]
credentials=x
""")


class Gateway:
    """
    gateway = Gateway(top, scratch, libvirtd, pki, name="gw", auth_tls="sasl", ...).start()

    Keyword arguments are settings of virtgated.conf. `users` maps a person to {"pki": DIR, "auth": FILE, "environment": {...}}.
    """

    def __init__(self, top, scratch, libvirtd, authority, name="gateway", policy=None, environment=None, sasl=None, **settings):
        self.top = top
        self.build = find_build(top)
        self.scratch = scratch
        self.libvirtd = libvirtd
        self.authority = authority
        self.sasl = sasl
        self.dir = scratch.directory(name)
        self.name = name
        self.environment = environment or {}
        self.daemon = None
        self.ports = {}
        self.kerberos = {}
        for part in ("audit", "state", "run"):
            scratch.give(scratch.directory(name, part))
        scratch.give(scratch.directory(name, "sanitizer", mode=0o1777))
        self.policy_file = self.write_policy(POLICY if policy is None else policy)
        self.settings = {
            "listen_addr": "127.0.0.1", "tls_port": "0", "tcp_port": "0", "vnc_port": "0", "vnc_ports": "0",
            "ca_file": authority.ca_cert, "cert_file": authority.server_cert, "key_file": authority.server_key,
            "backend_socket": libvirtd.socket, "backend_socket_ro": libvirtd.socket_ro,
            "allowed_uris": [libvirtd.test_uri, libvirtd.qemu_uri],
            "policy_file": self.policy_file, "audit_dir": f"{self.dir}/audit", "state_dir": f"{self.dir}/state",
            "run_dir": f"{self.dir}/run", "log_level": 2, "log_outputs": ["2:stderr"],
        }
        if sasl is not None:
            self.settings["sasl_conf_dir"] = sasl.dir
        if os.geteuid() == 0:
            self.settings.update(user=scratch.run_as, group="nogroup")
        self.settings.update(settings)

    # ---- files ----

    def write_policy(self, policy):
        text = policy if isinstance(policy, str) else json.dumps(policy, indent=2)
        return self.scratch.write(f"{self.name}/policy.json", text)

    def write_settings(self, **changes):
        self.settings.update(changes)
        return self.scratch.write(f"{self.name}/virtgated.conf", settings_text(self.settings))

    # ---- life ----

    def start(self):
        config = self.write_settings()
        # little quarantine: tests look at how much memory is in use
        options = {"log_path": f"{self.dir}/sanitizer/report", "quarantine_size_mb": "1"}
        environment = clean_environment(**self.environment)
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS"):
            environment[name] = ":".join([environment[name]] if name in environment else []
                                         + [f"{key}={value}" for key, value in options.items()
                                            if name == "ASAN_OPTIONS" or key == "log_path"])
        log = f"{self.dir}/log"
        ready = f"{self.dir}/stdout"
        with open(ready, "wb") as output:
            self.daemon = Daemon("virtgated", [f"{self.build}/virtgated", "--config", config, "--foreground"], log, environment,
                                 stdout=output)
        self.scratch.later(self.stop)
        self.daemon.wait_ready(lambda: "READY" in self._read(ready), "READY on standard output")
        with open(f"{self.dir}/run/ports.json", encoding="utf-8") as file:
            self.ports = json.load(file)
        return self

    @staticmethod
    def _read(path):
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def log(self):
        return self._read(f"{self.dir}/log")

    def stop(self):
        if self.daemon is None:
            return
        daemon, self.daemon = self.daemon, None
        pids = children_of(daemon.pid)
        code = daemon.stop()
        wait_until(lambda: not any(alive(pid) for pid in pids), "the end of virtgated's children")
        reports = self.sanitizer_reports()
        if reports:
            raise Complaint("sanitizers have complained:\n" + reports)
        if code != 0:
            raise LabError(f"virtgated ended with {code}; its log ends:\n{daemon.log_tail()}")

    def sanitizer_reports(self):
        directory = f"{self.dir}/sanitizer"
        return "\n".join(self._read(f"{directory}/{name}") for name in sorted(os.listdir(directory)))

    def reload(self, expect="VG1004I"):
        """SIGHUP, and back when the audit trail says that it was done (or, with VG1005E, refused)."""
        before = len(self.audit(code=expect))
        self.daemon.signal(signal.SIGHUP)
        wait_until(lambda: len(self.audit(code=expect)) > before, f"audit record {expect} after SIGHUP")

    # ---- its processes ----

    def children(self, kind):
        """Process ids of the rooms of a kind: front, gate, audit."""
        found = []
        for pid in children_of(self.daemon.pid):
            try:
                if self._read(f"/proc/{pid}/comm").strip() == f"virtgated-{kind}":
                    found.append(pid)
            except OSError:
                pass
        return found

    def kill_child(self, kind, number=signal.SIGKILL):
        """Kills one process of that kind and waits for its end. Its replacement may take a moment: see wait_child."""
        pid = wait_until(lambda: self.children(kind), f"a process virtgated-{kind}")[0]
        os.kill(pid, number)
        wait_until(lambda: not alive(pid), f"the end of {pid}")
        return pid

    def wait_child(self, kind, other_than=()):
        return wait_until(lambda: [pid for pid in self.children(kind) if pid not in other_than], f"a new virtgated-{kind}")

    def memory_kib(self, *kinds):
        """Private memory of its processes of these kinds, or of all: those whose work is not tried may have work of their own."""
        total = 0
        for pid in [pid for kind in kinds for pid in self.children(kind)] or [self.daemon.pid] + children_of(self.daemon.pid):
            for line in self._read(f"/proc/{pid}/smaps_rollup").splitlines():
                if line.startswith(("Private_Clean:", "Private_Dirty:")):
                    total += int(line.split()[1])
        return total

    # ---- clients ----

    def uri(self, user, uri=None, via="tls", authfile=None, pki=None):
        """The URI that takes `user` through this gateway to `uri`."""
        scheme, rest = (uri or self.libvirtd.test_uri).split("://", 1)
        options = []
        if via == "unix":
            socket_path = f"{self.dir}/run/virtgate-sock"
            return f"{scheme}+unix://{rest}?socket={socket_path}" if scheme != "qemu" else \
                f"qemu://{rest}?socket={socket_path}"
        if via == "tls":
            options.append(f"pkipath={pki or f'{self.authority.clients}/{user}'}")
        if authfile or (self.sasl is not None and user in self.sasl.passwords):
            options.append(f"authfile={authfile or self.sasl.authfile(user)}")
        text = f"{scheme}+{via}://localhost:{self.ports[via]}{rest}"
        return text + ("?" + "&".join(options) if options else "")

    def client_environment(self, user):
        home = self.scratch.directory(self.name, "home", user)
        return clean_environment(HOME=home, XDG_CACHE_HOME=home, XDG_RUNTIME_DIR=home, XDG_CONFIG_HOME=home,
                                 **self.kerberos.get(user, {}))

    def virsh(self, user, *arguments, check=False, seconds=2 * PATIENCE, **where):
        """Runs virsh to its end; returns the completed process. `where`: as for uri()."""
        return run(["virsh", "-c", self.uri(user, **where), *arguments], check=check, seconds=seconds,
                   environment=self.client_environment(user))

    def popen_virsh(self, user, *arguments, **where):
        return subprocess.Popen(["virsh", "-c", self.uri(user, **where), *arguments], stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.client_environment(user))

    def popen_python(self, user, code, *arguments, **where):
        """Starts a snippet with python3-libvirt in a process of its own; it may print lines with answer(VALUE)."""
        text = PRELUDE + textwrap.dedent(code)
        return subprocess.Popen([PYTHON, "-c", text, self.uri(user, **where), *arguments], stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=self.client_environment(user))

    def python(self, user, code, *arguments, seconds=2 * PATIENCE, **where):
        """Runs such a snippet to its end; returns what it gave to answer(), one value or a list of several."""
        process = self.popen_python(user, code, *arguments, **where)
        try:
            output, errors = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            output, errors = process.communicate()
            raise LabError(f"the client hung for {seconds} s; it had printed {output!r} {errors!r}") from None
        if process.returncode != 0:
            raise LabError(f"the client ended with {process.returncode}: {errors.strip()}\noutput: {output}")
        answers = [json.loads(line) for line in output.splitlines()]
        return answers[0] if len(answers) == 1 else answers

    # ---- the command line and the audit trail ----

    def virtgate(self, *arguments, check=False):
        return run([f"{self.build}/virtgate", *arguments], check=check)

    def audit_verify(self):
        return self.virtgate("audit", "verify", f"{self.dir}/audit")

    def audit(self, **wanted):
        """Records of the trail, in order, whose members equal `wanted`; "object__name" goes into members."""
        records = []
        for name in sorted(os.listdir(f"{self.dir}/audit")):
            if not name.endswith((".jsonl", ".log", ".json")):
                continue
            with open(f"{self.dir}/audit/{name}", encoding="utf-8") as file:
                for line in file:
                    if not line.endswith("\n"):     # in the middle of being written; its rest would be a line of its own
                        break
                    try:
                        records.append(json.loads(line))
                    except ValueError as error:
                        raise LabError(f"{name} has a line that is not JSON: {line[:200]!r}") from error
        def fits(record):
            for path, value in wanted.items():
                member = record
                for key in path.split("__"):
                    member = member.get(key) if isinstance(member, dict) else None
                if member != value:
                    return False
            return True
        return sorted((record for record in records if fits(record)), key=lambda record: record.get("seq", 0))

    def wait_audit(self, count=1, seconds=PATIENCE, **wanted):
        return wait_until(lambda: (lambda found: found if len(found) >= count else None)(self.audit(**wanted)),
                          f"{count} audit record(s) with {wanted}", seconds)
