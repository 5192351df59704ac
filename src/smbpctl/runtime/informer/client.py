"""What an informer needs of a client, and how it uses it: the two calls, how much, how often."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from enum import Enum
from typing import Protocol, TypeAlias, TypedDict

from smbpctl.runtime.meta import GroupVersionKind, LabelSelector

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
        metadata_only: bool = False,
        resource_version: str,
        timeout: timedelta,
        read_timeout: timedelta,
    ) -> Chunks:
        """Open a watch with bookmarks; raise ApiStatusError on entering when it is refused.

        The server ends the stream after `timeout`; `read_timeout` is the longest silence.
        """
        ...


class Form(Enum):
    """How much of each object is kept."""

    FULL = "full"
    METADATA = "metadata"


class Pacing(TypedDict, total=False):
    """How an informer paces its requests; what is left out has the default."""

    page_size: int
    """Objects per page of a list (500)."""
    watch_timeout: tuple[timedelta, timedelta]
    """Out of which the length of each watch is drawn, lest clients reconnect in step (5-10 min)."""
    stall_after: timedelta
    """Silence after which a watch is given up: over two bookmark intervals of a minute (150 s)."""
    resync: timedelta | None
    """How often every object is told again, as `Updated` of two equal states (never)."""
