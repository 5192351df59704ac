"""Lines of a watch stream are put together from chunks that end anywhere."""

import pytest

from smbpctl.runtime.informer.lines import LineAssembler, LineTooLongError


def test_lines_may_span_chunks_and_chunks_may_hold_lines() -> None:
    """A line is given once, when its newline has come."""
    assembler = LineAssembler()

    given = [assembler.feed(chunk) for chunk in (b"ab", b"c\nde", b"\n\n \r\nf\ng\nh")]

    assert given == [[], [b"abc"], [b"de", b"f", b"g"]]


def test_an_unfinished_line_is_bounded() -> None:
    """A peer that never sends a newline must not fill the memory."""
    assembler = LineAssembler(limit=10)
    assembler.feed(b"x" * 6)

    with pytest.raises(LineTooLongError, match="10 bytes"):
        assembler.feed(b"x" * 6)


def test_a_finished_line_is_bounded() -> None:
    """The limit does not depend on where chunks end."""
    with pytest.raises(LineTooLongError):
        LineAssembler(limit=10).feed(b"x" * 11 + b"\n")


def test_the_bound_is_per_line() -> None:
    """A long stream of short lines never reaches it."""
    assembler = LineAssembler(limit=10)

    given = [assembler.feed(b"5678\n1234") for _ in range(5)]

    assert given == [[b"5678"], *[[b"12345678"]] * 4]
