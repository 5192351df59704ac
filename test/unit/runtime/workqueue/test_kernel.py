"""The rules of the queue by example; `test/property/test_workqueue.py` has them all at once."""

from datetime import timedelta

import pytest

from smbpctl.runtime.event import Cause, Trigger
from smbpctl.runtime.workqueue import LOW_PRIORITY, MOST_CAUSES, KeyQueue


def drain(queue: KeyQueue[str], now: float) -> list[str]:
    """Pop whatever is ready."""
    keys: list[str] = []
    while (key := queue.pop(now)) is not None:
        keys.append(key)
    return keys


def updated(name: str, version: str = "1") -> Cause:
    """Return the cause that an object of that name changed."""
    return Cause(Trigger.UPDATED, namespace="ns", name=name, resource_version=version)


class TestKeyQueue:
    def test_keys_come_out_in_the_order_in_which_they_were_added(self) -> None:
        """Ready keys are first in, first out; adding one again does not move it."""
        queue: KeyQueue[str] = KeyQueue()
        for key in ("b", "a", "c", "b", "a"):
            queue.add(key, 0.0)

        keys = drain(queue, 0.0)

        assert keys == ["b", "a", "c"]

    def test_a_running_key_is_not_handed_out_again(self) -> None:
        """A key added while it runs is owed one more run, which begins only after `done`."""
        queue: KeyQueue[str] = KeyQueue()
        queue.add("a", 0.0)
        queue.pop(0.0)
        queue.add("a", 1.0)
        queue.add("a", 2.0)

        while_running = queue.pop(3.0)
        queue.done("a", 4.0)
        after = drain(queue, 4.0)

        assert while_running is None
        assert after == ["a"]

    def test_a_key_that_is_owed_a_run_goes_to_the_end_of_the_line(self) -> None:
        """A busy key does not overtake those that became ready during its run."""
        queue: KeyQueue[str] = KeyQueue()
        queue.add("busy", 0.0)
        queue.pop(0.0)
        queue.add("busy", 1.0)
        queue.add("other", 2.0)
        queue.done("busy", 3.0)

        keys = drain(queue, 3.0)

        assert keys == ["other", "busy"]

    def test_a_delayed_key_is_ready_at_its_moment_and_not_before(self) -> None:
        """`next_ready_at` tells when `pop` will succeed, and it does so exactly then."""
        queue: KeyQueue[str] = KeyQueue()
        queue.add_after("a", 5.0, 10.0)

        moment = queue.next_ready_at(10.0)
        before, then = queue.pop(14.999), queue.pop(15.0)

        assert moment == 15.0
        assert before is None
        assert then == "a"

    @pytest.mark.parametrize(("first", "second"), [(5.0, 2.0), (2.0, 5.0)])
    def test_the_earliest_of_several_moments_counts(self, first: float, second: float) -> None:
        """The order in which delays are asked for makes no difference, and the key runs once."""
        queue: KeyQueue[str] = KeyQueue()
        queue.add_after("a", first, 0.0)
        queue.add_after("a", second, 0.0)

        keys = drain(queue, 2.0)
        queue.done("a", 2.0)

        assert keys == ["a"]
        assert queue.next_ready_at(2.0) is None

    def test_adding_at_once_takes_the_place_of_a_delay(self) -> None:
        """What is ready now need not come again when its former delay ends."""
        queue: KeyQueue[str] = KeyQueue()
        queue.add_after("a", 5.0, 0.0)
        queue.add("a", 1.0)
        queue.pop(1.0)
        queue.done("a", 1.0)

        assert queue.pop(100.0) is None

    def test_a_ready_key_ignores_delays(self) -> None:
        """A delay asked for while the key is ready is later than now, so it is merged."""
        queue: KeyQueue[str] = KeyQueue()
        queue.add("a", 0.0)
        queue.add_after("a", 5.0, 0.0)
        queue.pop(0.0)
        queue.done("a", 0.0)

        assert queue.pop(100.0) is None

    def test_a_delay_asked_for_during_a_run_is_kept_until_after_it(self) -> None:
        """This is how a reconciler asks to come back; the earliest such delay counts."""
        queue: KeyQueue[str] = KeyQueue()
        queue.add("a", 0.0)
        queue.pop(0.0)
        queue.add_after("a", 9.0, 0.0)
        queue.add_after("a", 5.0, 0.0)
        queue.add_after("a", 7.0, 0.0)
        queue.done("a", 1.0)

        assert queue.next_ready_at(1.0) == 5.0

    def test_a_delay_that_ends_during_the_run_is_owed_when_the_run_is_done(self) -> None:
        """The key becomes ready when its run is done, not when its delay ended."""
        queue: KeyQueue[str] = KeyQueue()
        queue.add("a", 0.0)
        queue.pop(0.0)
        queue.add_after("a", 1.0, 0.0)
        queue.add("b", 5.0)
        queue.done("a", 6.0)

        keys = drain(queue, 6.0)

        assert keys == ["b", "a"]

    @pytest.mark.parametrize("delay", [0.0, -3.0])
    def test_no_delay_is_an_add(self, delay: float) -> None:
        """A delay of zero or less makes the key ready in the order of the calls."""
        queue: KeyQueue[str] = KeyQueue()
        queue.add("a", 7.0)
        queue.add_after("b", delay, 7.0)
        queue.add("c", 7.0)

        keys = drain(queue, 7.0)

        assert keys == ["a", "b", "c"]

    def test_ended_delays_and_added_keys_share_one_line(self) -> None:
        """The key that has been ready longest comes first, wherever it comes from."""
        queue: KeyQueue[str] = KeyQueue()
        queue.add_after("ended at 4", 4.0, 0.0)
        queue.add_after("ended at 2", 2.0, 0.0)
        queue.add("added at 1", 1.0)
        queue.add("added at 3", 3.0)

        keys = drain(queue, 10.0)

        assert keys == ["added at 1", "ended at 2", "added at 3", "ended at 4"]

    @pytest.mark.parametrize("limit", [0, 1, 2, 3, 9])
    def test_the_portions_in_which_delays_are_noticed_do_not_matter(self, limit: int) -> None:
        """`release` changes what is known to be ready, never the order or what is ready."""
        queue: KeyQueue[str] = KeyQueue()
        for number in (2, 0, 1):
            queue.add_after(f"key {number}", 1.0 + number, 0.0)
        queue.add("last", 5.0)

        known = queue.release(5.0, limit)
        count = queue.ready_count(5.0)
        keys = drain(queue, 5.0)

        assert known == 1 + min(limit, 3)
        assert count == 4
        assert keys == ["key 0", "key 1", "key 2", "last"]

    def test_a_key_whose_delay_ended_unnoticed_keeps_its_place(self) -> None:
        """Adding a key that is ready already does not move it, noticed or not."""
        queue: KeyQueue[str] = KeyQueue()
        queue.add_after("early", 1.0, 0.0)
        queue.add("middle", 2.0)
        queue.add("early", 3.0)

        keys = drain(queue, 3.0)

        assert keys == ["early", "middle"]

    def test_only_what_was_popped_can_be_done(self) -> None:
        """A key given back twice is an error of the caller and changes nothing."""
        queue: KeyQueue[str] = KeyQueue()
        queue.add("a", 0.0)

        with pytest.raises(ValueError, match="'a' is not running"):
            queue.done("a", 0.0)

        assert queue.pop(0.0) == "a"

    def test_durations_are_told(self) -> None:
        """`waited` counts from the moment of being ready, `done` from the start of the run."""
        queue: KeyQueue[str] = KeyQueue()
        queue.add_after("a", 2.0, 0.0)
        queue.pop(5.0)

        waited = queue.waited("a")
        worked = queue.done("a", 11.0)

        assert waited == 3.0
        assert worked == 6.0

    def test_shutdown_drops_all_but_the_running_keys(self) -> None:
        """What runs may end; what is ready, waiting, owed or added later is gone."""
        queue: KeyQueue[str] = KeyQueue()
        for key in ("running", "ready"):
            queue.add(key, 0.0)
        queue.pop(0.0)
        queue.add("running", 0.0)
        queue.add_after("waiting", 1.0, 0.0)

        queue.shut_down()
        queue.add("late", 0.0)
        queue.add_after("late", 1.0, 0.0)
        queue.done("running", 1.0)

        assert queue.closed
        assert queue.pop(100.0) is None
        assert queue.next_ready_at(100.0) is None
        assert queue.running_since() == []

    def test_stale_entries_do_not_pile_up(self) -> None:
        """A key that asks for a far delay and is woken early, for ever, takes bounded memory."""
        queue: KeyQueue[int] = KeyQueue()
        for now in range(10_000):
            key = now % 10
            queue.add(key, now)
            queue.pop(now)
            queue.add_after(key, 1e6, now)
            queue.done(key, now)

        assert len(queue._levels[0].heap) <= 2 * 10 + 33
        assert queue.next_ready_at(10_000) == 9_990 + 1e6

    def test_a_stale_entry_does_not_bring_others_forward(self) -> None:
        """The moment of a delay that was overtaken says nothing about the next delay."""
        queue: KeyQueue[str] = KeyQueue()
        queue.add_after("overtaken", 1.0, 0.0)
        queue.add_after("late", 9.0, 0.0)
        queue.add("overtaken", 0.0)

        keys = drain(queue, 5.0)

        assert keys == ["overtaken"]

    def test_keys_need_not_be_comparable(self) -> None:
        """Equal moments are told apart by the order of the calls, never by comparing keys."""
        queue: KeyQueue[object] = KeyQueue()
        first, second = object(), object()
        queue.add_after(first, 1.0, 0.0)
        queue.add_after(second, 1.0, 0.0)

        assert [queue.pop(1.0), queue.pop(1.0)] == [first, second]


