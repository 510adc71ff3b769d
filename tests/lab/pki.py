"""Certificates: by `virtgate pki`, and by the openssl command those that it would not make (expired, wrong use)."""
import os

from .process import run

SERVER_NAMES = "DNS:localhost,IP:127.0.0.1,IP:::1"


class Authority:
    """A CA by openssl. clients/NAME holds cacert.pem, clientcert.pem and clientkey.pem: what ?pkipath= wants."""

    def __init__(self, directory, name="Test CA"):
        self.dir = directory
        self.clients = f"{directory}/clients"
        os.makedirs(self.clients, exist_ok=True)
        self.ca_cert = f"{directory}/cacert.pem"
        self.ca_key = f"{directory}/cakey.pem"
        self.server_cert = f"{directory}/servercert.pem"
        self.server_key = f"{directory}/serverkey.pem"
        self._key(self.ca_key)
        run(["openssl", "req", "-x509", "-new", "-key", self.ca_key, "-sha256", "-days", "30", "-subj", f"/CN={name}",
             "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign",
             "-out", self.ca_cert])
        self._database()

    def _database(self):
        for name, text in (("index.txt", ""), ("crlnumber", "01\n"), ("ca.cnf", f"""\
[ca]
default_ca = d
[d]
database = {self.dir}/index.txt
crlnumber = {self.dir}/crlnumber
default_md = sha256
default_crl_days = 30
""")):
            with open(f"{self.dir}/{name}", "w", encoding="ascii") as file:
                file.write(text)

    @staticmethod
    def _key(path):
        run(["openssl", "ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out", path])
        os.chmod(path, 0o600)

    def issue(self, path, subject, usage, names="", days=30):
        """PATHcert.pem and PATHkey.pem."""
        self._key(f"{path}key.pem")
        run(["openssl", "req", "-new", "-key", f"{path}key.pem", "-subj", subject, "-out", f"{path}.csr"])
        with open(f"{path}.ext", "w", encoding="ascii") as file:
            # keyEncipherment also for EC keys: libvirt's client insists on it
            file.write("basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature,keyEncipherment\n"
                       f"extendedKeyUsage={usage}\n" + (f"subjectAltName={names}\n" if names else ""))
        serial = int.from_bytes(os.urandom(8), "big") >> 1
        run(["openssl", "x509", "-req", "-in", f"{path}.csr", "-CA", self.ca_cert, "-CAkey", self.ca_key, "-sha256",
             "-set_serial", str(serial), "-days", str(days), "-extfile", f"{path}.ext", "-out", f"{path}cert.pem"])
        os.unlink(f"{path}.csr")
        os.unlink(f"{path}.ext")

    def server(self):
        self.issue(f"{self.dir}/server", "/O=Lab/CN=localhost", "serverAuth", SERVER_NAMES)

    def client(self, name, subject=None, usage="clientAuth", days=30):
        """Returns the pkipath directory of this client."""
        directory = f"{self.clients}/{name}"
        os.makedirs(directory, exist_ok=True)
        self.issue(f"{directory}/client", subject or f"/O=Lab/CN={name}", usage, days=days)
        self.trust(directory, self.ca_cert)
        return directory

    @staticmethod
    def trust(directory, *ca_certs):
        """Lets the client believe the servers of these CAs. libvirt's client also looks for the CA of its own certificate."""
        with open(f"{directory}/cacert.pem", "wb") as target:
            for path in ca_certs:
                with open(path, "rb") as source:
                    target.write(source.read())

    def revoke(self, name):
        run(["openssl", "ca", "-config", f"{self.dir}/ca.cnf", "-cert", self.ca_cert, "-keyfile", self.ca_key,
             "-revoke", f"{self.clients}/{name}/clientcert.pem"])
        return self.crl()

    def crl(self):
        """Writes cacrl.pem and returns its path."""
        path = f"{self.dir}/cacrl.pem"
        run(["openssl", "ca", "-config", f"{self.dir}/ca.cnf", "-cert", self.ca_cert, "-keyfile", self.ca_key,
             "-gencrl", "-out", path])
        return path


class VirtgateAuthority(Authority):
    """The same as a person makes it: by `virtgate pki`."""

    def __init__(self, build, directory):
        self.virtgate = f"{build}/virtgate"
        self.dir = directory
        self.clients = f"{directory}/clients"
        self.ca_cert = f"{directory}/CA/cacert.pem"
        self.ca_key = f"{directory}/CA/private/cakey.pem"
        self.crl_file = f"{directory}/CA/cacrl.pem"
        self.server_cert = f"{directory}/libvirt/servercert.pem"
        self.server_key = f"{directory}/libvirt/private/serverkey.pem"
        self._pki("init", "--name", "Test CA")

    def _pki(self, *arguments):
        run([self.virtgate, "pki", *arguments, "--dir", self.dir])

    def server(self):
        self._pki("server", "localhost", "127.0.0.1", "::1", "--org", "Lab")

    def server_of(self, host):
        """Certificate and key of one more server, which is localhost too."""
        directory = f"{self.dir}/servers/{host}"
        os.makedirs(directory, exist_ok=True)
        self._pki("server", host, "localhost", "127.0.0.1", "--org", "Lab", "--out", directory)
        return f"{directory}/servercert.pem", f"{directory}/serverkey.pem"

    def client(self, name, subject=None, usage="clientAuth", days=30):
        if subject or usage != "clientAuth" or days <= 0:
            return super().client(name, subject, usage, days)
        self._pki("client", name, "--org", "Lab")
        return f"{self.clients}/{name}"

    def revoke(self, name):
        self._pki("revoke", name)
        return self.crl_file

    def crl(self):
        self._pki("crl")
        return self.crl_file
