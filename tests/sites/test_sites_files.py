"""One file a site: adding, changing and removing files, while other sites are asked all the time."""

import os
from pathlib import Path

import pytest
from asked_sites import Visitor, ask, site_of, snapshot, wait_until_up

from penstock.admin.client import Connection

FILES = 'sites = "sites.d/*.toml"\n[server]\nbind = ["127.0.0.1:0"]\n'


@pytest.fixture
def write_site(tmp_path, write_application):
    tmp_path.joinpath("sites.d").mkdir()

    def write(name, text=""):
        write_application(name)
        temporary = tmp_path / f"{name}.new"
        temporary.write_text(
            f'[site]\napp = "{name}:app"\nchdir = ".."\nhosts = ["{name}.example"]\nworkers = 1\n{text}'
        )
        temporary.rename(tmp_path / f"sites.d/{name}.toml")

    return write


@pytest.fixture
def serve_files(tmp_path, launch, write_site):
    def begin(*names):
        for name in names:
            write_site(name)
        tmp_path.joinpath("penstock.toml").write_text(FILES)
        server = launch()
        server.find_port()
        wait_until_up(server, *names)
        return server

    return begin


def test_files_of_sites_come_change_and_go_and_no_request_of_another_site_is_lost(serve_files, write_site, tmp_path):
    server = serve_files("shop")
    supervisor = site_of(server, "shop")["pid"]
    visitor = Visitor(server.port, "shop.example")
    write_site("blog")
    wait_until_up(server, "blog")
    assert ask(server.port, "blog.example") == (200, "blog  / ")
    write_site("blog", 'environment = { WHO = "writer" }\n')
    server.wait_for("blog: generation 2 takes over")
    assert next(answer for answer in asked(server, "blog.example") if answer[1].endswith("writer"))
    tmp_path.joinpath("sites.d/blog.toml").unlink()
    server.wait_for("the site blog has left")
    assert ask(server.port, "blog.example")[0] == 421
    write_site("blog")
    wait_until_up(server, "blog")
    assert next(answer for answer in asked(server, "blog.example") if answer[0] != 421) == (200, "blog  / ")
    assert visitor.finish() == {200}
    assert site_of(server, "shop")["pid"] == supervisor
    assert "shop: reloading" not in server.log
    server.send("TERM")
    assert server.wait_for_end() == 0


def test_a_broken_file_is_named_and_its_site_goes_on_as_it_was(serve_files, tmp_path):
    server = serve_files("shop")
    tmp_path.joinpath("sites.d/shop.toml").write_text("[site]\nworkrs = 1\n")
    server.wait_for(r"sites.d/shop.toml:2: \[site\] has no key 'workrs'")
    assert ask(server.port, "shop.example") == (200, "shop  / ")


def test_a_new_file_that_claims_what_another_site_has_is_refused(serve_files, write_site):
    server = serve_files("shop")
    write_site("thief", "default = true\n")
    wait_until_up(server, "thief")
    write_site("other", "default = true\n")
    server.wait_for("the sites stay as they are: the sites .* both claim every other host")
    assert [site["name"] for site in snapshot(server)["sites"]] == ["shop", "thief"]


def test_a_new_host_that_the_default_site_had_reaches_the_new_site_also_on_a_kept_connection(serve_files, write_site):
    server = serve_files("shop")
    write_site("rest", "default = true\n")
    wait_until_up(server, "rest")
    write_site("blog")
    server.wait_for("the site rest reloads: some of its requests are another site's now")
    server.wait_for("rest: generation 2 takes over")
    assert next(answer for answer in asked(server, "blog.example") if answer[1].startswith("blog"))


def test_a_directory_without_files_serves_nobody_until_one_comes(serve_files, write_site):
    server = serve_files()
    assert ask(server.port, "shop.example")[0] == 421
    write_site("shop")
    wait_until_up(server, "shop")
    assert next(answer for answer in asked(server, "shop.example") if answer[0] == 200)


def test_sites_that_come_and_go_leave_nothing_behind(serve_files, write_site, tmp_path):
    server = serve_files("shop", "blog")
    [control] = Path(server.environment["XDG_RUNTIME_DIR"]).glob("penstock/*.sock")
    with Connection(str(control)) as parent:
        with_two = held_by(parent, server)
        tmp_path.joinpath("sites.d/blog.toml").unlink()
        server.wait_for("the site blog has left")
        both_ends = 2  # of the front: one to read from and one to write to
        fewer = len(with_two[1][0]) - both_ends
        before = next(held for held in held_again_and_again(parent, server) if len(held[1][0]) == fewer)
        for number in range(10):
            names = [f"blog{number}{letter}" for letter in "abcde"]
            for name in names[:-1]:
                write_site(name, "on_demand = true\n")
            write_site(names[-1])
            wait_until_up(server, names[-1])
            assert next(answer for answer in asked(server, f"{names[-1]}.example") if answer[0] == 200)
            for name in names:
                tmp_path.joinpath(f"sites.d/{name}.toml").unlink()
            left = {server.wait_for(r"the site (\w+) has left")[1] for _ in names}
            assert left == set(names)
        assert any(held == before for held in held_again_and_again(parent, server)), held_by(parent, server)
        assert [site["name"] for site in parent.ask("status")["sites"]] == ["shop"]
    assert len(list(control.parent.iterdir())) == 2, "the control sockets of the parent and of one site"
    assert ask(server.port, "shop.example") == (200, "shop  / ")
    server.send("TERM")
    assert server.wait_for_end() == 0


def held_by(parent, server):
    """The descriptors and mappings of the parent and the front."""
    found = []
    for pid in (server.process.pid, parent.ask("status")["front"]["pid"]):
        held = sorted(os.readlink(entry).partition(":")[0] for entry in Path(f"/proc/{pid}/fd").iterdir())
        found.append((held, Path(f"/proc/{pid}/maps").read_text().count("penstock-scoreboard")))
    return found


def held_again_and_again(parent, server):
    """The same, one after the other: the front hears of an end a moment later."""
    return (held_by(parent, server) for _ in range(1000))


def asked(server, host):
    """Answers, one after the other: what is told to the front and to workers is there a moment later."""
    return (ask(server.port, host) for _ in range(1000))
