"""A sandbox for the build scripts below hack: a copy of them, and a script in the place of go."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

HACK = Path(__file__).parents[2] / "hack"
# Records its arguments. FAKE_GO_FIFO makes it write half a program and then hold the named pipe
# open until somebody writes to FAKE_GO_GO_ON.
_FAKE_GO = """
import json, os, sys
from pathlib import Path
here = Path(sys.argv[0]).parent
arguments = sys.argv[1:]
with (here / "calls").open("a") as calls:
    calls.write(json.dumps([os.getcwd(), *arguments]) + "\\n")
if arguments[:2] == ["mod", "download"]:
    print(json.dumps({"GoMod": str(here / "upstream.mod")}))
elif arguments[:2] == ["mod", "tidy"]:
    Path("go.sum").write_text("tidied\\n")
elif arguments[0] == "build":
    target = Path(arguments[arguments.index("-o") + 1])
    target.write_text("#!/bin/sh\\n")
    if "FAKE_GO_FIFO" in os.environ:
        with open(os.environ["FAKE_GO_FIFO"], "w") as fifo:
            fifo.write("half done\\n")
            fifo.flush()
            open(os.environ["FAKE_GO_GO_ON"]).read()
    target.chmod(0o755)
    sys.exit(1 if os.environ.get("FAKE_GO_FAILS") == target.name else 0)
"""
# What `go mod download` shows of the go.mod of a Kubernetes release.
_UPSTREAM = """module k8s.io/kubernetes

replace (
\tk8s.io/api => ./staging/src/k8s.io/api
\tk8s.io/kubectl => ./staging/src/k8s.io/kubectl
\tgithub.com/other/thing => github.com/fork/thing v1.0.0
)
"""


@dataclass
class GoSandbox:
    """A copy of hack, an empty cache, and a PATH that holds the fake go alone.

    `command` starts the script, from the folder above that of the copy; `part` is its own folder
    in the cache.
    """

    root: Path
    command: Sequence[str]
    part: str
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shutil.copytree(HACK, self.hack, ignore=shutil.ignore_patterns("__pycache__"))
        (self.root / "path").mkdir()
        (self.root / "path" / "upstream.mod").write_text(_UPSTREAM)
        self.go.write_text(f"#!{sys.executable} -IS\n{_FAKE_GO}")
        self.go.chmod(0o755)
        self.environment = {
            "HOME": str(self.root / "home"),
            "SMBPCTL_CACHE": str(self.root / "cache"),
            "PATH": str(self.root / "path"),
        }

    @property
    def hack(self) -> Path:
        return self.root / "hack"

    @property
    def go(self) -> Path:
        return self.root / "path" / "go"

    def start(
        self, *arguments: str, environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen[str]:
        """Start the script."""
        return subprocess.Popen(
            # -S: without the packages of our virtual environment; people run it without, too.
            [sys.executable, "-S", *self.command, *arguments],
            cwd=self.root,
            env={**self.environment, **(environment or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # In the background of a shell without job control interrupts are ignored, and that is
            # inherited; a person at a terminal has them.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def run(
        self, *arguments: str, environment: Mapping[str, str] | None = None
    ) -> tuple[int, str, str]:
        """Run the script; return status, output and error output."""
        process = self.start(*arguments, environment=environment)
        out, err = process.communicate()
        return process.returncode, out, err

    def key(self, environment: Mapping[str, str] | None = None) -> str:
        """What --print-key prints."""
        return self.run("--print-key", environment=environment)[1].strip()

    def append_line_to(self, name: str) -> None:
        """Change a file below hack, in a way that means nothing."""
        with (self.hack / name).open("a") as file:
            file.write("\n")

    def calls(self) -> list[list[str]]:
        """Working folder and arguments of each run of go."""
        record = self.root / "path" / "calls"
        return [json.loads(line) for line in record.read_text().splitlines()]

    def builds(self) -> dict[str, list[str]]:
        """The calls that built something, by the name of the program."""
        return {Path(c[c.index("-o") + 1]).name: c for c in self.calls() if c[1] == "build"}

    def built(self) -> list[str]:
        """The names of the programs that go was asked to build, in order."""
        return [Path(c[c.index("-o") + 1]).name for c in self.calls() if c[1] == "build"]

    def leftovers(self) -> list[str]:
        """Everything in the cache that is neither a program nor the lock."""
        files = (self.root / "cache" / "smbpctl" / self.part).glob("*/*")
        return [path.name for path in files if path.name not in {"bin", "lock"}]

    def pauses(self) -> dict[str, str]:
        """Settings that make go stop in the middle of a build."""
        names = {"FAKE_GO_FIFO": self.root / "fifo", "FAKE_GO_GO_ON": self.root / "go-on"}
        for path in names.values():
            os.mkfifo(path)
        return {name: str(path) for name, path in names.items()}
