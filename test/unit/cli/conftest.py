"""Subcommands configure logging for the whole process; their tests give it back."""

from collections.abc import Iterator

import pytest

from test.support.logging_state import restored_logging


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """No other test finds the logging of a subcommand."""
    with restored_logging():
        yield
