"""Keeps equal values once: labels, owner references and field sets, which many objects share."""

from collections.abc import Hashable, Mapping
from typing import TypeVar, final

import msgspec

from smbpctl.runtime.meta import OwnerReference
from smbpctl.runtime.store.labels import Labels

_K = TypeVar("_K", bound=Hashable)
_V = TypeVar("_V")

# What repeats, repeats among objects that come one after the other. The tables are emptied at
# this size, so that values no object carries any more do not pile up.
_MOST = 1024

_LABELS = msgspec.json.Decoder(dict[str, str] | None)
_OWNERS: msgspec.json.Decoder[tuple[OwnerReference, ...] | None] = msgspec.json.Decoder(
    tuple[OwnerReference, ...] | None
)


@final
class Interned:
    """The values of one kind that are kept once, found by the JSON they come from.

    What is returned is shared by many objects and must not be changed. Malformed JSON raises
    what msgspec raises: ValueError or RecursionError.
    """

    __slots__ = ("_fields", "_labels", "_names", "_owners", "_sets", "_words")

    def __init__(self) -> None:
        self._words: dict[str, str] = {}
        self._names: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._labels: dict[bytes, Labels] = {}
        self._owners: dict[bytes, tuple[OwnerReference, ...] | None] = {}
        self._fields: dict[bytes, bytes] = {}
        self._sets: dict[tuple[tuple[str, bytes], ...], dict[str, bytes]] = {}

    def word(self, text: str) -> str:
        """Return the string kept for one that many objects have: a namespace, a label's key."""
        return _kept(self._words, text, text)

    def labels(self, json: bytes, owner: str) -> Labels | None:
        """Return the labels that `json` says; `owner` is the name of the object they are on."""
        known = self._labels.get(json)
        if known is not None:
            return known
        decoded = _LABELS.decode(json)
        if decoded is None:
            return None
        words = self._words
        if len(words) >= _MOST:
            words.clear()
        names = tuple(decoded)
        # Many objects are labelled with their own name: that string is there already, and no
        # other object has these labels.
        texts = [
            owner if each == owner else words.setdefault(each, each) for each in decoded.values()
        ]
        labels = Labels(self._names.get(names) or _kept(self._names, names, names), tuple(texts))
        return labels if owner in texts else _kept(self._labels, json, labels)

    def owners(self, json: bytes) -> tuple[OwnerReference, ...] | None:
        """Return the owner references that `json` says."""
        try:
            return self._owners[json]
        except KeyError:
            return _kept(self._owners, json, _OWNERS.decode(json))

    def field_sets(self, sets: Mapping[str, bytes]) -> dict[str, bytes]:
        """Return a mapping equal to `sets`."""
        kept = {owner: _kept(self._fields, each, each) for owner, each in sets.items()}
        return _kept(self._sets, tuple(kept.items()), kept)


def _kept(table: dict[_K, _V], key: _K, value: _V) -> _V:
    if len(table) >= _MOST:
        table.clear()
    return table.setdefault(key, value)
