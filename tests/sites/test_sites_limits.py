"""A site that eats its memory or the CPU: the others lose nothing, and it goes on itself."""

import os

import pytest
from asked_sites import Visitor, ask, site_of

GREEDY = """
import os
kept = []

def app(environ, start_response):
    if environ["PATH_INFO"] == "/eat":
        while True:
            kept.append(bytearray(64 * 2**20))  # of which nothing is written: only the limit ends it
    if environ["PATH_INFO"] == "/burn":
        sum(number * number for number in range(3_000_000))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{os.getpid()} {os.nice(0)} {len(kept)}".encode()]
"""
SITES = """
[sites.shop]
app = "shop:app"
hosts = ["shop.example"]
workers = 1
[sites.greedy]
app = "greedy_app:app"
hosts = ["greedy.example"]
workers = 1
"""


@pytest.fixture
def serve_greedy(tmp_path, serve_sites):
    """Serves the shop, and a site beside it with these settings."""

    def begin(text):
        tmp_path.joinpath("greedy_app.py").write_text(GREEDY)
        return serve_sites(SITES + text, "shop", up=("shop", "greedy"))

    return begin


def test_a_site_that_eats_its_memory_gets_errors_and_the_other_loses_nothing(serve_greedy):
    server = serve_greedy('limit_memory = "2GiB"\n')
    visitors = [Visitor(server.port, "shop.example") for _ in range(3)]
    try:
        seen = [ask(server.port, "greedy.example", "/eat")[0] for _ in range(3)]
        pid, _, pieces = ask(server.port, "greedy.example")[1].split()
    finally:
        answers = [visitor.finish() for visitor in visitors]
    assert seen == [500] * 3
    assert 0 < int(pieces) <= 32, "2 GiB in pieces of 64 MiB"
    assert "MemoryError" in server.wait_for("MemoryError")[0]
    assert answers == [{200}] * 3
    # What it has eaten it gives back with its worker.
    assert server.command("reload", "greedy")[2] == 0
    assert ask(server.port, "greedy.example")[1].split()[::2] != [pid, pieces]


def test_a_site_that_burns_the_cpu_has_its_priority_and_the_other_loses_nothing(serve_greedy):
    server = serve_greedy("nice = 19\n")
    visitors = [Visitor(server.port, "shop.example") for _ in range(3)]
    try:
        words = [ask(server.port, "greedy.example", "/burn")[1].split() for _ in range(5)]
    finally:
        answers = [visitor.finish() for visitor in visitors]
    assert {nice for _, nice, _ in words} == {"19"}
    assert os.getpriority(os.PRIO_PROCESS, site_of(server, "greedy")["pid"]) == 19
    assert os.getpriority(os.PRIO_PROCESS, site_of(server, "shop")["pid"]) == os.getpriority(os.PRIO_PROCESS, 0)
    assert answers == [{200}] * 3


def test_a_site_with_memory_of_its_own_is_in_its_cgroup_or_the_log_says_why_not(serve_greedy):
    server = serve_greedy('site_memory = "2GiB"\n')
    with open(f"/proc/{site_of(server, 'greedy')['pid']}/cgroup") as file:
        is_member = file.read().endswith("/site-greedy\n")
    assert is_member != ("site_memory of the site greedy: " in server.log)
    if not is_member:
        assert ask(server.port, "greedy.example", "/eat")[0] == 500
    assert ask(server.port, "shop.example")[0] == 200
