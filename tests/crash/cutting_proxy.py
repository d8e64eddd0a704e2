"""A proxy before a server, which cuts a connection at its next COMMIT."""

from __future__ import annotations

import enum
import socket
import threading
from contextlib import suppress
from typing import Self


class Cut(enum.Enum):
    """When a connection is cut."""

    BEFORE = "the server never sees the COMMIT"
    AT_ONCE = "as soon as it was sent on"
    AFTER = "when the server answered, which the client never sees"


class CuttingProxy:
    """Forwards a port of loopback, between `with` and its end."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._cut: Cut | None = None
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.close()

    def cut_next(self, cut: Cut) -> None:
        """Cut at the next COMMIT, once."""
        self._cut = cut

    @property
    def is_to_cut(self) -> bool:
        """Whether the COMMIT at which to cut has yet to come."""
        return self._cut is not None

    def take_cut(self) -> Cut | None:
        """Return how to cut now, once."""
        cut, self._cut = self._cut, None
        return cut

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
                line = _Line(self, client, server)
                for work in (line.requests, line.answers):
                    threading.Thread(target=work, daemon=True).start()


class _Line:
    """One connection of a client, and the one to the server."""

    def __init__(self, proxy: CuttingProxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        self._is_cut = False
        self._answered = threading.Event()

    def requests(self) -> None:
        """Send on what the client says, until it says what it is cut at."""
        with suppress(OSError):
            while data := self._client.recv(1 << 16):
                cut = self._proxy.take_cut() if b"COMMIT\0" in data else None
                self._is_cut = cut is not None
                if cut is not Cut.BEFORE:
                    self._server.sendall(data)
                if cut is Cut.AFTER:
                    self._answered.wait()
                if cut is not None:
                    break
        _close(self._client, self._server)

    def answers(self) -> None:
        """Send on what the server answers, but to what it is cut at."""
        with suppress(OSError):
            while data := self._server.recv(1 << 16):
                if self._is_cut:
                    break
                self._client.sendall(data)
        self._answered.set()


def _close(*sockets: socket.socket) -> None:
    for each in sockets:
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
        each.close()
