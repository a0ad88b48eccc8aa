"""penstock.django.test, used by a project's own tests under Django's test runner, and in a real browser."""

import os
import shutil
import subprocess
import sys

import pytest
from developing import write_project
from running_site import PATIENCE

TESTS = """
import threading
import urllib.error
import urllib.request

from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.test import override_settings
from penstock.django.test import LiveServerTestCase, StaticLiveServerTestCase


def read(url):
    with urllib.request.urlopen(url, timeout=60) as response:
        return response.read().decode()


class Pages(LiveServerTestCase):
    def test_a_page_is_served(self):
        self.assertEqual(read(self.live_server_url + "/text/"), "one")

    def test_the_engine_serves(self):
        with urllib.request.urlopen(self.live_server_url + "/text/", timeout=60) as response:
            self.assertEqual(response.headers["Server"], None)
        self.assertEqual(read(self.live_server_url + "/threads/"), "True")

    def test_what_a_test_writes_is_seen_by_a_view(self):
        ContentType.objects.create(app_label="shelf", model="book")
        self.assertEqual(read(self.live_server_url + "/count/"), "1")

    def test_what_a_view_writes_is_seen_by_the_test(self):
        read(self.live_server_url + "/create/")
        self.assertEqual(ContentType.objects.filter(app_label="made").count(), 1)

    def test_several_requests_at_once_share_the_database(self):
        answers = []
        threads = [
            threading.Thread(target=lambda: answers.append(read(self.live_server_url + "/count/"))) for _ in range(16)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(answers, ["0"] * 16)

    def test_settings_that_a_test_overrides_hold_in_a_view(self):
        with override_settings(GREETING="ahoy"):
            self.assertEqual(read(self.live_server_url + "/greeting/"), "ahoy")

    def test_static_files_are_those_of_collectstatic(self):
        with self.assertRaises(urllib.error.HTTPError) as caught:
            read(self.live_server_url + "/static/shelf.css")
        self.assertEqual(caught.exception.code, 404)


class Files(StaticLiveServerTestCase):
    def test_static_files_are_found_where_they_are_written(self):
        self.assertEqual(read(self.live_server_url + "/static/shelf.css"), "p { color: black }")


class Browsing(StaticLiveServerTestCase):
    def test_a_browser_shows_a_page(self):
        import os
        import tempfile
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service

        if not os.environ["CHROMEDRIVER"]:
            self.skipTest("chromium and chromium-driver are not installed")
        options = webdriver.ChromeOptions()
        options.binary_location = os.environ["CHROMIUM"]
        with tempfile.TemporaryDirectory() as profile:
            for argument in ["--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}"]:
                options.add_argument(argument)
            with webdriver.Chrome(options, Service(os.environ["CHROMEDRIVER"])) as browser:
                browser.get(self.live_server_url + "/")
                self.assertEqual(browser.title, "Shelf")
                self.assertIn("first words", browser.page_source)
"""
VIEWS = """

def count(request):
    from django.contrib.contenttypes.models import ContentType
    return HttpResponse(str(ContentType.objects.filter(app_label="shelf").count()))


def create(request):
    from django.contrib.contenttypes.models import ContentType
    ContentType.objects.create(app_label="made", model="thing")
    return HttpResponse("made")
"""
DATABASES = {
    "in memory": '{"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}',
    "in a file": '{"ENGINE": "django.db.backends.sqlite3", "NAME": "db.sqlite3", "CONN_MAX_AGE": 600,'
    ' "TEST": {"NAME": "test.sqlite3"}}',
}


@pytest.mark.parametrize("database", DATABASES)
def test_live_server_test_cases_behave_as_djangos(tmp_path, database):
    project = write_project(tmp_path)
    settings = project / "shop/settings.py"
    settings.write_text(
        settings.read_text().replace('"shelf"]', '"django.contrib.contenttypes", "shelf"]')
        + f"DATABASES = {{'default': {DATABASES[database]}}}\nSTATIC_ROOT = BASE_DIR / 'collected'\n"
    )
    urls = project / "shop/urls.py"
    urls.write_text(
        urls.read_text().replace("[\n", '[\n    path("count/", views.count),\n    path("create/", views.create),\n')
    )
    with project.joinpath("shelf/views.py").open("a") as views:
        views.write(VIEWS)
    project.joinpath("shelf/tests.py").write_text(TESTS)
    done = subprocess.run(
        [sys.executable, "manage.py", "test"],
        cwd=project,
        env=os.environ
        | {"CHROMIUM": shutil.which("chromium") or "", "CHROMEDRIVER": shutil.which("chromedriver") or ""},
        capture_output=True,
        text=True,
        timeout=PATIENCE * 3,
        check=False,
    )
    print(done.stdout, done.stderr)
    assert done.returncode == 0
    assert "Ran 9 tests" in done.stderr
    if "skipped" in done.stderr:
        pytest.skip("chromium and chromium-driver are not installed: `make system-packages` installs them")
