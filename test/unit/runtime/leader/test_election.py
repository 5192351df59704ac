"""The rules of an election, one by one: what is done when, and what counts for what."""

from datetime import UTC, datetime
from typing import Any

import pytest

from smbpctl.runtime.clock import seeded_random
from smbpctl.runtime.leader import LeaderElection
from smbpctl.runtime.leader.election import Election, Over, Read, Step, Wait, Write
from smbpctl.runtime.leader.record import LeaseRecord

SETTINGS = LeaderElection(lease_name="operator", namespace="system")
WALL = datetime(2026, 1, 1, tzinfo=UTC)
OTHER = {
    "holderIdentity": "other",
    "leaseDurationSeconds": 15,
    "leaseTransitions": 4,
    "acquireTime": "2020-01-01T00:00:00.000000Z",
    "renewTime": "2020-01-01T00:00:00.000000Z",
}


def candidate() -> Election:
    """Return somebody who has seen nothing yet."""
    return Election(SETTINGS, "me", seeded_random(1))


def record(version: int = 7, **changes: Any) -> LeaseRecord:
    """Return a Lease that somebody else holds, but for the changes."""
    metadata = {"name": "operator", "namespace": "system", "resourceVersion": str(version)}
    return LeaseRecord.of({"metadata": metadata, "spec": {**OTHER, **changes}})


def stored(write: Write, version: int) -> LeaseRecord:
    """Return the Lease that a write made."""
    metadata = {**write.manifest["metadata"], "resourceVersion": str(version)}
    return LeaseRecord.of({**write.manifest, "metadata": metadata})


def write_of(step: Step) -> Write:
    """Return the step, which is a write."""
    assert isinstance(step, Write)
    return step


def leader(now: float = 100.0) -> Election:
    """Return somebody who was elected by a request sent at `now`, as version 10."""
    me = candidate()
    me.read(now, None)
    write = write_of(me.step(now, WALL))
    me.written(now + 0.1, write, stored(write, 10))
    assert me.leading
    return me


def renewal(me: Election, now: float) -> Write:
    """Return the write with which a leader renews."""
    return write_of(me.step(now, WALL))


class TestStanding:
    def test_it_begins_with_a_look(self) -> None:
        """Nothing is known of the Lease, and nothing is assumed."""
        assert candidate().step(100.0, WALL) == Read()

    def test_a_lease_that_does_not_exist_is_created(self) -> None:
        """The first term has number zero."""
        me = candidate()
        me.read(100.0, None)

        write = write_of(me.step(100.0, WALL))

        assert write.create
        assert write.manifest["metadata"] == {"name": "operator", "namespace": "system"}
        assert write.manifest["spec"] == {
            "holderIdentity": "me",
            "leaseDurationSeconds": 15,
            "leaseTransitions": 0,
            "acquireTime": "2026-01-01T00:00:00.000000Z",
            "renewTime": "2026-01-01T00:00:00.000000Z",
        }

    def test_a_lease_made_beforehand_is_taken(self) -> None:
        """Without holder and times, nobody ever held it."""
        me = candidate()
        me.read(100.0, record(holderIdentity=None, renewTime=None))

        assert isinstance(me.step(100.0, WALL), Write)

    def test_the_time_counts_from_when_it_was_seen(self) -> None:
        """What the Lease says of the time is six years old, and means nothing."""
        me = candidate()
        me.read(100.0, record())

        before = me.step(114.9, WALL)
        after = write_of(me.step(115.0, WALL))

        assert not isinstance(before, Write)
        assert after.manifest["metadata"]["resourceVersion"] == "7"
        assert after.manifest["spec"]["leaseTransitions"] == 5
        assert after.manifest["spec"]["acquireTime"] == "2026-01-01T00:00:00.000000Z"

    def test_the_holder_says_how_long(self) -> None:
        """Its duration counts, not ours; without one ours does."""
        long, silent = candidate(), candidate()
        long.read(100.0, record(leaseDurationSeconds=40))
        silent.read(100.0, record(leaseDurationSeconds=None))

        assert not isinstance(long.step(139.9, WALL), Write)
        assert isinstance(long.step(140.0, WALL), Write)
        assert not isinstance(silent.step(114.9, WALL), Write)
        assert isinstance(silent.step(115.0, WALL), Write)

    def test_each_change_starts_the_time_anew(self) -> None:
        """A renewal, whoever reports it; the same version twice is no change."""
        me = candidate()
        me.read(100.0, record(7))
        me.observed(110.0, record(8))
        me.read(112.0, record(8))
        me.observed(113.0, record(7))

        assert not isinstance(me.step(124.9, WALL), Write)
        assert isinstance(me.step(125.0, WALL), Write)

    def test_it_polls_with_jitter(self) -> None:
        """Between one and 1.2 retry periods, so that candidates do not come together."""
        me = candidate()
        pauses: set[float] = set()
        for now in range(100, 110):
            me.read(float(now), record(now))
            step = me.step(float(now), WALL)
            assert isinstance(step, Wait)
            pauses.add(round(step.until - now, 6))

        assert len(pauses) > 5
        assert all(2.0 <= pause <= 2.4 for pause in pauses)

    def test_after_the_pause_it_looks_again(self) -> None:
        """Polling is what remains when the watch is silent."""
        me = candidate()
        me.read(100.0, record())

        assert me.step(102.5, WALL) == Read()

    def test_a_lost_race_waits(self) -> None:
        """Refused, it reads before it tries again, and not at once."""
        me = candidate()
        me.read(100.0, None)
        me.step(100.0, WALL)
        me.failed(100.1)

        step = me.step(100.1, WALL)

        assert isinstance(step, Wait)
        assert me.step(step.until, WALL) == Read()
        assert not me.leading


