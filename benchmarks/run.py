"""One run of benchmarks: its options, its programs, and one API server for all that need one."""

import asyncio
import tempfile
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import final

from benchmarks.access import Access
from benchmarks.comparison import say
from benchmarks.objects import Filled, fill, install, remove, token
from benchmarks.options import Options
from benchmarks.programs import Programs
from benchmarks.server import api_server


@final
class Run:
    """What benchmarks share. The API server starts when it is first needed.

    Objects are only added: benchmarks with few of them come first.
    """

    def __init__(self, options: Options, stack: ExitStack) -> None:
        self.options = options
        self.programs = Programs(options.peers, say)
        self.filled: Filled | None = None
        self._stack = stack
        self._access: Access | None = None

    @classmethod
    @contextmanager
    def opened(cls, options: Options) -> Generator["Run"]:
        """End everything that was started when the block ends."""
        with ExitStack() as stack:
            yield cls(options, stack)

    def server(self, objects: int = 0) -> Access:
        """Return the API server, which holds exactly this many parcels, or more than before."""
        if self._access is None:
            server = self._stack.enter_context(api_server(self.options.kubeconfig))
            asyncio.run(install(server.access))
            if not server.disposable:
                self._stack.callback(lambda: asyncio.run(remove(server.access)))
            self._access = server.access
        there = self.filled.objects if self.filled else 0
        if objects < there:
            raise ValueError(f"there are {there} parcels already, more than {objects}")
        if objects > there:
            say(f"creating {objects - there:,} objects")
            self.filled = asyncio.run(fill(self._access, there, objects))
            say(self.told())
        return self._access

    def pod(self) -> Access:
        """Return the API server as it now is, reached with the token of a service account too."""
        access = self.server(self.filled.objects if self.filled else 0)
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        return access.with_token(folder / "pod", asyncio.run(token(access)))

    def told(self) -> str:
        """Say of what kind the objects are, and what it took to write the newest of them."""
        if self.filled is None:
            return "There are no objects."
        return (
            f"Objects of {self.filled.wire_bytes:,.0f} bytes in a list, "
            f"{self.filled.managed_bytes:,.0f} of them managedFields of two field managers."
        )

    def facts(self) -> dict[str, float]:
        """Return the same, and what the writes took, in numbers."""
        if self.filled is None:
            return {}
        facts = {name: float(value) for name, value in asdict(self.filled).items()}
        writes = 2 * (self.filled.objects - self.filled.before)
        return {**facts, "writes_per_second": writes / self.filled.wall_seconds}
