"""The real images: the same every time, and fit for a pod that may do nothing but run."""

import hashlib
import json
import shutil
import subprocess
import tarfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hack.images import Images, build, contents
from smbpctl import __version__

START_SECONDS = 1.5
# The image's root, read-only and without privileges: what a restricted pod has, and no /tmp at all.
ENTER = """
root=$1 user=$2 chroot=$3
shift 3
mount --bind "$root" "$root"
mount -o remount,bind,ro,nosuid,nodev "$root"
exec setpriv --no-new-privs "$chroot" --userspec="$user" --groups= "$root" "$@"
"""


@dataclass(frozen=True)
class Unpacked:
    """One image out of an archive: how it runs, what it is made of, and its root folder."""

    config: dict[str, Any]
    layers: list[str]
    entries: list[tarfile.TarInfo]
    root: Path

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command as the image's user in its environment on its read-only root."""
        chroot = shutil.which("chroot", path="/usr/sbin:/usr/bin:/sbin:/bin")
        assert chroot is not None
        settings = self.config["config"]
        enter = ["unshare", "--mount", "--propagation", "private", "sh", "-e", "-c", ENTER, "sh"]
        return subprocess.run(
            [*enter, str(self.root), settings["User"], chroot, *command],
            env=dict(pair.split("=", 1) for pair in settings["Env"]),
            capture_output=True,
            text=True,
            check=False,
        )

    def python(self, script: str) -> str:
        """Run a script and return what it printed."""
        answer = self.run("python3", "-c", script)
        assert answer.returncode == 0, answer.stderr
        return answer.stdout.strip()


def blob(archive: tarfile.TarFile, digest: str) -> tarfile.ExFileObject:
    """A blob of an archive."""
    content = archive.extractfile(f"blobs/{digest.replace(':', '/')}")
    assert isinstance(content, tarfile.ExFileObject)
    return content


def document(archive: tarfile.TarFile, name: str) -> dict[str, Any]:
    """A JSON document of an archive, by digest or name."""
    content = blob(archive, name) if ":" in name else archive.extractfile(name)
    assert content is not None
    found: dict[str, Any] = json.load(content)
    return found


def layers_of(file: Path) -> dict[str, list[str]]:
    """The layers of every image in an archive, by the image's name."""
    with tarfile.open(file) as archive:
        return {
            each["annotations"]["io.containerd.image.name"]: [
                layer["digest"] for layer in document(archive, each["digest"])["layers"]
            ]
            for each in document(archive, "index.json")["manifests"]
        }


def unpack(file: Path, root: Path) -> Unpacked:
    """Unpack the first image of an archive into `root`."""
    root.chmod(0o755)
    entries: list[tarfile.TarInfo] = []
    with tarfile.open(file) as archive:
        manifest = document(archive, document(archive, "index.json")["manifests"][0]["digest"])
        layers = [layer["digest"] for layer in manifest["layers"]]
        for digest in layers:
            with tarfile.open(fileobj=blob(archive, digest)) as layer:
                entries += layer.getmembers()
                layer.extractall(root, filter="fully_trusted")
        config = document(archive, manifest["config"]["digest"])
    return Unpacked(config, layers, entries, root)


@pytest.fixture(scope="module")
def images() -> Images:
    """The images, from the cache if they are there."""
    return build()


@pytest.fixture(scope="module")
def manager(images: Images, tmp_path_factory: pytest.TempPathFactory) -> Unpacked:
    """The operator's image."""
    return unpack(images.manager, tmp_path_factory.mktemp("manager"))


