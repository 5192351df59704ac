"""kubernetes_asyncio: CustomObjectsApi into a dict, its bare Watch, and its patches.

It has no controller: nothing here queues or reconciles.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

from kubernetes_asyncio import client, watch

from benchmarks.parcel import GROUP, NAMESPACE, PLURAL, VERSION, parcel
from benchmarks.subjects.meter import Meter
from benchmarks.subjects.outcome import Outcome, Task, outcome

_PAGE = 500
_IN_FLIGHT = 16
_APPLY: dict[str, Any] = {"_content_type": "application/apply-patch+yaml"}

Objects = dict[tuple[str, str], dict[str, Any]]


async def identity(task: Task, meter: Meter) -> Outcome:
    """List all objects, transferred uncompressed."""
    return await _listed(task, meter, {"Accept-Encoding": "identity"})


async def compressed(task: Task, meter: Meter) -> Outcome:
    """List all objects as the library does it by itself: it asks for gzip."""
    return await _listed(task, meter, {})


async def watched(task: Task, meter: Meter) -> Outcome:
    """List all objects, then replace them in the dict as events arrive, until the last one did."""
    async with _opened(task) as connection:
        api = client.CustomObjectsApi(connection)
        objects, version = await _list(api)
        with meter:
            print("ready", flush=True)
            await _follow(api, objects, version, task.last)
    return Outcome(task.events)


async def patched(task: Task, meter: Meter) -> Outcome:
    """Apply objects, some at a time."""
    async with _opened(task) as connection:
        api = client.CustomObjectsApi(connection)
        numbers = iter(range(task.amount))
        await _patch(api, iter([0]))  # opens a connection
        with meter:
            await asyncio.gather(*(_patch(api, numbers) for _ in range(_IN_FLIGHT)))
    return Outcome(task.amount)


@asynccontextmanager
async def _opened(task: Task) -> AsyncGenerator[client.ApiClient]:
    access = task.reach()
    configuration = client.Configuration(host=access.server)
    if access.folder is not None:
        configuration.ssl_ca_cert = str(access.authority)
        configuration.cert_file = str(access.certificate)
        configuration.key_file = str(access.key)
    connection = client.ApiClient(configuration)
    async with connection:
        yield connection


async def _listed(task: Task, meter: Meter, headers: dict[str, str]) -> Outcome:
    async with _opened(task) as connection:
        for name, value in headers.items():
            connection.set_default_header(name, value)
        api = client.CustomObjectsApi(connection)
        await _page(api, limit=1)  # opens the connection
        with meter:
            objects, _ = await _list(api)
    return outcome(
        (name, each["metadata"]["resourceVersion"]) for (_, name), each in objects.items()
    )


async def _list(api: client.CustomObjectsApi) -> tuple[Objects, str]:
    objects: Objects = {}
    token = ""
    while True:
        page = await _page(api, limit=_PAGE, _continue=token)
        for each in page["items"]:
            objects[each["metadata"]["namespace"], each["metadata"]["name"]] = each
        token = page["metadata"].get("continue", "")
        if not token:
            return objects, page["metadata"]["resourceVersion"]


async def _follow(api: client.CustomObjectsApi, objects: Objects, version: str, last: str) -> None:
    watcher: Any = watch.Watch()
    stream: AsyncIterator[dict[str, Any]] = watcher.stream(
        api.list_cluster_custom_object, GROUP, VERSION, PLURAL, resource_version=version
    )
    async for event in stream:
        each = event["object"]
        name = each["metadata"]["name"]
        objects[each["metadata"]["namespace"], name] = each
        if name == last:
            return


async def _page(api: client.CustomObjectsApi, **query: Any) -> dict[str, Any]:
    answer = await api.list_cluster_custom_object(GROUP, VERSION, PLURAL, **query)
    return cast("dict[str, Any]", answer)


async def _patch(api: client.CustomObjectsApi, numbers: Any) -> None:
    for number in numbers:
        body = parcel(number)
        await api.patch_namespaced_custom_object(
            *(GROUP, VERSION, NAMESPACE, PLURAL, body["metadata"]["name"], body),
            field_manager="benchmark-author",
            force=True,
            **_APPLY,
        )
