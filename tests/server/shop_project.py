"""The smallest Django project that has a manage.py: its name is shop."""

MANAGE = """\
import os
from django.core.management import execute_from_command_line
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
"""
SETTINGS = """\
import os
from pathlib import Path
BASE_DIR = Path(__file__).parent.parent
SECRET_KEY = "not secret"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "shop.urls"
GREETING = os.environ.get("GREETING", "hello")
STATIC_URL = "static/"
"""
URLS = """\
from django.conf import settings
from django.http import HttpResponse
from django.urls import path
urlpatterns = [path("", lambda request: HttpResponse(settings.GREETING))]
"""
WSGI = """\
import os
from django.core.wsgi import get_wsgi_application
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
application = get_wsgi_application()
"""


def write_shop(directory):
    """Makes the project, without a wsgi.py."""
    directory.joinpath("shop").mkdir()
    for name, text in {"manage": MANAGE, "shop/__init__": "", "shop/settings": SETTINGS, "shop/urls": URLS}.items():
        directory.joinpath(f"{name}.py").write_text(text)
