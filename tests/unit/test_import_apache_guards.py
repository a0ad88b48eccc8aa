"""Nothing that Apache guarded is open after an import, unless somebody has said that it may be."""

import json
import tomllib

import pytest
from imports import import_text

from penstock.cli import main

SITE = "WSGIScriptAlias / /srv/shop/shop/wsgi.py\nAlias /static/ /srv/shop/static/\n"
CLOSED = {"provider": "none", "deny": ["0.0.0.0/0", "::/0"]}
DENIED = "Require all denied"


def section(opening: str, *lines: str) -> str:
    """A section of Apache."""
    return "\n".join([f"<{opening}>", *lines, f"</{opening.split(maxsplit=1)[0]}>", ""])


def paths(imported) -> dict[str, dict[str, object]]:
    """The guarded paths with the rest of their tables."""
    tables = tomllib.loads(imported.text)["site"].get("auth", [])
    return {table.pop("path"): table for table in tables}


@pytest.mark.parametrize(
    ("opening", "guarded"),
    [
        ('LocationMatch "^/inside/"', ["/inside"]),
        ('LocationMatch "^/inside(/|$)"', ["/inside"]),
        ('LocationMatch "^/(inside|hidden/deep)/.*$"', ["/inside", "/hidden/deep"]),
        (r'LocationMatch "^/v1\.0/"', ["/v1.0"]),
        ('Location ~ "^/inside/"', ["/inside"]),
        ("Location /inside/*", ["/inside"]),
    ],
)
def test_a_pattern_that_means_paths_guards_those(capsys, tmp_path, opening, guarded):
    imported = import_text(capsys, tmp_path, "a.conf", SITE + section(opening, DENIED))
    assert paths(imported) == dict.fromkeys(guarded, CLOSED)


@pytest.mark.parametrize(
    "opening",
    [
        r'FilesMatch "^\.ht"',
        'Files ".ht*"',
        r'LocationMatch "/\.(git|svn)"',
        r'LocationMatch "^(/static/|/media/)(.*/)?\."',
        r'LocationMatch "^(/+static/+|/+my\-files/+v1\.0/+)(.*/)?\."',
        r'DirectoryMatch "(^|/)\.git"',
    ],
)
def test_names_that_begin_with_a_dot_need_no_guard(capsys, tmp_path, opening):
    imported = import_text(capsys, tmp_path, "a.conf", SITE + section(opening, DENIED))
    assert paths(imported) == {}
    assert imported.notes[DENIED] == "no name that begins with a dot is served"


@pytest.mark.parametrize(
    "guarded",
    [
        section('LocationMatch "^/inside"', DENIED),
        section('LocationMatch "report"', DENIED),
        section(r'LocationMatch "/\.git|/inside/"', DENIED),
        section(r'FilesMatch "\.(py|bak)$"', DENIED),
        section('FilesMatch "secret"', "AuthType Basic", "AuthUserFile /etc/a", "Require valid-user"),
        section('Files "*.py"', "Order allow,deny", "Deny from all"),
        section("""If "%{HTTP_USER_AGENT} == 'x'\"""", DENIED),
        section("Location /inside", section('If "-z %{HTTP:X}"', DENIED)),
        section("Location /in*side", "Require ip 10.0.0.0/8"),
        section('DirectoryMatch "^/srv/.*/private"', DENIED),
        section("Directory /srv/*/static", "Require ip 10.0.0.0/8"),
        section("Directory /srv/shop/static", "Require all granted", section('Files "*.bak"', DENIED)),
        section("Directory /srv/shop", "Require all granted", section(r'FilesMatch "\.bak$"', DENIED)),
        section("Directory /srv/shop/shop", "Require ip 10.0.0.0/8")
        + section("Location /", "AuthType Basic", "AuthUserFile /etc/a", "Require valid-user"),
        "RewriteRule ^/inside - [F,L]\n",
        "RedirectMatch 403 ^/inside\n",
    ],
)
def test_what_cannot_be_guarded_comes_first_and_nothing_is_written(capsys, tmp_path, guarded):
    source, output = tmp_path / "a.conf", tmp_path / "penstock.toml"
    source.write_text(SITE + guarded)
    command = ["import", "--kind=apache", str(source), "--output", str(output)]
    assert main(command) == 1
    told = capsys.readouterr()
    assert told.out.startswith("guarded before and open now (")
    assert "nothing is written" in told.err
    assert not output.exists()
    assert main([*command, "--accept-open"]) == 0
    assert output.exists()


