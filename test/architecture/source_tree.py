"""The source tree as data: modules and functions, for the tests that judge its shape."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
SRC = ROOT / "src" / "smbpctl"
UNIT = ROOT / "test" / "unit"

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """One file of source."""

    path: Path
    text: str

    @property
    def tree(self) -> ast.Module:
        """Return its syntax tree."""
        return ast.parse(self.text)

    @property
    def name(self) -> str:
        """Return its path below the source folder."""
        return self.path.relative_to(SRC).as_posix()

    @property
    def lines(self) -> int:
        """Return how many lines it has."""
        return len(self.text.splitlines())

    def functions(self) -> Iterator[FunctionNode]:
        """Yield every function and method, nested ones too."""
        for node in ast.walk(self.tree):
            if isinstance(node, FunctionNode):
                yield node


def modules(folder: Path = SRC) -> list[Module]:
    """Return every module below `folder`."""
    return [Module(path, path.read_text()) for path in sorted(folder.rglob("*.py"))]


def does_something(function: FunctionNode) -> bool:
    """Tell whether a function has a body beyond docstring, `...` and `pass`."""
    return any(
        not isinstance(statement, ast.Pass)
        and not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))
        for statement in function.body
    )
