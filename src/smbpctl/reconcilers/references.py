"""Which BigPeers an object concerns: by the label it carries, or because a spec names it."""

from collections.abc import Callable, Iterable
from typing import Final

from smbpctl.api.v1alpha1 import BIG_PEER, BigPeer, InvalidSpec
from smbpctl.resources import naming
from smbpctl.runtime.cache import Cache
from smbpctl.runtime.meta import ObjectKey, StoredObject
from smbpctl.runtime.reconcile import Request

SECRETS: Final = "smbpctl.dev/secrets"
INGRESS_CLASSES: Final = "smbpctl.dev/ingress-classes"
"""Names of the cache's indexes over BigPeers."""


def by_label(stored: StoredObject) -> Iterable[Request]:
    """Return the BigPeer that an object's label names."""
    name = (stored.meta.labels or {}).get(naming.LABEL_PEER)
    return [Request(ObjectKey(stored.meta.namespace, name))] if name else []


def secret_names(peer: BigPeer) -> tuple[str, ...]:
    """Return every Secret whose content matters to a BigPeer, each once."""
    names = [
        naming.ca_secret(peer),
        naming.in_band_secret(peer),
        naming.jwt_secret(peer),
        naming.connection_secret(peer),
        *(secret for e in peer.spec.exposure if (secret := naming.serving_secret(peer, e))),
    ]
    log = peer.spec.transaction_log
    if log.strimzi is not None:
        names += [f"{naming.kafka_name(peer)}-cluster-ca-cert", naming.kafka_user_name(peer)]
    if log.external is not None:
        authentication = log.external.authentication
        references = [
            log.external.tls.ca_secret_ref if log.external.tls is not None else None,
            authentication.tls.secret_ref if authentication.tls is not None else None,
            authentication.scram.secret_ref if authentication.scram is not None else None,
        ]
        names += [reference.name for reference in references if reference is not None]
    return tuple(dict.fromkeys(names))


def add_indexes(cache: Cache) -> None:
    """Index the BigPeers by what their specs name; safe to repeat."""
    cache.add_index(BIG_PEER, SECRETS, _indexed(_secret_keys))
    cache.add_index(BIG_PEER, INGRESS_CLASSES, _indexed(_class_names))


def users_of_secret(cache: Cache) -> Callable[[StoredObject], Iterable[Request]]:
    """Return the mapping from a Secret to the BigPeers to which its content matters."""
    return lambda stored: _users(cache, SECRETS, str(stored.key))


def users_of_class(cache: Cache) -> Callable[[StoredObject], Iterable[Request]]:
    """Return the mapping from an IngressClass to the BigPeers with an exposure of that class."""
    return lambda stored: _users(cache, INGRESS_CLASSES, stored.meta.name)


def _users(cache: Cache, index: str, value: str) -> list[Request]:
    return [Request(peer.key) for peer in cache.metas(BIG_PEER, index=(index, value))]


def _indexed(
    values: Callable[[BigPeer], Iterable[str]],
) -> Callable[[StoredObject], Iterable[str]]:
    def index(stored: StoredObject) -> Iterable[str]:
        try:
            return values(BigPeer.parse(stored.manifest()))
        except InvalidSpec:  # reported by the reconcilers; an index only finds fewer
            return ()

    return index


def _secret_keys(peer: BigPeer) -> list[str]:
    return [str(ObjectKey(peer.namespace, name)) for name in secret_names(peer)]


def _class_names(peer: BigPeer) -> list[str]:
    return [e.ingress.class_name for e in peer.spec.exposure if e.ingress is not None]