class TestPriority:
    """Highest first, one entry per key."""

    def test_the_highest_priority_comes_first_then_arrival(self) -> None:
        """Within one priority the order is that of arrival, whatever came between."""
        queue: KeyQueue[str] = KeyQueue()
        for key, priority in [("a", 0), ("low", LOW_PRIORITY), ("b", 0), ("high", 5), ("c", 0)]:
            queue.add(key, 0.0, priority)

        assert drain(queue, 0.0) == ["high", "a", "b", "c", "low"]

    def test_raising_the_priority_moves_a_key_to_the_end_of_the_new_level(self) -> None:
        """It does not overtake those of the same priority that were there before."""
        queue: KeyQueue[str] = KeyQueue()
        queue.add("raised", 0.0, LOW_PRIORITY)
        queue.add("first", 1.0)
        queue.add("raised", 2.0)
        queue.add("last", 3.0)

        assert drain(queue, 3.0) == ["first", "raised", "last"]

    def test_a_priority_is_never_lowered(self) -> None:
        """The event that mattered most decides, not the last one; the key keeps its place."""
        queue: KeyQueue[str] = KeyQueue()
        queue.add("a", 0.0, 5)
        queue.add("b", 0.0, 5)
        queue.add("a", 0.0, LOW_PRIORITY)

        assert drain(queue, 0.0) == ["a", "b"]

    def test_a_delayed_add_raises_the_priority_of_a_ready_key(self) -> None:
        """One entry has the highest priority and the earliest moment, whichever came with which."""
        queue: KeyQueue[str] = KeyQueue()
        queue.add("a", 0.0)
        queue.add("b", 0.0, LOW_PRIORITY)
        queue.add_after("b", 60.0, 0.0, 9)

        assert drain(queue, 0.0) == ["b", "a"]

    def test_a_delayed_key_comes_with_its_priority(self) -> None:
        """Also when its end is noticed late: it overtakes what is ready of lower priority."""
        queue: KeyQueue[str] = KeyQueue()
        queue.add_after("late", 5.0, 0.0, 9)
        queue.add("a", 0.0)
        queue.add("b", 1.0)

        before, after = queue.pop(4.0), drain(queue, 6.0)

        assert before == "a"
        assert after == ["late", "b"]

    def test_the_priority_of_what_a_running_key_is_owed_is_its_own(self) -> None:
        """A run takes its priority with it; what was added during it counts for the next."""
        queue: KeyQueue[str] = KeyQueue()
        queue.add("a", 0.0, 5)
        queue.pop(0.0)
        queue.add("a", 0.0, LOW_PRIORITY)
        queue.add("a", 0.0, -7)

        running = queue.priority("a")
        queue.done("a", 0.0)
        queue.pop(0.0)

        assert (running, queue.priority("a")) == (5, -7)

    def test_counts_are_told_by_priority(self) -> None:
        """Highest first, ended delays included, levels without ready keys left out."""
        queue: KeyQueue[str] = KeyQueue()
        queue.add("a", 0.0, LOW_PRIORITY)
        queue.add("b", 0.0)
        queue.add_after("c", 5.0, 0.0)
        queue.add_after("d", 50.0, 0.0, 9)

        counts = queue.ready_counts(6.0)

        assert list(counts.items()) == [(0, 2), (LOW_PRIORITY, 1)]
        assert queue.ready_count(6.0) == 3

    def test_many_priorities_leave_nothing_behind(self) -> None:
        """Levels without keys are dropped: priorities may be any numbers."""
        queue: KeyQueue[str] = KeyQueue()
        for priority in range(1000):
            queue.add("a", 0.0, priority)
            queue.pop(0.0)
            queue.done("a", 0.0)

        assert len(queue._levels) < 20

    def test_stale_tickets_do_not_pile_up(self) -> None:
        """Keys that are raised again and again take bounded memory on the level they leave."""
        queue: KeyQueue[int] = KeyQueue()
        for number in range(100):
            queue.add(number, 0.0, LOW_PRIORITY)
        for number in range(100, 5_000):
            queue.add(number, 0.0, LOW_PRIORITY)
            queue.add(number, 0.0)
            assert queue.pop(0.0) == number
            queue.done(number, 0.0)

        low = queue._levels[-1]
        assert low.priority == LOW_PRIORITY
        assert len(low.added) <= 2 * 100 + 33
        assert [queue.pop(0.0) for _ in range(100)] == list(range(100))


