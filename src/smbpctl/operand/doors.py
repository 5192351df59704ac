"""The two ways to a store member: straight to its address, or through the API server."""

from contextlib import AbstractAsyncContextManager
from typing import Protocol, final

from smbpctl.operand.client import MemberEndpoint
from smbpctl.runtime.meta import ObjectKey
from smbpctl.runtime.transport import HttpRequest, HttpResponse, Transport


@final
class DirectDoor:
    """Satisfies `MemberDoor` inside the cluster's network, where pods' addresses lead to pods."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def send(
        self, member: MemberEndpoint, request: HttpRequest
    ) -> AbstractAsyncContextManager[HttpResponse]:
        """Send a request to the address in its URL."""
        return self._transport.send(request)


class PodHttp(Protocol):
    """The part of `ForwardedHttp` that is used."""

    def send(
        self, pod: ObjectKey, port: int, request: HttpRequest
    ) -> AbstractAsyncContextManager[HttpResponse]:
        """Send a request to a port of a pod."""
        ...


@final
class PortForwardDoor:
    """Satisfies `MemberDoor` from anywhere, by port-forward.

    The pod is found by its name alone: where a pod was replaced by one of its name a moment ago,
    the new one answers. `MemberReport.server_id` tells whose data it speaks of.
    """

    def __init__(self, http: PodHttp) -> None:
        self._http = http

    def send(
        self, member: MemberEndpoint, request: HttpRequest
    ) -> AbstractAsyncContextManager[HttpResponse]:
        """Send a request to the member's pod."""
        return self._http.send(member.pod, member.port, request)
