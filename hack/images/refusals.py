"""Why no image can be built, in one line and one exit status."""

FAILED, MISUSED, UNAVAILABLE = 1, 2, 3
"""Exit statuses: a step failed, wrong settings, this machine or network lacks what it takes."""


class Refused(Exception):
    """Nothing can be built; carries the exit status. The message says what would help."""

    def __init__(self, message: str, status: int = FAILED) -> None:
        super().__init__(message)
        self.status = status
