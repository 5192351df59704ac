"""The registry of liveness and readiness checks; `serving` shows what it reports."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias, final

Check: TypeAlias = Callable[[], str | None]
"""Returns None when all is well, else the reason in words; must be quick and must not wait."""


class ProbeKind(StrEnum):
    """What a failing check leads to: a restart of the container, or no traffic to it."""

    LIVENESS = "liveness"
    READINESS = "readiness"


@final
@dataclass(frozen=True, slots=True)
class CheckResult:
    """What one check said; `reason` is None when it passed."""

    name: str
    reason: str | None = None


@final
@dataclass(frozen=True, slots=True)
class HealthReport:
    """What all checks of one kind said, in the order of their names.

    `unmatched` are the names that were to be excluded and do not exist.
    """

    results: tuple[CheckResult, ...]
    unmatched: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Tell whether no check failed."""
        return all(result.reason is None for result in self.results)

    @property
    def lines(self) -> tuple[str, ...]:
        """Return one line per check in the form of the Kubernetes health endpoints.

        Unlike there the reasons are shown, so a check must not put secrets into them.
        """
        return tuple(self._lines())

    def _lines(self) -> Iterator[str]:
        for result in self.results:
            if result.reason is None:
                yield f"[+]{result.name} ok"
            else:
                yield f"[-]{result.name} failed: {result.reason}"
        if self.unmatched:
            yield f"warn: no checks to exclude by the name of: {', '.join(self.unmatched)}"


@final
class Health:
    """Named checks of this process. Without any check a report holds the passing check `ping`."""

    __slots__ = ("_checks",)

    def __init__(self) -> None:
        self._checks: dict[ProbeKind, dict[str, Check]] = {kind: {} for kind in ProbeKind}

    def add_liveness(self, name: str, check: Check) -> None:
        """Add a check whose failure means: restart. Raise ValueError when the name is taken."""
        self._add(ProbeKind.LIVENESS, name, check)

    def add_readiness(self, name: str, check: Check) -> None:
        """Add a check whose failure means: not now. Raise ValueError when the name is taken."""
        self._add(ProbeKind.READINESS, name, check)

    def report(self, kind: ProbeKind, exclude: Collection[str] = ()) -> HealthReport:
        """Run every check of that kind except the excluded ones."""
        checks = self._checks[kind] or {"ping": _ping}
        return HealthReport(
            results=tuple(
                _run(name, checks[name]) for name in sorted(checks) if name not in exclude
            ),
            unmatched=tuple(sorted(set(exclude) - checks.keys())),
        )

    def report_one(self, kind: ProbeKind, name: str) -> HealthReport | None:
        """Run one check of that kind; return None when there is none of that name."""
        check = (self._checks[kind] or {"ping": _ping}).get(name)
        return None if check is None else HealthReport((_run(name, check),))

    def _add(self, kind: ProbeKind, name: str, check: Check) -> None:
        # The name is the last segment of a path: /readyz/<name>.
        if not name or "/" in name:
            raise ValueError(f"{name!r} cannot be the name of a {kind} check")
        if name in self._checks[kind]:
            raise ValueError(f"there is already a {kind} check named {name}")
        self._checks[kind][name] = check


def _ping() -> str | None:
    return None


def _run(name: str, check: Check) -> CheckResult:
    try:
        return CheckResult(name, check())
    except Exception as error:  # a broken check must be seen as one, not as a broken server
        return CheckResult(name, f"{type(error).__name__}: {error}")
