"""`test/unit` mirrors `src/smbpctl` one to one: whoever knows the module knows its tests."""

from pathlib import Path

from test.architecture.source_tree import SRC, UNIT, Module, does_something, modules


def mirror_of(module: Path) -> Path:
    """Return where the tests of a module are; those of `__init__` are in `test_init.py`."""
    stem = "init" if module.stem == "__init__" else module.stem.strip("_")
    return UNIT / module.relative_to(SRC).parent / f"test_{stem}.py"


def has_code(module: Module) -> bool:
    """Tell whether there is anything to test: a function that does something."""
    return any(does_something(function) for function in module.functions())


class TestMirror:
    """Both directions."""

    def test_every_module_with_code_has_its_test_file(self) -> None:
        """Declarations (protocols, plain data, re-exports) need none."""
        missing = [
            f"{module.name} has no {mirror_of(module.path).relative_to(UNIT.parent.parent)}"
            for module in modules()
            if has_code(module) and not mirror_of(module.path).exists()
        ]

        assert missing == []

    def test_every_test_file_has_its_module(self) -> None:
        """A test file that outlived its module, or is misplaced, is found."""
        expected = {mirror_of(module.path) for module in modules()}

        orphans = [path for path in UNIT.rglob("test_*.py") if path not in expected]

        assert [path.relative_to(UNIT).as_posix() for path in sorted(orphans)] == []
