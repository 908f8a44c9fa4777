"""Puts the server together: the sockets on loopback, the site that is built anew, the runs, and the end of it all."""

from __future__ import annotations

import asyncio
import errno
import os
import secrets
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from types import FrameType
from typing import Protocol

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from runbook.errors import ExecutionError, RunbookError, UsageError
from runbook.escaping import safe
from runbook.executors.folders import private_folder
from runbook.server.app import Api, State
from runbook.server.guard import BODY_BYTES, Guard
from runbook.server.pages import Pages
from runbook.server.runs import Runs

#: What the folders of served sites are called, in the folder for temporary files.
PREFIX = "runbook-site-"
#: Connections at once; how long the head of a request may be, in bytes, and how long it may take, in seconds; and how
#: long it may take to end connections, in seconds.
CONNECTIONS, HEAD_BYTES, HEAD_SECONDS, GOODBYE_SECONDS = 256, 16 * 1024, 5.0, 1
#: How often a free port is tried for, since it must be free for IPv6 too.
TRIES = 20


class Site(Protocol):
    """What builds the site; see `mkdocs_runbook.rebuild.Rebuilder`."""

    def build(self) -> None: ...

    def begin(self) -> None: ...

    def stop(self) -> None: ...


class MakeSite(Protocol):
    """What makes one."""

    def __call__(
        self,
        start: str,
        folder: str,
        *,
        served: str,
        execute: str,
        show: Callable[[str], None],
        failed: Callable[[RunbookError], None],
    ) -> Site: ...


def serve(start: str, make_site: MakeSite, *, port: int, open_it: bool, may_run: bool, execute: str) -> None:
    """Serve the site around this folder until Ctrl-C or a signal that ends programs.

    Raises UsageError where the port is taken, and as the first build does.
    """
    with _ended_by_signals(), _listening(port) as sockets, private_folder(PREFIX) as folder:
        address = f"http://127.0.0.1:{sockets[0].getsockname()[1]}/"
        pages, token = Pages(), secrets.token_urlsafe(32)
        serving = _Serving(start, pages, token, may_run)
        site = make_site(start, folder, served=address, execute=execute, show=serving.built, failed=serving.failed)
        site.build()
        whole = f"{address}#token={token}"
        print(_told(start, whole, may_run), flush=True)
        site.begin()
        try:
            opener = threading.Thread(target=_open, args=(whole, folder), daemon=True) if open_it else None
            asyncio.run(serving.run(sockets, opener))
        finally:
            site.stop()
    print("stopped; nothing of it is left", file=sys.stderr)


def _told(start: str, address: str, may_run: bool) -> str:
    import pwd

    try:
        user = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        user = str(os.geteuid())
    can = f"Whoever has this address can run these runbooks as {user}." if may_run else "No page can run anything."
    return safe(f"Serving the notes in {start} at\n\n    {address}\n\n{can} Ctrl-C ends it.")


class _Serving:
    """One server: its state, told from the thread that builds and kept in the event loop."""

    def __init__(self, start: str, pages: Pages, token: str, may_run: bool) -> None:
        self._start = start
        self._pages = pages
        self._token = token
        self._may_run = may_run
        self._state: State | None = None

    def built(self, folder: str) -> None:
        self._pages.show(folder)
        if self._state is not None:
            self._state.built()

    def failed(self, error: RunbookError) -> None:
        print(safe(f"not built: {error}"), file=sys.stderr, flush=True)
        if self._state is not None:
            self._state.built(str(error).partition("\n")[0])

    async def run(self, sockets: list[socket.socket], opener: threading.Thread | None) -> None:
        loop = asyncio.get_running_loop()
        state = self._state = State(loop)
        runs = Runs(loop, state.changed) if self._may_run else None
        api = Api(self._start, state, runs).application()
        guard = Guard(api, self._pages, sockets[0].getsockname()[1], self._token)
        if opener is not None:
            opener.start()
        try:
            await _Server(_configuration(guard), runs).serve(sockets)
        finally:
            if runs is not None:
                await asyncio.to_thread(runs.close)


