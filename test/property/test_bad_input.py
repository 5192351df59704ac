"""Whatever comes back from the network, the cache loses nothing and ends up equal to the truth."""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta

from hypothesis import example, given, settings
from hypothesis import strategies as st

from smbpctl.runtime.clock import LoopClock, seeded_random
from smbpctl.runtime.cluster import Cluster
from smbpctl.runtime.event import Deleted, Event
from smbpctl.runtime.informer import Form
from smbpctl.runtime.meta import Manifest, ObjectKey
from smbpctl.runtime.metrics import Metrics
from test.support.fake_api import CONFIG_MAP
from test.support.hostile_api import FAULTS, HostileApi
from test.support.virtual_time import run_virtual

CLOCK = LoopClock()
NAMES = ["a", "b", "c"]
# As large as etcd takes them.
LARGE = 1_500_000

faults = st.lists(st.just("") | st.sampled_from(FAULTS), min_size=15, max_size=30)
changes = st.lists(
    st.tuples(
        st.sampled_from(["put", "put", "delete"]),
        st.sampled_from(NAMES),
        st.sampled_from([0.001, 1.0, 100.0]),
    ),
    max_size=12,
)


@dataclass
class Story:
    """One run: what the cache held at the end, and which deletions it told that never were."""

    api: HostileApi
    held: dict[str, Manifest] = field(default_factory=dict[str, Manifest])
    lies: list[str] = field(default_factory=list[str])

    def witness(self, event: Event) -> None:
        """Check a deletion against the truth of this moment."""
        name, uid = event.object.meta.name, event.object.meta.uid
        there = self.api.objects.get(name)
        if isinstance(event, Deleted) and there and there["metadata"]["uid"] == uid:
            self.lies.append(name)

    async def run(self, plan: list[tuple[str, str, float]]) -> None:
        """Let the truth change while a cache follows it; then let both come to rest."""
        cluster = Cluster.over(
            self.api.transport(), clock=CLOCK, random=seeded_random(1), metrics=Metrics()
        )
        informer = cluster.cache.register(CONFIG_MAP.gvk, form=Form.FULL)
        informer.add_handler(self.witness)
        async with asyncio.TaskGroup() as group:
            running = group.create_task(cluster.cache.run())
            for operation, name, pause in plan:
                await CLOCK.sleep(timedelta(seconds=pause))
                match operation:
                    case "put":
                        self.api.put(name)
                    case "large":
                        self.api.put(name, LARGE)
                    case _:
                        self.api.delete(name)
            while not self.api.calm:
                await CLOCK.sleep(timedelta(minutes=5))
            await CLOCK.sleep(timedelta(minutes=30))
            for name in [*NAMES, "other"]:
                found = await cluster.cache.get(CONFIG_MAP.gvk, ObjectKey("ns", name))
                if found is not None:
                    self.held[name] = found
            running.cancel()
        await cluster.close()


@settings(max_examples=40, deadline=None)
@given(faults, changes, st.booleans())
@example(["", "", "malformed", "empty"], [("put", "b", 1.0)], False)
@example(["", "", "malformed", "truncated", "", "reset"], [("large", "a", 1.0)] * 3, True)
def test_no_object_is_lost_and_none_invented(
    faults: list[str], plan: list[tuple[str, str, float]], streams: bool
) -> None:
    """Whatever is spoilt, it costs a request or two, and no object."""
    api = HostileApi(faults, streams=streams)
    api.put("a")
    story = Story(api)

    run_virtual(story.run(plan))

    assert story.held == api.objects
    assert story.lies == []
    assert api.spoilt == sum(map(bool, faults))
