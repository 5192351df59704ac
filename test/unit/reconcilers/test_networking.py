"""The networking reconciler over a cluster in memory."""

from datetime import timedelta

import pytest

from smbpctl.api.v1alpha1 import BIG_PEER, BigPeer, Condition, EndpointStatus
from smbpctl.reconcilers import networking
from smbpctl.reconcilers.kinds import INGRESS, INGRESS_CLASS, NETWORK_POLICY, SERVICE
from smbpctl.runtime.meta import GroupVersionKind, Manifest, ObjectKey, key_of
from smbpctl.runtime.reconcile import DONE, Result
from test.support.bigpeers import an_exposure
from test.support.cluster_stage import OPERATOR
from test.support.fake_cluster import FakeCluster
from test.support.fake_manager import FakeManager
from test.support.peers import a_manifest

EXPOSED: Manifest = {"spec.exposure": [an_exposure("web")]}


def key(name: str) -> ObjectKey:
    """Return the key of an object beside the BigPeer."""
    return ObjectKey("shop", name)


class Stage:
    """A BigPeer `shop/demo` and its networking reconciler."""

    def __init__(self, edits: Manifest | None = None, *, ingress_class: str = "nginx") -> None:
        self.server = FakeCluster()
        self.manager = FakeManager(self.server)
        networking.setup(self.manager, OPERATOR)  # type: ignore[arg-type]
        self.server.put(a_manifest(edits))
        if ingress_class:
            self.add_class(ingress_class)

    def add_class(self, name: str) -> None:
        """Install an ingress controller."""
        self.server.put(
            {
                "apiVersion": INGRESS_CLASS.api_version,
                "kind": "IngressClass",
                "metadata": {"name": name},
            }
        )

    async def reconcile(self) -> Result:
        """Run the reconciler once."""
        return await self.manager.reconcile()

    def assign(self, name: str, *addresses: Manifest) -> None:
        """Let the ingress controller give addresses to an Ingress."""
        status = {"loadBalancer": {"ingress": list(addresses)}}
        self.server.edit(INGRESS, key(name), lambda ingress: ingress.update(status=status))

    def edit(self, change: Manifest) -> None:
        """Replace top-level fields of the spec."""
        self.server.edit(BIG_PEER, key("demo"), lambda peer: peer["spec"].update(change))

    @property
    def peer(self) -> BigPeer:
        """Return the BigPeer as the server has it."""
        return BigPeer.parse(self.server.find(BIG_PEER, key("demo")))

    @property
    def condition(self) -> Condition:
        """Return the one condition that is reported."""
        (condition,) = self.peer.status.conditions
        assert condition.type == "NetworkingReady"
        return condition

    @property
    def endpoint(self) -> EndpointStatus:
        """Return the one endpoint that is reported."""
        (endpoint,) = self.peer.status.endpoints
        return endpoint

    def names(self, gvk: GroupVersionKind) -> list[str]:
        """Return the names of all objects of a kind."""
        return [key_of(each).name for each in self.server.all(gvk)]


