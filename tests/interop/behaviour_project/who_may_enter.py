"""Django's users and groups for Apache's Basic authentication; DJANGO_SETTINGS_MODULE says which."""

import django

django.setup()

from django.contrib.auth.handlers.modwsgi import check_password, groups_for_user  # noqa: E402, F401
