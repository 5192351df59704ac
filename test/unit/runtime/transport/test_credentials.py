"""The credential to send now: when it is read again, renewed, kept or refused."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
import structlog.testing

from smbpctl.runtime.errors import ConfigurationError
from smbpctl.runtime.transport import ClusterConfig, Credential
from smbpctl.runtime.transport.configuration import CredentialPlugin
from smbpctl.runtime.transport.credentials import Credentials, clean_token
from test.support.manual_clock import ManualClock

SERVER = "https://10.0.0.1"
SECOND = timedelta(seconds=1)


class Plugin:
    """Counts its runs and gives a numbered token that lasts `lifetime`, or the error to raise."""

    def __init__(self, clock: ManualClock, lifetime: timedelta | None) -> None:
        self.runs = 0
        self.error: ConfigurationError | None = None
        self._clock = clock
        self._lifetime = lifetime

    async def __call__(self) -> Credential:
        self.runs += 1
        if self.error is not None:
            raise self.error
        expires = self._clock.now() + self._lifetime if self._lifetime else None
        return Credential(authorization=f"Bearer {self.runs}", expires=expires)


def _by_plugin(plugin: CredentialPlugin, clock: ManualClock) -> Credentials:
    return Credentials(ClusterConfig(server=SERVER, credential_plugin=plugin), clock)


async def _authorization(credentials: Credentials) -> str:
    return (await credentials.current()).authorization


async def test_a_token_is_sent_as_bearer() -> None:
    """The white space that files and pipes add is no part of a token."""
    credentials = Credentials(ClusterConfig(server=SERVER, token=" abc\n"), ManualClock())

    assert await _authorization(credentials) == "Bearer abc"


async def test_name_and_password_are_sent_as_basic() -> None:
    """Proxies in front of API servers still use it."""
    config = ClusterConfig(server=SERVER, username="me", password="pässword")

    assert await _authorization(Credentials(config, ManualClock())) == "Basic bWU6cMOkc3N3b3Jk"


async def test_nobody_sends_nothing() -> None:
    """A configuration without user is anonymous, not an error."""
    assert await _authorization(Credentials(ClusterConfig(server=SERVER), ManualClock())) == ""


@pytest.mark.parametrize("token", ["", " \n", "two words", "a\nb", "a\0b", "ä"])
def test_a_token_no_header_can_carry_is_refused(token: str) -> None:
    """The message says where it came from and never shows it."""
    with pytest.raises(ConfigurationError, match="here: the token") as caught:
        clean_token(token, "here")

    assert not token.strip() or token not in str(caught.value)


class TestTokenFile:
    """A mounted token is renewed by the kubelet while we run."""

    async def test_is_read_again_after_a_minute(self, tmp_path: Path) -> None:
        """Not with every request, and not only once."""
        file, clock = tmp_path / "token", ManualClock()
        credentials = Credentials(ClusterConfig(server=SERVER, token_file=file), clock)
        file.write_text("one\n")
        seen = [await _authorization(credentials)]

        file.write_text("two\n")
        clock.advance(59 * SECOND)
        seen.append(await _authorization(credentials))
        clock.advance(1 * SECOND)
        seen.append(await _authorization(credentials))

        assert seen == ["Bearer one", "Bearer one", "Bearer two"]

    async def test_wins_over_the_token_beside_it(self, tmp_path: Path) -> None:
        """The file is the fresher of the two, as in client-go."""
        file = tmp_path / "token"
        file.write_text("fresh")
        config = ClusterConfig(server=SERVER, token="stale", token_file=file)

        assert await _authorization(Credentials(config, ManualClock())) == "Bearer fresh"

    async def test_that_was_never_there_is_an_error(self, tmp_path: Path) -> None:
        """The message names the file."""
        file = tmp_path / "token"
        credentials = Credentials(ClusterConfig(server=SERVER, token_file=file), ManualClock())

        with pytest.raises(ConfigurationError, match=str(file)):
            await credentials.current()

    async def test_that_is_missing_for_a_moment_changes_nothing(self, tmp_path: Path) -> None:
        """While the mount is swapped the old token still counts; it is logged."""
        file, clock = tmp_path / "token", ManualClock()
        file.write_text("one")
        credentials = Credentials(ClusterConfig(server=SERVER, token_file=file), clock)
        await credentials.current()

        file.unlink()
        clock.advance(61 * SECOND)
        with structlog.testing.capture_logs() as logs:
            seen = await _authorization(credentials)

        assert seen == "Bearer one"
        assert [entry["event"] for entry in logs] == ["token was not re-read"]

    async def test_is_read_at_once_after_a_refusal(self, tmp_path: Path) -> None:
        """`renew` tells whether it is worth trying again."""
        file = tmp_path / "token"
        file.write_text("one")
        credentials = Credentials(ClusterConfig(server=SERVER, token_file=file), ManualClock())
        rejected = await credentials.current()

        unchanged = await credentials.renew(rejected)
        file.write_text("two")
        changed = await credentials.renew(rejected)

        assert (unchanged, changed) == (False, True)
        assert await _authorization(credentials) == "Bearer two"


class TestPlugin:
    """Credentials that a command or a cloud hands out."""

    async def test_runs_once_while_its_credential_lasts(self) -> None:
        """Without an expiry: for ever."""
        clock = ManualClock()
        plugin = Plugin(clock, lifetime=None)
        credentials = _by_plugin(plugin, clock)

        await credentials.current()
        clock.advance(timedelta(days=30))
        await credentials.current()

        assert plugin.runs == 1

    async def test_runs_again_a_minute_before_the_expiry(self) -> None:
        """A request must not carry what expires on the way."""
        clock = ManualClock()
        plugin = Plugin(clock, lifetime=timedelta(minutes=10))
        credentials = _by_plugin(plugin, clock)
        seen = [await _authorization(credentials)]

        clock.advance(timedelta(minutes=9) - SECOND)
        seen.append(await _authorization(credentials))
        clock.advance(SECOND)
        seen.append(await _authorization(credentials))

        assert seen == ["Bearer 1", "Bearer 1", "Bearer 2"]

    async def test_short_lived_credentials_do_not_run_it_per_request(self) -> None:
        """A lifetime below our margin: it is left alone for ten seconds after each run."""
        clock = ManualClock()
        plugin = Plugin(clock, lifetime=timedelta(seconds=30))
        credentials = _by_plugin(plugin, clock)

        for _ in range(30):
            await credentials.current()
            clock.advance(SECOND)

        assert plugin.runs == 3

    async def test_failure_is_survived_while_the_old_credential_is_valid(self) -> None:
        """Only when it has expired does the plugin's error reach the caller."""
        clock = ManualClock()
        plugin = Plugin(clock, lifetime=timedelta(minutes=10))
        credentials = _by_plugin(plugin, clock)
        await credentials.current()
        plugin.error = ConfigurationError("the cloud is down")

        clock.advance(timedelta(minutes=9, seconds=30))
        with structlog.testing.capture_logs() as logs:
            seen = await _authorization(credentials)
        clock.advance(timedelta(seconds=31))
        with pytest.raises(ConfigurationError, match="the cloud is down"):
            await credentials.current()

        assert seen == "Bearer 1"
        assert [entry["event"] for entry in logs] == ["credential was not renewed"]

    async def test_recovers_after_failure(self) -> None:
        """An error is not remembered beyond those who waited for it."""
        clock = ManualClock()
        plugin = Plugin(clock, lifetime=None)
        plugin.error = ConfigurationError("not logged in")
        credentials = _by_plugin(plugin, clock)
        with pytest.raises(ConfigurationError):
            await credentials.current()

        plugin.error = None

        assert await _authorization(credentials) == "Bearer 2"

    @pytest.mark.parametrize("fails", [False, True])
    async def test_runs_once_for_all_who_ask_together(self, fails: bool) -> None:
        """They share the credential, and the failure: a slow plugin is not run in a row."""
        runs: list[int] = []
        release = asyncio.Event()

        async def slow() -> Credential:
            runs.append(1)
            await release.wait()
            if fails:
                raise ConfigurationError("no")
            return Credential(authorization="Bearer x")

        credentials = _by_plugin(slow, ManualClock())

        async def ask() -> str:
            try:
                return await _authorization(credentials)
            except ConfigurationError as error:
                return str(error)

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(ask()) for _ in range(10)]
            group.create_task(_set_later(release))

        assert len(runs) == 1
        assert {task.result() for task in tasks} == {"no" if fails else "Bearer x"}

    async def test_a_waiter_takes_over_when_the_runner_is_cancelled(self) -> None:
        """Cancelling one request must not fail the others."""
        runs: list[int] = []
        started = asyncio.Event()

        async def hangs_first() -> Credential:
            runs.append(1)
            started.set()
            if len(runs) == 1:
                await asyncio.get_running_loop().create_future()
            return Credential(authorization="Bearer x")

        credentials = _by_plugin(hangs_first, ManualClock())

        async with asyncio.TaskGroup() as group:
            first = group.create_task(_authorization(credentials))
            await started.wait()
            second = group.create_task(_authorization(credentials))
            await _turn()
            first.cancel()

        assert second.result() == "Bearer x"
        assert len(runs) == 2

    async def test_renew_runs_it_and_tells_whether_anything_changed(self) -> None:
        """A plugin that repeats itself is not worth another request."""
        clock = ManualClock()
        plugin = Plugin(clock, lifetime=None)
        credentials = _by_plugin(plugin, clock)
        rejected = await credentials.current()

        changed = await credentials.renew(rejected)

        assert changed
        assert await _authorization(credentials) == "Bearer 2"

        async def same() -> Credential:
            return Credential(authorization="Bearer same")

        stubborn = _by_plugin(same, clock)
        assert not await stubborn.renew(await stubborn.current())

    async def test_renew_does_not_run_it_when_somebody_else_did(self) -> None:
        """A refusal of an older credential than the present one needs no run."""
        clock = ManualClock()
        plugin = Plugin(clock, lifetime=None)
        credentials = _by_plugin(plugin, clock)
        old = await credentials.current()
        await credentials.renew(old)

        worth_trying = await credentials.renew(old)

        assert worth_trying
        assert plugin.runs == 2


async def _turn() -> None:
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    loop.call_soon(future.set_result, None)
    await future


async def _set_later(event: asyncio.Event) -> None:
    await _turn()
    event.set()


def test_secrets_stay_out_of_the_repr() -> None:
    """Configurations end up in logs."""
    config = ClusterConfig(
        server=SERVER, token="T0", password="T0", client_key=b"T0", proxy_url="http://u:T0@p"
    )

    assert "T0" not in repr(config)
    assert "T0" not in repr(Credential(authorization="Bearer T0", key=b"T0"))
