"""A PostgreSQL server of the tests' own, from Debian's package, on a free port of loopback."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from importlib import import_module
from pathlib import Path
from types import ModuleType

_BINARIES = Path("/usr/lib/postgresql")
_DEADLINE_S = 60.0
_USER = "postgres"
_DATABASE = "flights"


class Unavailable(Exception):  # noqa: N818  # it says why tests are skipped
    """There can be no server here; the text says why."""


class OwnServer:
    """A server, started; stop it.

    Raises:
        Unavailable: There are no binaries, no psycopg, no setpriv, or nobody whom it runs as.
    """

    def __init__(self) -> None:
        self.psycopg = _psycopg()
        self._binaries = _binaries()
        self._folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
        self._prefix = _prefix(self._folder)
        self._process: subprocess.Popen[bytes] | None = None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        made = subprocess.run(
            [
                *(*self._prefix, str(self._binaries / "initdb"), "--pgdata", str(self._data)),
                *("--username", _USER, "--auth", "trust", "--encoding", "UTF8"),
                *("--locale", "C", "--data-checksums"),
            ],
            capture_output=True,
            cwd="/",
            check=False,
        )
        if made.returncode:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise Unavailable(f"initdb failed: {made.stderr.decode(errors='replace')}")
        self.start()

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    def dsn(self, database: str, port: int | None = None) -> str:
        """Return the address of a database, perhaps by another port."""
        return f"postgresql://{_USER}:secret@127.0.0.1:{port or self.port}/{database}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        settings = {
            "port": str(self.port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self._folder),
            "max_connections": "50",
            "shared_buffers": "32MB",
            "log_min_messages": "panic",
        }
        options = [text for key, value in settings.items() for text in ("-c", f"{key}={value}")]
        command = [str(self._binaries / "postgres"), "-D", str(self._data), *options]
        self._process = subprocess.Popen(
            [*self._prefix, *command],
            cwd="/",
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + _DEADLINE_S
        while True:
            try:
                self.ask("SELECT 1")
            except self.psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
            else:
                return

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it: SIGINT ends what is under way; SIGQUIT does not even write what is in memory."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(_DEADLINE_S)
            self._process = None

    def remove(self) -> None:
        """Stop it, and delete what it kept."""
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self._folder, ignore_errors=True)

    def ask(self, query: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """Return what a statement answers, on a connection of its own."""
        with self.psycopg.connect(self.dsn(database), autocommit=True) as db:
            done = db.execute(query.encode())
            return list(done.fetchall()) if done.description else []

    def empty_database(self) -> str:
        """Return the name of a database with nothing in it: always the same one, emptied."""
        if (_DATABASE,) not in self.ask("SELECT datname FROM pg_database"):
            self.ask(f"CREATE DATABASE {_DATABASE}")
        self.terminate(_DATABASE)
        self.ask("DROP SCHEMA IF EXISTS treerunner CASCADE", _DATABASE)
        return _DATABASE

    def terminate(self, database: str) -> int:
        """End all backends of a database, and wait until they are gone; return how many."""
        ours = f"FROM pg_stat_activity WHERE datname = '{database}'"
        found = self.ask(f"SELECT pg_terminate_backend(pid) {ours}")
        while self.ask(f"SELECT 1 {ours}"):
            time.sleep(0.001)
        return len(found)


def _psycopg() -> ModuleType:
    try:
        return import_module("psycopg")
    except ImportError as error:
        raise Unavailable(f"psycopg is not installed: {error}") from error


def _binaries() -> Path:
    found = sorted(_BINARIES.glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    if not found:
        raise Unavailable(f"there is no PostgreSQL server in {_BINARIES}")
    return found[-1].parent


def _prefix(folder: Path) -> list[str]:
    """Return the words before a command, so that it ends with this process, and is not root's.

    The folder becomes that of the user who runs it.
    """
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise Unavailable("there is no setpriv")
    words = [setpriv, "--pdeathsig", "QUIT"]
    if os.geteuid():
        return words
    try:
        shutil.chown(folder, _USER)
    except LookupError as error:
        raise Unavailable(f"root may not run a server, and there is no {_USER}") from error
    return [*words, f"--reuid={_USER}", f"--regid={_USER}", "--clear-groups"]
