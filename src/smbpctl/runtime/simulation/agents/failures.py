"""How pods can be made to fail: rules by pod and image that a test adds and takes away."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import final

from smbpctl.runtime.meta import Manifest, key_of
from smbpctl.runtime.simulation.agents.sections import entries


class Failure(StrEnum):
    """What goes wrong with a pod."""

    IMAGE_PULL = "image-pull"
    """Images that are not on the node yet cannot be pulled."""
    CRASH_LOOP = "crash-loop"
    """Containers exit as soon as they are started."""
    NEVER_READY = "never-ready"
    """Readiness probes fail."""
    STUCK_TERMINATING = "stuck-terminating"
    """A deleted pod does not go away, whatever its grace period."""
    SLOW_START = "slow-start"
    """Containers are created `delay` after the pod came to its node."""


@final
@dataclass(frozen=True, slots=True)
class FailureRule:
    """A failure of the pods that both patterns match; shell patterns, `*` matches everything.

    `pod` is matched against `namespace/name`, `image` against the image of each container:
    `IMAGE_PULL` befalls the matching containers, any other failure the whole pod.
    """

    failure: Failure
    pod: str = "*"
    image: str = "*"
    delay: timedelta = timedelta(0)

    def images(self, pod: Manifest) -> frozenset[str]:
        """Return the pod's images that the rule is about; empty when it is not about the pod."""
        if not fnmatchcase(str(key_of(pod)), self.pod):
            return frozenset()
        return frozenset(image for image in _images(pod) if fnmatchcase(image, self.image))


@final
class FailureRules:
    """The rules in force; the node agent asks anew each time it looks at a pod."""

    def __init__(self, rules: Iterable[FailureRule] = ()) -> None:
        self._rules = list(rules)

    def add(self, rule: FailureRule) -> FailureRule:
        """Put a rule into force and return it, for `remove`."""
        self._rules.append(rule)
        return rule

    def remove(self, rule: FailureRule) -> None:
        """Lift a rule; harmless when it is not in force."""
        if rule in self._rules:
            self._rules.remove(rule)

    def clear(self) -> None:
        """Lift all rules."""
        self._rules.clear()

    def of(self, pod: Manifest) -> frozenset[Failure]:
        """Return what is to go wrong with a pod."""
        return frozenset(rule.failure for rule in self._rules if rule.images(pod))

    def unpullable(self, pod: Manifest) -> frozenset[str]:
        """Return the pod's images that cannot be pulled."""
        rules = [rule for rule in self._rules if rule.failure is Failure.IMAGE_PULL]
        return frozenset[str]().union(*(rule.images(pod) for rule in rules))

    def start_delay(self, pod: Manifest) -> timedelta:
        """Return how long the pod's containers take to be created: the longest of its rules."""
        slow = [rule for rule in self._rules if rule.failure is Failure.SLOW_START]
        return max((rule.delay for rule in slow if rule.images(pod)), default=timedelta(0))


def _images(pod: Manifest) -> list[str]:
    containers = [*entries(pod, "spec", "initContainers"), *entries(pod, "spec", "containers")]
    return [str(container.get("image", "")) for container in containers]
