"""The shared list/watch loop of one kind: server in, store and events out."""

from smbpctl.runtime.informer.client import Chunks, Form, ListWatchClient, Pacing
from smbpctl.runtime.informer.handlers import Handler, HandlerRegistration
from smbpctl.runtime.informer.informer import Informer
from smbpctl.runtime.informer.listwatch import InformerState
from smbpctl.runtime.informer.patience import ends_when_silent

__all__ = [
    "Chunks",
    "Form",
    "Handler",
    "HandlerRegistration",
    "Informer",
    "InformerState",
    "ListWatchClient",
    "Pacing",
    "ends_when_silent",
]
