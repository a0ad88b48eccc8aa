"""A Django site in one file that tells what reached it. Each request_started and request_finished is sent as one
datagram ("started" or "finished") to the unix socket named by OBSERVER, so that a test can wait for it.
"""

import hashlib
import os
import socket
import threading

from django.conf import settings
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import path

settings.configure(
    SECRET_KEY="only for tests",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    # Above Django's own limit for bodies held in memory, as a site that takes large uploads would have it.
    DATA_UPLOAD_MAX_MEMORY_SIZE=64 * 1024 * 1024,
)

observer = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)


def tell(word):
    if "OBSERVER" in os.environ:
        observer.sendto(word.encode(), os.environ["OBSERVER"])


# Kept by name: Django holds its receivers by weak references.
def tell_started(**_):
    tell("started")


def tell_finished(**_):
    tell("finished")


request_started.connect(tell_started)
request_finished.connect(tell_finished)


def hello(request):
    return HttpResponse("hello")


def echo(request):
    return JsonResponse(
        {
            "post": request.POST.dict(),
            "files": {
                field: {"name": upload.name, "sha256": hashlib.sha256(upload.read()).hexdigest()}
                for field, upload in request.FILES.items()
            },
            "content_length": request.META.get("CONTENT_LENGTH"),
        }
    )


def body(request):
    return JsonResponse({"sha256": hashlib.sha256(request.body).hexdigest()})


def raises(request):
    raise RuntimeError("this view raises on purpose")


def stream(request):
    return StreamingHttpResponse(f"line {number}\n" for number in range(3))


def stream_raises(request):
    def pieces():
        yield "a piece\n"
        raise RuntimeError("this stream raises on purpose")

    return StreamingHttpResponse(pieces())


def overdue(request):
    """Past its deadline, if the site has one: it looks up again and again, as a loop of a view would."""
    while True:
        threading.Event().wait(0.01)


def endless(request):
    """Ends only because the client leaves."""

    def pieces():
        while True:
            yield b"x" * 65536

    return StreamingHttpResponse(pieces())


urlpatterns = [
    path("", hello),
    path("echo", echo),
    path("body", body),
    path("raises", raises),
    path("stream", stream),
    path("stream-raises", stream_raises),
    path("endless", endless),
    path("overdue", overdue),
]

application = get_wsgi_application()
