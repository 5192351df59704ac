"""Tests of finalizers: idempotent, bound to the UID, never over somebody else's list."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from smbpctl.runtime.errors import ApiStatusError, Conflict, Invalid, NotFound, TerminalError
from smbpctl.runtime.errors import StatusCause as Cause
from smbpctl.runtime.finalizer import add_finalizer, has_finalizer, remove_finalizer
from smbpctl.runtime.meta import GroupVersionKind, Manifest, ObjectKey

NAME = "example.dev/clean-up"
OTHER = "example.dev/other"


class PatchServer:
    """Executes the few JSON patch operations that finalizers use, on one object."""

    def __init__(self, live: Manifest, *, refusal: ApiStatusError | None = None) -> None:
        self.live = live
        self.refusal = refusal
        self.requests: list[tuple[str, str]] = []

    async def patch_json(
        self,
        gvk: GroupVersionKind,
        key: ObjectKey,
        operations: Sequence[Mapping[str, Any]],
        *,
        field_owner: str,
        subresource: str = "",
    ) -> Manifest:
        """Test, add and remove as RFC 6902 says; a failing test is 422 without causes."""
        assert not subresource
        self.requests.append((str(key), field_owner))
        if self.refusal is not None:
            raise self.refusal
        metadata = self.live["metadata"]
        for operation in operations:
            name = operation["path"].split("/")[2]
            if operation["op"] == "test":
                if metadata.get(name) != operation["value"]:
                    raise Invalid("the server rejected our request", code=422, reason="Invalid")
            elif operation["op"] == "remove":
                del metadata[name][int(operation["path"].split("/")[3])]
            elif operation["path"].endswith("/-"):
                metadata[name].append(operation["value"])
            else:
                metadata[name] = operation["value"]
        return self.live


def widget(*finalizers: str, uid: str = "u", deleting: bool = False) -> Manifest:
    """An object with these finalizers."""
    metadata: dict[str, Any] = {"name": "a", "namespace": "default", "uid": uid}
    if finalizers:
        metadata["finalizers"] = list(finalizers)
    if deleting:
        metadata["deletionTimestamp"] = "2025-01-01T00:00:00Z"
    return {"apiVersion": "example.dev/v1", "kind": "Widget", "metadata": metadata}


@pytest.mark.parametrize("present", [(), (OTHER,)])
async def test_a_finalizer_is_added_beside_others(present: tuple[str, ...]) -> None:
    """With and without a list to add to."""
    server = PatchServer(widget(*present))

    answer = await add_finalizer(server, widget(*present), NAME, field_owner="operator/web")

    assert answer["metadata"]["finalizers"] == [*present, NAME]
    assert has_finalizer(answer, NAME)
    assert server.requests == [("default/a", "operator/web")]


async def test_adding_what_is_there_asks_nothing() -> None:
    """Idempotent without a request, also while the object is being deleted."""
    server = PatchServer(widget(NAME))
    manifest = widget(NAME, deleting=True)

    answer = await add_finalizer(server, manifest, NAME, field_owner="operator/web")

    assert answer is manifest
    assert server.requests == []


async def test_an_object_being_deleted_takes_no_finalizer() -> None:
    """The server would refuse it; the caller must not build what only a finalizer would remove."""
    server = PatchServer(widget(deleting=True))

    with pytest.raises(TerminalError, match="Widget default/a is being deleted"):
        await add_finalizer(server, widget(deleting=True), NAME, field_owner="operator/web")

    assert server.requests == []


@pytest.mark.parametrize(
    ("read", "live"),
    [
        (widget(uid="old"), widget(uid="new")),
        (widget(), widget(OTHER)),
        (widget(OTHER), widget()),
        (widget(OTHER), widget(OTHER, "example.dev/third")),
    ],
)
async def test_another_object_or_list_is_a_conflict(read: Manifest, live: Manifest) -> None:
    """A namesake gets no finalizer, and nobody's finalizers are overwritten."""
    server = PatchServer(live)
    before = list(live["metadata"].get("finalizers", []))

    with pytest.raises(Conflict, match="Widget default/a"):
        await add_finalizer(server, read, NAME, field_owner="operator/web")

    assert server.live["metadata"].get("finalizers", []) == before


@pytest.mark.parametrize("present", [(NAME,), (OTHER, NAME), (NAME, OTHER)])
async def test_a_finalizer_is_removed_from_among_others(present: tuple[str, ...]) -> None:
    """By its place in the list that was tested."""
    server = PatchServer(widget(*present, deleting=True))
    read = widget(*present, deleting=True)

    answer = await remove_finalizer(server, read, NAME, field_owner="operator/web")

    assert not has_finalizer(answer, NAME)
    assert has_finalizer(answer, OTHER) is (OTHER in present)


async def test_removing_what_is_not_there_asks_nothing() -> None:
    """Idempotent without a request."""
    server, manifest = PatchServer(widget(OTHER)), widget(OTHER)

    answer = await remove_finalizer(server, manifest, NAME, field_owner="operator/web")

    assert answer is manifest
    assert server.requests == []


async def test_an_object_that_is_gone_has_lost_its_finalizer() -> None:
    """That is what was wanted."""
    server = PatchServer(widget(), refusal=NotFound("gone", code=404))
    manifest = widget(NAME)

    assert await remove_finalizer(server, manifest, NAME, field_owner="x") is manifest
    with pytest.raises(NotFound):
        await add_finalizer(server, widget(), NAME, field_owner="x")


async def test_a_changed_list_is_a_conflict_when_removing() -> None:
    """The place in the list would be somebody else's."""
    server = PatchServer(widget(OTHER, NAME))

    with pytest.raises(Conflict):
        await remove_finalizer(server, widget(NAME), NAME, field_owner="x")

    assert server.live["metadata"]["finalizers"] == [OTHER, NAME]


async def test_a_refusal_that_names_fields_is_passed_on() -> None:
    """It is the object that is wrong, not our view of it."""
    causes = [Cause("FieldValueForbidden", "no", "metadata.finalizers")]
    server = PatchServer(widget(), refusal=Invalid("no", code=422, causes=causes))

    with pytest.raises(Invalid):
        await add_finalizer(server, widget(), NAME, field_owner="x")


async def test_an_object_without_uid_is_refused() -> None:
    """It was never read, so the patch could be bound to nothing."""
    server = PatchServer(widget(uid=""))

    with pytest.raises(ValueError, match="no uid"):
        await add_finalizer(server, widget(uid=""), NAME, field_owner="x")
