"""StatefulSets: immutable policies chosen once, claims that are never deleted by Kubernetes."""

from smbpctl.resources.store import store_statefulset
from test.support.golden import Golden
from test.support.peers import INPUTS, INPUTS_IN_CLUSTER, a_peer, a_production_peer


class TestStoreStatefulSet:
    def test_golden(self, golden: Golden) -> None:
        """A partition's StatefulSet, minimal and with everything said."""
        minimal = store_statefulset(a_peer(), INPUTS, 0, claim_size="10Gi")
        full = store_statefulset(a_production_peer(), INPUTS_IN_CLUSTER, 1, claim_size="100Gi")

        golden("store/statefulset", [minimal, full])

    def test_kubernetes_neither_rolls_nor_deletes(self) -> None:
        """We decide which pod goes next and which claim is deleted."""
        spec = store_statefulset(a_peer(), INPUTS, 0, claim_size="10Gi")["spec"]

        assert spec["updateStrategy"] == {"type": "OnDelete"}
        assert spec["podManagementPolicy"] == "Parallel"
        assert set(spec["persistentVolumeClaimRetentionPolicy"].values()) == {"Retain"}

    def test_the_claim_size_is_the_callers(self) -> None:
        """The immutable claim template keeps the size it was made with, whatever the spec says."""
        peer = a_peer({"spec.store.storage.size": "50Gi"})

        spec = store_statefulset(peer, INPUTS, 0, claim_size="10Gi")["spec"]

        claim = spec["volumeClaimTemplates"][0]
        assert claim["spec"]["resources"]["requests"]["storage"] == "10Gi"

    def test_selectors_of_partitions_are_disjoint(self) -> None:
        """Two partitions never select each other's pods."""
        peer = a_peer({"spec.store.partitions": 2})

        selectors = [
            store_statefulset(peer, INPUTS, partition, claim_size="1Gi")["spec"]["selector"]
            for partition in (0, 1)
        ]

        assert selectors[0] != selectors[1]
