"""``laennec serve``: a page on which a folder of recordings is looked at, listened to and corrected."""

import os
import secrets
import shlex
import signal
import socket
import threading
import webbrowser
from contextlib import suppress
from dataclasses import replace
from urllib.parse import quote

from fastapi import FastAPI

from laennec.cli.arguments import Serve
from laennec.errors import LaennecError, UsageError, no_folder
from laennec.files import write_text
from laennec.web.app import create_app
from laennec.web.database import WorkspaceError
from laennec.web.folder import HIDDEN
from laennec.web.security import SHORTEST_TOKEN
from laennec.web.serving import PageServer
from laennec.web.settings import Settings

TOKEN = "LAENNEC_TOKEN"  # environment: other users of the computer see the arguments of a command
ADDRESS = "address"  # file in the hidden folder: where the folder is served


def run(command: Serve) -> int:
    """Serve until Ctrl+C or SIGTERM.

    UsageError where another address is asked for without a token; LaennecError where there is no such folder,
    the port is taken, or the folder is open already.
    """
    settings = _settings(command)
    if not settings.folder.is_dir():
        if command.folder.exists():
            raise LaennecError(f"{command.folder}: is a file; name the folder that it is in")
        raise LaennecError(
            f"{command.folder}: {no_folder(command.folder)}; make it with mkdir "
            f"{shlex.quote(str(command.folder))}, or name another"
        )
    try:
        listening = _listening(settings)
    except LaennecError:
        _opened(settings).state.server.stop()  # says so, if it is this folder's page that has the port
        raise
    with listening:
        settings = replace(settings, port=listening.getsockname()[1])
        app = _opened(settings)
        address = _address(settings)
        note = settings.folder / HIDDEN / ADDRESS
        write_text(note, address)
        try:
            print(f"Laennec is at {address} (Ctrl+C ends it)", flush=True)
            if command.open:
                threading.Thread(target=webbrowser.open, args=[_to_open(settings)], daemon=True).start()
            _serve(app, listening)
        finally:
            note.unlink(missing_ok=True)
    return 0


def _settings(command: Serve) -> Settings:
    token = command.token or os.environ.get(TOKEN) or None
    folder = command.folder.absolute()
    settings = Settings(folder, command.host, command.port, token, command.model, command.phases)
    if token is None and not settings.is_local:
        raise UsageError(
            f"--host {settings.host}: other computers can reach that; choose a --token as well, "
            f"such as {secrets.token_urlsafe(18)}"
        )
    if token is not None and len(token) < SHORTEST_TOKEN:
        raise UsageError(
            f"--token has {len(token)} characters, which can be found by trying; choose {SHORTEST_TOKEN} or "
            f"more, such as {secrets.token_urlsafe(18)}"
        )
    if not 0 <= settings.port < 2**16:
        raise UsageError(f"--port {settings.port}: expected 0 to 65535")
    return settings


def _serve(app: FastAPI, listening: socket.socket) -> None:
    server = PageServer(app)
    if hasattr(signal, "SIGHUP"):  # its terminal is closed
        signal.signal(signal.SIGHUP, server.handle_exit)
    with suppress(KeyboardInterrupt):  # also of SIGTERM, which is raised again at the end
        server.run(sockets=[listening])


def _opened(settings: Settings) -> FastAPI:
    """The application; a folder that another server has open is named with that one's address."""
    try:
        return create_app(settings)
    except WorkspaceError:
        try:
            where = (settings.folder / HIDDEN / ADDRESS).read_text(encoding="utf-8").strip()
        except OSError:
            where = ""
        if where.startswith("http"):
            raise LaennecError(
                f"{settings.folder}: is open already, at {where}; use that page, or end its server first"
            ) from None
        raise


def _listening(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    found = socket.socket(family)
    try:
        if os.name == "posix":  # elsewhere it lets two servers have one port
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((settings.host, settings.port))
        found.listen()  # whoever comes before the application is ready waits
    except OSError as error:
        found.close()
        raise LaennecError(
            f"port {settings.port} of {settings.host} cannot be used ({error.strerror}); name another --port"
        ) from error
    return found


def _address(settings: Settings) -> str:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http://{host}:{settings.port}/"


def _to_open(settings: Settings) -> str:
    """What the browser of this computer opens: it knows the token then."""
    is_any = settings.host in ("0.0.0.0", "::")
    address = _address(replace(settings, host="127.0.0.1") if is_any else settings)
    return address + (f"?token={quote(settings.token, safe='')}" if settings.token else "")
