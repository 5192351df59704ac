"""Keeps the credential of a cluster fresh: token files, plugins, and what to do after a 401."""

import asyncio
import base64
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import final

import structlog

from smbpctl.runtime.clock import Clock
from smbpctl.runtime.errors import ConfigurationError
from smbpctl.runtime.transport.configuration import ClusterConfig, Credential, CredentialPlugin

REREAD_AFTER = timedelta(seconds=60)
"""How old a value read from a file may get: the kubelet renews tokens long before they expire."""

RENEW_BEFORE = timedelta(seconds=60)
"""How long before its expiry a plugin's credential is replaced."""

RERUN_AFTER = timedelta(seconds=10)
"""How long a plugin is left alone after a run while its credential is still valid."""


def clean_token(token: str, source: str) -> str:
    """Return a token without surrounding white space: files and pipes end with a newline.

    Raises ConfigurationError, without showing the token, when it is empty or no header could
    carry it.
    """
    stripped = token.strip()
    if not stripped:
        raise ConfigurationError(f"{source}: the token is empty")
    if not stripped.isascii() or not stripped.isprintable() or " " in stripped:
        raise ConfigurationError(f"{source}: the token contains characters no token has")
    return stripped


def bearer(token: str, source: str) -> Credential:
    """Return the credential of a bearer token."""
    return Credential(authorization=f"Bearer {clean_token(token, source)}")


def _basic(username: str, password: str) -> Credential:
    encoded = base64.b64encode(f"{username}:{password}".encode()).decode()
    return Credential(authorization=f"Basic {encoded}")


@final
class Credentials:
    """The credential to send now.

    `current` is cheap while nothing expires. A token file is read again once a minute, a plugin
    is run again a minute before its credential expires, and both at once after a 401. However
    many requests want a new credential at the same time, the plugin runs once, and they share
    its failure too.
    """

    def __init__(self, config: ClusterConfig, clock: Clock) -> None:
        self._clock = clock
        self._lock = asyncio.Lock()
        self._credential: Credential | None = None
        self._runs: int = 0
        self._failure: ConfigurationError | None = None
        self._read_at = 0.0
        self._plugin = config.credential_plugin
        self._file: Callable[[], Credential] | None = None
        if self._plugin is not None:
            return
        if config.token_file is not None:
            self._file = _token_file(config.token_file, config.source)
        elif config.token is not None:
            self._credential = bearer(config.token, f"{config.source}: token")
        elif config.username is not None:
            self._credential = _basic(config.username, config.password or "")
        else:
            self._credential = Credential()

    async def current(self) -> Credential:
        """Return a credential that is believed to be valid.

        Raises ConfigurationError when there is none and none can be had.
        """
        if self._plugin is not None:
            return await self._from_plugin(self._plugin)
        if self._file is not None and (self._credential is None or self._age() >= REREAD_AFTER):
            self._read(self._file)
        if self._credential is None:
            raise ConfigurationError("no credential could be read")
        return self._credential

    async def renew(self, rejected: Credential) -> bool:
        """Tell whether another credential than the `rejected` one can be tried now."""
        if self._plugin is not None:
            return await self._run(self._plugin, rejected) != rejected
        if self._file is not None and self._credential == rejected:
            self._read(self._file)
        return self._credential != rejected

    def _age(self) -> timedelta:
        return timedelta(seconds=self._clock.monotonic() - self._read_at)

    async def _from_plugin(self, plugin: CredentialPlugin) -> Credential:
        credential = self._credential
        if credential is None:
            return await self._run(plugin, None)
        left = credential.expires - self._clock.now() if credential.expires else timedelta.max
        # A plugin may hand out credentials shorter-lived than our margin: not one run per request.
        if left > RENEW_BEFORE or (left > timedelta(0) and self._age() < RERUN_AFTER):
            return credential
        try:
            return await self._run(plugin, credential)
        except ConfigurationError as error:
            if left <= timedelta(0):
                raise
            structlog.get_logger().warning("credential was not renewed", error=str(error))
            return credential

    async def _run(self, plugin: CredentialPlugin, old: Credential | None) -> Credential:
        runs = self._runs
        async with self._lock:
            if self._runs == runs and (self._credential is None or self._credential == old):
                self._failure = None
                try:
                    self._credential = await plugin()
                except ConfigurationError as error:
                    self._failure = error
                self._runs += 1
                self._read_at = self._clock.monotonic()
            if self._failure is not None:
                raise ConfigurationError(str(self._failure)) from self._failure
            if self._credential is None:
                raise ConfigurationError("the credential plugin gave nothing")
            return self._credential

    def _read(self, read: Callable[[], Credential]) -> None:
        self._read_at = self._clock.monotonic()
        try:
            self._credential = read()
        except ConfigurationError as error:
            # While a mounted secret is swapped the file may be missing: the old token still counts.
            if self._credential is None:
                raise
            structlog.get_logger().warning("token was not re-read", error=str(error))


def _token_file(path: Path, source: str) -> Callable[[], Credential]:
    def read() -> Credential:
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(
                f"{source}: token file {path} is unreadable: {error}"
            ) from error
        return bearer(text, f"{source}: token file {path}")

    return read
