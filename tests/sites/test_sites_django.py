"""Two real Django projects with settings, databases and variables of their own behind one address."""

import os
import subprocess
import sys

import pytest
from asked_sites import Visitor, site_of, wait_until_up
from django_sites import page_of, write_project

SITES = """
[sites.shop]
chdir = "shop_project"
hosts = ["shop.example"]
workers = 1
environment = { GREETING = "buy" }
[sites.blog]
chdir = "blog_project"
hosts = ["blog.example"]
workers = 1
environment = { GREETING = "read" }
"""


@pytest.fixture
def projects(tmp_path):
    for name in ("shop", "blog"):
        write_project(tmp_path, name)


@pytest.fixture
def server(serve_sites, projects):
    return serve_sites(SITES, up=("shop", "blog"))


def own(server, name):
    """What of a project's page is its own."""
    page = page_of(server, name)
    return [page["urls"], page["module"], page["greeting"], page["owner"]]


def test_each_project_has_its_own_settings_variables_and_database(server):
    for _ in range(3):
        assert own(server, "shop") == ["shop.urls", "shop.settings", "buy", "shop's"]
        assert own(server, "blog") == ["blog.urls", "blog.settings", "read", "blog's"]


def test_in_one_process_the_second_project_would_run_with_the_settings_of_the_first(projects, tmp_path):
    """The leak that the processes apart from each other are for."""
    code = (
        "import sys, os; sys.path[:0] = ['shop_project', 'blog_project']; os.environ['GREETING'] = 'buy';"
        "import shop.wsgi, blog.wsgi; from django.conf import settings; print(settings.ROOT_URLCONF)"
    )
    variables = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=variables, capture_output=True, text=True, check=True
    )
    assert done.stdout == "shop.urls\n"  # and blog.wsgi:application serves the shop


def test_variables_of_the_parent_do_not_reach_the_sites(projects, tmp_path, launch):
    tmp_path.joinpath("penstock.toml").write_text(f'[server]\nbind = ["127.0.0.1:0"]\n{SITES}')
    server = launch(variables={"DJANGO_SETTINGS_MODULE": "shop.settings", "GREETING": "leaked"})
    server.find_port()
    wait_until_up(server, "shop", "blog")
    assert own(server, "blog") == ["blog.urls", "blog.settings", "read", "blog's"]


def test_crashes_and_reloads_of_one_project_cost_the_other_nothing(server):
    visitors = [Visitor(server.port, "shop.example") for _ in range(4)]
    try:
        os.kill(page_of(server, "blog")["pid"], 9)
        server.wait_for(r"blog: worker 1 .* was killed by SIGKILL")
        server.wait_for(r"blog: worker 1 \(pid \d+\) is ready")
        assert server.command("reload", "blog")[2] == 0
        os.kill(site_of(server, "blog")["pid"], 9)
        wait_until_up(server, "blog")
        assert page_of(server, "blog")["greeting"] == "read"
    finally:
        seen = [visitor.finish() for visitor in visitors]
    assert seen == [{200}] * 4


def test_a_reload_of_one_project_loses_none_of_its_own_requests(server):
    visitors = [Visitor(server.port, "shop.example") for _ in range(4)]
    for generation in (2, 3, 4):
        assert server.command("reload", "shop")[0] == f"shop: generation {generation} serves\n"
    assert [visitor.finish() for visitor in visitors] == [{200}] * 4
