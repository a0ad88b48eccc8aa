from types import SimpleNamespace

import pytest
from django.contrib.staticfiles import finders

from penstock.django.discovery import discover, url_path


@pytest.fixture
def settings(tmp_path):
    """Django's settings, as far as they matter here, with STATIC_ROOT and MEDIA_ROOT in place."""
    for name in ("static", "media"):
        tmp_path.joinpath(name).mkdir()
    return SimpleNamespace(
        DEBUG=False,
        INSTALLED_APPS=["django.contrib.staticfiles"],
        STATIC_URL="/static/",
        STATIC_ROOT=tmp_path / "static",
        MEDIA_URL="/media/",
        MEDIA_ROOT=str(tmp_path / "media"),
    )


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("/static/", "/static/"),
        ("static/", "/static/"),
        ("/a/b", "/a/b/"),
        ("/", "/"),
        ("", None),
        (None, None),
        ("https://cdn.example/static/", None),
        ("//cdn.example/static/", None),
    ],
)
def test_only_urls_of_this_host_are_served(url, path):
    assert url_path(url) == path


def test_collected_files_and_uploads_are_mounted(settings, tmp_path):
    found = discover(settings, 60)
    static, media = found.mounts
    assert static == {
        "prefix": "/static/",
        "roots": [str(tmp_path / "static")],
        "max_age": 60,
        "immutable": "hashed",
        "fall_through": False,
    }
    assert (media["prefix"], media["roots"]) == ("/media/", [str(tmp_path / "media")])
    assert found.warnings == []


def test_an_upload_is_never_immutable(settings):
    assert discover(settings, 60).mounts[1]["immutable"] == "never"


def test_a_missing_static_root_is_a_warning_with_the_fix(settings, tmp_path):
    tmp_path.joinpath("static").rmdir()
    settings.MEDIA_ROOT = ""
    found = discover(settings, 60)
    assert found.mounts == []
    assert "run `python manage.py collectstatic`" in found.warnings[0]


def test_no_static_root_at_all_is_a_warning_only_with_staticfiles(settings):
    settings.STATIC_ROOT = None
    assert "STATIC_ROOT is not set" in discover(settings, 60).warnings[0]
    settings.INSTALLED_APPS = []
    assert discover(settings, 60).warnings == []


def test_static_files_never_swallow_the_site(settings):
    settings.STATIC_URL = "/"
    found = discover(settings, 60)
    assert [mount["prefix"] for mount in found.mounts] == ["/media/"]
    assert "covers the whole site" in found.warnings[0]


def test_uploads_never_swallow_the_site(settings):
    settings.MEDIA_URL = "/"  # what Django makes of an unset one
    found = discover(settings, 60)
    assert [mount["prefix"] for mount in found.mounts] == ["/static/"]
    assert "MEDIA_URL is not" in found.warnings[0]


def test_without_uploads_nothing_is_said_about_them(settings):
    settings.MEDIA_URL, settings.MEDIA_ROOT = "/", ""
    found = discover(settings, 60)
    assert [mount["prefix"] for mount in found.mounts] == ["/static/"]
    assert found.warnings == []


def test_with_debug_the_finders_directories_are_served_and_the_rest_is_the_applications(
    settings, tmp_path, monkeypatch
):
    for name in ("assets", "vendor", "app"):
        tmp_path.joinpath(name).mkdir()
    files = SimpleNamespace(locations=[("", str(tmp_path / "assets")), ("lib", tmp_path / "vendor")])
    apps = SimpleNamespace(storages={"app": SimpleNamespace(location=str(tmp_path / "app"))})
    monkeypatch.setattr(finders, "get_finders", lambda: [files, apps])
    settings.DEBUG = True
    found = discover(settings, 60)
    mounts = {mount["prefix"]: mount for mount in found.mounts}
    assert mounts["/static/"]["roots"] == [str(tmp_path / "assets"), str(tmp_path / "app")]
    assert mounts["/static/lib/"]["roots"] == [str(tmp_path / "vendor")]
    assert all(mount["fall_through"] for mount in mounts.values())
    assert mounts["/static/"]["max_age"] == 0
    assert found.warnings == []


def test_with_debug_what_one_finder_has_below_the_prefix_of_another_is_served_too(settings, tmp_path, monkeypatch):
    for name in ("assets/lib", "vendor", "app"):
        tmp_path.joinpath(name).mkdir(parents=True)
    files = SimpleNamespace(locations=[("", str(tmp_path / "assets")), ("lib", tmp_path / "vendor")])
    apps = SimpleNamespace(storages={"app": SimpleNamespace(location=str(tmp_path / "app"))})
    monkeypatch.setattr(finders, "get_finders", lambda: [files, apps])
    settings.DEBUG = True
    roots = {mount["prefix"]: mount["roots"] for mount in discover(settings, 60).mounts}
    assert roots["/static/lib/"] == [str(tmp_path / "vendor"), str(tmp_path / "assets/lib")]
    assert roots["/static/"] == [str(tmp_path / "assets"), str(tmp_path / "app")]


def test_a_finder_that_is_not_djangos_is_left_to_the_application(settings, monkeypatch):
    monkeypatch.setattr(finders, "get_finders", lambda: [SimpleNamespace()])
    settings.DEBUG = True
    found = discover(settings, 60)
    assert [mount["prefix"] for mount in found.mounts] == ["/media/"]
    assert "left to the application" in found.warnings[0]
