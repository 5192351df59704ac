"""Tests of failure rules: whom they concern, and that they can be lifted."""

from datetime import timedelta

import pytest

from smbpctl.runtime.simulation.agents.failures import Failure, FailureRule, FailureRules
from test.unit.runtime.simulation.agents.builders import container, pod


@pytest.mark.parametrize(
    ("rule", "concerned"),
    [
        (FailureRule(Failure.CRASH_LOOP), True),
        (FailureRule(Failure.CRASH_LOOP, pod="ns/web-*"), True),
        (FailureRule(Failure.CRASH_LOOP, pod="other/web-*"), False),
        (FailureRule(Failure.CRASH_LOOP, pod="web-*"), False),
        (FailureRule(Failure.CRASH_LOOP, image="*/web:1"), True),
        (FailureRule(Failure.CRASH_LOOP, image="*/web:2"), False),
        (FailureRule(Failure.CRASH_LOOP, pod="ns/*", image="*:2"), False),
    ],
)
def test_both_patterns_must_match(rule: FailureRule, concerned: bool) -> None:
    """A rule is about the pods whose namespace/name and some image match."""
    rules = FailureRules([rule])

    assert (Failure.CRASH_LOOP in rules.of(pod())) is concerned


def test_unpullable_images_are_those_that_match() -> None:
    """Of several images only the matching ones cannot be pulled, init containers included."""
    rules = FailureRules([FailureRule(Failure.IMAGE_PULL, image="bad*")])
    several = pod(
        initContainers=[container("init", "bad-init:1")],
        containers=[container("a", "bad:1"), container("b", "good:1")],
    )

    assert rules.unpullable(several) == {"bad-init:1", "bad:1"}


def test_other_failures_make_no_image_unpullable() -> None:
    """A crash loop of an image is no pull failure."""
    assert FailureRules([FailureRule(Failure.CRASH_LOOP)]).unpullable(pod()) == frozenset()


def test_the_longest_start_delay_counts() -> None:
    """Several slow-start rules do not add up; other rules' delays do not count."""
    rules = FailureRules(
        [
            FailureRule(Failure.SLOW_START, delay=timedelta(seconds=3)),
            FailureRule(Failure.SLOW_START, delay=timedelta(seconds=5)),
            FailureRule(Failure.SLOW_START, pod="other/*", delay=timedelta(seconds=50)),
            FailureRule(Failure.NEVER_READY, delay=timedelta(seconds=60)),
        ]
    )

    assert rules.start_delay(pod()) == timedelta(seconds=5)


def test_a_lifted_rule_concerns_nobody() -> None:
    """Rules come and go while the agent runs; lifting one twice is harmless."""
    rules = FailureRules()
    first = rules.add(FailureRule(Failure.CRASH_LOOP))
    rules.add(FailureRule(Failure.NEVER_READY))

    rules.remove(first)
    rules.remove(first)

    assert rules.of(pod()) == {Failure.NEVER_READY}
    rules.clear()
    assert rules.of(pod()) == frozenset()
