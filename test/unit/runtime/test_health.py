"""Checks have names, kinds and reasons; a broken check is a failing one."""

import pytest

from smbpctl.runtime.health import CheckResult, Health, HealthReport, ProbeKind


def well() -> None:
    """Pass."""


def ill() -> str:
    """Fail with a reason."""
    return "ConfigMap.v1 is not synced"


def broken() -> str:
    """Fail to check."""
    raise LookupError("no such informer")


class TestHealth:
    @pytest.mark.parametrize("kind", list(ProbeKind))
    def test_without_checks_the_process_is_alive_and_ready(self, kind: ProbeKind) -> None:
        """That the report could be made is the answer."""
        report = Health().report(kind)

        assert report.ok
        assert report.lines == ("[+]ping ok",)

    def test_one_failing_check_fails_the_report(self) -> None:
        """Every check is run and told, in the order of the names, with the reasons."""
        health = Health()
        health.add_readiness("webhook", well)
        health.add_readiness("caches-synced", ill)
        health.add_readiness("leader", well)

        report = health.report(ProbeKind.READINESS)

        assert not report.ok
        assert report.lines == (
            "[-]caches-synced failed: ConfigMap.v1 is not synced",
            "[+]leader ok",
            "[+]webhook ok",
        )

    def test_kinds_are_apart(self) -> None:
        """What is not ready need not be restarted; a name may be used once for each kind."""
        health = Health()
        health.add_liveness("loop", well)
        health.add_readiness("loop", ill)

        assert health.report(ProbeKind.LIVENESS).ok
        assert not health.report(ProbeKind.READINESS).ok

    def test_checks_are_run_afresh_for_each_report(self) -> None:
        """Nothing is remembered between two probes."""
        reasons: list[str | None] = [None, "lost", None]
        health = Health()
        health.add_liveness("lease", lambda: reasons.pop(0))

        verdicts = [health.report(ProbeKind.LIVENESS).ok for _ in range(3)]

        assert verdicts == [True, False, True]

    def test_excluded_checks_are_not_run(self) -> None:
        """The rest decides; a name that matches nothing is told, for it may be misspelt."""
        health = Health()
        health.add_readiness("caches-synced", ill)
        health.add_readiness("slow", broken)
        health.add_readiness("webhook", well)

        report = health.report(ProbeKind.READINESS, exclude=["slow", "caches-synced", "typo"])

        assert report.ok
        assert report.lines == (
            "[+]webhook ok",
            "warn: no checks to exclude by the name of: typo",
        )

    def test_a_check_that_raises_has_failed(self) -> None:
        """Its error is the reason, and the other checks are still run."""
        health = Health()
        health.add_readiness("broken", broken)
        health.add_readiness("webhook", well)

        report = health.report(ProbeKind.READINESS)

        assert not report.ok
        assert report.results == (
            CheckResult("broken", "LookupError: no such informer"),
            CheckResult("webhook"),
        )

    def test_one_check_can_be_asked_alone(self) -> None:
        """An unknown name is no report at all; `ping` is there while nothing else is."""
        health = Health()
        health.add_readiness("caches-synced", ill)
        health.add_readiness("webhook", well)

        webhook = health.report_one(ProbeKind.READINESS, "webhook")

        assert webhook == HealthReport((CheckResult("webhook"),))
        assert health.report_one(ProbeKind.READINESS, "ping") is None
        assert health.report_one(ProbeKind.LIVENESS, "ping") == HealthReport((CheckResult("ping"),))

    def test_a_name_can_be_taken_once(self) -> None:
        """Two checks of one name would hide each other."""
        health = Health()
        health.add_readiness("caches-synced", ill)

        with pytest.raises(ValueError, match="already a readiness check named caches-synced"):
            health.add_readiness("caches-synced", well)

    @pytest.mark.parametrize("name", ["", "a/b"])
    def test_a_name_must_fit_into_a_path(self, name: str) -> None:
        """Each check has an address of its own below that of its kind."""
        with pytest.raises(ValueError, match="cannot be the name of a liveness check"):
            Health().add_liveness(name, well)
