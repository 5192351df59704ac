"""The command line as a whole: exit codes, one line for an error, and a reader that has enough."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from smbpctl.cli import execute, main

COMMANDS = ("run", "render", "crd", "demo", "version")


class TestExecute:
    def test_success(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Zero, and what was asked for on standard output."""
        assert execute(["version"]) == 0
        assert capsys.readouterr().out.startswith("smbpctl ")

    def test_an_error_is_one_line(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """It names the subcommand and what is wrong; there is no traceback and no output."""
        missing = tmp_path / "missing.yaml"

        code = execute(["render", "-f", str(missing)])

        out, err = capsys.readouterr()
        assert (code, out) == (1, "")
        assert err == f"smbpctl render: {missing}: No such file or directory\n"

    @pytest.mark.parametrize(
        "arguments",
        [[], ["nonsense"], ["version", "--nonsense"], ["render"], ["run", "--nonsense", "1"]],
        ids=" ".join,
    )
    def test_wrong_usage(self, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        """Two, and how it is used, on standard error."""
        with pytest.raises(SystemExit) as ended:
            execute(arguments)

        out, err = capsys.readouterr()
        assert (ended.value.code, out) == (2, "")
        assert err.startswith("usage: smbpctl")

    @pytest.mark.parametrize("command", ["", *COMMANDS])
    def test_every_subcommand_explains_itself(
        self, command: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """--help ends with zero; the first page names them all."""
        with pytest.raises(SystemExit) as ended:
            execute([*command.split(), "--help"])

        out = capsys.readouterr().out
        assert ended.value.code == 0
        assert f"usage: smbpctl {command}".strip() in out
        if not command:
            assert [each for each in COMMANDS if f"\n    {each} " not in out] == []


class TestMain:
    def test_it_exits_with_the_code(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Zero after success, one after an error."""
        codes: list[object] = []
        for arguments in (["version"], ["render", "-f", "/nonexistent"]):
            with pytest.raises(SystemExit) as ended:
                main(arguments)
            codes.append(ended.value.code)

        assert codes == [0, 1]

    def test_a_reader_that_has_seen_enough_is_no_error(self) -> None:
        """`smbpctl version | true`: no broken pipe is told of, not even at the last flush."""
        script = "import sys; from smbpctl.cli import main; main(sys.argv[1:])"
        reading, writing = os.pipe()
        os.close(reading)

        ran = subprocess.run(
            [sys.executable, "-c", script, "version"],
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

        os.close(writing)
        assert (ran.returncode, ran.stderr) == (0, "")
