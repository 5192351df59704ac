"""The kinds of the reconcilers are those for which rights are declared."""

from smbpctl.reconcilers import kinds
from smbpctl.reconcilers.access import EVERYTHING
from smbpctl.runtime.discovery import OptionalKind
from smbpctl.runtime.meta import GroupVersionKind


def plural_of(kind: str) -> str:
    """Return the resource of a kind, by the rule that all kinds here follow."""
    lower = kind.lower()
    if lower.endswith("y"):
        return f"{lower[:-1]}ies"
    return f"{lower}es" if lower.endswith("s") else f"{lower}s"


def test_rights_are_declared_for_every_kind() -> None:
    """A kind without rights could not even be listed. Only discovery looks at SCCs."""
    found = [
        each for each in vars(kinds).values() if isinstance(each, GroupVersionKind | OptionalKind)
    ]
    declared = {(each.group, resource) for each in EVERYTHING for resource in each.resources}

    missing = [each for each in found if (each.group, plural_of(each.kind)) not in declared]

    assert len(found) > 15
    assert missing == [kinds.SECURITY_CONTEXT_CONSTRAINTS]


def test_optional_kinds_are_those_of_other_people() -> None:
    """What Kubernetes itself serves is always there."""
    optional = {each.group for each in vars(kinds).values() if isinstance(each, OptionalKind)}

    assert optional == {"cert-manager.io", "kafka.strimzi.io", "security.openshift.io"}
