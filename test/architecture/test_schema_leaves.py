"""A field enters the CRD together with its behaviour: every leaf of the spec is read by some code.

The table says which module outside `api` acts upon a leaf. A new field needs a line here, and the
line is believed only when the syntax tree of that module contains the read. Objects on the way to
a leaf must be read too, or a shared type (a Secret reference, a resource list) would vouch for
every place it is used at.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, get_args

import pytest

import smbpctl
from smbpctl.api.v1alpha1 import BigPeerSpec
from smbpctl.api.v1alpha1.model import Model
from smbpctl.api.v1alpha1.schema import object_schema
from test.support.attribute_reads import attribute_reads

SOURCE = Path(smbpctl.__file__).parent
READERS = ("resources", "plans", "conditions", "reconcilers", "operand", "observed.py")

LOG = "spec.transactionLog"
READ_BY: Mapping[str, str] = {
    "spec.version": "resources/pods.py",
    "spec.image.prefix": "reconcilers/operator.py",
    "spec.image.pullPolicy": "resources/pods.py",
    "spec.image.pullSecrets[].name": "resources/pods.py",
    "spec.store.partitions": "resources/topology.py",
    "spec.store.replicas": "resources/store.py",
    "spec.store.minimumReplicas": "plans/rollout.py",
    "spec.store.storage.size": "plans/storage.py",
    "spec.store.storage.storageClassName": "resources/store.py",
    "spec.store.resources.requests": "resources/pods.py",
    "spec.store.resources.limits": "resources/pods.py",
    "spec.api.replicas": "resources/frontends.py",
    "spec.api.resources.requests": "resources/pods.py",
    "spec.api.resources.limits": "resources/pods.py",
    "spec.subscriptions.replicas": "resources/frontends.py",
    "spec.subscriptions.resources.requests": "resources/pods.py",
    "spec.subscriptions.resources.limits": "resources/pods.py",
    "spec.auth.replicas": "resources/frontends.py",
    "spec.auth.resources.requests": "resources/pods.py",
    "spec.auth.resources.limits": "resources/pods.py",
    f"{LOG}.type": "reconcilers/transaction_log.py",
    f"{LOG}.external.bootstrapServers": "reconcilers/connection.py",
    f"{LOG}.external.tls.caSecretRef.name": "reconcilers/connection.py",
    f"{LOG}.external.authentication.type": "reconcilers/connection.py",
    f"{LOG}.external.authentication.tls.secretRef.name": "reconcilers/connection.py",
    f"{LOG}.external.authentication.scram.mechanism": "reconcilers/connection.py",
    f"{LOG}.external.authentication.scram.secretRef.name": "reconcilers/connection.py",
    f"{LOG}.strimzi.version": "resources/kafka.py",
    f"{LOG}.strimzi.brokers": "resources/kafka.py",
    f"{LOG}.strimzi.storage.size": "resources/kafka.py",
    f"{LOG}.strimzi.storage.storageClassName": "resources/kafka.py",
    f"{LOG}.strimzi.resources.requests": "resources/kafka.py",
    f"{LOG}.strimzi.resources.limits": "resources/kafka.py",
    f"{LOG}.topic.name": "resources/kafka.py",
    f"{LOG}.topic.replicas": "resources/kafka.py",
    f"{LOG}.topic.minInSyncReplicas": "resources/kafka.py",
    f"{LOG}.topic.retention": "resources/kafka.py",
    f"{LOG}.topic.maxMessageBytes": "resources/kafka.py",
    "spec.tls.type": "reconcilers/tls.py",
    "spec.tls.certManager.issuerRef.name": "resources/certificates.py",
    "spec.tls.certManager.issuerRef.kind": "resources/certificates.py",
    "spec.tls.certManager.issuerRef.group": "resources/certificates.py",
    "spec.tls.certManager.duration": "resources/certificates.py",
    "spec.tls.certManager.renewBefore": "resources/certificates.py",
    "spec.tls.secrets.ca.name": "resources/naming.py",
    "spec.tls.secrets.inBand.name": "resources/naming.py",
    "spec.tls.secrets.jwt.name": "resources/naming.py",
    "spec.tls.secrets.serving.name": "resources/naming.py",
    "spec.exposure[].name": "resources/naming.py",
    "spec.exposure[].type": "reconcilers/networking.py",
    "spec.exposure[].component": "resources/ingress.py",
    "spec.exposure[].hosts": "resources/ingress.py",
    "spec.exposure[].tls.mode": "resources/naming.py",
    "spec.exposure[].tls.secretRef.name": "resources/naming.py",
    "spec.exposure[].annotations": "resources/ingress.py",
    "spec.exposure[].labels": "resources/ingress.py",
    "spec.exposure[].ingress.className": "resources/ingress.py",
    "spec.exposure[].ingress.pathType": "resources/ingress.py",
    "spec.networkPolicy.enabled": "resources/network_policies.py",
    "spec.networkPolicy.clients[].namespaceSelector.matchLabels": "resources/network_policies.py",
    "spec.networkPolicy.clients[].podSelector.matchLabels": "resources/network_policies.py",
    "spec.update.settleSeconds": "plans/rollout.py",
    "spec.deletionPolicy": "plans/storage.py",
}


@dataclass(frozen=True, slots=True)
class Read:
    """A read of an attribute from an object that goes by one of these names."""

    owners: frozenset[str]
    attribute: str

    def is_in(self, reads: set[tuple[str, str]]) -> bool:
        """Tell whether a module's reads contain it."""
        if any((owner, self.attribute) in reads for owner in self.owners):
            return True
        # Of an object that nothing is known of, an attribute is believed if only one model has it.
        return ATTRIBUTES[self.attribute] == 1 and ("", self.attribute) in reads