def _configuration(guard: Guard) -> uvicorn.Config:
    return uvicorn.Config(
        guard,
        http=_Impatient,
        ws="websockets-sansio",
        ws_max_size=BODY_BYTES,
        ws_max_queue=16,
        ws_per_message_deflate=False,
        lifespan="off",
        log_config=None,
        access_log=False,
        # Nobody stands in front of us whose word on who asks we would take.
        proxy_headers=False,
        server_header=False,
        limit_concurrency=CONNECTIONS,
        h11_max_incomplete_event_size=HEAD_BYTES,
        timeout_graceful_shutdown=GOODBYE_SECONDS,
    )


class _Impatient(H11Protocol):
    """Gives up who connects and does not ask: so many may be connected, and others wait."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.loop.call_later(HEAD_SECONDS, self._give_up)

    def _give_up(self) -> None:
        # A WebSocket has another protocol by now.
        if self.cycle is None and self.transport.get_protocol() is self:
            self.transport.close()


class _Server(uvicorn.Server):
    """Ends the runs as soon as it is to end, not when the last reader has gone."""

    def __init__(self, config: uvicorn.Config, runs: Runs | None) -> None:
        super().__init__(config)
        self._runs = runs

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Uvicorn would raise them again at the end; to be stopped is how a server ends."""
        loop = asyncio.get_running_loop()
        for number in _heeded():
            # By the loop, for in a signal's own handler nothing may be waited for, a lock neither.
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in _heeded():
                loop.remove_signal_handler(number)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.should_exit:
            self.force_exit = True
        self.should_exit = True
        for run in self._runs or ():
            run.cancel()


def _heeded() -> list[signal.Signals]:
    """The signals that end a server; who ignores one (nohup) goes on doing so."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    return [number for number in numbers if signal.getsignal(number) != signal.SIG_IGN]


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """While the body lasts, SIGTERM and SIGHUP unwind it as Ctrl-C does, so that everything is put away."""

    def end(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, end) for number in _heeded() if number != signal.SIGINT}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _listening(port: int) -> Iterator[list[socket.socket]]:
    """Sockets on 127.0.0.1 and, where there is IPv6, ::1, with one port; 0 for any that is free. Raises UsageError."""
    sockets: list[socket.socket] = []
    for _ in range(TRIES if port == 0 else 1):
        try:
            sockets = _bound(port)
            break
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise ExecutionError(f"cannot listen on port {port}: {error.strerror}") from error
    if not sockets:
        cure = f"see who has it: ss -tlnp 'sport = :{port}'; or leave out --port, and a free one is taken"
        raise UsageError(f"port {port} is taken\n    {cure}")
    try:
        yield sockets
    finally:
        for one in sockets:
            one.close()


def _bound(port: int) -> list[socket.socket]:
    sockets: list[socket.socket] = []
    try:
        for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            try:
                one = socket.socket(family, socket.SOCK_STREAM)
                sockets.append(one)
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                one.bind((host, port or (sockets[0].getsockname()[1] if len(sockets) > 1 else 0)))
                one.listen(128)
            except OSError as error:
                # A host without IPv6 has no ::1.
                if family == socket.AF_INET or error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
                    raise
                sockets = sockets[:1]
        return sockets
    except OSError:
        for one in sockets:
            one.close()
        raise


def _open(address: str, folder: str) -> None:
    """Show the address in the browser, by a file of ours: on a command line everybody could read the key."""
    import webbrowser

    path = os.path.join(folder, "open.html")
    with closing(os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w")) as file:
        file.write(f'<!doctype html><meta http-equiv="refresh" content="0; url={address}">')
    if not webbrowser.open(f"file://{path}"):
        print("no browser could be started; open the address above", file=sys.stderr)
