"""Real Django projects for sites, each with a database of its own, whose one page says in which world it was made."""

import http.client
import json
import sqlite3
from pathlib import Path

from asked_sites import ask
from running_penstock import RunningPenstock

MANAGE = """
import os, sys
if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "{name}.settings")
    from django.core.management import execute_from_command_line
    execute_from_command_line(sys.argv)
"""
SETTINGS = """
import os
SECRET_KEY = "only for a test"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "{name}.urls"
WSGI_APPLICATION = "{name}.wsgi.application"
DATABASES = {{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": r"{directory}/{name}.sqlite3"}}}}
GREETING = os.environ["GREETING"]
"""
WSGI = """
import os
from django.core.wsgi import get_wsgi_application
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "{name}.settings")
application = get_wsgi_application()
"""
URLS = """
import os, sys
import django
from django.conf import settings
from django.db import connection
from django.http import JsonResponse
from django.urls import path

def page(request):
    with connection.cursor() as cursor:
        cursor.execute("SELECT owner FROM facts")
        (owner,) = cursor.fetchone()
    return JsonResponse({
        "pid": os.getpid(), "python": sys.version_info[:2], "prefix": sys.prefix, "django": django.VERSION[:2],
        "urls": settings.ROOT_URLCONF, "module": os.environ["DJANGO_SETTINGS_MODULE"], "greeting": settings.GREETING,
        "owner": owner, "database": connection.settings_dict["NAME"], "environment": dict(os.environ),
    })

urlpatterns = [path("", page)]
"""


def write_project(directory: Path, name: str) -> None:
    """Writes NAME_project, whose database says whose it is."""
    project = directory / f"{name}_project"
    package = project / name
    package.mkdir(parents=True)
    package.joinpath("__init__.py").touch()
    for file, text in ((project / "manage.py", MANAGE), (package / "settings.py", SETTINGS)):
        file.write_text(text.format(name=name, directory=project))
    package.joinpath("wsgi.py").write_text(WSGI.format(name=name))
    package.joinpath("urls.py").write_text(URLS)
    with sqlite3.connect(project / f"{name}.sqlite3") as database:
        database.execute("CREATE TABLE facts (owner TEXT)")
        database.execute("INSERT INTO facts VALUES (?)", (f"{name}'s",))
    database.close()


def page_of(server: RunningPenstock, name: str, connection: http.client.HTTPConnection | None = None) -> dict:
    """What the page of a project says."""
    status, text = ask(server.port, f"{name}.example", connection=connection)
    assert status == 200, text
    return json.loads(text)
