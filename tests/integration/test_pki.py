"""virtgate pki: what it makes is taken by OpenSSL, GnuTLS and libvirt; what is wrong is found, and said as they say it."""
import json
import os
import pty
import re
import stat
import subprocess

import pytest

from lab.libvirtd import Libvirtd
from lab.process import Daemon, answers, clean_environment, free_port, run, wait_until

HOST = "gw.example.com"


class Tree:
    """One PKI below a directory, by the command line."""

    def __init__(self, build, directory):
        self.program = f"{build}/virtgate"
        self.dir = directory
        self.ca = f"{directory}/CA/cacert.pem"
        self.ca_key = f"{directory}/CA/private/cakey.pem"
        self.crl = f"{directory}/CA/cacrl.pem"
        self.cert = f"{directory}/libvirt/servercert.pem"
        self.key = f"{directory}/libvirt/private/serverkey.pem"

    def __call__(self, verb, *arguments, check=True, stdin=None):
        return run([self.program, "pki", verb, *arguments, "--dir", self.dir], check=check, stdin=stdin)

    def json(self, verb, *arguments, check=True):
        return json.loads(self(verb, *arguments, "--json", check=check).stdout)

    def client(self, name, file=""):
        return os.path.join(self.dir, "clients", name, file)

    def findings(self, *arguments):
        """{(level, file, what + hint)} of the check, and its exit code."""
        done = self("check", "--json", *arguments, check=False)
        return [(f["level"], f["file"], f["what"], f["hint"]) for f in json.loads(done.stdout)["findings"]], done.returncode

    # ---- certificates as others make them ----

    def certtool(self, cert, key, template, signed=True, rsa=2048):
        """GnuTLS's certtool: certificate and key from lines of a template. (It leaves encryption_key out for EC keys.)"""
        for path in (cert, key):
            if os.path.exists(path):
                os.unlink(path)
        run(["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", f"rsa_keygen_bits:{rsa}", "-out", key])
        os.chmod(key, 0o600)
        path = f"{self.dir}/template"
        with open(path, "w", encoding="ascii") as file:
            file.write("\n".join(template) + "\n")
        how = ["--generate-certificate", "--load-ca-certificate", self.ca, "--load-ca-privkey", self.ca_key] if signed \
            else ["--generate-self-signed"]
        run(["certtool", *how, "--load-privkey", key, "--template", path, "--outfile", cert])

    def openssl_crl(self, last, until):
        """A list of this CA with dates as wanted (YYYYMMDDHHMMSSZ)."""
        conf = f"{self.dir}/ca.cnf"
        for name, text in ((conf, f"[ca]\ndefault_ca = d\n[d]\ndatabase = {self.dir}/index.txt\ndefault_md = sha256\n"),
                           (f"{self.dir}/index.txt", "")):
            with open(name, "w", encoding="ascii") as file:
                file.write(text)
        run(["openssl", "ca", "-config", conf, "-cert", self.ca, "-keyfile", self.ca_key, "-gencrl", "-crl_lastupdate", last,
             "-crl_nextupdate", until, "-out", self.crl])


SERVER = ["cn = gw", "organization = Others", f"dns_name = {HOST}", "tls_www_server", "signing_key", "encryption_key",
          "expiration_days = 400"]
CLIENT = ["cn = carol", "organization = Others", "tls_www_client", "signing_key", "encryption_key", "expiration_days = 400"]


@pytest.fixture
def make_tree(build, tmp_path):
    def make(name="pki", ready=True):
        tree = Tree(build, str(tmp_path / name))
        if ready:
            tree("init", "--name", f"{name} CA")
            tree("server", HOST, "127.0.0.1", "::1", "localhost")
            tree("client", "alice")
        return tree
    return make


@pytest.fixture
def tree(make_tree):
    return make_tree()


def openssl_verify(tree, path, purpose, *more):
    return run(["openssl", "verify", "-x509_strict", "-purpose", purpose, "-CAfile", tree.ca, "-CRLfile", tree.crl,
                "-crl_check_all", *more, path], check=False)


