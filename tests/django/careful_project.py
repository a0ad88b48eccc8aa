"""A small Django project that is as `penstock check --deploy` would have it; and how to spoil it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from running_site import SCRIPTS, manage

SECRET_KEY = "9rV-kx2q.Tz7!mWc_4Hs8bYe0LgNf3UjPdAo6Ri1Ku5Xv-Zw+Q"
FILES = {
    ".env": f"DJANGO_SECRET_KEY={SECRET_KEY}\n",
    "manage.py": """
import os, sys
from django.core.management import execute_from_command_line
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
execute_from_command_line(sys.argv)
""",
    "shop/__init__.py": "",
    "shop/wsgi.py": """
import os
from django.core.wsgi import get_wsgi_application
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
application = get_wsgi_application()
""",
    "shop/urls.py": """
from django.urls import path
from django.views.generic import TemplateView
urlpatterns = [path("", TemplateView.as_view(template_name="home.html"))]
""",
    "shop/templates/home.html": '{% load static %}<link rel="stylesheet" href="{% static "shop/style.css" %}">\n',
    "shop/static/shop/style.css": "body { color: #123 }\n",
    "shop/settings.py": """
import os
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent
SECRET_KEY = os.environ["DJANGO_SECRET_KEY"]
DEBUG = False
ALLOWED_HOSTS = ["shop.example"]
INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.staticfiles",
    "shop",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "shop.urls"
WSGI_APPLICATION = "shop.wsgi.application"
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": BASE_DIR / "shop.sqlite3",
        "OPTIONS": {"transaction_mode": "IMMEDIATE"},
    }
}
STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "var/static"
MEDIA_URL = "media/"
MEDIA_ROOT = BASE_DIR / "var/media"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"},
}
CSRF_COOKIE_SECURE = SESSION_COOKIE_SECURE = SECURE_SSL_REDIRECT = True
SECURE_HSTS_SECONDS = 31536000
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = True
""",
}


def write(directory: Path, files: dict[str, str]) -> None:
    """Writes files, as text; directories are made."""
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def make(directory: Path) -> Path:
    """The project, with its tables and its static files."""
    write(directory, FILES)
    directory.joinpath(".env").chmod(0o600)
    environment = {"DJANGO_SECRET_KEY": "only for these two commands"}
    manage(directory, "migrate", "--verbosity", "0", **environment)
    manage(directory, "collectstatic", "--no-input", "--verbosity", "0", **environment)
    directory.joinpath("shop.sqlite3").chmod(0o600)
    return directory


class Spoilt:
    """A copy of the project, to be changed and checked."""

    def __init__(self, original: Path, directory: Path) -> None:
        self.directory = Path(shutil.copytree(original, directory))

    def add(self, settings: str) -> None:
        """Adds lines to the settings module."""
        with (self.directory / "shop/settings.py").open("a") as file:
            file.write(settings)

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Runs `penstock check` in it."""
        return subprocess.run(
            [SCRIPTS / "penstock", "check", *arguments],
            cwd=self.directory,
            env=without_django() | environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def check(self, *arguments: str, **environment: str) -> dict[str, dict[str, Any]]:
        """What `penstock check --deploy` finds, by id; the last one of those that come twice."""
        done = self.run("--deploy", "--json", *arguments, **environment)
        assert done.stdout, done.stderr
        return {found["id"]: found for found in json.loads(done.stdout)["findings"]}


def without_django() -> dict[str, str]:
    """This process's environment, without what other tests may have left in it."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("DJANGO_", "PENSTOCK_"))} | {
        "PATH": os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
    }
