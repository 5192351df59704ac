"""Sources: what they tell, to whom, and when they count as synced."""

import asyncio
from collections.abc import Callable, Iterable
from datetime import timedelta

import pytest

from smbpctl.runtime.clock import LoopClock
from smbpctl.runtime.errors import CacheNotSynced
from smbpctl.runtime.event import Cause, Created, Deleted, Event, Generic, Trigger, Updated
from smbpctl.runtime.handler import for_object
from smbpctl.runtime.meta import GroupVersionKind, ObjectKey, ObjectMeta, StoredObject
from smbpctl.runtime.predicate import only
from smbpctl.runtime.reconcile import Request
from smbpctl.runtime.source import ChannelSource, DeferredSource, KindSource, Source
from smbpctl.runtime.workqueue import LOW_PRIORITY
from test.support.virtual_time import run_virtual

POD = GroupVersionKind("", "v1", "Pod")
WITHIN = timedelta(seconds=5)


def stored(name: str, version: str = "") -> StoredObject:
    """Return an object of that name."""
    meta = ObjectMeta(name=name, namespace="ns", resource_version=version)
    return StoredObject(gvk=POD, meta=meta, raw=b"{}")


def request(name: str) -> Request:
    """Return the request of that name."""
    return Request(ObjectKey("ns", name))


