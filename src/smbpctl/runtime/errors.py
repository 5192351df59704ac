"""Every deliberate exception of the runtime; families by what the caller can do about them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast


@dataclass(frozen=True, slots=True)
class StatusCause:
    """One entry of `details.causes` of a Kubernetes `Status`."""

    reason: str = ""
    message: str = ""
    field: str = ""


class ApiStatusError(Exception):
    """The API server answered with a failure `Status`.

    Carries the HTTP `code`, the machine word `reason`, the server's `message`, the `causes` and,
    where the server named one, the delay after which a retry makes sense.
    """

    def __init__(
        self,
        message: str,
        *,
        code: int,
        reason: str = "",
        causes: Sequence[StatusCause] = (),
        retry_after: timedelta | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.reason = reason
        self.causes: tuple[StatusCause, ...] = tuple(causes)
        self.retry_after = retry_after


class BadRequest(ApiStatusError):
    """400: the request itself is malformed, or names an unknown field."""


class Unauthorized(ApiStatusError):
    """401: the credentials were not accepted."""


class Forbidden(ApiStatusError):
    """403: authorization, admission or quota refused the request."""


class NotFound(ApiStatusError):
    """404: the object, or the kind, does not exist."""


class MethodNotAllowed(ApiStatusError):
    """405: the resource does not support the verb."""


class Conflict(ApiStatusError):
    """409: a precondition did not hold, or another field manager owns a field."""


class AlreadyExists(ApiStatusError):
    """409 with reason AlreadyExists: the name is taken."""


class Gone(ApiStatusError):
    """410: the resourceVersion or the continue token is too old; list again."""


class RequestTooLarge(ApiStatusError):
    """413: the request has more bytes than the server reads; no retry helps."""


class UnsupportedMediaType(ApiStatusError):
    """415: the kind does not know this sort of patch."""


class Invalid(ApiStatusError):
    """422: the object fails validation; `causes` name the fields."""


class TooManyRequests(ApiStatusError):
    """429: flow control, or an eviction that a disruption budget does not allow now."""


class ServerError(ApiStatusError):
    """500, 502, 503: the server failed; a mutating request may or may not have been executed."""


class ServerTimeout(ApiStatusError):
    """504: the server gave up; a mutating request may have been executed."""


_QUOTED_OBJECT = re.compile(r'Invalid value: "\{(?:[^"\\]|\\.)*\}": ')

_BY_CODE: Mapping[int, type[ApiStatusError]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    405: MethodNotAllowed,
    409: Conflict,
    410: Gone,
    413: RequestTooLarge,
    415: UnsupportedMediaType,
    422: Invalid,
    429: TooManyRequests,
    504: ServerTimeout,
}


def _mapping(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}


def _causes(details: Mapping[str, Any]) -> list[StatusCause]:
    raw = details.get("causes")
    items = cast("list[object]", raw) if isinstance(raw, list) else []
    return [
        StatusCause(
            reason=str(cause.get("reason", "")),
            message=_without_object(str(cause.get("message", ""))),
            field=str(cause.get("field", "")),
        )
        for cause in map(_mapping, items)
    ]


def _without_object(text: str) -> str:
    # Where a patch is refused for an unknown field, the server quotes the whole patched object,
    # the values of a Secret included (tried on 1.36).
    return _QUOTED_OBJECT.sub("Invalid value: ", text)


def status_error(
    status: Mapping[str, Any],
    *,
    code: int | None = None,
    retry_after: timedelta | None = None,
    context: str = "",
) -> ApiStatusError:
    """Translate a Kubernetes `Status` object into the matching exception.

    `code` is the HTTP status where there was one; inside a watch stream the object's own `code`
    counts. `context` says what was attempted ("get ConfigMap default/a") and leads the message.
    A malformed `Status` still gives an error with whatever could be read.
    """
    own_code = status.get("code")
    effective = code if code is not None else own_code if isinstance(own_code, int) else 500
    reason = str(status.get("reason") or "")
    details = _mapping(status.get("details"))
    seconds = details.get("retryAfterSeconds")
    if retry_after is None and isinstance(seconds, int) and seconds > 0:
        retry_after = timedelta(seconds=seconds)
    text = _without_object(str(status.get("message") or reason or f"HTTP {effective}"))
    if reason == "AlreadyExists":
        error_type: type[ApiStatusError] = AlreadyExists
    elif reason == "Expired":
        error_type = Gone
    else:
        fallback = ServerError if effective >= 500 else ApiStatusError
        error_type = _BY_CODE.get(effective, fallback)
    return error_type(
        f"{context}: {text}" if context else text,
        code=effective,
        reason=reason,
        causes=_causes(details),
        retry_after=retry_after,
    )


class TransportError(Exception):
    """No usable HTTP answer arrived.

    `sent` tells whether the request may have been executed by the server: after it a mutating
    call has an unknown outcome and must be read back before anything is built on it.
    """

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


class ConfigurationError(Exception):
    """A kubeconfig, certificate or setting cannot be used; the message names file and field."""


class TerminalError(Exception):
    """Retrying cannot help until the input changes: the controller forgets the key.

    `reason` is a machine word in UpperCamelCase, fit for a condition.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class NameConflict(TerminalError):
    """An object of the wanted name exists and belongs to somebody else; it is left alone."""

    def __init__(self, message: str) -> None:
        super().__init__("NameConflict", message)


class NoKindMatch(Exception):
    """The API server does not serve this kind (now); it may when its CRD is installed."""


class KindNotWatched(Exception):
    """A cached read of a kind for which no informer is registered."""


class MetadataOnly(Exception):
    """A full read of a kind that the cache holds as metadata only; use `live_get`."""


class OutsideProjection(Exception):
    """A field was read that the cache does not keep of this kind; the object may well have it."""


class CacheNotSynced(Exception):
    """A cached read before the first list of the kind was complete."""


class IndexMissing(Exception):
    """A read by an index that was never added to the kind."""


class LeadershipLost(Exception):
    """This process may no longer write; the manager ends."""


class MissingPermissions(Exception):
    """The server does not allow what this process needs; the message tells how to grant it.

    `missing` names each permission: "list deployments.apps in all namespaces".
    """

    def __init__(self, message: str, missing: Sequence[str]) -> None:
        super().__init__(message)
        self.missing: tuple[str, ...] = tuple(missing)
