"""Installs CustomResourceDefinitions and waits until their kinds can really be used."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, Protocol, cast

from smbpctl.runtime.cache.crds import CRD
from smbpctl.runtime.clock import Clock
from smbpctl.runtime.errors import (
    ConfigurationError,
    NoKindMatch,
    NotFound,
    ServerError,
    ServerTimeout,
    TooManyRequests,
    TransportError,
)
from smbpctl.runtime.meta import GroupVersionKind, Manifest, ObjectKey, gvk_of, key_of

_LOOK_AGAIN = timedelta(milliseconds=200)
_PASSING = (NoKindMatch, NotFound, TransportError, ServerError, ServerTimeout, TooManyRequests)


class CrdClient(Protocol):
    """The verbs that installing needs: satisfied by `Client`."""

    async def apply(self, manifest: Manifest, *, field_owner: str, force: bool = False) -> Manifest:
        """Send a server-side apply."""
        ...

    async def get(self, gvk: GroupVersionKind, key: ObjectKey) -> Manifest | None:
        """Read an object, None when there is none."""
        ...

    def list_pages(self, gvk: GroupVersionKind, *, page_size: int) -> AsyncIterator[bytes]:
        """Yield the pages of a list."""
        ...


async def ensure_crds(
    client: CrdClient,
    definitions: Sequence[Manifest],
    *,
    field_owner: str,
    clock: Clock,
    within: timedelta = timedelta(seconds=60),
) -> list[GroupVersionKind]:
    """Apply definitions; return their served kinds as soon as every one can be listed.

    A definition that is Established is not yet served by every handler of the API server, so each
    kind is listed once before it counts. Applying again what is there changes nothing.

    Errors: ValueError for something that is no CustomResourceDefinition; ConfigurationError when
    the server does not accept the names (the message is the server's), or when a kind cannot be
    used in time; those of `Client.apply`.
    """
    for definition in definitions:
        if gvk_of(definition) != CRD:
            raise ValueError(f"{gvk_of(definition)} {key_of(definition)} is no {CRD.kind}")
    for definition in definitions:
        await client.apply(definition, field_owner=field_owner, force=True)
    deadline = clock.monotonic() + within.total_seconds()
    kinds: list[GroupVersionKind] = []
    for definition in definitions:
        key = key_of(definition)
        while (problem := await _problem(client, key)) is not None:
            if clock.monotonic() >= deadline:
                raise ConfigurationError(f"{CRD.kind} {key}: not usable after {within}: {problem}")
            await clock.sleep(_LOOK_AGAIN)
        kinds += _served(definition)
    return kinds


async def _problem(client: CrdClient, key: ObjectKey) -> str | None:
    """Return why the kinds of a definition cannot be used yet, None when they can."""
    try:
        live = await client.get(CRD, key)
        if live is None:
            return "it was deleted"
        conditions = _conditions(live)
        refused = conditions.get("NamesAccepted", {})
        if refused.get("status") == "False":
            raise ConfigurationError(f"{CRD.kind} {key}: {refused.get('message')}")
        if conditions.get("Established", {}).get("status") != "True":
            return "it is not established"
        for gvk in _served(live):
            async for _ in client.list_pages(gvk, page_size=1):
                break
    except _PASSING as error:
        return str(error)
    return None


def _served(definition: Mapping[str, Any]) -> Iterator[GroupVersionKind]:
    spec = definition["spec"]
    for version in spec["versions"]:
        if version.get("served"):
            yield GroupVersionKind(spec["group"], version["name"], spec["names"]["kind"])


def _conditions(live: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    status = cast("Mapping[str, Any]", live.get("status") or {})
    found = cast("list[Mapping[str, Any]]", status.get("conditions") or [])
    return {str(each.get("type")): each for each in found}
