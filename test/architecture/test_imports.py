"""What an import pulls in, seen from a fresh interpreter."""

import subprocess
import sys

import pytest

from test.architecture.source_tree import SRC

HEAVY = ("aiohttp", "kubernetes_asyncio", "prometheus_client")
PURE = ("api", "observed", "resources", "conditions", "plans")


def loaded_by(module: str, *statements: str) -> list[str]:
    """Return which heavy libraries are loaded after importing a module."""
    script = [
        "import sys",
        f"import {module}",
        *statements,
        f"print(*[name for name in {HEAVY!r} if name in sys.modules])",
    ]
    ran = subprocess.run(
        [sys.executable, "-c", "\n".join(script)], capture_output=True, text=True, check=True
    )
    return ran.stdout.split()


def present(names: tuple[str, ...]) -> list[str]:
    """Return the modules of these names that there are."""
    return [
        f"smbpctl.{name}"
        for name in names
        if (SRC / name / "__init__.py").exists() or (SRC / f"{name}.py").exists()
    ]


class TestImports:
    """HTTP and metrics are for those who use them."""

    @pytest.mark.parametrize(
        "module",
        ["smbpctl", "smbpctl.runtime", "smbpctl.runtime.meta", *present(PURE)],
    )
    def test_pure_modules_load_neither_http_nor_metrics(self, module: str) -> None:
        """The package `smbpctl.runtime` resolves its names lazily for just this."""
        assert loaded_by(module) == []

    def test_the_runtime_in_use_does_not_load_the_kubernetes_client(self) -> None:
        """Its models cost 33 MB: a manager that reads no kubeconfig never loads them."""
        assert loaded_by("smbpctl.runtime", "smbpctl.runtime.Manager") == [
            *("aiohttp", "prometheus_client")
        ]
