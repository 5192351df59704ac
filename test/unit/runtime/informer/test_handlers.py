"""Handlers get every event once, whenever they join and whatever other handlers do."""

from structlog.testing import capture_logs

from smbpctl.runtime.event import Created, Deleted, Event
from smbpctl.runtime.informer.handlers import HandlerRegistration, Handlers
from smbpctl.runtime.meta import GroupVersionKind, ObjectMeta, StoredObject

THING = StoredObject(
    gvk=GroupVersionKind("", "v1", "Thing"), meta=ObjectMeta(name="a", namespace="n"), raw=b"{}"
)


class FakeInformer:
    """Has what a registration asks for."""

    synced = False

    async def wait_synced(self) -> None:
        """Become synced."""
        self.synced = True


def test_handlers_are_called_in_order_of_registration() -> None:
    """Each gets every event."""
    told: list[tuple[str, Event]] = []
    handlers = Handlers()
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
    handlers = Handlers()
    handlers.add(early.append, past=[])

    handlers.add(late.append, past=[Created(THING, initial=True)])

    assert (early, late) == ([], [Created(THING, initial=True)])


def test_a_handler_added_by_a_handler_does_not_get_the_event_twice() -> None:
    """The past it is told of contains the event that is being told."""
    late: list[Event] = []
    handlers = Handlers()
    handlers.add(lambda event: handlers.add(late.append, past=[event]), past=[])

    handlers.tell([Created(THING)])

    assert late == [Created(THING)]


def test_a_handler_that_raises_is_logged_and_keeps_nothing_from_others() -> None:
    """The log names the object; the informer goes on."""
    told: list[Event] = []
    handlers = Handlers()

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
