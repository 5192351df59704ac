"""Fetch the CRDs of cert-manager and Strimzi into a cache folder, once a release.

Usage: python3 hack/crds/fetch.py [--print-key | SET ...]

SET is `cert-manager` or `strimzi`; both unless named. Prints progress to stderr and, as the last
line of stdout, the cache folder: below it every release has a folder of its own, for example
`strimzi-1.2.0`, which appears at once and whole. Exit status: 0 done, 1 not fetched, 2 wrong
usage, 3 a tool is not installed.

cert-manager publishes its CRDs inside its Go module. Strimzi publishes its API as a jar from
which a generator of its own makes them: that takes Maven, which resolves the jars, and Java.
Everything fetched must have the checksum written down here, for the generator is run.

JAVA_HOME       where to look for Java first; then PATH, then the usual folders.
SMBPCTL_CACHE   cache folder; $XDG_CACHE_HOME or ~/.cache unless set. Any folder below its
                smbpctl/crds may be deleted at any time.
"""

import argparse
import glob
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

FAILED, NOT_INSTALLED = 1, 3

CERT_MANAGER = "github.com/cert-manager/cert-manager"
CERT_MANAGER_VERSION = "1.21.2"
CERT_MANAGER_SUM = "h1:UWgoYM+KLNtRlqmoWOKjKBOBUPVHeepQ6/ac3ERJW68="

MINIMUM_JAVA = 21
COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"
GENERATOR = "io.strimzi.crdgenerator.CrdGenerator"
CLASSES = {
    "kafkas.yaml": "io.strimzi.api.kafka.model.kafka.Kafka",
    "kafkanodepools.yaml": "io.strimzi.api.kafka.model.nodepool.KafkaNodePool",
    "kafkatopics.yaml": "io.strimzi.api.kafka.model.topic.KafkaTopic",
    "kafkausers.yaml": "io.strimzi.api.kafka.model.user.KafkaUser",
}
CHECKSUMS = {
    "api-0.45.0.jar": "7112a02ebf29d38b2eb2ad8da90353d2a3922aea2fe2bddc2abe4e5956fdfe9a",
    "api-0.51.0.jar": "219b54d570c408523f62bffc999041c64ea926afbc784be942290709fbbcde62",
    "api-1.2.0.jar": "566961ae5e5646a001ae91312beda5cba3a5d467e740e205e1b761754335fe4e",
    "crd-generator-0.45.0.jar": "f03aab1b83d29bbd340ce484a4bb651faac7685c685865a30351a636da6008ea",
    "crd-generator-1.2.0.jar": "76bb2430e702a1e6a24c071d26c865d5e9572cbc630d176d3b912033ae23ed00",
}
JVM_FOLDERS = (
    "/usr/lib/jvm/*",
    "/usr/java/*",
    "/usr/local/*jdk*",
    "/opt/*jdk*",
    "/opt/java/*",
    "/Library/Java/JavaVirtualMachines/*/Contents/Home",
    "~/.sdkman/candidates/java/*",
)


class Refused(Exception):
    """Nothing can be fetched; carries the exit status."""

    def __init__(self, message: str, status: int = FAILED) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Tools:
    """The programs that are needed for what is missing; the others are empty."""

    go: str = ""
    maven: str = ""
    java: str = ""


@dataclass(frozen=True)
class Release:
    """One release, and how its CRDs are generated where they are: by what, for which versions."""

    set: str
    version: str
    generator: str = ""
    served: str = ""
    stored: str = ""

    @property
    def folder(self) -> str:
        """Return the name of the folder with its CRDs."""
        return f"{self.set}-{self.version}"


# Of Strimzi the lines that differ: v1 alone, v1 beside a stored v1beta2, v1beta2 alone.
RELEASES = (
    Release("cert-manager", CERT_MANAGER_VERSION),
    Release("strimzi", "1.2.0", generator="1.2.0", served="v1", stored="v1"),
    Release("strimzi", "0.51.0", generator="1.2.0", served="v1beta2,v1", stored="v1beta2"),
    Release("strimzi", "0.45.0", generator="0.45.0", served="v1beta2", stored="v1beta2"),
)
SETS = tuple(dict.fromkeys(release.set for release in RELEASES))


def cache_key() -> str:
    """Return a name that changes with everything the CRDs are made from: all of it is here."""
    return hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]


def cache_folder() -> Path:
    """Return the folder of these releases, below the user's cache folder."""
    default = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    root = Path(os.environ.get("SMBPCTL_CACHE") or default)
    return root.absolute() / "smbpctl" / "crds" / cache_key()


def find_tools(missing: Sequence[Release]) -> Tools:
    """Return what the missing releases take; refuse in one line that names all that is absent."""
    sets = sorted({release.set for release in missing})
    tools = Tools(
        go=shutil.which("go") or "" if "cert-manager" in sets else "",
        maven=shutil.which("mvn") or "" if "strimzi" in sets else "",
        java=find_java() if "strimzi" in sets else "",
    )
    absent = [] if tools.go or "cert-manager" not in sets else ["Go"]
    if "strimzi" in sets:
        absent += [] if tools.maven else ["Maven"]
        absent += [] if tools.java else [f"Java {MINIMUM_JAVA} or later"]
    if absent:
        message = f"the CRDs of {' and '.join(sets)} cannot be fetched: install {', '.join(absent)}"
        raise Refused(message, NOT_INSTALLED)
    return tools


