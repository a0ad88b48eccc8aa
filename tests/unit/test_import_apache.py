import tomllib

import pytest
from imports import SAMPLES, import_text, run_import, significant_lines

from penstock.cli import main

SITE = "WSGIScriptAlias / /srv/shop/shop/wsgi.py\n"


def test_virtual_hosts_become_sites(capsys, tmp_path):
    imported = run_import(capsys, tmp_path, SAMPLES / "apache-shop.conf")
    sites = tomllib.loads(imported.text)["sites"]
    assert list(sites) == ["shop-example", "blog-example", "blog-example-feeds"]
    shop = sites["shop-example"]
    assert shop["hosts"] == ["shop.example", "www.shop.example"]
    assert (shop["app"], shop["chdir"], shop["venv"]) == ("shop.wsgi", "/srv/shop", "/srv/venvs/shop")
    assert (shop["workers"], shop["threads"], shop["timeout"], shop["user"]) == (3, 12, "1m", "www-data")
    assert shop["static"] == {"/static/": "/srv/shop/var/static", "/media/": "/srv/shop/var/media"}
    assert shop["environment"]["LANG"] == "en_GB.UTF-8"
    assert (sites["blog-example-feeds"]["path"], sites["blog-example-feeds"]["app"]) == ("/feeds", "feeds.wsgi")


def test_a_guarded_location_asks_the_same_people(capsys, tmp_path):
    imported = run_import(capsys, tmp_path, SAMPLES / "apache-shop.conf")
    [reports, closed] = tomllib.loads(imported.text)["sites"]["shop-example"]["auth"]
    assert reports == {
        "path": "/reports",
        "realm": "The books",
        "groups": ["accountants"],
        "provider": "/srv/shop/shop/wsgi.py",
        "over_http": True,
        "allow": ["10.0.0.0/8"],
    }
    assert closed == {"path": "/ldap", "provider": "none", "deny": ["0.0.0.0/0", "::/0"]}


def test_every_line_is_in_the_report_and_what_is_not_known_is_said(capsys, tmp_path):
    sample = SAMPLES / "apache-shop.conf"
    imported = run_import(capsys, tmp_path, sample)
    closing = {n for n, line in enumerate(sample.read_text().splitlines(), 1) if line.strip().startswith("</")}
    assert {line for _, line in imported.lines} == significant_lines(sample) - closing
    assert [text for text, verdict in imported.verdicts.items() if verdict == "unknown"] == [
        "WSGIDaemonProcess shop teapot=1",
        "FrobnicateLevel 3",
    ]
    assert "not-for-the-report" not in str(imported.report["directives"])


def test_one_site_becomes_site(capsys, tmp_path):
    text = f"<VirtualHost *:8080>\nServerName shop.example\n{SITE}</VirtualHost>\n"
    config = import_text(capsys, tmp_path, "shop.conf", text).config()
    assert (config.app, config.chdir, config.bind) == ("shop.wsgi", "/srv/shop", ["0.0.0.0:8080"])


def test_the_same_site_with_and_without_tls_is_one(capsys, tmp_path):
    host = "<VirtualHost *:{}>\nServerName shop.example\n{}{}</VirtualHost>\n"
    text = host.format(80, "", SITE) + host.format(443, "SSLEngine on\nSSLCertificateFile /etc/ssl/shop.pem\n", SITE)
    imported = import_text(capsys, tmp_path, "shop.conf", text)
    assert imported.config().bind == ["0.0.0.0:80"]
    assert imported.verdicts["SSLCertificateFile /etc/ssl/shop.pem"] == "not supported"
    assert "[site]" in imported.text


@pytest.mark.parametrize(
    ("rules", "table"),
    [
        ("Require all granted", {}),
        ("Require all denied", {"provider": "none", "deny": ["0.0.0.0/0", "::/0"]}),
        ("Require ip 10.1 192.0.2.7", {"provider": "none", "allow": ["10.1.0.0/16", "192.0.2.7/32"]}),
        ("Order deny,allow\nDeny from all\nAllow from 10.0.0.0/8", {"provider": "none", "allow": ["10.0.0.0/8"]}),
        ("Require ldap-user x\nAllow from 10.0.0.0/8", {"provider": "none", "deny": ["0.0.0.0/0", "::/0"]}),
        ("Deny from all", {"provider": "none", "deny": ["0.0.0.0/0", "::/0"]}),
        (
            "AuthType Basic\nAuthUserFile /etc/shop.htpasswd\nRequire user anna ben",
            {"provider": "htpasswd:/etc/shop.htpasswd", "users": ["anna", "ben"], "over_http": True},
        ),
        (
            "AuthType Basic\nAuthBasicProvider wsgi\nWSGIAuthUserScript /a.py\nRequire valid-user",
            {"provider": "/a.py", "over_http": True},
        ),
        ("AuthType Digest\nAuthUserFile /a\nRequire valid-user", {"provider": "none", "deny": ["0.0.0.0/0", "::/0"]}),
        ("Require expr %{TIME_HOUR} > 9", {"provider": "none", "deny": ["0.0.0.0/0", "::/0"]}),
        ("<RequireNone>\nRequire ip 10.0.0.1\n</RequireNone>", {"provider": "none", "deny": ["0.0.0.0/0", "::/0"]}),
    ],
)
def test_who_may_come_in_is_never_more_than_before(capsys, tmp_path, rules, table):
    text = f"{SITE}<Location /inside>\n{rules}\n</Location>\n"
    imported = import_text(capsys, tmp_path, "shop.conf", text)
    tables = [{"path": "/inside", **table}] if table else []
    assert tomllib.loads(imported.text)["site"].get("auth", []) == tables
    assert len(imported.config().auth) == len(tables)


