"""Modules and functions stay small enough to be read in one go."""

from test.architecture.source_tree import modules

MODULE_LINES = 400
FUNCTION_LINES = 60
FUNCTION_LINES_P90 = 30


def function_sizes() -> list[tuple[int, str]]:
    """Return the length of every function with its place, shortest first."""
    return sorted(
        ((node.end_lineno or node.lineno) - node.lineno + 1, f"{module.name}:{node.name}")
        for module in modules()
        for node in module.functions()
    )


class TestSizes:
    """The limits of the style guide."""

    def test_modules(self) -> None:
        """A module past the limit is split by concept."""
        assert [f"{m.name}: {m.lines}" for m in modules() if m.lines > MODULE_LINES] == []

    def test_the_longest_function(self) -> None:
        """A function past the limit does more than one thing."""
        assert [each for each in function_sizes() if each[0] > FUNCTION_LINES] == []

    def test_nine_functions_of_ten_are_short(self) -> None:
        """The limit is for the few; most are far below it."""
        sizes = function_sizes()

        assert len(sizes) > 100
        assert sizes[int(len(sizes) * 0.9)][0] <= FUNCTION_LINES_P90
