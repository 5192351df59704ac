"""Tests of the volumes: made in time, reserved by UID, grown, and deleted when released."""

from decimal import Decimal
from typing import Any

import pytest

from smbpctl.runtime.meta import Manifest, ObjectKey
from smbpctl.runtime.reconcile import Request
from smbpctl.runtime.simulation.agents.claims import (
    CLAIM,
    EXPANDABLE_CLASS,
    FIXED_CLASS,
    PROVISIONER,
    VOLUME,
    ClaimReconciler,
    VolumeReconciler,
    awaits_volume,
    bytes_of,
    is_released,
    storage_classes,
    volume_for,
    wanted_growth,
)
from test.support.virtual_time import run_virtual
from test.unit.runtime.simulation.agents.builders import FakeCluster

KEY = ObjectKey("ns", "data-web-0")
EXPANDABLE, FIXED = storage_classes()
IMMEDIATE = {**EXPANDABLE, "volumeBindingMode": "Immediate"}
SELECTED = {"volume.kubernetes.io/selected-node": "node-0"}


def claim(
    *, size: str = "1Gi", bound: str | None = None, annotations: dict[str, str] | None = None
) -> Manifest:
    """Return a claim of the expandable class; `bound` is the capacity it has."""
    spec: dict[str, Any] = {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": EXPANDABLE_CLASS,
        "resources": {"requests": {"storage": size}},
        "volumeMode": "Filesystem",
    }
    status: dict[str, Any] = {"phase": "Pending"}
    if bound is not None:
        spec["volumeName"] = "pvc-uid-c"
        status = {"phase": "Bound", "capacity": {"storage": bound}}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": KEY.name,
            "namespace": KEY.namespace,
            "uid": "uid-c",
            "annotations": SELECTED if annotations is None else annotations,
        },
        "spec": spec,
        "status": status,
    }


def volume(phase: str = "Bound", **spec: Any) -> Manifest:
    """Return the claim's volume."""
    made = volume_for(claim(), EXPANDABLE)
    made["metadata"]["uid"] = "uid-v"
    made["spec"] |= spec
    return {**made, "status": {"phase": phase}}