def test_a_program_hears_of_it_too(capsys, tmp_path):
    source = tmp_path / "a.conf"
    source.write_text(SITE + section('LocationMatch "x"', DENIED))
    assert main(["import", str(source), "--output", str(tmp_path / "penstock.toml"), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["written"] == ""
    assert "guarded before and open now" in {one["verdict"] for one in told["directives"]}


@pytest.mark.parametrize(
    "harmless",
    [
        section('LocationMatch "x"', "Require all granted"),
        section("Directory /usr/share/*/doc", DENIED),
        section('FilesMatch "x"', 'Header set X-A "b"'),
        r"RedirectMatch 404 /\.git" + "\n",
        r"RewriteRule (^|/)\.git - [F]" + "\n",
        section("Directory /srv/shop/shop", section("Files wsgi.py", "Require all granted")),
        section("Directory /srv/shop/shop", DENIED, section("Files wsgi.py", "Require all granted")),
        section("Location /inside", "SSLRequireSSL"),
        section("Directory /usr/share/doc", "Require all granted", section('Files "*.bak"', DENIED)),
    ],
)
def test_what_guarded_nothing_that_is_served_is_no_reason_to_stop(capsys, tmp_path, harmless):
    assert paths(import_text(capsys, tmp_path, "a.conf", SITE + harmless)) == {}


@pytest.mark.parametrize(
    ("rules", "table"),
    [
        (
            ["<RequireAll>", "Require ip 10.0.0.0/8", "Require ip 10.1.0.0/16", "</RequireAll>"],
            CLOSED,
        ),
        (["WSGIAccessScript /srv/shop/who.wsgi"], {"provider": "none", "allow": ["/srv/shop/who.wsgi"]}),
        (["WSGIAccessScript /srv/shop/who.wsgi", "Require ip 10.0.0.0/8"], CLOSED),
        (["<Limit POST>", DENIED, "</Limit>"], CLOSED),
        (
            [
                *("AuthType Basic", "AuthUserFile /etc/a", "SSLRequireSSL", "<RequireAll>", "Require ip 10.0.0.0/8"),
                *("<RequireAny>", "Require user ann", "Require user ben", "</RequireAny>", "</RequireAll>"),
            ],
            {"provider": "htpasswd:/etc/a", "users": ["ann", "ben"], "allow": ["10.0.0.0/8"]},
        ),
    ],
)
def test_combined_rules_let_nobody_in_who_was_out(capsys, tmp_path, rules, table):
    text = SITE + section("Location /inside", *rules)
    assert paths(import_text(capsys, tmp_path, "a.conf", text)) == {"/inside": table}


def test_a_pattern_outside_of_all_hosts_guards_each_of_them(capsys, tmp_path):
    host = "<VirtualHost *:80>\nServerName {0}.example\nWSGIScriptAlias / /srv/{0}/{0}/wsgi.py\n</VirtualHost>\n"
    text = section('LocationMatch "^/inside/"', DENIED) + host.format("shop") + host.format("blog")
    sites = tomllib.loads(import_text(capsys, tmp_path, "two.conf", text).text)["sites"]
    assert [site["auth"][0]["path"] for site in sites.values()] == ["/inside", "/inside"]


def test_how_long_pages_are_kept_says_nothing_of_files(capsys, tmp_path):
    kept = 'Header set Cache-Control "max-age=3600"'
    text = SITE + section("Location /", kept) + section("Directory /srv/shop/static/", kept.replace("3600", "90"))
    imported = import_text(capsys, tmp_path, "a.conf", text)
    assert imported.verdicts[kept] == "not supported"
    assert imported.config().static_max_age == 90


def test_rules_for_the_script_alone_count_more_than_those_of_its_directory(capsys, tmp_path):
    text = SITE + section("Directory /srv/shop/shop", "Require all granted", section("Files wsgi.py", DENIED))
    imported = import_text(capsys, tmp_path, "a.conf", text)
    assert paths(imported) == {"/": CLOSED}
    assert imported.notes["Require all granted"] == "<Files wsgi.py> within has rules of its own"


def test_an_unlimited_body_stays_unlimited(capsys, tmp_path):
    config = import_text(capsys, tmp_path, "a.conf", f"{SITE}LimitRequestBody 0\n").config()
    assert config.max_body == 2**50


@pytest.mark.parametrize(
    "rules",
    [
        section("RequireAll", section("RequireAny", "Require all granted"), "Require valid-user"),
        section("RequireAny", section("RequireAll", "Require all granted", "Require valid-user")),
    ],
)
def test_what_is_granted_within_a_demand_for_all_opens_nothing(capsys, tmp_path, rules):
    text = SITE + section("Location /inside", "AuthType Basic", "AuthUserFile /srv/users", rules)
    assert paths(import_text(capsys, tmp_path, "a.conf", text))["/inside"]["provider"] == "htpasswd:/srv/users"


@pytest.mark.parametrize(
    "rules",
    [
        "Require ip 10.0.0.0/8\n" + section("RequireAny", "Require ip 10.1.0.0/16", "Require ip 192.0.2.0/24"),
        section("RequireAny", "Require ip 10.1.0.0/16") + section("RequireAny", "Require local"),
    ],
)
def test_addresses_that_must_be_in_each_of_two_lists_are_not_put_into_one(capsys, tmp_path, rules):
    text = SITE + section("Location /inside", section("RequireAll", rules))
    assert paths(import_text(capsys, tmp_path, "a.conf", text)) == {"/inside": CLOSED}


ONLY_TEN = {"provider": "none", "allow": ["10.0.0.0/8"]}


@pytest.mark.parametrize(
    ("lines", "table"),
    [
        (["Order allow,deny"], CLOSED),
        (["Order allow,deny", "Deny from all", "Allow from 10.0.0.0/8"], CLOSED),
        (["Order Deny,Allow", "Deny from all", "Allow from 10.0.0.0/8"], ONLY_TEN),
        (["Order allow,deny", "Allow from 10.0.0.0/8"], ONLY_TEN),
        (["Order allow,deny", "Allow from all"], None),
        (["Order deny,allow"], None),
    ],
)
def test_the_order_of_apache_2_2_says_who_wins(capsys, tmp_path, lines, table):
    imported = import_text(capsys, tmp_path, "a.conf", SITE + section("Location /inside", *lines))
    found = tomllib.loads(imported.text)["site"].get("auth")
    assert found == ([{"path": "/inside", **table}] if table else None)


@pytest.mark.parametrize("path", ["/for some", "/100%"])
def test_a_guard_of_a_path_that_no_rule_can_have_is_open_and_so_nothing_is_written(capsys, tmp_path, path):
    source = tmp_path / "a.conf"
    source.write_text(SITE + section(f'Location "{path}"', DENIED))
    assert main(["import", str(source), "--output", str(tmp_path / "penstock.toml")]) == 1
    assert "kept somebody out, and would not any more" in capsys.readouterr().err
    assert not tmp_path.joinpath("penstock.toml").exists()