def find_java(folders: Sequence[str] = JVM_FOLDERS) -> str:
    """Return a java that is new enough, "" when there is none here nor in the usual folders."""
    homes = [os.environ.get("JAVA_HOME", "")]
    # What is on the path is often a link; the folder of its target is the home.
    homes.append(str(Path(shutil.which("java") or "/").resolve().parent.parent))
    for pattern in folders:
        homes += sorted(glob.glob(os.path.expanduser(pattern)))
    javas = (str(Path(home) / "bin" / "java") for home in homes if home)
    return next((java for java in javas if java_version(java) >= MINIMUM_JAVA), "")


def java_version(java: str) -> int:
    """Return the major version of a java, 0 when it does not tell one."""
    if not os.access(java, os.X_OK):
        return 0
    answer = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)
    match = re.search(r'version "(\d+)', answer.stderr)
    return int(match.group(1)) if match else 0


def fetch(missing: Sequence[Release], folder: Path, tools: Tools) -> None:
    """Fetch releases into `folder`, where each appears at once and whole."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".fetch-") as name:
        scratch = Path(name)
        for release in missing:
            say(f"fetching the CRDs of {release.set} {release.version}")
            made = scratch / release.folder
            made.mkdir()
            if release.generator:
                generate(release, made, scratch, tools)
            else:
                copy_from_module(made, tools)
            publish(made, folder / release.folder)


def publish(made: Path, target: Path) -> None:
    """Give a finished folder its name; whoever comes second throws his own away."""
    try:
        made.rename(target)
    except OSError:
        if not target.is_dir():
            raise


def copy_from_module(made: Path, tools: Tools) -> None:
    """Copy cert-manager's CRDs out of its Go module."""
    module = f"{CERT_MANAGER}@v{CERT_MANAGER_VERSION}"
    # Go keeps to the go.mod of the folder it is called in: one without.
    answer = subprocess.run(
        [tools.go, "mod", "download", "-json", module],
        cwd=made,
        env={**os.environ, "GOWORK": "off", "GOFLAGS": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    facts = json.loads(answer.stdout or "{}")
    if answer.returncode != 0 or "Dir" not in facts:
        raise Refused(f"go mod download {module}: {facts.get('Error') or answer.stderr}")
    if facts.get("Sum") != CERT_MANAGER_SUM:
        raise Refused(f"{module} has the checksum {facts.get('Sum')}, not {CERT_MANAGER_SUM}")
    for crd in sorted(Path(facts["Dir"], "deploy", "crds").glob("*.yaml")):
        shutil.copyfile(crd, made / crd.name)  # not its mode: modules are read-only
    if not any(made.iterdir()):
        raise Refused(f"{module} holds no CRDs")


def generate(release: Release, made: Path, scratch: Path, tools: Tools) -> None:
    """Have Strimzi's generator make the CRDs of one release from its API."""
    jars = scratch / "jars"
    api = download(f"api:{release.version}", jars, tools)
    generator = download(f"crd-generator:{release.generator}", jars, tools)
    options = ["--label", "app:strimzi", "--label", "strimzi.io/crd-install:true"]
    options += ["--target-kube", "1.16+", "--crd-api-version", "v1", "--yaml"]
    options += ["--api-versions", release.served, "--storage-version", release.stored]
    # It wants files with a folder: their paths are absolute.
    files = [f"{name}={made / file}" for file, name in CLASSES.items()]
    classpath = f"{api}{os.pathsep}{generator}"
    run([tools.java, "-cp", classpath, GENERATOR, *options, *files])
    absent = [file for file in CLASSES if not (made / file).is_file()]
    if absent:
        raise Refused(f"Strimzi {release.version} generated no {', '.join(absent)}")


def download(artifact: str, jars: Path, tools: Tools) -> Path:
    """Have Maven copy an artifact of Strimzi's, whose checksum must be the known one."""
    jar = jars / f"{artifact.replace(':', '-')}.jar"
    if not jar.exists():
        options = [f"-Dartifact=io.strimzi:{artifact}", f"-DoutputDirectory={jars}"]
        home = str(Path(tools.java).parent.parent)
        run([tools.maven, "-B", "-q", COPY, *options], cwd=jars.parent, JAVA_HOME=home)
    if not jar.exists():
        raise Refused(f"Maven copied no {jar.name}")
    checksum = hashlib.sha256(jar.read_bytes()).hexdigest()
    if checksum != CHECKSUMS[jar.name]:
        raise Refused(f"{jar.name} has the checksum {checksum}, not {CHECKSUMS[jar.name]}")
    return jar


def run(command: Sequence[str], *, cwd: Path | None = None, **environment: str) -> None:
    """Run a program in silence; when it fails, what it said becomes the refusal."""
    answer = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if answer.returncode != 0:
        program = Path(command[0]).name
        raise Refused(f"{program} ended with status {answer.returncode}:\n{answer.stdout}")


def say(message: str) -> None:
    """Print one line of progress."""
    print(f"crds: {message}", file=sys.stderr, flush=True)


def main() -> int:
    """Parse the command line, fetch what is missing, turn refusals into an exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--print-key", action="store_true", help="print the cache key and exit")
    parser.add_argument("sets", nargs="*", metavar="SET", help=f"of {', '.join(SETS)}")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.sets) - set(SETS))
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; there are {', '.join(SETS)}")
    if arguments.print_key:
        print(cache_key())
        return 0
    # As an exception, so that the scratch folder is cleared away.
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(128 + signal.SIGTERM))
    folder = cache_folder()
    wanted = [release for release in RELEASES if release.set in (arguments.sets or SETS)]
    missing = [release for release in wanted if not (folder / release.folder).is_dir()]
    try:
        if missing:
            fetch(missing, folder, find_tools(missing))
    except Refused as refusal:
        say(str(refusal))
        return refusal.status
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    print(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
