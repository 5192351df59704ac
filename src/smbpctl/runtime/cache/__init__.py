"""Shared informers by kind and the cached reader over them."""

from smbpctl.runtime.cache.cache import Cache, KindStatus
from smbpctl.runtime.cache.client import CacheClient
from smbpctl.runtime.cache.digests import CONFIG_MAP, SECRET
from smbpctl.runtime.cache.making import EVERYTHING, Selection
from smbpctl.runtime.cache.optional import OptionalInformer, ServedKinds

__all__ = [
    "CONFIG_MAP",
    "EVERYTHING",
    "SECRET",
    "Cache",
    "CacheClient",
    "KindStatus",
    "OptionalInformer",
    "Selection",
    "ServedKinds",
]
