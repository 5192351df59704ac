"""`status`: read leniently, written without what is not known."""

from smbpctl.api.v1alpha1.status import (
    BigPeerStatus,
    Effective,
    EffectiveTopic,
    MemberStatus,
    PartitionStatus,
    StoreStatus,
)


def test_limits_bind_the_server_only() -> None:
    """A status that breaks today's limits is still read: another version wrote it."""
    manifest = {
        "version": "v" * 1000,
        "endpoints": [{"name": f"e{n}", "type": "Newer"} for n in range(100)],
        "conditions": [{"type": "A New Type!", "status": "True", "reason": "x y", "extra": 1}],
    }

    status = BigPeerStatus.model_validate(manifest)

    assert status.version == "v" * 1000
    assert len(status.endpoints) == 100
    assert status.conditions[0].type == "A New Type!"


def test_store_shape() -> None:
    """Absent facts are absent, never null or zero."""
    member = MemberStatus(pod="demo-store-0-0", revision="r1", caught_up=False, reason="NotReady")
    store = StoreStatus(
        selector="a=b",
        summary="0/1",
        replicas=1,
        ready_replicas=0,
        updated_replicas=1,
        partitions=(PartitionStatus(index=0, ready=0, updated=1, members=(member,)),),
    )

    assert store.to_manifest() == {
        "selector": "a=b",
        "summary": "0/1",
        "replicas": 1,
        "readyReplicas": 0,
        "updatedReplicas": 1,
        "partitions": [
            {
                "index": 0,
                "ready": 0,
                "updated": 1,
                "members": [
                    {
                        "pod": "demo-store-0-0",
                        "revision": "r1",
                        "caughtUp": False,
                        "reason": "NotReady",
                    }
                ],
            }
        ],
    }


def test_effective_shape() -> None:
    """The computed defaults have the names of the fields they stand for."""
    shown = Effective(
        minimum_replicas=2,
        topic=EffectiveTopic(name="t", replicas=3, min_in_sync_replicas=2),
        image_prefix="registry.test/x",
    )

    assert shown.to_manifest() == {
        "minimumReplicas": 2,
        "topic": {"name": "t", "replicas": 3, "minInSyncReplicas": 2},
        "imagePrefix": "registry.test/x",
    }