class TestObjects:
    async def test_services_and_policies_without_any_exposure(self) -> None:
        """Names inside the cluster; that is all there is, and it is ready."""
        stage = Stage()

        result = await stage.reconcile()

        assert result == DONE
        assert stage.names(SERVICE) == [
            "demo-api",
            "demo-auth-server",
            "demo-store",
            "demo-store-0",
            "demo-subscription",
        ]
        assert len(stage.names(NETWORK_POLICY)) == 4
        assert stage.names(INGRESS) == []
        assert (stage.condition.status, stage.condition.reason) == ("True", "ClusterInternal")
        assert stage.peer.status.endpoints == ()

    async def test_the_converged_cluster_is_left_alone(self) -> None:
        """Also by a process that has just started."""
        stage = Stage(EXPOSED)
        await stage.reconcile()
        stage.assign("demo-web", {"ip": "10.0.0.7"})
        await stage.reconcile()
        stage.server.sent()

        await stage.reconcile()
        restarted = Stage()
        restarted.server.objects.update(stage.server.objects)
        restarted.server.owned.update(stage.server.owned)
        await restarted.reconcile()

        assert stage.server.sent() == restarted.server.sent() == []

    async def test_what_is_not_wanted_any_more_is_pruned(self) -> None:
        """An exposure that was taken away, and policies that were switched off."""
        stage = Stage(EXPOSED)
        await stage.reconcile()
        stage.edit({"exposure": [], "networkPolicy": {"enabled": False}})

        await stage.reconcile()

        assert stage.names(INGRESS) + stage.names(NETWORK_POLICY) == []
        assert len(stage.names(SERVICE)) == 5

    async def test_what_others_add_to_a_service_stays(self) -> None:
        """Annotations, node ports and addresses belong to whoever set them."""
        stage = Stage()
        await stage.reconcile()

        def annotate(service: Manifest) -> None:
            service["metadata"]["annotations"]["example.com/x"] = "y"
            service["spec"]["clusterIP"] = "10.96.0.7"

        stage.server.edit(SERVICE, key("demo-api"), annotate)
        stage.edit({"api": {"replicas": 3}})
        await stage.reconcile()

        service = stage.server.find(SERVICE, key("demo-api"))
        assert service["metadata"]["annotations"]["example.com/x"] == "y"
        assert service["spec"]["clusterIP"] == "10.96.0.7"

    async def test_deletion_writes_nothing(self) -> None:
        """Children go with their owner references."""
        stage = Stage(EXPOSED)
        mark = {"deletionTimestamp": "2026-11-21T12:00:00Z"}
        stage.server.edit(BIG_PEER, key("demo"), lambda peer: peer["metadata"].update(mark))

        assert await stage.reconcile() == DONE
        stage.server.remove(BIG_PEER, key("demo"))
        assert await stage.reconcile() == DONE
        assert stage.server.sent() == []


class TestEndpoints:
    async def test_an_address_that_is_not_assigned_yet(self) -> None:
        """The condition names the exposure and its Ingress."""
        stage = Stage(EXPOSED)

        await stage.reconcile()

        assert stage.condition.reason == "AddressPending"
        assert "demo-web" in stage.condition.message
        assert (stage.endpoint.reason, stage.endpoint.addresses) == ("AddressPending", ())

    async def test_addresses_are_those_of_the_real_object(self) -> None:
        """Host names and addresses, sorted; entries without either do not count."""
        stage = Stage(EXPOSED)
        await stage.reconcile()
        stage.assign(
            "demo-web", {"ip": "10.0.0.7"}, {"hostname": "a.lb.test", "ip": "10.1.1.1"}, {}
        )

        await stage.reconcile()

        assert (stage.condition.status, stage.condition.reason) == ("True", "AllServing")
        assert stage.endpoint.model_dump() == {
            "name": "web",
            "type": "Ingress",
            "urls": ("https://web.example.com",),
            "addresses": ("10.0.0.7", "a.lb.test"),
            "reason": None,
        }

    @pytest.mark.parametrize(("mode", "scheme"), [("Terminate", "https"), ("None", "http")])
    async def test_urls_say_whether_it_is_encrypted(self, mode: str, scheme: str) -> None:
        """One for each host."""
        exposure = an_exposure("web", hosts=["a.test", "b.test"], tls={"mode": mode})
        stage = Stage({"spec.exposure": [exposure]})

        await stage.reconcile()

        assert stage.endpoint.urls == (f"{scheme}://a.test", f"{scheme}://b.test")

    async def test_a_class_that_does_not_exist(self) -> None:
        """Nobody will ever serve it; when the class appears it is picked up."""
        stage = Stage(EXPOSED, ingress_class="")

        await stage.reconcile()

        assert stage.condition.reason == stage.endpoint.reason == "ClassNotFound"
        assert "nginx" in stage.condition.message

    async def test_the_first_that_does_not_serve_is_named(self) -> None:
        """The endpoints tell the rest."""
        stage = Stage({"spec.exposure": [an_exposure("a"), an_exposure("b"), an_exposure("c")]})
        await stage.reconcile()
        stage.assign("demo-a", {"ip": "10.0.0.7"})

        await stage.reconcile()

        assert "exposure b" in stage.condition.message
        assert [each.reason for each in stage.peer.status.endpoints] == [
            None,
            "AddressPending",
            "AddressPending",
        ]

    async def test_a_transition_time_is_kept(self) -> None:
        """A pass that finds nothing new writes nothing, whatever time it is."""
        stage = Stage(EXPOSED)
        await stage.reconcile()
        stage.server.sent()
        stage.manager.clock.advance(timedelta(hours=1))

        await stage.reconcile()

        assert stage.server.sent() == []
        assert stage.condition.last_transition_time == "2026-11-21T12:00:00Z"


