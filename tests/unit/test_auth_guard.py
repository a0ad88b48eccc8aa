import json
import sys
from base64 import b64encode

import pytest

from penstock import log
from penstock.errors import ConfigurationError
from penstock.gateway.auth import LONGEST_CREDENTIALS, guard, read_credentials

SOURCE = """\
asked = []
def check_password(environ, user, password):
    asked.append(user)
    return {"ann": "river", "bob": "river"}.get(user) == password if user in ("ann", "bob") else None
def groups_for_user(environ, user):
    return {"ann": ["staff"], "bob": ["staff", "editors"]}[user]
"""


def application(environ, start_response):
    start_response("200 OK", [])
    return [environ.get("REMOTE_USER", "nobody").encode()]


@pytest.fixture
def guarded(own_process, tmp_path, configure):
    """The application behind rules whose provider is SOURCE."""
    tmp_path.joinpath("known.wsgi").write_text(SOURCE)

    def make(*rules, **others):
        tables = [json.dumps({"provider": "known.wsgi"} | rule) for rule in rules]
        return guard(application, configure(auth=tables, **others))

    yield make
    sys.modules.pop(f"{tmp_path}/known.wsgi", None)


def basic(user, password, encoding="utf-8"):
    return "Basic " + b64encode(f"{user}:{password}".encode(encoding)).decode()


def ask(guarded, path, user="", password="river", **environ):
    """Status and body of one request from this machine."""
    told = []
    if user:
        environ["HTTP_AUTHORIZATION"] = basic(user, password)
    environ = {"REMOTE_ADDR": "127.0.0.1", "wsgi.url_scheme": "http", "SCRIPT_NAME": "", "PATH_INFO": path} | environ
    body = b"".join(guarded(environ, lambda status, headers: told.append((status, dict(headers)))))
    [(status, headers)] = told
    return int(status[:3]), body.decode(), headers


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/reports", 401),
        ("/reports/", 401),
        ("//reports//x", 401),
        ("/x/../reports/x", 401),
        ("/reports/../x", 401),
        ("/reports/./x", 401),
        ("/../reports", 401),
        ("/b\xc3\xbccher/x", 401),
        ("/reportsx", 200),
        ("/x/reports", 200),
        ("/Reports", 200),
        ("", 200),
        ("/", 200),
        ("/b\xfccher", 200),
    ],
)
def test_a_rule_covers_its_path_and_what_is_below_on_the_borders_of_names(guarded, path, status):
    site = guarded({"path": "/reports"}, {"path": "/bücher/"})
    assert ask(site, path)[0] == status


def test_the_longest_path_decides_alone_unless_dots_lead_to_another(guarded):
    site = guarded({"path": "/"}, {"path": "/open", "provider": "none"}, {"path": "/open/own", "users": ["bob"]})
    assert ask(site, "/x")[0] == 401
    assert ask(site, "/open/x")[0] == 200
    assert ask(site, "/open/own", "ann")[0] == 403
    assert ask(site, "/open/../x")[0] == 401
    assert ask(site, "/open/./own", "bob")[:2] == (200, "bob")


@pytest.mark.parametrize("path", ["/blog/private", "/private", "/blog", "/"])
def test_a_path_below_a_script_name_is_guarded_with_it_and_without_it(guarded, path):
    site = guarded({"path": path})
    assert ask(site, "/private/x", SCRIPT_NAME="/blog")[0] == 401
    assert ask(site, "/private/x", "ann", SCRIPT_NAME="/blog")[0] == 200


@pytest.mark.parametrize(
    ("rule", "ann", "bob"),
    [
        ({}, 200, 200),
        ({"users": ["ann"]}, 200, 403),
        ({"groups": ["staff"]}, 200, 200),
        ({"groups": ["editors", "others"]}, 403, 200),
        ({"groups": ["staff", "editors"], "require": "all"}, 403, 200),
        ({"groups": ["editors"], "users": ["ann"]}, 200, 200),
        ({"groups": ["editors"], "users": ["ann"], "require": "all"}, 403, 403),
        ({"groups": ["nobody's"]}, 403, 403),
    ],
)
def test_users_and_groups_decide_who_of_the_known_gets_in(guarded, rule, ann, bob):
    site = guarded({"path": "/"} | rule)
    assert [ask(site, "/", user)[0] for user in ("ann", "bob", "cy")] == [ann, bob, 401]


def test_a_refusal_is_for_nobody_else_and_says_what_it_wants(guarded):
    status, body, headers = ask(guarded({"path": "/", "realm": "Club"}), "/")
    assert (status, headers["WWW-Authenticate"]) == (401, 'Basic realm="Club", charset="UTF-8"')
    assert headers["Cache-Control"] == "no-store"
    assert headers["Content-Length"] == str(len(body))
    assert body == "401 Unauthorized\n\nThis page asks for a user name and a password.\n"


def test_the_password_and_a_name_from_the_client_go_no_further(guarded):
    seen = {}

    def application(environ, start_response):
        seen.update(environ)
        start_response("200 OK", [])
        return []

    site = guarded({"path": "/"})
    site.application = application
    ask(site, "/", "ann", HTTP_REMOTE_USER="root")
    assert (seen["REMOTE_USER"], seen["AUTH_TYPE"]) == ("ann", "Basic")
    assert not {"HTTP_AUTHORIZATION", "HTTP_REMOTE_USER"} & set(seen)


