import pytest

from penstock.systemd import Notifier, Passed, Phase, messages, take_passed_sockets


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (Phase("starting", 1), Phase("starting", 1), []),
        (Phase("starting", 1), Phase("ready", 1), ["READY=1"]),
        (Phase("ready", 1), Phase("reloading", 2), ["RELOADING=1", "MONOTONIC_USEC=7"]),
        (Phase("reloading", 2), Phase("ready", 1), ["READY=1"]),
        # Another reload takes the place of one that is not finished.
        (Phase("reloading", 2), Phase("reloading", 3), ["RELOADING=1", "MONOTONIC_USEC=7"]),
        (Phase("reloading", 2), Phase("stopping", 2), ["STOPPING=1"]),
        (Phase("stopping", 2), Phase("stopping", 1), []),
    ],
)
def test_each_phase_is_told_when_it_begins(before, after, told):
    assert messages(before, after, 7) == told


def test_sockets_come_with_their_names_and_nobody_else_is_told_of_them():
    environment = {"LISTEN_PID": "12", "LISTEN_FDS": "2", "LISTEN_FDNAMES": "web:admin", "HOME": "/"}
    assert take_passed_sockets(environment, 12) == [Passed(3, "web"), Passed(4, "admin")]
    assert environment == {"HOME": "/"}


@pytest.mark.parametrize(
    "told", [{}, {"LISTEN_PID": "13", "LISTEN_FDS": "1"}, {"LISTEN_FDS": "1"}, {"LISTEN_PID": "12", "LISTEN_FDS": "x"}]
)
def test_sockets_for_another_process_are_left_alone(told):
    assert take_passed_sockets(dict(told), 12) == []


@pytest.mark.parametrize(
    ("told", "pause"),
    [
        ({}, 0.0),
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "12"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "13"}, 0.0),
        ({"WATCHDOG_USEC": "soon"}, 0.0),
    ],
)
def test_the_watchdog_is_fed_after_half_of_its_time(told, pause):
    assert Notifier(dict(told), 12).watchdog_pause == pause


def test_a_successor_is_told_of_the_manager_but_not_of_our_pid():
    told = {"NOTIFY_SOCKET": "/run/notify", "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "12"}
    assert Notifier(dict(told), 12).variables == {"NOTIFY_SOCKET": "/run/notify", "WATCHDOG_USEC": "30000000"}
