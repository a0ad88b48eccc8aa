"""Many sites behind one front: each request reaches its own, in order, whatever its connection was used for before."""

import json
import os
import signal
import time

import pytest
from raw_client import PATIENCE
from running_front import ROUTES, descriptors_of, front_with, request, site_of


@pytest.fixture(scope="module")
def front():
    with (
        front_with() as front,
        front.engine("neighbours:shop", 0),
        front.engine("neighbours:blog", 1, script_name="/blog"),
    ):
        yield front


def test_a_kept_connection_stays_with_its_site(front):
    before = front.stats()["connections_handed"]
    with front.connect() as client:
        for _ in range(10):
            client.send(request("shop.test"))
            assert site_of(client.response()) == "shop"
    assert front.stats()["connections_handed"] == before + 1


def test_a_front_waits_for_its_turn_on_a_busy_processor(front):
    assert os.sched_getscheduler(front.process.pid) == os.SCHED_BATCH


def test_a_connection_that_alternates_reaches_each_site_in_turn(front):
    with front.connect() as client:
        for number in range(20):
            host, site = (("shop.test", "shop"), ("blog.test", "blog"))[number % 2]
            client.send(request(host, f"/{number}"))
            answer = client.response()
            assert site_of(answer) == site
            assert json.loads(answer.body)["PATH_INFO"] == f"/{number}"


def test_pipelined_requests_of_several_sites_are_answered_in_their_order(front):
    hosts = ["shop.test", "shop.test", "blog.test", "a.shop.test", "blog.test", "blog.test", "shop.test"] * 5
    with front.connect() as client:
        client.send(b"".join(request(host, f"/{number}", body=b"x" * number) for number, host in enumerate(hosts)))
        for number, host in enumerate(hosts):
            answer = json.loads(client.response().body)
            assert (answer["HTTP_HOST"], answer["PATH_INFO"]) == (host, f"/{number}")
            assert answer["site"] == ("blog" if host == "blog.test" else "shop")
            assert answer["body"] == "x" * number


def test_requests_byte_by_byte_reach_their_sites(front):
    with front.connect() as client:
        for host, site in (("shop.test", "shop"), ("blog.test", "blog"), ("shop.test", "shop")):
            for byte in request(host, method="POST", body=b"slow"):
                client.send(bytes([byte]))
            answer = client.response()
            assert site_of(answer) == site
            assert json.loads(answer.body)["body"] == "slow"


def test_a_body_that_follows_its_head_is_read_by_the_site(front):
    body = b"b" * 3_000_000
    with front.connect() as client:
        whole = request("blog.test", method="POST", body=body)
        head = len(whole) - len(body)
        client.send(whole[:head])
        client.send(whole[head:])
        assert len(json.loads(client.response().body)["body"]) == len(body)


def test_a_site_says_100_continue_after_the_connection_has_changed_hands(front):
    with front.connect() as client:
        client.send(request("shop.test"))
        client.response()
        whole = request("blog.test", "/", "Expect: 100-continue", method="POST", body=b"now")
        client.send(whole[:-3])
        assert client.response().status == 100
        client.send(whole[-3:])
        assert site_of(client.response()) == "blog"


def test_a_site_below_a_path_sees_its_prefix_as_script_name(front):
    with front.connect() as client:
        for target, rest in [("/blog", ""), ("/blog/", "/"), ("/%62log/a%2Fb?q", "/a/b"), ("/blog/../x", "/../x")]:
            client.send(request("shop.test", target))
            answer = json.loads(client.response().body)
            assert (answer["site"], answer["SCRIPT_NAME"], answer["PATH_INFO"]) == ("blog", "/blog", rest)
            assert answer["REQUEST_URI"] == target
        for target in ["/blogs", "//blog", "/x/../blog"]:
            client.send(request("shop.test", target))
            answer = json.loads(client.response().body)
            assert (answer["site"], answer["SCRIPT_NAME"], answer["PATH_INFO"]) == ("shop", "", target)


def test_the_site_sees_the_client_and_not_the_front(front):
    with front.connect() as client:
        client.send(request("shop.test"))
        answer = json.loads(client.response().body)
    assert (answer["REMOTE_ADDR"], answer["SERVER_PORT"]) == ("127.0.0.1", str(front.listener.getsockname()[1]))


