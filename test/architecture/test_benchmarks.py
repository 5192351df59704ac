"""What the benchmarks make of their measurements: statistics, completeness, the report."""

import pytest

from benchmarks.comparison import Comparison, Measure, Reading, Variant
from benchmarks.figures import Figure, figure, ratio
from benchmarks.report import Load, as_json, table
from benchmarks.subjects.meter import Meter
from benchmarks.subjects.outcome import outcome
from benchmarks.sync import unseen

OURS, OTHER = Variant("ours", "our way"), Variant("other", "their way")
CPU = Measure("cpu_microseconds", "CPU", lambda reading: reading.cpu_microseconds)
RSS = Measure("rss_per_object", "RSS", lambda reading: reading.rss_per_object)
WALL = Measure("wall_seconds", "wall", lambda reading: reading.wall_seconds, compared=False)


def reading(cpu: float = 1.0, *, amount: int = 10, digest: str = "d", rss: int = 1000) -> Reading:
    """Return what a process reports."""
    return Reading(
        amount=amount,
        digest=digest,
        cpu_seconds=cpu,
        wall_seconds=2.0,
        rss_bytes=rss,
        peak_bytes=2000,
    )


def comparison(ours: list[Reading], other: list[Reading]) -> Comparison:
    """Return a comparison of two variants."""
    return Comparison(
        name="demo",
        title="a demonstration",
        baseline=OURS,
        measures=[CPU, RSS, WALL],
        readings=[(OURS, ours), (OTHER, other)],
        remarks=["a remark"],
    )


class TestFigures:
    """Medians, ranges and ratios."""

    def test_a_figure_is_the_median_and_the_range(self) -> None:
        """One disturbed round moves the range and not the median."""
        assert figure([3.0, 1.0, 90.0]) == Figure(3.0, 1.0, 90.0)

    def test_no_rounds_give_no_figure(self) -> None:
        """Nothing measured is an error, not a zero."""
        with pytest.raises(ValueError, match="no values"):
            figure([])

    def test_ratios_are_formed_within_rounds(self) -> None:
        """A round that was slow for both sides leaves the ratio alone, unlike the medians'."""
        ours, other = [1.0, 10.0, 2.0], [3.0, 20.0, 6.0]

        assert ratio(other, ours) == Figure(3.0, 2.0, 3.0)

    def test_rounds_are_never_dropped(self) -> None:
        """Series of different lengths were not measured in turn."""
        with pytest.raises(ValueError, match="zip"):
            ratio([1.0], [1.0, 2.0])

    @pytest.mark.parametrize("nothing", [0.0, -4096.0])
    def test_nothing_is_no_baseline(self, nothing: float) -> None:
        """Memory that did not grow cannot be multiplied."""
        assert ratio([1.0, 2.0], [1.0, nothing]) is None


class TestUnseen:
    """Variants that did less than the others are not compared in silence."""

    def test_equal_views_are_no_complaint(self) -> None:
        """All saw all objects, in the same versions."""
        assert unseen([(OURS, [reading()]), (OTHER, [reading()])], 10) == []

    def test_a_missing_object_is_told(self) -> None:
        """The complaint names the variant and both counts."""
        seen = [(OURS, [reading(), reading()]), (OTHER, [reading(), reading(amount=9)])]

        assert unseen(seen, 10) == ["their way saw 9 of 10 objects"]

    def test_other_versions_are_told(self) -> None:
        """As many objects are not yet the same objects."""
        seen = [(OURS, [reading()]), (OTHER, [reading(digest="e")])]

        assert unseen(seen, 10) == ["the variants saw different versions of the objects"]

    def test_the_digest_knows_versions_and_no_order(self) -> None:
        """What a subject says it saw does not depend on how it stores it."""
        one = outcome([("a", "1"), ("b", "2")])

        assert one == outcome([("b", "2"), ("a", "1")])
        assert one.amount == 2
        assert one != outcome([("a", "1"), ("b", "3")])


class TestReport:
    """The table and the JSON of one comparison."""

    def test_the_table_shows_medians_and_ratios(self) -> None:
        """Per operation, with the range of the ratio; wall time is not compared."""
        shown = table(comparison([reading(1.0)] * 3, [reading(c) for c in (2, 3, 9)]), Load(1, 2))

        rows = [line.split("|")[1:-1] for line in shown.splitlines() if line.startswith("| ")]
        assert [[cell.strip() for cell in row] for row in (rows[0], *rows[2:])] == [
            ["variant", "CPU", "ratio", "RSS", "ratio", "wall"],
            ["our way", "100,000", "1", "100", "1", "2"],
            ["their way", "300,000", "3.00 (2.00-9.00)", "100", "1.00 (1.00-1.00)", "2"],
        ]
        assert "Rounds, interleaved: 3" in shown
        assert "1 before, 2 after" in shown
        assert "- a remark" in shown

    def test_the_json_holds_every_reading(self) -> None:
        """Whoever doubts the medians can form others; a ratio that does not exist is null."""
        report = as_json(comparison([reading(rss=0)], [reading(4.0)]), Load(1, 2))

        ours, other = report["variants"]
        assert report["rounds"] == 1
        assert report["complete"] is True
        assert [each["readings"][0]["cpu_seconds"] for each in (ours, other)] == [1.0, 4.0]
        assert other["ratios"]["cpu_microseconds"] == {"median": 4.0, "lowest": 4.0, "highest": 4.0}
        assert other["ratios"]["rss_per_object"] is None


class TestMeter:
    """What a subject's process measures of itself."""

    def test_it_tells_what_is_kept_from_what_was_held(self) -> None:
        """Memory that was freed within the block is in the peak only."""
        megabyte = 1 << 20

        with Meter() as meter:
            kept = b"x" * (30 * megabyte)
            passing = b"x" * (40 * megabyte)
            del passing

        cost = meter.cost
        assert cost is not None
        assert len(kept) <= cost.rss_bytes + megabyte < len(kept) + 20 * megabyte
        assert cost.peak_bytes + megabyte > 70 * megabyte
        assert cost.cpu_seconds > 0
        assert cost.wall_seconds > 0
