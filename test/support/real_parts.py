"""What the folders of tests on real parts share: built once, or left out with one line."""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pytest


@dataclass
class Session:
    """What happened so far to one folder's tests: what is in the way, and what failed."""

    problem: str = ""
    skip: bool = False
    failed: bool = False
    logs: list[Path] = field(default_factory=list)

    def lacks(self, problem: str, *, skip: bool) -> None:
        """Remember what is in the way; without `skip` it is a failure."""
        self.problem, self.skip = problem, skip

    def check(self) -> None:
        """Skip or fail the test about to run; equal reasons make one line of the summary."""
        if self.problem and self.skip:
            pytest.skip(self.problem)
        if self.problem:
            pytest.fail(self.problem, pytrace=False)

    def keep_logs(self, folder: Path) -> bool:
        """Copy the logs into `folder` when a test failed; return whether that was so."""
        if not self.failed or not self.logs:
            return False
        shutil.rmtree(folder, ignore_errors=True)
        for number, logs in enumerate(self.logs):
            shutil.copytree(logs, folder / str(number))
        return True


def mark(items: Iterable[pytest.Item], folder: Path, name: str, *, seconds: int) -> None:
    """Give the tests below `folder` a marker, and time for real parts."""
    for item in items:
        if folder not in item.path.parents:
            continue
        item.add_marker(name)
        if item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(seconds))


def about_to_run(session: pytest.Session, folder: Path) -> bool:
    """Tell whether any test below `folder` is going to run."""
    if session.config.option.collectonly:
        return False
    return any(folder in item.path.parents for item in session.items)