# ---- what is made ----

def test_openssl_and_certtool_accept_what_is_made(tree):
    for host in (["-verify_hostname", HOST], ["-verify_hostname", "gw"], ["-verify_ip", "127.0.0.1"], ["-verify_ip", "::1"]):
        done = openssl_verify(tree, tree.cert, "sslserver", *host)
        assert done.returncode == 0, done.stderr
    assert openssl_verify(tree, tree.cert, "sslserver", "-verify_hostname", "other.example.com").returncode != 0
    assert openssl_verify(tree, tree.client("alice", "clientcert.pem"), "sslclient").returncode == 0
    assert openssl_verify(tree, tree.client("alice", "clientcert.pem"), "sslserver").returncode != 0
    assert openssl_verify(tree, tree.cert, "sslclient").returncode != 0
    for path, purpose in ((tree.cert, "1.3.6.1.5.5.7.3.1"), (tree.client("alice", "clientcert.pem"), "1.3.6.1.5.5.7.3.2")):
        done = run(["certtool", "--verify", "--load-ca-certificate", tree.ca, "--load-crl", tree.crl, "--verify-profile", "high",
                    f"--verify-purpose={purpose}", "--infile", path], check=False)
        assert done.returncode == 0, done.stdout


def test_gnutls_handshake_with_both_certificates(tree, tmp_path):
    port = free_port()
    alice = tree.client("alice")
    server = Daemon("gnutls-serv", ["gnutls-serv", "--port", str(port), "--x509cafile", tree.ca, "--x509certfile", tree.cert,
                                    "--x509keyfile", tree.key, "--x509crlfile", tree.crl, "--require-client-cert",
                                    "--verify-client-cert"], str(tmp_path / "serv.log"))
    try:
        server.wait_ready(lambda: answers(port), "gnutls-serv")
        for mine in (["--x509certfile", f"{alice}/clientcert.pem", "--x509keyfile", f"{alice}/clientkey.pem"], []):
            done = run(["gnutls-cli", "--x509cafile", f"{alice}/cacert.pem", *mine, "-p", str(port), "localhost"], check=False)
            assert ("Handshake was completed" in done.stdout) or not mine, done.stdout
            assert (done.returncode == 0) == bool(mine), done.stdout
    finally:
        server.stop()


class TlsLibvirtd(Libvirtd):
    """libvirtd's own TLS listener with the files of a tree."""

    def __init__(self, scratch, name, tree):
        super().__init__(scratch, name)
        self.tree = tree
        self.port = free_port()

    def _configuration(self, extra=""):
        tree = self.tree
        return super()._configuration(
            extra + f'listen_tls = 1\nlisten_addr = "127.0.0.1"\ntls_port = "{self.port}"\nca_file = "{tree.ca}"\n'
            f'cert_file = "{tree.cert}"\nkey_file = "{tree.key}"\ncrl_file = "{tree.crl}"\n') + ["--listen"]


def virsh(port, pkipath, host="127.0.0.1"):
    return run(["virsh", "-c", f"test+tls://{host}:{port}/default?pkipath={pkipath}", "list", "--all"], check=False)


def test_libvirtd_and_virsh_take_the_files_as_they_are(tree, scratch):
    tree("client", "bob")
    tree("revoke", "bob")
    daemon = TlsLibvirtd(scratch, "tls-libvirtd", tree)
    daemon.start_daemon()
    try:
        wait_until(lambda: answers(daemon.port), "the TLS port of libvirtd")
        done = virsh(daemon.port, tree.client("alice"))
        assert done.returncode == 0 and "test" in done.stdout, done.stderr
        assert virsh(daemon.port, tree.client("alice"), "localhost").returncode == 0
        assert virsh(daemon.port, tree.client("bob")).returncode != 0
    finally:
        daemon.stop()


