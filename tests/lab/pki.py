"""Certificates by the openssl command: also those that `virtgate pki` would not make (expired, another CA, wrong use)."""
import os

from .process import run

SERVER_NAMES = "DNS:localhost,IP:127.0.0.1,IP:::1"


class Authority:
    """A CA in a directory: cacert.pem, servercert.pem, serverkey.pem, clients/NAME/{cacert,clientcert,clientkey}.pem."""

    def __init__(self, directory, name="Test CA"):
        self.dir = directory
        os.makedirs(f"{directory}/clients", exist_ok=True)
        self.ca_cert = f"{directory}/cacert.pem"
        self.ca_key = f"{directory}/cakey.pem"
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
        directory = f"{self.dir}/clients/{name}"
        os.makedirs(directory, exist_ok=True)
        self.issue(f"{directory}/client", subject or f"/O=Lab/CN={name}", usage, days=days)
        self.trust(directory, self.ca_cert)
        return directory

    @staticmethod
    def trust(directory, ca_cert):
        """Lets the client believe the servers of that CA."""
        with open(ca_cert, "rb") as source, open(f"{directory}/cacert.pem", "wb") as target:
            target.write(source.read())

    def revoke(self, name):
        run(["openssl", "ca", "-config", f"{self.dir}/ca.cnf", "-cert", self.ca_cert, "-keyfile", self.ca_key,
             "-revoke", f"{self.dir}/clients/{name}/clientcert.pem"])
        return self.crl()

    def crl(self):
        """Writes cacrl.pem and returns its path."""
        path = f"{self.dir}/cacrl.pem"
        run(["openssl", "ca", "-config", f"{self.dir}/ca.cnf", "-cert", self.ca_cert, "-keyfile", self.ca_key,
             "-gencrl", "-out", path])
        return path
