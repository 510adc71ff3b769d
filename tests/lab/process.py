"""Scratch directories and child processes that are gone when the run ends, however it ends."""
import ctypes
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

PYTHON = "/usr/bin/python3"     # the one with the distribution's libvirt module


class LabError(Exception):
    """A peer did not come up or behave; the message says which and where its log is."""


class Complaint(LabError):
    """What a sanitizer said of a program: never let go by."""


PATIENCE = 60.0     # seconds for what takes a moment: who succeeds never waits so long, and a busy machine may be fifty times as slow


def wait_until(condition, what, seconds=PATIENCE):
    """Polls until condition() is true and returns its value. LabError says what was waited for."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise LabError(f"waited {seconds:g} s in vain for {what}")
        time.sleep(0.01)


held_ports = []


def free_port():
    """
    A port of loopback for a peer that must be told its number. It is ours until this process ends: a socket stays bound to it, so that the kernel
    gives it to nobody else, and whoever says SO_REUSEADDR, as servers do, may listen there all the same.
    """
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind(("127.0.0.1", 0))
    held_ports.append(holder)
    return holder.getsockname()[1]


def answers(port):
    """Does anybody listen there?"""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def process_state(pid):
    """One letter of /proc (Z: zombie), or None when there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
            return stat.read().rpartition(")")[2].split()[0]
    except OSError:
        return None


def alive(pid):
    return process_state(pid) not in (None, "Z", "X")


def children_of(pid):
    """Process ids of the direct children, oldest first."""
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", encoding="ascii", errors="replace") as stat:
                fields = stat.read().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.append((int(fields[19]), int(name)))
    return [child for _, child in sorted(found)]


def die_with_parent():
    """In a child, before exec: a run that is killed leaves no daemons behind."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)


def clean_environment(**more):
    """What a peer gets to see: nothing of the caller's certificates, realms, proxies or locale."""
    environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
    for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"):
        if name in os.environ:
            environment[name] = os.environ[name]
    environment.update(more)
    return environment


class Daemon:
    """One child process with a log file. A direct child, so that it can be waited for."""

    def __init__(self, name, command, log, environment=None, stdout=None):
        self.name = name
        self.log = log
        with open(log, "ab") as output:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stdout or output, stderr=output,
                                            env=environment or clean_environment(), preexec_fn=die_with_parent,
                                            start_new_session=True)
        self.pid = self.process.pid

    def running(self):
        return self.process.poll() is None

    def require_running(self):
        if not self.running():
            raise LabError(f"{self.name} ended with {self.process.returncode}; its log {self.log} ends:\n{self.log_tail()}")

    def log_tail(self, lines=30):
        try:
            with open(self.log, encoding="utf-8", errors="replace") as log:
                return "".join(log.readlines()[-lines:])
        except OSError as error:
            return str(error)

    def wait_ready(self, condition, what, seconds=PATIENCE):
        def ready():
            self.require_running()
            return condition()
        try:
            return wait_until(ready, what, seconds)
        except LabError as error:
            raise LabError(f"{self.name}: {error}; its log {self.log} ends:\n{self.log_tail()}") from None

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self, seconds=PATIENCE):
        """SIGTERM, then SIGKILL. Returns the exit code (negative: signal)."""
        if self.running():
            self.process.terminate()
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
        return self.process.wait()


class Scratch:
    """A directory that others may pass through but not list, and everything to be undone with it, last first."""

    def __init__(self, directory=None, keep=False):
        self.keep = keep
        if directory is None:
            self.path = tempfile.mkdtemp(prefix="virtgate-")
        else:
            self.path = os.path.abspath(directory)
            os.makedirs(self.path, exist_ok=True)
        os.chmod(self.path, 0o711)
        self.undo = []
        self.run_as = "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name

    def __call__(self, *parts):
        return os.path.join(self.path, *parts)

    def directory(self, *parts, mode=0o755):
        path = self(*parts)
        os.makedirs(path, exist_ok=True)
        os.chmod(path, mode)
        return path

    def write(self, name, text, mode=0o644):
        path = self(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, mode)
        return path

    def give(self, *paths):
        """To the user that the gateway runs as."""
        if os.geteuid() == 0:
            user = pwd.getpwnam(self.run_as)
            for path in paths:
                os.chown(path, user.pw_uid, user.pw_gid)

    def later(self, function, *arguments):
        """To be called when the scratch directory is closed."""
        self.undo.append((function, arguments))

    def close(self):
        complaints = []
        while self.undo:
            function, arguments = self.undo.pop()
            try:
                function(*arguments)
            except Complaint as complaint:
                complaints.append(str(complaint))
            except Exception as error:      # the rest must be cleaned up all the same
                print(f"while cleaning up: {error}", file=sys.stderr)
        if not self.keep:
            shutil.rmtree(self.path, ignore_errors=True)
        if complaints:
            raise Complaint("\n".join(complaints))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def run(command, check=True, seconds=2 * PATIENCE, environment=None, stdin=None):
    """Runs a helper to its end; LabError with what it said when it fails."""
    done = subprocess.run(command, input=stdin, stdin=None if stdin is not None else subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=seconds, text=True, check=False,
                          env=environment or clean_environment())
    if check and done.returncode != 0:
        raise LabError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr.strip() or done.stdout.strip()}")
    return done
