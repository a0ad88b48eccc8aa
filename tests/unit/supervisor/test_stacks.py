import faulthandler
import os

import pytest

from penstock.errors import PenstockError
from penstock.supervisor.stacks import SIGNAL, Stacks


class Timers:
    """A loop whose timers a test lets run out."""

    def __init__(self):
        self.waiting = []

    def call_at(self, when, callback):
        self.waiting.append((when, callback))

    def run(self):
        while self.waiting:
            self.waiting.pop(0)[1]()


@pytest.fixture
def stacks():
    timers = Timers()
    stacks = Stacks(timers)
    faulthandler.register(SIGNAL, file=stacks.fd)
    yield stacks
    faulthandler.unregister(SIGNAL)
    os.close(stacks.fd)


def test_the_stacks_of_a_process_are_told_by_its_pid_and_the_dead_are_left_out(stacks):
    told = []
    stacks.collect([os.getpid(), 2**22 + 1], told.append)
    stacks.loop.run()
    [texts] = told
    assert list(texts) == [os.getpid()]
    assert "in test_the_stacks_of_a_process" in texts[os.getpid()] or "in collect" in texts[os.getpid()]


def test_one_round_of_questions_at_a_time(stacks):
    stacks.collect([os.getpid()], lambda _: None)
    with pytest.raises(PenstockError, match="the stacks are being read for somebody else"):
        stacks.collect([os.getpid()], lambda _: None)
    stacks.loop.run()
    stacks.collect([], lambda _: None)
