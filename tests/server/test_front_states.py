"""Sites that are not there: down, waiting, killed, reloaded or flooded. Nobody who has been let in is lost."""

import os
import signal
import socket
import time
from contextlib import ExitStack
from pathlib import Path

from raw_client import PATIENCE
from running_front import BLOG, SHOP, descriptors_of, front_with, request, site_of


def ask(front, host="shop.test", path="/"):
    """A request on a connection of its own, whose answer comes later."""
    client = front.connect()
    client.send(request(host, path))
    return client


def until(front, counter, value):
    """Waits until a counter of the front has come so far. It is asked again and again, and each answer is a trip."""
    while front.stats()[counter] < value:
        assert front.process.poll() is None


def test_a_site_that_is_down_gets_503_with_the_reason_and_others_do_not_notice():
    with front_with() as front, front.engine("neighbours:blog", 1):
        front.set_state(0, "down", "it failed to start")
        with ask(front) as client:
            answer = client.response()
            assert (answer.status, answer["Retry-After"]) == (503, "5")
            assert b"it failed to start" in answer.body
        with ask(front, "blog.test") as client:
            assert site_of(client.response()) == "blog"
        front.set_state(0, "up")
        with front.engine("neighbours:shop", 0), ask(front) as client:
            assert site_of(client.response()) == "shop"


def test_requests_for_a_site_that_waits_are_kept_and_counted():
    with front_with() as front:
        front.set_state(0, "waiting")
        clients = [ask(front) for _ in range(5)]
        until(front, "connections_held", 5)
        with front.engine("neighbours:shop", 0):
            front.set_state(0, "up")
            for client in clients:
                with client:
                    assert site_of(client.response()) == "shop"
            with ask(front) as client:
                assert site_of(client.response()) == "shop"
        assert front.stats()["connections_held"] == 5


def test_a_worker_that_is_killed_takes_no_connection_with_it_that_it_has_not_opened():
    with front_with() as front, front.engine("neighbours:shop", 0, max_connections=1) as first:
        held = ask(front, path="/hold")
        first.tester.hears("shop")
        waiting = [ask(front) for _ in range(50)]
        until(front, "connections_handed", 51)
        first.process.kill()
        first.process.wait(PATIENCE)
        with held:
            assert held.rest() == b""
        with front.engine("neighbours:shop", 0):
            for client in waiting:
                with client:
                    assert site_of(client.response()) == "shop"


def test_idle_connections_of_a_worker_that_leaves_go_to_the_next_without_their_clients_noticing():
    with front_with() as front:
        with front.engine("neighbours:shop", 0) as first:
            clients = [ask(front) for _ in range(20)]
            for client in clients:
                assert site_of(client.response()) == "shop"
            assert first.stop()["connections_handed"] == 20
        with front.engine("neighbours:shop", 0):
            for client in clients:
                with client:
                    client.send(request("shop.test"))
                    assert site_of(client.response()) == "shop"


def test_a_reload_of_engines_loses_none_of_the_requests_on_kept_connections():
    with front_with() as front:
        clients = [front.connect() for _ in range(10)]
        for _ in range(3):
            with front.engine("neighbours:shop", 0):
                for client in clients * 5:
                    client.send(request("shop.test"))
                    assert site_of(client.response()) == "shop"
        for client in clients:
            client.socket.close()


def test_two_workers_of_a_site_share_its_connections_and_each_is_taken_once():
    two = {"multiprocess": True}
    with front_with() as front, ExitStack() as stack:
        engines = [stack.enter_context(front.engine("neighbours:shop", 0, **two)) for _ in range(2)]
        clients = [ask(front) for _ in range(200)]
        for client in clients:
            with client:
                assert site_of(client.response()) == "shop"
        assert sum(engine.stop()["connections_taken"] for engine in engines) == 200


