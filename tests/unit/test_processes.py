import os
import signal

import pytest

from penstock.processes import LARGEST_TEXT, Channel, Forked, describe_status, memory_of, play, signals_blocked


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
