"""A private Kerberos realm on loopback, for SASL's GSSAPI mechanism."""
import os
import shutil

from .process import Daemon, answers, clean_environment, free_port, run

REALM = "LAB.TEST"


def have_kdc():
    return all(shutil.which(name, path=clean_environment()["PATH"]) for name in ("krb5kdc", "kdb5_util", "kadmin.local", "kinit"))


class Kdc:
    """Attributes: keytab (of libvirt/localhost and vnc/localhost, the gateway's). tickets(USER) gives a client's environment."""

    def __init__(self, scratch, users=("alice", "bob")):
        self.scratch = scratch
        self.dir = scratch.directory("kdc")
        self.port = free_port()
        self.keytab = f"{self.dir}/libvirt.keytab"
        plugins = next((path for path in ("/usr/lib/x86_64-linux-gnu/krb5/plugins/kdb", "/usr/lib/aarch64-linux-gnu/krb5/plugins/kdb")
                        if os.path.isdir(path)), "/usr/lib/krb5/plugins/kdb")
        scratch.write("kdc/krb5.conf", f"""\
[libdefaults]
 default_realm = {REALM}
 dns_lookup_realm = false
 dns_lookup_kdc = false
 dns_canonicalize_hostname = false
 rdns = false
 udp_preference_limit = 1
 ignore_acceptor_hostname = true
[realms]
 {REALM} = {{
  kdc = 127.0.0.1:{self.port}
 }}
[domain_realm]
 localhost = {REALM}
[dbmodules]
 db_module_dir = {plugins}
""")
        scratch.write("kdc/kdc.conf", f"""\
[kdcdefaults]
 kdc_listen = ""
 kdc_tcp_listen = 127.0.0.1:{self.port}
[realms]
 {REALM} = {{
  database_name = {self.dir}/principal
  key_stash_file = {self.dir}/stash
  acl_file = {self.dir}/kadm5.acl
  max_life = 1h
  supported_enctypes = aes256-cts-hmac-sha1-96:normal
 }}
[logging]
 kdc = FILE:{self.dir}/kdc.log
""")
        self.environment = clean_environment(KRB5_CONFIG=f"{self.dir}/krb5.conf", KRB5_KDC_PROFILE=f"{self.dir}/kdc.conf")
        run(["kdb5_util", "create", "-s", "-r", REALM, "-P", "masterpw"], environment=self.environment)
        for service in ("libvirt", "vnc"):
            self._admin(f"addprinc -randkey {service}/localhost")
            self._admin(f"ktadd -k {self.keytab} {service}/localhost")
        for user in users:
            self._admin(f"addprinc -randkey {user}")
            self._admin(f"ktadd -k {self.dir}/{user}.keytab {user}")
        scratch.give(self.keytab)
        self.daemon = Daemon("krb5kdc", ["krb5kdc", "-n", "-P", f"{self.dir}/kdc.pid"], f"{self.dir}/output", self.environment)
        scratch.later(self.daemon.stop)
        self.daemon.wait_ready(lambda: answers(self.port), f"port {self.port}")

    def _admin(self, query):
        run(["kadmin.local", "-q", query], environment=self.environment)

    def tickets(self, user):
        """Logs `user` in; returns the variables that let a client use the tickets."""
        variables = {"KRB5_CONFIG": f"{self.dir}/krb5.conf", "KRB5CCNAME": f"FILE:{self.dir}/{user}.cc"}
        run(["kinit", "-k", "-t", f"{self.dir}/{user}.keytab", user], environment=clean_environment(**variables))
        return variables
