"""The record of a run: whose writes they are, and when two runs did the same."""

import asyncio

from smbpctl.runtime.client import Verb, Write
from smbpctl.runtime.consistency import Need, Run, current_run
from smbpctl.runtime.meta import GroupVersionKind, ObjectKey, ObjectMeta
from test.support.own_writes import DECODER, OneScope, Server

POD = GroupVersionKind("", "v1", "Pod")
A = ObjectKey("m", "a")


def meta(version: str, generation: int = 1) -> ObjectMeta:
    """Metadata of one object in some state."""
    return ObjectMeta(
        name="a", namespace="m", uid="u", resource_version=version, generation=generation
    )


def write(body: bytes, verb: Verb = Verb.APPLY) -> Write:
    """A write to the object."""
    return Write(verb, POD, A, body=body)


class TestRecorded:
    async def test_child_tasks_belong_to_the_run(self) -> None:
        """A reconciler may work with tasks of its own."""
        found: list[Run | None] = []

        async def child() -> None:
            found.append(current_run())

        with Run() as run:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(child())

        assert found == [run]
        assert current_run() is None

    async def test_runs_at_the_same_time_are_told_apart(self) -> None:
        """Each worker has a run of its own."""
        met = asyncio.Barrier(2)

        async def work() -> bool:
            with Run() as run:
                await met.wait()
                return current_run() is run

        async with asyncio.TaskGroup() as tasks:
            results = [tasks.create_task(work()) for _ in range(2)]

        assert [each.result() for each in results] == [True, True]


class TestDigests:
    def test_input_is_which_objects_in_which_generation(self) -> None:
        """A version that only a status write changed is the same input."""
        one, other, changed = Run(), Run(), Run()
        one.read(POD, meta("5"))
        other.read(POD, meta("6"))
        changed.read(POD, meta("6", generation=2))

        assert one.input_digest == other.input_digest
        assert one.input_digest != changed.input_digest

    def test_writes_are_compared_with_what_they_said(self) -> None:
        """The order of writes under way at once does not count."""
        one, other, different = Run(), Run(), Run()
        for each in (write(b"1"), write(b"2")):
            one.wrote(each)
        for each in (write(b"2"), write(b"1")):
            other.wrote(each)
        different.wrote(write(b"1"))

        assert one.write_digest == other.write_digest
        assert one.write_digest != different.write_digest

    def test_a_run_that_wrote_nothing_has_no_digest(self) -> None:
        """It cannot be a loop."""
        assert Run().write_digest == ""


class TestNeed:
    def test_it_is_met_when_the_store_has_caught_up(self) -> None:
        """The overlay says so."""
        server, scope = Server(), OneScope()
        need = Need(scope, A, scope.overlay.wrote(DECODER.object(server.put(A, 1))))
        before = need.met

        server.tell(scope.store, 1)
        scope.overlay.settle()

        assert not before
        assert need.met

    def test_it_is_met_by_a_live_read(self) -> None:
        """Also where no single object is in question."""
        need = Need(OneScope(), ObjectKey("m", ""), None)
        before = need.met

        need.read = True

        assert not before
        assert need.met
