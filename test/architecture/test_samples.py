"""Every sample is what it shows: strict, valid, and complete enough to be rendered."""

from pathlib import Path

import pytest
import yaml

from smbpctl.api.v1alpha1 import BigPeer, validate
from smbpctl.cli.render import render

SAMPLES = sorted((Path(__file__).parents[2] / "config" / "samples").glob("*.yaml"))


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_a_sample_is_valid(sample: Path) -> None:
    """No unknown field, no broken rule."""
    peer = BigPeer.parse(yaml.safe_load(sample.read_text()), strict=True)

    assert validate(peer) == ()


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_a_sample_can_be_rendered(sample: Path) -> None:
    """It leads to workloads of every component."""
    kinds = [each["kind"] for each in render(yaml.safe_load(sample.read_text()))]

    assert kinds.count("StatefulSet") >= 1
    assert kinds.count("Deployment") == 3


def test_there_is_a_sample_for_each_mode() -> None:
    """Secrets and CertManager, External and Strimzi."""
    peers = [BigPeer.parse(yaml.safe_load(sample.read_text())) for sample in SAMPLES]

    assert {peer.spec.tls.type.value for peer in peers} == {"Secrets", "CertManager"}
    assert {peer.spec.transaction_log.type.value for peer in peers} == {"External", "Strimzi"}
