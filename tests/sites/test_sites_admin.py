"""Commands, health and metrics of several sites: of one by its name, and of all."""

import http.client
import json
import os
import re
import signal

import pytest
from asked_sites import THREE_SITES, ask, site_of, snapshot, wait_until_up
from far_client import FarClient, for_root
from prometheus_client.parser import text_string_to_metric_families
from running_penstock import PATIENCE

SITES = 'admin_bind = ["127.0.0.1:0"]' + THREE_SITES


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
    assert [line.split()[:2] for line in output.splitlines()[5:8]] == [
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
    assert error.startswith("error: shop could not be reloaded; the others were\n")
    assert "nothing_of_that_name" in error
    assert ask(server.port, "shop.example")[0] == 200
    assert site_of(server, "blog")["supervisor"]["generation"] == 2


def test_a_stopped_site_has_503_until_it_is_reloaded(server):
    assert server.command("stop", "shop") == ("", "", 0)
    server.wait_for("the site shop is stopped")
    assert ask(server.port, "shop.example")[0] == 503
    assert ask(server.port, "blog.example")[0] == 200
    _, error, status = server.command("scale", "2", "shop")
    hint = "`penstock reload shop` starts it, or says why it cannot"
    assert (status, error) == (1, f"error: the site shop is stopped\n\nhint: {hint}\n")
    assert server.command("reload", "shop") == ("shop: up\n", "", 0)
    wait_until_up(server, "shop")


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["scale", "2"], "scale needs the name of a site", "the sites are shop, blog, rare"),
        (["restart", "queue"], "restart needs the name of a site", "the sites are shop, blog, rare"),
        (["rollback"], "rollback needs the name of a site", "the sites are shop, blog, rare"),
        (["reload", "shp"], "there is no site 'shp'", "did you mean 'shop'?"),
    ],
)
def test_a_command_without_the_site_that_it_needs_is_refused(server, words, message, hint):
    _, error, status = server.command(*words)
    assert (status, error) == (2, f"error: {message}\n\nhint: {hint}\n")


def test_what_keeps_a_site_from_starting_is_said_once_and_by_every_command_about_it(serve_sites, write_application):
    write_application("blog")
    server = serve_sites(SITES.replace("shop:app", "missing:app"), "blog")
    server.wait_for("the site shop cannot start, starting it again in 0.8 s")
    assert len(re.findall("there is no module 'missing'", server.log)) == server.log.count("cannot start")
    _, error, status = server.command("status", "shop")
    assert (status, error.partition(":")[0]) == (1, "error")
    assert error.startswith("error: the site shop is ")
    _, error, status = server.command("reload", "shop")
    assert (status, error.splitlines()[0]) == (1, "error: there is no module 'missing'")


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


def test_stacks_without_a_name_are_those_of_every_site_that_runs(server):
    output, _, status = server.command("stacks")
    assert status == 0
    assert re.findall(r"^(site \w+|worker \d+)", output, re.MULTILINE) == [
        *("site shop", "worker 1"),
        *("site blog", "worker 1"),
    ]


def test_restart_is_about_a_process_of_one_site(serve_sites):
    named = 'processes = { queue = "sleep 1000" }\n'
    text = SITES.replace("[sites.blog]", named + "[sites.blog]").replace("[sites.rare]", named + "[sites.rare]")
    server = serve_sites(text, "shop", "blog", "rare", up=())
    first = {}
    while len(first) < 2:
        site, pid = server.wait_for(r"(\w+): process queue \(pid (\d+)\) is started").groups()
        first[site] = int(pid)
    assert server.command("restart", "queue", "blog") == ("", "", 0)
    second = int(server.wait_for(r"blog: process queue \(pid (\d+)\) is started")[1])
    queues = {one["name"]: one["supervisor"]["processes"] for one in snapshot(server)["sites"] if one["supervisor"]}
    assert [queues[name][0]["pid"] for name in ("shop", "blog")] == [first["shop"], second]
    _, error, status = server.command("restart", "quue", "blog")
    assert (status, error.splitlines()[-1]) == (2, "hint: did you mean 'queue'?")
    server.send("TERM")
    assert server.wait_for_end() == 0


def test_what_the_front_does_with_connections_is_counted_for_each_site(server):
    server.admin_port = admin_of(server)
    for host in ("blog.example", "blog.example", "rare.example", "unknown.example"):
        ask(server.port, host)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    ask(0, "shop.example", connection=connection)
    ask(0, "blog.example", connection=connection)
    connection.close()
    server.command("stop", "shop")
    assert ask(server.port, "shop.example")[0] == 503
    counted = {site["name"]: site["connections"] for site in snapshot(server)["sites"]}
    assert counted["shop"] == {"handed": 1, "held": 0, "returned": 1, "refused": 1}
    assert counted["blog"] == {"handed": 3, "held": 0, "returned": 0, "refused": 0}
    assert counted["rare"] == {"handed": 1, "held": 1, "returned": 0, "refused": 0}
    text = get(server, "/metrics")[1]
    assert 'penstock_site_connections_refused_total{site="shop"} 1' in text
    assert 'penstock_site_connections_held_total{site="rare"} 1' in text
    assert "penstock_front_unknown_hosts_total 1" in text
    [line] = [line for line in server.command("status")[0].splitlines() if line.startswith("front")]
    assert re.sub(r"\d+,", "N,", line, count=1) == (
        "front    pid N, passed on 5, held 1, refused 1 (503), unknown hosts 1 (421)"
    )


def test_what_a_front_had_counted_is_not_lost_with_it(server):
    ask(server.port, "unknown.example")
    os.kill(snapshot(server)["front"]["pid"], signal.SIGKILL)
    server.wait_for("the front .* was killed by SIGKILL")
    ask(server.port, "unknown.example")
    assert snapshot(server)["front"]["unknown_hosts"] == 2


def test_stop_without_a_name_ends_everything(server):
    assert server.command("stop") == ("", "", 0)
    assert server.wait_for_end() == 0


@for_root
def test_who_has_begun_to_connect_at_a_stop_is_answered_by_its_site(server):
    with FarClient(server.port) as client:
        server.send("TERM")
        client.hear()
        client.send(b"GET /late HTTP/1.1\r\nHost: blog.example\r\n\r\n")
        response = client.response()
        assert (response.status, response.body) == (200, b"blog  /late ")
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
    server.wait_for("the site shop is stopped")
    assert get(server, "/ready") == (503, "the site shop is stopped\n")
    assert get(server, "/ready?site=shop") == (503, "the site shop is stopped\n")
    assert get(server, "/ready?site=blog")[0] == 200
    assert get(server, "/ready?site=none") == (404, "there is no site 'none'\n")


def test_status_over_http_has_each_site_with_what_its_supervisor_says(server):
    server.admin_port = admin_of(server)
    status, text = get(server, "/status")
    sites = {site["name"]: site for site in json.loads(text)["sites"]}
    assert status == 200
    assert len(sites["shop"]["supervisor"]["workers"]) == 1
    assert sites["rare"]["supervisor"] is None
