"""What the operator itself adds to the objects of a BigPeer."""

from smbpctl.reconcilers import cluster, networking, tls, transaction_log
from smbpctl.reconcilers.kinds import SECRET
from smbpctl.reconcilers.operator import FIELD_OWNERS, Operator, new_applier
from smbpctl.resources import naming
from smbpctl.resources.inputs import Inputs
from smbpctl.runtime.meta import ObjectKey
from test.support.cluster_stage import a_secret
from test.support.fake_cluster import FakeCluster
from test.support.fake_manager import FakeManager
from test.support.peers import a_manifest, a_peer

OPERATOR = Operator(image_prefix="registry.test/server", namespace="system", file_system_group=7)


class TestInputs:
    def test_settings_and_digests(self) -> None:
        """Handed on as they are."""
        inputs = OPERATOR.inputs(a_peer(), tls_digest="t", log_digest="l")

        assert inputs == Inputs(
            image_prefix="registry.test/server",
            operator_namespace="system",
            tls_digest="t",
            log_digest="l",
            file_system_group=7,
        )

    def test_the_spec_s_own_prefix_wins(self) -> None:
        """The operator's setting is the default."""
        peer = a_peer({"spec.image": {"prefix": "mirror.test/x"}})

        assert OPERATOR.inputs(peer).image_prefix == "mirror.test/x"

    def test_a_platform_that_assigns_groups_gets_none_of_ours(self) -> None:
        """It would refuse the pods."""
        inputs = OPERATOR.inputs(a_peer(), platform_assigns_groups=True)

        assert inputs.file_system_group is None


def test_each_reconciler_has_a_field_owner_of_its_own() -> None:
    """Two under one name would take each other's fields away; others the cache would not keep."""
    modules = (cluster, networking, tls, transaction_log)

    owners = [module.FIELD_OWNER for module in modules]

    assert len(set(owners)) == 4
    assert set(owners) == FIELD_OWNERS


async def test_an_applier_writes_under_its_name_and_marks_with_our_domain() -> None:
    """The mark is what a later process recognises its own work by; skips are counted."""
    server = FakeCluster()
    manager = FakeManager(server)
    manager.cache.register(SECRET)
    peer = a_manifest()
    applier = new_applier(manager, "smbpctl/tls")  # type: ignore[arg-type]

    for _ in range(2):
        await applier.apply_set(peer, [a_secret("s", key="value")])

    (applied,) = server.all(SECRET)
    ((owner, _),) = server.owned[SECRET, ObjectKey("shop", "s")]
    assert owner == "smbpctl/tls"
    assert f"{naming.DOMAIN}/applied-tls" in applied["metadata"]["annotations"]
    assert len(server.writes) == 1
    assert b"smbpctl_write_noops_total 1.0" in manager.metrics.exposition()[0]
