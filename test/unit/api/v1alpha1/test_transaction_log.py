"""`spec.transactionLog`."""

from datetime import timedelta

import pytest
from pydantic import TypeAdapter, ValidationError

from smbpctl.api.v1alpha1.transaction_log import (
    AuthenticationSpec,
    AuthenticationType,
    BootstrapServer,
    ScramMechanism,
    ScramSpec,
    TopicSpec,
)


@pytest.mark.parametrize(
    "server", ["kafka:1", "a.b-c.example.com:9092", "10.0.0.1:65535", "[fe80::1]:9093", "K:60000"]
)
def test_bootstrap_server(server: str) -> None:
    """A host name or address with a port."""
    assert TypeAdapter[str](BootstrapServer).validate_python(server) == server


@pytest.mark.parametrize(
    "server",
    ["kafka", "kafka:", ":9092", "kafka:0", "kafka:01", "kafka:65536", "kafka:99999", "a b:1",
     "http://kafka:9092", "fe80::1:9092", "kafka:9092,b:9092", "-a:1"],
)  # fmt: skip
def test_bootstrap_server_refuses(server: str) -> None:
    """Schemes, lists, bare addresses of IPv6 and impossible ports are refused."""
    with pytest.raises(ValidationError):
        TypeAdapter[str](BootstrapServer).validate_python(server)


def test_authentication_defaults_to_none() -> None:
    """A union's default sets only its type."""
    assert AuthenticationSpec().to_manifest() == {"type": "None"}
    assert AuthenticationSpec().type is AuthenticationType.NONE


def test_scram_prefers_the_stronger_hash() -> None:
    """SHA-512 unless the spec asks for less."""
    scram = ScramSpec.model_validate({"secretRef": {"name": "a"}})

    assert scram.mechanism is ScramMechanism.SHA_512


def test_topic_defaults() -> None:
    """A week of log, messages up to 100 MiB, everything else computed."""
    topic = TopicSpec()

    assert topic.retention == timedelta(days=7)
    assert topic.max_message_bytes == 100 * 1024 * 1024
    assert (topic.name, topic.replicas, topic.min_in_sync_replicas) == (None, None, None)
