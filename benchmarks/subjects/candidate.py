"""A manager with an election and nothing to lead: says when it stands by and when it leads.

Run as `python -m benchmarks.subjects.candidate --server=… --credentials=…`; ends on SIGTERM.
"""

import argparse
import asyncio
from pathlib import Path
from typing import Final, final

from benchmarks.access import Access
from benchmarks.cluster import configuration, quiet
from benchmarks.subjects.delays import now
from smbpctl.runtime import Manager, ManagerOptions, Phase
from smbpctl.runtime.leader import LeaderElection

ELECTION: Final = LeaderElection(lease_name="benchmark-failover", namespace="default")


@final
class Telling:
    """A runnable that prints a word, and when."""

    def __init__(self, word: str) -> None:
        self._word = word

    async def run(self) -> None:
        """Print it."""
        print(f"{self._word} {now()}", flush=True)


async def main() -> None:
    """Stand by, lead, and stop when asked."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", required=True)
    parser.add_argument("--credentials", type=Path, required=True)
    arguments = parser.parse_args()
    quiet()
    access = Access(arguments.server, arguments.credentials)
    options = ManagerOptions(leader_election=ELECTION)
    async with Manager.from_config(configuration(access), options=options) as manager:
        manager.add(Telling("ready"), Phase.CACHES)
        manager.add(Telling("leading"), Phase.CONTROLLERS)
        await manager.run()


if __name__ == "__main__":
    asyncio.run(main())
