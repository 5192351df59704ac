"""Decides about status applies: what we own of a status, what is carried over, what differs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from itertools import islice
from typing import Any, cast, final

import structlog

from smbpctl.runtime.apply.desired import refuse_non_json
from smbpctl.runtime.apply.expectation import StaleView
from smbpctl.runtime.apply.fields import (
    Difference,
    FieldSet,
    changed_values,
    differences,
    field_set_of,
    owned_values,
    parse_field_set,
)
from smbpctl.runtime.apply.protocols import ApplyClient, LiveReader
from smbpctl.runtime.errors import Conflict, NotFound
from smbpctl.runtime.meta import Manifest, gvk_of, key_of, metadata_of, uid_of

_REASONS = 5
_ATTEMPTS = 4

_log = structlog.get_logger(__name__)


def owned_status(
    observed: Manifest, fields: Mapping[str, bytes] | None, *, field_owner: str
) -> dict[str, Any]:
    """Return a copy of what this owner has in the object's status: the start of its next one.

    A status apply is complete: what is not sent again is removed. So a pass takes this, replaces
    what it knows, and carries the rest unchanged.
    """
    return _cached(observed, fields, field_owner).owned()


def carry_transition_times(status: Mapping[str, Any], observed: Manifest) -> dict[str, Any]:
    """Return `status` with `lastTransitionTime` as observed, where a condition did not turn.

    `lastTransitionTime` is when `status` of the condition changed, not when its reason or message
    did, and not when somebody looked. Source: Kubernetes API conventions, typical status.
    """
    conditions = status.get("conditions")
    if not isinstance(conditions, list):
        return dict(status)
    known = {
        (str(each.get("type")), each.get("status")): each.get("lastTransitionTime")
        for each in _conditions(observed.get("status"))
    }
    carried: list[Any] = []
    for each in cast("list[dict[str, Any]]", conditions):
        since = known.get((str(each.get("type")), each.get("status")))
        carried.append({**each, "lastTransitionTime": since} if since else each)
    return {**status, "conditions": carried}


@final
@dataclass(frozen=True, slots=True)
class _StatusView:
    """An object as it was read, with what we own below its `status`; None is nothing."""

    manifest: Manifest
    fields: FieldSet | None

    def owned(self) -> dict[str, Any]:
        """Return a copy of our part of the status."""
        status = cast("dict[str, Any]", self.manifest.get("status") or {})
        if not self.fields or not status:
            return {}
        return cast("dict[str, Any]", owned_values(status, self.fields))

    def differences(self, status: Mapping[str, Any]) -> Iterator[Difference]:
        """Yield why `status` must be sent: both ownership and values count."""
        yield from differences(status, self.fields or {})
        if self.fields:
            # Values of our own kinds are kept as they are sent.
            yield from changed_values(dict(status), self.manifest.get("status"), self.fields, "")

    def body(self, status: Mapping[str, Any]) -> Manifest:
        """Return the apply of `status`, bound to exactly what was read.

        A status of custom resources takes no notice of `metadata.uid` (tried on 1.36), so only
        the resourceVersion keeps it from a namesake.
        """
        metadata = metadata_of(self.manifest)
        names = ("name", "namespace", "uid", "resourceVersion")
        return {
            "apiVersion": self.manifest["apiVersion"],
            "kind": self.manifest["kind"],
            "metadata": {name: metadata[name] for name in names if metadata.get(name)},
            "status": dict(status),
        }


class StatusOutcome(Enum):
    """How a status apply ended."""

    WRITTEN = "written"
    UNCHANGED = "unchanged"
    GONE = "gone"
    """The object does not exist any more."""


@final
class StatusApplier:
    """Writes one field owner's part of a status; see `Applier.apply_status` for the contract."""

    def __init__(self, client: ApplyClient, reader: LiveReader, *, field_owner: str) -> None:
        self._client = client
        self._reader = reader
        self._field_owner = field_owner

    async def apply(
        self, observed: Manifest, fields: Mapping[str, bytes] | None, status: Mapping[str, Any]
    ) -> StatusOutcome:
        """Send the status if it differs from what was observed.

        When the object has changed meanwhile, but not our part of its status, that change does
        not concern us and the status is sent again on the new version, a few times at most.
        """
        which = f"{gvk_of(observed).kind} {key_of(observed)}"
        if not uid_of(observed):
            raise ValueError(f"{which} has no uid: it was never read from a server")
        refuse_non_json(dict(status), f"status of {which}")
        first = view = _cached(observed, fields, self._field_owner)
        for _ in range(_ATTEMPTS):
            carried = carry_transition_times(status, view.manifest)
            reasons = tuple(map(str, islice(view.differences(carried), _REASONS)))
            if not reasons:
                return StatusOutcome.UNCHANGED
            if view.owned() != first.owned():
                break
            sent = await self._send(view.body(carried), which, reasons)
            if sent is not None:
                return sent
            live = await self._reader.live_get(gvk_of(observed), key_of(observed))
            if live is None:
                return StatusOutcome.GONE
            view = self._read(live)
            if uid_of(live) != uid_of(observed):
                break
        raise StaleView(which)

    async def _send(
        self, body: Manifest, which: str, reasons: tuple[str, ...]
    ) -> StatusOutcome | None:
        """Return None when the object has changed since it was read."""
        try:
            await self._client.apply(
                body, field_owner=self._field_owner, force=True, subresource="status"
            )
        except NotFound:
            return StatusOutcome.GONE
        except Conflict:
            return None
        _log.debug("status applied", object=which, reasons=reasons)
        return StatusOutcome.WRITTEN

    def _read(self, live: Manifest) -> _StatusView:
        whole = field_set_of(live, self._field_owner, subresource="status")
        return _StatusView(live, (whole or {}).get("f:status"))


def _cached(
    observed: Manifest, fields: Mapping[str, bytes] | None, field_owner: str
) -> _StatusView:
    raw = (fields or {}).get(f"{field_owner}:status")
    whole = parse_field_set(raw) if raw is not None else None
    return _StatusView(observed, (whole or {}).get("f:status"))


def _conditions(status: object) -> list[dict[str, Any]]:
    conditions: object = (
        cast("dict[str, object]", status).get("conditions") if isinstance(status, dict) else None
    )
    return cast("list[dict[str, Any]]", conditions) if isinstance(conditions, list) else []
