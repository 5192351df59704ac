"""What must exist before a pod's containers can be created: its volumes' and variables' sources."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, final

from smbpctl.runtime.meta import Manifest
from smbpctl.runtime.simulation.agents.sections import entries, section


class Source(Enum):
    """The kinds that a pod takes its content from."""

    SECRET = "secret"
    CONFIG_MAP = "configmap"
    CLAIM = "persistentvolumeclaim"


@final
@dataclass(frozen=True, slots=True)
class Need:
    """An object in the pod's namespace that the pod waits for.

    `volume` is the volume that mounts it, empty when an environment variable reads it; `key` is
    the entry that the variable is made of, empty for all of them.
    """

    source: Source
    name: str
    volume: str = ""
    key: str = ""


def needs_of(pod: Manifest) -> tuple[Need, ...]:
    """Return what the pod cannot start without, each once; optional sources are left out."""
    pod_name = str(section(pod, "metadata").get("name", ""))
    volumes = (
        need for volume in entries(pod, "spec", "volumes") for need in _of_volume(volume, pod_name)
    )
    containers = [*entries(pod, "spec", "initContainers"), *entries(pod, "spec", "containers")]
    variables = (need for container in containers for need in _of_environment(container))
    return tuple(dict.fromkeys([*volumes, *variables]))


def _of_volume(volume: Mapping[str, Any], pod_name: str) -> Iterator[Need]:
    name = str(volume.get("name", ""))
    if "persistentVolumeClaim" in volume:
        yield Need(Source.CLAIM, volume["persistentVolumeClaim"]["claimName"], name)
    if "ephemeral" in volume:
        yield Need(Source.CLAIM, f"{pod_name}-{name}", name)
    if "secret" in volume:
        yield from _required(Source.SECRET, volume["secret"], "secretName", name)
    if "configMap" in volume:
        yield from _required(Source.CONFIG_MAP, volume["configMap"], "name", name)
    for projected in entries(volume, "projected", "sources"):
        yield from _of_references(projected, "secret", "configMap", name)


def _of_environment(container: Mapping[str, Any]) -> Iterator[Need]:
    for source in entries(container, "envFrom"):
        yield from _of_references(source, "secretRef", "configMapRef")
    for variable in entries(container, "env"):
        yield from _of_references(section(variable, "valueFrom"), "secretKeyRef", "configMapKeyRef")


def _of_references(
    holder: Mapping[str, Any], secret: str, config_map: str, volume: str = ""
) -> Iterator[Need]:
    for source, field in ((Source.SECRET, secret), (Source.CONFIG_MAP, config_map)):
        if field in holder:
            yield from _required(source, holder[field], "name", volume)


def _required(
    source: Source, reference: Mapping[str, Any], field: str, volume: str
) -> Iterable[Need]:
    if reference.get("optional"):
        return ()
    key = "" if volume else str(reference.get("key", ""))
    return (Need(source, str(reference.get(field, "")), volume, key),)
