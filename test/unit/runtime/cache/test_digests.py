"""Contents are read once per version and remembered as digests only."""

import base64
import hashlib
from typing import Any

import pytest

from smbpctl.runtime.cache.digests import CONFIG_MAP, SECRET, Digests, content_digests
from smbpctl.runtime.meta import (
    GroupVersionKind,
    Manifest,
    ObjectKey,
    ObjectMeta,
    StoredObject,
)

KEY = ObjectKey("n", "a")


def sha(content: bytes) -> str:
    """Return the SHA-256 in hex."""
    return hashlib.sha256(content).hexdigest()


def cached(version: str, uid: str = "u1") -> StoredObject:
    """Return the cached metadata of a Secret."""
    meta = ObjectMeta(name="a", namespace="n", uid=uid, resource_version=version)
    return StoredObject(gvk=SECRET, meta=meta, raw=b"{}")


class Server:
    """Answers live reads with `now`, and counts them."""

    def __init__(self) -> None:
        self.now: Manifest | None = None
        self.reads = 0

    def holds(self, content: bytes, version: str, uid: str = "u1") -> None:
        """Replace what is there."""
        self.now = {
            "metadata": {"uid": uid, "resourceVersion": version},
            "data": {"password": base64.b64encode(content).decode()},
        }

    async def read(self, gvk: GroupVersionKind, key: ObjectKey) -> Manifest | None:
        """Read live."""
        assert (gvk, key) == (SECRET, KEY)
        self.reads += 1
        return self.now


async def test_one_version_is_read_once() -> None:
    """As long as the cache shows nothing newer, the answer is remembered."""
    server = Server()
    server.holds(b"x", "5")
    digests = Digests(server.read)

    answers = [await digests.of(cached("5")) for _ in range(3)]

    assert answers == [{"password": sha(b"x")}] * 3
    assert server.reads == 1


async def test_a_newer_version_is_read_anew() -> None:
    """A rotated certificate shows as soon as the cache knows of it."""
    server = Server()
    server.holds(b"x", "5")
    digests = Digests(server.read)
    await digests.of(cached("5"))
    server.holds(b"y", "10")

    assert await digests.of(cached("10")) == {"password": sha(b"y")}
    assert server.reads == 2


async def test_a_cache_that_lags_behind_the_live_read_costs_no_further_reads() -> None:
    """What was read live is newer than what the cache shows."""
    server = Server()
    server.holds(b"y", "10")
    digests = Digests(server.read)

    answers = [await digests.of(cached("9")) for _ in range(2)]

    assert answers == [{"password": sha(b"y")}] * 2
    assert server.reads == 1


async def test_a_namesake_is_read_anew() -> None:
    """Deleted and created again: versions of two objects say nothing about each other."""
    server = Server()
    server.holds(b"x", "50")
    digests = Digests(server.read)
    await digests.of(cached("50"))
    server.holds(b"y", "60", uid="u2")

    assert await digests.of(cached("40", uid="u2")) == {"password": sha(b"y")}


async def test_an_object_that_is_gone_has_no_digests() -> None:
    """The cache may not know yet; nothing is remembered of it."""
    server = Server()
    digests = Digests(server.read)

    assert await digests.of(cached("5")) is None
    server.holds(b"x", "5")
    assert await digests.of(cached("5")) == {"password": sha(b"x")}


async def test_the_answer_is_private_and_no_value_is_kept() -> None:
    """Changing an answer changes no other; memory holds digests only."""
    server = Server()
    server.holds(b"swordfish", "5")
    digests = Digests(server.read)

    first = await digests.of(cached("5"))
    assert isinstance(first, dict)
    first.clear()

    assert await digests.of(cached("5")) == {"password": sha(b"swordfish")}
    remembered = repr(digests._remembered)
    assert "swordfish" not in remembered
    assert base64.b64encode(b"swordfish").decode() not in remembered


async def test_what_is_remembered_is_bounded() -> None:
    """Names that come and go for ever do not fill the memory."""

    async def read(gvk: GroupVersionKind, key: ObjectKey) -> Manifest | None:
        return {"metadata": {"uid": key.name, "resourceVersion": "1"}, "data": {}}

    digests = Digests(read)
    for number in range(5000):
        meta = ObjectMeta(name=str(number), uid=str(number), resource_version="1")
        await digests.of(StoredObject(gvk=SECRET, meta=meta, raw=b"{}"))

    assert len(digests._remembered) <= 4096


@pytest.mark.parametrize(
    ("gvk", "manifest", "expected"),
    [
        (SECRET, {"data": {"b": "eA==", "a": "eQ=="}}, {"a": sha(b"y"), "b": sha(b"x")}),
        (SECRET, {"data": None}, {}),
        (CONFIG_MAP, {"data": {"a": "ż"}}, {"a": sha("ż".encode())}),
        (
            CONFIG_MAP,
            {"data": {"a": "eA=="}, "binaryData": {"b": "eA=="}},
            {"a": sha(b"eA=="), "b": sha(b"x")},
        ),
        (CONFIG_MAP, {}, {}),
    ],
)
def test_digests_are_of_the_bytes_a_pod_would_see(
    gvk: GroupVersionKind, manifest: Manifest, expected: dict[str, Any]
) -> None:
    """Base64 is undone where it is an encoding, and kept where it is text."""
    digests = content_digests(gvk, manifest)

    assert digests == expected
    assert list(digests) == sorted(expected)


def test_other_kinds_and_bad_base64_are_refused() -> None:
    """Rather an error than a digest of something else."""
    with pytest.raises(ValueError, match="not for Pod"):
        content_digests(GroupVersionKind("", "v1", "Pod"), {})
    with pytest.raises(ValueError, match=r"[Bb]ase64|alphabet|padding"):
        content_digests(SECRET, {"data": {"a": "no base64!"}})