def test_files_and_modes(tree):
    def mode(path):
        return stat.S_IMODE(os.stat(path).st_mode)
    assert mode(tree.ca_key) == mode(tree.key) == mode(tree.client("alice", "clientkey.pem")) == 0o600
    assert mode(tree.ca) == mode(tree.cert) == mode(tree.crl) == 0o644
    assert mode(os.path.dirname(tree.ca_key)) == mode(os.path.dirname(tree.key)) == mode(tree.client("alice")) == 0o700
    assert sorted(os.listdir(tree.client("alice"))) == ["cacert.pem", "clientcert.pem", "clientkey.pem"]
    left = [name for _, _, files in os.walk(tree.dir) for name in files if name.endswith(".tmp")]
    assert not left


def test_private_key_is_never_readable_by_others_not_even_for_a_moment(tree, tmp_path):
    """Every file is opened with its mode, exclusively: seen in the system calls."""
    trace = tmp_path / "trace"
    done = run(["strace", "-f", "-e", "trace=openat,chmod,fchmod,rename,renameat2,link", "-o", str(trace), tree.program, "pki",
                "client", "dave", "--p12", "--dir", tree.dir], check=False,
               environment=clean_environment(ASAN_OPTIONS="detect_leaks=0"))      # leaks are looked for by ptrace, too
    if done.returncode != 0:
        pytest.skip("strace does not work here")
    calls = trace.read_text()
    opened = re.findall(r'openat\(\w+, "[^"]*/clients/dave/([^"]*)", ([A-Z_|]*)(?:, (\d+))?', calls)
    made = {name.split(".")[1] + "." + name.split(".")[2]: (flags, mode) for name, flags, mode in opened if "O_CREAT" in flags}
    assert set(made) == {"clientkey.pem", "clientcert.pem", "cacert.pem", "client.p12"}
    for name, (flags, mode) in made.items():
        assert "O_EXCL" in flags and "O_NOFOLLOW" in flags
        assert mode == ("0600" if name in ("clientkey.pem", "client.p12") else "0644")
    assert calls.count("RENAME_NOREPLACE") == 4


def test_dn_is_what_virt_pki_query_dn_prints(tree):
    for name, more in (("eve", []), ("frank@EXAMPLE.COM", ["--org", "Lab, Inc.", "--ou", "R+D"]), ("Jürgen", ["--org", "#1"])):
        made = tree.json("client", name, *more)
        text = run(["virt-pki-query-dn", tree.client(name, "clientcert.pem")]).stdout.rstrip("\n")
        assert made["dn"] == text
        assert made["sha256"] == run(["openssl", "x509", "-in", tree.client(name, "clientcert.pem"), "-noout", "-fingerprint",
                                      "-sha256"]).stdout.strip().split("=")[1].replace(":", "").lower()


def test_nothing_is_overwritten(tree):
    def contents():
        return {os.path.join(place, name): open(os.path.join(place, name), "rb").read()
                for place, _, files in os.walk(tree.dir) for name in files}
    before = contents()
    for arguments, says in ((["init"], "cakey.pem exists"), (["server", HOST], "serverkey.pem exists"),
                            (["client", "alice"], "has a certificate that is valid until"),
                            (["client", "alice", "--force-new"], "clientkey.pem exists")):
        done = tree(*arguments, check=False)
        assert done.returncode == 1 and says in done.stderr and "hint:" in done.stderr
    assert contents() == before
    for name in ("../x", "a/b", ".x", "a,CN=admin", "x*", "a\tb", ""):
        assert tree("client", name, check=False).returncode == 2
    assert contents() == before


