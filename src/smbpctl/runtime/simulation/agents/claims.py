"""Volumes that exist on paper: claims of our classes get one, and it grows with them."""

import re
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final, Protocol, final

from smbpctl.runtime.meta import (
    GroupVersionKind,
    Manifest,
    ObjectKey,
    is_deleting,
    key_of,
    metadata_of,
    uid_of,
)
from smbpctl.runtime.reconcile import DONE, Request, Result
from smbpctl.runtime.simulation.agents.sections import section

CLAIM: Final = GroupVersionKind("", "v1", "PersistentVolumeClaim")
VOLUME: Final = GroupVersionKind("", "v1", "PersistentVolume")
STORAGE_CLASS: Final = GroupVersionKind("storage.k8s.io", "v1", "StorageClass")

EXPANDABLE_CLASS: Final = "expandable"
"""The default class: its volumes grow with their claims."""
FIXED_CLASS: Final = "fixed"
"""A class whose volumes keep their size: the API server refuses larger claims."""

FIELD_OWNER: Final = "volume-agent"
PROVISIONER: Final = "volumes.simulation"

_SELECTED_NODE: Final = "volume.kubernetes.io/selected-node"
_PROVISIONED_BY: Final = "pv.kubernetes.io/provisioned-by"

_QUANTITY: Final = re.compile(
    r"(?P<number>[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?)(?P<unit>m|k|[KMGTPE]i|[MGTPE])?"
)
_POWERS: Final = {letter: power for power, letter in enumerate("KMGTPE", start=1)}


def storage_classes() -> tuple[Manifest, ...]:
    """Return the classes that the agent serves.

    Volumes are made when a pod was scheduled, as for most disks of clouds.
    """
    return tuple(
        {
            "apiVersion": STORAGE_CLASS.api_version,
            "kind": STORAGE_CLASS.kind,
            "metadata": {
                "name": name,
                "annotations": {"storageclass.kubernetes.io/is-default-class": default},
            },
            "provisioner": PROVISIONER,
            "reclaimPolicy": "Delete",
            "volumeBindingMode": "WaitForFirstConsumer",
            "allowVolumeExpansion": expandable,
        }
        for name, default, expandable in (
            (EXPANDABLE_CLASS, "true", True),
            (FIXED_CLASS, "false", False),
        )
    )


def bytes_of(quantity: str) -> Decimal:
    """Return a Kubernetes quantity as a number; raise ValueError when it is none."""
    found = _QUANTITY.fullmatch(quantity)
    if found is None:
        raise ValueError(f"{quantity!r} is not a quantity")
    number, unit = Decimal(found["number"]), found["unit"] or ""
    if unit == "m":
        return number / 1000
    power = _POWERS.get(unit[:1].upper(), 0)
    return number * Decimal(1024 if unit.endswith("i") else 1000) ** power


def awaits_volume(claim: Manifest, storage_class: Manifest | None) -> bool:
    """Tell whether it is the agent's turn to make a volume for a claim.

    With `WaitForFirstConsumer` the scheduler says so by naming the node.
    """
    if storage_class is None or storage_class.get("provisioner") != PROVISIONER:
        return False
    if is_deleting(claim) or claim["spec"].get("volumeName"):
        return False
    if storage_class.get("volumeBindingMode") != "WaitForFirstConsumer":
        return True
    return _SELECTED_NODE in section(claim, "metadata", "annotations")


def volume_for(claim: Manifest, storage_class: Manifest) -> Manifest:
    """Return the volume for a claim, reserved for it by UID; the volume controller binds them."""
    spec: dict[str, Any] = claim["spec"]
    name = volume_name(claim)
    key = key_of(claim)
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "annotations": {_PROVISIONED_BY: PROVISIONER}},
        "spec": {
            "accessModes": spec["accessModes"],
            "capacity": {"storage": spec["resources"]["requests"]["storage"]},
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "namespace": key.namespace,
                "name": key.name,
                "uid": uid_of(claim),
            },
            # Nobody ever opens the path: no container runs.
            "hostPath": {"path": f"/var/lib/simulated-volumes/{name}"},
            "persistentVolumeReclaimPolicy": storage_class.get("reclaimPolicy", "Delete"),
            "storageClassName": metadata_of(storage_class)["name"],
            "volumeMode": spec.get("volumeMode", "Filesystem"),
        },
    }


