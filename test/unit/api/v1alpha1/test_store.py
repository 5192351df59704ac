"""`spec.store`, the front-ends and their update."""

from datetime import timedelta

from smbpctl.api.v1alpha1.fields import StorageSpec
from smbpctl.api.v1alpha1.store import FrontEndSpec, ImageSpec, PullPolicy, StoreSpec, UpdateSpec


def test_static_defaults() -> None:
    """What the server persists for an empty object is what the model has."""
    store = StoreSpec(storage=StorageSpec(size="1Gi"))

    assert (store.partitions, store.replicas, store.minimum_replicas) == (1, 3, None)
    assert FrontEndSpec().replicas == 2
    assert ImageSpec().pull_policy is PullPolicy.IF_NOT_PRESENT


def test_settle_time_is_a_duration() -> None:
    """Code reads durations, manifests count seconds."""
    assert UpdateSpec().settle == timedelta(seconds=10)
    assert UpdateSpec(settle_seconds=0).settle == timedelta()