def test_a_guard_outside_of_all_hosts_guards_each_of_them(capsys, tmp_path):
    host = "<VirtualHost *:80>\nServerName {0}.example\nWSGIScriptAlias / /srv/{0}/{0}/wsgi.py\n</VirtualHost>\n"
    text = "<Location /inside>\nRequire all denied\n</Location>\n" + host.format("shop") + host.format("blog")
    sites = tomllib.loads(import_text(capsys, tmp_path, "two.conf", text).text)["sites"]
    assert [site["auth"][0]["path"] for site in sites.values()] == ["/inside", "/inside"]


def test_an_application_in_the_same_interpreter_becomes_a_mount(capsys, tmp_path):
    for name in ("shop", "blog"):
        (tmp_path / f"{name}.wsgi").write_text(f"from {name} import application\n")
    group = "process-group=a application-group=%{GLOBAL}"
    text = f"WSGIDaemonProcess a\nWSGIScriptAlias /blog {tmp_path}/blog.wsgi {group}\n"
    text += f"WSGIScriptAlias / {tmp_path}/shop.wsgi {group}\n<Location />\nRequire all denied\n</Location>\n"
    config = import_text(capsys, tmp_path, "a.conf", text).config()
    assert (config.app, config.mounts) == ("shop:application", {"/blog": "blog:application"})
    assert [table["path"] for table in config.auth] == ["/"]
    text = text.replace("process-group=a", "process-group=b", 1)
    sites = tomllib.loads(import_text(capsys, tmp_path, "b.conf", text, "--force").text)["sites"]
    assert [site.get("path", "/") for site in sites.values()] == ["/", "/blog"]


def test_the_directory_that_is_nearer_decides(capsys, tmp_path):
    text = (
        "<Directory />\nRequire all denied\n</Directory>\n"
        f"{SITE}<Directory /srv/shop/shop>\nRequire all granted\n</Directory>\n"
    )
    assert import_text(capsys, tmp_path, "shop.conf", text).config().auth == []


def test_included_files_are_read(capsys, tmp_path):
    (tmp_path / "sites").mkdir()
    (tmp_path / "sites" / "shop.conf").write_text(SITE)
    imported = import_text(capsys, tmp_path, "all.conf", "Include sites/*.conf\nIncludeOptional none/*.conf\n")
    assert imported.config().app == "shop.wsgi"


def test_a_script_that_is_no_module_is_served_as_it_is(capsys, tmp_path):
    imported = import_text(capsys, tmp_path, "shop.conf", "WSGIScriptAlias / /srv/shop/django.wsgi\n")
    assert imported.config().app == "/srv/shop/django.wsgi"
    assert set(imported.verdicts.values()) == {"carried over"}
    imported = import_text(capsys, tmp_path, "odd.conf", "WSGIScriptAlias / /srv/shop/django\n", "--force")
    assert imported.config().app == ""
    assert set(imported.notes.values()) == {"give django a name that ends with .wsgi or .py, and name it in app"}


def test_a_script_that_only_names_an_application_becomes_that_application(capsys, tmp_path):
    script = tmp_path / "site.wsgi"
    script.write_text('import os\n\nos.environ["A"] = "1"\nfrom shop.wsgi import application\n')
    text = f"WSGIScriptAlias / {script}\n"
    config = import_text(capsys, tmp_path, "shop.conf", text).config()
    assert (config.app, config.environment) == ("shop.wsgi:application", {"A": "1"})
    script.write_text("import site\nsite.addsitedir('/x')\nfrom shop.wsgi import application\n")
    assert import_text(capsys, tmp_path, "shop.conf", text, "--force").config().app == str(script)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("<VirtualHost *:80>\n", "a.conf:1:1: <VirtualHost *:80> is never closed"),
        ("<Location />\n</Directory>\n", "a.conf:2:1: </Directory> closes a section"),
        ("</Location>\n", "a.conf:1:1"),
        ("  <Location\n", "a.conf:1:3"),
        ('Alias "/static /srv\n', "a.conf:1:6: a quote is not closed"),
        ("Use Site shop\n", "a.conf:1:1: macros are not read"),
        ("Include a.conf\n", "include each other without end"),
    ],
)
def test_a_wrong_file_is_refused_with_line_and_column(capsys, tmp_path, text, place):
    path = tmp_path / "a.conf"
    path.write_text(text)
    assert main(["import", "--kind=apache", str(path), "--output", str(tmp_path / "penstock.toml")]) == 2
    assert place in capsys.readouterr().err
