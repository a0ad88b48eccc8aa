"""Commands of `manage.py`, with penstock.django among the INSTALLED_APPS."""
