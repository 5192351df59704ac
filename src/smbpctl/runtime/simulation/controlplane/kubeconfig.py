"""Write a kubeconfig for one user of one server, complete in itself."""

import base64
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import yaml

from smbpctl.runtime.simulation.controlplane.certificates import KeyPair


@dataclass(frozen=True, slots=True)
class BearerToken:
    """A token sent as `Authorization: Bearer`, for example a service account's."""

    token: str


def kubeconfig(
    server: str,
    *,
    authority: bytes,
    user: str,
    credential: KeyPair | BearerToken,
    namespace: str = "default",
) -> str:
    """Return the YAML text of a kubeconfig with one cluster, one user and one context.

    `server` is an https URL, `authority` the PEM of the CA that signed its certificate. Everything
    is inlined: the text works from any folder and needs no other file.
    """
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": "simulation",
                "cluster": {"server": server, "certificate-authority-data": _base64(authority)},
            }
        ],
        "users": [{"name": user, "user": _user_fields(credential)}],
        "contexts": [
            {
                "name": "simulation",
                "context": {"cluster": "simulation", "user": user, "namespace": namespace},
            }
        ],
        "current-context": "simulation",
    }
    return yaml.safe_dump(config, sort_keys=False)


def write_private(path: Path, content: bytes) -> None:
    """Replace `path` by `content` in one step, readable by its owner only."""
    # mkstemp gives mode 0600 at creation: a later chmod leaves a moment in which others can read.
    descriptor, scratch = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    Path(scratch).replace(path)


def _user_fields(credential: KeyPair | BearerToken) -> dict[str, str]:
    if isinstance(credential, BearerToken):
        return {"token": credential.token}
    return {
        "client-certificate-data": _base64(credential.certificate),
        "client-key-data": _base64(credential.key),
    }


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
