"""A new parent takes the place of the old one, with its front and all its sites, and no request is lost."""

import http.client

from asked_sites import THREE_SITES, Visitor, ask, site_of, snapshot
from running_penstock import PATIENCE

NAMES = "shop", "blog", "rare"


class KeptVisitor(Visitor):
    """Asks both sites in turn on one connection, which is to last."""

    def run(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        connection.connect()
        connection.auto_open = 0  # a connection that was closed is a failure
        while not self.is_over.is_set():
            for host in ("shop.example", "blog.example"):
                try:
                    self.answers.append(ask(0, host, connection=connection)[0])
                except (OSError, http.client.HTTPException) as error:
                    self.answers.append(repr(error))
                    return
        connection.close()


def wait_until_replaced(server):
    """Reads the log until the old parent has left; it is the last of its own."""
    server.wait_for(r"the new supervisor \(pid \d+\) has taken over")
    assert server.process.wait(PATIENCE) == 0


def test_an_upgrade_replaces_every_process_and_loses_no_request(serve_sites):
    server = serve_sites(THREE_SITES, *NAMES, up=("shop", "blog"))
    before = snapshot(server)
    assert ask(server.port, "rare.example")[0] == 200
    visitors = [Visitor(server.port, host) for host in ("shop.example", "blog.example")]
    visitors += [KeptVisitor(server.port, ""), KeptVisitor(server.port, "")]
    try:
        assert server.command("upgrade") == ("", "", 0)
        wait_until_replaced(server)
        after = snapshot(server)
    finally:
        seen = [visitor.finish() for visitor in visitors]
    assert seen == [{200}] * 4
    assert {site["name"]: site["state"] for site in after["sites"]} == {"shop": "up", "blog": "up", "rare": "idle"}
    pids = [{one["pid"], one["front"]["pid"], *(site["pid"] for site in one["sites"])} for one in (before, after)]
    assert pids[0] & pids[1] == {0}
    assert server.command("reload", "shop") == ("shop: generation 2 serves\n", "", 0)
    assert server.command("stop") == ("", "", 0)
    server.wait_for_end()


def test_connections_that_rest_during_an_upgrade_go_on_with_the_new_sites(serve_sites):
    server = serve_sites(THREE_SITES, *NAMES, up=("shop", "blog"))
    kept = [http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE) for _ in range(20)]
    for connection in kept:
        assert ask(0, "shop.example", connection=connection)[0] == 200
        connection.auto_open = 0
    server.send("USR2")
    wait_until_replaced(server)
    for connection in kept:
        assert ask(0, "shop.example", connection=connection) == (200, "shop  / ")
        connection.close()
    assert server.command("stop") == ("", "", 0)


def test_an_upgrade_with_a_site_that_cannot_start_any_more_changes_nothing_and_says_which(serve_sites, tmp_path):
    server = serve_sites(THREE_SITES, *NAMES, up=("shop", "blog"))
    before = snapshot(server)
    tmp_path.joinpath("blog.py").write_text("import nothing_of_that_name\n")
    output, error, status = server.command("upgrade")
    assert (output, status) == ("", 1)
    assert error.startswith("error: the site blog cannot start: ")
    assert "nothing_of_that_name" in error
    server.wait_for("the upgrade failed, this supervisor goes on")
    assert ask(server.port, "blog.example") == (200, "blog  / ")
    after = snapshot(server)
    assert [one["pid"] for one in after["sites"]] == [one["pid"] for one in before["sites"]]
    assert after["front"]["pid"] == before["front"]["pid"]
    server.send("TERM")
    assert server.wait_for_end() == 0


def test_what_was_stopped_or_broken_before_an_upgrade_does_not_prevent_it(serve_sites, tmp_path):
    server = serve_sites(
        THREE_SITES.replace("rare:app", "missing:app").replace("on_demand = true", ""), "shop", "blog"
    )
    assert server.command("stop", "blog") == ("", "", 0)
    assert server.command("upgrade") == ("", "", 0)
    wait_until_replaced(server)
    assert site_of(server, "blog")["state"] == "stopped"
    assert ask(server.port, "blog.example")[0] == 503
    assert ask(server.port, "shop.example") == (200, "shop  / ")
    assert server.command("reload", "blog") == ("blog: up\n", "", 0)
    assert server.command("stop") == ("", "", 0)


def test_a_stop_during_an_upgrade_ends_the_new_parent_too(serve_sites, tmp_path):
    server = serve_sites(THREE_SITES, *NAMES, up=("shop", "blog"))
    tmp_path.joinpath("blog.py").write_text("import time\ntime.sleep(1000)\n")
    server.send("USR2")
    server.wait_for("upgrading: a new supervisor")
    server.send("TERM")
    assert server.wait_for_end() == 0


def test_one_of_several_sites_is_not_upgraded_alone(serve_sites):
    server = serve_sites(THREE_SITES, *NAMES, up=("shop", "blog"))
    _, error, status = server.command("upgrade", "shop")
    assert (status, error.splitlines()[0]) == (1, "error: one of several sites cannot be upgraded alone")
