"""Commands, health and metrics of several sites: of one by its name, and of all."""

import http.client
import json
import re

import pytest
from asked_sites import ask, site_of, snapshot, wait_until_up
from prometheus_client.parser import text_string_to_metric_families
from running_penstock import PATIENCE

SITES = """admin_bind = ["127.0.0.1:0"]
[sites.shop]
app = "shop:app"
hosts = ["shop.example"]
workers = 1
[sites.blog]
app = "blog:app"
hosts = ["blog.example"]
workers = 1
[sites.rare]
app = "rare:app"
hosts = ["rare.example"]
workers = 1
on_demand = true
"""


@pytest.fixture
def server(serve_sites):
    return serve_sites(SITES, "shop", "blog", "rare", up=("shop", "blog"))


def admin_of(server):
    return int(re.search(r"status are at http://127\.0\.0\.1:(\d+)", server.log)[1])


def get(server, path):
    connection = http.client.HTTPConnection("127.0.0.1", server.admin_port, timeout=PATIENCE)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def test_status_shows_every_site_in_one_table(server):
    output, _, status = server.command("status")
    assert status == 0
    assert [line.split()[:2] for line in output.splitlines()[4:7]] == [
        ["shop", "up"],
        ["blog", "up"],
        ["rare", "idle"],
    ]


def test_a_command_for_one_site_is_about_that_site_only(server):
    assert server.command("scale", "2", "shop") == ("", "", 0)
    server.wait_for(r"shop: worker 2 \(pid \d+\) is ready")
    assert server.command("reload", "shop") == ("shop: generation 2 serves\n", "", 0)
    assert server.command("rollback", "shop") == ("generation 1 serves\n", "", 0)
    assert "worker" in server.command("stacks", "blog")[0]
    assert "generation 1" in server.command("top", "blog", "--once")[0]
    supervisors = {site["name"]: site["supervisor"] for site in snapshot(server)["sites"]}
    assert len(supervisors["blog"]["workers"]) == 1
    assert supervisors["blog"]["generation"] == 1


def test_reload_without_a_name_reloads_every_site_that_runs(server):
    output, _, status = server.command("reload")
    assert (output, status) == ("shop: generation 2 serves\nblog: generation 2 serves\n", 0)


def test_a_reload_that_fails_in_one_site_is_told_and_the_others_are_reloaded(server, tmp_path):
    tmp_path.joinpath("shop.py").write_text("import nothing_of_that_name\n")
    _, error, status = server.command("reload")
    assert status == 1
    assert "shop could not be reloaded" in error
    assert "nothing_of_that_name" in error
    assert ask(server.port, "shop.example")[0] == 200
    assert site_of(server, "blog")["supervisor"]["generation"] == 2


def test_a_stopped_site_has_503_until_it_is_reloaded(server):
    assert server.command("stop", "shop") == ("", "", 0)
    server.wait_for("the site shop is stopped")
    assert ask(server.port, "shop.example")[0] == 503
    assert ask(server.port, "blog.example")[0] == 200
    _, error, status = server.command("scale", "2", "shop")
    assert (status, error.splitlines()[0]) == (1, "error: the site shop is stopped")
    assert server.command("reload", "shop") == ("shop: up\n", "", 0)
    wait_until_up(server, "shop")


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["scale", "2"], "scale needs the name of a site", "the sites are shop, blog, rare"),
        (["rollback"], "rollback needs the name of a site", "the sites are shop, blog, rare"),
        (["reload", "shp"], "there is no site 'shp'", "did you mean 'shop'?"),
    ],
)
def test_a_command_without_the_site_that_it_needs_is_refused(server, words, message, hint):
    _, error, status = server.command(*words)
    assert (status, error) == (2, f"error: {message}\n\nhint: {hint}\n")


def test_hup_reads_the_configuration_anew_and_reloads_every_site(server, tmp_path, write_application):
    write_application("late")
    file = tmp_path / "penstock.toml"
    more = '[sites.late]\napp = "late:app"\nhosts = ["late.example"]\nworkers = 1\n'
    file.write_text(file.read_text().replace("[sites.shop]", "backlog = 7\n[sites.shop]") + more)
    server.send("HUP")
    server.wait_for("a reload does not change backlog: restart Penstock for that")
    missing = {"the site late is up", "shop: generation 2 takes over", "blog: generation 2 takes over"}
    while missing:
        missing.discard(server.wait_for("(" + "|".join(missing) + ")")[1])
    assert ask(server.port, "late.example") == (200, "late  / ")
    server.send("TERM")
    assert server.wait_for_end() == 0


def test_stop_without_a_name_ends_everything(server):
    assert server.command("stop") == ("", "", 0)
    assert server.wait_for_end() == 0


def test_metrics_have_the_name_of_the_site(server):
    server.admin_port = admin_of(server)
    for _ in range(3):
        ask(server.port, "blog.example")
    status, text = get(server, "/metrics")
    assert status == 200
    samples = {
        (sample.name, sample.labels.get("site")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert samples["penstock_requests_total", "blog"] == 3
    assert samples["penstock_requests_total", "shop"] == 0
    assert samples["penstock_site_up", "rare"] == 0
    assert ("penstock_requests_total", "rare") not in samples
    assert 'site="shop"' not in get(server, "/metrics?site=blog")[1]


def test_the_server_is_ready_when_every_site_is_that_is_not_on_demand(server):
    server.admin_port = admin_of(server)
    assert get(server, "/ready") == (200, "ready\n")
    assert get(server, "/ready?site=rare") == (200, "ready\n")
    server.command("stop", "shop")
    assert get(server, "/ready")[0] == 503
    assert get(server, "/ready?site=shop")[0] == 503
    assert get(server, "/ready?site=blog")[0] == 200
    assert get(server, "/ready?site=none") == (404, "there is no site 'none'\n")


def test_status_over_http_has_each_site_with_what_its_supervisor_says(server):
    server.admin_port = admin_of(server)
    status, text = get(server, "/status")
    sites = {site["name"]: site for site in json.loads(text)["sites"]}
    assert status == 200
    assert len(sites["shop"]["supervisor"]["workers"]) == 1
    assert sites["rare"]["supervisor"] is None
