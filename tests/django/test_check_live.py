"""`penstock check --live`: the site is started, asked what visitors ask, and ended; each wrong answer is explained."""

import os
import shutil
from pathlib import Path

from careful_project import write


def test_a_careful_site_gives_no_wrong_answer(spoilt):
    assert live(spoilt) == {}
    assert not [path for path in spoilt.directory.iterdir() if path.suffix in (".sock", ".log")]


def test_the_site_is_gone_afterwards(spoilt):
    live(spoilt)
    assert [pid for pid in os.listdir("/proc") if pid.isdigit() and works_in(pid, spoilt.directory)] == []


def test_a_site_that_refuses_its_own_name_is_explained(spoilt):
    spoilt.add("ALLOWED_HOSTS = []")
    found = live(spoilt)
    assert set(found) == {"E702"}
    assert "ALLOWED_HOSTS" in found["E702"]["hint"]


def test_a_view_that_raises_is_shown_with_its_traceback(spoilt):
    write(
        spoilt.directory,
        {
            "shop/urls.py": """
from django.urls import path
def view(request):
    raise LookupError("no such shelf")
urlpatterns = [path("", view)]
"""
        },
    )
    found = live(spoilt)
    assert set(found) == {"E703"}
    assert "shop/urls.py" in found["E703"]["detail"]
    assert found["E703"]["detail"].endswith("LookupError: no such shelf")


def test_a_project_without_a_first_page_is_told_so(spoilt):
    write(spoilt.directory, {"shop/urls.py": "urlpatterns = []\n"})
    assert set(live(spoilt)) == {"I704"}


def test_what_a_page_refers_to_in_any_letters_is_asked_for(spoilt):
    write(
        spoilt.directory,
        {
            "shop/urls.py": """
from django.http import HttpResponse
from django.urls import path
from django.views.decorators.http import require_GET
urlpatterns = [path("", require_GET(lambda request: HttpResponse("<img src='/static/shop/bücher.png'>")))]
"""
        },
    )
    found = live(spoilt)
    assert set(found) == {"E711"}
    assert "/static/shop/bücher.png" in found["E711"]["message"]


def test_a_redirect_to_what_is_no_address_ends_no_check(spoilt):
    write(
        spoilt.directory,
        {
            "shop/urls.py": """
from django.http import HttpResponse
from django.urls import path
urlpatterns = [path("", lambda request: HttpResponse(status=302, headers={"Location": "https://[nowhere"}))]
"""
        },
    )
    assert live(spoilt) == {}


def test_an_endless_redirect_to_https_is_explained(spoilt):
    spoilt.add("SECURE_PROXY_SSL_HEADER = ('HTTP_X_FORWARDED_PROTO', 'on')")
    assert set(live(spoilt)) == {"E705"}


def test_files_that_were_not_collected_are_missed(spoilt):
    shutil.rmtree(spoilt.directory / "var/static")
    assert set(live(spoilt)) == {"E703", "E706"}  # its template cannot name them either


def test_the_page_for_developers_is_no_page_for_visitors(spoilt):
    spoilt.add("DEBUG = True")
    assert set(live(spoilt)) == {"E707"}


def test_answers_that_are_too_kind_are_explained(spoilt):
    spoilt.add(
        "ALLOWED_HOSTS = ['shop.example', '*']\nMIDDLEWARE.remove('django.middleware.csrf.CsrfViewMiddleware')\n"
    )
    write(
        spoilt.directory,
        {
            "shop/urls.py": """
from django.shortcuts import render
from django.urls import re_path
urlpatterns = [re_path("", lambda request: render(request, "home.html"))]
""",
            "shop/templates/home.html": '<script src="/static/shop/none.js"></script>',
        },
    )
    found = live(spoilt)
    assert set(found) == {"W708", "W709", "W710", "E711"}
    assert "/static/shop/none.js" in found["E711"]["message"]


def test_a_site_that_does_not_start_is_shown_with_the_end_of_its_log(spoilt):
    write(spoilt.directory, {"shop/urls.py": "import sys\nurlpatterns = []\nif 'serve' in sys.argv: 1 / 0\n"})
    found = live(spoilt)
    assert set(found) == {"E701"}
    assert "ZeroDivisionError" in found["E701"]["detail"]


def test_it_is_started_with_the_same_arguments(spoilt):
    write(spoilt.directory, {"shop/other.py": "def app(environ, start_response):\n    1 / 0\n"})
    found = live(spoilt, "--no-request-id", "--static", "/more=shop/static", "shop.other:app")
    assert "ZeroDivisionError" in found["E703"]["detail"]


def test_a_look_at_the_site_releases_nothing_and_starts_nothing_beside_it(spoilt):
    live(spoilt, "--release=touch released", "--processes=queue=touch started", "--schedule=* * * * * *=touch run")
    assert not {"released", "started", "run"} & set(os.listdir(spoilt.directory))


def live(spoilt, *arguments):
    """What only the running site shows."""
    found = spoilt.check("--live", *arguments)
    return {id[-4:]: one for id, one in found.items() if one["theme"] == "The live site"}


def works_in(pid, directory):
    try:
        return Path(f"/proc/{pid}/cwd").resolve() == directory
    except OSError:
        return False
