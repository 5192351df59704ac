"""A reason is documented only if some code gives it: the reference promises nothing else."""

import re
from pathlib import Path

import pytest

import smbpctl
from smbpctl.api.v1alpha1 import REASONS, DescribedEnum

SOURCE = Path(smbpctl.__file__).parent
CODE = "\n".join(
    path.read_text() for path in SOURCE.rglob("*.py") if path.name not in {"reasons.py", "rules.py"}
)
# `plans.rollout` calls its enum by the short name.
ALIASES = {"RollingUpdateSucceededReason": "Reason"}


@pytest.mark.parametrize("reasons", sorted(set(REASONS.values()), key=lambda each: each.__name__))
def test_every_reason_is_given_somewhere(reasons: type[DescribedEnum]) -> None:
    """No member of the enum is dead."""
    names = "|".join(filter(None, (reasons.__name__, ALIASES.get(reasons.__name__))))

    dead = [each.name for each in reasons if not re.search(rf"\b({names})\.{each.name}\b", CODE)]

    assert dead == []
