"""When a node tries again what failed: containers that ended, images that could not be pulled."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, final

from smbpctl.runtime.meta import Manifest, ObjectKey, key_of, uid_of

_LONGEST: Final = timedelta(minutes=5)


def restart_delay(restarts: int, base: timedelta) -> timedelta:
    """Return how long containers stay down: the first restart is at once, then it doubles."""
    return timedelta(0) if restarts == 0 else _doubled(restarts - 1, base)


def _doubled(times: int, base: timedelta) -> timedelta:
    return min(base * (1 << min(times, 30)), _LONGEST)


@final
@dataclass(frozen=True, slots=True)
class _Attempt:
    uid: str
    number: int
    at: datetime
    retry_at: datetime


@final
class PullAttempts:
    """Notes when images of pods were asked for in vain.

    After an attempt the error is told for as long as `told_for`, then that the node backs off,
    until the next attempt: `base` after the first one, and twice as long each time.
    """

    def __init__(self, *, base: timedelta, told_for: timedelta) -> None:
        self._base = base
        self._told_for = told_for
        self._attempts: dict[ObjectKey, _Attempt] = {}

    def has_just_failed(self, pod: Manifest, now: datetime) -> bool:
        """Tell whether an attempt has failed just now, after making one if it is due."""
        key, uid = key_of(pod), uid_of(pod)
        last = self._attempts.get(key)
        if last is None or last.uid != uid:
            last = self._attempts[key] = _Attempt(uid, 0, now, now + self._base)
        elif now >= last.retry_at:
            number = last.number + 1
            retry_at = now + _doubled(number, self._base)
            last = self._attempts[key] = _Attempt(uid, number, now, retry_at)
        return now < last.at + self._told_for

    def forget(self, key: ObjectKey) -> None:
        """Forget a pod that is gone; harmless when nothing is known of it."""
        self._attempts.pop(key, None)
