"""Orders resourceVersions: integers where both are, otherwise not comparable."""

# etcd revisions are 64-bit; anything longer is garbage that must not cost quadratic parsing.
_LONGEST = 40


def older(left: str, right: str) -> bool:
    """Tell whether `left` is certainly older than `right`.

    Kubernetes guarantees that resourceVersions of one resource compare as integers (KEP-5504).
    Aggregated servers may send anything: values that are not both decimal are never older.
    """
    if len(left) == len(right) <= _LONGEST:
        # The common case, asked several times for each event: such integers compare as texts.
        return left < right and _is_decimal(left) and _is_decimal(right)
    a, b = _number(left), _number(right)
    return a is not None and b is not None and a < b


def _number(version: str) -> int | None:
    return int(version) if len(version) <= _LONGEST and _is_decimal(version) else None


def _is_decimal(version: str) -> bool:
    return version.isascii() and version.isdecimal()
