"""The cache reads registered kinds from memory, and says clearly what it cannot read."""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any

import pytest

from smbpctl.runtime.cache import CONFIG_MAP, SECRET, Cache, Selection
from smbpctl.runtime.clock import LoopClock, seeded_random
from smbpctl.runtime.discovery import OptionalKind
from smbpctl.runtime.errors import (
    CacheNotSynced,
    Forbidden,
    IndexMissing,
    KindNotWatched,
    MetadataOnly,
)
from smbpctl.runtime.informer import Form, Informer, InformerGroup, InformerState
from smbpctl.runtime.meta import (
    GroupKind,
    GroupVersionKind,
    LabelSelector,
    Manifest,
    ObjectKey,
    labels_equal,
)
from test.support.list_watch import WIDGET, ModelServer
from test.support.virtual_time import run_virtual

GADGET = GroupVersionKind("demo.example.com", "v1", "Gadget")
OPTIONAL_GADGET = OptionalKind("demo.example.com", "Gadget", ("v1",))
A = ObjectKey("default", "a")
SOON = timedelta(seconds=5)


class FakeCluster:
    """Client and discovery over one model server per kind."""

    def __init__(self) -> None:
        self.servers = {gvk: ModelServer(gvk=gvk) for gvk in (WIDGET, GADGET, SECRET, CONFIG_MAP)}
        self.forbidden: set[GroupVersionKind] = set()
        self.optional_served = False
        self.live_reads = 0

    def list_pages(self, gvk: GroupVersionKind, **options: Any) -> AsyncIterator[bytes]:
        """List, unless it is forbidden."""
        if gvk in self.forbidden:
            raise Forbidden(f"cannot list {gvk}", code=403)
        return self.servers[gvk].list_pages(gvk, **options)

    def watch(
        self, gvk: GroupVersionKind, **options: Any
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Watch, unless it is forbidden."""
        if gvk in self.forbidden:
            raise Forbidden(f"cannot watch {gvk}", code=403)
        return self.servers[gvk].watch(gvk, **options)

    async def get(self, gvk: GroupVersionKind, key: ObjectKey) -> Manifest | None:
        """Read live."""
        self.live_reads += 1
        return self.servers[gvk].objects.get((key.namespace, key.name))

    async def list(
        self,
        gvk: GroupVersionKind,
        *,
        namespace: str = "",
        selector: LabelSelector | None = None,
    ) -> list[Manifest]:
        """Read live."""
        return self.servers[gvk]._select(namespace, selector)

    def changes(self) -> int:
        """Nothing that is served changes unseen."""
        return 0

    async def served(self, kind: OptionalKind) -> GroupVersionKind | None:
        """Tell whether the one optional kind is served."""
        return GADGET if self.optional_served else None


class Scene:
    """A cache over a fake cluster."""

    def __init__(self, **options: Any) -> None:
        self.cluster = FakeCluster()
        self.clock = LoopClock()
        self.cache = Cache(
            self.cluster, self.cluster, clock=self.clock, random=seeded_random(1), **options
        )

    def put(self, gvk: GroupVersionKind, name: str, **options: Any) -> Manifest:
        """Create or update an object on the server."""
        return self.cluster.servers[gvk].put(name, **options)

    def play(self, then: Callable[[], Awaitable[None]], *, sync: bool = True) -> None:
        """Run the cache while `then` runs, after the first sync unless told otherwise."""

        async def main() -> None:
            async with asyncio.TaskGroup() as tasks:
                running = tasks.create_task(self.cache.run())
                if sync:
                    await self.cache.wait_synced(SOON)
                await then()
                running.cancel()

        run_virtual(main())


def without_managed_fields(manifest: Manifest) -> Manifest:
    """Return what the cache is to show of an object."""
    metadata = {k: v for k, v in manifest["metadata"].items() if k != "managedFields"}
    return {**manifest, "metadata": metadata}


def test_reads_are_of_the_present_state_and_private() -> None:
    """Whatever a reader does to its copy, the next reader sees the object."""
    scene = Scene()
    scene.cache.register(WIDGET)
    truth = without_managed_fields(scene.put(WIDGET, "a"))
    scene.put(WIDGET, "b")

    async def then() -> None:
        first = await scene.cache.get(WIDGET, A)
        assert first == truth
        first["spec"].clear()
        (listed, _) = await scene.cache.list(WIDGET)
        listed["spec"].clear()
        assert await scene.cache.get(WIDGET, A) == truth
        assert await scene.cache.get(WIDGET, ObjectKey("default", "nobody")) is None

    scene.play(then)


def test_lists_are_narrowed_by_namespace_labels_and_index() -> None:
    """All that is given must hold; the order is that of the keys."""
    scene = Scene()
    scene.cache.register(WIDGET)
    scene.put(WIDGET, "b", tier="x")
    scene.put(WIDGET, "a", tier="x")
    scene.put(WIDGET, "a", tier="x")
    scene.put(WIDGET, "c", tier="y")
    scene.put(WIDGET, "a", namespace="other", tier="x")
    scene.cache.add_index(WIDGET, "generation", lambda each: [str(each.meta.generation)])
    x = labels_equal({"tier": "x"})

    async def then() -> None:
        async def keys(**narrow: Any) -> list[str]:
            metas = scene.cache.metas(WIDGET, **narrow)
            manifests = await scene.cache.list(WIDGET, **narrow)
            assert [each.manifest() for each in metas] == manifests
            return [str(each.key) for each in metas]

        assert await keys() == ["default/a", "default/b", "default/c", "other/a"]
        assert await keys(namespace="other") == ["other/a"]
        assert await keys(selector=x) == ["default/a", "default/b", "other/a"]
        assert await keys(index=("generation", "1")) == ["default/b", "default/c", "other/a"]
        assert await keys(index=("generation", "1"), namespace="default", selector=x) == [
            "default/b"
        ]

    scene.play(then)


def test_a_kind_that_was_not_registered_fails() -> None:
    """Nothing is watched by accident; the message names kind and remedy."""
    scene = Scene()
    scene.cache.register(WIDGET)

    async def then() -> None:
        with pytest.raises(KindNotWatched, match=r"Gadget.*register it.*live_get"):
            await scene.cache.get(GADGET, A)
        with pytest.raises(KindNotWatched, match="Gadget"):
            scene.cache.add_index(GADGET, "x", lambda _: [])
        with pytest.raises(KindNotWatched, match="Gadget"):
            scene.cache.add_index(OPTIONAL_GADGET, "x", lambda _: [])
        with pytest.raises(KindNotWatched, match=r"Gadget.*register_optional"):
            scene.cache.served(OPTIONAL_GADGET)

    scene.play(then)


def test_reads_before_the_first_list_fail() -> None:
    """An empty answer would read as "there are none"."""
    scene = Scene()
    scene.cache.register(WIDGET)

    async def then() -> None:
        with pytest.raises(CacheNotSynced, match=r"Widget.*wait_synced"):
            await scene.cache.list(WIDGET)
        with pytest.raises(CacheNotSynced, match="Widget"):
            scene.cache.meta(WIDGET, A)
        assert scene.cache.uid_of(WIDGET.group_kind, A) is None
        assert not scene.cache.synced

    scene.play(then, sync=False)


def test_an_index_that_was_not_added_fails() -> None:
    """The message names kind and index."""
    scene = Scene()
    scene.cache.register(WIDGET)

    async def then() -> None:
        with pytest.raises(IndexMissing, match=r"Widget.*'tier'.*add_index"):
            scene.cache.metas(WIDGET, index=("tier", "x"))

    scene.play(then)


@pytest.mark.parametrize("gvk", [SECRET, CONFIG_MAP])
def test_secrets_and_config_maps_are_metadata_only_by_default(gvk: GroupVersionKind) -> None:
    """Their contents do not belong into memory; metadata reads work, full reads say so."""
    scene = Scene()
    informer = scene.cache.register(gvk)
    scene.put(gvk, "a")

    async def then() -> None:
        assert informer.form is Form.METADATA
        stored = scene.cache.meta(gvk, A)
        assert stored is not None
        assert "spec" not in stored.manifest()
        with pytest.raises(MetadataOnly, match=rf"{gvk.kind}.*digests or live_get.*Form\.FULL"):
            await scene.cache.get(gvk, A)
        with pytest.raises(MetadataOnly, match=gvk.kind):
            await scene.cache.list(gvk)

    scene.play(then)


@pytest.mark.parametrize("forms", [(None, Form.FULL), (Form.FULL, None), (Form.METADATA, None)])
def test_one_informer_per_kind_in_the_strongest_form_asked_for(
    forms: tuple[Form | None, Form | None],
) -> None:
    """Two registrations never disagree about what there is."""
    scene = Scene()

    first, second = (scene.cache.register(SECRET, form=form) for form in forms)

    assert first is second
    assert first.form is (Form.FULL if Form.FULL in forms else Form.METADATA)


def test_a_stronger_form_after_the_start_comes_as_soon_as_it_is_there() -> None:
    """Until then a full read fails, rather than reading metadata as if it were the object."""
    scene = Scene()
    scene.cache.register(SECRET)
    truth = without_managed_fields(scene.put(SECRET, "a"))

    async def then() -> None:
        informer = scene.cache.register(SECRET, form=Form.FULL)
        with pytest.raises(MetadataOnly, match="metadata only"):
            await scene.cache.get(SECRET, A)
        await informer.wait_full()
        assert await scene.cache.get(SECRET, A) == truth

    scene.play(then)


def test_a_kind_has_one_selector_and_one_set_of_versions() -> None:
    """A second registration must not see less than it asked for."""
    scene = Scene()
    scene.cache.register(WIDGET, selection=Selection(selector=labels_equal({"tier": "x"})))
    scene.cache.register_optional(OPTIONAL_GADGET)

    with pytest.raises(ValueError, match="for labels tier=x already, not for everything"):
        scene.cache.register(WIDGET)
    with pytest.raises(ValueError, match="other versions"):
        scene.cache.register_optional(OptionalKind("demo.example.com", "Gadget", ("v2",)))


def test_a_selector_limits_what_is_known() -> None:
    """Objects that leave the selection leave the cache."""
    scene = Scene()
    scene.cache.register(WIDGET, selection=Selection(selector=labels_equal({"tier": "x"})))
    scene.put(WIDGET, "a", tier="x")
    scene.put(WIDGET, "b", tier="y")

    async def then() -> None:
        assert [each.meta.name for each in scene.cache.metas(WIDGET)] == ["a"]
        scene.put(WIDGET, "a", tier="y")
        scene.put(WIDGET, "b", tier="x")
        await scene.clock.sleep(timedelta(seconds=1))
        assert [each.meta.name for each in scene.cache.metas(WIDGET)] == ["b"]

    scene.play(then)


def test_a_cache_of_one_namespace_does_not_pretend_to_know_others() -> None:
    """None would read as "absent"."""
    scene = Scene(namespaces={"default"})
    scene.cache.register(WIDGET)
    scene.put(WIDGET, "a")
    scene.put(WIDGET, "a", namespace="other")

    async def then() -> None:
        assert [str(each.key) for each in scene.cache.metas(WIDGET)] == ["default/a"]
        assert await scene.cache.get(WIDGET, A) is not None
        with pytest.raises(KindNotWatched, match=r"Widget.*namespace default only, not in other"):
            await scene.cache.get(WIDGET, ObjectKey("other", "a"))
        with pytest.raises(KindNotWatched, match="live_get"):
            scene.cache.metas(WIDGET, namespace="other")

    scene.play(then)


def test_several_namespaces_are_read_as_one() -> None:
    """Each has an informer and an overlay of its own; what is elsewhere is refused by name."""
    scene = Scene(namespaces=["one", "two"])
    informer = scene.cache.register(WIDGET)
    scene.cache.add_index(WIDGET, "tier", lambda each: [(each.meta.labels or {}).get("tier", "")])
    for namespace in ("two", "one", "three"):
        scene.put(WIDGET, "a", namespace=namespace, tier=namespace[0])

    def keys(**options: Any) -> list[str]:
        return [str(each.key) for each in scene.cache.metas(WIDGET, **options)]

    async def then() -> None:
        assert isinstance(informer, InformerGroup)
        assert keys() == ["one/a", "two/a"]
        assert keys(namespace="two") == ["two/a"]
        assert keys(index=("tier", "t")) == ["two/a"]
        assert await scene.cache.get(WIDGET, ObjectKey("one", "a")) is not None
        assert scene.cache.uid_of(WIDGET.group_kind, ObjectKey("two", "a")) is not None
        assert scene.cache.owned_by(WIDGET, "nobody") == []
        with pytest.raises(KindNotWatched, match="namespace one and two only, not in three"):
            await scene.cache.get(WIDGET, ObjectKey("three", "a"))
        scope, elsewhere = (scene.cache.scope_of(WIDGET, each) for each in ("two", "three"))
        assert scope is not None
        assert [str(each.key) for each in scope.list()] == ["two/a"]
        assert elsewhere is None

    scene.play(then)


def test_a_cluster_scoped_kind_is_watched_once() -> None:
    """Namespaces do not apply to it."""
    scene = Scene(namespaces=["one", "two"])

    informer = scene.cache.register(WIDGET, namespaced=False)

    assert isinstance(informer, Informer)
    assert informer.namespace == ""


def test_waiting_for_sync_ends_with_the_names_of_those_that_are_not() -> None:
    """State and reason of each, so that a missing permission is seen at once."""
    scene = Scene()
    scene.cache.register(WIDGET)
    scene.cache.register(GADGET)
    scene.cluster.forbidden.add(GADGET)

    async def then() -> None:
        began = scene.clock.monotonic()
        with pytest.raises(CacheNotSynced) as raised:
            await scene.cache.wait_synced(SOON)
        assert scene.clock.monotonic() - began == pytest.approx(5)
        assert "Gadget.v1.demo.example.com is forbidden to watch (watch: cannot" in str(
            raised.value
        )
        assert "Widget" not in str(raised.value)
        states = scene.cache.states()
        assert list(states) == sorted([str(GADGET), str(WIDGET)])
        assert states[str(GADGET)].state is InformerState.FORBIDDEN
        assert (states[str(WIDGET)].synced, str(states[str(WIDGET)])) == (True, "streaming")

    scene.play(then, sync=False)


def test_a_kind_registered_while_running_is_watched_at_once() -> None:
    """Controllers may be added late."""
    scene = Scene()
    scene.put(WIDGET, "a")

    async def then() -> None:
        assert scene.cache.synced
        scene.cache.register(WIDGET)
        assert not scene.cache.synced
        await scene.cache.wait_synced(SOON)
        assert await scene.cache.get(WIDGET, A) is not None

    scene.play(then)


def test_dependents_are_found_by_owner_and_owners_by_key() -> None:
    """What handlers and pruning ask for."""
    scene = Scene()
    scene.cache.register(WIDGET)
    scene.put(WIDGET, "b")
    owned = scene.put(WIDGET, "a")
    owned["metadata"]["ownerReferences"] = [
        {"apiVersion": "v1", "kind": "Owner", "name": "o", "uid": "o1"}
    ]

    async def then() -> None:
        assert [each.key for each in scene.cache.owned_by(WIDGET, "o1")] == [A]
        assert scene.cache.uid_of(WIDGET.group_kind, A) == owned["metadata"]["uid"]
        assert scene.cache.uid_of(WIDGET.group_kind, ObjectKey("default", "nobody")) is None
        assert scene.cache.uid_of(GroupKind("", "Owner"), A) is None

    scene.play(then)


def test_an_optional_kind_is_read_by_the_version_that_is_served() -> None:
    """Absent it can be asked about but not read; it appears and vanishes without restart."""
    scene = Scene()
    scene.cache.register_optional(OPTIONAL_GADGET)
    scene.cache.add_index(OPTIONAL_GADGET, "all", lambda _: ["x"])
    scene.put(GADGET, "a")

    async def then() -> None:
        assert scene.cache.synced
        assert scene.cache.served(OPTIONAL_GADGET) is None
        assert scene.cache.states()[str(OPTIONAL_GADGET.group_kind)].state is InformerState.ABSENT
        with pytest.raises(KindNotWatched, match=r"Gadget.*not served now"):
            await scene.cache.get(GADGET, A)

        scene.cluster.optional_served = True
        await scene.clock.sleep(timedelta(seconds=11))
        assert scene.cache.served(OPTIONAL_GADGET) == GADGET
        assert await scene.cache.get(GADGET, A) is not None
        assert len(scene.cache.metas(GADGET, index=("all", "x"))) == 1
        assert scene.cache.uid_of(GADGET.group_kind, A) == "uid-1"

        scene.cluster.optional_served = False
        scene.cluster.servers[GADGET].vanish()
        await scene.clock.sleep(timedelta(seconds=11))
        assert scene.cache.served(OPTIONAL_GADGET) is None
        assert scene.cache.uid_of(GADGET.group_kind, A) is None
        assert scene.cache.synced

    scene.play(then)


def test_a_kind_that_just_appeared_cannot_be_read_before_its_list() -> None:
    """`served` turns true with the first complete list, so that no reader sees half of it."""
    scene = Scene()
    scene.cluster.optional_served = True
    scene.cache.register_optional(OPTIONAL_GADGET)

    async def then() -> None:
        await scene.clock.sleep(timedelta(milliseconds=1))
        assert scene.cache.served(OPTIONAL_GADGET) is None
        with pytest.raises(CacheNotSynced, match="Gadget"):
            await scene.cache.get(GADGET, A)

    scene.play(then, sync=False)


def test_live_reads_ask_the_server_for_any_kind() -> None:
    """By name, never by accident."""
    scene = Scene()
    truth = scene.put(GADGET, "a", tier="x")
    scene.put(GADGET, "b")

    async def then() -> None:
        assert await scene.cache.live_get(GADGET, A) == truth
        selector = labels_equal({"tier": "x"})
        assert await scene.cache.live_list(GADGET, selector=selector) == [truth]

    scene.play(then)


def test_digests_of_metadata_only_kinds_cost_one_live_read_per_version() -> None:
    """None when absent; a new version is read anew."""
    scene = Scene()
    scene.cache.register(SECRET)

    def hold(content: bytes) -> dict[str, str]:
        scene.put(SECRET, "a")["data"] = {"key": base64.b64encode(content).decode()}
        return {"key": hashlib.sha256(content).hexdigest()}

    first = hold(b"x")

    async def then() -> None:
        assert await scene.cache.digests(SECRET, ObjectKey("default", "nobody")) is None
        assert await scene.cache.digests(SECRET, A) == first
        assert await scene.cache.digests(SECRET, A) == first
        second = hold(b"y")
        await scene.clock.sleep(timedelta(seconds=1))
        assert await scene.cache.digests(SECRET, A) == second
        assert scene.cluster.live_reads == 2

    scene.play(then)


def test_digests_of_full_kinds_cost_no_live_read() -> None:
    """The contents are there already."""
    scene = Scene()
    scene.cache.register(CONFIG_MAP, form=Form.FULL)
    scene.put(CONFIG_MAP, "a")["data"] = {"key": "x"}

    async def then() -> None:
        assert await scene.cache.digests(CONFIG_MAP, A) == {"key": hashlib.sha256(b"x").hexdigest()}
        assert scene.cluster.live_reads == 0

    scene.play(then)


def test_field_sets_of_registered_owners_are_kept() -> None:
    """For every kind, so that applying the same twice can be left out."""
    scene = Scene(field_owners=frozenset({"demo"}))
    scene.cache.register(WIDGET)
    scene.put(WIDGET, "a")

    async def then() -> None:
        stored = scene.cache.meta(WIDGET, A)
        assert stored is not None
        assert stored.fields == {"demo": b'{"f:spec":{"f:1":{}}}'}

    scene.play(then)
