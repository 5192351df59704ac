"""The shared list/watch loop of one kind: server in, store and events out."""

from typing import TypeAlias

from smbpctl.runtime.informer.client import Chunks, Form, InformerOptions, ListWatchClient
from smbpctl.runtime.informer.group import InformerGroup
from smbpctl.runtime.informer.handlers import Handler, HandlerRegistration
from smbpctl.runtime.informer.informer import Informer
from smbpctl.runtime.informer.listwatch import InformerState, ReadVerb
from smbpctl.runtime.informer.patience import ends_when_silent
from smbpctl.runtime.informer.standing import Standing

AnyInformer: TypeAlias = Informer | InformerGroup
"""The informer of a kind: one, or one for each of several namespaces."""

__all__ = [
    "AnyInformer",
    "Chunks",
    "Form",
    "Handler",
    "HandlerRegistration",
    "Informer",
    "InformerGroup",
    "InformerOptions",
    "InformerState",
    "ListWatchClient",
    "ReadVerb",
    "Standing",
    "ends_when_silent",
]
