import os
import signal
import subprocess
import sys

import pytest

from penstock.processes import (
    LARGEST_TEXT,
    Channel,
    Forked,
    describe_status,
    memory_of,
    play,
    signals_blocked,
    unwritten_code,
)


def test_messages_arrive_whole_and_in_order():
    ours, theirs = Channel.pair()
    assert theirs.send({"event": "one"})
    assert theirs.send({"event": "two"})
    assert list(ours.receive_waiting()) == [{"event": "one"}, {"event": "two"}]


def test_the_end_of_the_other_side_is_told_once_after_its_last_message():
    ours, theirs = Channel.pair()
    theirs.send({"event": "last"})
    theirs.close()
    assert list(ours.receive_waiting()) == [{"event": "last"}, None]
    assert ours.receive() is None
    assert not ours.send({"event": "too late"})


def test_a_text_that_is_too_long_loses_its_beginning():
    ours, theirs = Channel.pair()
    assert theirs.send({"detail": "x" * 10 * LARGEST_TEXT + "the end"})
    message = ours.receive()
    assert len(message["detail"]) == LARGEST_TEXT
    assert message["detail"].endswith("the end")


def test_long_texts_in_any_script_arrive():
    ours, theirs = Channel.pair()
    assert theirs.send({"message": "ж" * 10 * LARGEST_TEXT, "detail": "\x1b" * 10 * LARGEST_TEXT})
    assert len(ours.receive()["message"]) == LARGEST_TEXT


def test_a_process_takes_up_the_role_that_it_was_forked_for():
    def child():
        return 7

    def parent():
        raise Forked(child)

    assert play(parent) == 7


def test_signals_are_held_back_around_a_fork():
    seen = []
    before = signal.signal(signal.SIGUSR1, lambda *_: seen.append("now"))
    try:
        with signals_blocked():
            os.kill(os.getpid(), signal.SIGUSR1)
            seen.append("forked")
        assert seen == ["forked", "now"]
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_a_child_can_hold_a_signal_back_until_it_listens():
    with signals_blocked() as held_back:
        pid = os.fork()
        if not pid:
            held_back.add(signal.SIGUSR1)
    if not pid:
        os.kill(os.getpid(), signal.SIGUSR1)  # by default it ends a process
        os._exit(7)
    assert os.waitpid(pid, 0)[1] == 7 << 8
    assert signal.SIGUSR1 not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (9 << 8, "exited with status 9"),
        (signal.SIGSEGV, "was killed by SIGSEGV"),
        (signal.SIGRTMIN + 1, "was killed by signal 35"),
        (signal.SIGKILL, "was killed by SIGKILL (out of memory, perhaps: see dmesg)"),
    ],
)
def test_an_ending_is_said_in_words(status, words):
    assert describe_status(status) == words


def test_the_memory_of_a_process_is_known_and_that_of_nobody_is_none():
    assert memory_of(os.getpid()) > 2**20
    assert memory_of(2**22 + 1) == 0


SMAPS = """\
7f0000000000-7f0000003000 r-xp 00001000 fe:00 12 /usr/lib/libcrypto.so.3
Rss: 12 kB
Anonymous: 0 kB
7f0000003000-7f0000004000 r--p 00004000 fe:00 12 /usr/lib/libcrypto.so.3
Anonymous: 4 kB
7f0000004000-7f0000005000 rw-p 00005000 fe:00 12 /usr/lib/libcrypto.so.3
Anonymous: 0 kB
7f0000005000-7f0000006000 r--p 00000000 00:00 0
Anonymous: 0 kB
7f0000006000-7f0000007000 r-xp 00000000 00:00 0 [vdso]
Anonymous: 0 kB
7f0000007000-7f0000009000 r--p 00000000 fe:00 13 /usr/lib/a name with spaces.so
Anonymous: 0 kB
7f0000009000-7f000000a000 r--s 00000000 fe:00 14 /srv/data
Anonymous: 0 kB
7f000000a000-7f000000c000 r--p 00000000 fe:00 15 /usr/lib/locale/C.utf8/LC_CTYPE
Anonymous: 0 kB
VmFlags: rd mr mw me
"""
FORGETTING = """\
import hashlib, ssl
from penstock.processes import forget_code

def resident():
    with open("/proc/self/smaps_rollup") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("Rss:"))

before = hashlib.sha256(b"x").hexdigest(), resident()
forget_code()
after = resident()
assert hashlib.sha256(b"x").hexdigest() == before[0]
print(before[1] - after)
"""


def test_only_private_pages_of_files_that_are_as_the_file_has_them_count_as_unwritten():
    assert list(unwritten_code(SMAPS.splitlines())) == [(0x7F0000000000, 0x3000), (0x7F000000A000, 0x2000)]


def test_a_process_that_forgets_code_is_smaller_and_can_do_what_it_could():
    done = subprocess.run([sys.executable, "-c", FORGETTING], capture_output=True, text=True, check=True)
    assert int(done.stdout) > 512, "KiB; OpenSSL's share alone is three megabytes"