def volume_name(claim: Manifest) -> str:
    """Return the name of a claim's volume: one per UID, so that a repeated attempt is harmless."""
    return f"pvc-{uid_of(claim)}"


def wanted_growth(claim: Manifest, volume: Manifest | None) -> str | None:
    """Return the size that a bound claim of ours asks for beyond what it has; None if satisfied."""
    if volume is None or not _is_ours(volume) or is_deleting(claim):
        return None
    status = section(claim, "status")
    if status.get("phase") != "Bound":
        return None
    wanted = str(claim["spec"]["resources"]["requests"]["storage"])
    has = str(section(status, "capacity").get("storage", "0"))
    return wanted if bytes_of(wanted) > bytes_of(has) else None


def is_released(volume: Manifest) -> bool:
    """Tell whether a volume of ours has lost its claim and is to be deleted."""
    return (
        _is_ours(volume)
        and section(volume, "status").get("phase") == "Released"
        and volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete"
    )


def _is_ours(volume: Manifest) -> bool:
    return section(volume, "metadata", "annotations").get(_PROVISIONED_BY) == PROVISIONER


class VolumeClient(Protocol):
    """The calls that change volumes and claims: satisfied by `client.Client`."""

    async def apply(
        self, manifest: Manifest, *, field_owner: str, force: bool = False, subresource: str = ""
    ) -> Manifest:
        """Apply the fields of a manifest."""
        ...

    async def patch_merge(
        self,
        gvk: GroupVersionKind,
        key: ObjectKey,
        patch: Manifest,
        *,
        field_owner: str,
        subresource: str = "",
    ) -> Manifest:
        """Send a merge patch."""
        ...

    async def delete(
        self,
        gvk: GroupVersionKind,
        key: ObjectKey,
        *,
        uid: str | None = None,
        grace_period: timedelta | None = None,
    ) -> bool:
        """Delete an object; return False when it was not there."""
        ...


class VolumeReader(Protocol):
    """What the agent looks up: satisfied by `cache.Cache`."""

    async def get(self, gvk: GroupVersionKind, key: ObjectKey) -> Manifest | None:
        """Return an object, None when there is none."""
        ...


@final
@dataclass(frozen=True, slots=True)
class ClaimReconciler:
    """Gives claims of our classes a volume, and lets it grow as far as they ask."""

    client: VolumeClient
    reader: VolumeReader

    async def reconcile(self, request: Request[ObjectKey]) -> Result:
        """Make the claim's volume, or grow it; nothing else is this agent's business."""
        claim = await self.reader.get(CLAIM, request.key)
        if claim is None:
            return DONE
        volume = await self.reader.get(VOLUME, ObjectKey("", volume_name(claim)))
        size = wanted_growth(claim, volume)
        if size is not None:
            await self._grow(claim, size)
        elif volume is None:
            await self._provision(claim)
        return DONE

    async def _provision(self, claim: Manifest) -> None:
        class_name = claim["spec"].get("storageClassName") or ""
        storage_class = (
            await self.reader.get(STORAGE_CLASS, ObjectKey("", class_name)) if class_name else None
        )
        if storage_class is not None and awaits_volume(claim, storage_class):
            await self.client.apply(volume_for(claim, storage_class), field_owner=FIELD_OWNER)

    async def _grow(self, claim: Manifest, size: str) -> None:
        # The volume first: a crash in between leaves a claim that still asks.
        capacity = {"capacity": {"storage": size}}
        await self.client.patch_merge(
            VOLUME,
            ObjectKey("", volume_name(claim)),
            {"spec": capacity},
            field_owner=FIELD_OWNER,
        )
        await self.client.patch_merge(
            CLAIM,
            key_of(claim),
            {"metadata": {"uid": uid_of(claim)}, "status": {**capacity, "conditions": None}},
            field_owner=FIELD_OWNER,
            subresource="status",
        )


@final
@dataclass(frozen=True, slots=True)
class VolumeReconciler:
    """Deletes volumes of ours whose claims are gone, as their reclaim policy says."""

    client: VolumeClient
    reader: VolumeReader

    async def reconcile(self, request: Request[ObjectKey]) -> Result:
        """Delete the volume when it is released."""
        volume = await self.reader.get(VOLUME, request.key)
        if volume is not None and is_released(volume) and not is_deleting(volume):
            await self.client.delete(VOLUME, request.key, uid=uid_of(volume))
        return DONE
