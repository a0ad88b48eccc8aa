"""The site of django_observer, wrapped in its own wsgi.py by hand: the outer layer is good, the inner one is not."""

from django_observer import application
from middlewares import Joins, Passes

application = Passes(Joins(application))
