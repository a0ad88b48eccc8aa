import pytest

from penstock.errors import CannotBind
from penstock.sockets import listen, listen_all, refuse_open_uwsgi, unnamed
from penstock.systemd import Passed


def test_applications_see_a_port_behind_a_unix_socket_too(tmp_path):
    listener = listen(f"unix:{tmp_path}/s", 1)
    with listener.socket:
        assert int(listener.port) > 0
        assert listener.url == f"unix:{tmp_path}/s"


def test_an_address_says_that_uwsgi_is_spoken_there(tmp_path):
    listeners = listen_all([f"uwsgi:unix:{tmp_path}/s", "uwsgi:127.0.0.1:0", "127.0.0.1:0"], 1, [])
    urls = [listener.url for listener in listeners]
    assert [listener.is_uwsgi for listener in listeners] == [True, True, False]
    for listener in listeners:
        listener.socket.close()
    assert urls[0] == f"uwsgi:unix:{tmp_path}/s"
    assert urls[1].startswith("uwsgi:127.0.0.1:")


def test_a_passed_socket_is_asked_for_by_its_name_behind_uwsgi_too():
    assert unnamed([Passed(3, "site"), Passed(4, "other")], ["uwsgi:fd://site"]) == ["fd://4"]


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("uwsgi:127.0.0.1:0", ["127.0.0.1", "unix"]),
        ("uwsgi:0.0.0.0:0", ["127.0.0.1", "192.0.2.7"]),
        ("uwsgi:0.0.0.0:0", ["*"]),
        ("0.0.0.0:0", ["127.0.0.1"]),
    ],
)
def test_uwsgi_may_be_spoken_on_this_machine_and_by_those_who_are_named(address, allowed):
    [listener] = listen_all([address], 1, [])
    with listener.socket:
        refuse_open_uwsgi([listener], allowed)


@pytest.mark.parametrize("allowed", [[], ["unix"], ["127.0.0.1", "127.0.0.0/8", "::1", "unix"]])
def test_uwsgi_is_not_offered_to_a_network_of_which_nobody_may_speak_it(allowed):
    [listener] = listen_all(["uwsgi:0.0.0.0:0"], 1, [])
    with listener.socket, pytest.raises(CannotBind, match="uwsgi_allow names none of them"):
        refuse_open_uwsgi([listener], allowed)
