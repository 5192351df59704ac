"""cloudcoil: a list of pydantic models into a dict, then its watch.

It has informers but no controller; models validate metadata and take spec and status as dicts.
"""

from typing import Any

from cloudcoil.client import Config
from cloudcoil.resources import Resource
from pydantic import Field

from benchmarks.parcel import API_VERSION, KIND
from benchmarks.subjects.meter import Meter
from benchmarks.subjects.outcome import Outcome, Task, outcome

_PAGE = 500


class Parcel(Resource):
    """The custom resource, as loosely typed as the library allows."""

    api_version: str | None = Field(default=API_VERSION, alias="apiVersion")
    kind: str | None = KIND
    spec: dict[str, Any] | None = None
    status: dict[str, Any] | None = None


async def listed_and_watched(task: Task, meter: Meter) -> Outcome:
    """List all objects; with events, replace them until the last one changed."""
    access = task.reach()
    config = Config(
        server=access.server,
        cafile=access.authority,
        certfile=access.certificate,
        keyfile=access.key,
    )
    async with config:
        if not task.events:
            with meter:
                objects, _ = await _list()
            return outcome((name, each.metadata.resource_version) for name, each in objects.items())
        objects, version = await _list()
        with meter:
            print("ready", flush=True)
            await _follow(objects, version, task.last)
    return Outcome(task.events)


async def _list() -> tuple[dict[str, Parcel], str]:
    listing = await Parcel.async_list(all_namespaces=True, limit=_PAGE)
    return {each.metadata.name: each async for each in listing}, listing.metadata.resource_version


async def _follow(objects: dict[str, Parcel], version: str, last: str) -> None:
    stream = await Parcel.async_watch(all_namespaces=True, resource_version=version)
    async for kind, each in stream:
        if kind == "BOOKMARK":
            continue
        objects[each.metadata.name] = each
        if each.metadata.name == last:
            return
