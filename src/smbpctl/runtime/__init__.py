"""A controller runtime for asyncio: the names an embedder needs, each imported when first used.

Importing this package loads nothing else and changes nothing global, so that pure code can take
`smbpctl.runtime.meta` without pulling in HTTP or metrics. What is not named here is found in the
module of its topic and is public too, but may move between minor versions.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from smbpctl.runtime import builder, handler, predicate
    from smbpctl.runtime.apply import Absent, Adopt, Applier, Existing
    from smbpctl.runtime.cache import Cache
    from smbpctl.runtime.client import Client, Propagation
    from smbpctl.runtime.cluster import Cluster
    from smbpctl.runtime.controller import Controller, ControllerOptions
    from smbpctl.runtime.discovery import OptionalKind
    from smbpctl.runtime.errors import ApiStatusError, Conflict, TerminalError, TransportError
    from smbpctl.runtime.finalizer import add_finalizer, has_finalizer, remove_finalizer
    from smbpctl.runtime.informer import Form
    from smbpctl.runtime.leader import LeaderElection
    from smbpctl.runtime.manager import Manager, ManagerOptions, Phase, Runnable
    from smbpctl.runtime.meta import (
        GroupVersionKind,
        LabelSelector,
        Manifest,
        ObjectKey,
        StoredObject,
        labels_equal,
    )
    from smbpctl.runtime.reconcile import DONE, Reconciler, Request, Result
    from smbpctl.runtime.source import ChannelSource
    from smbpctl.runtime.transport import ClusterConfig, load_config

__all__ = [  # noqa: RUF022 - grouped by what one is about to do, not sorted
    # run
    "Cluster",
    "ClusterConfig",
    "LeaderElection",
    "Manager",
    "ManagerOptions",
    "Phase",
    "Runnable",
    "load_config",
    # reconcile
    "Controller",
    "ControllerOptions",
    "DONE",
    "Reconciler",
    "Request",
    "Result",
    "TerminalError",
    "builder",
    # watch
    "ChannelSource",
    "Form",
    "OptionalKind",
    "handler",
    "predicate",
    # name objects
    "GroupVersionKind",
    "LabelSelector",
    "Manifest",
    "ObjectKey",
    "StoredObject",
    "labels_equal",
    # read and write
    "Absent",
    "Adopt",
    "Applier",
    "Cache",
    "Client",
    "Existing",
    "Propagation",
    "add_finalizer",
    "has_finalizer",
    "remove_finalizer",
    # fail
    "ApiStatusError",
    "Conflict",
    "TransportError",
]

_NAMES_BY_MODULE = {
    "apply": ("Absent", "Adopt", "Applier", "Existing"),
    "cache": ("Cache",),
    "client": ("Client", "Propagation"),
    "cluster": ("Cluster",),
    "controller": ("Controller", "ControllerOptions"),
    "discovery": ("OptionalKind",),
    "errors": ("ApiStatusError", "Conflict", "TerminalError", "TransportError"),
    "finalizer": ("add_finalizer", "has_finalizer", "remove_finalizer"),
    "informer": ("Form",),
    "leader": ("LeaderElection",),
    "manager": ("Manager", "ManagerOptions", "Phase", "Runnable"),
    "meta": (
        *("GroupVersionKind", "LabelSelector", "Manifest"),
        *("ObjectKey", "StoredObject", "labels_equal"),
    ),
    "reconcile": ("DONE", "Reconciler", "Request", "Result"),
    "source": ("ChannelSource",),
    "transport": ("ClusterConfig", "load_config"),
}
_MODULE_OF = {name: module for module, names in _NAMES_BY_MODULE.items() for name in names}
# As modules: the function `builder.controller` cannot be a name of this package, which has a
# submodule of that name.
_SUBMODULES = ("builder", "handler", "predicate")

if not TYPE_CHECKING:  # a type checker must see unknown names as errors

    def __getattr__(name: str) -> object:
        if name in _SUBMODULES:
            return importlib.import_module(f"{__name__}.{name}")
        if name not in _MODULE_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