class TestAgeing:
    """Low priority is not never."""

    def test_what_is_passed_over_for_too_long_gets_its_share(self) -> None:
        """Once it has been ready for 30 s, each eighth key is that of lower priority."""
        queue: KeyQueue[str] = KeyQueue(patience=timedelta(seconds=30), share=8)
        for key in ("low-1", "low-2"):
            queue.add(key, 0.0, LOW_PRIORITY)
        for number in range(20):
            queue.add(f"urgent-{number}", 1.0)

        young = [queue.pop(29.0) for _ in range(2)]
        old = [queue.pop(30.0) for _ in range(17)]

        assert young == ["urgent-0", "urgent-1"]
        assert [index for index, key in enumerate(old) if key and "low" in key] == [7, 15]

    def test_a_backlog_of_low_priority_does_not_delay_what_is_urgent(self) -> None:
        """However old thousands of keys are, an urgent one waits for one of them at most."""
        queue: KeyQueue[str] = KeyQueue(patience=timedelta(seconds=30))
        for number in range(1000):
            queue.add(f"low-{number}", 0.0, LOW_PRIORITY)
        waits: list[int] = []
        for turn in range(100):
            queue.add(f"urgent-{turn}", 60.0)
            keys = [queue.pop(60.0)]
            if keys[0] != f"urgent-{turn}":
                keys.append(queue.pop(60.0))
            waits.append(len(keys) - 1)
            assert keys[-1] == f"urgent-{turn}"

        assert max(waits) == 1
        assert sum(waits) == 100 // 7

    def test_a_delay_that_ended_unnoticed_ages_too(self) -> None:
        """Nobody looks at low priorities while there is something urgent, except for this."""
        queue: KeyQueue[str] = KeyQueue(patience=timedelta(seconds=30), share=2)
        queue.add_after("low", 5.0, 0.0, LOW_PRIORITY)
        for number in range(4):
            queue.add(f"urgent-{number}", 20.0)

        keys = [queue.pop(35.0) for _ in range(3)]

        assert keys == ["urgent-0", "low", "urgent-1"]

    def test_a_share_below_one_is_refused(self) -> None:
        """It would never be anybody's turn."""
        with pytest.raises(ValueError, match="at least 1, not 0"):
            KeyQueue[str](share=0)


