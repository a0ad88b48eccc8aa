"""Each request reaches its own site, and what befalls one site befalls no other."""

import http.client
import os
import signal

from asked_sites import ask, site_of, snapshot, wait_until_up
from running_penstock import PATIENCE

TWO = """
[sites.shop]
app = "shop:app"
hosts = ["shop.example", "*.shop.example"]
workers = 1
environment = { WHO = "seller" }

[sites.blog]
app = "blog:app"
hosts = ["blog.example"]
path = "/news"
workers = 1
environment = { WHO = "writer" }
"""


def test_each_request_reaches_its_site_by_host_and_path(serve_sites):
    server = serve_sites(TWO, "shop", "blog")
    assert ask(server.port, "shop.example", "/a") == (200, "shop  /a seller")
    assert ask(server.port, "De.SHOP.example:80", "/a") == (200, "shop  /a seller")
    assert ask(server.port, "blog.example", "/news/today") == (200, "blog /news /today writer")
    assert ask(server.port, "blog.example", "/newspaper")[0] == 404
    assert ask(server.port, "other.example")[0] == 421
    server.send("TERM")
    assert server.wait_for_end() == 0


def test_a_rule_of_a_site_below_a_path_guards_its_files_too(serve_sites, tmp_path):
    files = tmp_path / "files/inside"
    files.mkdir(parents=True)
    files.joinpath("a.txt").write_text("for some only")
    files.parent.joinpath("b.txt").write_text("for all")
    rules = "".join(
        f'[[sites.blog.auth]]\npath = "{path}"\nprovider = "none"\ndeny = ["0.0.0.0/0"]\n'
        for path in ("/files/inside", "/news/papers")
    )
    places = "".join(f'"/news/{name}/" = "files"\n' for name in ("files", "papers"))
    server = serve_sites(f"{TWO}{rules}[sites.blog.static]\n{places}", "shop", "blog")
    assert ask(server.port, "blog.example", "/news/files/b.txt") == (200, "for all")
    for path in (
        "/news/files/inside/a.txt",
        "/news//files/./inside/a.txt",
        "/news/papers/b.txt",
        "/news/files/inside",
    ):
        assert ask(server.port, "blog.example", path)[0] == 403
    server.send("TERM")
    assert server.wait_for_end() == 0


def test_a_kept_connection_that_alternates_between_hosts_reaches_each_site_in_turn(serve_sites):
    server = serve_sites(TWO, "shop", "blog")
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    for number in range(20):
        assert ask(0, "shop.example", f"/{number}", connection) == (200, f"shop  /{number} seller")
        assert ask(0, "blog.example", f"/news/{number}", connection) == (200, f"blog /news /{number} writer")
    connection.close()
    server.send("TERM")
    assert server.wait_for_end() == 0


def test_a_site_that_cannot_start_has_503_and_the_log_says_why_while_the_other_serves(serve_sites, write_application):
    server = serve_sites(TWO, "blog")
    server.wait_for("the site shop cannot start, .*: there is no module 'shop'")
    assert ask(server.port, "blog.example", "/news/") == (200, "blog /news / writer")
    assert ask(server.port, "shop.example")[0] == 503
    write_application("shop")
    wait_until_up(server, "shop")
    answers = (ask(server.port, "shop.example") for _ in range(1000))  # the front hears of it a moment later
    assert next(answer for answer in answers if answer[0] != 503) == (200, "shop  / seller")


def test_a_killed_supervisor_of_one_site_loses_no_request_of_either(serve_sites):
    server = serve_sites(TWO, "shop", "blog")
    supervisor = site_of(server, "shop")["pid"]
    os.kill(supervisor, signal.SIGKILL)
    for number in range(50):  # the first ones wait for the new supervisor
        assert ask(server.port, "shop.example", f"/{number}")[0] == 200
        assert ask(server.port, "blog.example", "/news/")[0] == 200
    server.wait_for("the supervisor of the site shop was killed by SIGKILL.*; starting it again")
    wait_until_up(server, "shop")
    assert site_of(server, "shop")["pid"] not in (0, supervisor)


def test_a_killed_front_is_replaced(serve_sites):
    server = serve_sites(TWO, "shop", "blog")
    front = snapshot(server)["front"]["pid"]
    os.kill(front, signal.SIGKILL)
    server.wait_for("the front .* was killed by SIGKILL")
    assert ask(server.port, "shop.example")[0] == 200
    assert snapshot(server)["front"]["pid"] not in (0, front)


def test_when_the_parent_is_killed_every_process_ends(serve_sites):
    server = serve_sites(TWO, "shop", "blog")
    server.send("KILL")
    assert server.wait_for_end() == -signal.SIGKILL  # all of them held its standard error
