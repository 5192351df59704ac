"""How a process reaches the API server: a URL and a folder of PEM files, nothing to parse."""

import shutil
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import final

_PRIVATE = 0o600


@final
@dataclass(frozen=True, slots=True)
class Access:
    """One API server and one identity, by client certificate, or by none over plain HTTP.

    Every subject of a comparison takes the same, so that none of them is charged for reading a
    kubeconfig, which loads libraries of very different weight.
    """

    server: str
    folder: Path | None = None

    @property
    def authority(self) -> Path | None:
        """Return the certificates that the server's is checked against."""
        return self.folder and self.folder / "authority.pem"

    @property
    def certificate(self) -> Path | None:
        """Return the client's certificate."""
        return self.folder and self.folder / "client.pem"

    @property
    def key(self) -> Path | None:
        """Return the client's key."""
        return self.folder and self.folder / "client.key"

    @property
    def token(self) -> Path | None:
        """Return the token of a service account, where there is one beside the certificate."""
        token = self.folder and self.folder / "token"
        return token if token is not None and token.exists() else None

    def with_token(self, folder: Path, token: str) -> "Access":
        """Return the same access with a token besides, in a folder that is not there yet."""
        if self.folder is None:
            raise ValueError("a token is for a server with TLS")
        shutil.copytree(self.folder, folder)
        path = folder / "token"
        path.touch(mode=_PRIVATE)
        path.write_text(token)
        return Access(self.server, folder)

    @classmethod
    def written(
        cls, server: str, folder: Path, *, authority: bytes, certificate: bytes, key: bytes
    ) -> "Access":
        """Fill the folder, which nobody else may read, and return the access by it."""
        contents = {"authority.pem": authority, "client.pem": certificate, "client.key": key}
        for name, content in contents.items():
            path = folder / name
            path.touch(mode=_PRIVATE)
            path.write_bytes(content)
        return cls(server, folder)

    def tls(self) -> ssl.SSLContext | None:
        """Return a TLS context made from the files; None without any."""
        if self.certificate is None or self.key is None:
            return None
        context = ssl.create_default_context(cafile=self.authority)
        context.load_cert_chain(self.certificate, self.key)
        return context
