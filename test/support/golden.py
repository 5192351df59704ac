"""Golden files: manifests as YAML beside the tests, one file for each case, reviewed as a diff."""

import difflib
import re
from collections import Counter
from collections.abc import Callable, Collection, Generator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import yaml

from smbpctl.runtime.meta import Manifest

Golden: TypeAlias = Callable[[str, Sequence[Manifest]], None]
"""The `golden` fixture: `golden("store/minimal", manifests)` compares, or fails with the diff."""

UPDATE = "run `make golden` and review the diff"
_NAME = re.compile(r"[a-z0-9_-]+(/[a-z0-9_-]+)*")
_OWNER = re.compile(r"# compared by (\S+)\n")


class _Dumper(yaml.SafeDumper):
    """Repeats what occurs twice: an anchor would tell of Python objects, not of manifests."""

    def ignore_aliases(self, data: Any) -> bool:
        """Ignore them all."""
        return True


def to_yaml(manifests: Sequence[Manifest], owner: str) -> str:
    """Return the text of a golden file: the test file that compares it, then the manifests."""
    documents = yaml.dump_all(
        manifests, Dumper=_Dumper, sort_keys=True, allow_unicode=True, explicit_start=True
    )
    return f"# compared by {owner}\n{documents}"


class GoldenFiles:
    """The golden files below `folder`, and which of them were compared in this session.

    Each file belongs to one test file, named in its first line. A file that its test file no
    longer compares is an orphan; so is one whose test file is gone.
    """

    def __init__(self, folder: Path, *, root: Path, update: bool) -> None:
        self._folder = folder
        self._root = root
        self._update = update
        self._compared: set[Path] = set()

    def compare(self, name: str, manifests: Sequence[Manifest], *, owner: Path) -> None:
        """Fail the test unless the file of that name holds exactly these manifests."""
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name for a golden file")
        path = self._folder / f"{name}.yaml"
        if path in self._compared:
            pytest.fail(f"{path.name} was compared twice: one case, one file", pytrace=False)
        self._compared.add(path)
        wanted = to_yaml(manifests, owner.relative_to(self._root).as_posix())
        known = path.read_text() if path.exists() else None
        if known == wanted:
            return
        if self._update:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(wanted)
        elif known is None:
            pytest.fail(f"{self._shown(path)} is missing: {UPDATE}", pytrace=False)
        else:
            pytest.fail(
                f"{self._shown(path)} is stale: {UPDATE}\n{difference(known, wanted)}", False
            )

    def orphans(self, complete: Collection[Path]) -> list[str]:
        """Return the files that nothing compares, or delete them when updating.

        `complete` are the test files of which every test ran: only those can be judged.
        """
        found = [
            path
            for path in sorted(self._folder.rglob("*.yaml"))
            if path not in self._compared and self._is_orphan(path, complete)
        ]
        if self._update:
            for path in found:
                path.unlink()
            return []
        return [self._shown(path) for path in found]

    def _is_orphan(self, path: Path, complete: Collection[Path]) -> bool:
        owner = _OWNER.match(path.read_text())
        if owner is None:
            return True
        test_file = self._root / owner[1]
        return test_file in complete or not test_file.exists()

    def _shown(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()


def difference(known: str, wanted: str) -> str:
    """Return what changed from the recorded text to that of this run, as a diff."""
    lines = difflib.unified_diff(
        known.splitlines(), wanted.splitlines(), "recorded", "this run", lineterm=""
    )
    return "\n".join(lines)


class GoldenPlugin:
    """Finds the orphans at the end of a session: they make it fail."""

    def __init__(self, files: GoldenFiles) -> None:
        self._files = files
        self._collected: Counter[Path] = Counter()
        self._passed: Counter[Path] = Counter()
        self._partial: set[Path] = set()
        self._orphans: list[str] = []

    def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
        """Note the files of which not every test runs."""
        self._partial.update(item.path for item in items)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Note what is going to run."""
        self._collected.update(item.path for item in session.items)
        named = [Path(argument.partition("::")[0]) for argument in session.config.args]
        for path, argument in zip(named, session.config.args, strict=True):
            if "::" in argument:
                self._partial.add((session.config.invocation_params.dir / path).resolve())

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Note what passed: only then it has compared all that it compares."""
        report = yield
        if report.when == "call" and report.passed:
            self._passed[item.path] += 1
        return report

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Judge the golden files of the test files that ran in full."""
        complete = {path for path, count in self._collected.items() if self._passed[path] == count}
        self._orphans = self._files.orphans(complete - self._partial)
        if self._orphans and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Name the orphans."""
        for path in self._orphans:
            terminalreporter.write_line(f"ORPHAN {path}: no test compares it; {UPDATE}", red=True)
