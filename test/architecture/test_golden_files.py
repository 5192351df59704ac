"""The golden files themselves: what makes them missing, stale or orphans."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from test.support.golden import GoldenFiles, to_yaml

ROOT = Path(__file__).parent.parent.parent
CASES = """
import pytest

@pytest.mark.parametrize("case", ["one", "two"])
def test_case(golden, case):
    golden(case, [{"kind": case}])
"""
A = {"kind": "A", "metadata": {"name": "a"}}
B = {"kind": "B", "metadata": {"name": "b"}}


def files(root: Path, *, update: bool = False) -> GoldenFiles:
    """Return the golden files of a project in `root`."""
    return GoldenFiles(root / "golden", root=root, update=update)


class TestCompare:
    """One case."""

    def test_updating_writes_what_comparing_then_accepts(self, tmp_path: Path) -> None:
        """Keys are sorted, documents are separate, and the first line names the test file."""
        owner = tmp_path / "test_a.py"

        files(tmp_path, update=True).compare("some/case", [B, A], owner=owner)
        files(tmp_path).compare("some/case", [B, A], owner=owner)

        assert (tmp_path / "golden/some/case.yaml").read_text() == textwrap.dedent(
            """\
            # compared by test_a.py
            ---
            kind: B
            metadata:
              name: b
            ---
            kind: A
            metadata:
              name: a
            """
        )

    def test_a_missing_file_fails(self, tmp_path: Path) -> None:
        """A new case is accepted by a person, not by the first run."""
        with pytest.raises(pytest.fail.Exception, match=r"golden/a\.yaml is missing: run `make"):
            files(tmp_path).compare("a", [A], owner=tmp_path / "test_a.py")

        assert not (tmp_path / "golden").exists()

    def test_a_stale_file_fails_with_the_diff(self, tmp_path: Path) -> None:
        """The failure shows what changed, in the direction of the change."""
        owner = tmp_path / "test_a.py"
        files(tmp_path, update=True).compare("a", [A], owner=owner)

        with pytest.raises(pytest.fail.Exception) as raised:
            files(tmp_path).compare("a", [B], owner=owner)

        assert "golden/a.yaml is stale" in str(raised.value)
        assert "-kind: A\n+kind: B" in str(raised.value)

    def test_one_file_belongs_to_one_case(self, tmp_path: Path) -> None:
        """Two cases with one file would overwrite each other."""
        both = files(tmp_path, update=True)
        both.compare("a", [A], owner=tmp_path / "test_a.py")

        with pytest.raises(pytest.fail.Exception, match="compared twice"):
            both.compare("a", [A], owner=tmp_path / "test_a.py")

    @pytest.mark.parametrize("name", ["", "../a", "/a", "a.yaml", "A", "a//b"])
    def test_names_stay_in_the_folder(self, name: str, tmp_path: Path) -> None:
        """Lower case, no suffix, no way out."""
        with pytest.raises(ValueError, match="is no name for a golden file"):
            files(tmp_path).compare(name, [A], owner=tmp_path / "test_a.py")

    def test_what_occurs_twice_is_written_twice(self) -> None:
        """YAML anchors would tell of Python objects."""
        labels = {"app": "x"}

        text = to_yaml([{"selector": labels, "labels": labels}], "test_a.py")

        assert "&" not in text
        assert text.count("app: x") == 2


class TestOrphans:
    """Files that nothing compares."""

    def test_only_what_ran_in_full_is_judged(self, tmp_path: Path) -> None:
        """A partial run says nothing about the cases it left out; a lost test file does."""
        ran, skipped = tmp_path / "test_ran.py", tmp_path / "test_skipped.py"
        ran.touch()
        skipped.touch()
        before = files(tmp_path, update=True)
        before.compare("kept", [A], owner=ran)
        before.compare("dropped", [A], owner=ran)
        before.compare("elsewhere", [A], owner=skipped)
        before.compare("lost", [A], owner=tmp_path / "test_lost.py")
        (tmp_path / "golden/unsigned.yaml").write_text("kind: A\n")
        now = files(tmp_path)
        now.compare("kept", [A], owner=ran)

        orphans = now.orphans({ran})

        assert orphans == ["golden/dropped.yaml", "golden/lost.yaml", "golden/unsigned.yaml"]

    def test_updating_deletes_them(self, tmp_path: Path) -> None:
        """So that an update leaves a folder that passes."""
        owner = tmp_path / "test_a.py"
        owner.touch()
        files(tmp_path, update=True).compare("old", [A], owner=owner)

        assert files(tmp_path, update=True).orphans({owner}) == []
        assert not (tmp_path / "golden/old.yaml").exists()


def run_pytest(project: Path, *arguments: str) -> tuple[int, str]:
    """Run pytest in the project; return its exit status and what it said."""
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    return ran.returncode, ran.stdout + ran.stderr


class TestSession:
    """The conftest of this project, in a project of its own."""

    @pytest.fixture
    def project(self, tmp_path: Path) -> Path:
        """A project with two cases, both recorded."""
        (tmp_path / "pytest.ini").write_text("[pytest]\n")
        (tmp_path / "conftest.py").write_text(
            (ROOT / "test/conftest.py").read_text().replace("root=HERE.parent", "root=HERE")
        )
        (tmp_path / "test_cases.py").write_text(CASES)
        recorded = files(tmp_path, update=True)
        for case in ("one", "two"):
            recorded.compare(case, [{"kind": case}], owner=tmp_path / "test_cases.py")
        return tmp_path

    def test_an_orphan_fails_the_session_and_an_update_removes_it(self, project: Path) -> None:
        """A case that is dropped takes its golden file with it."""
        (project / "test_cases.py").write_text(CASES.replace(', "two"', ""))

        code, output = run_pytest(project)
        updated, _ = run_pytest(project, "--update-golden")

        assert (code, updated) == (1, 0)
        assert "ORPHAN golden/two.yaml: no test compares it" in output
        assert [path.name for path in (project / "golden").iterdir()] == ["one.yaml"]

    @pytest.mark.parametrize("selection", ["test_cases.py::test_case[one]", "-k one"])
    def test_a_partial_run_finds_no_orphans(self, project: Path, selection: str) -> None:
        """What was not run may still be wanted."""
        code, output = run_pytest(project, *selection.split())

        assert (code, "ORPHAN" in output) == (0, False)
