"""Shows a comparison: as a table for people and as JSON for programs."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, final

from benchmarks.comparison import Comparison, Measure, Reading
from benchmarks.figures import Figure, figure, ratio

NOISE: Final = (
    "Only the ratios (formed within each round; median and range) say something: absolute figures "
    "are those of one machine under whatever load there was, and noise."
)


@final
@dataclass(frozen=True, slots=True)
class Load:
    """The machine's load average of a minute before and after a comparison."""

    before: float
    after: float


def table(comparison: Comparison, load: Load) -> str:
    """Return a Markdown table with what belongs to it, aligned to be read as it is."""
    rows = [list(_headings(comparison)), *(list(row) for row in _rows(comparison))]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    rounds = len(comparison.of_baseline())
    lines = [f"### {comparison.name}: {comparison.title}", ""]
    lines += [_line(row, widths) for row in (rows[0], rule, *rows[1:])]
    remarks = [
        f"Rounds, interleaved: {rounds}. Ratios are to “{comparison.baseline.title}”.",
        f"Load average of the last minute: {load.before} before, {load.after} after.",
        *(f"{title}: not measured: {reason}." for title, reason in comparison.absent.items()),
        *comparison.remarks,
    ]
    return "\n".join([*lines, "", *(f"- {remark}" for remark in remarks)])


def as_json(comparison: Comparison, load: Load) -> dict[str, Any]:
    """Return everything that is known of a comparison, every reading included."""
    below = comparison.of_baseline()
    return {
        "name": comparison.name,
        "title": comparison.title,
        "rounds": len(below),
        "baseline": comparison.baseline.program,
        "complete": comparison.complete,
        "remarks": list(comparison.remarks),
        "facts": dict(comparison.facts),
        "absent": dict(comparison.absent),
        "load": asdict(load),
        "measures": [
            {
                "name": measure.name,
                "title": measure.title,
                "decimals": measure.decimals,
                "compared": measure.compared,
            }
            for measure in comparison.measures
        ],
        "variants": [
            {
                "name": variant.program,
                "title": variant.title,
                "readings": [asdict(reading) for reading in readings],
                "values": {
                    measure.name: [measure.of(reading) for reading in readings]
                    for measure in comparison.measures
                },
                "figures": {
                    measure.name: asdict(_figure(measure, readings))
                    for measure in comparison.measures
                },
                "ratios": {
                    measure.name: found and asdict(found)
                    for measure in comparison.measures
                    if measure.compared
                    for found in [_ratio(measure, readings, below)]
                },
            }
            for variant, readings in comparison.readings
        ],
    }


def _headings(comparison: Comparison) -> Iterator[str]:
    yield "variant"
    for measure in comparison.measures:
        yield measure.title
        if measure.compared:
            yield "ratio"


def _rows(comparison: Comparison) -> Iterator[Iterator[str]]:
    below = comparison.of_baseline()
    for variant, readings in comparison.readings:
        yield _cells(comparison, variant.title, readings, below)


def _cells(
    comparison: Comparison, title: str, readings: Sequence[Reading], below: Sequence[Reading]
) -> Iterator[str]:
    yield title
    for measure in comparison.measures:
        yield f"{_figure(measure, readings).median:,.{measure.decimals}f}"
        if measure.compared:
            yield "1" if readings is below else _times(_ratio(measure, readings, below))


def _figure(measure: Measure, readings: Sequence[Reading]) -> Figure:
    return figure([measure.of(reading) for reading in readings])


def _ratio(
    measure: Measure, readings: Sequence[Reading], below: Sequence[Reading]
) -> Figure | None:
    return ratio(
        [measure.of(reading) for reading in readings], [measure.of(reading) for reading in below]
    )


def _times(found: Figure | None) -> str:
    if found is None:
        return "none"
    return f"{found.median:.2f} ({found.lowest:.2f}-{found.highest:.2f})"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first = cells[0].ljust(widths[0])
    rest = [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
    return f"| {' | '.join([first, *rest])} |"
