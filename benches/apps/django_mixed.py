"""The minimal view beside views that wait, read a body, or answer much: what may slow it down, and what must not."""

import time

from django.http import HttpResponse
from django.urls import path
from django_minimal import application, urlpatterns

__all__ = ["application"]

SLEEP_SECONDS = 0.05
LARGE_BYTES = 5_000_000


def sleep(_):
    time.sleep(SLEEP_SECONDS)
    return HttpResponse(b"slept", content_type="text/plain")


def upload(request):
    return HttpResponse(str(len(request.body)), content_type="text/plain")


def large(_):
    # Made anew for each request, as a view would: a shared object would hide what a server's buffers cost.
    return HttpResponse(b"x" * LARGE_BYTES, content_type="application/octet-stream")


urlpatterns += [path("sleep", sleep), path("upload", upload), path("large", large)]
