"""The reference: aiohttp, the json module and a dict, as one would write it in ten lines."""

import json
from typing import Any

import aiohttp

from benchmarks.parcel import LIST_PATH
from benchmarks.subjects.meter import Meter
from benchmarks.subjects.outcome import Outcome, Task, outcome

_PAGE = "500"


async def listed(task: Task, meter: Meter) -> Outcome:
    """List all objects into a dict by namespace and name."""
    objects: dict[tuple[str, str], dict[str, Any]] = {}
    access = task.reach()
    connector = aiohttp.TCPConnector(ssl=access.tls() or True)
    async with aiohttp.ClientSession(
        access.server, connector=connector, headers={"Accept-Encoding": "identity"}
    ) as session:
        await _page(session, {"limit": "1"})  # opens the connection
        with meter:
            await _list(session, objects)
    return outcome(
        (name, each["metadata"]["resourceVersion"]) for (_, name), each in objects.items()
    )


async def _list(
    session: aiohttp.ClientSession, objects: dict[tuple[str, str], dict[str, Any]]
) -> None:
    token = ""
    while True:
        page = await _page(session, {"limit": _PAGE, "continue": token})
        for each in page["items"]:
            objects[each["metadata"]["namespace"], each["metadata"]["name"]] = each
        token = page["metadata"].get("continue", "")
        if not token:
            return


async def _page(session: aiohttp.ClientSession, query: dict[str, str]) -> dict[str, Any]:
    async with session.get(LIST_PATH, params=query) as response:
        response.raise_for_status()
        page: dict[str, Any] = json.loads(await response.read())
        return page
