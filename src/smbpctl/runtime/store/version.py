"""Orders resourceVersions: integers where both are, otherwise not comparable."""

# etcd revisions are 64-bit; anything longer is garbage that must not cost quadratic parsing.
_LONGEST = 40


def older(left: str, right: str) -> bool:
    """Tell whether `left` is certainly older than `right`.

    Kubernetes guarantees that resourceVersions of one resource compare as integers (KEP-5504).
    Aggregated servers may send anything: values that are not both decimal are never older.
    """
    a, b = _number(left), _number(right)
    return a is not None and b is not None and a < b


def _number(version: str) -> int | None:
    if len(version) <= _LONGEST and version.isascii() and version.isdecimal():
        return int(version)
    return None
