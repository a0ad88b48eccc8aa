"""With penstock.django among the INSTALLED_APPS, Django's own `manage.py check` finds what Penstock knows."""

import subprocess
import sys

import pytest
from careful_project import Spoilt, without_django, write


@pytest.fixture
def with_app(spoilt) -> Spoilt:
    """The careful project, with our app."""
    spoilt.add("INSTALLED_APPS.insert(0, 'penstock.django')\n")
    return spoilt


def test_a_careful_project_has_no_issues(with_app):
    assert "no issues" in manage_check(with_app, "--deploy", PENSTOCK_SILENCED_CHECKS="penstock.W603")


def test_what_matters_in_production_is_found_with_deploy_only(with_app):
    with_app.add("ALLOWED_HOSTS += ['*']\nMEDIA_URL = '/static/media/'\n")
    usual, production = manage_check(with_app), manage_check(with_app, "--deploy")
    assert "shop/settings.py:44: (penstock.E207) MEDIA_URL and STATIC_URL lie in one another." in usual
    assert ("penstock.W107" in usual, production.count("penstock.W107")) == (False, 1)
    assert production.count("penstock.E207") == 1


def test_a_broken_configuration_is_an_error(with_app):
    write(with_app.directory, {"penstock.toml": "[site]\nworkers = 'many'\n"})
    text = manage_check(with_app)
    assert "(penstock.E007) workers cannot be 'many' (penstock.toml:2)" in text


def test_both_ways_to_silence_a_check_work(with_app):
    with_app.add("ALLOWED_HOSTS += ['*']\nSILENCED_SYSTEM_CHECKS = ['penstock.W603']\n")
    write(with_app.directory, {"penstock.toml": "[site]\nsilenced_checks = ['penstock.W107']\n"})
    assert "no issues" in manage_check(with_app, "--deploy")


def test_penstock_check_says_nothing_twice(with_app):
    with_app.add("MEDIA_URL = '/static/media/'\n")
    assert with_app.run("--silenced-checks", "penstock.W603").stdout.count("penstock.E207") == 1


def manage_check(spoilt, *arguments, **environment):
    """What `manage.py check` prints."""
    done = subprocess.run(
        [sys.executable, "manage.py", "check", *arguments],
        cwd=spoilt.directory,
        env=without_django()
        | {"DJANGO_SECRET_KEY": "9rV-kx2q.Tz7!mWc_4Hs8bYe0LgNf3UjPdAo6Ri1Ku5Xv-Zw+Q"}
        | environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return done.stdout + done.stderr
