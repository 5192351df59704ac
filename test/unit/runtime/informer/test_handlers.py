"""Handlers get every event once, whenever they join and whatever other handlers do."""

from datetime import timedelta

from structlog.testing import capture_logs

from smbpctl.runtime.clock import LoopClock
from smbpctl.runtime.event import Created, Deleted, Event, Updated
from smbpctl.runtime.informer.handlers import HandlerRegistration, Handlers
from smbpctl.runtime.meta import GroupVersionKind, ObjectMeta, StoredObject


def thing(name: str, version: str = "1") -> StoredObject:
    """An object of which nothing but its key and version matters."""
    meta = ObjectMeta(name=name, namespace="n", resource_version=version)
    return StoredObject(gvk=GroupVersionKind("", "v1", "Thing"), meta=meta, raw=b"{}")


THING = thing("a")


class FakeInformer:
    """Has what a registration asks for."""

    synced = False

    async def wait_synced(self) -> None:
        """Become synced."""
        self.synced = True


def test_handlers_are_called_in_order_of_registration() -> None:
    """Each gets every event."""
    told: list[tuple[str, Event]] = []
    handlers = Handlers(LoopClock())
    handlers.add(lambda event: told.append(("first", event)), past=[])
    handlers.add(lambda event: told.append(("second", event)), past=[])
    created, deleted = Created(THING), Deleted(THING)

    handlers.tell([created, deleted])

    assert told == [
        ("first", created),
        ("second", created),
        ("first", deleted),
        ("second", deleted),
    ]


def test_a_late_joiner_is_told_of_the_past_alone() -> None:
    """The others have heard it."""
    early: list[Event] = []
    late: list[Event] = []
    handlers = Handlers(LoopClock())
    handlers.add(early.append, past=[])

    handlers.add(late.append, past=[THING])

    assert (early, late) == ([], [Created(THING, initial=True)])


def test_a_handler_added_by_a_handler_does_not_get_the_event_twice() -> None:
    """The past it is told of contains the event that is being told."""
    late: list[Event] = []
    handlers = Handlers(LoopClock())
    handlers.add(lambda event: handlers.add(late.append, past=[event.object]), past=[])

    handlers.tell([Created(THING)])

    assert late == [Created(THING, initial=True)]


def test_a_handler_that_raises_is_logged_and_keeps_nothing_from_others() -> None:
    """The log names the object; the informer goes on."""
    told: list[Event] = []
    handlers = Handlers(LoopClock())

    def fail(_: Event) -> None:
        raise RuntimeError("broken handler")

    handlers.add(fail, past=[])
    handlers.add(told.append, past=[])

    with capture_logs() as logs:
        handlers.tell([Created(THING)])

    assert told == [Created(THING)]
    assert [(each["event"], each["key"], each["event_type"]) for each in logs] == [
        ("event handler failed", "n/a", "Created")
    ]


async def test_a_registration_is_synced_when_its_informer_is() -> None:
    """Handlers are called as the store changes, so there is nothing else to wait for."""
    registration = HandlerRegistration(FakeInformer())
    before = registration.synced

    await registration.wait_synced()

    assert (before, registration.synced) == (False, True)


def words(told: list[Event]) -> list[str]:
    """Say each event in a word."""
    return [f"{type(each).__name__} {each.object.meta.name}" for each in told]


async def test_of_a_long_past_a_late_joiner_is_told_in_slices() -> None:
    """Others run in between, and it counts as synced when it knows all."""
    told: list[Event] = []
    handlers = Handlers(LoopClock(), at_once=2)

    joined = handlers.add(told.append, past=[thing(name) for name in "abcde"])
    seen = [(len(told), joined.synced)]
    while not joined.synced:
        await LoopClock().sleep(timedelta(0))
        seen.append((len(told), joined.synced))
    handlers.tell([Deleted(thing("a"))])

    assert sorted(set(seen)) == [(2, False), (4, False), (5, True)]
    assert words(told) == [*(f"Created {name}" for name in "abcde"), "Deleted a"]


async def test_what_happens_meanwhile_is_part_of_one_history() -> None:
    """Known objects change, unknown ones are created as they now are, or never were."""
    told: list[Event] = []
    handlers = Handlers(LoopClock(), at_once=2)
    joined = handlers.add(told.append, past=[thing(name) for name in "abcdef"])

    handlers.tell(
        [
            Updated(thing("a"), thing("a", "2")),
            Deleted(thing("b")),
            Updated(thing("c"), thing("c", "2")),
            Updated(thing("c", "2"), thing("c", "3")),
            Deleted(thing("d")),
            Created(thing("d", "4")),
            Created(thing("g")),
        ]
    )
    await joined.wait_synced()

    meanwhile = ["Updated a", "Deleted b", "Created c", "Updated c", "Created d", "Created g"]
    assert words(told[2:8]) == meanwhile
    assert told[4] == Created(thing("c", "2"), initial=True)
    assert told[6] == Created(thing("d", "4"))
    assert sorted(words(told[8:])) == ["Created e", "Created f"]


async def test_a_late_joiner_that_raises_is_told_on() -> None:
    """Of the rest of the past too."""
    told: list[Event] = []
    handlers = Handlers(LoopClock(), at_once=1)

    def fail(event: Event) -> None:
        told.append(event)
        raise RuntimeError("broken handler")

    with capture_logs() as logs:
        await handlers.add(fail, past=[thing(name) for name in "abc"]).wait_synced()

    assert words(told) == ["Created a", "Created b", "Created c"]
    assert len(logs) == 3


async def test_a_registration_waits_for_the_past_too() -> None:
    """Workers start when a queue is complete."""
    told: list[Event] = []
    past = Handlers(LoopClock(), at_once=1).add(told.append, past=[thing(name) for name in "abc"])
    registration = HandlerRegistration(FakeInformer(), past)

    await registration.wait_synced()

    assert registration.synced
    assert len(told) == 3
