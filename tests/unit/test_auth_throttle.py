import pytest

from penstock.gateway.throttle import MOST_CLIENTS, MOST_GUESSES, WINDOW, Throttle, client_of


class Clock:
    """A time that a test sets."""

    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def throttle(clock):
    return Throttle(clock)


def guess(throttle, address, count=MOST_GUESSES):
    return [throttle.count(address, bytes([number])) for number in range(count)]


def test_the_last_guess_is_told_once_and_then_the_client_waits(throttle, clock):
    assert guess(throttle, "192.0.2.1") == [False] * (MOST_GUESSES - 1) + [True]
    assert throttle.count("192.0.2.1", b"another") is False
    clock.now += 12.5
    assert throttle.wait("192.0.2.1") == WINDOW - 12
    assert throttle.wait("192.0.2.2") == 0


def test_after_the_window_all_is_forgotten(throttle, clock):
    guess(throttle, "192.0.2.1")
    clock.now += WINDOW
    assert throttle.wait("192.0.2.1") == 0
    assert not throttle.knows("192.0.2.1", bytes([1]))
    assert guess(throttle, "192.0.2.1", 2) == [False, False]


def test_the_same_wrong_password_again_is_no_new_guess(throttle):
    for _ in range(10 * MOST_GUESSES):
        throttle.count("192.0.2.1", b"the same")
    assert throttle.wait("192.0.2.1") == 0
    assert throttle.knows("192.0.2.1", b"the same")
    assert not throttle.knows("192.0.2.2", b"the same")


def test_a_whole_network_of_ipv6_is_one_client(throttle):
    for number in range(MOST_GUESSES):
        throttle.count(f"2001:db8::{number:x}", bytes([number]))
    assert throttle.wait("2001:db8::ffff") > 0
    assert throttle.wait("2001:db8:0:1::1") == 0


def test_an_ipv4_address_is_the_same_through_an_ipv6_socket():
    assert client_of("::ffff:192.0.2.1") == client_of("192.0.2.1") == "192.0.2.1"


def test_what_is_watched_has_an_end_and_those_go_who_began_first(throttle):
    guess(throttle, "first")
    guess(throttle, "second")
    for number in range(MOST_CLIENTS - 1):
        throttle.count(f"client {number}", b"x")
    assert len(throttle.clients) == MOST_CLIENTS
    assert throttle.wait("first") == 0
    assert throttle.wait("second") > 0
