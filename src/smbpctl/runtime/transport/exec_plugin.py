"""Runs a kubeconfig's credential plugin (client.authentication.k8s.io) and reads its answer."""

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, final

import msgspec

from smbpctl.runtime.errors import ConfigurationError
from smbpctl.runtime.transport.configuration import Credential
from smbpctl.runtime.transport.credentials import bearer

PLUGIN_TIMEOUT = timedelta(seconds=60)
"""How long a plugin may take; it may talk to a cloud, but nobody is there to type."""


class _Status(msgspec.Struct, rename="camel"):
    token: str = ""
    client_certificate_data: str = ""
    client_key_data: str = ""
    expiration_timestamp: datetime | None = None


class _ExecCredential(msgspec.Struct, rename="camel"):
    api_version: str
    kind: str
    status: _Status


@final
@dataclass(frozen=True, slots=True)
class ExecPlugin:
    """One `exec` section of a kubeconfig; calling it runs the command.

    The process gets `environment` and no terminal, is killed after `timeout`, and what it says
    on stderr is part of the error. Raises ConfigurationError when it gives no credential.
    """

    command: tuple[str, ...]
    api_version: str
    source: str
    environment: Mapping[str, str] = field(repr=False)
    cluster: Mapping[str, Any] | None = None
    install_hint: str = ""
    timeout: timedelta = PLUGIN_TIMEOUT

    async def __call__(self) -> Credential:
        """Run the plugin once and return what it gave."""
        return self._credential(await self._run())

    @property
    def _where(self) -> str:
        return f"{self.source}: exec {self.command[0]}"

    async def _run(self) -> bytes:
        spec: dict[str, Any] = {"interactive": False}
        if self.cluster is not None:
            spec["cluster"] = self.cluster
        info = {"apiVersion": self.api_version, "kind": "ExecCredential", "spec": spec}
        environment = {**self.environment, "KUBERNETES_EXEC_INFO": json.dumps(info)}
        try:
            process = _start(self.command, environment)
        except OSError as error:
            hint = f"; {self.install_hint.strip()}" if self.install_hint else ""
            raise ConfigurationError(f"{self._where} cannot be run: {error}{hint}") from error
        stdout, stderr = await self._output(process)
        if process.returncode != 0:
            said = stderr.decode(errors="replace").strip()[-1000:]
            raise ConfigurationError(f"{self._where} ended with {process.returncode}: {said}")
        return stdout

    async def _output(self, process: subprocess.Popen[bytes]) -> tuple[bytes, bytes]:
        ended = False
        try:
            async with asyncio.timeout(self.timeout.total_seconds()):
                output = await asyncio.to_thread(process.communicate)
            ended = True
        except TimeoutError as error:
            raise ConfigurationError(
                f"{self._where} did not end within {self.timeout.total_seconds():g} s"
            ) from error
        finally:
            # Also when we are cancelled: no child may outlive its caller, nor may the children of
            # a wrapper script, which hold the pipes open and with them the thread.
            if not ended:
                _kill(process)
        return output

    def _credential(self, stdout: bytes) -> Credential:
        try:
            answer = msgspec.json.decode(stdout, type=_ExecCredential)
        except msgspec.MsgspecError as error:
            raise ConfigurationError(
                f"{self._where} printed no usable ExecCredential: {error}"
            ) from error
        if answer.kind != "ExecCredential" or answer.api_version != self.api_version:
            raise ConfigurationError(
                f"{self._where} answered {answer.kind} of {answer.api_version}, "
                f"not ExecCredential of {self.api_version}"
            )
        status = answer.status
        if bool(status.client_certificate_data) != bool(status.client_key_data):
            raise ConfigurationError(f"{self._where} gave a certificate or a key without the other")
        if not status.token and not status.client_certificate_data:
            raise ConfigurationError(f"{self._where} gave neither token nor certificate")
        return Credential(
            authorization=bearer(status.token, self._where).authorization if status.token else "",
            certificate=status.client_certificate_data.encode() or None,
            key=status.client_key_data.encode() or None,
            expires=_in_utc(status.expiration_timestamp),
        )


def _start(command: tuple[str, ...], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    # Not by asyncio: cancelled while it starts a process, it hangs or forgets the children. The
    # start itself takes a few milliseconds, the rest happens in a thread.
    return subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def _kill(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _in_utc(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment and moment.tzinfo is None else moment
