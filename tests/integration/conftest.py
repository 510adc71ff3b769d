"""What every integration test stands on: one private libvirtd, one PKI, and gateways for each way in."""
import copy
import os
import signal
import socket
import sys

import pytest

TOP = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
sys.path.insert(0, os.path.join(TOP, "tests"))

from lab.gateway import POLICY, Gateway, SaslUsers, find_build     # noqa: E402
from lab.kdc import Kdc, have_kdc                       # noqa: E402
from lab.libvirtd import Libvirtd, have_qemu            # noqa: E402
from lab.pki import Authority, VirtgateAuthority        # noqa: E402
from lab.process import Scratch                         # noqa: E402
import screens                                          # noqa: E402

GUEST = "web-q"
GUEST_UUID = "11111111-0000-4000-8000-0000000000aa"
OTHER_GUEST = "db-q"
OTHER_GUEST_UUID = "22222222-0000-4000-8000-0000000000bb"
HIDDEN_GUEST = "hr-q"
HIDDEN_GUEST_UUID = "33333333-0000-4000-8000-0000000000dd"
PASSWORDS = {"alice": "alice's word", "bob": "bob's word", "admin": "admin's word"}
TEST_SECONDS = 600       # for a test that hangs: what is merely slow on a busy machine goes on

live_gateways = []


class Way:
    """One way into a gateway: virsh and python3-libvirt through it, as the person named."""

    def __init__(self, name, gateway, via):
        self.name = name
        self.gateway = gateway
        self.via = via

    def virsh(self, user, *arguments, **where):
        return self.gateway.virsh(user, *arguments, via=self.via, **where)

    def python(self, user, code, *arguments, **where):
        return self.gateway.python(user, code, *arguments, via=self.via, **where)


def pytest_configure(config):
    config.addinivalue_line("markers", "plain: needs a build without sanitizers: confined, and with memory that can be measured")


# Seconds that files of tests take, to part them evenly; those that are not here take less.
SECONDS = {"test_web_attack": 180, "test_away": 180, "test_outside_laps": 160, "test_polkit_oracle": 130, "test_crash": 60, "test_browser": 75, "test_web": 70,
           "test_guest": 45, "test_admission": 36, "test_web_endings": 33, "test_browser_consoles": 30, "test_sinks": 30, "test_faults": 27, "test_outside": 26,
           "test_clock": 25, "test_viewers": 25, "test_vnc": 25, "test_attack_races": 25, "test_pki": 20, "test_web_openapi": 18, "test_arguments": 17}
LITTLE = 15


def pytest_collection_modifyitems(config, items):
    """VIRTGATE_PART=2/3: of three runs side by side this is the second, which takes whole files and has peers of its own."""
    part, of = (int(number) for number in os.environ.get("VIRTGATE_PART", "1/1").split("/"))
    names = sorted({item.module.__name__ for item in items}, key=lambda name: (-SECONDS.get(name, LITTLE), name))
    loads, mine = [0] * of, set()
    for name in names:
        least = loads.index(min(loads))
        loads[least] += SECONDS.get(name, LITTLE)
        if least == part - 1:
            mine.add(name)
    others = [item for item in items if item.module.__name__ not in mine]
    items[:] = [item for item in items if item.module.__name__ in mine]
    config.hook.pytest_deselected(items=others)


@pytest.fixture(autouse=True)
def limits(request):
    """A test that hangs fails; a gateway that complained or died during a test fails that test."""
    def too_long(*_):
        raise TimeoutError(f"the test took more than {TEST_SECONDS} s")
    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(TEST_SECONDS)
    yield
    signal.alarm(0)
    for gateway in live_gateways:
        if gateway.daemon is not None:
            gateway.daemon.require_running()
            reports = gateway.sanitizer_reports()
            assert not reports, f"a sanitizer complains about {gateway.name}:\n{reports}"


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows the last lines of the gateways' logs."""
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for gateway in live_gateways:
            if gateway.daemon is not None:
                report.sections.append((f"log of {gateway.name}", gateway.daemon.log_tail(25)))


@pytest.fixture(scope="session")
def scratch():
    with Scratch() as place:
        yield place


@pytest.fixture(scope="session")
def build():
    return find_build(TOP)


@pytest.fixture(scope="session")
def sanitized(build):
    """Is this a build with sanitizers? It is not confined, and its memory says nothing."""
    with open(f"{build}/config.log", encoding="utf-8", errors="replace") as log:
        return "-fsanitize=address" in log.read()


@pytest.fixture(scope="session")
def libvirtd(scratch):
    # QEMU is probed for seconds when libvirtd first meets it; what it found is kept between runs.
    return Libvirtd(scratch, cache=os.path.join(TOP, "build", "qemu-cache")).start()


@pytest.fixture
def other_libvirtd(scratch):
    """One that a test may kill."""
    return Libvirtd(scratch, name=f"libvirtd-{os.urandom(3).hex()}").start()


@pytest.fixture(scope="session")
def authority(scratch, build):
    place = VirtgateAuthority(build, scratch("pki"))
    place.server()
    for name in ("alice", "bob", "admin", "carol", "mallory"):
        place.client(name)
    return place


