"""`penstock check --deploy` on a real project: nothing is found in a careful one, and each thing in a spoilt one."""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from careful_project import FILES, Spoilt, write

PLAIN_STORAGE = """
STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
"""


def test_nothing_is_found_in_a_careful_project(spoilt):
    done = spoilt.run("--deploy", "--silenced-checks", "penstock.W603")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1].startswith("nothing found")


SETTINGS = {
    "DEBUG = True": {"E101"},
    "SECRET_KEY = ''": {"E102"},
    "SECRET_KEY = 'django-insecure-' + SECRET_KEY": {"E103"},
    "SECRET_KEY = SECRET_KEY[:20]": {"W104"},
    "SECRET_KEY = 'vT3-9rV-kx2q.Tz7!mWc_4Hs8bYe0LgNf3UjPdAo6Ri1Ku5Xv-Zw+Q'": {"W105"},
    "ALLOWED_HOSTS = []": {"E106"},
    "ALLOWED_HOSTS += ['*']": {"W107"},
    "CSRF_TRUSTED_ORIGINS = ['http://shop.example', 'https://other.example']": {"W108", "I109"},
    "STATIC_ROOT = None": {"E201"},
    "STATIC_ROOT = BASE_DIR / 'nowhere'": {"E202"},
    "MEDIA_ROOT = STATIC_ROOT / 'uploads'": {"E207"},
    "MEDIA_URL = '/static/media/'": {"E207"},
    "STATIC_ROOT = BASE_DIR": {"E204", "E207", "E208", "W203"},
    "MEDIA_URL = ''": {"W209"},
    "STATIC_URL = '/'": {"W209"},
    "SECURE_PROXY_SSL_HEADER = ('HTTP_X_FORWARDED_PROTO', 'https')": {"I306"},
    "del DATABASES['default']['OPTIONS']": {"I509"},
    "DATABASES['default']['NAME'] = BASE_DIR / 'nowhere.sqlite3'": {"W502"},
    "DATABASES['default']['ENGINE'] = 'shop.no_such_database'": {"E002"},
    "WSGI_APPLICATION = 'shop.wsgi.app'": {"E002"},
    "ROOT_URLCONF = 'shop.no_such_urls'": {"E003"},
    "raise RuntimeError('half-way')": {"E002"},
    "SILENCED_SYSTEM_CHECKS = ['penstock.E101']; DEBUG = True": set(),
}


@pytest.mark.parametrize(("line", "ids"), SETTINGS.items(), ids=SETTINGS)
def test_a_mistake_in_the_settings_is_found(spoilt, line, ids):
    spoilt.add(line)
    assert ours(spoilt.check("--workers", "2")) == ids


ARGUMENTS = {
    "--bind :8000 --forwarded-allow *": {"E301"},
    "--bind :8000": {"W304"},
    "--bind uwsgi:0.0.0.0:3031 --uwsgi-allow *": {"E301"},
    "--bind uwsgi:127.0.0.1:3031 --uwsgi-allow *": set(),
    "--bind uwsgi:0.0.0.0:3031": set(),
    "--bind :8000 --forwarded-allow 10.0.0.0/8": set(),
    "--keep-alive-timeout 5s": {"W305"},
    "--timeout 1m": {"W401"},
    "--timeout 1m --graceful-timeout 1m": set(),
    "--slow-request-log 30s": {"W402"},
    "--max-requests-jitter 10": {"W402"},
    "--max-memory 2GiB --max-memory-hard 1GiB --workers 1": {"W402"},
    "--static /more=nowhere": {"W211"},
    "--static /more=shop": {"E208"},
    "--workers 1024 --max-memory 1GiB": {"W506"},
    "--max-connections 1000000": {"W507"},
    "--silenced-checks penstock.E999": {"W008"},
}


@pytest.mark.parametrize(("arguments", "ids"), ARGUMENTS.items(), ids=ARGUMENTS)
def test_a_mistake_in_the_configuration_is_found(spoilt, arguments, ids):
    assert ours(spoilt.check(*arguments.split())) == ids


def test_a_header_that_clients_can_send_is_no_proof_of_https(spoilt):
    spoilt.add("SECURE_PROXY_SSL_HEADER = ('HTTP_X_SCHEME', 'https')")
    assert ours(spoilt.check("--bind", ":8000", "--forwarded-allow", "10.0.0.1")) == {"E302"}
    assert ours(spoilt.check()) == set()


def test_a_redirect_to_https_that_nobody_can_follow_is_found(spoilt):
    assert ours(spoilt.check(PENSTOCK_FORWARDED_ALLOW="")) == {"E303"}


def test_a_file_that_has_changed_since_it_was_collected_is_found(spoilt):
    style = spoilt.directory / "shop/static/shop/style.css"
    style.touch()
    assert ours(spoilt.check()) == set()  # what a checkout does is no change
    style.write_text("body { color: #321 }\n")
    found = spoilt.check()
    assert ours(found) == {"W203"}
    assert "shop/style.css" in found["penstock.W203"]["message"]


def test_files_that_were_kept_by_their_hash_alone_are_collected(spoilt):
    spoilt.directory.joinpath("var/static/shop/style.css").unlink()
    assert ours(spoilt.check()) == set()


