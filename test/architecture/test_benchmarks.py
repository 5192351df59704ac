"""What the benchmarks make of their measurements: statistics, completeness, report and page."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks import applies, cached, empty, queue, reads, sync, updates
from benchmarks.__main__ import BENCHMARKS
from benchmarks.comparison import (
    Comparison,
    Measure,
    Reading,
    Variant,
    extra,
    interleaved,
)
from benchmarks.errors import Refused
from benchmarks.figures import Figure, figure, ratio
from benchmarks.page import ORDER, page
from benchmarks.programs import PROGRAMS, Kind, Programs
from benchmarks.report import Load, as_json, table
from benchmarks.subject import SUBJECTS
from benchmarks.subjects.delays import percentiles
from benchmarks.subjects.meter import Meter
from benchmarks.subjects.outcome import Task, outcome
from benchmarks.sync import unseen
from benchmarks.targets import TARGETS, Target, times, value

OURS, OTHER = Variant("ours", "our way"), Variant("other", "their way")
CPU = Measure("cpu_microseconds", "CPU", lambda reading: reading.cpu_microseconds)
RSS = Measure("rss_per_object", "RSS", lambda reading: reading.rss_per_object)
WALL = Measure("wall_seconds", "wall", lambda reading: reading.wall_seconds, compared=False)


def reading(
    cpu: float = 1.0,
    *,
    amount: int = 10,
    digest: str = "d",
    rss: int = 1000,
    extras: dict[str, float] | None = None,
) -> Reading:
    """Return what a process reports."""
    return Reading(
        amount=amount,
        digest=digest,
        cpu_seconds=cpu,
        wall_seconds=2.0,
        rss_bytes=rss,
        peak_bytes=2000,
        extras=extras or {},
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

    def test_who_keeps_nothing_is_not_asked_for_versions(self) -> None:
        """A handler that is given objects and keeps none can only count them."""
        assert unseen([(OURS, [reading()]), (OTHER, [reading(digest="")])], 10) == []

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

    def test_what_was_not_measured_is_shown(self) -> None:
        """A peer whose tools are missing has a line with the reason, never silence."""
        one = Comparison(
            name="demo",
            title="a demonstration",
            baseline=OURS,
            measures=[CPU],
            readings=[(OURS, [reading()])],
            absent={"their way": "cargo is not installed"},
        )

        assert "- their way: not measured: cargo is not installed." in table(one, Load(1, 2))
        assert as_json(one, Load(1, 2))["absent"] == {"their way": "cargo is not installed"}


def report(name: str, **series: Sequence[float]) -> dict[str, Any]:
    """Return the report of a benchmark with these values of `cpu`, by variant and round."""
    readings = {
        program: [reading(extras={"cpu": each}) for each in values]
        for program, values in series.items()
    }
    made = Comparison(
        name=name,
        title="a demonstration",
        baseline=Variant(next(iter(series)), next(iter(series))),
        measures=[extra("cpu", "CPU")],
        readings=[(Variant(program, program), each) for program, each in readings.items()],
    )
    about = {"date": "2026-01-01", "machine": dict.fromkeys(MACHINE, "x")}
    return {**about, **as_json(made, Load(1, 2))}


MACHINE = ("system", "cores", "memory_gib", "python", "libraries")


class TestTargets:
    """Promises beside what was measured."""

    @pytest.mark.parametrize(("theirs", "met"), [([10.0, 10.0], True), ([9.0, 10.0], False)])
    def test_a_ratio_is_formed_within_rounds(self, theirs: list[float], met: bool) -> None:
        """The median of the rounds' ratios decides, not the ratio of the medians."""
        target = Target("job", "CPU", "demo", times("cpu", "ours", "other"), most=0.2)

        found = target.found({"demo": report("demo", ours=[2.0, 2.0], other=theirs)})

        assert found is not None
        assert target.met(found) is met

    def test_a_least_is_a_least(self) -> None:
        """Rates must not fall below what was promised."""
        target = Target("job", "rate", "demo", value("cpu", "ours"), least=3)

        assert target.met(Figure(3, 1, 9))
        assert not target.met(Figure(2.9, 2, 9))

    def test_what_was_not_measured_is_neither_met_nor_missed(self) -> None:
        """No benchmark, no peer and no such figure are all the same: unknown."""
        target = Target("job", "CPU", "demo", times("cpu", "ours", "other"), most=0.2)

        assert target.found({}) is None
        assert target.found({"demo": report("demo", ours=[1.0])}) is None

    def test_targets_are_about_benchmarks_and_programs_that_exist(self) -> None:
        """A target about a misspelt benchmark would stay unmeasured for ever."""
        assert {target.benchmark for target in TARGETS} <= set(BENCHMARKS)


