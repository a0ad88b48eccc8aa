"""Django's users and groups in front of views, mounts, static and media files, over HTTP."""

import http.client
import json
from base64 import b64encode

import bcrypt
import pytest
from running_site import PATIENCE, manage, serve

MANAGE = """\
import os
import sys
from django.core.management import execute_from_command_line
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "club.settings")
if __name__ == "__main__":
    execute_from_command_line(sys.argv)
"""
SETTINGS = """\
import os
from pathlib import Path
BASE_DIR = Path(__file__).parent.parent
DEBUG = os.environ.get("DEBUG") == "1"
SECRET_KEY = "not secret"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "club.urls"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "db.sqlite3"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"]
INSTALLED_APPS += ["django.contrib.staticfiles"]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.RemoteUserMiddleware",
]
AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.RemoteUserBackend"]
STATIC_URL, STATIC_ROOT = "static/", BASE_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "assets", BASE_DIR / "more"]
MEDIA_URL, MEDIA_ROOT = "media/", BASE_DIR / "media"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
"""
URLS = """\
from django.http import JsonResponse
from django.urls import re_path

def tell(request):
    names = ("REMOTE_USER", "AUTH_TYPE", "HTTP_AUTHORIZATION", "HTTP_REMOTE_USER", "SCRIPT_NAME", "PATH_INFO")
    return JsonResponse({name: request.META.get(name) for name in names} | {"user": request.user.get_username()})

urlpatterns = [re_path("", tell)]
"""
MOUNTED = """\
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"mounted for {environ.get('REMOTE_USER')}".encode()]
"""
SCRIPT = """\
import os
os.environ["DJANGO_SETTINGS_MODULE"] = "club.settings"
from django.contrib.auth.handlers.modwsgi import check_password, groups_for_user

def allow_access(environ, host):
    return host == "127.0.0.1" and environ["PATH_INFO"] != "/script/never"
"""
USERS = """\
from django.contrib.auth.models import Group, User
staff, editors = (Group.objects.create(name=name) for name in ("staff", "editors"))
for name, groups in {"ann": [staff], "bob": [staff, editors], "cy": [], "dan": [], "jörg": [staff]}.items():
    user = User.objects.create_user(name, password="river €")
    user.groups.set(groups)
User.objects.create_user("gone", password="river €", is_active=False).groups.set([staff])
"""
RULES = """\
[site.mounts]
"/blog" = "blog:application"

[[site.auth]]
path = "/reports/"
realm = "Reports"
groups = ["staff"]

[[site.auth]]
path = "/reports/open"
provider = "none"

[[site.auth]]
path = "/both"
groups = ["staff", "editors"]
require = "all"

[[site.auth]]
path = "/named"
users = ["cy"]

[[site.auth]]
path = "/always"
cache = "0s"

[[site.auth]]
path = "/blog"
provider = "users.wsgi"
groups = ["editors"]

[[site.auth]]
path = "/script"
provider = "none"
allow = ["users.wsgi"]

[[site.auth]]
path = "/elsewhere"
provider = "none"
deny = ["127.0.0.0/8"]

[[site.auth]]
path = "/static/members/"

[[site.auth]]
path = "/media/private"
groups = ["staff"]

[[site.auth]]
path = "/media/single.txt"
"""
PASSWORD = "river €"
PICTURE = b"\x89PNG" + bytes(range(256)) * 200


@pytest.fixture(scope="module")
def club(tmp_path_factory):
    """A project with users, rules, and files that are for some of them."""
    directory = tmp_path_factory.mktemp("club")
    for name, text in {
        "manage.py": MANAGE,
        "club/__init__.py": "",
        "club/settings.py": SETTINGS,
        "club/urls.py": URLS,
        "blog.py": MOUNTED,
        "users.wsgi": SCRIPT,
        "penstock.toml": RULES,
        "assets/members/list.txt": "members only",
        "assets/open.txt": "open",
        "more/members/other.txt": "the other root",
        "media/public/a.txt": "public",
        "media/private/a.txt": "private",
        "media/single.txt": "single",
    }.items():
        directory.joinpath(name).parent.mkdir(exist_ok=True, parents=True)
        directory.joinpath(name).write_text(text)
    directory.joinpath("media/private/picture.png").write_bytes(PICTURE)
    manage(directory, "migrate", "--verbosity", "0")
    manage(directory, "shell", "--command", USERS)
    manage(directory, "collectstatic", "--no-input", "--verbosity", "0")
    return directory


