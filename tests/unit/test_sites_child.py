import socket

import pytest

from penstock.config import load
from penstock.sites.child import Legacy, Parent, activity


@pytest.fixture
def legacy():
    channel, other = socket.socketpair()
    front, site = socket.socketpair()
    routes = [{"hosts": ["shop.example"], "path": "/", "site": 3}]
    yield Legacy("shop", 3, {"site": "shop"}, "/", [("tcp", "127.0.0.1", "80")], routes, channel, site, None)
    for end in (channel, other, front, site):
        end.close()


def test_what_a_parent_hands_down_arrives_under_the_same_numbers(legacy):
    fds = legacy.fds
    told = legacy.dump()
    for end in (legacy.channel, legacy.inbox):
        end.detach()
    arrived = Legacy.load(told)
    assert arrived.fds == fds
    assert arrived[:4] == legacy[:4]
    assert arrived.routes == legacy.routes
    assert arrived.control is None
    for end in (arrived.channel, arrived.inbox):
        end.close()


def test_an_engine_behind_the_front_knows_its_inbox_its_number_and_its_path(legacy, tmp_path):
    tmp_path.joinpath("penstock.toml").write_text('[sites.shop]\ndefault = true\npath = "/blog/"\n')
    options = {}
    config = load({"site": "shop"}, {}, str(tmp_path))
    Parent(legacy).put_behind_front(options, config)
    assert options == {
        "front_fd": legacy.inbox.fileno(),
        "routes": legacy.routes,
        "own_site": 3,
        "script_name": "/blog",
    }


def test_a_site_has_the_names_of_what_the_front_listens_on_and_not_the_sockets(legacy):
    [listener] = Parent(legacy).listeners
    assert (listener.kind, listener.host, listener.port) == ("tcp", "127.0.0.1", "80")
    assert listener.socket.fileno() == -1


def reading(requests=0, sent=0, busy=0, queue=0):
    return {"requests": requests, "bytes_out": sent, "threads_busy": busy, "queue_length": queue}


def test_activity_is_what_all_workers_have_had_also_those_that_left():
    workers = [{"scoreboard": reading(3, 300)}, {"scoreboard": reading(1, 100)}, {"scoreboard": {}}]
    assert activity({"departed": reading(10, 1000), "workers": workers}) == ((14, 1400), False)
    assert activity({"departed": {}, "workers": [{"scoreboard": reading(busy=1)}]})[1]