@dataclass(frozen=True, slots=True)
class Computed:
    """A field that `api` itself turns into what others read: the module that does, and that."""

    by: str
    instead: Read


COMPUTED: Mapping[tuple[str, str], Computed] = {
    ("ImageSpec", "prefix"): Computed(
        "defaults.py", Read(frozenset({"Effective", "effective"}), "image_prefix")
    ),
    ("StoreSpec", "minimum_replicas"): Computed(
        "defaults.py", Read(frozenset({"Effective", "effective"}), "minimum_replicas")
    ),
    ("TopicSpec", "name"): Computed("defaults.py", Read(frozenset({"topic"}), "name")),
    ("TopicSpec", "replicas"): Computed("defaults.py", Read(frozenset({"topic"}), "replicas")),
    ("TopicSpec", "min_in_sync_replicas"): Computed(
        "defaults.py", Read(frozenset({"topic"}), "min_in_sync_replicas")
    ),
    ("TlsSpec", "cert_manager"): Computed(
        "tls.py", Read(frozenset({"tls", "TlsSpec"}), "issuance")
    ),
    ("UpdateSpec", "settle_seconds"): Computed(
        "store.py", Read(frozenset({"update", "UpdateSpec"}), "settle")
    ),
}


@dataclass(frozen=True, slots=True)
class Step:
    """One attribute on the way from the spec to a leaf, and the model that has it."""

    model: type[Model]
    attribute: str
    parents: tuple[str, ...]

    @property
    def reads(self) -> tuple[Read, ...]:
        """How code outside `api` may read it: the attribute itself, or what is computed from it."""
        direct = Read(frozenset({self.model.__name__, *self.parents}), self.attribute)
        computed = COMPUTED.get((self.model.__name__, self.attribute))
        return (direct, computed.instead) if computed else (direct,)

    def is_in(self, reads: set[tuple[str, str]]) -> bool:
        """Tell whether a module's reads contain it."""
        return any(read.is_in(reads) for read in self.reads)


def models_in(annotation: Any) -> Iterator[type[Model]]:
    """Every model in a type annotation."""
    if isinstance(annotation, type) and issubclass(annotation, Model):
        yield annotation
    for argument in get_args(annotation):
        yield from models_in(argument)


