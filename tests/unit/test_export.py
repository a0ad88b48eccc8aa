import json
import re

import pytest

from penstock.cli import main
from penstock.config import load
from penstock.errors import PenstockError, UsageError
from penstock.interop.export import (
    apache,
    docker,
    files,
    gunicorn,
    haproxy,
    kubernetes,
    mod_wsgi,
    nginx,
    systemd,
    uwsgi,
)
from penstock.interop.export.deployment import (
    Deployment,
    Folder,
    Wishes,
    gather,
    is_guarded,
    public_paths,
    refuse_odd_names,
    refuse_odd_urls,
    serve_words,
)
from penstock.interop.export.flags import KINDS
from penstock.interop.export.sites import own_address

PUBLIC = Folder("/static/", "/srv/shop/static", 60, True)
SECRET = Folder("/media/", "/srv/shop/media")


@pytest.fixture
def deploy(configure, tmp_path):
    """Makes a site of these settings: one public folder, one guarded, one protected."""

    def make(wishes: Wishes | None = None, /, **settings) -> Deployment:
        return Deployment(
            config=configure(**settings),
            wishes=wishes or Wishes(),
            name="shop",
            directory=str(tmp_path),
            module="shop.wsgi",
            attribute="application",
            modules=[str(tmp_path)],
            settings="shop.settings",
            variables={"DJANGO_SETTINGS_MODULE": "shop.settings"},
            inherited={},
            secrets=["SECRET_KEY"],
            hosts=["shop.example", ".shops.example"],
            folders=[PUBLIC],
            guarded=[SECRET],
            protected=[Folder("/private/", "/srv/shop/private")],
            data=[],
            serve=[],
            notes=[],
        )

    return make


