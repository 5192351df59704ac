"""Reporting: one write when something changed, none when nothing did."""

from smbpctl.api.v1alpha1 import BIG_PEER
from smbpctl.reconcilers.operator import new_applier
from smbpctl.reconcilers.reporting import write_status
from smbpctl.runtime.meta import Manifest, ObjectKey
from test.support.fake_cluster import FakeCluster
from test.support.fake_manager import FakeManager
from test.support.peers import a_manifest

KEY = ObjectKey("shop", "demo")


class Desk:
    """A BigPeer and the means to report on it."""

    def __init__(self) -> None:
        self.server = FakeCluster()
        self.manager = FakeManager(self.server)
        self.manager.cache.register(BIG_PEER)
        self.server.put(a_manifest())
        self.applier = new_applier(self.manager, "smbpctl/tls")  # type: ignore[arg-type]

    async def report(self, status: Manifest) -> bool:
        """Report on the BigPeer as the cache has it."""
        manifest = await self.manager.cache.get(BIG_PEER, KEY)
        assert manifest is not None
        cache = self.manager.cache
        return await write_status(cache, self.applier, manifest, status)  # type: ignore[arg-type]

    def status(self) -> Manifest:
        """Return the status as the server has it."""
        status: Manifest = self.server.find(BIG_PEER, KEY).get("status", {})
        return status


async def test_only_what_changed_is_sent() -> None:
    """The same status again sends nothing."""
    desk = Desk()
    status = {"certificates": [{"name": "ca", "secretName": "s"}]}

    written = [await desk.report(each) for each in (status, status, {"certificates": []})]

    assert written == [True, False, True]
    assert desk.server.sent() == ["apply BigPeer/status shop/demo"] * 2


async def test_what_a_report_leaves_out_is_removed() -> None:
    """It is complete for its reconciler."""
    desk = Desk()
    await desk.report({"certificates": [], "version": "1.63.2"})

    await desk.report({"certificates": []})

    assert desk.status() == {"certificates": []}


async def test_what_others_report_stays() -> None:
    """Each reconciler has fields of its own."""
    desk = Desk()
    desk.server.edit(BIG_PEER, KEY, lambda peer: peer.update(status={"targetVersion": "1.0.0"}))

    await desk.report({"version": "1.63.2"})

    assert desk.status() == {"targetVersion": "1.0.0", "version": "1.63.2"}