def test_revoked_is_blocked_and_shown(tree):
    tree("client", "bob")
    bob = tree.client("bob", "clientcert.pem")
    assert openssl_verify(tree, bob, "sslclient").returncode == 0
    revoked = tree.json("revoke", "bob", "--reason", "keyCompromise")["revoked"]
    assert [record["name"] for record in revoked] == ["bob"]
    done = openssl_verify(tree, bob, "sslclient")
    assert done.returncode != 0 and "revoked" in done.stderr
    assert openssl_verify(tree, tree.client("alice", "clientcert.pem"), "sslclient").returncode == 0
    assert tree("revoke", "bob", check=False).returncode == 1
    assert tree("revoke", "nobody", check=False).returncode == 1
    assert tree("revoke", check=False).returncode == 2
    states = {record["name"]: record["state"] for record in tree.json("show")}
    assert states == {"pki CA": "valid", HOST: "valid", "alice": "valid", "bob": "revoked"}
    assert "Key Compromise" in run(["openssl", "crl", "-in", tree.crl, "-noout", "-text"]).stdout
    # a new one for the same person needs no force; the old files are not touched
    assert tree("client", "bob", check=False).returncode == 1
    tree("client", "bob", "--out", f"{tree.dir}/bob-again")
    assert openssl_verify(tree, f"{tree.dir}/bob-again/clientcert.pem", "sslclient").returncode == 0