class TestHold:
    """A key may be kept back."""

    def test_a_key_held_during_its_run_comes_when_it_is_let_go(self) -> None:
        """What it is owed is kept through `done`, at the end of the line."""
        queue: KeyQueue[str] = KeyQueue()
        queue.add("a", 0.0)
        queue.pop(0.0)
        queue.hold("a")
        queue.add("a", 1.0)
        queue.done("a", 2.0)
        queue.add("b", 3.0)

        held = drain(queue, 4.0)
        queue.unhold("a", 5.0)

        assert held == ["b"]
        assert queue.pop(6.0) == "a"
        assert queue.waited("a") == 1.0

    def test_a_key_let_go_during_its_run_is_as_if_never_held(self) -> None:
        """The run still ends before the next begins."""
        queue: KeyQueue[str] = KeyQueue()
        queue.add("a", 0.0)
        queue.pop(0.0)
        queue.add("a", 0.0)
        queue.hold("a")
        queue.unhold("a", 1.0)

        running = queue.pop(1.0)
        queue.done("a", 2.0)

        assert running is None
        assert queue.pop(2.0) == "a"

    @pytest.mark.parametrize("delay", [0.0, 5.0])
    def test_a_ready_or_waiting_key_is_taken_back(self, delay: float) -> None:
        """It keeps its moment and priority, and comes once."""
        queue: KeyQueue[str] = KeyQueue()
        queue.add_after("a", delay, 0.0, 3)
        queue.hold("a")

        held = (drain(queue, 100.0), queue.ready_count(100.0), queue.next_ready_at(1.0))
        queue.unhold("a", 1.0)

        assert held == ([], 0, None)
        assert queue.next_ready_at(1.0) == max(delay, 1.0)
        assert drain(queue, 100.0) == ["a"]
        assert queue.priority("a") == 3

    def test_a_key_that_nobody_added_can_be_held(self) -> None:
        """Letting it go brings nothing out, and leaves nothing behind."""
        queue: KeyQueue[str] = KeyQueue()
        queue.hold("a")
        count = queue.held_count()
        queue.unhold("a", 0.0)

        assert (count, queue.held_count()) == (1, 0)
        assert queue.pop(100.0) is None
        assert queue._entries == {}

    def test_holds_are_counted(self) -> None:
        """Two who hold a key need not know of each other; letting go too often is harmless."""
        queue: KeyQueue[str] = KeyQueue()
        queue.hold("a")
        queue.hold("a")
        queue.add("a", 0.0)

        queue.unhold("a", 0.0)
        still_held = queue.pop(0.0)
        queue.unhold("a", 0.0)
        queue.unhold("a", 0.0)

        assert still_held is None
        assert drain(queue, 0.0) == ["a"]

    def test_shutdown_ends_holds(self) -> None:
        """Whoever lets go later changes nothing."""
        queue: KeyQueue[str] = KeyQueue()
        for key in ("running", "held"):
            queue.add(key, 0.0)
        queue.pop(0.0)
        queue.hold("running")
        queue.hold("held")
        queue.add("running", 0.0)

        queue.shut_down()
        queue.hold("late")
        queue.done("running", 1.0)
        for key in ("running", "held", "late"):
            queue.unhold(key, 2.0)

        assert queue._entries == {}
        assert queue.pop(3.0) is None