def test_a_site_that_takes_nothing_for_too_long_gets_503_when_its_box_is_full():
    with front_with(queue_timeout="1s") as front:
        front.pairs[0][0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        clients = [ask(front) for _ in range(50)]
        answer = clients[-1].response()
        assert (answer.status, answer["Retry-After"]) == (503, "5")
        handed = front.stats()["connections_handed"]
        assert 0 < handed < 50
        with front.engine("neighbours:shop", 0):
            answers = [client.response().status for client in clients[:-1]]
        assert sorted(set(answers)) == [200, 503]
        assert answers.count(200) == handed
        for client in clients:
            client.socket.close()


def test_connections_that_wait_for_room_go_on_when_there_is_some():
    with front_with() as front:
        front.pairs[0][0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        clients = [ask(front) for _ in range(50)]
        until(front, "connections_accepted", 50)
        assert front.stats()["connections_handed"] < 50
        with front.engine("neighbours:shop", 0):
            for client in clients:
                with client:
                    assert site_of(client.response()) == "shop"


def test_connections_wait_at_rest_while_too_many_descriptors_are_on_their_way():
    # Linux lets a user have as many on their way as a process may have open; see unix(7), ETOOMANYREFS.
    with front_with(files=40, options={"max_connections": 1000}) as front:
        clients = [ask(front) for _ in range(55)]
        until(front, "connections_accepted", 55)
        assert 40 <= front.stats()["connections_handed"] < 55
        wait_for_rest(front)
        with front.engine("neighbours:shop", 0):
            for client in clients:
                with client:
                    assert site_of(client.response()) == "shop"


def wait_for_rest(front):
    """Waits until no thread of the front has anything to do: one that tries again and again never sleeps."""
    until = time.monotonic() + PATIENCE
    while {state_of(thread) for thread in Path(f"/proc/{front.process.pid}/task").iterdir()} != {"S"}:
        assert time.monotonic() < until, "the front does not rest"


def state_of(thread):
    return thread.joinpath("stat").read_text().rpartition(")")[2].split()[0]


def test_a_site_is_added_while_the_front_runs():
    with front_with([SHOP], sites=1) as front, front.engine("neighbours:shop", 0):
        with ask(front, "blog.test") as client:
            assert client.response().status == 421
        front.pairs.append(front.pair())
        socket.send_fds(front.channel.end, [b'{"command": "add", "slot": null}'], [front.pairs[1][0].fileno()])
        assert front.says() == {"event": "added", "site": 1}
        front.tell("routes", routes=[SHOP, BLOG])
        front.routes = [SHOP, BLOG]
        with front.engine("neighbours:blog", 1), ask(front, "blog.test") as client:
            assert site_of(client.response()) == "blog"
            client.send(request("shop.test"))
            assert site_of(client.response()) == "shop"


def test_a_site_that_closes_its_end_harms_no_other():
    with front_with() as front, front.engine("neighbours:blog", 1):
        before = descriptors_of(front.process.pid)
        front.pairs[0][1].shutdown(socket.SHUT_RDWR)
        while descriptors_of(front.process.pid) > before - 2:
            assert front.process.poll() is None
        front.set_state(0, "waiting")
        with ask(front) as client:
            assert client.response().status == 503
        with ask(front, "blog.test") as client:
            assert site_of(client.response()) == "blog"


def test_what_is_no_letter_does_not_disturb_the_front_or_a_site():
    with front_with() as front, front.engine("neighbours:shop", 0):
        front.pairs[0][1].send(b"junk for the front")
        front.pairs[0][0].send(b"junk for the site")
        with open(os.devnull, "rb") as nothing:
            socket.send_fds(front.pairs[0][1], [b"\1\0" + bytes(20)], [nothing.fileno()])
        with ask(front) as client:
            assert site_of(client.response()) == "shop"


def test_the_front_leaves_when_its_supervisor_has_gone():
    with front_with() as front:
        front.channel.close()
        assert front.process.wait(PATIENCE) == 0


def test_sites_go_on_with_their_connections_when_the_front_is_killed():
    with front_with() as front, front.engine("neighbours:shop", 0), ask(front) as client:
        assert site_of(client.response()) == "shop"
        front.process.send_signal(signal.SIGKILL)
        front.process.wait(PATIENCE)
        front.process.returncode = 0
        client.send(request("shop.test"))
        assert site_of(client.response()) == "shop"


def test_an_idle_connection_that_no_front_takes_back_is_closed_without_a_word():
    with front_with() as front, front.engine("neighbours:shop", 0) as engine, ask(front) as client:
        assert site_of(client.response()) == "shop"
        front.process.send_signal(signal.SIGKILL)
        front.process.wait(PATIENCE)
        front.process.returncode = 0
        front.pairs[0][0].close()
        engine.begin_stop()
        assert client.rest() == b""


def test_a_site_without_descriptors_leaves_connections_to_those_who_have_some():
    with front_with() as front, front.engine("scarce", 0, limits={"RLIMIT_NOFILE": 64}), front.connect() as client:
        client.send(request("shop.test", "/take"))
        assert int(client.response().body) > 10
        waiting = [ask(front, path="/length") for _ in range(5)]
        until(front, "connections_handed", 6)
        for _ in range(20):
            client.send(request("shop.test", "/length"))
            assert client.response().body == b"0"
        client.send(request("shop.test", "/give_back"))
        assert client.response().body == b"given back"
        for other in waiting:
            with other:
                assert other.response().body == b"0"