def test_two_processes_at_once_take_turns(tree):
    processes = [subprocess.Popen([tree.program, "pki", "client", f"user-{i}", "--dir", tree.dir], env=clean_environment(),
                                  stdout=subprocess.DEVNULL) for i in range(8)]
    processes += [subprocess.Popen([tree.program, "pki", "client", "same", "--dir", tree.dir], env=clean_environment(),
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for i in range(4)]
    codes = [process.wait(60) for process in processes]
    assert codes[:8] == [0] * 8
    assert sorted(codes[8:]) == [0, 1, 1, 1]
    names = [record["name"] for record in tree.json("show")]
    assert sorted(names) == sorted(["pki CA", HOST, "alice", "same"] + [f"user-{i}" for i in range(8)])


# ---- PKCS#12 ----

def p12_names(path, password):
    done = run(["openssl", "pkcs12", "-in", path, "-info", "-nokeys", "-passin", f"pass:{password}"], check=False)
    return done.returncode, done.stdout + done.stderr


def test_pkcs12_with_password_of_a_file(tree, tmp_path):
    word = tmp_path / "word"
    word.write_text("a word with blanks\nand a second line\n")
    tree("client", "gina", "--p12", "--password-file", str(word))
    code, text = p12_names(tree.client("gina", "client.p12"), "a word with blanks")
    assert code == 0, text
    assert text.count("BEGIN CERTIFICATE") == 2 and "friendlyName: gina" in text
    assert "PBES2, PBKDF2, AES-256-CBC" in text and "MAC: sha256" in text
    assert p12_names(tree.client("gina", "client.p12"), "another word")[0] != 0
    word.write_text("short\n")
    assert tree("client", "hugo", "--p12", "--password-file", str(word), check=False).returncode == 1
    assert not os.path.exists(tree.client("hugo"))
    tree("client", "hugo", "--p12", "--password-file", "-", stdin="from standard input\n")
    assert p12_names(tree.client("hugo", "client.p12"), "from standard input")[0] == 0


def test_pkcs12_with_a_password_made_up(tree):
    made = tree.json("client", "ida", "--p12")
    assert re.fullmatch(r"([a-z2-9]{5}-){4}[a-z2-9]{5}", made["password"])
    assert p12_names(tree.client("ida", "client.p12"), made["password"])[0] == 0


def dialogue(command, answers_):
    """Runs a command on a terminal of its own; answers each prompt. Returns exit code and all that was shown."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvpe(command[0], command, clean_environment())
    shown = b""
    try:
        for prompt, answer in answers_:
            while prompt not in shown:
                shown += os.read(terminal, 4096)
            os.write(terminal, answer)
        while True:
            more = os.read(terminal, 4096)
            if not more:
                break
            shown += more
    except OSError:     # the other end is closed
        pass
    finally:
        os.close(terminal)
        _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status), shown.decode()


def test_pkcs12_password_is_asked_twice_without_echo(tree):
    command = [tree.program, "pki", "client", "jan", "--p12", "--dir", tree.dir]
    code, shown = dialogue(command, [(b"Password", b"a quiet word\r"), (b"again", b"another word\r")])
    assert code == 2 and "differ" in shown and not os.path.exists(tree.client("jan"))
    code, shown = dialogue(command, [(b"Password", b"\x03")])
    assert code == 2 and not os.path.exists(tree.client("jan"))
    code, shown = dialogue(command, [(b"Password", b"a quieX\x7ft word\r"), (b"again", b"a quiet word\r")])
    assert code == 0, shown
    assert "quie" not in shown
    assert p12_names(tree.client("jan", "client.p12"), "a quiet word")[0] == 0


# ---- the check ----

def missing_ca(tree):
    os.unlink(tree.ca)


def open_key(tree):
    os.chmod(tree.key, 0o644)


def group_key(tree):
    os.chmod(tree.key, 0o640)


def open_cert(tree):
    os.chmod(tree.ca, 0o666)


def open_dir(tree):
    os.chmod(os.path.dirname(tree.cert), 0o777)


def other_key(tree):
    run(["openssl", "ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out", tree.key])


def encrypted_key(tree):
    run(["openssl", "pkcs8", "-topk8", "-in", tree.key, "-out", f"{tree.key}.new", "-passout", "pass:word"])
    os.replace(f"{tree.key}.new", tree.key)
    os.chmod(tree.key, 0o600)


def no_pem(tree):
    with open(tree.cert, "w", encoding="ascii") as file:
        file.write("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")


def server(*template, rsa=2048):
    return lambda tree: tree.certtool(tree.cert, tree.key, template, rsa=rsa)


def without(*unwanted):
    return [line for line in SERVER if line not in unwanted]


def expiring(tree):
    os.unlink(tree.cert)
    os.unlink(tree.key)
    tree("server", HOST, "--days", "10")


def no_basic_constraints(tree):
    run(["openssl", "req", "-new", "-key", tree.ca_key, "-subj", "/CN=pki CA", "-out", f"{tree.dir}/csr"])
    run(["openssl", "x509", "-req", "-in", f"{tree.dir}/csr", "-signkey", tree.ca_key, "-days", "90", "-out", tree.ca])


def leaf_as_ca(tree):
    tree.certtool(tree.ca, tree.ca_key, ["cn = no ca", "expiration_days = 90"], signed=False)


def ca_as_server(tree):
    tree.certtool(tree.cert, tree.key, [*SERVER, "ca", "cert_signing_key"])


def other_ca(tree):
    """The same name, another key: what `init` on another machine gives."""
    other = Tree(os.path.dirname(tree.program), f"{tree.dir}-other")
    other("init", "--name", "pki CA")
    os.replace(other.ca, tree.ca)
    os.replace(other.ca_key, tree.ca_key)


def no_crl(tree):
    os.unlink(tree.crl)


def old_crl(tree):
    tree.openssl_crl("20200101000000Z", "20200201000000Z")


def future_crl(tree):
    tree.openssl_crl("20980101000000Z", "20990101000000Z")


def revoked_server(tree):
    tree("revoke", HOST)


def crl_lost_a_revocation(tree):
    with open(tree.crl, "rb") as file:
        before = file.read()
    tree("revoke", "alice")
    with open(tree.crl, "wb") as file:
        file.write(before)


def damaged_index(tree):
    with open(f"{tree.dir}/CA/issued.jsonl", "a", encoding="ascii") as file:
        file.write('{"serial": "torn\n')


TABLE = [
    (missing_ca, "FAIL", "cacert.pem", "no CA certificate: No such file"),
    (open_key, "FAIL", "serverkey.pem", "every user of this machine can read the private key (mode 0644)"),
    (group_key, "WARN", "serverkey.pem", "can read or change the private key (mode 0640)"),
    (open_cert, "FAIL", "cacert.pem", "others than its owner can replace"),
    (open_dir, "FAIL", "servercert.pem", "its directory can be written to by everybody"),
    (other_key, "FAIL", "serverkey.pem", "not the key of"),
    (encrypted_key, "FAIL", "serverkey.pem", "encrypted with a passphrase"),
    (no_pem, "FAIL", "servercert.pem", "damaged"),
    (server(*SERVER, 'activation_date = "2020-01-01 00:00:00 UTC"', 'expiration_date = "2021-01-01 00:00:00 UTC"'),
     "FAIL", "servercert.pem", "expired on 2021-01-01T00:00:00Z; virsh and libvirtd say: The server certificate"),
    (server(*SERVER, 'activation_date = "2098-01-01 00:00:00 UTC"', 'expiration_date = "2099-01-01 00:00:00 UTC"'),
     "FAIL", "servercert.pem", "is not yet active"),
    (expiring, "WARN", "servercert.pem", "expires on"),
    (server(*without(f"dns_name = {HOST}"), "dns_name = other.example.com"), "FAIL", "servercert.pem",
     f"Certificate [session] owner does not match the hostname {HOST}"),
    (server(*without(f"dns_name = {HOST}")), "FAIL", "servercert.pem", "no subjectAltName"),
    (server(*without("tls_www_server"), "tls_www_client"), "FAIL", "servercert.pem", "extendedKeyUsage lacks serverAuth"),
    (server(*without("tls_www_server")), "WARN", "servercert.pem", "no extendedKeyUsage"),
    (server(*without("encryption_key")), "FAIL", "servercert.pem", "usage does not permit key encipherment"),
    (server(*SERVER, rsa=1024), "FAIL", "servercert.pem", "RSA key of 1024 bits is too weak"),
    (ca_as_server, "FAIL", "servercert.pem", "show a CA, but we need one for a server"),
    (no_basic_constraints, "FAIL", "cacert.pem", "is missing basic constraints for a CA"),
    (leaf_as_ca, "FAIL", "cacert.pem", "basic constraints do not show a CA"),
    (other_ca, "FAIL", "servercert.pem", "hasn't got a known issuer"),
    (other_ca, "FAIL", "cacrl.pem", "with another key"),
    (no_crl, "WARN", "cacrl.pem", "no revocation list"),
    (old_crl, "FAIL", "cacrl.pem", "expired on 2020-02-01T00:00:00Z: virtgated refuses everybody"),
    (future_crl, "FAIL", "cacrl.pem", "made in the future"),
    (revoked_server, "FAIL", "servercert.pem", "was revoked"),
    (crl_lost_a_revocation, "FAIL", "cacrl.pem", "'alice'"),
    (damaged_index, "FAIL", "issued.jsonl", "issued.jsonl:4: not a record"),
]


@pytest.mark.parametrize("breaks, level, file, says", TABLE,
                         ids=lambda value: getattr(value, "__name__", None) if callable(value) else None)
def test_check_finds_what_is_wrong(tree, breaks, level, file, says):
    found, code = tree.findings("--host", HOST)
    assert code == 0 and {entry[0] for entry in found} == {"PASS"}, found
    breaks(tree)
    found, code = tree.findings("--host", HOST)
    fits = [entry for entry in found if entry[0] == level and os.path.basename(entry[1]) == file and says in entry[2]]
    assert fits, found
    assert all(entry[3] for entry in fits), "a finding without advice"
    assert code == (1 if any(entry[0] == "FAIL" for entry in found) else 0)
    assert level == "WARN" or code == 1


def test_check_passes_what_others_made(tree):
    tree.certtool(tree.cert, tree.key, SERVER)
    tree.certtool(tree.client("alice", "clientcert.pem"), tree.client("alice", "clientkey.pem"), CLIENT)
    found, code = tree.findings("--host", HOST)
    assert code == 0 and {entry[0] for entry in found} == {"PASS"}, found
    # and revocation of it, by its file
    tree("revoke", "--cert", tree.client("alice", "clientcert.pem"))
    assert openssl_verify(tree, tree.client("alice", "clientcert.pem"), "sslclient").returncode != 0


def test_check_knows_the_names_of_this_machine(tree, make_tree):
    own = make_tree("own", ready=False)
    own("init")
    own("server")
    found, code = own.findings()
    assert code == 0, found
    found, code = tree.findings()
    assert code == 0
    assert any(entry[0] == "WARN" and "a name of this host" in entry[2] for entry in found)


def test_long_host_name_is_a_san_only(tree, make_tree):
    host = ".".join(["a" * 40] * 4) + ".example.com"
    long = make_tree("long", ready=False)
    long("init")
    made = long.json("server", host)
    assert made["name"] == host and made["dn"] == "O=virtgate"
    assert openssl_verify(long, long.cert, "sslserver", "-verify_hostname", host).returncode == 0


@pytest.mark.parametrize("template, says", [
    ([line for line in CLIENT if line != "tls_www_client"], "libvirtd takes it, virtgated refuses it"),
    ([*CLIENT, "dns_name = a", "dns_name = a"], "virtgated refuses it: "),
    ([*CLIENT, 'dn_oid = 2.5.4.3 "root"'], "virtgated refuses it: ")], ids=["no-usage", "san-twice", "two-cns"])
def test_check_finds_clients_that_only_the_gateway_refuses(tree, template, says):
    client(*template)(tree)
    found, code = tree.findings(tree.client("alice"))
    assert code == 1 and any(says in entry[2] and entry[0] == "FAIL" for entry in found), found


# ---- what libvirt says is what we say that it says ----

def client(*template):
    return lambda tree: tree.certtool(tree.client("alice", "clientcert.pem"), tree.client("alice", "clientkey.pem"), template)


def remove(name):
    return lambda tree: os.unlink(tree.client("alice", name))


def foreign_ca(tree):
    other = Tree(os.path.dirname(tree.program), f"{tree.dir}-other")
    other("init", "--name", "other CA")
    os.replace(other.ca, tree.client("alice", "cacert.pem"))


def swapped_key(tree):
    tree("client", "bob")
    os.replace(tree.client("bob", "clientkey.pem"), tree.client("alice", "clientkey.pem"))


@pytest.mark.parametrize("name", ["clientcert.pem", "clientkey.pem"])
def test_check_tells_what_virsh_does_not(tree, name):
    """virsh says nothing of a client certificate that is not there, and connects without."""
    remove(name)(tree)
    found, code = tree.findings(tree.client("alice"))
    assert code == 1
    assert any(os.path.basename(entry[1]) == name and "virsh does not complain" in entry[2] for entry in found), found
    assert "Connection refused" in virsh(1, tree.client("alice")).stderr


@pytest.mark.parametrize("breaks", [
    remove("cacert.pem"),
    client(*CLIENT, 'activation_date = "2020-01-01 00:00:00 UTC"', 'expiration_date = "2021-01-01 00:00:00 UTC"'),
    client(*CLIENT, 'activation_date = "2098-01-01 00:00:00 UTC"', 'expiration_date = "2099-01-01 00:00:00 UTC"'),
    client(*[line for line in CLIENT if line != "encryption_key"]),
    client(*[line for line in CLIENT if line != "signing_key"]),
    client(*CLIENT, "ca", "cert_signing_key"),
    foreign_ca, swapped_key],
    ids=["no-ca", "expired", "not-yet", "no-encipherment", "no-signature", "ca", "foreign-ca", "swapped-key"])
def test_check_quotes_virsh(tree, breaks):
    alice = tree.client("alice").rstrip("/")
    breaks(tree)
    found, code = tree.findings(alice)
    quotes = [entry[2].split("say: ", 1)[1] for entry in found if entry[0] == "FAIL" and "say: " in entry[2]]
    assert code == 1 and quotes, found
    said = virsh(1, alice).stderr
    assert any(quote in said for quote in quotes), f"{quotes}\nvirsh: {said}"
