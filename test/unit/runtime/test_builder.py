"""Controllers made by the builder, run by a manager over an API server in memory."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from smbpctl.runtime.builder import Builder, controller, reconcile_function, reconcile_object
from smbpctl.runtime.clock import LoopClock, seeded_random
from smbpctl.runtime.cluster import Cluster
from smbpctl.runtime.controller import ControllerOptions
from smbpctl.runtime.discovery import OptionalKind
from smbpctl.runtime.errors import MetadataOnly, TerminalError
from smbpctl.runtime.event import Deleted, Event
from smbpctl.runtime.handler import for_object, map_func
from smbpctl.runtime.informer import Form
from smbpctl.runtime.manager import Manager, ManagerOptions
from smbpctl.runtime.meta import GroupVersionKind, Manifest, ObjectKey, StoredObject
from smbpctl.runtime.metrics import Metrics
from smbpctl.runtime.predicate import only
from smbpctl.runtime.reconcile import DONE, Request, Result
from smbpctl.runtime.source import ChannelSource
from test.support.fake_api import CONFIG_MAP, NAMESPACE, POD, FakeApi
from test.support.virtual_time import run_virtual

CLOCK = LoopClock()


def manifest(gvk: GroupVersionKind, name: str, *, owner: Manifest | None = None) -> Manifest:
    """Return an object, controlled by `owner` if there is one."""
    metadata: dict[str, Any] = {"name": name, "uid": f"uid-of-{name}"}
    if gvk != NAMESPACE.gvk:
        metadata["namespace"] = "ns"
    if owner is not None:
        metadata["ownerReferences"] = [
            {
                "apiVersion": owner["apiVersion"],
                "kind": owner["kind"],
                "name": owner["metadata"]["name"],
                "uid": owner["metadata"]["uid"],
                "controller": True,
            }
        ]
    return {"apiVersion": gvk.api_version, "kind": gvk.kind, "metadata": metadata}


class Seen:
    """A reconciler that lists the keys it was called with."""

    def __init__(self) -> None:
        self.keys: list[str] = []

    async def reconcile(self, request: Request[Any]) -> Result:
        """List the key."""
        self.keys.append(str(request))
        return DONE

    def take(self) -> list[str]:
        """Return the keys since the last call, sorted."""
        taken, self.keys = sorted(self.keys), []
        return taken


def new_manager(api: FakeApi, options: ManagerOptions | None = None) -> Manager:
    """Return a manager of the server in memory."""
    metrics, random = Metrics(), seeded_random(3)
    cluster = Cluster.over(api.transport(), clock=CLOCK, random=random, metrics=metrics)
    return Manager(cluster, options=options, metrics=metrics, clock=CLOCK, random=random)


def play(
    builder: Builder[Any], api: FakeApi, *acts: Callable[[], object], reconciler: Any = None
) -> list[list[str]]:
    """Build, run, and return the keys seen at the start and after each act."""
    seen = Seen()

    async def settle() -> list[str]:
        await CLOCK.sleep(timedelta(seconds=1))
        return seen.take()

    async def main() -> list[list[str]]:
        async with new_manager(api) as manager:
            builder.build(manager, reconciler or seen)
            async with asyncio.TaskGroup() as group:
                group.create_task(manager.run(handle_signals=False))
                history = [await settle()]
                for act in acts:
                    act()
                    history.append(await settle())
                manager.stop()
        return history

    return run_virtual(main())


class TestWatching:
    """Who is woken by what."""

    def test_for_wakes_the_object_itself(self) -> None:
        """At the start everything there is, then what changes."""
        api = FakeApi()
        api.put(manifest(POD.gvk, "a"))
        api.put(manifest(POD.gvk, "b"))

        history = play(
            controller("test").for_(POD.gvk),
            api,
            lambda: api.put(manifest(POD.gvk, "a")),
            lambda: api.delete(manifest(POD.gvk, "b")),
        )

        assert history == [["ns/a", "ns/b"], ["ns/a"], ["ns/b"]]

    def test_owns_wakes_the_controlling_owner(self) -> None:
        """Of the kind that the controller is for; other owners are other controllers' affair."""
        api = FakeApi()
        pod = api.put(manifest(POD.gvk, "owner"))
        other = manifest(NAMESPACE.gvk, "other")

        history = play(
            controller("test").owns(CONFIG_MAP.gvk).for_(POD.gvk),
            api,
            lambda: api.put(manifest(CONFIG_MAP.gvk, "child", owner=pod)),
            lambda: api.put(manifest(CONFIG_MAP.gvk, "stranger", owner=other)),
            lambda: api.put(manifest(CONFIG_MAP.gvk, "orphan")),
            lambda: api.delete(manifest(CONFIG_MAP.gvk, "child")),
        )

        assert history == [["ns/owner"], ["ns/owner"], [], [], ["ns/owner"]]

    def test_a_child_of_a_former_namesake_wakes_nobody(self) -> None:
        """The cache knows the owner's UID, and the builder passes that knowledge on."""
        api = FakeApi()
        api.put(manifest(POD.gvk, "owner"))
        former = manifest(POD.gvk, "owner")
        former["metadata"]["uid"] = "another"

        history = play(
            controller("test").for_(POD.gvk).owns(CONFIG_MAP.gvk),
            api,
            lambda: api.put(manifest(CONFIG_MAP.gvk, "child", owner=former)),
        )

        assert history == [["ns/owner"], []]

    def test_an_owner_without_namespace_is_woken_without_one(self) -> None:
        """Discovery says whether the owner's kind has a namespace; nobody needs to know it."""
        api = FakeApi()
        owner = api.put(manifest(NAMESPACE.gvk, "owner"))
        api.put(manifest(CONFIG_MAP.gvk, "child", owner=owner))

        history = play(
            controller("test").for_(NAMESPACE.gvk).owns(CONFIG_MAP.gvk),
            api,
            lambda: api.delete(manifest(CONFIG_MAP.gvk, "child")),
        )

        assert history == [["owner"], ["owner"]]

    def test_watches_wakes_whom_the_handler_names(self) -> None:
        """Any mapping from an object to keys."""
        api = FakeApi()

        def neighbours(_object: StoredObject) -> Iterable[Request]:
            return (Request(ObjectKey("x", "1")), Request(ObjectKey("x", "2")))

        history = play(
            controller("test").watches(POD.gvk, map_func(neighbours)),
            api,
            lambda: api.put(manifest(POD.gvk, "a")),
        )

        assert history == [[], ["x/1", "x/2"]]

    def test_predicates_belong_to_their_watch(self) -> None:
        """They filter the watch they are given to, and no other."""
        api = FakeApi()
        pod = api.put(manifest(POD.gvk, "owner"))
        api.put(manifest(CONFIG_MAP.gvk, "child", owner=pod))

        def never(_event: Event) -> bool:
            return False

        history = play(
            controller("test").for_(POD.gvk, never).owns(CONFIG_MAP.gvk, only(Deleted)),
            api,
            lambda: api.put(manifest(CONFIG_MAP.gvk, "child", owner=pod)),
            lambda: api.delete(manifest(CONFIG_MAP.gvk, "child")),
        )

        assert history == [[], [], ["ns/owner"]]

    def test_an_optional_kind_that_is_absent_holds_up_nothing(self) -> None:
        """The controller runs without it."""
        api = FakeApi()
        api.put(manifest(POD.gvk, "a"))
        widget = OptionalKind("demo.example.com", "Widget", ("v1",))

        history = play(controller("test").for_(POD.gvk).owns(widget), api)

        assert history == [["ns/a"]]

    def test_keys_may_be_of_any_type(self) -> None:
        """A controller of something that is no Kubernetes object, fed through a channel."""
        channel = ChannelSource[str](lambda _event: ())
        builder = Builder[str]("test").watches_source(channel)

        history = play(builder, FakeApi(), lambda: channel.wake(Request("tenant-1")))

        assert history == [[], ["tenant-1"]]


