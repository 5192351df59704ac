"""Tests of claims and volumes on a real control plane."""

import pytest

from smbpctl.runtime.errors import Forbidden
from smbpctl.runtime.meta import ObjectKey
from smbpctl.runtime.simulation.agents import (
    FIXED_CLASS,
)
from smbpctl.runtime.simulation.agents.pods import CLAIM
from test.controlplane.agents.bench import (
    OWNER,
    STATEFUL_SET,
    VOLUME,
    Bench,
    eventually,
    stateful_set,
)


async def test_a_claim_grows(bench: Bench, namespace: str) -> None:
    """A larger request is honoured by volume and claim; the fixed class refuses it."""
    await bench.apply(stateful_set(namespace, replicas=1))
    await bench.await_ready(namespace, "web", 1)

    await bench.user.client.patch_merge(
        CLAIM,
        ObjectKey(namespace, "data-web-0"),
        {"spec": {"resources": {"requests": {"storage": "2Gi"}}}},
        field_owner=OWNER,
    )

    async def grown() -> bool:
        claim = await bench.get(CLAIM, namespace, "data-web-0")
        assert claim is not None
        volume = await bench.get(VOLUME, "", claim["spec"]["volumeName"])
        assert volume is not None
        sizes = [claim["status"]["capacity"]["storage"], volume["spec"]["capacity"]["storage"]]
        return sizes == ["2Gi", "2Gi"]

    await eventually(grown, "claim and volume have 2Gi")


async def test_a_claim_of_the_fixed_class_keeps_its_size(bench: Bench, namespace: str) -> None:
    """The API server itself refuses growth where the class does not allow it."""
    fixed = stateful_set(namespace, replicas=1)
    fixed["spec"]["volumeClaimTemplates"][0]["spec"]["storageClassName"] = FIXED_CLASS
    await bench.apply(fixed)
    await bench.await_ready(namespace, "web", 1)

    with pytest.raises(Forbidden, match="only dynamically provisioned pvc can be resized"):
        await bench.user.client.patch_merge(
            CLAIM,
            ObjectKey(namespace, "data-web-0"),
            {"spec": {"resources": {"requests": {"storage": "2Gi"}}}},
            field_owner=OWNER,
        )


async def test_a_deleted_claim_takes_its_volume_along(bench: Bench, namespace: str) -> None:
    """Once no pod uses it, a deleted claim goes, and its volume after it."""
    await bench.apply(stateful_set(namespace, replicas=1))
    await bench.await_ready(namespace, "web", 1)
    claim = await bench.get(CLAIM, namespace, "data-web-0")
    assert claim is not None

    await bench.user.client.delete(STATEFUL_SET, ObjectKey(namespace, "web"))
    await bench.user.client.delete(CLAIM, ObjectKey(namespace, "data-web-0"))

    async def gone() -> bool:
        return await bench.get(VOLUME, "", claim["spec"]["volumeName"]) is None

    await eventually(gone, "the volume is deleted")
