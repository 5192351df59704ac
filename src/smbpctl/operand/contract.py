"""What the Ditto Server images promise: names, ports, paths, variables, abilities. Data only."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final, final


class Component(StrEnum):
    """The parts of a Big Peer that run as pods; the value is the `component` label's value."""

    STORE = "store"
    API = "api"
    SUBSCRIPTION = "subscription"
    AUTH = "auth-server"


@final
@dataclass(frozen=True, slots=True)
class ComponentContract:
    """How a component runs: the last part of its image's name, its container, its HTTP port."""

    image: str
    container: str
    port: int


# The vendor publishes container names and ports; that the repositories are called like the
# containers is our assumption. A mirror that names them otherwise changes this table only.
COMPONENTS: Final[Mapping[Component, ComponentContract]] = MappingProxyType(
    {
        Component.STORE: ComponentContract("store-replica", "store-replica", 8080),
        Component.API: ComponentContract("api-server", "api-server", 8080),
        Component.SUBSCRIPTION: ComponentContract(
            "subscription-server", "subscription-server", 7070
        ),
        Component.AUTH: ComponentContract("auth-server", "auth-server", 7070),
    }
)
"""Image, container and port of every component."""

PATH_LIVE: Final = "/health/live"
PATH_READY: Final = "/health/ready"
PATH_METRICS: Final = "/metrics"
PATH_CLUSTER_VERSION: Final = "/cluster_version"
"""Where a member reports its configuration and progress; see `members.MemberReport`."""

PREFIX_SUBSCRIPTION: Final = "/_ditto"
PREFIX_AUTH: Final = "/_ditto/auth"
"""Prefixes by which one host serves all front-ends; the longer one must win."""

DIR_DATA: Final = "/hydra-data"
DIR_TOPOLOGY: Final = "/etc/ditto/topology"
DIR_TLS_CA: Final = "/etc/ditto/tls/ca"
DIR_TLS_IN_BAND: Final = "/etc/ditto/tls/in-band"
DIR_TLS_JWT: Final = "/etc/ditto/tls/jwt"
DIR_TRANSACTION_LOG: Final = "/etc/ditto/transaction-log"

TOPOLOGY_FILE: Final = "cluster.json"
"""The file in `DIR_TOPOLOGY`, and the key of the ConfigMap behind it; see `members.Topology`."""

LOG_BOOTSTRAP_SERVERS: Final = "bootstrap-servers"
LOG_TOPIC: Final = "topic"
LOG_SECURITY_PROTOCOL: Final = "security-protocol"
LOG_SASL_MECHANISM: Final = "sasl-mechanism"
LOG_CA: Final = "ca.crt"
LOG_CERTIFICATE: Final = "tls.crt"
LOG_KEY: Final = "tls.key"
LOG_USERNAME: Final = "username"
LOG_PASSWORD: Final = "password"
"""Files in `DIR_TRANSACTION_LOG`, and the keys of the Secret behind it."""

ENV_POD_NAME: Final = "POD_NAME"
ENV_POD_NAMESPACE: Final = "POD_NAMESPACE"
ENV_PEER: Final = "DITTO_BIG_PEER"
ENV_COMPONENT: Final = "DITTO_COMPONENT"
ENV_PARTITION: Final = "DITTO_PARTITION"
ENV_LOG_LEVEL: Final = "RUST_LOG"
ENV_LOG_FORMAT: Final = "TRACING_FORMAT"

# Members are asked one by one while writes go on. What a member lacks that was asked first is far
# below this; a member that recovers lacks far more (the vendor calls a lag under 5,000 healthy).
CATCH_UP_ALLOWANCE: Final = 1000
"""How many transactions a member may be behind and still count as caught up."""


@final
@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an image generation can do by itself, so that the operator need not do it.

    `replaces_in_place`: a member with a fresh volume under an old ordinal backfills without a
    topology transition. `hot_reloads_certificates`: a renewed certificate is served without a
    restart. `hot_reloads_topology`: a changed topology file is read without a restart.
    """

    replaces_in_place: bool
    hot_reloads_certificates: bool
    hot_reloads_topology: bool


# What nobody has confirmed counts as absent: the price is a restart or a transition too many.
CAPABILITIES: Final = Capabilities(
    replaces_in_place=False,
    hot_reloads_certificates=False,
    hot_reloads_topology=True,
)
"""Abilities of every image generation known so far."""