@pytest.fixture
def plain_site(own_process, tmp_path, monkeypatch):
    """A site that is no Django project, in the working directory."""
    tmp_path.joinpath("shop.py").write_text("def application(environ, start_response): ...\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_files_are_printed_below_their_names(plain_site, capsys):
    assert main(["export", "gunicorn", "shop:application", "--workers=3"]) == 0
    told = capsys.readouterr()
    assert told.out.startswith("# ---- gunicorn.conf.py ----\n")
    conf: dict[str, object] = {}
    exec(told.out, conf)
    assert (conf["wsgi_app"], conf["workers"], conf["chdir"]) == ("shop:application", 3, str(plain_site))


def test_the_attribute_is_the_one_that_the_module_has(plain_site, capsys):
    plain_site.joinpath("page.py").write_text("def app(environ, start_response): ...\n")
    assert main(["export", "gunicorn", "page"]) == 0
    assert 'wsgi_app = "page:app"' in capsys.readouterr().out


def test_what_gunicorn_cannot_say_is_told_with_the_reason(plain_site, capsys):
    assert main(["export", "gunicorn", "shop:application", "--queue-timeout=9s"]) == 0
    assert (
        "note: queue_timeout (--queue-timeout) has no counterpart in Gunicorn: "
        "a request waits for a thread as long as its client does\n"
    ) in capsys.readouterr().err


def test_an_unknown_kind_is_wrong_usage(capsys):
    assert main(["export", "iis"]) == 2
    assert "invalid choice: 'iis'" in capsys.readouterr().err


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_exports_a_site_without_django(plain_site, capsys, kind):
    assert main(["export", kind, "shop:application", "--write", "out"]) == 0
    assert "is written" in capsys.readouterr().out
    assert list(plain_site.joinpath("out").iterdir())


def test_a_file_that_is_there_is_not_written_over_without_force(plain_site, capsys):
    plain_site.joinpath("Procfile").write_text("web: mine\n")
    assert main(["export", "procfile", "shop", "--write", "."]) == 2
    assert f"error: {plain_site}/Procfile is there already, and would change" in capsys.readouterr().err
    assert plain_site.joinpath("Procfile").read_text() == "web: mine\n"
    assert main(["export", "procfile", "shop", "--write", ".", "--force"]) == 0
    assert "penstock serve shop" in plain_site.joinpath("Procfile").read_text()


def test_what_is_written_once_is_as_it_should_be(plain_site, capsys):
    assert main(["export", "procfile", "shop", "--write", "."]) == 0
    assert main(["export", "procfile", "shop", "--write", "."]) == 0
    assert "Procfile is as it should be" in capsys.readouterr().out
    assert main(["export", "procfile", "shop", "--write", ".", "--diff"]) == 0


def test_a_diff_shows_what_would_change_and_writes_nothing(plain_site, capsys):
    plain_site.joinpath("Procfile").write_text("web: mine\n")
    assert main(["export", "procfile", "shop", "--diff"]) == 1
    shown = capsys.readouterr().out
    assert "-web: mine\n+web: penstock serve shop" in shown
    assert plain_site.joinpath("Procfile").read_text() == "web: mine\n"


def test_nothing_is_written_when_one_of_several_files_would_change(tmp_path):
    tmp_path.joinpath("b").write_text("old")
    with pytest.raises(UsageError):
        list(files.write(tmp_path, {"a": "new", "b": "new"}, is_forced=False))
    assert not tmp_path.joinpath("a").exists()


@pytest.mark.parametrize(
    "words", [["--force"], ["--listen", "0"], ["--listen", "80; }"], ["--name", "My Shop"], ["--image", "a b"]]
)
def test_options_that_say_nothing_are_wrong_usage(plain_site, words, capsys):
    assert main(["export", "nginx", "shop", *words]) == 2
    assert "hint: " in capsys.readouterr().err


@pytest.mark.parametrize("name", ['/srv/a"b', "/srv/a\nb", "/srv/$HOME", "/srv/a;b", "/srv/{a}", "/srv/a\udcff"])
def test_a_directory_that_means_something_else_elsewhere_is_refused(name):
    with pytest.raises(PenstockError):
        refuse_odd_names([name])


@pytest.mark.parametrize("url", ["/my files/", "/a*", "/a[1]", '/a"', "/a{b}", "/a//b/", "/a;b", "/$x"])
def test_a_path_that_means_something_else_elsewhere_is_refused(url):
    refuse_odd_urls(["/", "/a-b_c.d~/", "/ä/@+,"])
    with pytest.raises(PenstockError):
        refuse_odd_urls([url])


def test_a_log_file_that_means_something_else_elsewhere_is_refused(plain_site, capsys):
    assert main(["export", "mod_wsgi", "shop:application", '--access-log=a" piped']) == 1
    assert "means something else in other programs' files" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("settings", "guarded"),
    [
        ({}, False),
        ({"allow": "10.0.0.0/8"}, True),
        ({"deny": "10.0.0.1"}, True),
        ({"auth": [{"path": "/"}]}, True),
        ({"auth": [{"path": "/media/reports"}]}, True),
        ({"auth": [{"path": "/media"}]}, True),
        ({"auth": [{"path": "/mediation"}]}, False),
    ],
)
def test_files_are_guarded_when_a_rule_covers_some_of_them(configure, settings, guarded):
    assert is_guarded("/media/", configure(**settings)) is guarded


def test_nginx_serves_no_guarded_file_and_says_so(deploy):
    exported = nginx.export(deploy(Wishes(files="proxy")))
    text = exported.files["shop.nginx.conf"]
    assert "location /static/ {" in text
    assert "/media/" not in text
    assert "/media/ is left to what is behind: only some may see its files" in exported.notes


def test_nginx_says_when_penstock_would_not_believe_it(deploy):
    assert nginx.export(deploy(bind="unix:/run/a", forwarded_allow="10.0.0.0/8")).notes
    assert not nginx.export(deploy(bind="unix:/run/a")).notes


def test_nginx_clears_the_fields_that_a_client_could_forge(deploy):
    text = nginx.export(deploy()).files["shop.nginx.conf"]
    assert 'proxy_set_header X-Forwarded-Host "";' in text
    assert 'proxy_set_header Forwarded "";' in text
    assert "server_name shop.example .shops.example;" in text


def test_uwsgi_serves_no_guarded_file(deploy):
    exported = uwsgi.export(deploy())
    assert re.findall("static-map = (.*)", exported.files["shop.uwsgi.ini"]) == ["/static=/srv/shop/static"]
    assert any(note.startswith("/media/ is not served") for note in exported.notes)


def test_gunicorn_is_not_told_secrets(deploy):
    exported = gunicorn.export(deploy())
    assert "SECRET_KEY" not in exported.files["gunicorn.conf.py"]
    assert "secrets are not written: set SECRET_KEY where Gunicorn is started" in exported.notes


