"""One level of the queue: its order, and what it does about tickets that are stale."""

from smbpctl.runtime.workqueue.level import Entry, Level, Place


def entry(key: str, level: Level[str]) -> Entry[str]:
    """Return an entry for that level which is nowhere yet."""
    return Entry(key, Place.OWED, level.priority, 0.0, 0.0)


class TestLevel:
    """Two lines and a heap."""

    def test_ended_delays_and_added_entries_come_in_the_order_of_their_moments(self) -> None:
        """An end that is noticed late takes its place; at equal moments it comes first."""
        level: Level[str] = Level(0)
        level.wait(entry("ended-2", level), 2.0)
        level.wait(entry("ended-1", level), 1.0)
        level.append(entry("added-1", level), 1.0)
        level.append(entry("added-3", level), 3.0)

        released = level.release(5.0, 10)

        keys = [level.take().key for _ in range(4)]
        assert released == 2
        assert keys == ["ended-1", "added-1", "ended-2", "added-3"]
        assert level.empty

    def test_no_more_are_released_than_asked_for(self) -> None:
        """Thousands may end at once; each call moves a few."""
        level: Level[str] = Level(0)
        for number in range(10):
            level.wait(entry(str(number), level), 1.0)

        released = [level.release(1.0, 3), level.notice(1.0), level.release(0.5, 3)]

        assert released == [3, 0, 0]
        assert (level.ready, level.waiting, level.ended_unnoticed(1.0)) == (3, 7, 7)

    def test_a_stale_head_hides_no_ended_delay(self) -> None:
        """An entry that was noticed and then withdrawn makes room for the next end."""
        level: Level[str] = Level(0)
        withdrawn = entry("withdrawn", level)
        level.wait(withdrawn, 1.0)
        level.wait(entry("early", level), 2.0)
        level.append(entry("late", level), 3.0)
        level.release(1.0, 1)
        level.withdraw(withdrawn)

        released = level.notice(4.0)

        assert released == 1
        assert [level.take().key for _ in range(2)] == ["early", "late"]

    def test_a_delay_that_is_brought_forward_counts_once(self) -> None:
        """The ticket of the former moment is stale."""
        level: Level[str] = Level(0)
        waiting = entry("a", level)
        level.wait(waiting, 9.0)
        level.withdraw(waiting)
        level.wait(waiting, 4.0)

        assert level.next_end() == 4.0
        assert level.release(100.0, 10) == 1
        assert level.next_end() is None

    def test_an_entry_that_was_raised_is_stale_here(self) -> None:
        """It has a new ticket on its new level; the old one must not count."""
        low, high = Level[str](0), Level[str](1)
        raised = entry("raised", low)
        low.append(raised, 0.0)
        low.append(entry("stays", low), 0.0)
        low.withdraw(raised)
        raised.priority = 1
        high.append(raised, 1.0)

        assert (low.oldest_at(), low.take().key, low.empty) == (0.0, "stays", True)
        assert high.take() is raised
