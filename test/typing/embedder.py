"""An embedder's use of the whole public API: type-checked, never run (see test_typing.py).

A comment that tells a type checker to ignore a line marks a mistake that must be refused: where it
is not refused, the checkers complain about the comment.
"""
# pyright: reportUnnecessaryTypeIgnoreComment=true

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import assert_type

from smbpctl import runtime
from smbpctl.runtime import (
    DONE,
    Absent,
    Adopt,
    ApiStatusError,
    Applier,
    Cache,
    ChannelSource,
    Client,
    ClusterConfig,
    Conflict,
    Controller,
    ControllerOptions,
    Existing,
    Form,
    GroupVersionKind,
    LabelSelector,
    Manager,
    ManagerOptions,
    Manifest,
    ObjectKey,
    OptionalKind,
    Phase,
    Propagation,
    Reconciler,
    Request,
    Result,
    Runnable,
    StoredObject,
    TerminalError,
    TransportError,
    add_finalizer,
    builder,
    handler,
    has_finalizer,
    labels_equal,
    load_config,
    predicate,
    remove_finalizer,
)
from smbpctl.runtime.client import namespaced, with_field_owner

POD = GroupVersionKind("", "v1", "Pod")
WIDGET = OptionalKind("demo.example.com", "Widget", ("v1", "v1beta1"))
FINALIZER = "demo.example.com/clean"


class PodReconciler:
    """A reconciler of objects: satisfies `Reconciler` by its shape alone."""

    def __init__(self, client: Client, cache: Cache, applier: Applier) -> None:
        self._client = client
        self._cache = cache
        self._applier = applier

    async def reconcile(self, request: Request) -> Result:
        """Read, decide, write."""
        assert_type(request, Request[ObjectKey])
        pod = await self._cache.get(POD, request.key)
        if pod is None:
            return DONE
        assert_type(pod, Manifest)
        known = self._cache.meta(POD, request.key)
        assert_type(known, StoredObject | None)
        if not has_finalizer(pod, FINALIZER):
            pod = await add_finalizer(self._client, pod, FINALIZER, field_owner="demo/pod")
        try:
            report = await self._applier.apply_set(pod, [], prune=[POD])
            await self._applier.apply(pod, expectation=Existing(known.meta.uid if known else ""))
            await self._applier.apply(pod, expectation=Absent("uid"))
            await self._applier.apply(pod, expectation=Adopt(frozenset({request.key})))
        except Conflict as conflict:
            assert_type(conflict.retry_after, timedelta | None)
            raise
        except ApiStatusError as error:
            raise TerminalError("Refused", f"{error.code}: {error.message}") from error
        except TransportError as error:
            return Result(timedelta(seconds=1)) if error.sent else DONE
        if report.waiting:
            return Result(requeue_after=timedelta(seconds=5))
        await remove_finalizer(self._client, pod, FINALIZER, field_owner="demo/pod")
        return DONE.sooner(Result(timedelta(minutes=1)))


@dataclass(frozen=True)
class Tenant:
    """A key of another type: what is reconciled need not be an object."""

    name: str


class TenantReconciler:
    """A reconciler of tenants."""

    async def reconcile(self, request: Request[Tenant]) -> Result:
        """Look at the key."""
        assert_type(request.key.name, str)
        return DONE


async def verbs(client: Client, key: ObjectKey) -> None:
    """The client by itself, and wrapped."""
    own = namespaced(with_field_owner(client, "demo/pod"), key.namespace)
    assert_type(own, Client)
    stored = await own.apply({"apiVersion": "v1", "kind": "Pod"}, dry_run=True)
    assert_type(stored, Manifest)
    assert_type(await own.delete(POD, key, propagation=Propagation.ORPHAN), bool)
    everything = LabelSelector.everything()
    await own.delete_collection(POD, namespace=key.namespace, selector=everything)
    await own.delete_collection(POD, namespace=key.namespace)  # type: ignore[call-arg]
    await own.apply(stored, owner="demo")  # type: ignore[call-arg]
    await own.patch_merge(POD, key, {}, validation="Warn")  # type: ignore[arg-type]


async def pod_function(request: Request) -> Result:
    """A reconciler that is a function."""
    return Result(timedelta(hours=1)) if request.key.namespace else DONE


class Heartbeat:
    """Something that runs beside the controllers."""

    async def run(self) -> None:
        """Run."""


def neighbours(found: StoredObject) -> Iterable[Request]:
    """Name the keys that an object concerns."""
    return [Request(ObjectKey(found.meta.namespace, "neighbour"))]


def tenants(found: StoredObject) -> Iterable[Request[Tenant]]:
    """Name the tenants that an object concerns."""
    return [Request(Tenant(found.meta.name))]


def set_up(manager: Manager) -> None:
    """Add controllers and what else runs."""
    applier = Applier(
        manager.client,
        manager.cache,
        field_owner="demo/pod",
        domain="demo.example.com",
        metrics=manager.metrics,
    )
    chosen: LabelSelector = labels_equal({"app": "demo"})
    judged = predicate.spec_changed() | (predicate.labels_changed() & ~predicate.in_namespace("x"))
    channel = ChannelSource(handler.for_object())

    pods = (
        builder.controller("pods")
        .for_(POD, judged, predicate.label_selector(chosen), form=Form.FULL)
        .owns(WIDGET)
        .watches(POD, handler.map_func(neighbours), form=Form.METADATA)
        .watches_source(channel)
        .with_options(ControllerOptions(reconcile_timeout=timedelta(minutes=5)), workers=4)
        .build(manager, PodReconciler(manager.client, manager.cache, applier))
    )
    assert_type(pods, Controller[ObjectKey])
    reconciler: Reconciler[ObjectKey] = builder.reconcile_function(pod_function)
    builder.controller("function").for_(POD).build(manager, reconciler)

    by_tenant = builder.Builder[Tenant]("tenants").watches(POD, handler.map_func(tenants))
    assert_type(by_tenant.build(manager, TenantReconciler()), Controller[Tenant])

    beat: Runnable = Heartbeat()
    manager.add(beat, Phase.OTHERS, name="heartbeat")


async def main() -> None:
    """Run it all."""
    config: ClusterConfig = await load_config(Path("kubeconfig"), context="demo")
    options = ManagerOptions(namespaces=frozenset({"demo"}), field_owners=frozenset({"demo/pod"}))
    async with Manager.from_config(config, options=options) as manager:
        set_up(manager)
        await manager.run(handle_signals=False)


def mistakes(manager: Manager) -> None:
    """What must not pass: see the module's docstring."""
    pods, tenants_ = builder.controller("pods"), builder.Builder[Tenant]("tenants")
    pods.for_(POD).build(manager, TenantReconciler())  # type: ignore[arg-type]
    tenants_.for_(POD)  # type: ignore[misc]
    tenants_.watches(POD, handler.for_object())  # type: ignore[arg-type]
    tenants_.watches_source(ChannelSource(handler.for_object()))  # type: ignore[arg-type]
    pods.owns("Pod")  # type: ignore[arg-type]
    builder.reconcile_function(manager.client.get)  # type: ignore[arg-type]
    manager.add(PodReconciler, Phase.OTHERS)  # type: ignore[arg-type]
    Request("ns", "name")  # type: ignore[call-arg]
    Result(5)  # type: ignore[arg-type]
    _ = runtime.Nothing  # type: ignore[attr-defined]