def test_variables_are_the_same_in_files_of_python(deploy):
    deployment = deploy()._replace(variables={"GREETING": "😀 ä \"'\\"})
    conf: dict[str, list[str]] = {}
    exec(gunicorn.export(deployment).files["gunicorn.conf.py"], conf)
    assert conf["raw_env"] == ["GREETING=😀 ä \"'\\"]
    assert 'os.environ["GREETING"] = "😀 ä \\"\'\\\\"\n' in mod_wsgi.export(deployment).files["shop.wsgi"]


def test_a_variable_that_is_no_text_is_not_written(plain_site, configure):
    plain_site.joinpath("manage.py").touch()
    config = configure(app="shop", environment=["GREETING=a\udcff"])
    deployment = gather(config, {}, Wishes())
    assert "GREETING" not in deployment.variables
    assert deployment.notes[0].startswith("GREETING is not written")


def test_the_site_of_mod_wsgi_asks_djangos_users(deploy):
    rule = {"path": "/media", "groups": ["staff", "board"], "users": ["ann"], "require": "any"}
    exported = mod_wsgi.export(deploy(auth=[rule]))
    assert set(exported.files) == {"shop.conf", "shop.wsgi", "shop-users.wsgi"}
    site = exported.files["shop.conf"]
    guard = site[site.index('<Location "/media">') :]
    assert "SSLRequireSSL" in guard
    for line in ("Require user ann", "Require wsgi-group staff", "Require wsgi-group board", "<RequireAny>"):
        assert line in guard
    assert site.index("<Location ") < site.index("<LocationMatch"), "what denies dotfiles must come last"
    for name in ("shop.wsgi", "shop-users.wsgi"):
        compile(exported.files[name], name, "exec")


@pytest.fixture
def site_below_a_path(plain_site, own_process):
    """One of several sites, which answers below /shop; makes what there is to export of it."""

    def make(guard: str) -> Deployment:
        plain_site.joinpath("penstock.toml").write_text(
            f"""[sites.shop]\npath = "/shop"\napp = "shop"\n[[sites.shop.auth]]\npath = "{guard}"\n"""
            """provider = "htpasswd:users"\n[sites.shop.static]\n"/shop/files/" = "files"\n[sites.other]\n"""
        )
        return gather(load({"site": "shop"}, {}, str(plain_site)), {}, Wishes())

    return make


@pytest.mark.parametrize(
    ("guard", "places"),
    [
        ("/", ["/shop"]),
        ("/reports", ["/shop/reports"]),
        ("/shop", ["/shop/shop", "/shop"]),
        ("/shop/reports", ["/shop/shop/reports", "/shop/reports"]),
        ("/shopping", ["/shop/shopping"]),
    ],
)
def test_a_guard_of_a_site_below_a_path_holds_there(site_below_a_path, guard, places):
    deployment = site_below_a_path(guard)
    assert public_paths(guard, deployment.config) == places
    site = mod_wsgi.export(deployment).files["shop.conf"]
    assert set(re.findall('<Location "(.*)">', site)) == set(places)
    assert 'Alias "/shop/files/" ' in site


@pytest.mark.parametrize("guard", ["/files/secret", "/shop/files", "/"])
def test_uwsgi_serves_no_guarded_file_of_a_site_below_a_path(site_below_a_path, guard):
    assert "static-map" not in uwsgi.export(site_below_a_path(guard)).files["shop.uwsgi.ini"]
    assert "static-map = /shop/files=" in uwsgi.export(site_below_a_path("/reports")).files["shop.uwsgi.ini"]


@pytest.mark.parametrize("path", ["/static/.env", "//static/.env", "/static/a/.env", "/static//.env", "//a.b//.env"])
def test_apache_shows_no_dotfile_however_its_slashes_are_written(deploy, path):
    deployment = deploy()._replace(folders=[PUBLIC, Folder("/a.b/", "/srv/b")])
    pattern = re.search('<LocationMatch "(.*)">', mod_wsgi.export(deployment).files["shop.conf"])[1]
    assert re.search(pattern, path)
    assert not re.search(pattern, path.replace(".env", "env"))
    assert not re.search(pattern, path.replace("a.b", "acb").replace("static", "acb"))


