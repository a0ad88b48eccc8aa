"""Views that tell what reached the application: added to a project, so that servers can be compared from outside.

They import nothing of any server.
"""

import hashlib
import threading
from collections import Counter
from pathlib import Path

from django.conf import settings
from django.core.files.storage import default_storage
from django.core.signals import request_finished, request_started
from django.http import FileResponse, HttpResponse, JsonResponse, StreamingHttpResponse
from django.middleware.csrf import get_token
from django.urls import path, re_path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import etag

# Seconds after which a view gives up what it waits for, so that a test fails and does not hang.
PATIENCE = 20


class Current(threading.local):
    """The request that this thread answers; nothing while the first one has these views loaded."""

    name = ""


current = Current()
counted: Counter[str] = Counter()
has_counted = threading.Condition()


def count(what):
    with has_counted:
        counted[what] += 1
        has_counted.notify_all()


def note_start(environ, **_):
    current.name = environ.get("QUERY_STRING", "")


def note_end(**_):
    count(f"finished {current.name}")


request_started.connect(note_start)
request_finished.connect(note_end)


class Counted(HttpResponse):
    """A response that counts how often it is closed."""

    def __init__(self, name):
        super().__init__("counted", content_type="text/plain")
        self.name = name

    def close(self):
        super().close()
        count(f"closed {self.name}")


def environ(request, rest=""):
    told = {name: value for name, value in request.META.items() if isinstance(value, str)}
    scheme = request.META["wsgi.url_scheme"]
    return JsonResponse(
        told | {"wsgi.url_scheme": scheme, "path": request.path, "here": request.build_absolute_uri(), "rest": rest}
    )


@csrf_exempt
def body(request):
    content = request.read()
    return JsonResponse({"length": len(content), "hash": hashlib.sha256(content).hexdigest()})


def form(request):
    if request.method != "POST":
        return HttpResponse(get_token(request))
    told = dict(request.POST.items())
    for name, upload in request.FILES.items():
        kept = default_storage.save(f"uploads/{upload.name}", upload)
        told[name] = {"name": upload.name, "type": upload.content_type, "size": upload.size, "url": f"/media/{kept}"}
    return JsonResponse(told)


def cookies(request):
    response = JsonResponse(request.COOKIES)
    response.set_cookie("one", "1")
    response.set_cookie("two", "2", httponly=True)
    return response


def nothing(request):
    return HttpResponse(status=204)


@etag(lambda _: '"tagged"')
def tagged(request):
    return HttpResponse("tagged")


def fail(request):
    raise RuntimeError("this page always fails")


def stream(request):
    """Three lines; the second only when `go` has been asked for."""
    name = request.META["QUERY_STRING"]

    def lines():
        yield b"one\n"
        with has_counted:
            has_counted.wait_for(lambda: counted[f"go {name}"], PATIENCE)
        yield b"two\n"
        yield b"three\n"

    return StreamingHttpResponse(lines(), content_type="text/plain", headers={"X-Accel-Buffering": "no"})


def go(request):
    count(f"go {request.META['QUERY_STRING']}")
    return HttpResponse("going")


def endless(request):
    """Goes on until it is closed."""
    name = request.META["QUERY_STRING"]

    def pieces():
        try:
            while True:
                yield b"x" * 65536
        finally:
            count(f"closed {name}")

    return StreamingHttpResponse(pieces(), content_type="text/plain")


def close(request):
    return Counted(request.META["QUERY_STRING"])


def counts(request, name):
    """How often the request `name` was closed and finished; waits until it was at least once."""
    keys = [f"closed {name}", f"finished {name}"]
    with has_counted:
        has_counted.wait_for(lambda: all(counted[key] for key in keys), PATIENCE)
        return JsonResponse({key.split()[0]: counted[key] for key in keys})


def protected(request):
    notes = Path(settings.PROBED_FILES, "notes.txt").open("rb")  # noqa: SIM115 (the response closes it)
    response = FileResponse(notes, as_attachment=True)
    response["X-Accel-Redirect"] = "/protected/notes.txt"
    return response


def members(request):
    return HttpResponse(f"for {request.META.get('REMOTE_USER')}")


urlpatterns = [
    re_path("^environ/(.*)$", environ),
    path("body/", body),
    path("form/", form),
    path("cookies/", cookies),
    path("nothing/", nothing),
    path("tagged/", tagged),
    path("fail/", fail),
    path("stream/", stream),
    path("go/", go),
    path("endless/", endless),
    path("close/", close),
    path("counts/<name>/", counts),
    path("protected/", protected),
    path("members/", members),
]