def terminating(manifest: Manifest) -> Manifest:
    """Return an object whose deletion has begun."""
    metadata = {**manifest["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}
    return {**manifest, "metadata": metadata}


def test_one_class_grows_and_is_the_default() -> None:
    """Claims without a class get volumes that grow; the other class refuses growth."""
    default = "storageclass.kubernetes.io/is-default-class"

    assert EXPANDABLE["metadata"]["name"] == EXPANDABLE_CLASS
    assert EXPANDABLE["allowVolumeExpansion"] is True
    assert EXPANDABLE["metadata"]["annotations"][default] == "true"
    assert FIXED["metadata"]["name"] == FIXED_CLASS
    assert FIXED["allowVolumeExpansion"] is False
    assert FIXED["metadata"]["annotations"][default] == "false"


@pytest.mark.parametrize(
    ("quantity", "expected"),
    [
        ("0", 0),
        ("1024", 1024),
        ("1Ki", 1024),
        ("1.5Gi", 1610612736),
        ("2G", 2_000_000_000),
        ("1k", 1000),
        ("500m", Decimal("0.5")),
        ("1e3", 1000),
        ("1E", 10**18),
        ("1Ei", 2**60),
    ],
)
def test_quantities_are_numbers(quantity: str, expected: Decimal | int) -> None:
    """Binary, decimal and exponent forms compare by their value."""
    assert bytes_of(quantity) == expected


@pytest.mark.parametrize("quantity", ["", "Gi", "1 Gi", "one", "1GiKi", "1K", "1gi"])
def test_what_is_no_quantity_is_refused(quantity: str) -> None:
    """Nothing is guessed from a malformed quantity."""
    with pytest.raises(ValueError, match="not a quantity"):
        bytes_of(quantity)


@pytest.mark.parametrize(
    ("manifest", "storage_class", "expected"),
    [
        (claim(), EXPANDABLE, True),
        (claim(annotations={}), EXPANDABLE, False),
        (claim(annotations={}), IMMEDIATE, True),
        (claim(), None, False),
        (claim(), {**EXPANDABLE, "provisioner": "somebody.else"}, False),
        (claim(bound="1Gi"), EXPANDABLE, False),
        (terminating(claim()), EXPANDABLE, False),
    ],
)
def test_a_volume_is_made_in_its_turn(
    manifest: Manifest, storage_class: Manifest | None, expected: bool
) -> None:
    """Only for unbound claims of our classes, and where the class says so after scheduling."""
    assert awaits_volume(manifest, storage_class) is expected


def test_a_volume_is_reserved_for_its_claim() -> None:
    """The volume names the claim's UID, is as large as asked, and carries our mark."""
    made = volume_for(claim(size="5Gi"), FIXED)

    assert made["metadata"]["name"] == "pvc-uid-c"
    assert made["spec"]["claimRef"]["uid"] == "uid-c"
    assert made["spec"]["capacity"] == {"storage": "5Gi"}
    assert made["spec"]["storageClassName"] == FIXED_CLASS
    assert made["metadata"]["annotations"]["pv.kubernetes.io/provisioned-by"] == PROVISIONER


@pytest.mark.parametrize(
    ("manifest", "of", "expected"),
    [
        (claim(size="2Gi", bound="1Gi"), volume(), "2Gi"),
        (claim(size="10Gi", bound="9Gi"), volume(), "10Gi"),
        (claim(size="1024Mi", bound="1Gi"), volume(), None),
        (claim(size="1Gi", bound="2Gi"), volume(), None),
        (claim(size="2Gi"), volume(), None),
        (claim(size="2Gi", bound="1Gi"), None, None),
        (terminating(claim(size="2Gi", bound="1Gi")), volume(), None),
        (claim(size="2Gi", bound="1Gi"), {**volume(), "metadata": {"name": "x"}}, None),
    ],
)
def test_growth_is_wanted_by_value_and_for_our_volumes(
    manifest: Manifest, of: Manifest | None, expected: str | None
) -> None:
    """A bound claim that asks for more than it has wants growth; other people's volumes do not."""
    assert wanted_growth(manifest, of) == expected


@pytest.mark.parametrize(
    ("manifest", "expected"),
    [
        (volume("Released"), True),
        (volume("Bound"), False),
        (volume("Available"), False),
        (volume("Released", persistentVolumeReclaimPolicy="Retain"), False),
        ({**volume("Released"), "metadata": {"name": "foreign"}}, False),
    ],
)
def test_only_released_volumes_of_ours_go(manifest: Manifest, expected: bool) -> None:
    """The reclaim policy and our mark decide; a retained volume stays."""
    assert is_released(manifest) is expected


def reconcile(cluster: FakeCluster) -> None:
    """Reconcile the one claim."""
    run_virtual(ClaimReconciler(cluster, cluster).reconcile(Request(KEY)))


def test_a_pending_claim_gets_a_volume_once() -> None:
    """The volume is made when it is the claim's turn, and not again while it waits for binding."""
    cluster = FakeCluster(claim(), EXPANDABLE)

    reconcile(cluster)
    reconcile(cluster)

    assert cluster.verbs() == ["apply PersistentVolume"]


@pytest.mark.parametrize("storage_class", [None, FIXED])
def test_a_claim_of_an_unknown_class_is_left_alone(storage_class: Manifest | None) -> None:
    """A class that does not exist is not served."""
    cluster = FakeCluster(claim(), *([storage_class] if storage_class else []))

    reconcile(cluster)

    assert cluster.writes == []


def test_an_absent_claim_is_nothing_to_do() -> None:
    """A deleted claim's volume is the other reconciler's business."""
    cluster = FakeCluster(EXPANDABLE)

    reconcile(cluster)

    assert cluster.writes == []


def test_growth_reaches_the_volume_before_the_claim() -> None:
    """The claim says that it has grown only after its volume has; then nothing more is done."""
    cluster = FakeCluster(claim(size="3Gi", bound="1Gi"), volume(), EXPANDABLE)

    reconcile(cluster)
    reconcile(cluster)

    assert cluster.verbs() == ["patch PersistentVolume", "patch PersistentVolumeClaim/status"]
    grown = cluster.objects[VOLUME, ObjectKey("", "pvc-uid-c")]
    assert grown["spec"]["capacity"] == {"storage": "3Gi"}
    assert cluster.objects[CLAIM, KEY]["status"]["capacity"] == {"storage": "3Gi"}
    assert cluster.writes[1][2]["metadata"] == {"uid": "uid-c"}


@pytest.mark.parametrize(
    ("phase", "verbs"), [("Released", ["delete PersistentVolume"]), ("Bound", [])]
)
def test_a_released_volume_is_deleted_by_uid(phase: str, verbs: list[str]) -> None:
    """Only a released volume is deleted, and only the one that was read."""
    cluster = FakeCluster(volume(phase))
    request = Request(ObjectKey("", "pvc-uid-c"))

    run_virtual(VolumeReconciler(cluster, cluster).reconcile(request))

    assert cluster.verbs() == verbs
    assert all(options["uid"] == "uid-v" for _, _, options in cluster.writes)