def test_a_name_that_apache_would_take_apart_is_quoted():
    assert mod_wsgi.quoted(["ann", "a b", 'a"b', "a'b"]) == ["ann", '"a b"', '"a\\"b"', '"a\'b"']


def test_the_longest_guarded_path_comes_last_in_apache(deploy):
    site = mod_wsgi.export(deploy(auth=[{"path": "/a/b"}, {"path": "/a"}])).files["shop.conf"]
    assert site.index('<Location "/a">') < site.index('<Location "/a/b">')


def test_apache_reaches_a_unix_socket(deploy):
    text = apache.export(deploy(bind="unix:/run/shop.sock")).files["shop.conf"]
    assert 'ProxyPass "/" "unix:/run/shop.sock|http://shop/" ' in text


def test_nginx_and_apache_speak_uwsgi_where_nothing_else_is_spoken(deploy):
    deployment = deploy(bind=["uwsgi:unix:/run/shop.sock", "uwsgi:0.0.0.0:3031"], uwsgi_allow="unix")
    exported = nginx.export(deployment)
    text = exported.files["shop.nginx.conf"]
    assert "    server unix:/run/shop.sock;\n    server 127.0.0.1:3031;\n}" in text
    assert "uwsgi_pass shop;" in text
    assert "proxy_pass" not in text
    assert any(note.startswith("uwsgi_allow does not name 127.0.0.1: ") for note in exported.notes)
    text = apache.export(deployment).files["shop.conf"]
    assert 'ProxyPass "/" "unix:/run/shop.sock|uwsgi://shop/" timeout=43\n' in text


def test_http_is_spoken_where_there_is_a_choice(deploy):
    deployment = deploy(bind=["uwsgi:unix:/run/a.sock", "127.0.0.1:8000"])
    assert (
        "upstream shop {\n    server 127.0.0.1:8000;\n    keepalive"
        in nginx.export(deployment).files["shop.nginx.conf"]
    )
    assert 'ProxyPass "/" "http://127.0.0.1:8000/" ' in apache.export(deployment).files["shop.conf"]
    assert "server web1 127.0.0.1:8000" in haproxy.export(deployment).files["haproxy.cfg"]


def test_haproxy_is_not_sent_where_only_uwsgi_is_spoken(deploy):
    with pytest.raises(UsageError):
        haproxy.export(deploy(bind="uwsgi:unix:/run/a.sock"))


def test_gunicorn_and_uwsgi_speak_uwsgi_where_penstock_did(deploy):
    text = gunicorn.export(deploy(bind="uwsgi:127.0.0.1:3031")).files["gunicorn.conf.py"]
    assert 'bind = ["127.0.0.1:3031"]\nprotocol = "uwsgi"\n' in text
    text = uwsgi.export(deploy(bind=["uwsgi:unix:/run/a", "127.0.0.1:8000"])).files["shop.uwsgi.ini"]
    assert "\nsocket = /run/a\nhttp-socket = 127.0.0.1:8000\n" in text


def test_a_script_is_named_where_scripts_are_known(deploy, tmp_path):
    script = str(tmp_path / "live.wsgi")
    deployment = deploy()._replace(module=script)
    assert f"wsgi-file = {script}\ncallable = application" in uwsgi.export(deployment).files["shop.uwsgi.ini"]
    compile(mod_wsgi.export(deployment).files["shop.wsgi"], "shop.wsgi", "exec")
    with pytest.raises(PenstockError) as caught:
        gunicorn.export(deployment)
    assert "`ln -s live.wsgi live_wsgi.py`" in caught.value.hint


def test_a_socket_in_a_directory_with_a_space_is_one_word(deploy):
    deployment = deploy(bind="unix:/run/my shop/web.sock")
    assert '    server "unix:/run/my shop/web.sock";\n' in nginx.export(deployment).files["shop.nginx.conf"]
    assert 'server web1 "unix@/run/my shop/web.sock"\n' in haproxy.export(deployment).files["haproxy.cfg"]


def test_what_others_would_fill_in_stays_as_it_is(deploy):
    deployment = deploy()._replace(
        variables={"A": "$(HOME) 😀", "B": "@(/etc/passwd)", "C": "100% $HOME"}, serve=["--environment=A=$(HOME)"]
    )
    exported = uwsgi.export(deployment)
    assert re.findall("(?m)^env = (.*)$", exported.files["shop.uwsgi.ini"]) == ["C=100%% $HOME"]
    assert [note[0] for note in exported.notes if "uWSGI would fill in" in note] == ["A", "B"]
    text = kubernetes.export(deployment).files["kubernetes.yaml"]
    assert '  A: "$(HOME) 😀"\n' in text
    assert '            - "--environment=A=$$(HOME)"\n' in text


