"""kopf: an operator with one handler of raw events that does nothing.

The handler is given the object, so there is no cache that it would read: kopf keeps one of
objects only for indices, which are left out here.
"""

import asyncio
import logging

import kopf

from benchmarks.parcel import GROUP, PLURAL, VERSION
from benchmarks.subjects.meter import Meter
from benchmarks.subjects.outcome import Outcome, Task


async def operator(task: Task, meter: Meter) -> Outcome:
    """Handle every object once, or events until the last object's was handled."""
    logging.disable(logging.WARNING)
    access = task.reach()
    registry = kopf.OperatorRegistry()
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.scanning.disabled = True  # kinds that come later are no part of this
    synced, done, stop = asyncio.Event(), asyncio.Event(), asyncio.Event()
    count = 0

    @kopf.on.login(registry=registry)
    async def login(**_: object) -> kopf.ConnectionInfo:
        return kopf.ConnectionInfo(
            server=access.server,
            ca_path=access.authority,
            certificate_path=access.certificate,
            private_key_path=access.key,
        )

    @kopf.on.event(GROUP, VERSION, PLURAL, registry=registry)
    async def seen(name: str | None, **_: object) -> None:
        nonlocal count
        count += 1
        if count == task.amount:
            synced.set()
        elif count > task.amount and name == task.last:
            done.set()

    async with asyncio.TaskGroup() as tasks:

        async def run() -> None:
            await kopf.operator(
                registry=registry,
                settings=settings,
                standalone=True,
                clusterwide=True,
                stop_flag=stop,
            )

        if task.events:
            tasks.create_task(run())
            await synced.wait()
            with meter:
                print("ready", flush=True)
                await done.wait()
            outcome = Outcome(task.events, extras={"reconciles": count - task.amount})
        else:
            with meter:
                tasks.create_task(run())
                await synced.wait()
            outcome = Outcome(count)
        stop.set()
    return outcome
