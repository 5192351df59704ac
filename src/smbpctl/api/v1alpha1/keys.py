"""The keys of maps: label keys, annotation keys and resource names, which no schema can check."""

import re
from collections.abc import Iterable, Iterator, Mapping

from smbpctl.api.v1alpha1.fields import ResourcesSpec
from smbpctl.api.v1alpha1.model import Model
from smbpctl.api.v1alpha1.networking import ExposureSpec, PeerSelector

RESERVED_DOMAIN = "smbpctl.dev"
"""Labels and annotations of this domain are the operator's own."""

# https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set
_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_PREFIX = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_MAX_PREFIX = 253

# Names without a domain are Kubernetes' own, and these are the ones a container may ask for.
_NATIVE_RESOURCE = re.compile(r"cpu|memory|ephemeral-storage|hugepages-[0-9]+[KMG]i")


def key_errors(value: Model) -> Iterator[tuple[str, str]]:
    """Return what is wrong with the map keys of one object, as pairs of field and message."""
    match value:
        case ExposureSpec():
            for field, entries in (("annotations", value.annotations), ("labels", value.labels)):
                yield from _malformed(field, entries)
                yield from _reserved(field, entries)
        case PeerSelector():
            yield from _malformed("matchLabels", value.match_labels)
        case ResourcesSpec():
            yield from _not_resources("requests", value.requests)
            yield from _not_resources("limits", value.limits)
        case _:
            return


def is_qualified_name(key: str) -> bool:
    """Tell whether a key is a name of at most 63 characters, after an optional DNS prefix."""
    prefix, slash, name = key.rpartition("/")
    if slash and not (len(prefix) <= _MAX_PREFIX and _PREFIX.fullmatch(prefix)):
        return False
    return _NAME.fullmatch(name) is not None


def _malformed(field: str, keys: Iterable[str]) -> Iterator[tuple[str, str]]:
    for key in keys:
        if not is_qualified_name(key):
            yield field, f"{key!r} must be a name, or a DNS subdomain, '/' and a name"


def _reserved(field: str, keys: Iterable[str]) -> Iterator[tuple[str, str]]:
    for key in keys:
        domain = key.rpartition("/")[0]
        if domain == RESERVED_DOMAIN or domain.endswith(f".{RESERVED_DOMAIN}"):
            yield field, f"{key!r} is reserved: {RESERVED_DOMAIN} is the operator's own domain"


def _not_resources(field: str, amounts: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name in amounts:
        native = _NATIVE_RESOURCE.fullmatch(name)
        if not native and not ("/" in name and is_qualified_name(name)):
            yield field, f"{name!r} is no resource: cpu, memory, or a name with its domain"