class TestWhatMakesItFree:
    def test_a_release_does_at_once(self) -> None:
        """No holder and one second is what a holder leaves that let go."""
        me = candidate()
        me.read(100.0, record(7))
        me.observed(101.0, record(8, holderIdentity="", leaseDurationSeconds=1))

        write = write_of(me.step(101.0, WALL))

        assert write.manifest["spec"]["leaseTransitions"] == 5

    @pytest.mark.parametrize("changes", [{"holderIdentity": ""}, {"holderIdentity": None}])
    def test_a_holder_that_was_blanked_is_waited_out(self, changes: dict[str, Any]) -> None:
        """It may not know and still work."""
        me = candidate()
        me.read(100.0, record(7))
        me.observed(101.0, record(8, **changes))

        assert not isinstance(me.step(115.9, WALL), Write)
        assert isinstance(me.step(116.0, WALL), Write)

    def test_a_deletion_is_waited_out(self) -> None:
        """For as long as the holder could have renewed up to that moment."""
        me = candidate()
        me.read(100.0, record(7))
        me.observed(101.0, None)

        early = me.step(115.9, WALL)
        write = write_of(me.step(116.0, WALL))

        assert not isinstance(early, Write)
        assert write.create
        assert write.manifest["spec"]["leaseTransitions"] == 5

    def test_a_deletion_after_a_release_is_waited_out_too(self) -> None:
        """Somebody may have taken it in between, unseen."""
        me = candidate()
        me.read(100.0, record(7, holderIdentity="", leaseDurationSeconds=1))
        me.observed(101.0, None)

        assert not isinstance(me.step(115.9, WALL), Write)

    def test_a_shorter_duration_does_not_shorten_the_wait(self) -> None:
        """Whoever wrote it, the holder counts on what it wrote itself."""
        me = candidate()
        me.read(100.0, record(7))
        me.observed(101.0, record(8, leaseDurationSeconds=1))

        assert not isinstance(me.step(114.9, WALL), Write)

    def test_emptied_it_is_waited_out_by_who_knew_it(self) -> None:
        """Only who sees it for the first time takes it for a new one."""
        me = candidate()
        me.read(100.0, record(7))
        me.observed(101.0, record(8, holderIdentity=None, renewTime=None))

        assert not isinstance(me.step(115.9, WALL), Write)


