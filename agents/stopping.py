"""How a run is asked to stop early, and what it raises when it does.

Whoever wants a run to stop (the command line does on SIGINT and SIGTERM, and only it installs handlers) calls `ask`. A
stage that is in its loop is *patient*: it ends the update that it is in, saves, and raises `Interrupted`. Everywhere
else nothing would be gained by waiting, and the caller raises at once: what is done there is done again on resuming.
"""

from __future__ import annotations


class Interrupted(KeyboardInterrupt):
    """A run was stopped on request.

    Attributes:
        signum: number of the signal.
        kept: what was saved because of it, or "" where the files are as they were.
    """

    def __init__(self, signum: int, kept: str = "") -> None:
        """Keep the number and the words."""
        self.signum, self.kept = signum, kept
        super().__init__(f"signal {signum}")


class StopRequest:
    """Whether a run was asked to stop, and whether it would notice.

    Attributes:
        signum: number of the signal that asked, None as long as nobody did.
        patient: whether a stage looks at `signum` after each of its updates, and saves.
    """

    def __init__(self) -> None:
        """Nobody has asked."""
        self.signum: int | None = None
        self.patient = False

    def ask(self, signum: int) -> None:
        """Take note where a stage will look; raise `Interrupted` where none does, and when asked a second time."""
        if self.signum is not None or not self.patient:
            raise Interrupted(self.signum or signum)
        self.signum = signum

    def end_patience(self, kept: str) -> None:
        """The loop of a stage is over, and `kept` says what was saved; raise `Interrupted` where somebody has asked."""
        self.patient = False
        if self.signum is not None:
            raise Interrupted(self.signum, kept)
