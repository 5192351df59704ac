"""`spec.exposure` and `spec.networkPolicy`."""

import pytest
from pydantic import TypeAdapter, ValidationError

from smbpctl.api.v1alpha1.networking import (
    ExposureComponent,
    ExposureSpec,
    ExposureTlsMode,
    Host,
    NetworkPolicySpec,
    PathType,
)
from test.support.bigpeers import an_exposure


@pytest.mark.parametrize("host", ["localhost", "a.example.com", "*.example.com", "1.a", "x--y.z"])
def test_host(host: str) -> None:
    """A DNS name whose first label may be a star."""
    assert TypeAdapter[str](Host).validate_python(host) == host


@pytest.mark.parametrize("host", ["", "*", "a.*.com", "**.a", "A.com", "a.com.", "a_b.com", "a/b"])
def test_host_refuses(host: str) -> None:
    """Everything an Ingress would refuse."""
    with pytest.raises(ValidationError):
        TypeAdapter[str](Host).validate_python(host)


def test_exposure_defaults() -> None:
    """All components behind terminated TLS."""
    exposure = ExposureSpec.model_validate(an_exposure())

    assert exposure.component is ExposureComponent.ALL
    assert exposure.tls.mode is ExposureTlsMode.TERMINATE
    assert exposure.ingress is not None
    assert exposure.ingress.path_type is PathType.PREFIX


def test_policies_are_on_by_default() -> None:
    """Nobody may connect unless the spec says so."""
    policy = NetworkPolicySpec()

    assert policy.enabled
    assert policy.clients == ()