class TestLeading:
    def test_a_term_begins_when_its_request_was_sent(self) -> None:
        """Not when the answer came: what others saw lies in between."""
        me = candidate()
        me.read(100.0, None)
        write = write_of(me.step(100.0, WALL))
        me.written(103.0, write, stored(write, 10))

        assert (me.leading, me.renewed, me.term) == (True, 100.0, 0)

    def test_an_answer_that_comes_too_late_begins_no_term(self) -> None:
        """The renew deadline is over by then; what was taken is claimed anew."""
        me = candidate()
        me.read(100.0, None)
        write = write_of(me.step(100.0, WALL))
        me.written(110.0, write, stored(write, 10))
        led = me.leading

        again = write_of(me.step(110.0, WALL))

        assert not led
        assert not again.create
        assert again.sent == 110.0

    def test_it_renews_every_retry_period_without_jitter(self) -> None:
        """By an update of the version it knows, without reading."""
        me = leader()

        waits = me.step(101.9, WALL)
        write = renewal(me, 102.0)

        assert waits == Wait(102.0)
        assert not write.create
        assert write.manifest["metadata"]["resourceVersion"] == "10"

    def test_a_renewal_keeps_term_and_time_of_acquisition(self) -> None:
        """Only the time of renewal moves on, even where the wall clock stands still."""
        me = leader()
        write = renewal(me, 102.0)
        me.written(102.1, write, stored(write, 11))

        spec = write.manifest["spec"]
        assert (spec["leaseTransitions"], spec["acquireTime"]) == (
            *(0, "2026-01-01T00:00:00.000000Z"),
        )
        assert spec["renewTime"] == "2026-01-01T00:00:00.000001Z"
        assert me.renewed == 102.0

    def test_a_failure_reads_at_once_and_then_every_retry_period(self) -> None:
        """The slow path, which is counted."""
        me = leader()
        renewal(me, 102.0)
        me.failed(102.1)

        first = me.step(102.1, WALL)
        me.failed(102.2)
        second = me.step(102.2, WALL)

        assert first == Read(slow=True)
        assert second == Wait(104.2)
        assert me.step(104.2, WALL) == Read(slow=True)

    def test_a_renewal_whose_answer_was_lost_is_read_back(self) -> None:
        """Our name and our time of renewal say that it was executed: it counts from its sending."""
        me = leader()
        write = renewal(me, 102.0)
        me.failed(107.0)
        me.read(107.1, stored(write, 11))

        assert (me.leading, me.renewed) == (True, 102.0)

    def test_a_renewal_that_was_not_executed_does_not_count(self) -> None:
        """What is read is the one before: it is renewed with the version just read."""
        me = leader()
        first = renewal(me, 102.0)
        me.written(102.1, first, stored(first, 11))
        renewal(me, 104.0)
        me.failed(104.1)
        me.read(104.2, stored(first, 11))

        write = renewal(me, 104.2)

        assert me.renewed == 102.0
        assert write.manifest["metadata"]["resourceVersion"] == "11"

    def test_the_watch_tells_of_an_executed_renewal_too(self) -> None:
        """Whoever is first; the answer that follows changes nothing."""
        me = leader()
        write = renewal(me, 102.0)
        me.observed(102.1, stored(write, 11))
        told = me.renewed
        me.written(105.0, write, stored(write, 11))

        assert (told, me.renewed) == (102.0, 102.0)

    @pytest.mark.parametrize(
        "edited",
        [
            record(11, holderIdentity="me", renewTime="whenever"),
            record(11, holderIdentity=""),
            record(11, holderIdentity="", leaseDurationSeconds=1),
            record(11, holderIdentity="me", leaseTransitions=0, leaseDurationSeconds=1),
        ],
    )
    def test_what_people_edit_is_put_right_at_once(self, edited: LeaseRecord) -> None:
        """Nobody else leads; the term stays what it was."""
        me = leader()
        me.observed(100.5, edited)

        write = renewal(me, 100.5)

        assert me.leading
        assert write.manifest["metadata"]["resourceVersion"] == "11"
        spec = write.manifest["spec"]
        assert (spec["holderIdentity"], spec["leaseDurationSeconds"]) == ("me", 15)
        assert (spec["leaseTransitions"], spec["acquireTime"]) == (
            *(0, "2026-01-01T00:00:00.000000Z"),
        )

    def test_a_lease_that_was_deleted_is_made_again_at_once(self) -> None:
        """With the term that it had."""
        me = leader()
        me.observed(100.5, None)

        write = renewal(me, 100.5)

        assert me.leading
        assert write.create


