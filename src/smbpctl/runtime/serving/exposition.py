"""What is served, and how long it may take at the end."""

from datetime import timedelta
from typing import Final, Protocol

DRAIN: Final = timedelta(seconds=5)
"""How long requests that are being answered may take when the server stops."""


class Exposition(Protocol):
    """What `/metrics` shows: satisfied by `metrics.Metrics`."""

    def exposition(self) -> tuple[bytes, str]:
        """Return the text and its content type."""
        ...
