"""Credential plugins as processes: what they get, what they give, and how they fail."""

import asyncio
import json
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from smbpctl.runtime.errors import ConfigurationError
from smbpctl.runtime.transport.exec_plugin import ExecPlugin

API = "client.authentication.k8s.io/v1"


def _plugin(program: str, **options: Any) -> ExecPlugin:
    return ExecPlugin(
        **{
            "command": (sys.executable, "-c", program),
            "api_version": API,
            "source": "here",
            "environment": dict(os.environ),
            **options,
        }
    )


def _printing(status: object, api_version: str = API, kind: str = "ExecCredential") -> ExecPlugin:
    answer = json.dumps({"apiVersion": api_version, "kind": kind, "status": status})
    return _plugin(f"print({answer!r})")


async def test_a_token_with_its_expiry() -> None:
    """The usual answer."""
    credential = await _printing(
        {"token": "abc\n", "expirationTimestamp": "2026-01-01T01:00:00+01:00"}
    )()

    assert credential.authorization == "Bearer abc"
    assert credential.expires == datetime(2026, 1, 1, tzinfo=UTC)


async def test_a_certificate() -> None:
    """Without token there is no header."""
    credential = await _printing({"clientCertificateData": "CERT", "clientKeyData": "KEY"})()

    assert (credential.authorization, credential.certificate, credential.key) == (
        "",
        b"CERT",
        b"KEY",
    )


async def test_the_plugin_is_told_what_is_wanted() -> None:
    """By KUBERNETES_EXEC_INFO, beside the environment of its section; nobody is there to type."""
    program = (
        "import json, os, sys\n"
        "info = json.loads(os.environ['KUBERNETES_EXEC_INFO'])\n"
        "assert sys.stdin.read() == ''\n"
        "token = '-'.join([info['kind'], info['spec']['cluster']['server'],"
        " str(info['spec']['interactive']), os.environ['REGION']])\n"
        "print(json.dumps({**info, 'status': {'token': token}}))\n"
    )
    plugin = _plugin(program, environment={"REGION": "eu"}, cluster={"server": "https://a"})

    credential = await plugin()

    assert credential.authorization == "Bearer ExecCredential-https://a-False-eu"


async def test_much_output_on_stderr_is_no_deadlock() -> None:
    """More than a pipe holds, before the answer."""
    answer = json.dumps({"apiVersion": API, "kind": "ExecCredential", "status": {"token": "t"}})
    program = f"import sys; sys.stderr.write('x' * 1_000_000); print({answer!r})"

    credential = await _plugin(program)()

    assert credential.authorization == "Bearer t"


class TestFailures:
    """All are ConfigurationErrors that name the command."""

    @pytest.mark.parametrize(
        ("program", "message"),
        [
            ("import sys; sys.exit('please log in')", "ended with 1: please log in"),
            ("", "printed no usable ExecCredential"),
            ("print('<html>')", "printed no usable ExecCredential"),
            ('print(\'{"kind": "ExecCredential"}\')', "apiVersion"),
        ],
    )
    async def test_programs(self, program: str, message: str) -> None:
        """Programs that fail or print something else."""
        with pytest.raises(ConfigurationError, match=message):
            await _plugin(program)()

    @pytest.mark.parametrize(
        ("plugin", "message"),
        [
            (_printing({"token": "t"}, api_version="v1beta1"), "of v1beta1, not"),
            (_printing({"token": "t"}, kind="Pod"), "answered Pod"),
            (_printing({}), "neither token nor certificate"),
            (_printing({"clientCertificateData": "CERT"}), "without the other"),
            (_printing({"token": "two words"}), "characters no token has"),
            (_printing({"token": "t", "expirationTimestamp": "soon"}), "expirationTimestamp"),
        ],
    )
    async def test_answers(self, plugin: ExecPlugin, message: str) -> None:
        """Answers that give no credential."""
        with pytest.raises(ConfigurationError, match=message):
            await plugin()

    async def test_a_missing_command_shows_the_hint(self) -> None:
        """The kubeconfig's author knows how to install it."""
        plugin = _plugin("", command=("/no/such/command",), install_hint="brew install it\n")

        with pytest.raises(
            ConfigurationError, match=r"/no/such/command cannot.*; brew install it$"
        ):
            await plugin()

    async def test_the_token_is_never_shown(self) -> None:
        """Not even when the rest of the answer is malformed."""
        with pytest.raises(ConfigurationError) as caught:
            await _printing({"token": "SECRET", "expirationTimestamp": "soon"})()

        assert "SECRET" not in str(caught.value)


class TestEndless:
    """No process outlives its caller, nor do those it started."""

    async def test_a_plugin_that_hangs_is_given_up(self) -> None:
        """After its timeout; the test would hang too if it were not killed."""
        plugin = _plugin("", command=("/bin/sleep", "1000"), timeout=timedelta(milliseconds=50))

        with pytest.raises(ConfigurationError, match="here: exec /bin/sleep did not end within"):
            await plugin()

    async def test_cancelling_kills_it_with_its_children(self, tmp_path: Path) -> None:
        """Those of a wrapper script hold the pipes open and would be waited for."""
        pids = tmp_path / "pids"
        script = f"sleep 1000 & echo $$ $! > {pids}.new; mv {pids}.new {pids}; wait"
        plugin = _plugin("", command=("/bin/sh", "-c", script))

        async with asyncio.TaskGroup() as group:
            task = group.create_task(plugin())
            while not pids.exists():
                await _moment()
            task.cancel()

        # The test hangs here as long as one of them lives.
        while any(_alive(int(pid)) for pid in pids.read_text().split()):
            await _moment()

        assert task.cancelled()


async def _moment() -> None:
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    loop.call_later(0.01, future.set_result, None)
    await future


def _alive(pid: int) -> bool:
    """Tell whether a process runs; one that ended and awaits its parent does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"