@pytest.fixture(scope="module")
def address(club):
    with serve(club, "--workers", "1") as site:
        yield site.address


def ask(address, path, user="", password=PASSWORD, method="GET", **fields):
    """One request whose path is sent as it stands; requests would tidy it up first."""
    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=PATIENCE)
    if user:
        fields["Authorization"] = "Basic " + b64encode(f"{user}:{password}".encode()).decode()
    connection.request(method, path, headers={name.replace("_", "-"): value for name, value in fields.items()})
    response = connection.getresponse()
    response.body = response.read()
    connection.close()
    return response


def test_without_a_password_the_browser_is_told_to_ask_for_one(address):
    answer = ask(address, "/reports/")
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"] == 'Basic realm="Reports", charset="UTF-8"'
    assert b"asks for a user name and a password" in answer.body


def test_a_member_of_the_group_is_logged_in_by_djangos_own_middleware(address):
    answer = ask(address, "/reports/2026", "ann", Remote_User="root")
    assert json.loads(answer.body) == {
        "REMOTE_USER": "ann",
        "AUTH_TYPE": "Basic",
        "HTTP_AUTHORIZATION": None,
        "HTTP_REMOTE_USER": None,
        "SCRIPT_NAME": "",
        "PATH_INFO": "/reports/2026",
        "user": "ann",
    }


def test_a_name_beyond_ascii_is_the_users_own(address):
    answer = ask(address, "/reports/", "jörg")
    assert (answer.status, json.loads(answer.body)["user"]) == (200, "jörg")


@pytest.mark.parametrize(
    ("path", "user", "status"),
    [
        ("/reports/", "cy", 403),
        ("/reports/", "gone", 401),
        ("/reports/", "nobody", 401),
        ("/reports", "", 401),
        ("/reportsx", "", 200),
        ("/reports/open/x", "", 200),
        ("/both", "ann", 403),
        ("/both", "bob", 200),
        ("/named", "bob", 403),
        ("/named", "cy", 200),
        ("/blog", "ann", 403),
        ("/blog/x", "bob", 200),
        ("/script/a", "", 200),
        ("/script/never", "", 403),
        ("/elsewhere", "", 403),
        ("/", "", 200),
    ],
)
def test_each_path_has_its_own_rule(address, path, user, status):
    assert ask(address, path, user).status == status


def test_a_wrong_password_is_refused(address):
    assert ask(address, "/reports/", "ann", "wrong").status == 401


def test_without_a_cache_a_changed_password_counts_at_once(address, club):
    assert ask(address, "/always", "dan").status == 200
    change = "user = User.objects.get(username='dan'); user.set_password('new'); user.save()"
    manage(club, "shell", "--command", f"from django.contrib.auth.models import User; {change}")
    assert [ask(address, "/always", "dan", password).status for password in (PASSWORD, "new")] == [401, 200]


def test_a_field_of_the_client_makes_nobody_of_it(address):
    answer = ask(address, "/", Remote_User="ann")
    assert b'"user": ""' in answer.body


def test_a_mount_learns_who_it_is(address):
    assert ask(address, "/blog/", "bob").body == b"mounted for bob"


