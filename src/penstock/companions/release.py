"""The release command: run in the mold before it loads the code, as the site's user. What it says goes into the log.

Refuses to go on when it fails, or takes longer than release_timeout: then nothing is loaded, and who asked is told.
"""

import contextlib
import os
import select
import signal
import time

from penstock import log
from penstock.companions.plan import Command, Plan
from penstock.companions.process import reason_of, run, say, send_signal
from penstock.errors import AppFailed
from penstock.kinds import Duration
from penstock.processes import describe_status
from penstock.secrets import concealed
from penstock.settings import DAY

# Characters of its output that who asked is shown: the end says what is wrong, and a message has its limit.
LARGEST_OUTPUT = 16 * 1024
BLOCK = 64 * 1024
PATIENCE = 2.0  # seconds that it has to end by itself when the mold is ended


def release(plan: Plan, timeout: float) -> None:
    """Runs the commands, one after the other. Raises AppFailed with the output of the one that fails."""
    for command in plan.release:
        log.info(f"release: {command.text}")
        run_to_end(command, plan, timeout)


def run_to_end(command: Command, plan: Plan, timeout: float) -> None:
    """Runs one command; the supervisor, when it ends the mold meanwhile, ends the command too."""
    try:
        process = run(command, plan, identity=None)  # the mold is the site's user already
    except OSError as error:
        raise AppFailed(
            f"the release command `{command.text}` cannot be started: {reason_of(error)}",
            "what is installed beside the site's Python, and what PATH names, is found",
        ) from error
    assert process.stdout is not None, "its output is for the log"

    def give_up(*_: object) -> None:
        send_signal(process.pid, "TERM", to_group=True)
        wait_for_end(process.pid, PATIENCE)
        send_signal(process.pid, "KILL", to_group=True)
        os._exit(1)

    before = signal.signal(signal.SIGTERM, give_up)
    try:
        output, is_late = read_output(process.stdout.fileno(), time.monotonic() + timeout)
        if is_late:
            send_signal(process.pid, "KILL", to_group=True)
        status = os.waitpid(process.pid, 0)[1]
    finally:
        signal.signal(signal.SIGTERM, before)
        process.stdout.close()
        process.returncode = 0
    if is_late:
        shown = Duration(0, DAY).show(timeout)
        raise AppFailed(
            f"the release command `{command.text}` took longer than {shown}", "more time is release_timeout", output
        )
    if status:
        raise AppFailed(
            f"the release command `{command.text}` {describe_status(status)}",
            "nothing of the new code was loaded; run the command by hand to see more",
            output,
        )


def wait_for_end(pid: int, seconds: float) -> None:
    """Waits for the end of a child, but not longer; it stays to be reaped."""
    ended = select.poll()
    with contextlib.suppress(ProcessLookupError):  # it was reaped at this very moment
        ended.register(os.pidfd_open(pid), select.POLLIN)
        ended.poll(seconds * 1000)


def read_output(fd: int, until: float) -> tuple[str, bool]:
    """Logs what comes, line by line; returns its end, and whether `until` came first."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    output, rest = b"", b""
    while (wait := until - time.monotonic()) > 0:
        if not poll.poll(wait * 1000):
            continue
        data = os.read(fd, BLOCK)
        output = (output + data)[-LARGEST_OUTPUT:]
        *lines, rest = (rest + data).split(b"\n")
        say("release", lines if data else [rest])
        if not data:
            return concealed.mask(output.decode(errors="replace")), False
    return concealed.mask(output.decode(errors="replace")), True
