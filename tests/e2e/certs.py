"""Keys and certificates for the tests of TLS, made by openssl."""
import subprocess


def openssl(*words, **run):
    return subprocess.run(["openssl", *map(str, words)], check=True,
                          capture_output=True, **run)


class Authority:
    """A CA in a folder, and what it signs."""

    def __init__(self, folder, name="ca"):
        self.folder = folder
        self.cert = folder / f"{name}.pem"
        self.key = folder / f"{name}.key"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt",
                "ec_paramgen_curve:P-256", "-nodes", "-keyout", self.key,
                "-out", self.cert, "-days", 30, "-subj", f"/CN={name}")

    def sign(self, name, *key, days=30):
        """Certificate and key of `name`, for 127.0.0.1 and localhost; key:
        openssl's words for its kind."""
        cert = self.folder / f"{name}.pem"
        key_file = self.folder / f"{name}.key"
        request = self.folder / f"{name}.csr"
        key = key or ("ec", "-pkeyopt", "ec_paramgen_curve:P-256")
        openssl("req", "-newkey", *key, "-nodes", "-keyout", key_file, "-out",
                request, "-subj", f"/CN={name}")
        openssl("x509", "-req", "-in", request, "-CA", self.cert, "-CAkey",
                self.key, "-CAcreateserial", "-out", cert, "-days", days,
                "-extfile", "/dev/stdin",
                input=b"subjectAltName=IP:127.0.0.1,DNS:localhost")
        return cert, key_file