@pytest.fixture(scope="session")
def stranger(scratch, authority):
    """pkipath of a client whose certificate is from another CA but who trusts our server."""
    other = Authority(scratch.directory("other-pki"), "Other CA")
    directory = other.client("alice")
    Authority.trust(directory, authority.ca_cert, other.ca_cert)
    return directory


def policy_with_realms():
    """SASL names come with a realm from some mechanisms: the same person by each of the names. The caller's own, to be changed."""
    policy = copy.deepcopy(POLICY)
    for group, user in (("admins", "admin"), ("webops", "alice"), ("readers", "bob")):
        policy["groups"][group] = policy["groups"][group] + [f"sasl:{user}@{socket.gethostname()}", f"sasl:{user}@LAB.TEST"]
    policy["groups"]["webops"] = policy["groups"]["webops"] + ["unix:nobody"]
    return policy


@pytest.fixture(scope="session")
def make_gateway(scratch, libvirtd, authority):
    """Starts one more gateway: make_gateway("name", setting=value, ...). Stopped with the session at the latest."""
    def make(name, libvirtd=libvirtd, policy=None, **more):
        gateway = Gateway(TOP, scratch, libvirtd, authority, name=name, policy=policy or policy_with_realms(), **more)
        gateway.start()
        live_gateways.append(gateway)
        return gateway
    return make


@pytest.fixture
def own_gateway(make_gateway, request):
    """The same for one test only: for those that kill, reload or fill it."""
    made = []

    def make(**more):
        gateway = make_gateway(f"own-{request.node.name.split('[')[0][5:35]}-{len(made)}", **more)
        made.append(gateway)
        return gateway
    yield make
    for gateway in made:
        live_gateways.remove(gateway)
        gateway.stop()


@pytest.fixture(scope="session")
def gateway(make_gateway):
    """TLS with the certificate alone, and the local socket."""
    return make_gateway("tls", listen_unix=True)


@pytest.fixture(scope="session")
def sasl_users(scratch):
    return SaslUsers(scratch, passwords=PASSWORDS, mechanisms="scram-sha-256 plain")


@pytest.fixture(scope="session")
def sasl_gateway(make_gateway, sasl_users):
    """TLS, then SASL: both are proven."""
    return make_gateway("sasl", sasl=sasl_users, auth_tls="sasl")


@pytest.fixture(scope="session")
def kdc(scratch):
    if not have_kdc():
        pytest.skip("there is no krb5-kdc here")
    return Kdc(scratch, users=("alice", "bob", "admin"))


@pytest.fixture(scope="session")
def gssapi_gateway(make_gateway, scratch, kdc):
    """Plain TCP under a GSSAPI security layer."""
    users = SaslUsers(scratch, name="sasl-gssapi", mechanisms="gssapi", keytab=kdc.keytab)
    gateway = make_gateway("gssapi", sasl=users, listen_tls=False, listen_tcp=True,
                           environment={"KRB5_CONFIG": f"{kdc.dir}/krb5.conf"})
    for user in ("alice", "bob", "admin"):
        gateway.kerberos[user] = kdc.tickets(user)
    return gateway


@pytest.fixture(params=["tls", "tls+sasl", "tcp+gssapi"])
def way(request):
    """Each way in by which a remote person is known by name."""
    name, via = {"tls": ("gateway", "tls"), "tls+sasl": ("sasl_gateway", "tls"), "tcp+gssapi": ("gssapi_gateway", "tcp")}[request.param]
    return Way(request.param, request.getfixturevalue(name), via)


@pytest.fixture(scope="session")
def guests(libvirtd):
    """Three defined QEMU guests: web-q is alice's, db-q she may see, hr-q not."""
    if not have_qemu():
        pytest.skip("there is no QEMU here")
    libvirtd.define_guest(GUEST, GUEST_UUID)
    libvirtd.define_guest(OTHER_GUEST, OTHER_GUEST_UUID)
    libvirtd.define_guest(HIDDEN_GUEST, HIDDEN_GUEST_UUID)
    return libvirtd.qemu_uri


@pytest.fixture(scope="session")
def pool(libvirtd):
    """Directory of the storage pool "images"."""
    return libvirtd.storage_pool("images")


@pytest.fixture
def web1_off(libvirtd):
    """web-1 of the test driver is shut off before and after."""
    def off():
        if libvirtd.state("web-1") != "shut off":
            libvirtd.virsh("destroy", "web-1")
    off()
    yield "web-1"
    off()


@pytest.fixture
def web2_off(libvirtd):
    """web-2 is shut off afterwards, whatever became of who started it."""
    yield "web-2"
    libvirtd.virsh("destroy", "web-2", check=False)


@pytest.fixture(scope="module")
def serial(libvirtd, scratch):
    """Path of a file with what the guest web-k says on its serial port. It runs as long as the tests of the file."""
    yield from screens.keys_guest(libvirtd, scratch)


@pytest.fixture(scope="session")
def vnc_users(scratch):
    users = SaslUsers(scratch, name="sasl-vnc", passwords=screens.PASSWORDS, mechanisms="gssapi")
    # what vnc.conf says goes before libvirt.conf
    scratch.write("sasl-vnc/vnc.conf", "# viewers\nmech_list: scram-sha-256 plain\n")
    return users
