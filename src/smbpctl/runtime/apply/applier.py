"""Applies desired objects in order, skips what would change nothing, prunes what is not wanted."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, final

import structlog

from smbpctl.runtime.apply.convergence import ObjectId, SettledMemory, reasons_to_apply
from smbpctl.runtime.apply.desired import Desired, annotation_key, desire
from smbpctl.runtime.apply.expectation import (
    Absent,
    Adopt,
    Existing,
    Expectation,
    ObjectTerminating,
    is_uid_mismatch,
    translate_conflict,
)
from smbpctl.runtime.apply.live import LiveView, cached_view, read_view
from smbpctl.runtime.apply.migration import migration_patch
from smbpctl.runtime.apply.ownership import belongs_to, is_ours, other_managers, owned_child
from smbpctl.runtime.apply.protocols import ApplyCache, ApplyClient, ApplyMetrics
from smbpctl.runtime.apply.status import StatusApplier, StatusOutcome
from smbpctl.runtime.consistency import NEVER_WRITTEN
from smbpctl.runtime.errors import Conflict, Invalid, NameConflict
from smbpctl.runtime.meta import (
    GroupKind,
    GroupVersionKind,
    Manifest,
    ObjectKey,
    StoredObject,
    key_of,
    uid_of,
)

_log = structlog.get_logger(__name__)


@final
@dataclass(frozen=True, slots=True)
class ApplyReport:
    """What one `apply_set` did, each in the order it was done.

    `waiting` are desired objects whose name is still taken by one that is being deleted: their
    `Deleted` event wakes the owner.
    """

    applied: tuple[ObjectId, ...] = ()
    unchanged: tuple[ObjectId, ...] = ()
    pruned: tuple[ObjectId, ...] = ()
    waiting: tuple[ObjectId, ...] = ()


class _Outcome(Enum):
    APPLIED = "applied"
    UNCHANGED = "unchanged"
    WAITING = "waiting"


@final
class Applier:
    """Server-side apply under one field owner.

    Each applied object carries the annotation `<domain>/applied-<part of field_owner after "/">`
    with the hash of what was desired; it tells a later pass, also of another process, that there
    is nothing to do. Methods may run concurrently for different objects.
    """

    def __init__(
        self,
        client: ApplyClient,
        cache: ApplyCache,
        *,
        field_owner: str,
        domain: str,
        metrics: ApplyMetrics | None = None,
    ) -> None:
        self._client = client
        self._cache = cache
        self._field_owner = field_owner
        self._domain = domain
        self._metrics = metrics
        self._mark = annotation_key(domain, field_owner)
        self._settled = SettledMemory()
        self._status = StatusApplier(client, cache, field_owner=field_owner)

    async def apply(self, desired: Manifest, *, expectation: Expectation) -> Manifest:
        """Apply one complete object and return it; nothing is sent when it would change nothing.

        Then the answer is what is known without asking: for a kind that is cached as metadata
        only, metadata. The fields in `desired` are forced for an object that is ours.

        Errors: ValueError for an object that must not be applied (see `desire`); `Conflict` when
        the expectation does not hold; `ApplyConflict` naming managers and fields; `NameConflict`
        when the object belongs to somebody else; `ObjectTerminating` when it is being deleted,
        unless `Existing` names it.
        """
        wanted = desire(desired, annotation=self._mark)
        outcome, live = await self._meet(wanted, expectation)
        if outcome is _Outcome.WAITING:
            raise ObjectTerminating(str(wanted))
        return live.manifest()

    async def apply_set(
        self,
        owner: Manifest,
        desired: Sequence[Manifest],
        *,
        prune: Sequence[GroupVersionKind] = (),
        keep: Collection[ObjectId] = (),
    ) -> ApplyReport:
        """Apply the children of `owner` in order; then delete those of the kinds in `prune`.

        Each child is tied to the owner (see `owned_child`). The first error ends the set, before
        anything after it is applied and before anything is pruned; a child whose name is held by
        a terminating object does not, it is reported as `waiting`. Pruned, in the order of kind
        and key, is what the owner controls by reference, was applied under this field owner, and
        is neither desired nor in `keep`: with UID and resourceVersion as preconditions, so that
        a child that changed since it was cached raises `Conflict` instead.

        Errors: those of `apply`; ValueError also for a key that is desired twice.
        """
        owner_uid = uid_of(owner)
        if not owner_uid:
            raise ValueError(f"{owner.get('kind')} {key_of(owner)} has no uid to own objects by")
        children = [
            desire(owned_child(owner, child, domain=self._domain), annotation=self._mark)
            for child in desired
        ]
        _refuse_duplicates(children)
        done: dict[_Outcome, list[ObjectId]] = {outcome: [] for outcome in _Outcome}
        for child in children:
            done[await self._apply_child(child, owner_uid)].append((child.gvk, child.key))
        spared = {(gvk.group_kind, key) for gvk, key in keep}
        spared.update((child.gvk.group_kind, child.key) for child in children)
        pruned = await self._prune_all(prune, owner_uid, spared)
        return ApplyReport(
            applied=tuple(done[_Outcome.APPLIED]),
            unchanged=tuple(done[_Outcome.UNCHANGED]),
            pruned=pruned,
            waiting=tuple(done[_Outcome.WAITING]),
        )

    async def apply_status(
        self, observed: Manifest, fields: Mapping[str, bytes] | None, status: Mapping[str, Any]
    ) -> bool:
        """Write this owner's whole status if it differs; tell whether it was written.

        `observed` and `fields` are the object as it was read and `StoredObject.fields` of the
        same read; `status` is complete for this owner: what it leaves out is removed (start from
        `owned_status`). `lastTransitionTime` of conditions that did not turn is carried over.
        An object that is gone needs no status: that is False, not an error.

        Errors: `StaleView`, a `Conflict`, when the object or our part of its status has become
        another one since it was read; ValueError for null or no UID.
        """
        written = await self._status.apply(observed, fields, status)
        if written is StatusOutcome.UNCHANGED:
            self._count_noop()
        return written is StatusOutcome.WRITTEN

    async def _meet(self, wanted: Desired, expectation: Expectation) -> tuple[_Outcome, LiveView]:
        match expectation:
            case Existing():
                return await self._apply_existing(wanted, expectation)
            case Absent():
                return await self._apply_absent(wanted, expectation.owner_uid)
            case Adopt():
                return await self._adopt(wanted, expectation)

    async def _apply_existing(
        self, wanted: Desired, expectation: Existing
    ) -> tuple[_Outcome, LiveView]:
        live = self._cached(wanted)
        known = live is not None and live.uid == expectation.uid
        reasons = self._reasons(wanted, live) if live and known else ("not in the cache",)
        if live and not reasons:
            return self._unchanged(live)
        version = expectation.resource_version or (
            self._bound_to(wanted, live) if live and known else ""
        )
        body = wanted.with_preconditions(uid=expectation.uid, resource_version=version)
        return await self._send(wanted, body, force=True, reasons=reasons)

    async def _apply_child(self, wanted: Desired, owner_uid: str) -> _Outcome:
        live = self._cached(wanted)
        if live is None or not self._is_ours(live, wanted, owner_uid):
            # A foreign namesake in the cache may be gone by now: only a live read may refuse.
            outcome, _ = await self._apply_absent(wanted, owner_uid)
        else:
            outcome, _ = await self._settle(wanted, live)
        return outcome

    async def _apply_absent(self, wanted: Desired, owner_uid: str) -> tuple[_Outcome, LiveView]:
        if not belongs_to(self._view(wanted.manifest), owner_uid, domain=self._domain):
            raise ValueError(f"{wanted} does not say that owner {owner_uid} controls it")
        found = await self._cache.live_get(wanted.gvk, wanted.key)
        if found is None:
            return await self._create(wanted, owner_uid)
        live = self._view(found)
        if live.deleting:
            return _Outcome.WAITING, live
        if not self._is_ours(live, wanted, owner_uid):
            raise NameConflict(f"{wanted} exists and is not controlled by owner {owner_uid}")
        return await self._settle(wanted, live)

    async def _create(self, wanted: Desired, owner_uid: str = "") -> tuple[_Outcome, LiveView]:
        # With it an apply creates a missing object and conflicts with every other: a namesake of
        # the last moment is not adopted.
        body = wanted.with_preconditions(resource_version=NEVER_WRITTEN)
        outcome, live = await self._send(wanted, body, force=False, reasons=("did not exist",))
        # Servers that ignore the precondition would have let us adopt somebody's object.
        others = other_managers(live.manifest(), self._field_owner)
        foreign = owner_uid and not belongs_to(live, owner_uid, domain=self._domain)
        if others or foreign:
            raise NameConflict(
                f"{wanted} appeared while we were creating it"
                + (f"; it is also managed by {', '.join(others)}" if others else "")
            )
        return outcome, live

    async def _adopt(self, wanted: Desired, expectation: Adopt) -> tuple[_Outcome, LiveView]:
        if wanted.key not in expectation.names:
            raise ValueError(f"{wanted} is not in the adoption list")
        cached = self._cached(wanted)
        if cached is not None and not cached.deleting and not self._reasons(wanted, cached):
            return self._unchanged(cached)
        found = await self._cache.live_get(wanted.gvk, wanted.key)
        if found is None:
            return await self._create(wanted)
        live = self._view(found)
        if live.controller_uid not in (None, self._view(wanted.manifest).controller_uid):
            raise NameConflict(f"{wanted} exists and is controlled by owner {live.controller_uid}")
        operations = migration_patch(
            found, field_owner=self._field_owner, from_managers=expectation.from_managers
        )
        if operations and not live.deleting:
            found = await self._client.patch_json(
                wanted.gvk, wanted.key, operations, field_owner=self._field_owner
            )
            live = self._view(found)
        return await self._settle(wanted, live)

    async def _settle(self, wanted: Desired, live: LiveView) -> tuple[_Outcome, LiveView]:
        """Bring an object that is ours to what is wanted, if it is not there already."""
        if live.deleting:
            return _Outcome.WAITING, live
        reasons = self._reasons(wanted, live)
        if not reasons:
            return self._unchanged(live)
        body = wanted.with_preconditions(
            uid=live.uid, resource_version=self._bound_to(wanted, live)
        )
        return await self._send(wanted, body, force=True, reasons=reasons)

    async def _send(
        self, wanted: Desired, body: Manifest, *, force: bool, reasons: Sequence[str]
    ) -> tuple[_Outcome, LiveView]:
        try:
            answer = await self._client.apply(body, field_owner=self._field_owner, force=force)
        except Conflict as error:
            translated = translate_conflict(error, str(wanted))
            if translated is error:
                raise
            raise translated from error
        except Invalid as error:
            if not is_uid_mismatch(error):
                raise
            raise Conflict(
                f"apply {wanted}: the object of that name has another uid",
                code=409,
                reason="Conflict",
            ) from error
        live = self._view(answer)
        self._settled.record(wanted, live)
        _log.info("object applied", kind=wanted.gvk.kind, object=str(wanted.key), reasons=reasons)
        return _Outcome.APPLIED, live

    async def _prune_all(
        self,
        kinds: Sequence[GroupVersionKind],
        owner_uid: str,
        spared: Collection[tuple[GroupKind, ObjectKey]],
    ) -> tuple[ObjectId, ...]:
        pruned: list[ObjectId] = []
        for gvk in sorted(set(kinds)):
            for stored in sorted(self._cache.owned_by(gvk, owner_uid), key=lambda each: each.key):
                unwanted = (gvk.group_kind, stored.key) not in spared
                if unwanted and await self._prune(stored, owner_uid):
                    pruned.append((stored.gvk, stored.key))
        return tuple(pruned)

    async def _prune(self, stored: StoredObject, owner_uid: str) -> bool:
        live = cached_view(stored, self._field_owner)
        applied_by_us = live.fields is not None or self._mark in live.annotations
        if live.controller_uid != owner_uid or live.deleting or not applied_by_us:
            return False
        deleted = await self._client.delete(
            stored.gvk, stored.key, uid=live.uid, resource_version=live.resource_version
        )
        if deleted:
            _log.info("object pruned", kind=stored.gvk.kind, object=str(stored.key))
        return deleted

    def _is_ours(self, live: LiveView, wanted: Desired, owner_uid: str) -> bool:
        return is_ours(live, wanted, owner_uid, domain=self._domain, mark=self._mark)

    def _reasons(self, wanted: Desired, live: LiveView) -> tuple[str, ...]:
        settled = self._settled.recall(wanted, live.uid)
        reasons = reasons_to_apply(wanted, live, annotation=self._mark, settled=settled)
        if not reasons and settled is None:
            self._settled.record(wanted, live)
        return reasons

    def _cached(self, wanted: Desired) -> LiveView | None:
        stored = self._cache.meta(wanted.gvk, wanted.key)
        return cached_view(stored, self._field_owner) if stored is not None else None

    def _bound_to(self, wanted: Desired, live: LiveView) -> str:
        """Return the version to bind a write to, after one of which nobody knows what came."""
        cautious = self._cache.cautious(wanted.gvk, wanted.key)
        return live.resource_version if cautious else ""

    def _view(self, manifest: Manifest) -> LiveView:
        return read_view(manifest, self._field_owner)

    def _unchanged(self, live: LiveView) -> tuple[_Outcome, LiveView]:
        self._count_noop()
        return _Outcome.UNCHANGED, live

    def _count_noop(self) -> None:
        if self._metrics is not None:
            self._metrics.write_noop()


def _refuse_duplicates(children: Sequence[Desired]) -> None:
    seen: set[tuple[GroupKind, ObjectKey]] = set()
    for child in children:
        identity = (child.gvk.group_kind, child.key)
        if identity in seen:
            raise ValueError(f"{child} is desired twice")
        seen.add(identity)
