"""Shared informers by kind and the cached reader over them."""

from smbpctl.runtime.cache.cache import Cache, CacheClient, KindStatus
from smbpctl.runtime.cache.digests import CONFIG_MAP, SECRET
from smbpctl.runtime.cache.optional import OptionalInformer, ServedKinds

__all__ = [
    "CONFIG_MAP",
    "SECRET",
    "Cache",
    "CacheClient",
    "KindStatus",
    "OptionalInformer",
    "ServedKinds",
]
