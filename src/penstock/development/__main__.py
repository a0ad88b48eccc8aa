"""`python -m penstock.development PLAN`: what `manage.py runserver` becomes, and a reloader that starts anew."""

import sys

from penstock.development.plan import Plan
from penstock.development.reloader import Reloader
from penstock.errors import PenstockError
from penstock.processes import play

if __name__ == "__main__":
    try:
        status = play(Reloader(Plan.unpack(sys.argv[1])).run)
    except PenstockError as error:
        print(f"error: {error}", file=sys.stderr)
        status = error.exit_code
    sys.exit(status)
