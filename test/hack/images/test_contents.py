"""The list of contents suits the operator, the cluster's tests and the contract of the operand."""

import re

import pytest

from hack.images import contents
from smbpctl import __version__
from smbpctl.api.v1alpha1.versions import supported
from smbpctl.operand.contract import COMPONENTS

FACTS = contents.project()
NAME = re.compile(r"[a-z0-9.]+(/[a-z0-9-]+)+:[0-9]+(\.[0-9]+)+")


class TestNames:
    """Names are what manifests of the tests say."""

    def test_the_manager_has_the_projects_version(self) -> None:
        """It is the version that the program itself tells."""
        assert contents.manager(FACTS).reference == (f"registry.test/smbpctl/manager:{__version__}")

    def test_every_component_has_every_version(self) -> None:
        """The names are those of the operand contract, so that pod templates find them."""
        names = [image.reference for image in contents.operands(FACTS, ("1.0.0", "2.0.0"))]

        assert sorted(names) == sorted(
            f"registry.test/ditto-external/{component.image}:{version}"
            for component in COMPONENTS.values()
            for version in ("1.0.0", "2.0.0")
        )

    def test_an_upgrade_is_possible_and_one_is_too_new(self) -> None:
        """Two release lines that the operator supports, and one beyond them."""
        known = [version for version in contents.OPERAND_VERSIONS if supported(version)]

        assert len({version.rpartition(".")[0] for version in known}) >= 2
        assert len(known) < len(contents.OPERAND_VERSIONS)

    def test_they_are_well_formed_and_cannot_be_pulled(self) -> None:
        """The registry's name is under the domain that is reserved for tests."""
        images = [
            contents.manager(FACTS),
            *contents.operands(FACTS),
            contents.pause(FACTS),
        ]

        assert len({image.reference for image in images}) == len(images)
        for image in images:
            assert NAME.fullmatch(image.reference)
            assert image.reference.partition("/")[0].endswith(".test")


class TestImages:
    """How they start and what they tell."""

    def test_entry_points(self) -> None:
        """The operator runs by default; the fake operand needs no arguments."""
        assert contents.manager(FACTS).entry_point == ("smbpctl",)
        assert contents.manager(FACTS).command == ("run",)
        assert {image.entry_point for image in contents.operands(FACTS)} == {
            ("python3", "-m", "smbpctl.sandbox.member")
        }

    def test_versions_of_the_fake_operand_differ(self) -> None:
        """Else two tags were one image, and a rollout between them none."""
        images = contents.operands(FACTS)

        told = {(image.environment["FAKE_VERSION"], image.labels["name"]) for image in images}
        assert len(told) == len(images)

    @pytest.mark.parametrize(
        "label", ["name", "vendor", "version", "release", "summary", "description", "maintainer"]
    )
    def test_labels_of_the_certification(self, label: str) -> None:
        """Preflight refuses an image without one of them."""
        assert contents.manager(FACTS).labels[label]

    @pytest.mark.parametrize("label", ["title", "description", "version", "licenses"])
    def test_labels_of_oci(self, label: str) -> None:
        """What registries show."""
        assert contents.manager(FACTS).labels[f"org.opencontainers.image.{label}"]

    def test_python_writes_nothing(self) -> None:
        """The root is read-only, and the working folder is no place to import from."""
        environment = contents.manager(FACTS).environment

        assert environment["PYTHONDONTWRITEBYTECODE"] == "1"
        assert environment["PYTHONSAFEPATH"] == "1"


class TestPackages:
    """No shell, no package manager; what the operator needs is there."""

    def test_nothing_to_log_into(self) -> None:
        """Whoever gets into the container finds Python and nothing else."""
        assert not {"dash", "bash", "busybox", "coreutils", "apt", "dpkg", "perl-base"} & {
            *contents.PACKAGES
        }

    def test_authorities_and_time_zones(self) -> None:
        """TLS and schedules need them."""
        assert {"ca-certificates", "tzdata"} <= {*contents.PACKAGES}

    def test_the_user_exists(self) -> None:
        """The number has a name, for whoever looks it up."""
        files = {file.path: file.text for file in contents.ROOT_FILES}

        assert f":x:{contents.USER_ID}:{contents.USER_ID}:" in files["/etc/passwd"]
        assert f":x:{contents.USER_ID}:" in files["/etc/group"]
