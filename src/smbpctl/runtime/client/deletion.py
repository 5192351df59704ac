"""The request bodies that take objects away: `DeleteOptions` and `Eviction`."""

from datetime import timedelta
from enum import Enum
from typing import Any

from smbpctl.runtime.meta import Manifest, ObjectKey


class Propagation(Enum):
    """What happens to the objects that the deleted one owns."""

    BACKGROUND = "Background"
    """The garbage collector deletes them afterwards."""
    FOREGROUND = "Foreground"
    """The object stays, marked as deleted, until those that block its deletion are gone."""
    ORPHAN = "Orphan"
    """They stay, without owner."""


def delete_options(
    *,
    uid: str | None,
    resource_version: str | None,
    propagation: Propagation | None,
    grace_period: timedelta | None,
) -> Manifest:
    """Return the body of a DELETE; what is None is left to the server."""
    options: Manifest = {"apiVersion": "v1", "kind": "DeleteOptions"}
    if propagation is not None:
        options["propagationPolicy"] = propagation.value
    preconditions = {"uid": uid, "resourceVersion": resource_version}
    if given := {key: value for key, value in preconditions.items() if value is not None}:
        options["preconditions"] = given
    if grace_period is not None:
        options["gracePeriodSeconds"] = int(grace_period.total_seconds())
    return options


def eviction(
    key: ObjectKey,
    *,
    uid: str | None,
    resource_version: str | None,
    grace_period: timedelta | None,
) -> Manifest:
    """Return the body that asks for the eviction of a pod."""
    options: dict[str, Any] = delete_options(
        uid=uid, resource_version=resource_version, propagation=None, grace_period=grace_period
    )
    return {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": key.name, "namespace": key.namespace},
        "deleteOptions": options,
    }