@pytest.mark.parametrize(
    "path",
    [
        "/media/private/a.txt",
        "/media/private/../private/a.txt",
        "/media//private/a.txt",
        "/media/private//a.txt",
        "//media/private/a.txt",
        "/media/%70rivate/a.txt",
        "/media/private%2fa.txt",
        "/media%2Fprivate/a.txt",
        "/%6dedia/private/a.txt",
        "/media/public/../private/a.txt",
        "/media/public/%2e%2e/private/a.txt",
        "/media/./private/a.txt",
        "/media/%2e/private/a.txt",
        "/./media/private/a.txt",
        "/x/../media/private/a.txt",
        "/MEDIA/private/a.txt",
        "/media/PRIVATE/a.txt",
        "/media/private/a.txt/",
        "/media/private/a.txt?x=/media/public/",
        "/media/private;x/a.txt",
        "/media/private\\a.txt",
        "/media/private%00/a.txt",
        "/media/%2570rivate/a.txt",
        "http://elsewhere.example/media/private/a.txt",
        "/media/single.txt",
        "/media//single.txt",
        "/media/%73ingle.txt",
        "/static/members/list.txt",
        "/static//members/list.txt",
        "/static/members//list.txt",
        "/static/%6dembers/list.txt",
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_no_way_of_writing_a_path_leads_past_its_rule(address, path, method):
    answer = ask(address, path, method=method)
    assert answer.body not in (b"private", b"single", b"members only")
    assert answer.headers["ETag"] is None
    assert answer.status in (400, 401, 404) or b'"user": ""' in answer.body or method == "HEAD"


def test_what_is_not_guarded_is_still_sent_by_the_engine_alone(address):
    answer = ask(address, "/media/public/a.txt")
    assert (answer.status, answer.body) == (200, b"public")
    assert "public" in answer.headers["Cache-Control"]
    assert ask(address, "/static/open.txt").body == b"open"


def test_a_guarded_file_is_sent_by_the_engine_once_the_password_is_right(address):
    whole = ask(address, "/media/private/picture.png", "ann")
    assert (whole.status, whole.body, whole.headers["Content-Type"]) == (200, PICTURE, "image/png")
    assert whole.headers["Cache-Control"] == "private, no-cache"
    part = ask(address, "/media/private/picture.png", "ann", Range="bytes=10-19")
    assert (part.status, part.body) == (206, PICTURE[10:20])
    again = ask(address, "/media/private/picture.png", "ann", If_None_Match=whole.headers["ETag"])
    assert (again.status, again.body) == (304, b"")
    head = ask(address, "/media/private/picture.png", "ann", method="HEAD")
    assert (head.status, head.headers["Content-Length"]) == (200, str(len(PICTURE)))
    assert ask(address, "/media/private/picture.png", "ann", method="POST").status == 405
    assert ask(address, "/media/private/none.png", "ann").status == 404
    assert ask(address, "/media/private/picture.png", "cy").status == 403
    assert ask(address, "/static/members/list.txt", "cy").body == b"members only"


def test_with_debug_a_guarded_file_is_found_in_every_root(club):
    with serve(club, DEBUG="1") as site:
        for path, text in {"list.txt": b"members only", "other.txt": b"the other root"}.items():
            assert ask(site.address, f"/static/members/{path}").status == 401
            assert ask(site.address, f"/static/members/{path}", "cy").body == text
        missing = ask(site.address, "/static/members/none.txt", "cy")
        assert b'"PATH_INFO": "/static/members/none.txt"' in missing.body
        assert ask(site.address, "/static/open.txt").body == b"open"


def test_a_site_that_admits_others_only_sends_no_file_either(club):
    with serve(club, "--allow", "192.0.2.0/24", "--forwarded-allow", "127.0.0.1") as site:
        for path in ("/", "/static/open.txt", "/media/public/a.txt"):
            assert ask(site.address, path).status == 403
            assert ask(site.address, path, X_Forwarded_For="192.0.2.7").status == 200
            assert ask(site.address, path, X_Forwarded_For="198.51.100.7").status == 403


def test_over_plain_http_no_password_is_taken_from_elsewhere(club):
    with serve(club) as site:
        far = {"X_Forwarded_For": "198.51.100.7"}
        plain = ask(site.address, "/reports/", "ann", **far)
        assert (plain.status, plain.headers["WWW-Authenticate"]) == (403, None)
        assert b"HTTPS" in plain.body
        assert ask(site.address, "/reports/", "ann", **far, X_Forwarded_Proto="https").status == 200


def test_many_wrong_passwords_from_an_address_are_no_longer_looked_at(club):
    with serve(club, "--workers", "1") as site:
        guesser = {"X_Forwarded_For": "203.0.113.5", "X_Forwarded_Proto": "https"}
        for guess in range(10):
            assert ask(site.address, "/reports/", "ann", f"guess {guess}", **guesser).status == 401
        answer = ask(site.address, "/reports/", "ann", **guesser)
        assert answer.status == 429
        assert 0 < int(answer.headers["Retry-After"]) <= 60
        assert ask(site.address, "/reports/", "ann").status == 200


def test_a_file_of_htpasswd_guards_a_django_project_too(club):
    club.joinpath("passwords").write_text(f"dora:{bcrypt.hashpw(b'x', bcrypt.gensalt(4)).decode()}\n")
    rule = '{"path": "/", "provider": "htpasswd:passwords"}'
    club.joinpath("empty.toml").touch()
    with serve(club, "--config", "empty.toml", "--auth", rule) as site:
        assert ask(site.address, "/media/public/a.txt").status == 401
        assert ask(site.address, "/media/public/a.txt", "dora", "x").body == b"public"
        assert b'"REMOTE_USER": "dora"' in ask(site.address, "/", "dora", "x").body