@pytest.mark.parametrize("first", [None, "shop.test"], ids=["at once", "on a connection of another site"])
def test_a_host_of_no_site_gets_421(front, first):
    with front.connect() as client:
        if first:
            client.send(request(first))
            assert site_of(client.response()) == "shop"
        client.send(request("unknown.test"))
        answer = client.response()
        assert (answer.status, answer["Connection"]) == (421, "close")
        assert b"no site here has this host" in answer.body


def test_a_request_that_is_malformed_is_refused_by_the_front(front):
    with front.connect() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: shop.test\r\nHost: blog.test\r\n\r\n")
        assert client.response().status == 400


def test_ten_thousand_alternating_requests_on_fifty_connections_lose_none(front):
    open_before = descriptors_of(front.process.pid)
    clients = [front.connect() for _ in range(50)]
    hosts = [("shop.test", "shop"), ("blog.test", "blog")]
    for turn in range(200):
        for number, client in enumerate(clients):
            client.send(request(hosts[(turn + number) % 2][0], f"/{turn}"))
        for number, client in enumerate(clients):
            answer = client.response()
            assert site_of(answer) == hosts[(turn + number) % 2][1]
            assert json.loads(answer.body)["PATH_INFO"] == f"/{turn}"
    for client in clients:
        client.socket.close()
    stats = front.stats()
    assert stats["connections_handed"] >= 10_000 - 50
    assert stats["connections_taken"] >= 9_900
    # Every connection is at a site now, or has gone: the front keeps none of them open.
    assert descriptors_of(front.process.pid) <= open_before


def test_a_default_site_gets_what_no_other_has():
    routes = [*ROUTES, {"hosts": [""], "path": "/", "site": 0}]
    with front_with(routes) as front, front.engine("neighbours:shop", 0), front.connect() as client:
        client.send(request("unknown.test"))
        assert site_of(client.response()) == "shop"
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        assert site_of(client.response()) == "shop"


def test_a_path_of_no_site_gets_404():
    routes = [{"hosts": ["shop.test"], "path": "/only", "site": 0}]
    with front_with(routes, sites=1) as front, front.connect() as client:
        client.send(request("shop.test", "/other"))
        assert client.response().status == 404


def test_the_front_answers_for_its_health():
    with front_with(health_path="/-/health") as front, front.connect() as client:
        client.send(request("nobody.test", "/-/health"))
        assert client.response().status == 200


def test_a_head_that_does_not_end_in_time_gets_408():
    with front_with(head_timeout="1s") as front, front.connect() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: shop.test\r\n")
        assert client.response().status == 408


def test_a_proxy_that_names_its_client_is_heard_once():
    with (
        front_with(proxy_protocol=True) as front,
        front.engine("neighbours:shop", 0),
        front.engine("neighbours:blog", 1),
        front.connect() as client,
    ):
        client.send(b"PROXY TCP4 203.0.113.7 192.0.2.1 4711 80\r\n" + request("shop.test"))
        for host in ("blog.test", "shop.test"):
            assert json.loads(client.response().body)["REMOTE_ADDR"] == "203.0.113.7"
            client.send(request(host))
        assert json.loads(client.response().body)["REMOTE_ADDR"] == "203.0.113.7"


def test_how_large_a_body_may_be_is_for_its_site_to_say():
    with (
        front_with(max_body="1KiB") as front,
        front.engine("neighbours:shop", 0),
        front.engine("neighbours:blog", 1, max_body=100),
        front.connect() as client,
    ):
        client.send(request("shop.test", method="POST", body=b"x" * 5000))
        assert len(json.loads(client.response().body)["body"]) == 5000
        client.send(request("blog.test", method="POST", body=b"x" * 101))
        assert client.response().status == 413


def test_the_front_reads_no_body():
    with front_with(health_path="/-/health") as front, front.connect() as client:
        client.send(request("shop.test", "/-/health", "Content-Length: 1000000000000", method="POST"))
        answer = client.response()
        assert (answer.status, answer["Connection"]) == (200, "close")
        assert client.rest() == b""


def test_a_front_hears_what_was_held_back_until_it_listens(tmp_path):
    log = tmp_path / "access.log"
    held_back = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    try:
        with front_with(access_log=str(log), health_path="/-/health") as front:
            log.rename(tmp_path / "access.log.1")
            front.process.send_signal(signal.SIGUSR1)
            until = time.monotonic() + PATIENCE
            while not log.exists():
                assert time.monotonic() < until, "the signal was not heard"
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, held_back)