class TestCauses:
    """Why a key runs."""

    def test_causes_are_merged_with_the_key(self) -> None:
        """What was added several times runs once, for all the reasons it was added for."""
        queue: KeyQueue[str] = KeyQueue()
        queue.add("a", 0.0, 0, updated("x"))
        queue.add("a", 1.0, 0, updated("y"))
        queue.add("a", 2.0)
        queue.pop(3.0)

        assert queue.causes("a") == ((0.0, updated("x")), (1.0, updated("y")))

    def test_the_latest_of_several_changes_of_one_object_counts(self) -> None:
        """A busy object does not push the others out."""
        queue: KeyQueue[str] = KeyQueue()
        queue.add("a", 0.0, 0, updated("x"))
        queue.add("a", 0.0, 0, updated("y"))
        for version in range(100):
            queue.add("a", 5.0, 0, updated("x", str(version)))
        queue.pop(5.0)

        assert queue.causes("a") == ((5.0, updated("x", "99")), (0.0, updated("y")))

    def test_there_are_never_many(self) -> None:
        """The first ones say how it began, the last one what came latest."""
        queue: KeyQueue[str] = KeyQueue()
        for number in range(100):
            queue.add("a", 0.0, 0, updated(str(number)))
        queue.pop(0.0)

        names = [cause.name for _, cause in queue.causes("a")]

        assert len(names) == MOST_CAUSES
        assert names == ["0", "1", "2", "3", "4", "5", "6", "99"]

    def test_what_comes_during_a_run_is_a_cause_of_the_next(self) -> None:
        """Each run has its own causes, also when the key is held between them."""
        queue: KeyQueue[str] = KeyQueue()
        queue.add_after("a", 1.0, 0.0, 0, updated("first"))
        queue.pop(1.0)
        queue.hold("a")
        queue.add("a", 2.0, 0, updated("second"))
        first = queue.causes("a")
        queue.done("a", 3.0)
        queue.unhold("a", 4.0)
        queue.pop(4.0)

        assert [cause.name for _, cause in first] == ["first"]
        assert [cause.name for _, cause in queue.causes("a")] == ["second"]
