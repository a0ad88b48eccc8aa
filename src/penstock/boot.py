"""How long an application may take to load. Knows nothing of how it is loaded."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

from penstock.app import own_traceback
from penstock.errors import AppFailed
from penstock.kinds import Duration
from penstock.settings import DAY


class Overdue(BaseException):
    """Raised in code that is being loaded, after boot_timeout: its traceback shows where it hangs."""


@contextmanager
def boot_deadline(seconds: float) -> Iterator[None]:
    """Ends what is done within when it takes too long, with an AppFailed that shows where it was.

    What hangs in C and hears no signal is ended by the supervisor.
    """

    def give_up(*_: object) -> None:
        raise Overdue

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    except Overdue as error:
        shown = Duration(0, DAY).show(seconds)
        raise AppFailed(
            f"the application was not loaded within {shown} (boot_timeout)",
            "the lines above show where it was; more time is --boot-timeout",
            own_traceback(error).removesuffix("penstock.boot.Overdue\n"),
        ) from error
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