def test_who_cannot_be_named_in_apache_does_not_come_in(deploy):
    exported = mod_wsgi.export(deploy(allow=["shop.access:may_enter"]))
    location = exported.files["shop.conf"].partition('<Location "/">')[2].partition("</Location>")[0]
    assert "Require all denied" in location
    assert any(note.startswith("shop.access:may_enter in allow or deny") for note in exported.notes)


def test_a_guard_inside_of_a_guarded_site_asks_for_both_lists(deploy):
    rule = {"path": "/media", "provider": "none", "allow": ["10.1.0.0/16"]}
    site = mod_wsgi.export(deploy(allow="10.0.0.0/8", auth=[rule])).files["shop.conf"]
    guard = site.partition('<Location "/media">')[2].partition("</Location>")[0]
    assert "Require ip 10.0.0.0/8\n" in guard
    assert "Require ip 10.1.0.0/16\n" in guard


def test_a_limit_of_nothing_does_not_become_no_limit(deploy):
    deployment = deploy(max_body="0")
    assert "client_max_body_size 1;" in nginx.export(deployment).files["shop.nginx.conf"]
    assert "LimitRequestBody 1\n" in apache.export(deployment).files["shop.conf"]
    assert "limit-post = 1\n" in uwsgi.export(deployment).files["shop.uwsgi.ini"]


@pytest.mark.parametrize(
    ("bind", "addresses"),
    [
        ("127.0.0.1:8000", ["127.0.0.1:8000", "127.0.0.1:8001"]),
        ("unix:/run/web.sock", ["unix:/run/a.sock", "unix:/run/b.sock"]),
        ("fd://web", ["unix:/run/a.sock", "unix:/run/b.sock"]),
    ],
)
def test_each_of_several_sites_has_an_address_where_sites_are_not_known(tmp_path, bind, addresses):
    tmp_path.joinpath("penstock.toml").write_text(f'[server]\nbind = ["{bind}"]\n[sites.a]\n[sites.b]\n')
    sites = [load({"site": name}, {}, str(tmp_path)) for name in ("a", "b")]
    assert [own_address("gunicorn", site).bind for site in sites] == [[address] for address in addresses]
    assert [own_address("mod_wsgi", site).bind for site in sites] == [[bind]] * 2


def test_one_of_several_sites_alone_is_told_all_and_what_it_is_not(tmp_path, monkeypatch, own_process, capsys):
    monkeypatch.chdir(tmp_path)
    tmp_path.joinpath("shop").mkdir()
    tmp_path.joinpath("shop/cart.py").write_text("application = print\n")
    site = 'chdir = "shop"\napp = "cart"\npath = "/shop"\nthreads = 3\non_demand = true\n'
    tmp_path.joinpath("penstock.toml").write_text(f"[sites.cart]\n{site}[sites.other]\n")
    assert main(["export", "procfile", "cart"]) == 0
    told = capsys.readouterr()
    assert "web: penstock serve cart --threads=3 --bind 0.0.0.0:$PORT" in told.out
    assert "note: on_demand: " in told.err
    assert "note: path: alone it answers below / and not /shop" in told.err


def test_no_site_at_all_is_wrong_usage(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    tmp_path.joinpath("penstock.toml").write_text('sites = "sites.d/*.toml"\n')
    assert main(["export", "nginx"]) == 2
    assert "there is no site yet" in capsys.readouterr().err


def test_a_unit_waits_longer_than_requests_may_take(deploy):
    exported = systemd.export(deploy(graceful_timeout="90s", user="shop"))
    service = exported.files["shop.service"]
    assert "TimeoutStopSec=100" in service
    assert "User=shop" in service
    assert "--bind=fd://web" in service
    assert "ListenStream=127.0.0.1:8000" in exported.files["shop.socket"]


def test_a_directory_with_a_space_stays_one_in_a_unit(deploy):
    service = systemd.export(deploy(access_log="/srv/my logs/access")).files["shop.service"]
    assert 'ReadWritePaths="-/srv/my logs"\n' in service


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("plain", "plain"),
        ("two words", '"two words"'),
        ("100%", "100%%"),
        ("$x", "$$x"),
        ('{"a": 1}', r'"{\"a\": 1}"'),
    ],
)
def test_words_are_quoted_as_systemd_has_it(word, expected):
    assert systemd.quoted(word) == expected


