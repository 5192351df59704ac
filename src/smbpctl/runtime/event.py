"""What an informer tells: plain values that say which object appeared, changed or went."""

from dataclasses import dataclass
from typing import TypeAlias, final

from smbpctl.runtime.meta import StoredObject


@final
@dataclass(frozen=True, slots=True)
class Created:
    """An object is new to the cache. `initial` marks those of the first complete list."""

    object: StoredObject
    initial: bool = False


@final
@dataclass(frozen=True, slots=True)
class Updated:
    """An object changed. `old` and `object` always have the same UID.

    A name that was deleted and created again is told as `Deleted` followed by `Created`, also
    when the informer saw only the ends. A resync tells equal `old` and `object`.
    """

    old: StoredObject
    object: StoredObject


@final
@dataclass(frozen=True, slots=True)
class Deleted:
    """An object is gone.

    `final_state_unknown` marks a deletion that was inferred from a list: `object` is then the
    last state the cache knew, not the last state there was.
    """

    object: StoredObject
    final_state_unknown: bool = False


@final
@dataclass(frozen=True, slots=True)
class Generic:
    """Something outside the API server concerns the object: a timer, a channel, a probe."""

    object: StoredObject


Event: TypeAlias = Created | Updated | Deleted | Generic
"""Any of the four; `event.object` is the newest state known."""
