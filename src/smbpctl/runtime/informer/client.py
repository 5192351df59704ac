"""What an informer needs of a client, and how it uses it: the two calls, how much, how often."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import Protocol, TypeAlias, TypedDict, final

from smbpctl.runtime.meta import FieldSelector, GroupVersionKind, LabelSelector
from smbpctl.runtime.store import Projection

Chunks: TypeAlias = AbstractAsyncContextManager[AsyncIterator[bytes]]
"""An open watch stream: chunks of bytes that end anywhere."""


class ListWatchClient(Protocol):
    """The two calls that an informer makes."""

    def list_pages(
        self,
        gvk: GroupVersionKind,
        *,
        namespace: str = "",
        selector: LabelSelector | None = None,
        fields: FieldSelector | None = None,
        metadata_only: bool = False,
        page_size: int = 500,
        resource_version: str = "",
    ) -> AsyncIterator[bytes]:
        """Yield the bodies of the pages of one list; raise Gone when a continue token expired."""
        ...

    def watch(
        self,
        gvk: GroupVersionKind,
        *,
        namespace: str = "",
        selector: LabelSelector | None = None,
        fields: FieldSelector | None = None,
        metadata_only: bool = False,
        resource_version: str,
        initial_events: bool = False,
        timeout: timedelta,
        gathers: Callable[[], bool] | None = None,
    ) -> Chunks:
        """Open a watch with bookmarks; raise ApiStatusError on entering when it is refused.

        The server ends the stream after `timeout`; silence is noticed by whoever reads. With
        `initial_events` and no `resource_version` everything there is comes first, as ADDED
        events of a consistent read, up to a bookmark that says so. While `gathers` says so, the
        reader would rather wait some milliseconds for much than be woken for little.
        """
        ...


class Form(Enum):
    """How much of each object is kept."""

    FULL = "full"
    METADATA = "metadata"


@final
@dataclass(frozen=True, slots=True)
class Scope:
    """Which objects of a kind are asked for: of one namespace or of all, by labels and fields."""

    namespace: str = ""
    selector: LabelSelector | None = None
    fields: FieldSelector | None = None


class InformerOptions(TypedDict, total=False):
    """What few informers need, and how they pace their requests; each has a default."""

    fields: FieldSelector | None
    """Which objects are listed and watched, by the fields the server can select by (all)."""
    projection: Projection | None
    """The fields that are kept of each object held in full (all)."""
    paged: bool
    """Never ask for a list as a stream: for servers known not to know it (False)."""
    page_size: int
    """Objects per page of a list (500)."""
    watch_timeout: tuple[timedelta, timedelta]
    """Out of which the length of each watch is drawn, lest clients reconnect in step (5-10 min)."""
    stall_after: timedelta
    """Silence after which a watch is given up: over two bookmark intervals of a minute (150 s)."""
    resync: timedelta | None
    """How often every object is told again, as `Updated` of two equal states (never)."""
    discovery_changes: Callable[[], int]
    """Counts the changes of what is served: after one, a list as a stream is tried again."""
