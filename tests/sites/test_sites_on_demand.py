"""Sites that are started by their first request, and end when nobody asks for them."""

import threading

from asked_sites import ask, site_of

ON_DEMAND = """
[sites.shop]
app = "shop:app"
hosts = ["shop.example"]
workers = 1
on_demand = true
idle_stop = "300ms"
"""


def test_a_site_on_demand_is_started_by_its_first_request_which_waits(serve_sites):
    server = serve_sites(ON_DEMAND.replace("300ms", "1h"), "shop", up=())
    assert site_of(server, "shop")["state"] == "idle"
    assert ask(server.port, "shop.example") == (200, "shop  / ")
    server.wait_for("the site shop is asked for")


def test_many_that_come_while_the_site_starts_all_wait(serve_sites):
    server = serve_sites(ON_DEMAND.replace("300ms", "1h"), "shop", up=())
    answers = []
    visitors = [threading.Thread(target=lambda: answers.append(ask(server.port, "shop.example"))) for _ in range(20)]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join()
    assert answers == [(200, "shop  / ")] * 20


def test_a_site_that_nobody_asks_for_rests_and_is_started_again(serve_sites):
    server = serve_sites(ON_DEMAND, "shop", up=())
    for _ in range(2):
        assert ask(server.port, "shop.example") == (200, "shop  / ")
        server.wait_for("the site shop rests: nobody asks for it")
        server.wait_for("shop: stopped")
    server.send("TERM")
    assert server.wait_for_end() == 0


def test_no_request_is_lost_while_the_site_rests_and_wakes_again_and_again(serve_sites):
    server = serve_sites(ON_DEMAND.replace("300ms", "10ms"), "shop", up=())
    assert {ask(server.port, "shop.example") for _ in range(200)} == {(200, "shop  / ")}
    for _ in range(3):
        server.wait_for("the site shop rests")
        # The worker that leaves answers this one, or the site is started again for it.
        assert ask(server.port, "shop.example") == (200, "shop  / ")
        server.wait_for("shop: stopped")
        assert ask(server.port, "shop.example") == (200, "shop  / ")
