"""What a server is started with."""

from dataclasses import dataclass
from pathlib import Path

LOOPBACK = ("127.0.0.1", "::1", "localhost")
PORT = 8765


@dataclass(frozen=True)
class Settings:
    """A server's folder, address and limits.

    Attributes
    ----------
    folder : Path
        Of the recordings; the workspace file lies in it.
    host, port
        Where it listens; port 0 is any free one.
    token : str or None
        What a client must know; needed where `host` is no loopback address.
    model : str or None
        As for :func:`laennec.analyze`; by default the one that ships.
    phases : bool
        Whether the phases of breaths are told as well.
    upload_bytes, recordings, duration_s
        The most that one upload, the folder and one recording may have.
    warm : bool
        Whether a worker is started and its model loaded before they are needed.
    waiting : int
        Programs whose recordings may wait for their analysis at a time.
    worker_bytes, silence_s, analysis_s
        What the process that decodes and analyses may take: address space, time without a sign of life, time
        for one recording.
    """

    folder: Path
    host: str = "127.0.0.1"
    port: int = PORT
    token: str | None = None
    model: str | None = None
    phases: bool = False
    upload_bytes: int = 2**30
    recordings: int = 20_000
    duration_s: float = 24 * 3600.0
    warm: bool = True
    waiting: int = 64
    worker_bytes: int = 4 * 2**30
    silence_s: float = 600.0
    analysis_s: float = 4 * 3600.0

    @property
    def is_local(self) -> bool:
        """Whether only this computer can reach it."""
        return self.host in LOOPBACK