class TestLosing:
    def test_without_a_renewal_until_the_deadline(self) -> None:
        """Ten seconds after the last one that succeeded was sent."""
        me = leader()
        renewal(me, 102.0)
        me.failed(109.0)

        before = me.step(109.99, WALL)
        after = me.step(110.0, WALL)

        assert before == Read(slow=True)
        assert isinstance(after, Over)
        assert "not renewed within 0:00:10" in after.reason
        assert not me.leading

    def test_another_holder(self) -> None:
        """Whatever our own last renewal would allow."""
        me = leader()
        me.observed(100.5, record(11))

        assert not me.leading
        assert me.step(100.5, WALL) == Over("other has taken the lease")

    def test_an_answer_after_the_loss_changes_nothing(self) -> None:
        """The work of the term is being ended already."""
        me = leader()
        write = renewal(me, 102.0)
        me.step(110.0, WALL)
        me.written(110.1, write, stored(write, 11))

        assert not me.leading

    def test_standing_again_is_a_new_term(self) -> None:
        """Our own Lease need not be waited for, but it is taken anew, with a higher number."""
        me = leader()
        late = renewal(me, 102.0)
        me.step(110.0, WALL)
        me.stand_again()
        look = me.step(111.0, WALL)
        me.read(111.1, stored(late, 11))
        led = me.leading

        write = write_of(me.step(111.1, WALL))
        me.written(111.2, write, stored(write, 12))

        assert (look, led) == (Read(), False)
        assert (me.leading, me.term, me.renewed) == (True, 1, 111.1)

    def test_an_old_lease_of_ours_put_back_by_hand_is_not_ours(self) -> None:
        """Somebody else has held it since, and may not know."""
        me = leader()
        ours = me.record
        assert ours is not None
        me.observed(101.0, record(11))
        me.stand_again()
        metadata = {**ours.manifest["metadata"], "resourceVersion": "12"}
        me.read(102.0, LeaseRecord.of({**ours.manifest, "metadata": metadata}))

        assert not isinstance(me.step(116.9, WALL), Write)
        assert isinstance(me.step(117.0, WALL), Write)


class TestRelease:
    def test_ours_is_let_go_of(self) -> None:
        """No holder, one second, as client-go leaves it; the version is that just read."""
        me = leader()
        write = renewal(me, 102.0)
        me.written(102.1, write, stored(write, 11))
        me.give_up("stopped")

        released = me.release(stored(write, 12), WALL)

        assert released is not None
        assert released["metadata"]["resourceVersion"] == "12"
        assert released["spec"]["holderIdentity"] == ""
        assert released["spec"]["leaseDurationSeconds"] == 1
        assert released["spec"]["leaseTransitions"] == 0
        assert LeaseRecord.of(released).released

    @pytest.mark.parametrize(
        "fetched",
        [None, record(11), record(11, holderIdentity="me"), record(11, holderIdentity="")],
    )
    def test_what_is_not_ours_is_left_alone(self, fetched: LeaseRecord | None) -> None:
        """The server's word counts, not what we last saw; our name alone does not make it ours."""
        me = leader()
        me.give_up("stopped")

        assert me.release(fetched, WALL) is None


def test_requests_are_remembered_within_bounds() -> None:
    """However often a write fails and leaves the Lease as it is."""
    me, now = candidate(), 100.0
    for _ in range(100):
        now += 2.4
        me.read(now, record(7, holderIdentity="", leaseDurationSeconds=1))
        write_of(me.step(now, WALL))
        me.failed(now)

    assert len(me._sent) <= 16
