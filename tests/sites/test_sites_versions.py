"""Two Django projects with a Python, a Django and a virtual environment of their own behind one address."""

import http.client
import os
import subprocess
import sys

import django
import pytest
from asked_sites import Visitor, ask, site_of, wait_until_up
from django_sites import page_of, write_project
from make_neighbours import CHECKOUT, DJANGO, neighbour
from running_penstock import PATIENCE

SITES = """
[sites.shop]
chdir = "shop_project"
hosts = ["shop.example"]
workers = 1
environment = {{ GREETING = "buy", ONLY_SHOP = "1" }}
[sites.blog]
chdir = "blog_project"
hosts = ["blog.example"]
workers = 1
venv = "{venv}"
environment = {{ GREETING = "read" }}
"""


@pytest.fixture(params=["same", "other"])
def venv(request):
    """A virtual environment with another Django: of this Python, and of another one."""
    return neighbour(request.param)


@pytest.fixture
def serve_projects(tmp_path, serve_sites):
    """Serves the shop with the Python of the tests, and the blog with that of a virtual environment."""

    def begin(venv, up=("shop", "blog")):
        for name in ("shop", "blog"):
            write_project(tmp_path, name)
        return serve_sites(SITES.format(venv=venv), up=up)

    return begin


def version_of(venv):
    """The version of a virtual environment's Python, from what it says of itself."""
    lines = dict(line.split(" = ") for line in (venv / "pyvenv.cfg").read_text().splitlines())
    return [int(part) for part in lines["version_info"].split(".")[:2]]


def test_each_project_has_its_own_python_django_settings_database_and_variables(serve_projects, venv, tmp_path):
    server = serve_projects(venv)
    shop, blog = page_of(server, "shop"), page_of(server, "blog")
    assert (shop["python"], shop["django"]) == (list(sys.version_info[:2]), list(django.VERSION[:2]))
    assert (blog["python"], blog["django"]) == (version_of(venv), [int(part) for part in DJANGO.split(".")])
    assert (shop["prefix"], blog["prefix"]) == (sys.prefix, str(venv))
    for name, page, greeting in (("shop", shop, "buy"), ("blog", blog, "read")):
        assert (page["urls"], page["module"], page["greeting"]) == (f"{name}.urls", f"{name}.settings", greeting)
        assert (page["owner"], page["database"]) == (f"{name}'s", f"{tmp_path}/{name}_project/{name}.sqlite3")
    assert "ONLY_SHOP" in shop["environment"] and "ONLY_SHOP" not in blog["environment"]
    assert blog["environment"]["VIRTUAL_ENV"] == str(venv)
    assert blog["environment"]["PATH"].startswith(f"{venv}/bin:")
    server.send("TERM")
    assert server.wait_for_end() == 0


def test_a_kept_connection_goes_back_and_forth_between_the_versions(serve_projects, venv):
    server = serve_projects(venv)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    own = connection.connect() or connection.sock.getsockname()
    for _ in range(20):
        assert page_of(server, "shop", connection)["django"] == list(django.VERSION[:2])
        assert page_of(server, "blog", connection)["django"] == [int(part) for part in DJANGO.split(".")]
        assert connection.sock.getsockname() == own
    connection.close()


@pytest.mark.parametrize(("hurt", "spared"), [("blog", "shop"), ("shop", "blog")])
def test_crashes_and_reloads_of_one_cost_the_other_nothing(serve_projects, venv, hurt, spared):
    server = serve_projects(venv)
    visitors = [Visitor(server.port, f"{spared}.example") for _ in range(4)]
    try:
        os.kill(page_of(server, hurt)["pid"], 9)
        server.wait_for(rf"{hurt}: worker 1 .* was killed by SIGKILL")
        server.wait_for(rf"{hurt}: worker 1 \(pid \d+\) is ready")
        assert server.command("reload", hurt) == (f"{hurt}: generation 2 serves\n", "", 0)
        os.kill(site_of(server, hurt)["pid"], 9)
        wait_until_up(server, hurt)
        assert page_of(server, hurt)["owner"] == f"{hurt}'s"
    finally:
        seen = [visitor.finish() for visitor in visitors]
    assert seen == [{200}] * 4


def test_a_reload_under_load_loses_no_request_of_either(serve_projects, venv):
    server = serve_projects(venv)
    visitors = [Visitor(server.port, f"{name}.example") for name in ("shop", "blog") for _ in range(2)]
    try:
        for generation in (2, 3):
            for name in ("blog", "shop"):
                assert server.command("reload", name)[0] == f"{name}: generation {generation} serves\n"
    finally:
        seen = [visitor.finish() for visitor in visitors]
    assert seen == [{200}] * 4


def test_a_virtual_environment_without_penstock_is_named_and_served_once_it_has_it(serve_projects, tmp_path):
    venv = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    server = serve_projects(venv, up=("shop",))
    server.wait_for(
        rf"the site blog cannot start, .*: Penstock cannot be imported by {venv}/bin/python \(penstock.toml"
    )
    server.wait_for(rf"install it there: `{venv}/bin/python -m pip install penstock==")
    assert page_of(server, "shop")["owner"] == "shop's"
    assert ask(server.port, "blog.example")[0] == 503
    packages = [str(CHECKOUT / "src"), *(path for path in sys.path if path.startswith(sys.prefix))]
    [site_packages] = venv.glob("lib/python3.*/site-packages")
    site_packages.joinpath("all.pth").write_text("\n".join(packages) + "\n")
    wait_until_up(server, "blog")
    answers = (ask(server.port, "blog.example")[0] for _ in range(1000))  # the front hears of it a moment later
    assert next(status for status in answers if status != 503) == 200
