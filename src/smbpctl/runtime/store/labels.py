"""The labels of an object, in a third of the memory of a dict."""

from abc import ABCMeta
from collections.abc import Iterator, KeysView, Mapping
from typing import TypeVar, cast, final

import msgspec

_D = TypeVar("_D")


@final
class Labels(msgspec.Struct, frozen=True, gc=False, eq=False):
    """Satisfies `Mapping[str, str]`; equal to any mapping of the same content.

    The keys are shared by all objects that have the same ones, which is nearly all of a kind.
    Objects have few labels: looking through them is as quick as hashing.
    """

    names: tuple[str, ...]
    texts: tuple[str, ...]

    def __getitem__(self, name: str) -> str:
        if name in self.names:
            return self.texts[self.names.index(name)]
        raise KeyError(name)

    def get(self, name: str, default: "str | _D | None" = None) -> "str | _D | None":
        """Return the value of a label, `default` where there is none."""
        return self[name] if name in self.names else default

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Labels) and self.names == other.names:
            return self.texts == other.texts
        return isinstance(other, Mapping) and dict(self.items()) == dict(
            cast("Mapping[str, str]", other)
        )

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(frozenset(self.items()))

    def __repr__(self) -> str:
        return repr(dict(self.items()))

    def keys(self) -> KeysView[str]:
        """Return the names of the labels."""
        return dict.fromkeys(self.names).keys()

    def values(self) -> tuple[str, ...]:
        """Return the values, in the order of the names."""
        return self.texts

    def items(self) -> tuple[tuple[str, str], ...]:
        """Return names with values."""
        return tuple(zip(self.names, self.texts, strict=True))


cast("ABCMeta", Mapping).register(Labels)
