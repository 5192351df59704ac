"""VersionSupported: the compatibility matrix, in words."""

import pytest

from smbpctl.api.v1alpha1 import ConditionStatus
from smbpctl.conditions.version_supported import version_supported
from test.support.peers import a_peer


def test_a_known_line_is_supported() -> None:
    """The sample's version is one of them."""
    condition = version_supported(a_peer())

    assert condition.status is ConditionStatus.TRUE


@pytest.mark.parametrize("version", ["1.48.9", "1.64.0", "2.0.0"])
def test_an_unknown_line_names_object_and_field(version: str) -> None:
    """Whoever reads it knows what to edit and what stays as it is."""
    condition = version_supported(a_peer({"spec.version": version}))

    assert condition.status is ConditionStatus.FALSE
    assert condition.reason == "UnknownVersion"
    assert "shop/demo" in condition.message
    assert "spec.version" in condition.message
    assert "nothing is rolled" in condition.message
