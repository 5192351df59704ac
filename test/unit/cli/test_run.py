"""`smbpctl run`: its flags, and what it does before it runs."""

import argparse
import asyncio
import importlib.util
from pathlib import Path

import pytest

from smbpctl.cli import execute, run
from smbpctl.cli.run import add_settings, settings_of
from smbpctl.runtime.errors import ConfigurationError
from smbpctl.settings import LogLevel, Settings


def parsed(*arguments: str) -> argparse.Namespace:
    """Parse flags as `run` does."""
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_settings(parser)
    return parser.parse_args(arguments)


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's own settings."""
    for name in Settings.model_fields:
        monkeypatch.delenv(f"SMBPCTL_{name.upper()}", raising=False)


class TestFlags:
    def test_one_for_each_setting(self) -> None:
        """With the setting's own description; nothing is there that is not a setting."""
        parser = argparse.ArgumentParser(add_help=False)
        add_settings(parser)

        flags = {action.dest: action for action in parser._actions}

        assert flags.keys() == Settings.model_fields.keys()
        assert flags["probe_address"].option_strings == ["--probe-address"]
        for name, field in Settings.model_fields.items():
            assert field.description
            assert flags[name].help == field.description.replace("%", "%%")

    def test_flag_over_environment_over_default(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Each is told by whoever says it last and closest."""
        monkeypatch.setenv("SMBPCTL_WORKERS", "3")
        monkeypatch.setenv("SMBPCTL_NAMESPACE", "from-environment")

        settings = settings_of(parsed("--namespace", "from-flag", "--kubeconfig", "/k"))

        assert settings.namespace == "from-flag"
        assert settings.workers == 3
        assert settings.log_level is LogLevel.INFO
        assert settings.kubeconfig == Path("/k")

    def test_other_arguments_are_not_settings(self) -> None:
        """argparse puts the subcommand and its function beside them."""
        arguments = parsed("--workers", "2")
        arguments.command, arguments.execute = "run", run.execute

        assert settings_of(arguments).workers == 2

    def test_an_unknown_flag(self, capsys: pytest.CaptureFixture[str]) -> None:
        """It is named."""
        with pytest.raises(SystemExit) as ended:
            execute(["run", "--worker-count", "3"])

        assert ended.value.code == 2
        assert "--worker-count" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("arguments", "named"),
        [
            (("--workers", "0"), ["--workers: Input should be greater than or equal to 1"]),
            (("--workers", "many"), ["--workers: Input should be a valid integer"]),
            (("--log-level", "loud"), ["--log-level: Input should be 'debug', 'info'"]),
            (
                ("--admin-timeout-seconds", "0", "--log-format", "xml"),
                ["--admin-timeout-seconds: ", "--log-format: "],
            ),
        ],
    )
    def test_malformed_values(
        self, arguments: tuple[str, ...], named: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Every wrong one is named in one line, by its flag."""
        assert execute(["run", *arguments]) == 1

        (line,) = capsys.readouterr().err.splitlines()
        assert [each for each in named if each not in line] == []

    def test_a_malformed_variable_is_named_like_the_flag(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Where it came from, people can tell."""
        monkeypatch.setenv("SMBPCTL_FILE_SYSTEM_GROUP", "root")

        with pytest.raises(ConfigurationError, match=r"--file-system-group: .*integer"):
            settings_of(parsed())


class TestExecute:
    def test_a_kubeconfig_that_does_not_exist(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """One line, before anything is started."""
        missing = tmp_path / "kubeconfig"

        code = execute(["run", "--kubeconfig", str(missing), "--log-level", "error"])

        assert code == 1
        assert str(missing) in capsys.readouterr().err

    def test_uvloop_where_it_is_installed(self) -> None:
        """It is an extra: without it asyncio's own loop does."""
        factory = run._loop_factory()

        assert (factory is not None) == (importlib.util.find_spec("uvloop") is not None)
        if factory is not None:
            loop = factory()
            loop.close()
            assert isinstance(loop, asyncio.AbstractEventLoop)
