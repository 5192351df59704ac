"""Strimzi's words: conditions whose shape differs from kind to kind."""

import pytest

from smbpctl.observed import LogPart
from smbpctl.reconcilers.strimzi import bootstrap_servers, part_fact, user_secret
from smbpctl.runtime.meta import Manifest


def resource(*conditions: Manifest, generation: int = 2, observed: int = 2) -> Manifest:
    """Return a resource of Strimzi's with conditions."""
    return {
        "metadata": {"generation": generation},
        "status": {"observedGeneration": observed, "conditions": list(conditions)},
    }


def condition(kind: str, status: str = "True", reason: str = "", message: str = "") -> Manifest:
    """Return a condition; Strimzi leaves reason and message out where all is well."""
    words = {"reason": reason, "message": message}
    return {"type": kind, "status": status, **{name: text for name, text in words.items() if text}}


class TestPartFact:
    def test_ready(self) -> None:
        """Ready=True at the newest generation."""
        part = part_fact("Kafka", "demo-log", resource(condition("Ready")))

        assert part == LogPart("Kafka", "demo-log", ready=True)

    def test_absent(self) -> None:
        """It is about to be created."""
        part = part_fact("Kafka", "demo-log", None)

        assert part == LogPart("Kafka", "demo-log", ready=False, message="waits to be created")

    def test_new(self) -> None:
        """Created, and not looked at yet: there is nothing to quote."""
        part = part_fact("Kafka", "demo-log", {"metadata": {"generation": 1}})

        assert part == LogPart("Kafka", "demo-log", ready=False)

    @pytest.mark.parametrize("kind", ["Kafka", "KafkaUser"])
    def test_not_ready_is_a_condition_that_is_true(self, kind: str) -> None:
        """Kafka and KafkaUser have no Ready then; the words are NotReady's."""
        manifest = resource(condition("NotReady", reason="FatalProblem", message="no quorum"))

        part = part_fact(kind, "x", manifest)

        assert (part.ready, part.reason, part.message) == (False, "FatalProblem", "no quorum")

    def test_a_topic_says_ready_false(self) -> None:
        """The one kind that keeps to the convention."""
        manifest = resource(condition("Ready", "False", "KafkaError", "replication factor"))

        part = part_fact("KafkaTopic", "x", manifest)

        assert (part.ready, part.reason, part.message) == (
            False,
            "KafkaError",
            "replication factor",
        )

    def test_creating_is_not_ready(self) -> None:
        """Kafka says NotReady with reason Creating while it starts, beside warnings."""
        manifest = resource(
            condition("Warning", reason="KafkaStorage"),
            condition("NotReady", reason="Creating", message="Kafka cluster is being deployed"),
        )

        assert part_fact("Kafka", "x", manifest).reason == "Creating"

    def test_warnings_do_not_matter(self) -> None:
        """They are there beside Ready."""
        manifest = resource(condition("Warning", reason="Old"), condition("Ready"))

        assert part_fact("Kafka", "x", manifest).ready

    def test_ready_of_an_older_generation_does_not_count(self) -> None:
        """What it says is not about what we asked for now."""
        part = part_fact("Kafka", "x", resource(condition("Ready"), generation=3))

        assert part == LogPart("Kafka", "x", ready=False)

    @pytest.mark.parametrize("kind", ["ReconciliationPaused", "Unmanaged"])
    def test_paused_and_unmanaged(self, kind: str) -> None:
        """Nobody looks at it, so Ready beside it means nothing."""
        manifest = resource(condition("Ready"), condition(kind, message="by annotation"))

        part = part_fact("KafkaTopic", "x", manifest)

        assert (part.ready, part.paused) == (False, True)
        assert (part.reason, part.message) == (kind, "by annotation")

    def test_not_paused_any_more(self) -> None:
        """A condition that is False is over."""
        manifest = resource(condition("ReconciliationPaused", "False"), condition("Ready"))

        assert part_fact("Kafka", "x", manifest).ready


class TestBootstrapServers:
    def test_those_of_our_listener(self) -> None:
        """In the order Strimzi lists them; other listeners are others' business."""
        kafka = {
            "status": {
                "listeners": [
                    {"name": "plain", "bootstrapServers": "plain:9092"},
                    {"name": "tls", "bootstrapServers": "a:9093,b:9093"},
                ]
            }
        }

        assert bootstrap_servers(kafka) == ("a:9093", "b:9093")

    @pytest.mark.parametrize(
        "kafka",
        [None, {}, {"status": {}}, {"status": {"listeners": [{"name": "tls"}]}}],
        ids=["absent", "new", "not looked at", "without address"],
    )
    def test_none_yet(self, kafka: Manifest | None) -> None:
        """Empty until Strimzi says it."""
        assert bootstrap_servers(kafka) == ()


@pytest.mark.parametrize(
    ("user", "secret"),
    [(None, ""), ({}, ""), ({"status": {"secret": "prefix-shop.demo"}}, "prefix-shop.demo")],
)
def test_the_secret_of_a_user_is_what_strimzi_says(user: Manifest | None, secret: str) -> None:
    """Strimzi can be told to prefix it: its name is never guessed."""
    assert user_secret(user) == secret
