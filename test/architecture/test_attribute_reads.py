"""The finder of attribute reads, on which the test of the schema's leaves relies."""

from pathlib import Path

import pytest

from test.support.attribute_reads import attribute_reads

READ = {
    "directly": "x = peer.spec.store.replicas",
    "as an argument": "print(peer.spec.store.replicas)",
    "of a variable": "store = peer.spec.store\nx = store.replicas",
    "of another name": "s = peer.spec.store\nx = s.replicas",
    "of a pair": "s, t = spec.store, spec.tls\nx = s.replicas",
    "of a named expression": "if (s := spec.store):\n    x = s.replicas",
    "of an alternative": "s = spec.store or fallback\nx = s.replicas",
    "of a condition": "s = spec.store if spec else None\nx = s.replicas",
    "in a loop": "for s in spec.store:\n    print(s.replicas)",
    "in a comprehension": "x = [s.replicas for s in spec.store]",
    "in a numbered loop": "for n, s in enumerate(spec.store):\n    print(s.replicas)",
    "as an object on the way": "x = spec.store.replicas.real",
}

NOT_READ = {
    "another owner": "x = peer.spec.api.replicas",
    "a write": "peer.spec.store.replicas = 1",
    "a key": "x = spec.store['replicas']",
    "a name": "x = replicas",
    "a comment": "x = 1  # spec.store.replicas",
    "a string": "x = 'spec.store.replicas'",
}


def reads(tmp_path: Path, source: str) -> set[tuple[str, str]]:
    """What the finder finds in a module."""
    file = tmp_path / "module.py"
    file.write_text(source, encoding="utf-8")
    return attribute_reads(file)


@pytest.mark.parametrize("source", READ.values(), ids=READ.keys())
def test_found(source: str, tmp_path: Path) -> None:
    """A read is found through the names an object goes by."""
    assert ("store", "replicas") in reads(tmp_path, source)


@pytest.mark.parametrize("source", NOT_READ.values(), ids=NOT_READ.keys())
def test_not_found(source: str, tmp_path: Path) -> None:
    """What is no read of that attribute from that object is not taken for one."""
    assert ("store", "replicas") not in reads(tmp_path, source)


@pytest.mark.parametrize(
    "source",
    [
        "def f(s: StoreSpec): return s.replicas",
        "def f(s: 'StoreSpec'): return s.replicas",
        "def f(s: StoreSpec | None): return s.replicas",
        "s: StoreSpec = make()\nx = s.replicas",
        "def f(p) -> StoreSpec: ...\nx = f(1).replicas",
        "class StoreSpec:\n    def f(self): return self.replicas",
    ],
)
def test_found_by_class(source: str, tmp_path: Path) -> None:
    """An annotation says what a name stands for."""
    assert ("StoreSpec", "replicas") in reads(tmp_path, source)


def test_unknown_owner(tmp_path: Path) -> None:
    """A read from an object nothing is known of has no owner."""
    assert reads(tmp_path, "x = make()[0].replicas") == {("", "replicas")}


def test_imported_module(tmp_path: Path) -> None:
    """A function of a module is no attribute of an unknown object."""
    source = "from a import naming\nx = naming.replicas"

    assert reads(tmp_path, source) == {("naming", "replicas")}
