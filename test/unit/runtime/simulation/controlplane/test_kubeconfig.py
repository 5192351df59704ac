"""Tests of the kubeconfig writer."""

import base64
import stat
from pathlib import Path

import yaml

from smbpctl.runtime.simulation.controlplane.certificates import KeyPair
from smbpctl.runtime.simulation.controlplane.kubeconfig import (
    BearerToken,
    kubeconfig,
    write_private,
)


def test_a_certificate_kubeconfig_is_complete() -> None:
    """One current context leads to the server, its authority and the user's key pair, inlined."""
    text = kubeconfig(
        "https://127.0.0.1:6443",
        authority=b"CA",
        user="ann",
        credential=KeyPair(b"CERT", b"KEY"),
        namespace="team",
    )

    config = yaml.safe_load(text)
    (context,) = config["contexts"]
    (cluster,) = config["clusters"]
    (user,) = config["users"]
    assert config["current-context"] == context["name"]
    assert context["context"] == {
        "cluster": cluster["name"],
        "user": user["name"],
        "namespace": "team",
    }
    assert cluster["cluster"]["server"] == "https://127.0.0.1:6443"
    assert base64.b64decode(cluster["cluster"]["certificate-authority-data"]) == b"CA"
    assert base64.b64decode(user["user"]["client-certificate-data"]) == b"CERT"
    assert base64.b64decode(user["user"]["client-key-data"]) == b"KEY"


def test_a_token_kubeconfig_holds_the_token_alone() -> None:
    """A token user has no certificate fields, which would win over the token."""
    text = kubeconfig("https://h", authority=b"CA", user="bot", credential=BearerToken("t0"))

    (user,) = yaml.safe_load(text)["users"]
    assert user == {"name": "bot", "user": {"token": "t0"}}


def test_private_files_are_replaced_and_never_readable_by_others(tmp_path: Path) -> None:
    """Writing again replaces the content, keeps mode 0600 and leaves no scratch file."""
    path = tmp_path / "secret"
    path.write_text("much longer than the new content")
    path.chmod(0o644)

    write_private(path, b"new")

    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]