class TestPage:
    """The page that is generated from the readings."""

    def test_it_claims_nothing_without_readings(self, tmp_path: Path) -> None:
        """Every target is not measured, and every benchmark is named as missing."""
        text = page(tmp_path)

        assert text.count("| not measured |") == len(TARGETS)
        assert f"Not measured: {', '.join(ORDER)}." in text

    def test_it_shows_readings_and_judges_targets(self, tmp_path: Path) -> None:
        """Equal readings give equal text, with ratios and the word on each target."""
        found = report("resync", **{"ours-resync": [0.0]})
        found["variants"][0]["values"] = {"requests_when_ready": [0.0], "cpu_microseconds": [61.0]}
        (tmp_path / "resync.json").write_text(json.dumps(found))

        text = page(tmp_path)

        assert text == page(tmp_path)
        assert "| requests | ≤ 0 requests | 0 (0-0) | met |" in text
        assert "| CPU | ≤ 60 μs/object | 61.0 (61.0-61.0) | **missed** |" in text
        assert "### resync: a demonstration" in text

    def test_unknown_results_are_refused(self, tmp_path: Path) -> None:
        """A file that no section shows would be a reading that is passed over in silence."""
        (tmp_path / "other.json").write_text(json.dumps(report("other", ours=[1.0])))

        with pytest.raises(ValueError, match="no known benchmark: other"):
            page(tmp_path)

    def test_every_benchmark_has_its_place(self) -> None:
        """What is measured is shown."""
        assert sorted(ORDER) == sorted(BENCHMARKS)


class TestPrograms:
    """Where the programs of the variants come from."""

    def test_every_variant_has_a_program_and_every_program_of_python_a_subject(self) -> None:
        """Misspelt names would only fail in a run of half an hour."""
        variants = [
            *(applies.VARIANTS, queue.VARIANTS, reads.VARIANTS, sync.MANAGERS, sync.LIBRARIES),
            (cached.STALL, cached.RESYNC, empty.IMPORT, empty.IDLE),
            (updates.OURS, updates.UVLOOP, updates.CONTROLLER_RUNTIME, updates.KUBE_RS),
        ]
        python = {
            arguments[0]
            for kind, arguments in PROGRAMS.values()
            if kind in (Kind.OURS, Kind.PYTHON)
        }

        assert {each.program for group in variants for each in group} <= set(PROGRAMS)
        assert python == set(SUBJECTS)

    def test_a_peer_that_is_not_asked_for_is_left_out_with_a_reason(self) -> None:
        """Leaving out is told, and the others are measured."""
        said: list[str] = []
        programs = Programs([], said.append)
        variants = [Variant("asyncio-queue", "a queue"), Variant("kube-rs", "kube-rs")]

        series = interleaved(variants, 1, Task(1000), programs=programs)

        assert [variant.title for variant, _ in series.readings] == ["a queue"]
        assert series.absent == {"kube-rs": "without the rust peers"}
        assert not series.failed

    def test_a_variant_that_fails_does_not_take_the_others_along(self) -> None:
        """It is told and makes the run incomplete; without a baseline there is no comparison."""
        programs = Programs([], lambda _: None)
        variants = [Variant("asyncio-queue", "a queue"), Variant("plain-list", "without a server")]

        series = interleaved(variants, 1, Task(1000), programs=programs)

        assert series.absent == {"without a server": "without a server ended with status 1"}
        assert series.failed
        with pytest.raises(Refused, match="without a server ended with status 1"):
            interleaved(variants[::-1], 1, Task(1000), programs=programs)


class TestTask:
    """The command line that programs of all languages understand."""

    def test_what_says_nothing_is_left_out(self) -> None:
        """Each option is one word, as the parsers of three languages have it."""
        task = Task(5, events=3, last="parcel-000004", stamped=True)

        assert list(Task(5).arguments()) == ["--amount=5"]
        assert list(task.arguments()) == [
            *("--amount=5", "--events=3", "--last=parcel-000004", "--stamped=1")
        ]


class TestDelays:
    """How long events took."""

    def test_percentiles_are_microseconds(self) -> None:
        """Of a hundred, one lies beyond the 99th percentile."""
        found = percentiles([1000 * each for each in range(1, 101)][::-1])

        assert found == {"p50_us": 50, "p99_us": 99, "max_us": 100}

    def test_no_events_are_an_error(self) -> None:
        """Nothing measured is not a delay of zero."""
        with pytest.raises(ValueError, match="no event"):
            percentiles([])


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
