"""Builds the archives of all images, each step at most once for the same inputs."""

import difflib
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from hack.caching import cache_root
from hack.images import cache, contents, layers, oci, platforms, rootfs, wheels
from hack.images.interpreter import Interpreter
from hack.images.layers import Layer
from hack.images.oci import Packed
from hack.images.platforms import Platform
from hack.images.refusals import MISUSED, Refused

HERE = Path(__file__).parent
ROOT_CODE = ("debian.py", "interpreter.py", "layers.py", "platforms.py", "rootfs.py", "trees.py")
DEPENDENCIES_CODE = ("interpreter.py", "layers.py", "trees.py", "wheels.py")
_DIGESTS: Final = "digests.json"


@dataclass(frozen=True, slots=True)
class Images:
    """Archives that `ctr -n k8s.io images import` loads, and the digest of each image by name."""

    folder: Path
    manager: Path
    operand: Path
    pause: Path | None
    digests: Mapping[str, str]


def build(
    *,
    versions: Sequence[str] = contents.OPERAND_VERSIONS,
    pause: Path | None = None,
    folder: Path | None = None,
    refresh: bool = False,
) -> Images:
    """Return the archives of the operator, the fake operand and, given its program, `pause`.

    `versions` are the tags of the fake operand. Everything is kept below `folder`, the project's
    cache folder unless given, under a key of all inputs; `refresh` asks Debian for its packages
    again. Raises `Refused`, which carries an exit status.
    """
    if pause is not None and not pause.is_file():
        raise Refused(f"{pause}: no such file", MISUSED)
    platform = platforms.current()
    place = cache_root() if folder is None else folder.absolute()
    root = root_folder(place, platform, refresh=refresh)
    python = Interpreter(root / rootfs.TREE, platform)
    base = Layer.load(root / rootfs.LAYER)
    dependencies = _dependencies(place, base, python)
    program = "" if pause is None else cache.digest_of([pause], below=pause.parent)
    sources = project_digest()
    key = cache.key_of(
        base.digest, dependencies.digest, tuple(versions), program, sources, code(HERE)
    )

    def make(made: Path) -> None:
        cache.say("building the archives")
        with TemporaryDirectory(dir=made, prefix=".layers-") as scratch:
            here = Path(scratch)
            wheels.make_project(here, python)
            if project_digest() != sources:
                raise Refused("the sources changed while they were being packed: run it again")
            project = Layer.load(here / wheels.PROJECT)
            packed = _packed((base, dependencies, project), versions, platform)
            if pause is not None:
                packed["pause.tar"] = [_packed_pause(here, pause, python)]
            for name, images in packed.items():
                oci.write_archive(made / name, images)
        digests = {image.reference: image.digest for images in packed.values() for image in images}
        (made / _DIGESTS).write_text(json.dumps(digests, indent=1, sort_keys=True), "utf-8")

    return _images(cache.obtain(place / "images", key, make), with_pause=pause is not None)


def root_folder(place: Path, platform: Platform, *, refresh: bool) -> Path:
    """Return the folder of the Debian root, and say which packages differ from the last one."""
    part = place / "images-root"
    key = cache.key_of(
        platform,
        *(contents.SUITE, contents.PYTHON, contents.PACKAGES, contents.LEFT_OUT),
        *(contents.ROOT_DROPPED, contents.ROOT_FILES, contents.LINKS, contents.EPOCH),
        code(HERE, ROOT_CODE),
    )
    before = _newest_packages(part)

    def make(scratch: Path) -> None:
        cache.say(f"making a Debian {contents.SUITE} root")
        rootfs.make(scratch, platform)

    made = cache.obtain(part, key, make, again=refresh)
    for line in package_changes(before, (made / rootfs.PACKAGE_LIST).read_text(encoding="utf-8")):
        cache.say(f"Debian packages changed: {line}")
    return made


def package_changes(before: str | None, after: str) -> list[str]:
    """Return a line `- package=version` or `+ package=version` for each difference."""
    if before is None:
        return []
    compared = difflib.ndiff(before.splitlines(), after.splitlines())
    return [line for line in compared if line.startswith(("-", "+"))]


def project_digest() -> str:
    """Return a digest of everything that the project's wheel is made from."""
    files: list[Path] = []
    for name in contents.PROJECT_SOURCES:
        source = contents.ROOT / name
        found = [source] if source.is_file() else source.rglob("*")
        files += [each for each in found if each.is_file() and "__pycache__" not in each.parts]
    return cache.digest_of(files, below=contents.ROOT)


def code(folder: Path, names: Iterable[str] | None = None) -> str:
    """Return a digest of the builder's own modules in `folder`: those named, or all."""
    files = folder.glob("*.py") if names is None else (folder / name for name in names)
    return cache.digest_of(files, below=folder)


def _newest_packages(part: Path) -> str | None:
    lists = sorted(
        part.glob(f"*/{rootfs.PACKAGE_LIST}"), key=lambda each: each.parent.stat().st_mtime_ns
    )
    return lists[-1].read_text(encoding="utf-8") if lists else None


def _dependencies(place: Path, base: Layer, python: Interpreter) -> Layer:
    key = cache.key_of(
        *(base.digest, python.platform, contents.DEPENDENCIES_DROPPED, contents.SITE),
        cache.digest_of([contents.ROOT / contents.LOCK], below=contents.ROOT),
        code(HERE, DEPENDENCIES_CODE),
    )

    def make(scratch: Path) -> None:
        cache.say("installing the locked dependencies")
        wheels.make_dependencies(scratch, python)

    return Layer.load(cache.obtain(place / "images-dependencies", key, make) / wheels.DEPENDENCIES)


def _packed(
    parts: Sequence[Layer], versions: Sequence[str], platform: Platform
) -> dict[str, list[Packed]]:
    facts = contents.project()
    archives = {
        "manager.tar": [contents.manager(facts)],
        "operand.tar": contents.operands(facts, versions),
    }
    return {
        name: [oci.pack(image, parts, platform) for image in images]
        for name, images in archives.items()
    }


def _packed_pause(scratch: Path, program: Path, python: Interpreter) -> Packed:
    tree = scratch / "pause"
    tree.mkdir()
    shutil.copyfile(program, tree / "pause")
    (tree / "pause").chmod(0o755)
    file = scratch / "pause.tar.gz"
    layer = layers.write_layer(tree, file, made_by="pause", compress=python.compress)
    return oci.pack(contents.pause(contents.project()), [layer], python.platform)


def _images(folder: Path, *, with_pause: bool) -> Images:
    return Images(
        folder=folder,
        manager=folder / "manager.tar",
        operand=folder / "operand.tar",
        pause=folder / "pause.tar" if with_pause else None,
        digests=json.loads((folder / _DIGESTS).read_text("utf-8")),
    )
