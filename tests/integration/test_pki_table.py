"""The table of client certificates against a running gateway: who is let in, who is not, and what goes on record."""
import os
import ssl

import pytest

from lab.pki import Authority, VirtgateAuthority
from lab.process import run, wait_until
from rawrpc import OK, RawClient

LET_IN, CERT_REFUSED, NOT_ALLOWED = "", "client certificate refused", "certificate name is not in tls_allowed_dn_list"
EKU_OF = {"client": ["tls_www_client"], "server": ["tls_www_server"], "both": ["tls_www_client", "tls_www_server"],
          "none": []}


class Cases:
    """One CA, one gateway with its CRL and a list of names, and a directory per case."""

    def __init__(self, directory, build):
        self.ca = VirtgateAuthority(build, f"{directory}/pki")
        self.ca.server()
        self.other = VirtgateAuthority(build, f"{directory}/other")     # another CA with the very same name
        self.dir = directory

    def certtool(self, name, cn, eku="client", more=(), ca=None, self_signed=False):
        """A pkipath directory with a certificate of lines that `virtgate pki` would not write."""
        ca = ca or self.ca
        place = f"{self.dir}/cases/{name}"
        os.makedirs(place)
        Authority.trust(place, self.ca.ca_cert)
        run(["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", f"{place}/clientkey.pem"])
        lines = [f"cn = {cn}", "organization = Lab", "signing_key", "encryption_key", *EKU_OF[eku], *more]
        if not any(line.startswith("expiration") for line in lines):
            lines.append("expiration_days = 30")
        with open(f"{place}/template", "w", encoding="ascii") as file:
            file.write("\n".join(lines) + "\n")
        how = ["--generate-self-signed"] if self_signed else \
            ["--generate-certificate", "--load-ca-certificate", ca.ca_cert, "--load-ca-privkey", ca.ca_key]
        run(["certtool", *how, "--load-privkey", f"{place}/clientkey.pem", "--template", f"{place}/template",
             "--outfile", f"{place}/clientcert.pem"])
        return place

    def chained(self, name, issuer):
        """A client whose certificate another client's certificate has signed."""
        place = self.certtool(name, "alice", ca=type("Issuer", (), {
            "ca_cert": f"{issuer}/clientcert.pem", "ca_key": f"{issuer}/clientkey.pem"}))
        with open(f"{place}/clientcert.pem", "ab") as chain, open(f"{issuer}/clientcert.pem", "rb") as above:
            chain.write(above.read())
        return place

    def foreign(self):
        place = self.other.client("alice")
        Authority.trust(place, self.ca.ca_cert)
        return place

    def revoked(self, name):
        place = self.ca.client(name)
        self.ca.revoke(name)
        return place


@pytest.fixture(scope="module")
def cases(scratch, build):
    return Cases(scratch.directory("pki-table"), build)


@pytest.fixture(scope="module")
def places(cases):
    """Case -> pkipath directory. All exist before the gateway reads the revocation list."""
    past = ['activation_date = "2020-01-01 00:00:00 UTC"', 'expiration_date = "2021-01-01 00:00:00 UTC"']
    future = ['activation_date = "2098-01-01 00:00:00 UTC"', 'expiration_date = "2099-01-01 00:00:00 UTC"']
    made = {
        "good": cases.ca.client("alice"),
        "good-by-certtool": cases.certtool("good-by-certtool", "bob"),
        "server-and-client": cases.certtool("server-and-client", "bob", eku="both"),
        "expired": cases.certtool("expired", "alice", more=past),
        "not-yet-valid": cases.certtool("not-yet-valid", "alice", more=future),
        "revoked": cases.revoked("gone"),
        "wrong-ca-of-the-same-name": cases.foreign(),
        "self-signed": cases.certtool("self-signed", "alice", self_signed=True),
        "server-use-only": cases.certtool("server-use-only", "alice", eku="server"),
        "no-use-named": cases.certtool("no-use-named", "alice", eku="none"),
        "two-cns": cases.certtool("two-cns", "alice", more=['dn_oid = 2.5.4.3 "admin"']),
        "san-twice": cases.certtool("san-twice", "alice", more=["dns_name = a", "dns_name = a"]),
        "name-not-allowed": cases.ca.client("zoe"),
        "name-allowed-as-part-only": cases.ca.client("alice2"),
    }
    made["signed-by-a-client"] = cases.chained("signed-by-a-client", made["good-by-certtool"])
    return made


