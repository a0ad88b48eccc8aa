"""A page as projects have them: Django's default middleware, an ORM query on SQLite, a template.

"/" takes about 1.4 ms, "/long" about 5.

The database is the file that BENCH_DATABASE names; `python django_page.py` makes it.
"""

import os

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.template import engines
from django.urls import path

settings.configure(
    ALLOWED_HOSTS=["*"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["BENCH_DATABASE"]}},
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"],
    MIDDLEWARE=[
        "django.middleware.security.SecurityMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.middleware.clickjacking.XFrameOptionsMiddleware",
    ],
    ROOT_URLCONF=__name__,
    SECRET_KEY="only for measurements",
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
)
django.setup()

from django.contrib.auth.models import Group  # noqa: E402  (models exist only after setup)

PAGE = """<!doctype html><title>{{ title }}</title><h1>{{ title|upper }}</h1>
<table>{% for group in groups %}
<tr class="{% cycle 'odd' 'even' %}"><td>{{ forloop.counter }}</td>
<td><a href="/{{ group.pk }}">{{ group.name }}</a></td>
<td>{% if group.name|length > 8 %}long{% else %}short{% endif %}</td></tr>{% endfor %}</table>
"""
template = engines["django"].from_string(PAGE)


def page(request, rows=22):
    return HttpResponse(template.render({"title": "groups", "groups": Group.objects.order_by("name")[:rows]}, request))


urlpatterns = [path("", page), path("long", page, {"rows": 130})]
application = get_wsgi_application()

if __name__ == "__main__":
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    Group.objects.bulk_create(Group(name=f"group {number}") for number in range(200))
