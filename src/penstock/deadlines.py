"""What Python does about requests that take too long: tells where their threads are. The engine finds them."""

import faulthandler
import signal
import sys

from penstock import log
from penstock.supervisor.stacks import SIGNAL

# The engine sends it to its own process when a thread is stuck and nobody gets the GIL any more.
DUMP_SIGNAL = signal.SIGUSR2

WORDS = {
    "slow": ("warning", "is slow, {age:.1f} s so far"),
    "late": ("error", "has passed its deadline after {age:.1f} s; the client gets 504"),
    "stuck": ("error", "does not stop, {age:.1f} s after it began; this worker has to be replaced"),
}


def tell(stage: str, ident: int, request: str, age: float) -> None:
    """Writes one line, and the stack of the thread that the request is in."""
    level, words = WORDS[stage]
    log.journal.write(level, f"{request} {words.format(age=age)}\n{stack_of(ident)}".rstrip())


def stack_of(ident: int) -> str:
    """Where a thread is now, the last call at the end; "" when it has just ended."""
    import traceback  # noqa: PLC0415 (rarely wanted)

    frame = sys._current_frames().get(ident)
    return "".join(traceback.format_stack(frame)) if frame else ""


def dump_on_signals(stacks: int) -> None:
    """Has all stacks written, from C, to the log on the engine's signal, and to `stacks` on the supervisor's."""
    faulthandler.register(DUMP_SIGNAL, file=log.journal.fd, all_threads=True)
    faulthandler.register(SIGNAL, file=stacks, all_threads=True)
