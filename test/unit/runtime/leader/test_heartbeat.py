"""A sign of life has an age, and a thread that gives none can be looked at."""

import threading

from smbpctl.runtime.leader.heartbeat import Heartbeat


def test_the_age_counts_from_the_last_sign() -> None:
    """Making it is the first one."""
    now = [100.0]
    heartbeat = Heartbeat(lambda: now[0])
    now[0] = 103.0
    before = heartbeat.age()
    heartbeat.beat()
    now[0] = 104.5

    assert (before, heartbeat.age()) == (3.0, 1.5)


def test_the_stack_is_that_of_the_thread_that_beats() -> None:
    """Seen from another thread, it names the function in which the first one hangs."""
    seen: list[str] = []
    heartbeat = Heartbeat(lambda: 0.0)

    def look() -> None:
        seen.append(heartbeat.stack())

    def a_function_that_hangs() -> None:
        other = threading.Thread(target=look)
        other.start()
        other.join()

    a_function_that_hangs()

    assert "a_function_that_hangs" in seen[0]


def test_a_thread_that_ended_has_no_stack() -> None:
    """There is nothing to see then."""
    made: list[Heartbeat] = []
    thread = threading.Thread(target=lambda: made.append(Heartbeat(lambda: 0.0)))
    thread.start()
    thread.join()

    assert made[0].stack() == ""
