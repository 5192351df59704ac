"""The settings: what is given, then the environment, then the default; the wrong ones named."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from smbpctl.runtime.errors import ConfigurationError
from smbpctl.settings import LogFormat, LogLevel, MemberAccess, Settings, read_settings


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's own settings."""
    for name in Settings.model_fields:
        monkeypatch.delenv(f"SMBPCTL_{name.upper()}", raising=False)


def test_defaults() -> None:
    """What an operator runs with that nobody told anything."""
    assert read_settings().model_dump() == {
        "kubeconfig": None,
        "context": None,
        "namespace": "",
        "operator_namespace": "",
        "image_prefix": "ditto-external",
        "probe_address": ":8081",
        "workers": 10,
        "file_system_group": 65532,
        "graceful_shutdown_seconds": 30.0,
        "leader_elect": False,
        "lease_duration_seconds": 60,
        "renew_deadline_seconds": 40.0,
        "retry_period_seconds": 10.0,
        "admin_timeout_seconds": 3.0,
        "member_access": MemberAccess.AUTO,
        "log_format": LogFormat.JSON,
        "log_level": LogLevel.INFO,
    }


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("kubeconfig", "/etc/k", Path("/etc/k")),
        ("namespace", "shop", "shop"),
        ("probe_address", "", ""),
        ("workers", "4", 4),
        ("graceful_shutdown_seconds", "0", 0.0),
        ("member_access", "port-forward", MemberAccess.PORT_FORWARD),
        ("leader_elect", "true", True),
        ("lease_duration_seconds", "15", 15),
        ("log_format", "console", LogFormat.CONSOLE),
        ("log_level", "debug", LogLevel.DEBUG),
    ],
)
def test_the_environment(
    name: str, text: str, value: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SMBPCTL_ and the name in capitals; an empty value is a value."""
    monkeypatch.setenv(f"SMBPCTL_{name.upper()}", text)

    assert getattr(read_settings(), name) == value


def test_what_is_given_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over the environment."""
    monkeypatch.setenv("SMBPCTL_CONTEXT", "theirs")

    assert read_settings({"context": "ours"}).context == "ours"


def test_other_variables_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kubernetes sets SMBPCTL_… itself, for a Service of that name beside the pod."""
    monkeypatch.setenv("SMBPCTL_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("WORKERS", "99")

    assert read_settings().workers == 10


@pytest.mark.parametrize(
    "given",
    [
        {"workers": 0},
        {"workers": 1001},
        {"file_system_group": 0},
        {"graceful_shutdown_seconds": -1},
        {"leader_elect": "perhaps"},
        {"lease_duration_seconds": 2.5},
        {"renew_deadline_seconds": 0},
        {"retry_period_seconds": -1},
        {"admin_timeout_seconds": 0},
        {"member_access": "portforward"},
        {"log_level": "trace"},
        {"log_format": "text"},
    ],
    ids=str,
)
def test_limits(given: dict[str, Any]) -> None:
    """The flag is named, and no other."""
    (name,) = given

    with pytest.raises(ConfigurationError) as raised:
        read_settings(given)

    assert str(raised.value).startswith(f"--{name.replace('_', '-')}: Input should be ")
    assert "; " not in str(raised.value)


def test_they_never_change() -> None:
    """What was decided at the start holds to the end."""
    settings = read_settings()

    with pytest.raises(ValidationError, match="frozen"):
        settings.workers = 3  # type: ignore[misc]