class Keys:
    """A queue that lists what was added."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.priorities: list[int] = []
        self.causes: list[Cause | None] = []

    def add(self, key: Request, *, priority: int = 0, cause: Cause | None = None) -> None:
        """List it."""
        self.names.append(key.key.name)
        self.priorities.append(priority)
        self.causes.append(cause)


class FakeInformer:
    """Tells its handlers what the test tells it; is its own registration."""

    def __init__(self, *known: str) -> None:
        self.known = known
        self.handlers: list[Callable[[Event], None]] = []
        self.ready = asyncio.Event()

    def add_handler(self, fn: Callable[[Event], None]) -> "FakeInformer":
        """Tell what is known."""
        self.handlers.append(fn)
        for name in self.known:
            fn(Created(stored(name), initial=True))
        return self

    def tell(self, event: Event) -> None:
        """Tell an event to every handler."""
        for handler in self.handlers:
            handler(event)

    @property
    def synced(self) -> bool:
        """Tell what the test said."""
        return self.ready.is_set()

    async def wait_synced(self) -> None:
        """Wait for the test."""
        await self.ready.wait()


class TestKindSource:
    """Events of an informer."""

    def test_what_is_known_and_what_comes_wakes_whom_the_handler_names(self) -> None:
        """A source that starts late misses nothing."""
        informer, queue = FakeInformer("a"), Keys()
        source = KindSource(informer, for_object(), kind="Pod.v1")

        source.start(queue)
        informer.tell(Deleted(stored("b")))

        assert queue.names == ["a", "b"]

    def test_every_predicate_must_pass(self) -> None:
        """The first refusal ends it; the handler and later predicates are not asked."""
        asked: list[str] = []

        def refuse(_event: Event) -> bool:
            asked.append("refuse")
            return False

        def later(_event: Event) -> bool:
            asked.append("later")
            return True

        def handle(_event: Event) -> Iterable[Request]:
            asked.append("handler")
            return ()

        informer, queue = FakeInformer("a"), Keys()

        KindSource(informer, handle, refuse, later, kind="Pod.v1").start(queue)

        assert asked == ["refuse"]

    @pytest.mark.parametrize(
        ("event", "trigger", "priority"),
        [
            (Created(stored("a", "7"), initial=True), Trigger.LISTED, LOW_PRIORITY),
            (Created(stored("a", "7")), Trigger.CREATED, 0),
            (Updated(stored("a", "6"), stored("a", "7")), Trigger.UPDATED, 0),
            (Updated(stored("a", "7"), stored("a", "7")), Trigger.RESYNC, LOW_PRIORITY),
            (Deleted(stored("a", "7")), Trigger.DELETED, 0),
            (Generic(stored("a", "7")), Trigger.GENERIC, 0),
        ],
        ids=str,
    )
    def test_an_event_wakes_with_its_cause_and_urgency(
        self, event: Event, trigger: Trigger, priority: int
    ) -> None:
        """What is only told again can wait: what was there at the start, and a resync."""
        informer, queue = FakeInformer(), Keys()
        KindSource(informer, for_object(), kind="Pod.v1").start(queue)

        informer.tell(event)

        assert queue.causes == [Cause(trigger, POD, "ns", "a", "7")]
        assert queue.priorities == [priority]

    def test_it_is_synced_with_its_informer(self) -> None:
        """Before the start, and before the informer, it is not."""
        informer = FakeInformer()
        source = KindSource(informer, for_object(), kind="Pod.v1")
        informer.ready.set()
        before = source.synced

        source.start(Keys())
        run_virtual(source.wait_synced(WITHIN))

        assert (before, source.synced) == (False, True)

    def test_an_informer_that_is_late_is_named(self) -> None:
        """The error says which kind held up the start, and for how long."""

        async def main() -> float:
            source = KindSource(FakeInformer(), for_object(), kind="Pod.v1")
            source.start(Keys())
            began = asyncio.get_running_loop().time()
            with pytest.raises(CacheNotSynced, match=r"Pod\.v1 was not synced within 0:00:05"):
                await source.wait_synced(WITHIN)
            return asyncio.get_running_loop().time() - began

        assert run_virtual(main()) == 5

    def test_it_starts_once(self) -> None:
        """Started twice it would wake twice; not started it would never be synced."""
        source = KindSource(FakeInformer(), for_object(), kind="Pod.v1")

        with pytest.raises(RuntimeError, match=r"Pod\.v1 was not started"):
            run_virtual(source.wait_synced(WITHIN))
        source.start(Keys())
        with pytest.raises(RuntimeError, match=r"Pod\.v1 was started already"):
            source.start(Keys())


class TestDeferredSource:
    """A source that is made later."""

    def test_it_is_made_when_waited_for_and_then_tells_all(self) -> None:
        """`start` asks nothing; by the time it is synced, what was known has been told."""
        informer, queue, made = FakeInformer("a"), Keys(), list[str]()
        informer.ready.set()

        async def make() -> Source[ObjectKey]:
            made.append("made")
            return KindSource(informer, for_object(), kind="Pod.v1")

        source = DeferredSource(make)
        source.start(queue)
        early = (list(made), list(queue.names), source.synced)
        run_virtual(source.wait_synced(WITHIN))
        run_virtual(source.wait_synced(WITHIN))

        assert early == ([], [], False)
        assert (made, queue.names, source.synced) == (["made"], ["a"], True)

    def test_it_is_made_once_however_many_wait_for_it(self) -> None:
        """Made twice it would tell everything twice."""
        informer, queue, made = FakeInformer("a"), Keys(), list[str]()
        informer.ready.set()

        async def make() -> Source[ObjectKey]:
            made.append("made")
            await LoopClock().sleep(WITHIN)
            return KindSource(informer, for_object(), kind="Pod.v1")

        async def main() -> None:
            source = DeferredSource(make)
            source.start(queue)
            async with asyncio.TaskGroup() as group:
                group.create_task(source.wait_synced(WITHIN))
                group.create_task(source.wait_synced(WITHIN))

        run_virtual(main())

        assert (made, queue.names) == (["made"], ["a"])

    def test_an_error_in_making_it_is_the_sources_error(self) -> None:
        """What cannot be made is not waited for."""

        async def make() -> Source[ObjectKey]:
            raise CacheNotSynced("no discovery")

        source = DeferredSource(make)
        source.start(Keys())

        with pytest.raises(CacheNotSynced, match="no discovery"):
            run_virtual(source.wait_synced(WITHIN))

    def test_it_must_be_started(self) -> None:
        """There is nobody to feed yet."""

        async def make() -> Source[ObjectKey]:
            return ChannelSource(for_object())

        with pytest.raises(RuntimeError, match="was not started"):
            run_virtual(DeferredSource(make).wait_synced(WITHIN))


class TestChannelSource:
    """Events from elsewhere."""

    def test_what_is_offered_early_is_told_once_at_the_start(self) -> None:
        """Nothing is lost before the controller runs, and a key needs to be told only once."""
        source, queue = ChannelSource(for_object()), Keys()
        source.offer(Created(stored("a")))
        source.wake(request("b"))
        source.offer(Created(stored("a")))

        source.start(queue)
        source.wake(request("c"))
        source.offer(Created(stored("a")))

        assert queue.names == ["a", "b", "c", "a"]

    def test_a_channel_tells_why(self) -> None:
        """An object offered is named as the cause; a plain request has none to name."""
        source, queue = ChannelSource(for_object()), Keys()
        source.offer(Deleted(stored("a", "7")))

        source.start(queue)
        source.wake(request("b"))
        source.wake(request("c"), Cause(Trigger.RESYNC))

        assert queue.causes == [
            Cause(Trigger.DELETED, POD, "ns", "a", "7"),
            Cause(Trigger.GENERIC),
            Cause(Trigger.RESYNC),
        ]
        assert queue.priorities == [0, 0, 0]

    def test_predicates_judge_events_but_not_plain_requests(self) -> None:
        """A request to look at a key has no event to judge."""
        source, queue = ChannelSource(for_object(), only(Deleted)), Keys()
        source.start(queue)

        source.offer(Created(stored("a")))
        source.offer(Deleted(stored("b")))
        source.wake(request("c"))

        assert queue.names == ["b", "c"]

    def test_it_is_always_synced(self) -> None:
        """There is no first list to wait for."""
        source = ChannelSource(for_object())

        run_virtual(source.wait_synced(timedelta(0)))

        assert source.synced

    def test_it_starts_once(self) -> None:
        """A channel belongs to one controller."""
        source = ChannelSource(for_object())
        source.start(Keys())

        with pytest.raises(RuntimeError, match="started already"):
            source.start(Keys())