class TestForm:
    """How much of each object is cached."""

    @pytest.mark.parametrize(("form", "readable"), [(None, False), (Form.FULL, True)])
    def test_the_form_is_passed_on(self, form: Form | None, readable: bool) -> None:
        """ConfigMaps are metadata only, unless the whole is asked for."""
        api = FakeApi()
        api.put(manifest(CONFIG_MAP.gvk, "a"))
        results: list[bool] = []

        async def main() -> None:
            async with new_manager(api) as manager:

                async def read(request: Request) -> Result:
                    try:
                        await manager.cache.get(CONFIG_MAP.gvk, request.key)
                    except MetadataOnly:
                        results.append(False)
                    else:
                        results.append(True)
                    return DONE

                built = controller("test").for_(CONFIG_MAP.gvk, form=form)
                built.build(manager, reconcile_function(read))
                CLOCK.call_later(timedelta(seconds=1), manager.stop)
                await manager.run(handle_signals=False)

        run_virtual(main())

        assert results == [readable]


class TestOptions:
    """How a controller works."""

    def test_options_reach_the_controller(self) -> None:
        """Workers and the time a run may take; what is not given stays as it was."""
        api = FakeApi()
        for name in "abc":
            api.put(manifest(POD.gvk, name))
        began: list[tuple[str, float]] = []

        def hang(cancelled: list[str]) -> Callable[[Request], Awaitable[Result]]:
            async def reconcile(request: Request) -> Result:
                began.append((str(request), CLOCK.monotonic()))
                try:
                    await asyncio.Event().wait()
                finally:
                    cancelled.append(str(request))
                return DONE

            return reconcile

        ended: list[str] = []
        builder = controller("test").for_(POD.gvk).with_options(workers=2)
        builder.with_options(ControllerOptions(reconcile_timeout=timedelta(seconds=0.8)))
        play(builder, api, reconciler=reconcile_function(hang(ended)))

        first = began[0][1]
        assert [(name, round(at - first, 3)) for name, at in began[:3]] == [
            *(("ns/a", 0), ("ns/b", 0), ("ns/c", 0.8))
        ]
        assert ended[:2] == ["ns/a", "ns/b"]

    def test_what_is_said_for_one_controller_wins(self) -> None:
        """Then what the manager says for its kind, then what it says for all."""
        options = ManagerOptions(
            cache_sync_timeout=timedelta(seconds=7),
            controllers=ControllerOptions(workers=3),
            workers_by_kind={POD.gvk.group_kind: 5},
        )

        def workers(builder: Builder[ObjectKey]) -> int:
            return builder.build(new_manager(FakeApi(), options), Seen()).options.workers

        plain = controller("a").for_(CONFIG_MAP.gvk).build(new_manager(FakeApi(), options), Seen())
        assert (plain.options.workers, plain.options.cache_sync_timeout) == (
            3,
            timedelta(seconds=7),
        )
        assert workers(controller("a").for_(POD.gvk)) == 5
        assert workers(controller("a").watches(POD.gvk, for_object())) == 3
        assert workers(controller("a").for_(POD.gvk).with_options(workers=2)) == 2
        assert workers(controller("a").for_(POD.gvk).with_options(ControllerOptions())) == 10

    def test_a_key_runs_again_when_the_cache_has_what_it_wrote(self) -> None:
        """Not before: the next run sees its own write, and no worker waits for that."""
        api = FakeApi(hold_watches=True)
        api.put(manifest(CONFIG_MAP.gvk, "a"))
        seen: list[tuple[float, Any]] = []

        async def main() -> None:
            async with new_manager(api) as manager:

                async def reconcile(request: Request) -> Result:
                    found = await manager.cache.get(CONFIG_MAP.gvk, request.key)
                    count = int((found or {}).get("data", {}).get("count", 0))
                    seen.append((round(CLOCK.monotonic() - began), count))
                    if count < 2:
                        body = {"data": {"count": str(count + 1)}}
                        await manager.client.patch_merge(
                            CONFIG_MAP.gvk, request.key, body, field_owner="test"
                        )
                    return Result(timedelta(seconds=1)) if count < 2 else DONE

                builder = controller("count").for_(CONFIG_MAP.gvk, form=Form.FULL)
                builder.build(manager, reconcile_function(reconcile))
                began = CLOCK.monotonic()
                async with asyncio.TaskGroup() as group:
                    group.create_task(manager.run(handle_signals=False))
                    await CLOCK.sleep(timedelta(seconds=3))
                    api.release_watches()
                    await CLOCK.sleep(timedelta(seconds=30))
                    manager.stop()

        run_virtual(main())

        assert seen[0] == (0, 0)
        assert seen[1] == (3, 1)
        assert seen[-1][1] == 2

    def test_a_controller_shows_in_the_metrics_by_its_name(self) -> None:
        """The reconciles and the queue both carry it, before anything happened."""
        manager = new_manager(FakeApi())

        built = controller("echo").for_(POD.gvk).build(manager, Seen())

        exposition = manager.metrics.exposition
        assert built.name == "echo"
        run_virtual(_shows(exposition, b'workqueue_adds_total{controller="echo",name="echo"} 0.0'))
        run_virtual(
            _shows(
                exposition,
                b'controller_runtime_reconcile_total{controller="echo",result="success"} 0.0',
            )
        )