@pytest.fixture(scope="module")
def door(scratch, cases, places, make_gateway):
    """`places` first: the list of the CA must have the revoked one."""
    assert places
    return make_gateway("pki-table-gateway", ca_file=cases.ca.ca_cert, cert_file=cases.ca.server_cert,
                        key_file=cases.ca.server_key, crl_file=cases.ca.crl_file,
                        tls_allowed_dn_list=["CN=alice,*", "*CN=bob*", "CN=gone,*"])


def knock(door, place, version, uri):
    """True when let in: a whole RPC answered. Anything less, at whatever stage, is a refusal."""
    try:
        with RawClient.tls(door.ports["tls"], place, version=version) as client:
            return client.open(uri).status == OK
    except (OSError, EOFError):
        return False


TABLE = [
    ("good", LET_IN),
    ("good-by-certtool", LET_IN),
    ("server-and-client", LET_IN),
    ("expired", CERT_REFUSED),
    ("not-yet-valid", CERT_REFUSED),
    ("revoked", CERT_REFUSED),
    ("wrong-ca-of-the-same-name", CERT_REFUSED),
    ("self-signed", CERT_REFUSED),
    ("signed-by-a-client", CERT_REFUSED),
    ("server-use-only", CERT_REFUSED),
    ("no-use-named", CERT_REFUSED),
    ("two-cns", CERT_REFUSED),
    ("san-twice", CERT_REFUSED),
    ("name-not-allowed", NOT_ALLOWED),
    ("name-allowed-as-part-only", NOT_ALLOWED),
]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["tls12", "tls13"])
@pytest.mark.parametrize("case, outcome", TABLE, ids=[row[0] for row in TABLE])
def test_I3_certificate_table(door, places, libvirtd, case, outcome, version):
    code = "VG1101I" if outcome == LET_IN else "VG1102W"
    before = len(door.audit(event="session.login"))
    assert knock(door, places[case], version, libvirtd.test_uri) == (outcome == LET_IN)
    record = wait_until(lambda: door.audit(event="session.login")[before:], "a record of the log-in")[0]
    assert record["code"] == code
    if outcome != LET_IN:
        assert outcome in record["result"]["message"], record


def test_virsh_is_told_the_same(door, places):
    """The unmodified client, with one of each kind."""
    assert door.virsh("alice", "list", pki=places["good"]).returncode == 0
    for case in ("revoked", "wrong-ca-of-the-same-name", "name-not-allowed", "expired"):
        assert door.virsh("alice", "list", pki=places[case]).returncode != 0


def test_I11_revoked_and_reloaded_is_refused_from_then_on(scratch, build, own_gateway, libvirtd):
    """virtgate pki revoke, then SIGHUP: what worked a moment ago does not any more; others are not touched."""
    ca = VirtgateAuthority(build, scratch("pki-revoking"))
    ca.server()
    alice, bob = ca.client("alice"), ca.client("bob")
    gateway = own_gateway(ca_file=ca.ca_cert, cert_file=ca.server_cert, key_file=ca.server_key, crl_file=ca.crl_file)
    assert knock(gateway, alice, None, libvirtd.test_uri)
    assert knock(gateway, bob, None, libvirtd.test_uri)
    ca.revoke("alice")
    gateway.reload()
    assert not knock(gateway, alice, None, libvirtd.test_uri)
    assert knock(gateway, bob, None, libvirtd.test_uri)
