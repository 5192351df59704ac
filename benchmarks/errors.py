"""What a benchmark says when it cannot measure."""


class Refused(Exception):
    """Nothing was measured; carries the reason and the exit status."""

    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.status = status