def digest(file: Path) -> str:
    """The digest of a file."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def packages(folder: Path) -> Sequence[str]:
    """The Debian packages of the one root that was made in a cache folder."""
    (found,) = folder.glob("images-root/*/packages.txt")
    return found.read_text().splitlines()


class TestReproducible:
    """Same inputs, same digest."""

    def test_two_builds_from_nothing_are_equal(self, tmp_path: Path) -> None:
        """In two folders, with nothing cached: equal packages give equal images and archives."""
        pause = tmp_path / "pause"
        pause.write_bytes(b"any program")
        folders = [tmp_path / "one", tmp_path / "another" / "folder"]

        with ThreadPoolExecutor() as both:
            first, second = both.map(lambda folder: build(folder=folder, pause=pause), folders)

        assert packages(folders[0]) == packages(folders[1]), "Debian has changed meanwhile"
        assert first.digests == second.digests
        assert digest(first.manager) == digest(second.manager)
        assert digest(first.operand) == digest(second.operand)
        assert first.pause is not None
        assert second.pause is not None
        assert digest(first.pause) == digest(second.pause)

    def test_all_images_share_their_layers(self, images: Images) -> None:
        """A node stores operator and fake operand, in every version, once."""
        both = {**layers_of(images.manager), **layers_of(images.operand)}

        assert both.keys() == images.digests.keys()
        assert len({tuple(layers) for layers in both.values()}) == 1
        assert len(set(images.digests.values())) == len(both), "yet they are different images"


class TestPosture:
    """What restricted Pod Security and a read-only root demand of an image."""

    def test_files_are_harmless(self, manager: Unpacked) -> None:
        """Root's by number, none setuid, one open folder, neither devices nor hard links."""
        plain = [entry for entry in manager.entries if not entry.issym()]

        assert {(entry.uid, entry.gid) for entry in manager.entries} == {(0, 0)}
        assert [entry.name for entry in plain if entry.mode & 0o6000] == []
        assert [entry.name for entry in plain if entry.mode & 0o002] == ["tmp"]
        assert [entry.name for entry in plain if not (entry.isfile() or entry.isdir())] == []

    def test_there_is_nothing_to_start_but_python(self, manager: Unpacked) -> None:
        """No shell, no package manager, no tools."""
        folders = ("usr/bin", "usr/sbin", "usr/local/bin", "usr/local/sbin", "usr/games", "opt")
        programs = {
            path.name
            for folder in folders
            if (manager.root / folder).is_dir()
            for path in (manager.root / folder).iterdir()
        }

        assert programs == {"python3", f"python{contents.PYTHON}", "smbpctl"}

    def test_every_package_has_its_licence(self, manager: Unpacked) -> None:
        """Debian's, the wheels' and the project's own."""
        site = manager.root / contents.SITE.lstrip("/")
        bare = [
            each.name
            for each in site.glob("*.dist-info")
            if not any(
                word in path.name.lower()
                for path in each.rglob("*")
                for word in ("licen", "copying", "notice")
            )
        ]

        documentation = manager.root / "usr/share/doc"
        assert [
            n for n in contents.PACKAGES if not (documentation / n / "copyright").exists()
        ] == []
        assert bare == []
        assert "Apache License" in (manager.root / contents.LICENSE.lstrip("/")).read_text()

    def test_every_source_is_compiled(self, manager: Unpacked) -> None:
        """Nothing is compiled at start: it could not be kept on a read-only root."""
        tag = f"cpython-{contents.PYTHON.replace('.', '')}"
        sources = [
            path
            for folder in (contents.SITE, f"/usr/lib/python{contents.PYTHON}")
            for path in (manager.root / folder.lstrip("/")).rglob("*.py")
        ]

        assert len(sources) > 1000
        assert [
            path
            for path in sources
            if not (path.parent / "__pycache__" / f"{path.stem}.{tag}.pyc").exists()
        ] == []


class TestRuns:
    """As a number, without privileges, on a read-only root."""

    def test_the_operator_tells_its_version(self, manager: Unpacked) -> None:
        """The entry point is found by PATH and finds its package."""
        answer = manager.run(*manager.config["config"]["Entrypoint"], "version")

        assert answer.returncode == 0, answer.stderr
        assert answer.stdout.startswith(f"smbpctl {__version__}\nPython {contents.PYTHON}.")

    def test_it_starts_quickly(self, manager: Unpacked) -> None:
        """The default command's code is loaded within the limit (the best of three)."""
        command = [*manager.config["config"]["Entrypoint"], *manager.config["config"]["Cmd"]]
        seconds: list[float] = []

        for _ in range(3):
            started = time.monotonic()
            answer = manager.run(*command, "--help")
            seconds.append(time.monotonic() - started)
            assert answer.returncode == 0, answer.stderr

        assert min(seconds) < START_SECONDS

    def test_it_is_nobody_and_can_write_nowhere(self, manager: Unpacked) -> None:
        """The user is a number without rights, and the root is closed."""
        script = (
            "import os\n"
            "print(os.getuid(), os.getgid(), os.getgroups())\n"
            "try: open('/usr/x', 'w')\n"
            "except OSError as error: print(error.strerror)\n"
        )

        assert manager.python(script).splitlines() == ["65532 65532 []", "Read-only file system"]

    def test_the_fake_operand_starts(self, manager: Unpacked) -> None:
        """Without a pod around it, it says in one line what it lacks: all of its code is there.

        Both images have the same layers, so that this root is the fake operand's as well.
        """
        (entry_point,) = {image.entry_point for image in contents.operands(contents.project())}

        answer = manager.run(*entry_point)

        assert answer.returncode == 2
        assert len(answer.stderr.splitlines()) == 1

    def test_the_event_loop_and_tls_load(self, manager: Unpacked) -> None:
        """What the operator uses when it is there is there."""
        assert manager.python("import uvloop, ssl, msgspec, pydantic, aiohttp; print(1)") == "1"

    def test_every_extension_finds_its_libraries(self, manager: Unpacked) -> None:
        """The list of Debian packages is whole: whatever can be imported can be loaded."""
        script = (
            "import ctypes, glob\n"
            f"folders = ('{contents.SITE}', '/usr/lib/python{contents.PYTHON}')\n"
            "found = [f for d in folders for f in glob.glob(d + '/**/*.so', recursive=True)]\n"
            "for file in found: ctypes.CDLL(file)\n"
            "print(len(found))\n"
        )

        assert int(manager.python(script)) > 30

    def test_it_knows_authorities_zones_and_names(self, manager: Unpacked) -> None:
        """What Debian's installation scripts would have set up is there without them."""
        script = (
            "import mimetypes, pwd, socket, ssl, zoneinfo\n"
            "print(len(ssl.create_default_context().get_ca_certs()) > 100)\n"
            "print(zoneinfo.ZoneInfo('Europe/Berlin'), zoneinfo.TZPATH[0])\n"
            "print(socket.getservbyname('https'), mimetypes.guess_type('a.json')[0])\n"
            "print(pwd.getpwuid(65532).pw_name)\n"
        )

        assert manager.python(script).splitlines() == [
            "True",
            "Europe/Berlin /usr/share/zoneinfo",
            "443 application/json",
            "smbpctl",
        ]