def test_where_nothing_is_guarded_the_fields_are_the_applications(guarded):
    site = guarded({"path": "/reports"})
    seen = {}
    site.application = lambda environ, start_response: seen.update(environ) or start_response("200 OK", []) or []
    ask(site, "/", "ann", HTTP_REMOTE_USER="root")
    assert {"HTTP_AUTHORIZATION", "HTTP_REMOTE_USER"} < set(seen)
    assert "REMOTE_USER" not in seen


def test_a_guarded_file_is_asked_for_after_the_password(guarded):
    site, sent = guarded({"path": "/"}), []

    def serve_file():
        sent.append(True)
        return True

    environ = {"penstock.serve_file": serve_file}
    assert ask(site, "/", **environ)[0] == 401
    assert not sent
    environ |= {"PATH_INFO": "/", "REMOTE_ADDR": "::1", "HTTP_AUTHORIZATION": basic("ann", "river")}
    assert site(environ, None) == []
    assert sent


@pytest.mark.parametrize(
    ("environ", "status"),
    [
        ({"wsgi.url_scheme": "https", "REMOTE_ADDR": "192.0.2.1"}, 401),
        ({"REMOTE_ADDR": "127.0.0.9"}, 401),
        ({"REMOTE_ADDR": "::ffff:127.0.0.1"}, 401),
        ({"REMOTE_ADDR": "::1"}, 401),
        ({"REMOTE_ADDR": "192.0.2.1"}, 403),
        ({"REMOTE_ADDR": ""}, 403),
    ],
)
def test_a_password_is_asked_for_only_where_nobody_can_listen(guarded, monkeypatch, environ, status):
    told = []
    monkeypatch.setattr(log, "warning", told.append)
    site = guarded({"path": "/"})
    answers = [ask(site, "/", **environ) for _ in range(2)]
    assert [answer[0] for answer in answers] == [status] * 2
    assert all(("WWW-Authenticate" in answer[2]) == (status == 401) for answer in answers)
    assert len(told) == (status == 403)


def test_a_rule_may_take_passwords_over_plain_http(guarded):
    assert ask(guarded({"path": "/", "over_http": True}), "/", "ann", REMOTE_ADDR="192.0.2.1")[0] == 200


def test_addresses_of_a_rule_are_looked_at_before_the_password(guarded):
    site = guarded({"path": "/", "allow": ["127.0.0.1"]})
    assert ask(site, "/", REMOTE_ADDR="192.0.2.1", **{"wsgi.url_scheme": "https"})[0] == 403
    assert ask(site, "/", "ann")[0] == 200


def test_guessing_ends_and_nobody_is_asked_meanwhile(guarded, tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr(log, "warning", told.append)
    site = guarded({"path": "/"})
    asked = sys.modules[f"{tmp_path}/known.wsgi"].asked
    statuses = [ask(site, "/", "ann", f"guess {number}")[0] for number in range(12)]
    assert statuses == [401] * 10 + [429] * 2
    status, _, headers = ask(site, "/", "ann")
    assert (status, int(headers["Retry-After"]) > 0) == (429, True)
    assert len(asked) == 10
    assert ask(site, "/")[0] == 401
    assert ask(site, "/", "ann", REMOTE_ADDR="127.0.0.2")[0] == 200
    assert told == ["127.0.0.1 has tried too many passwords below /: none for 60 s"]


def test_a_program_with_an_old_password_shuts_nobody_out_and_costs_nothing(guarded, tmp_path):
    site = guarded({"path": "/"})
    asked = sys.modules[f"{tmp_path}/known.wsgi"].asked
    assert [ask(site, "/", "ann", "old")[0] for _ in range(100)] == [401] * 100
    assert len(asked) == 1
    assert ask(site, "/", "bob")[0] == 200


@pytest.mark.parametrize(
    ("field", "found"),
    [
        (basic("ann", "a:b"), ("ann", "a:b")),
        (basic("jörg", "€").replace("Basic", "bAsIc"), ("jörg", "€")),
        (basic("jörg", "ü", "latin-1"), ("jörg", "ü")),
        (basic("ann", ""), ("ann", "")),
        (basic("ann", "x" * (LONGEST_CREDENTIALS - 4)), ("ann", "x" * (LONGEST_CREDENTIALS - 4))),
        (basic("ann", "x" * (LONGEST_CREDENTIALS - 3)), None),
        (basic("ann\0", "x"), None),
        (basic("ann", "a\nb"), None),
        ("Basic " + b64encode(b"ann").decode(), None),
        ("Basic YW5uOm", None),
        ("Basic YW5u*OnJp", None),
        ("Basic \xfc", None),
        ("Basic", None),
        ("Bearer YW5uOnJpdmVy", None),
        ("", None),
    ],
)
def test_credentials_are_read_strictly(field, found):
    assert read_credentials(field) == found


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"provider": "none", "users": ["ann"]}, r"auth / \(--auth\) has users or groups, and provider = none"),
        (
            {"provider": "named.wsgi", "groups": ["staff"]},
            r"auth / \(--auth\) has groups, and .* knows none",
        ),
    ],
)
def test_a_rule_that_nobody_could_pass_stops_the_start(guarded, tmp_path, rule, message):
    tmp_path.joinpath("named.wsgi").write_text("def check_password(environ, user, password): pass\n")
    with pytest.raises(ConfigurationError, match=message):
        guarded({"path": "/"} | rule)
