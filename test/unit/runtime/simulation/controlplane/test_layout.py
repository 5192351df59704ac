"""Tests of a control plane's folder."""

import json
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from smbpctl.runtime.clock import LoopClock
from smbpctl.runtime.simulation.controlplane.layout import PROBE, Layout, write_credentials

NOW = LoopClock().now()


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """A folder with credentials."""
    made = Layout(tmp_path / "cluster")
    made.create()
    write_credentials(made, now=NOW)
    return made


def load(layout: Layout, name: str) -> x509.Certificate:
    """Read one certificate."""
    return x509.load_pem_x509_certificate(layout.certificate(name).read_bytes())


def test_only_the_owner_may_look(layout: Layout) -> None:
    """Neither the folder nor any key is open to other users of the machine."""
    modes = {stat.S_IMODE(path.stat().st_mode) for path in layout.root.glob("pki/*")}

    assert stat.S_IMODE(layout.root.stat().st_mode) == 0o700
    assert modes == {0o600}


@pytest.mark.parametrize("name", ["serving", PROBE, "etcd", "etcd-client"])
def test_each_certificate_has_its_key(layout: Layout, name: str) -> None:
    """Certificate and key file of one name are one pair."""
    key = serialization.load_pem_private_key(layout.key(name).read_bytes(), password=None)

    assert key.public_key() == load(layout, name).public_key()


def test_the_cluster_authority_opens_no_way_into_the_store(layout: Layout) -> None:
    """Certificates for etcd and for the API come from different authorities."""
    for name, authority in [("serving", "ca"), (PROBE, "ca"), ("etcd", "etcd-ca")]:
        load(layout, name).verify_directly_issued_by(load(layout, authority))

    with pytest.raises(ValueError, match="does not match certificate issuer"):
        load(layout, PROBE).verify_directly_issued_by(load(layout, "etcd-ca"))


def test_the_audit_policy_is_metadata_for_every_request(layout: Layout) -> None:
    """No rule leaves any request out; only the stage before the answer is omitted."""
    policy = json.loads(layout.audit_policy.read_text())

    assert policy["rules"] == [{"level": "Metadata"}]
    assert policy["omitStages"] == ["RequestReceived"]


def test_a_folder_is_used_once(layout: Layout) -> None:
    """Creating over an existing layout fails instead of mixing two clusters' keys."""
    with pytest.raises(FileExistsError):
        layout.create()
