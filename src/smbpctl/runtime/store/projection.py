"""Keeps of each object only the fields a controller declares, and says so when others are read."""

from collections.abc import Iterator, Mapping
from types import NoneType
from typing import Any, TypeAlias, cast, final, get_args

import msgspec

from smbpctl.runtime.errors import OutsideProjection
from smbpctl.runtime.meta import Manifest

Tree: TypeAlias = dict[str, "Tree | None"]
"""The fields kept of an object: None where all that is below is kept."""

_ALWAYS = ("apiVersion", "kind", "metadata")


@final
class Projection:
    """The fields that are kept of each object of a kind, besides its metadata.

    Paths are field names with dots between: `spec.replicas`, `status.conditions`; names that have
    dots or slashes cannot be declared, but what holds them can. A list is kept whole or not at
    all. Projecting is idempotent, and leaves the JSON of what is kept as it is, byte for byte.

    Manifests of projected objects raise `OutsideProjection` when a field is read that is not
    kept, instead of looking as if the object did not have it.
    """

    __slots__ = ("_checked", "_decoder", "_tree", "paths")

    def __init__(self, *paths: str) -> None:
        """Keep these paths; raise ValueError for none, and for one that is malformed."""
        if not paths:
            raise ValueError("a projection needs a path; metadata alone is Form.METADATA")
        self.paths: tuple[str, ...] = tuple(sorted(set(paths)))
        self._tree: Tree = dict.fromkeys(_ALWAYS)
        for path in self.paths:
            _plant(self._tree, path)
        self._decoder = msgspec.json.Decoder(_struct(self._tree))
        self._checked: set[type[object]] = set()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Projection) and self.paths == other.paths

    def __hash__(self) -> int:
        return hash(self.paths)

    def __repr__(self) -> str:
        return f"Projection({', '.join(map(repr, self.paths))})"

    def of(self, raw: bytes) -> bytes:
        """Return the JSON of an object less what is not kept."""
        try:
            # Nothing but the levels above a path is taken apart: what is kept is copied as bytes.
            return bytes(msgspec.json.encode(self._decoder.decode(raw)))
        except msgspec.ValidationError:
            # A path leads through something that is no object.
            return msgspec.json.encode(_cut(msgspec.json.decode(raw), self._tree))

    def manifest(self, decoded: Manifest, what: str) -> Manifest:
        """Return an object that raises OutsideProjection where it is not known what it had."""
        return _Known(decoded, self._tree, what)

    def check(self, model: type[object], what: str) -> None:
        """Raise OutsideProjection when a pydantic model or a Struct has fields that are not kept.

        Other types, which take whatever there is, are refused.
        """
        if model in self._checked:
            return
        if missing := sorted(_unknown(model, self._tree, "")):
            fields = ", ".join(missing)
            raise OutsideProjection(
                f"{what} cannot be read as {model.__name__}: the cache does not keep {fields}"
            )
        self._checked.add(model)


class _Known(dict[str, Any]):
    """One level of an object of which not every field is known.

    A dict, because manifests are; its plain reads are refused where they would show a hole.
    """

    __slots__ = ("_tree", "_what")

    def __init__(self, known: Mapping[str, Any], tree: Tree, what: str) -> None:
        super().__init__(known)
        self._tree = tree
        self._what = what
        for name, below in tree.items():
            if below is not None and isinstance(value := known.get(name), dict):
                level = cast("dict[str, Any]", value)
                self[name] = _Known(level, below, what)

    def __missing__(self, name: str) -> Any:
        self._check(name)
        raise KeyError(name)

    def __contains__(self, name: object) -> bool:
        self._check(name)
        return super().__contains__(name)

    def get(self, name: str, default: Any = None) -> Any:
        """Return a field, `default` where the object has none."""
        self._check(name)
        return super().get(name, default)

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)

    def _check(self, name: object) -> None:
        if name not in self._tree and not super().__contains__(name):
            known = ", ".join(sorted(self._tree))
            raise OutsideProjection(f"{self._what} is cached without {name}; what is kept: {known}")


def _plant(tree: Tree, path: str) -> None:
    names = path.split(".")
    if not all(names):
        raise ValueError(f"{path!r} is no path of field names")
    if names[0] in _ALWAYS:
        return
    for name in names[:-1]:
        below = tree.setdefault(name, {})
        if below is None:
            return
        tree = below
    tree[names[-1]] = None


def _struct(tree: Tree) -> type[msgspec.Struct]:
    """Make a type that decodes the levels above the paths and leaves the rest as bytes."""
    numbered = {f"field{number}": name for number, name in enumerate(tree)}
    fields: list[tuple[str, Any, Any]] = []
    for field, name in numbered.items():
        below = tree[name]
        kept: Any = msgspec.Raw if below is None else _struct(below) | None
        fields.append((field, kept | msgspec.UnsetType, msgspec.UNSET))
    return msgspec.defstruct("Projected", fields, rename=numbered, gc=False)


def _cut(value: Any, tree: Tree | None) -> Any:
    if tree is None or not isinstance(value, dict):
        return value
    level = cast("dict[str, Any]", value)
    return {name: _cut(below, tree[name]) for name, below in level.items() if name in tree}


def _unknown(model: type[object], tree: Tree, above: str) -> Iterator[str]:
    """Yield the fields that a model has and `tree` keeps not, or only in part."""
    fields = _fields_of(model)
    if fields is None:
        yield f"all of {above.removesuffix('.') or 'it'}"
        return
    for name, annotation in fields.items():
        if name not in tree:
            yield above + name
        elif (below := tree[name]) is not None:
            yield from _unknown(_model_in(annotation), below, f"{above}{name}.")


def _fields_of(model: type[object]) -> dict[str, Any] | None:
    """Return the annotations of a model's fields by their names in JSON; None if it has none."""
    if issubclass(model, msgspec.Struct):
        return {each.encode_name: each.type for each in msgspec.structs.fields(model)}
    described: Mapping[str, Any] | None = getattr(model, "model_fields", None)
    if described is None:
        return None
    return {each.alias or name: each.annotation for name, each in described.items()}


def _model_in(annotation: Any) -> type[object]:
    """Return the class in an annotation such as `Spec | None`."""
    classes = [each for each in get_args(annotation) or (annotation,) if each is not NoneType]
    only = classes[0] if len(classes) == 1 else object
    return only if isinstance(only, type) else object
