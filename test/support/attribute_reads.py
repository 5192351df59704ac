"""Which attributes of which objects a module reads, found in its syntax tree.

Names are followed one step: a parameter or variable stands for its annotation, for the attribute
it was assigned from, or for the attribute it iterates over. That is enough to tell
`peer.spec.store.replicas` from `peer.spec.api.replicas`, also when either goes by another name.
"""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path


def attribute_reads(file: Path) -> set[tuple[str, str]]:
    """Return pairs (owner, attribute) for every attribute that the module reads.

    The owner is the attribute that the object came from (`store` in `spec.store.replicas`), or a
    class that annotates the name it goes by (`StoreSpec`), or empty where neither is known. Calls
    of the attribute are reads of it.
    """
    tree = ast.parse(file.read_text(encoding="utf-8"))
    origins = _origins(tree)
    reads: set[tuple[str, str]] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            reads |= {(node.name, attribute) for attribute in _reads_of_self(node)}
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
            owners = set(_owners(node.value, origins)) or {""}
            reads |= {(owner, node.attr) for owner in owners}
    return reads


def _reads_of_self(definition: ast.ClassDef) -> Iterator[str]:
    for node in ast.walk(definition):
        match node:
            case ast.Attribute(value=ast.Name(id="self"), attr=attribute, ctx=ast.Load()):
                yield attribute
            case _:
                pass


def _origins(tree: ast.Module) -> dict[str, set[str]]:
    """Return, for each name, what it was annotated with, assigned from or iterates over.

    A function's name, followed by (), stands for what it returns.
    """
    origins: defaultdict[str, set[str]] = defaultdict(set)
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name, returns=annotation) if annotation is not None:
                origins[f"{name}()"] |= set(_class_names(annotation))
            case ast.arg(arg=name, annotation=annotation) if annotation is not None:
                origins[name] |= set(_class_names(annotation))
            case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation):
                origins[name] |= set(_class_names(annotation))
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                for alias in names:
                    origins[alias.asname or alias.name].add(alias.name)
            case ast.Assign(targets=[target], value=value):
                _bind(target, value, origins)
            case ast.NamedExpr(target=target, value=value):
                _bind(target, value, origins)
            case ast.For(target=target, iter=value) | ast.comprehension(target=target, iter=value):
                _bind(target, value, origins)
            case _:
                pass
    return origins


def _bind(target: ast.expr, value: ast.expr, origins: defaultdict[str, set[str]]) -> None:
    match target, value:
        case ast.Name(id=name), _:
            origins[name] |= set(_owners(value, {}))
        case ast.Tuple(elts=targets), ast.Tuple(elts=values) if len(targets) == len(values):
            for one, from_one in zip(targets, values, strict=True):
                _bind(one, from_one, origins)
        case ast.Tuple(elts=[*_, ast.Name(id=name)]), ast.Call(
            func=ast.Name(id="enumerate"), args=[iterated]
        ):
            origins[name] |= set(_owners(iterated, {}))
        case _:
            pass


def _owners(value: ast.expr, origins: dict[str, set[str]]) -> Iterator[str]:
    """Name what an expression stands for: the last attribute, or what is known of a name."""
    match value:
        case ast.Attribute(attr=attribute):
            yield attribute
        case ast.Name(id=name):
            yield from origins.get(name, ())
        case ast.BoolOp(values=alternatives):
            for alternative in alternatives:
                yield from _owners(alternative, origins)
        case ast.IfExp(body=body, orelse=orelse):
            yield from _owners(body, origins)
            yield from _owners(orelse, origins)
        case ast.Call(func=ast.Name(id=name)):
            yield name
            yield from origins.get(f"{name}()", ())
        case _:
            pass


def _class_names(annotation: ast.expr) -> Iterator[str]:
    for node in ast.walk(annotation):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
