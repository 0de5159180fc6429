"""``laennec serve``: a page on which a folder of recordings is looked at, listened to and corrected."""

import socket

from laennec.cli.arguments import Serve
from laennec.errors import LaennecError, UsageError
from laennec.files import make_folder
from laennec.web.app import create_app
from laennec.web.serving import PageServer
from laennec.web.settings import Settings


def run(command: Serve) -> int:
    """Serve until interrupted; UsageError where another address is asked for without a token."""
    settings = Settings(command.folder.absolute(), command.host, command.port, command.token, command.model)
    if not settings.is_local and not settings.token:
        raise UsageError(f"--host {settings.host}: other computers can reach that; choose a --token as well")
    make_folder(settings.folder)
    app = create_app(settings)
    listening = _listening(settings)
    address = f"http://{settings.host}:{listening.getsockname()[1]}/"
    print(f"Laennec is at {address} (Ctrl+C ends it)", flush=True)
    PageServer(app).run(sockets=[listening])
    return 0


def _listening(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        found = socket.socket(family)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((settings.host, settings.port))
        found.listen()  # so that whoever reads the address is not refused before the server runs
    except OSError as error:
        raise LaennecError(
            f"port {settings.port} of {settings.host} cannot be used ({error.strerror}); name another --port"
        ) from error
    return found
