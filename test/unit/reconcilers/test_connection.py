"""The connection to the log: every file of the contract, or every problem on the way to it."""

from typing import Any

import pytest

from smbpctl.api.v1alpha1 import AuthenticationSpec
from smbpctl.observed import SecretProblem
from smbpctl.operand import contract
from smbpctl.reconcilers.connection import (
    Connection,
    all_certificates,
    external_connection,
    read_secret,
    security_protocol,
)
from smbpctl.reconcilers.kinds import SECRET
from smbpctl.runtime.meta import Manifest, ObjectKey
from test.support.cluster_stage import a_secret
from test.support.fake_cluster import FakeCluster
from test.support.fake_manager import FakeCache
from test.support.peers import a_peer

LOG = "spec.transactionLog.external"
WITH_CA: Manifest = {f"{LOG}.tls": {"caSecretRef": {"name": "kafka-ca"}}}
WITH_CERTIFICATE: Manifest = {
    **WITH_CA,
    f"{LOG}.authentication": {"type": "TLS", "tls": {"secretRef": {"name": "client"}}},
}
WITH_PASSWORD: Manifest = {
    f"{LOG}.authentication": {
        "type": "SCRAM",
        "scram": {"mechanism": "SCRAM-SHA-256", "secretRef": {"name": "password"}},
    }
}


async def connect(edits: Manifest, *secrets: Manifest) -> Connection:
    """Return the connection of a BigPeer with an external log beside these Secrets."""
    server = FakeCluster()
    cache: Any = FakeCache(server)
    cache.register(SECRET)
    for each in secrets:
        server.put(each)
    peer = a_peer({f"{LOG}.bootstrapServers": ["a:9092", "b:9092"], **edits})
    assert peer.spec.transaction_log.external is not None
    return await external_connection(cache, peer, peer.spec.transaction_log.external, "writes")


class TestExternal:
    async def test_plaintext(self) -> None:
        """Servers, topic and protocol; no files that nobody needs."""
        connection = await connect({})

        assert connection.problems == []
        assert connection.files == {
            "bootstrap-servers": b"a:9092,b:9092",
            "topic": b"writes",
            "security-protocol": b"PLAINTEXT",
        }

    async def test_a_client_certificate(self) -> None:
        """Three PEM files under the contract's names."""
        client = a_secret("client", tls_crt="certificate", tls_key="key", extra="x")

        connection = await connect(WITH_CERTIFICATE, a_secret("kafka-ca", ca_crt="ca"), client)

        assert connection.problems == []
        assert connection.files[contract.LOG_SECURITY_PROTOCOL] == b"SSL"
        assert connection.files[contract.LOG_CA] == b"ca"
        assert connection.files[contract.LOG_CERTIFICATE] == b"certificate"
        assert connection.files[contract.LOG_KEY] == b"key"
        assert "extra" not in connection.files

    async def test_a_password(self) -> None:
        """User, password and mechanism."""
        password = a_secret("password", username="demo", password="hunter2")

        connection = await connect(
            {**WITH_CA, **WITH_PASSWORD}, password, a_secret("kafka-ca", ca_crt="ca")
        )

        assert connection.problems == []
        assert connection.files[contract.LOG_SECURITY_PROTOCOL] == b"SASL_SSL"
        assert connection.files[contract.LOG_SASL_MECHANISM] == b"SCRAM-SHA-256"
        assert connection.files[contract.LOG_USERNAME] == b"demo"
        assert connection.files[contract.LOG_PASSWORD] == b"hunter2"

    async def test_secrets_that_do_not_exist(self) -> None:
        """Each is named with the field that asks for it."""
        connection = await connect(WITH_CERTIFICATE)

        what = "does not exist"
        assert connection.problems == [
            SecretProblem("kafka-ca", f"{LOG}.tls.caSecretRef", what, present=False),
            SecretProblem("client", f"{LOG}.authentication.tls.secretRef", what, present=False),
        ]

    async def test_keys_that_are_missing_or_empty(self) -> None:
        """Every one is told at once, so that a person mends them in one go."""
        password = a_secret("password", username="")

        connection = await connect(WITH_PASSWORD, password)

        path = f"{LOG}.authentication.scram.secretRef"
        assert connection.problems == [
            SecretProblem("password", path, f"has no key {name}", present=True)
            for name in ("username", "password")
        ]


@pytest.mark.parametrize(
    ("tls", "authentication", "protocol"),
    [
        (False, {"type": "None"}, "PLAINTEXT"),
        (True, {"type": "None"}, "SSL"),
        (False, WITH_PASSWORD[f"{LOG}.authentication"], "SASL_PLAINTEXT"),
        (True, WITH_PASSWORD[f"{LOG}.authentication"], "SASL_SSL"),
        (False, WITH_CERTIFICATE[f"{LOG}.authentication"], "SSL"),
        (True, WITH_CERTIFICATE[f"{LOG}.authentication"], "SSL"),
    ],
)
def test_security_protocol(tls: bool, authentication: Manifest, protocol: str) -> None:
    """Kafka's four names; a client certificate goes over TLS or not at all."""
    spec = AuthenticationSpec.model_validate(authentication)

    assert security_protocol(tls=tls, authentication=spec) == protocol


class TestReadSecret:
    async def test_it_is_read_live(self) -> None:
        """The cache has metadata only; what it knows to be there is asked for."""
        server = FakeCluster()
        cache: Any = FakeCache(server)
        cache.register(SECRET)
        server.put(a_secret("s", a="old"))
        cache.freeze()
        server.put(a_secret("s", a="new"))

        found = await read_secret(cache, ObjectKey("shop", "s"))

        assert found is not None
        assert found["data"] == a_secret("s", a="new")["data"]

    async def test_what_nobody_knows_of_costs_no_request(self) -> None:
        """A Secret that is waited for would be asked for in every pass."""
        server = FakeCluster()
        cache: Any = FakeCache(server)
        cache.register(SECRET)

        assert await read_secret(cache, ObjectKey("shop", "s")) is None
        assert server.live_reads == 0


class TestAllCertificates:
    def test_the_old_ones_stay_beside_the_new(self) -> None:
        """While brokers change, either kind is presented; each ends with a line feed."""
        secret = a_secret(
            "ca",
            ca_crt="new",
            **{"ca-2026-01-01T00-00-00Z_crt": "old\n"},
            ca_p12="x",
            ca_password="y",
        )

        assert all_certificates(secret) == b"old\nnew\n"

    @pytest.mark.parametrize("secret", [None, {}, {"data": None}, a_secret("ca", ca_crt="")])
    def test_none(self, secret: Manifest | None) -> None:
        """Nothing there, nothing to trust."""
        assert all_certificates(secret) == b""
