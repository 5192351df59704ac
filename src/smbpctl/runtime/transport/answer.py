"""Reads what an API server answered: JSON, or the exception that says what went wrong."""

import re
from collections.abc import Mapping
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar, cast

import msgspec

from smbpctl.runtime.errors import ApiStatusError, NotFound, TransportError, status_error
from smbpctl.runtime.transport.exchange import HttpResponse

T = TypeVar("T")

_ERROR_BODY_LIMIT = 1 << 20
_SHOWN = 200
_MARKUP = re.compile(r"<(style|script)\b.*?</\1>|<[^>]*>", re.DOTALL | re.IGNORECASE)
_WARNING = re.compile(r'299 \S+ "((?:[^"\\]|\\.)*)"')


class PathNotServed(NotFound):
    """404 for the path itself: no object is missing, the server does not know the resource."""


async def failure(response: HttpResponse, context: str) -> ApiStatusError:
    """Return the exception for an answer that is no success; reads the body.

    Also for answers that no API server wrote: a proxy's HTML page, an empty body, a redirect.
    The message then shows the beginning of the text. A 404 that names no object is
    `PathNotServed`.
    """
    body = await response.read(_ERROR_BODY_LIMIT)
    status = _status(body)
    error = status_error(
        status or {"message": _foreign(response, body)},
        code=response.status,
        retry_after=retry_after(response.headers),
        context=context,
    )
    if isinstance(error, NotFound) and not _names_object(status):
        return PathNotServed(str(error), code=error.code, reason=error.reason)
    return error


def decode(body: bytes, decoder: msgspec.json.Decoder[T], context: str) -> T:
    """Decode the JSON body of a success.

    Raises TransportError when it is something else, truncated or empty: such an answer says
    nothing of what the server did.
    """
    try:
        return decoder.decode(body)
    except msgspec.MsgspecError as error:
        raise TransportError(
            f"{context}: the answer is not the expected JSON ({error}): {excerpt(body)}", sent=True
        ) from error


def excerpt(body: bytes) -> str:
    """Return the beginning of a body as one line of text, without markup."""
    text = _MARKUP.sub(" ", body[:8192].decode("utf-8", errors="replace"))
    line = " ".join(text.split())
    if not line:
        return "an empty body"
    return repr(line[:_SHOWN] + ("…" if len(line) > _SHOWN else ""))


def retry_after(headers: Mapping[str, str]) -> timedelta | None:
    """Return the delay of a `Retry-After` header, given in seconds or as a date.

    A date counts from the answer's own `Date`, so that clocks need not agree.
    """
    value = headers.get("retry-after", "").strip()
    if not value:
        return None
    if value.isascii() and value.isdigit() and len(value) < 7:
        return timedelta(seconds=int(value))
    try:
        delay = parsedate_to_datetime(value) - parsedate_to_datetime(headers.get("date", ""))
    except (ValueError, TypeError):
        return None
    return max(delay, timedelta(0))


def warnings(headers: Mapping[str, str]) -> list[str]:
    """Return the texts of the `Warning` headers an API server adds, deprecations for example."""
    value = headers.get("warning")
    if value is None:
        return []
    return [re.sub(r"\\(.)", r"\1", text) for text in _WARNING.findall(value)]


def _status(body: bytes) -> dict[str, Any] | None:
    try:
        decoded = msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.MsgspecError:
        return None
    return decoded if decoded.get("kind") == "Status" else None


def _names_object(status: dict[str, Any] | None) -> bool:
    details = status.get("details") if status else None
    return isinstance(details, dict) and bool(cast("dict[str, object]", details).get("name"))


def _foreign(response: HttpResponse, body: bytes) -> str:
    location = response.headers.get("location")
    redirect = f", a redirect to {location}" if location else ""
    kind = response.headers.get("content-type", "no content type")
    return (
        f"HTTP {response.status}{redirect}, not answered by an API server ({kind}): {excerpt(body)}"
    )