async def _shows(exposition: Callable[[], tuple[bytes, str]], line: bytes) -> None:
    assert line in exposition()[0]


class TestMistakes:
    """Found when the controller is built, not when it runs."""

    def test_for_twice(self) -> None:
        """A controller is for one kind."""
        builder = controller("test").for_(POD.gvk)

        with pytest.raises(ValueError, match=r"test is for Pod\.v1 already"):
            builder.for_(CONFIG_MAP.gvk)

    def test_nothing_to_wake_it(self) -> None:
        """It would wait for ever."""
        with pytest.raises(ValueError, match="nothing wakes controller test"):
            controller("test").build(new_manager(FakeApi()), Seen())

    def test_owning_for_nobody(self) -> None:
        """There is no kind of owner to wake."""
        widget = OptionalKind("demo.example.com", "Widget", ("v1",))
        builder = controller("test").owns(POD.gvk).owns(widget)

        with pytest.raises(
            ValueError, match=r"owns Pod\.v1, Widget\.demo\.example\.com and needs for_"
        ):
            builder.build(new_manager(FakeApi()), Seen())

    def test_two_of_one_name(self) -> None:
        """Their metrics and logs could not be told apart."""
        manager = new_manager(FakeApi())
        controller("test").for_(POD.gvk).build(manager, Seen())

        with pytest.raises(ValueError, match="something named test already"):
            controller("test").for_(CONFIG_MAP.gvk).build(manager, Seen())

    def test_no_name(self) -> None:
        """A controller is known by its name."""
        with pytest.raises(ValueError, match="needs a name"):
            controller("")


