"""Carries connections from a port of the machine to the API server inside the namespaces."""

import asyncio
import socket
import threading
from typing import Final

_CHUNK: Final = 256 * 1024


def serve(listener: socket.socket, host: str, port: int) -> None:
    """Carry every connection that `listener` accepts to `host:port`, on a thread of its own.

    A socket belongs to the network namespace in which it was made: this one was made outside, and
    the process that calls this is inside, so nothing of the machine's network has to change.
    """
    thread = threading.Thread(
        target=lambda: asyncio.run(_serve(listener, host, port)), name="gateway", daemon=True
    )
    thread.start()


async def _serve(listener: socket.socket, host: str, port: int) -> None:
    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there_reader, there_writer = await asyncio.open_connection(host, port)
        except OSError:
            writer.close()
            return
        async with asyncio.TaskGroup() as group:
            group.create_task(_copy(reader, there_writer))
            group.create_task(_copy(there_reader, writer))

    server = await asyncio.start_server(carry, sock=listener, limit=_CHUNK)
    async with server:
        await server.serve_forever()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while chunk := await reader.read(_CHUNK):
            writer.write(chunk)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        # TLS ends in both directions at once; half a connection is of no use to anybody.
        writer.close()