def way_to(leaf: str) -> tuple[Step, ...]:
    """The attributes that lead from the spec to a leaf of the CRD."""
    model: type[Model] = BigPeerSpec
    steps: list[Step] = []
    parents: tuple[str, ...] = ("spec",)
    for alias in leaf.replace("[]", "").split(".")[1:]:
        attribute = next(name for name, f in model.model_fields.items() if f.alias == alias)
        steps.append(Step(model, attribute, parents))
        # An object goes by the name of the field, or of what is computed from it (`issuance`).
        parents = tuple(read.attribute for read in steps[-1].reads)
        model = next(models_in(model.model_fields[attribute].annotation), model)
    return tuple(steps)


def all_models(model: type[Model], seen: set[type[Model]]) -> set[type[Model]]:
    """A model and every model inside it."""
    if model not in seen:
        seen.add(model)
        for field in model.model_fields.values():
            for inner in models_in(field.annotation):
                all_models(inner, seen)
    return seen


MODELS = all_models(BigPeerSpec, set())
HOLDERS: Mapping[str, set[str]] = {
    model.__name__: {
        name
        for holder in MODELS
        for name, field in holder.model_fields.items()
        if model in models_in(field.annotation)
    }
    for model in MODELS
}
"""The attributes that hold a model, by the model's name."""

ATTRIBUTES = Counter(name for model in MODELS for name in model.model_fields)
"""How many models of the spec have an attribute of this name."""


def leaves(schema: Mapping[str, Any], path: str) -> Iterator[str]:
    """Every leaf of a schema: scalars, lists of scalars, maps."""
    if "items" in schema and "properties" in schema["items"]:
        yield from leaves(schema["items"], f"{path}[]")
    elif "properties" in schema:
        for name, child in schema["properties"].items():
            yield from leaves(child, f"{path}.{name}")
    else:
        yield path


@cache
def reads_of(file: Path) -> set[tuple[str, str]]:
    """What a module reads."""
    return attribute_reads(file)


@cache
def reads_outside_the_api() -> set[tuple[str, str]]:
    """What all modules that act upon a BigPeer read."""
    files = [
        file
        for reader in READERS
        for file in (
            [SOURCE / reader] if reader.endswith(".py") else (SOURCE / reader).rglob("*.py")
        )
    ]
    return set().union(*(reads_of(file) for file in files))


def test_table_names_exactly_the_leaves() -> None:
    """A field without a line has no reader; a line without a field is out of date."""
    found = set(leaves(object_schema()["properties"]["spec"], "spec"))

    assert set(READ_BY) == found


def test_readers_are_outside_the_api() -> None:
    """A default, a rule or a schema is no behaviour."""
    assert {module.partition("/")[0] for module in READ_BY.values()} <= set(READERS)


@pytest.mark.parametrize("leaf", READ_BY)
def test_leaf_is_read(leaf: str) -> None:
    """The module named in the table reads the attribute, from an object of the right kind."""
    step = way_to(leaf)[-1]

    assert step.is_in(reads_of(SOURCE / READ_BY[leaf]))


@pytest.mark.parametrize("leaf", READ_BY)
def test_the_way_to_a_leaf_is_read(leaf: str) -> None:
    """Every object that contains the leaf is read somewhere, so that the leaf can be reached."""
    unread = [step for step in way_to(leaf)[:-1] if not step.is_in(reads_outside_the_api())]

    assert unread == []


@pytest.mark.parametrize(("model", "attribute"), COMPUTED)
def test_computed_fields_are_read_by_the_api(model: str, attribute: str) -> None:
    """What others read instead of a field is really made from that field."""
    reads = reads_of(SOURCE / "api" / "v1alpha1" / COMPUTED[model, attribute].by)
    direct = Read(frozenset({model, *HOLDERS[model]}), attribute)

    assert direct.is_in(reads)
