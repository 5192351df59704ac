"""The query strings and media types of list, watch and write requests."""

from collections.abc import Mapping
from datetime import timedelta
from urllib.parse import urlencode

from smbpctl.runtime.meta import FieldSelector, LabelSelector

JSON = "application/json"
APPLY = "application/apply-patch+yaml"
JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"

_METADATA = "application/json;as={};g=meta.k8s.io;v=v1,application/json"


def encoded(query: Mapping[str, str]) -> str:
    """Return a query string without the parameters that are empty."""
    return urlencode({key: value for key, value in query.items() if value})


def list_headers(*, metadata_only: bool) -> dict[str, str]:
    """Return the headers of a list; metadata falls back to whole objects where unsupported."""
    return {"Accept": _METADATA.format("PartialObjectMetadataList") if metadata_only else JSON}


def watch_headers(*, metadata_only: bool) -> dict[str, str]:
    """Return the headers of a watch; metadata falls back to whole objects where unsupported."""
    return {"Accept": _METADATA.format("PartialObjectMetadata") if metadata_only else JSON}


def list_query(
    *,
    page_size: int,
    selector: LabelSelector | None,
    fields: FieldSelector | None = None,
    resource_version: str,
    token: str,
) -> str:
    """Return the query of one page.

    A `token` stands for the moment of the first page; a resourceVersion beside it is an error.
    """
    return encoded(
        {
            "limit": str(page_size),
            "labelSelector": selector.to_query() if selector else "",
            "fieldSelector": fields.to_query() if fields else "",
            "resourceVersion": "" if token else resource_version,
            "continue": token,
        }
    )


def watch_query(
    *,
    selector: LabelSelector | None,
    fields: FieldSelector | None = None,
    resource_version: str,
    initial_events: bool = False,
    timeout: timedelta,
) -> str:
    """Return the query of a watch with bookmarks that the server ends after `timeout`.

    With `initial_events` it begins with a list (KEP-3157); without a resourceVersion that is a
    consistent read.
    """
    return encoded(
        {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "labelSelector": selector.to_query() if selector else "",
            "fieldSelector": fields.to_query() if fields else "",
            "resourceVersion": resource_version,
            "sendInitialEvents": "true" if initial_events else "",
            "resourceVersionMatch": "NotOlderThan" if initial_events else "",
            "timeoutSeconds": str(max(1, int(timeout.total_seconds()))),
        }
    )