@pytest.mark.parametrize(
    ("value", "expected"), [("a.b:1", "a.b:1"), ("", '""'), ("a b", '"a b"'), ('$x"', r'"\$x\""')]
)
def test_values_are_quoted_as_docker_has_it(value, expected):
    assert docker.quoted(value) == expected


def test_an_image_gets_no_secret_and_no_state(deploy, tmp_path):
    tmp_path.joinpath("requirements.txt").write_text("Django\n")
    deployment = deploy()._replace(data=[str(tmp_path / "var"), str(tmp_path / "var/media")])
    exported = docker.export(deployment)
    assert {"**/.env", "**/.env.*", "var"} <= set(exported.files[".dockerignore"].splitlines())
    assert "var/media" not in exported.files[".dockerignore"]
    text = exported.files["Dockerfile"]
    assert "COPY requirements.txt ." in text
    assert "USER 10001" in text
    command = json.loads(re.search("(?m)^CMD (.*)", text)[1])
    assert command[:2] == ["penstock", "serve"]
    assert "--health-path=/healthz" in command


def test_a_program_gets_files_notes_and_steps(plain_site, capsys):
    assert main(["export", "procfile", "shop", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["files"]["Procfile"].startswith("web: penstock serve shop")
    assert told["notes"]


def test_only_what_no_file_says_becomes_an_argument(configure, plain_site):
    from penstock.app import find  # noqa: PLC0415

    plain_site.joinpath("penstock.toml").write_text('[site]\napp = "shop"\nthreads = 3\n')
    config = configure(
        {"PENSTOCK_WORKERS": "2"}, static=["/files=files"], timeout="5s", refresh="false", environment=["A=b", "KEY=c"]
    )
    words = list(serve_words(config, find(config, {}).directory))
    assert words == ["--environment=A=b", "--no-refresh", "--workers=2", "--timeout=5s", "--static=/files/=files"]


def test_a_url_that_looks_like_the_project_s_directory_stays_a_url(configure):
    settings = {
        "app": "/app/live.wsgi",
        "health_path": "/app/healthz",
        "static": ["/app/=/app/files", "/other/=/srv/app/files"],
        "mounts": ["/app/blog=blog:app"],
        "bind": ["unix:/app/run/web.sock"],
        "error_log": "/srv/app/error.log",
        "auth": [{"path": "/app/reports", "provider": "htpasswd:/app/users"}],
    }
    words = list(serve_words(configure(**settings), "/app"))
    assert {"live.wsgi", "--bind=unix:run/web.sock", "--health-path=/app/healthz"} <= set(words)
    assert {"--static=/app/=files", "--static=/other/=/srv/app/files", "--mounts=/app/blog=blog:app"} <= set(words)
    assert "--error-log=/srv/app/error.log" in words
    [auth] = [word for word in words if word.startswith("--auth=")]
    assert '"path": "/app/reports"' in auth and '"htpasswd:users"' in auth


def test_no_secret_of_a_process_beside_the_web_becomes_an_argument(plain_site, capsys):
    table = {"worker": {"command": "celery worker", "environment": {"API_TOKEN": "hushed", "QUEUE": "mail"}}}
    assert main(["export", "procfile", "shop", "--processes", json.dumps(table)]) == 0
    printed = capsys.readouterr().out
    assert "hushed" not in printed
    assert "mail" in printed


def test_the_times_of_kubernetes_fit_together(plain_site, capsys):
    assert main(["export", "kubernetes", "shop", "--graceful-timeout=50s", "--boot-timeout=100s"]) == 0
    text = capsys.readouterr().out
    assert int(re.search(r"terminationGracePeriodSeconds: (\d+)", text)[1]) >= 50 + int(
        re.search(r"sleep:\s+seconds: (\d+)", text)[1]
    )
    period, tries = (int(re.search(rf"{name}: (\d+)", text)[1]) for name in ("periodSeconds", "failureThreshold"))
    assert period * tries >= 100
