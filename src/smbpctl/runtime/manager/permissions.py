"""Tells from the start of a manager which permissions it lacks, and heals when it has them."""

from collections.abc import Callable, Collection, Iterable
from datetime import timedelta
from typing import final

import structlog

from smbpctl.runtime.clock import Clock
from smbpctl.runtime.errors import ApiStatusError, TransportError
from smbpctl.runtime.meta import GroupVersionKind
from smbpctl.runtime.preflight import (
    Permission,
    PermissionReport,
    ResourceMapper,
    ReviewClient,
    check_permissions,
    watch_permissions,
)

_LOOK_AGAIN = timedelta(seconds=10)

_log = structlog.get_logger(__name__)


@final
class PermissionCheck:
    """A runnable that asks what this process may do, until nothing is missing; and a check.

    A missing permission does not end the process: people grant permissions while it runs, and
    informers and reconciles are retried. But it is neither ready nor silent meanwhile: each
    missing permission is logged once, with the rule that grants it.
    """

    def __init__(
        self,
        client: ReviewClient,
        mapper: ResourceMapper,
        *,
        kinds: Callable[[], Iterable[GroupVersionKind]],
        permissions: Iterable[Permission],
        namespaces: Collection[str],
        clock: Clock,
    ) -> None:
        self._client = client
        self._mapper = mapper
        self._kinds = kinds
        self._permissions = tuple(permissions)
        self._namespaces = tuple(namespaces) or ("",)
        self._clock = clock
        self._report = PermissionReport((), {})

    async def run(self) -> None:
        """Ask, and ask again while something is missing; return when nothing is."""
        while not await self._complete():
            await self._clock.sleep(_LOOK_AGAIN)

    def check(self) -> str | None:
        """Name what is missing; None when nothing is known to be."""
        return "; ".join(f"cannot {each}" for each in self._report.missing) or None

    async def _complete(self) -> bool:
        """Ask, tell what is newly found missing, and tell whether nothing is."""
        try:
            kinds = tuple(self._kinds())
            needed = [
                permission
                for namespace in self._namespaces
                for permission in await watch_permissions(self._mapper, kinds, namespace=namespace)
            ]
        except (ApiStatusError, TransportError) as error:
            # Without discovery nothing is known: the informers will say so, and louder.
            _log.debug("permissions not checked", error=str(error))
            return False
        known = set(self._report.missing)
        self._report = await check_permissions(self._client, [*needed, *self._permissions])
        for each in self._report.missing:
            if each not in known:
                _log.error("permission missing", cannot=str(each), grant=each.how_to_grant())
        return not self._report.missing
