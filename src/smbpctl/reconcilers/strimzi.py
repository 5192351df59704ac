"""What Strimzi says of its objects: conditions are irregular, so each kind is read its own way."""

from collections.abc import Mapping
from typing import Any

from smbpctl.observed import LogPart
from smbpctl.reconcilers.facts import items, mapping
from smbpctl.resources.kafka import LISTENER
from smbpctl.runtime.meta import Manifest, metadata_of


def part_fact(kind: str, name: str, manifest: Manifest | None) -> LogPart:
    """Return whether a Kafka, KafkaTopic or KafkaUser is ready, and its words if not.

    Kafka and KafkaUser fail with a condition NotReady that is *True* and have no Ready then;
    KafkaTopic fails with Ready=False. Ready counts only for the newest generation.
    """
    if manifest is None:
        return LogPart(kind, name, ready=False, message="waits to be created")
    status = mapping(manifest.get("status"))
    conditions = {entry.get("type"): entry for entry in items(status.get("conditions"))}
    paused = _first_true(conditions, "ReconciliationPaused", "Unmanaged")
    if paused is not None:
        words = (str(paused.get("reason") or paused.get("type")), str(paused.get("message") or ""))
        return LogPart(kind, name, False, *words, paused=True)
    generation = int(metadata_of(manifest).get("generation") or 0)
    seen = int(status.get("observedGeneration") or 0)
    ready = conditions.get("Ready", {})
    if ready.get("status") == "True" and seen >= generation:
        return LogPart(kind, name, ready=True)
    told = _first_true(conditions, "NotReady") or (ready if ready.get("status") == "False" else {})
    return LogPart(kind, name, False, str(told.get("reason") or ""), str(told.get("message") or ""))


def bootstrap_servers(kafka: Manifest | None) -> tuple[str, ...]:
    """Return the addresses of our listener as Strimzi reports them; empty until it does."""
    listeners = items(mapping((kafka or {}).get("status")).get("listeners"))
    servers = (
        str(listener.get("bootstrapServers") or "")
        for listener in listeners
        if listener.get("name") == LISTENER
    )
    return tuple(server for listed in servers for server in listed.split(",") if server)


def user_secret(user: Manifest | None) -> str:
    """Return the name of the Secret with a user's credentials; empty until Strimzi says it."""
    return str(mapping((user or {}).get("status")).get("secret") or "")


def _first_true(
    conditions: Mapping[Any, Mapping[str, Any]], *types: str
) -> Mapping[str, Any] | None:
    found = (conditions.get(name, {}) for name in types)
    return next((entry for entry in found if entry.get("status") == "True"), None)
