import os
import signal

from penstock.supervisor.signals import SignalQueue


def test_signals_are_queued_in_order_and_leave_with_reading():
    queue = SignalQueue()
    try:
        for number in (signal.SIGHUP, signal.SIGTTIN, signal.SIGHUP):
            os.kill(os.getpid(), number)
        assert queue.read() == [signal.SIGHUP, signal.SIGTTIN, signal.SIGHUP]
        assert queue.read() == []
    finally:
        queue.close()
        signal.signal(signal.SIGINT, signal.default_int_handler)


def test_closing_restores_what_the_system_does():
    SignalQueue().close()
    try:
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        assert signal.set_wakeup_fd(-1) == -1
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
