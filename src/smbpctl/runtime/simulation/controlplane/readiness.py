"""Wait until local HTTPS servers say that they are ready, without outliving a deadline."""

import http.client
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import Self, final

from smbpctl.runtime.simulation.controlplane.ports import LOOPBACK

POLL_INTERVAL = timedelta(milliseconds=50)
_REQUEST_TIMEOUT_SECONDS = 5.0


class NotReady(Exception):
    """The deadline passed; the message says what was still missing."""


@final
class Deadline:
    """A context manager around waiting: `pause` sleeps and tells whether time is left."""

    def __init__(self, timeout: timedelta) -> None:
        self.timeout = timeout
        self._passed = threading.Event()
        self._timer = threading.Timer(timeout.total_seconds(), self._passed.set)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._timer.cancel()

    def pause(self) -> bool:
        """Sleep for `POLL_INTERVAL`, or until the deadline; return False once it has passed."""
        return not self._passed.wait(POLL_INTERVAL.total_seconds())


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One path of a loopback HTTPS server that answers 200 when something is ready."""

    name: str
    port: int
    path: str
    context: ssl.SSLContext

    def missing(self) -> str | None:
        """Ask once; return None for ready, else what is missing, in one line."""
        connection = http.client.HTTPSConnection(
            LOOPBACK, self.port, timeout=_REQUEST_TIMEOUT_SECONDS, context=self.context
        )
        try:
            connection.request("GET", self.path)
            answer = connection.getresponse()
            body = answer.read().decode(errors="replace")
        except (OSError, http.client.HTTPException) as error:
            return f"{self.name}: {str(error) or type(error).__name__}"
        finally:
            connection.close()
        if answer.status == http.client.OK:
            return None
        failed = [line.strip() for line in body.splitlines() if line.startswith("[-]")]
        return f"{self.name}: HTTP {answer.status} {'; '.join(failed) or body[:200]}".strip()


def wait_until_ready(
    endpoint: Endpoint, *, deadline: Deadline, between: Callable[[], None]
) -> None:
    """Poll `endpoint` until it is ready.

    `between` runs before each request and ends the waiting by raising, for example when a process
    has died. Raises `NotReady` with the last answer when the deadline passes.
    """
    between()
    while (reason := endpoint.missing()) is not None:
        if not deadline.pause():
            seconds = deadline.timeout.total_seconds()
            raise NotReady(f"not ready after {seconds:g} s: {reason}")
        between()
