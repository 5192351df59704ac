"""How much an informer holds and how old that is, asked when somebody looks."""

import math

from smbpctl.runtime.metrics import Metrics
from test.support.metric_samples import CONFIG_MAP, FakeInformer, in_use, value


class TestInformerMetrics:
    def test_an_informer_is_asked_at_scrape_time(self) -> None:
        """The kind is the only label."""
        metrics = in_use()

        def count(name: str) -> float | None:
            return value(metrics, f"smbpctl_informer_{name}", gvk="ConfigMap.v1")

        assert count("synced") == 1
        assert count("objects") == 40
        assert count("bytes") == 5000
        assert count("last_event_age_seconds") == 12.5

    def test_before_the_first_event_the_age_is_not_a_number(self) -> None:
        """An age of zero would look healthy."""
        metrics = Metrics()
        metrics.informer(CONFIG_MAP).watch(FakeInformer(age=math.nan), [])

        age = value(metrics, "smbpctl_informer_last_event_age_seconds", gvk="ConfigMap.v1")

        assert age is not None
        assert math.isnan(age)

    def test_relists_are_counted_by_reason(self) -> None:
        """Why the cache was read again tells an old etcd from a bad network."""
        metrics = in_use()
        name = "smbpctl_informer_relists_total"

        metrics.informer(CONFIG_MAP).relisted("expired")
        metrics.informer(CONFIG_MAP).relisted("stalled")

        assert value(metrics, name, gvk="ConfigMap.v1", reason="expired") == 2
        assert value(metrics, name, gvk="ConfigMap.v1", reason="stalled") == 1
