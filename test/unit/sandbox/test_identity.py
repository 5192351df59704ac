"""Tests of identities: data keeps its own, whatever happens to the process that writes it."""

import os
from pathlib import Path

import pytest

from smbpctl.runtime.clock import seeded_random
from smbpctl.runtime.errors import ConfigurationError
from smbpctl.sandbox.identity import FILE, identity_of, kept_identity


def test_a_text_has_one_identity() -> None:
    """Equal texts, equal identities; others differ."""
    assert identity_of("uid-1") == identity_of("uid-1")
    assert identity_of("uid-1") != identity_of("uid-2")


def test_a_folder_keeps_its_identity(tmp_path: Path) -> None:
    """A restart finds the identity; another process's chance does not change it."""
    first = kept_identity(tmp_path, seeded_random(1))
    again = kept_identity(tmp_path, seeded_random(2))

    assert again == first
    assert (tmp_path / FILE).read_text() == f"{first}\n"
    assert [each.name for each in tmp_path.iterdir()] == [FILE]


def test_a_fresh_folder_is_somebody_new(tmp_path: Path) -> None:
    """Every new volume is a new server."""
    random = seeded_random(1)
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()

    one, two = (kept_identity(folder, random) for folder in folders)

    assert one != two
    assert len(one) == len(two) == 16


def test_an_unfinished_write_counts_for_nothing(tmp_path: Path) -> None:
    """A process that died while it wrote leaves a file that the next one replaces."""
    (tmp_path / f".{FILE}.new").write_text("dead")

    identity = kept_identity(tmp_path, seeded_random(1))

    assert identity == kept_identity(tmp_path, seeded_random(2)) != "dead"
    assert [each.name for each in tmp_path.iterdir()] == [FILE]


@pytest.mark.parametrize("content", [b"", b"\n", b"two words\n", b"a\nb\n", b"\xff\n", b"a" * 65])
def test_a_damaged_identity_is_refused(tmp_path: Path, content: bytes) -> None:
    """It is not replaced: the data would silently become another server's."""
    (tmp_path / FILE).write_bytes(content)

    with pytest.raises(ConfigurationError, match=f"{FILE} holds no server id"):
        kept_identity(tmp_path, seeded_random(1))

    assert (tmp_path / FILE).read_bytes() == content


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """Also when it holds an identity already: a store that only reads is of no use."""
    (tmp_path / FILE).write_text("known\n")
    # What no user can write to, root included, unlike a folder without the permission.
    (tmp_path / f".{FILE}.new").mkdir()

    with pytest.raises(ConfigurationError, match=f"^{tmp_path} cannot be written: ") as caught:
        kept_identity(tmp_path, seeded_random(1))

    assert os.strerror(21) in str(caught.value)
