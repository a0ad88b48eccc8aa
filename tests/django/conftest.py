"""The projects that the tests serve, and the browser that visits them."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from careful_project import Spoilt
from careful_project import make as careful_project_in
from PIL import Image
from running_site import CHECKOUT, SCRIPTS, manage
from selenium import webdriver
from selenium.webdriver.chrome.service import Service


@pytest.fixture(scope="module")
def library(tmp_path_factory) -> Path:
    """A fresh copy of the example project, with its database filled."""
    directory = tmp_path_factory.mktemp("library") / "library"
    shutil.copytree(CHECKOUT / "examples/library", directory, ignore=shutil.ignore_patterns("var", "__pycache__"))
    manage(directory, "migrate", "--verbosity", "0")
    manage(directory, "loaddata", "--verbosity", "0", "books")
    return directory


@pytest.fixture(scope="module")
def wagtail_project(tmp_path_factory) -> Path:
    """What `wagtail start` makes, with a database and somebody who may log in as editor/correct-horse."""
    directory = tmp_path_factory.mktemp("wagtail")
    subprocess.run([SCRIPTS / "wagtail", "start", "mysite", directory], check=True, timeout=300)
    manage(directory, "migrate", "--verbosity", "0")
    manage(
        directory,
        "createsuperuser",
        "--no-input",
        "--username=editor",
        "--email=editor@example.com",
        DJANGO_SUPERUSER_PASSWORD="correct-horse",
    )
    return directory


@pytest.fixture
def browser(tmp_path) -> Iterator[webdriver.Chrome]:
    """Debian's chromium without a window, with a fresh profile, that asks nobody for updates."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and driver):
        pytest.skip("chromium and chromium-driver are not installed: `make system-packages` installs them")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--window-size=1280,1600",
        f"--user-data-dir={tmp_path / 'profile'}",
    ]:
        options.add_argument(argument)
    with webdriver.Chrome(options, Service(driver)) as chrome:
        yield chrome


@pytest.fixture(scope="session")
def picture(tmp_path_factory) -> Path:
    """A PNG of 300 by 200 points."""
    path = tmp_path_factory.mktemp("pictures") / "river.png"
    Image.new("RGB", (300, 200), "#1f5f5b").save(path)
    return path


@pytest.fixture(scope="session")
def careful_project(tmp_path_factory) -> Path:
    """A project in which nothing is wrong; not to be changed."""
    return careful_project_in(tmp_path_factory.mktemp("careful") / "project")


@pytest.fixture
def spoilt(careful_project, tmp_path) -> Spoilt:
    """A copy of it that a test may change."""
    return Spoilt(careful_project, tmp_path / "spoilt")
