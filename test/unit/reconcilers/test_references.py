"""Which BigPeers an object concerns: every way in which a spec can name a Secret or a class."""

import pytest
from structlog.testing import capture_logs

from smbpctl.api.v1alpha1 import BIG_PEER, BigPeer
from smbpctl.reconcilers.kinds import INGRESS_CLASS, POD, SECRET
from smbpctl.reconcilers.references import (
    add_indexes,
    by_label,
    secret_names,
    users_of_class,
    users_of_secret,
)
from smbpctl.runtime.meta import GroupVersionKind, Manifest, StoredObject
from test.support.bigpeers import an_exposure, exposed_peer
from test.support.cluster_stage import a_secret
from test.support.fake_cluster import FakeCluster
from test.support.fake_manager import FakeCache, stored_object
from test.support.peers import SECRETS, a_manifest, a_peer, a_strimzi_peer

LOG = "spec.transactionLog.external"
MANAGED = ("demo-ca-1", "demo-in-band", "demo-jwt", "demo-transaction-log")

# Everything in a spec that names a Secret, and the name.
WAYS: tuple[tuple[Manifest, str], ...] = (
    ({"spec.tls": SECRETS}, "our-ca"),
    ({"spec.tls": SECRETS}, "our-in-band"),
    ({"spec.tls": SECRETS}, "jwt"),
    ({"spec.exposure": [an_exposure(tls={"secretRef": {"name": "web"}})]}, "web"),
    ({"spec.exposure": [an_exposure()]}, "demo-serving"),
    (
        {
            "spec.tls": {
                **SECRETS,
                "secrets": {**SECRETS["secrets"], "serving": {"name": "all"}},  # type: ignore[dict-item]
            },
            "spec.exposure": [an_exposure()],
        },
        "all",
    ),
    ({f"{LOG}.tls": {"caSecretRef": {"name": "kafka-ca"}}}, "kafka-ca"),
    (
        {f"{LOG}.authentication": {"type": "TLS", "tls": {"secretRef": {"name": "client"}}}},
        "client",
    ),
    (
        {
            f"{LOG}.authentication": {
                "type": "SCRAM",
                "scram": {"mechanism": "SCRAM-SHA-512", "secretRef": {"name": "password"}},
            }
        },
        "password",
    ),
)


class TestSecretNames:
    def test_the_smallest_peer(self) -> None:
        """What cert-manager and the log reconciler fill is watched like the rest."""
        assert secret_names(a_peer()) == MANAGED

    @pytest.mark.parametrize(("edits", "name"), WAYS, ids=[name for _, name in WAYS])
    def test_every_way_to_name_one(self, edits: Manifest, name: str) -> None:
        """A Secret that is not watched could change unnoticed."""
        assert name in secret_names(a_peer(edits))

    def test_strimzi(self) -> None:
        """The cluster's authority and the user's credentials, which Strimzi makes."""
        names = secret_names(a_strimzi_peer())

        assert names == (*MANAGED, "demo-log-cluster-ca-cert", "shop.demo")

    def test_each_once(self) -> None:
        """One Secret for all is fine."""
        one = {"name": "one"}
        tls = {"type": "Secrets", "secrets": {"ca": one, "inBand": one, "jwt": one}}

        assert secret_names(a_peer({"spec.tls": tls})) == ("one", "demo-transaction-log")

    def test_an_exposure_without_tls_names_none(self) -> None:
        """Whatever the serving certificate is, nobody serves it there."""
        plain = an_exposure(tls={"mode": "None"})

        assert secret_names(a_peer({"spec.exposure": [plain]})) == MANAGED


class Indexed:
    """BigPeers in a cache, with the indexes."""

    def __init__(self, *peers: Manifest) -> None:
        cluster = FakeCluster()
        self.cache = FakeCache(cluster)
        self.cache.register(BIG_PEER)
        for peer in peers:
            cluster.put(peer)
        add_indexes(self.cache)  # type: ignore[arg-type]

    def users_of_secret(self, name: str, namespace: str = "shop") -> list[str]:
        """Return who is woken by a Secret."""
        stored = stored_object(a_secret(name, namespace))
        return [str(request) for request in users_of_secret(self.cache)(stored)]  # type: ignore[arg-type]

    def users_of_class(self, name: str) -> list[str]:
        """Return who is woken by an IngressClass."""
        return [
            str(request)
            for request in users_of_class(self.cache)(named(INGRESS_CLASS, name))  # type: ignore[arg-type]
        ]


def named(gvk: GroupVersionKind, name: str, **metadata: object) -> StoredObject:
    """Return an object of that name as the cache keeps it."""
    body = {"name": name, **metadata}
    return stored_object({"apiVersion": gvk.api_version, "kind": gvk.kind, "metadata": body})


def a_big_peer(name: str, edits: Manifest | None = None, namespace: str = "shop") -> Manifest:
    """Return a BigPeer of another name."""
    placed = {"name": name, "namespace": namespace, "uid": f"uid-{namespace}-{name}"}
    return {**a_manifest(edits), "metadata": placed}


class TestIndexes:
    @pytest.mark.parametrize(("edits", "name"), WAYS, ids=[name for _, name in WAYS])
    def test_a_secret_wakes_its_users(self, edits: Manifest, name: str) -> None:
        """Those that name it, in its namespace, and nobody else."""
        users = Indexed(
            a_big_peer("demo", edits),
            a_big_peer("demo", edits, namespace="elsewhere"),
            a_big_peer("other"),
        )

        assert users.users_of_secret(name) == ["shop/demo"]
        assert users.users_of_secret(f"{name}-2") == []

    def test_two_users_of_one_secret(self) -> None:
        """Both are woken."""
        shared = {"spec.tls": SECRETS}

        users = Indexed(a_big_peer("a", shared), a_big_peer("b", shared))

        assert users.users_of_secret("our-ca") == ["shop/a", "shop/b"]

    def test_an_ingress_class_wakes_its_users_everywhere(self) -> None:
        """Classes have no namespace; their users do."""
        exposure = {"spec.exposure": exposed_peer()["spec"]["exposure"]}

        users = Indexed(
            a_big_peer("a", exposure), a_big_peer("b", exposure, namespace="x"), a_big_peer("c")
        )

        assert users.users_of_class("nginx") == ["shop/a", "x/b"]
        assert users.users_of_class("traefik") == []

    def test_a_spec_that_cannot_be_read_is_nobody_s_user(self) -> None:
        """It keeps nobody else from being found; the reconcilers report it, not the index."""
        broken = a_big_peer("broken", {"spec.version": 7})

        with capture_logs() as logs:
            users = Indexed(broken, a_big_peer("whole", {"spec.tls": SECRETS}))
            found = users.users_of_secret("our-ca")

        assert (found, logs) == (["shop/whole"], [])


class TestByLabel:
    def test_the_label_names_the_big_peer(self) -> None:
        """In the object's own namespace."""
        pod = named(POD, "p", namespace="shop", labels={"smbpctl.dev/bigpeer": "demo"})

        assert [str(request) for request in by_label(pod)] == ["shop/demo"]

    @pytest.mark.parametrize("labels", [None, {}, {"smbpctl.dev/bigpeer": ""}])
    def test_without_the_label_nobody_is_woken(self, labels: dict[str, str] | None) -> None:
        """Somebody else's object."""
        assert list(by_label(named(SECRET, "s", namespace="shop", labels=labels))) == []


def test_the_examples_are_big_peers() -> None:
    """What the parameters above rest on: each is a spec the schema takes."""
    assert [BigPeer.parse(a_manifest(edits)).name for edits, _ in WAYS] == ["demo"] * len(WAYS)