class TestTrouble:
    async def test_a_name_that_is_taken(self) -> None:
        """It is left alone, named, and looked at again: no event of ours tells of its end."""
        stage = Stage(EXPOSED)
        foreign: Manifest = {
            "apiVersion": INGRESS.api_version,
            "kind": "Ingress",
            "metadata": {"name": "demo-web", "namespace": "shop", "uid": "somebody-else"},
            "status": {"loadBalancer": {"ingress": [{"ip": "10.9.9.9"}]}},
        }
        stage.server.put(foreign)
        before = stage.server.find(INGRESS, key("demo-web"))

        result = await stage.reconcile()

        assert result == Result(requeue_after=timedelta(seconds=15))
        assert stage.condition.reason == "NameConflict"
        assert "Ingress shop/demo-web" in stage.condition.message
        assert stage.server.find(INGRESS, key("demo-web")) == before

    async def test_addresses_of_somebody_else_are_not_ours(self) -> None:
        """A status that shows them would send devices there."""
        stage = Stage(EXPOSED)
        stage.server.put(
            {
                "apiVersion": INGRESS.api_version,
                "kind": "Ingress",
                "metadata": {"name": "demo-web", "namespace": "shop", "uid": "somebody-else"},
                "status": {"loadBalancer": {"ingress": [{"ip": "10.9.9.9"}]}},
            }
        )

        await stage.reconcile()

        assert (stage.endpoint.addresses, stage.endpoint.reason) == ((), "AddressPending")

    async def test_an_invalid_spec(self) -> None:
        """Nothing is applied; the condition names the field, and only an edit can help."""
        stage = Stage({"spec.tls": {"type": "Secrets"}, **EXPOSED})

        result = await stage.reconcile()

        assert result == DONE
        assert stage.server.sent() == ["apply BigPeer/status shop/demo"]
        assert stage.condition.reason == "InvalidSpec"
        assert "spec.tls.secrets" in stage.condition.message


class TestWakes:
    async def test_children_and_classes_wake(self) -> None:
        """An address, a Service that somebody deleted, a class that appears."""
        stage = Stage(EXPOSED, ingress_class="")
        await stage.reconcile()
        woken = await stage.manager.listen()
        told: dict[str, list[str]] = {}

        stage.assign("demo-web", {"ip": "10.0.0.7"})
        told["Ingress"] = woken.take()
        stage.server.remove(SERVICE, key("demo-api"))
        told["Service"] = woken.take()
        stage.server.remove(NETWORK_POLICY, key("demo-api"))
        told["NetworkPolicy"] = woken.take()
        stage.add_class("traefik")
        told["another class"] = woken.take()
        stage.add_class("nginx")
        told["its class"] = woken.take()

        assert told == {
            "Ingress": ["shop/demo"],
            "Service": ["shop/demo"],
            "NetworkPolicy": ["shop/demo"],
            "another class": [],
            "its class": ["shop/demo"],
        }

    async def test_its_own_status_does_not(self) -> None:
        """Else it would never rest."""
        stage = Stage(EXPOSED)
        woken = await stage.manager.listen()

        await stage.reconcile()

        assert woken.take() == ["shop/demo"]  # by the children that it made
        stage.server.edit(BIG_PEER, key("demo"), lambda peer: peer["status"].update(version="1"))
        assert woken.take() == []