class OneObject:
    """Satisfies `Reader` with at most one object."""

    def __init__(self, found: Manifest | None) -> None:
        self.found = found

    async def get(self, gvk: GroupVersionKind, key: ObjectKey) -> Manifest | None:
        return self.found

    async def list(self, gvk: GroupVersionKind, **_: Any) -> list[Manifest]:
        raise AssertionError("nobody lists")


class Sized(BaseModel):
    """What a reconciler wants to know of an object."""

    size: int


class TestObjects:
    """Reconcilers that take the object."""

    KEY = Request(ObjectKey("ns", "a"))

    @staticmethod
    def of(found: Manifest | None, seen: list[Any], decode: Any = dict) -> Any:
        async def look(value: Any) -> Result:
            seen.append(value)
            return Result(timedelta(seconds=1))

        return reconcile_object(POD.gvk, OneObject(found), look, decode=decode)

    async def test_the_function_gets_the_object_as_decoded(self) -> None:
        """Its result is the result."""
        seen: list[Any] = []

        result = await self.of({"size": 3}, seen, Sized.model_validate).reconcile(self.KEY)

        assert seen == [Sized(size=3)]
        assert result == Result(timedelta(seconds=1))

    async def test_an_absent_object_needs_nothing(self) -> None:
        """Whatever there was to do when it went was done before its finalizer was removed."""
        seen: list[Any] = []

        assert await self.of(None, seen).reconcile(self.KEY) == DONE
        assert seen == []

    async def test_an_object_that_cannot_be_decoded_is_not_retried(self) -> None:
        """The error names kind, key and field; only a change of the object can help."""
        seen: list[Any] = []

        with pytest.raises(TerminalError, match=r"(?s)Pod ns/a cannot be used.*size") as raised:
            await self.of({"size": "big"}, seen, Sized.model_validate).reconcile(self.KEY)

        assert raised.value.reason == "InvalidObject"
        assert seen == []
