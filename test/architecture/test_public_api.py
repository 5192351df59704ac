"""The public surface of the runtime, recorded: a change of it is seen in review, not by users."""

import ast
import inspect
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import smbpctl.runtime as runtime
from test.architecture.source_tree import FunctionNode
from test.support.golden import difference

SNAPSHOT = Path(__file__).parent / "public_api.txt"
UPDATE = "python -m pytest test/architecture/test_public_api.py --update-snapshots"
# Methods that a user calls without naming them.
OPERATORS = {"__init__", "__call__", "__and__", "__or__", "__invert__", "__aenter__", "__aexit__"}


def public_api() -> str:
    """Return every public name with what can be called on it, as written in the source."""
    return "\n".join(line for name in runtime.__all__ for line in describe(name)) + "\n"


def describe(name: str) -> Iterator[str]:
    """Yield the lines of one public name."""
    value = getattr(runtime, name)
    if isinstance(value, ModuleType):
        yield f"module {name}"
        for node in ast.parse(inspect.getsource(value)).body:
            yield from indented(definition(node))
    elif inspect.isclass(value) or inspect.isfunction(value):
        (node,) = ast.parse(textwrap.dedent(inspect.getsource(value))).body
        yield from definition(node)
    else:
        yield f"{name} = {value!r}"


def definition(node: ast.stmt) -> Iterator[str]:
    """Yield a class or function if it is public."""
    if isinstance(node, FunctionNode) and is_public(node.name):
        yield signature(node)
    elif isinstance(node, ast.ClassDef) and is_public(node.name):
        yield f"class {node.name}({', '.join(map(ast.unparse, node.bases))})"
        for member in node.body:
            yield from indented(member_of(member))


def member_of(node: ast.stmt) -> Iterator[str]:
    """Yield a method, a field, an enum member or an attribute if it is public."""
    if isinstance(node, FunctionNode) and is_public(node.name):
        yield signature(node)
        if node.name == "__init__":
            yield from dict.fromkeys(attributes(node))
    elif isinstance(node, ast.AnnAssign | ast.Assign) and is_public(ast.unparse(node).strip()):
        yield ast.unparse(node)


def attributes(initializer: FunctionNode) -> Iterator[str]:
    """Yield what a class sets on itself for all to see."""
    for node in ast.walk(initializer):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            name = ast.unparse(node)
            if name.startswith("self.") and is_public(node.attr):
                yield name


def signature(node: FunctionNode) -> str:
    """Return decorators, name, parameters and result."""
    decorators = "".join(f"@{ast.unparse(each)} " for each in node.decorator_list)
    kind = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
    result = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"{decorators}{kind} {node.name}({ast.unparse(node.args)}){result}"


def is_public(name: str) -> bool:
    """Tell whether users may rely on a name."""
    return not name.startswith("_") or name in OPERATORS


def indented(lines: Iterator[str]) -> Iterator[str]:
    """Yield the lines, one level deeper."""
    return (f"    {line}" for line in lines)


class TestPublicApi:
    """The names of `smbpctl.runtime`."""

    def test_it_is_as_recorded(self, update_snapshots: bool) -> None:
        """A deliberate change is recorded by the command in the failure message."""
        now = public_api()
        if update_snapshots:
            SNAPSHOT.write_text(now)

        recorded = SNAPSHOT.read_text()

        if now != recorded:
            pytest.fail(
                f"the public API changed; record it with: {UPDATE}\n{difference(recorded, now)}",
                pytrace=False,
            )

    def test_the_record_sees_signatures(self) -> None:
        """It shows parameters and results, so that a change of either is a diff."""
        lines = public_api().splitlines()

        assert "class Manager()" in lines
        assert "    async def run(self, handle_signals: bool=True) -> None" in lines
        assert "module builder" in lines
        assert "    def controller(name: str) -> 'Builder[ObjectKey]'" in lines
        assert "DONE = Result(requeue_after=None, priority=None)" in lines

    def test_every_public_class_and_function_is_documented(self) -> None:
        """A public name without a docstring has no contract."""
        values = {name: getattr(runtime, name) for name in runtime.__all__}

        bare = [
            name
            for name, value in values.items()
            if (inspect.isclass(value) or inspect.isfunction(value)) and not value.__doc__
        ]

        assert bare == []
