"""How a process reaches the API server: a URL and a folder of PEM files, nothing to parse."""

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import final

_PRIVATE = 0o600


@final
@dataclass(frozen=True, slots=True)
class Access:
    """One API server and one identity, by client certificate.

    Every subject of a comparison takes the same, so that none of them is charged for reading a
    kubeconfig, which loads libraries of very different weight.
    """

    server: str
    folder: Path

    @property
    def authority(self) -> Path:
        """Return the certificates that the server's is checked against."""
        return self.folder / "authority.pem"

    @property
    def certificate(self) -> Path:
        """Return the client's certificate."""
        return self.folder / "client.pem"

    @property
    def key(self) -> Path:
        """Return the client's key."""
        return self.folder / "client.key"

    def write(self, *, authority: bytes, certificate: bytes, key: bytes) -> None:
        """Fill the folder; nobody else may read it."""
        contents = {self.authority: authority, self.certificate: certificate, self.key: key}
        for path, content in contents.items():
            path.touch(mode=_PRIVATE)
            path.write_bytes(content)

    def tls(self) -> ssl.SSLContext:
        """Return a TLS context made from the files."""
        context = ssl.create_default_context(cafile=self.authority)
        context.load_cert_chain(self.certificate, self.key)
        return context