def test_a_file_that_was_never_collected_is_found(spoilt):
    write(spoilt.directory, {"shop/static/shop/new.css": "p { }\n"})
    assert ours(spoilt.check()) == {"W203", "E205"}
    spoilt.add(PLAIN_STORAGE)
    assert ours(spoilt.check()) == {"W203"}


def test_a_manifest_without_its_files_is_found(spoilt):
    for path in (spoilt.directory / "var/static/shop").glob("style.*.css"):
        path.unlink()
    assert ours(spoilt.check()) == {"E206"}


def test_static_files_are_not_looked_for_in_development(spoilt):
    shutil.rmtree(spoilt.directory / "var")
    assert spoilt.run().stdout.endswith("nothing found\n")


def test_an_asynchronous_middleware_is_found(spoilt):
    write(
        spoilt.directory,
        {
            "shop/slow.py": """
class Waits:
    sync_capable, async_capable = False, True
    def __init__(self, get_response):
        self.get_response = get_response
    async def __call__(self, request):
        return await self.get_response(request)
"""
        },
    )
    spoilt.add("MIDDLEWARE += ['shop.slow.Waits']\n")
    found = spoilt.check()
    assert ours(found) == {"W006"}
    assert found["penstock.W006"]["object"] == "shop/settings.py:42"


def test_a_development_server_that_is_hidden_behind_djangos_is_found(spoilt):
    spoilt.add("INSTALLED_APPS.append('penstock.django')\n")
    assert ours(spoilt.check()) == {"W011"}
    spoilt.add("INSTALLED_APPS.insert(0, INSTALLED_APPS.pop())\n")
    assert ours(spoilt.check()) == set()


def test_an_asgi_application_is_found(spoilt):
    write(
        spoilt.directory,
        {"shop/asgi.py": FILES["shop/wsgi.py"].replace("wsgi", "asgi")},
    )
    assert ours(spoilt.check("shop.asgi")) == {"E005"}


def test_a_directory_without_an_application_is_an_error(tmp_path, spoilt):
    spoilt.directory = tmp_path
    assert ours(spoilt.check()) == {"E001"}


def test_tables_that_are_not_there_yet_are_found(spoilt):
    write(
        spoilt.directory,
        {
            "shop/models.py": "from django.db import models\nclass Item(models.Model):\n    pass\n",
            "shop/migrations/__init__.py": "",
            "shop/migrations/0001_initial.py": """
from django.db import migrations, models
class Migration(migrations.Migration):
    operations = [migrations.CreateModel("Item", [("id", models.BigAutoField(primary_key=True))])]
""",
        },
    )
    spoilt.add("DEFAULT_AUTO_FIELD = 'django.db.models.BigAutoField'\n")
    found = spoilt.check()
    assert "shop.0001_initial" in found["penstock.E510"]["message"]


def test_secrets_that_everybody_on_the_machine_can_read_are_found(careful_project):
    # pytest's own directories are closed to others, and so is what lies in them.
    with TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        spoilt = Spoilt(careful_project, Path(directory) / "project")
        assert ours(spoilt.check()) == set()
        for name in (".env", "shop.sqlite3"):
            spoilt.directory.joinpath(name).chmod(0o644)
        found = spoilt.check()
        assert ours(found) == {"W601", "W602"}
        assert found["penstock.W601"]["object"] == ".env (-rw-r--r--)"


def test_djangos_own_checks_are_shown_and_not_said_twice(spoilt):
    spoilt.add("DEBUG = True; SECURE_HSTS_SECONDS = 0; SESSION_COOKIE_AGE = 1\n")
    assert set(spoilt.check("--silenced-checks", "penstock.W603")) == {"penstock.E101", "security.W004"}


def test_what_django_cannot_check_is_an_error(spoilt):
    write(
        spoilt.directory,
        {
            "shop/apps.py": """
from django.apps import AppConfig
from django.core.checks import register
def stumble(**_):
    raise RuntimeError("a check that stumbles")
class Shop(AppConfig):
    name = "shop"
    def ready(self):
        register(stumble)
"""
        },
    )
    found = spoilt.check()
    assert "a check that stumbles" in found["penstock.E004"]["detail"]


def test_the_level_from_which_on_it_fails_can_be_chosen(spoilt):
    assert spoilt.run("--timeout", "1m").returncode == 0
    assert spoilt.run("--timeout", "1m", "--fail-level", "WARNING").returncode == 1
    assert spoilt.run("--fail-level", "warning").returncode == 0
    assert spoilt.run("--fail-level", "bad").returncode == 2


def test_what_the_project_prints_does_not_get_into_the_json(spoilt):
    spoilt.add("print('hello')\n")
    assert ours(spoilt.check()) == set()


def test_a_project_that_hangs_while_it_is_loaded_is_given_up(spoilt):
    spoilt.add("import threading; threading.Event().wait()\n")
    found = spoilt.check("--boot-timeout", "1s")
    assert "was not loaded within 1s" in found["penstock.E002"]["message"]


def test_another_framework_is_checked_too(tmp_path, spoilt):
    spoilt.directory = tmp_path
    write(tmp_path, {"hello.py": "def app(environ, start_response):\n    return []\n"})
    assert ours(spoilt.check("hello:app", "--timeout", "1m")) == {"W401"}


def ours(found):
    """Our ids among those found; without that of root, who may run these tests."""
    return {id.removeprefix("penstock.") for id in found if id.startswith("penstock.")} - {"W603"}
