"""A Django site that uses PostgreSQL at DATABASE_SOCKET, and may do so while it is loaded (QUERY_AT_IMPORT)."""

import json
import os
import threading

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.db import connection
from django.http import HttpResponse
from django.urls import path

settings.configure(
    SECRET_KEY="only for tests",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": "postgres",
            "USER": "postgres",
            "HOST": os.environ["DATABASE_SOCKET"],
            "CONN_MAX_AGE": json.loads(os.environ.get("CONN_MAX_AGE", "0")),
            "OPTIONS": {"application_name": "site", "pool": json.loads(os.environ.get("POOL", "false"))},
        }
    },
)

together = threading.Barrier(3)


def backend():
    """The process at the other end of this thread's connection."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return cursor.fetchone()[0]


def one(request):
    return HttpResponse(f"{os.getpid()} {backend()}")


def three(request):
    """Answers when three threads are in here, each with a connection."""
    pid = backend()
    together.wait(60)
    return HttpResponse(f"{os.getpid()} {pid}")


urlpatterns = [path("", one), path("three", three)]
application = get_wsgi_application()
if "QUERY_AT_IMPORT" in os.environ:
    backend()
