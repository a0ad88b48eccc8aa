import pytest

from penstock.django.settings_source import Source, Variable


def test_variables_are_found_however_they_are_read():
    source = Source(
        'A = os.environ["ONE"]\n'
        'B = os.environ.get("TWO", "2")\n'
        'C = os.getenv("THREE")\n'
        'D = env.bool("FOUR", default=False)\n'
        'E = config("FIVE", default=compute())\n'
        'F = environ.get("ONE", "again") + lookup("not a variable")\n'
    )
    assert source.variables() == [
        Variable("ONE", None),
        Variable("TWO", "2"),
        Variable("THREE", None),
        Variable("FOUR", "False"),
        Variable("FIVE", None),
    ]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("SECRET_KEY = 'abc'  # ours\n", "SECRET_KEY = os.environ.get(\"SECRET_KEY\", 'abc')  # ours\n"),
        ("DEBUG = True\n", 'DEBUG = os.environ.get("DJANGO_ENV", "development") == "development"\n'),
        ("ALLOWED_HOSTS = []", 'ALLOWED_HOSTS = os.environ.get("ALLOWED_HOSTS", "").replace(",", " ").split()\n'),
        (
            "BASE_DIR = Path('.')\nSTATIC_URL = 'static/'\n",
            "BASE_DIR = Path('.')\nSTATIC_URL = 'static/'\nSTATIC_ROOT = BASE_DIR / \"var\" / \"static\"\n",
        ),
        (
            "BASE_DIR = dirname(__file__)\nSTATIC_URL = 'static/'\n",
            "BASE_DIR = dirname(__file__)\nSTATIC_URL = 'static/'\n"
            'STATIC_ROOT = os.path.join(BASE_DIR, "var", "static")\n',
        ),
    ],
)
def test_values_that_differ_on_a_live_site_become_variables(before, after):
    assert Source(before).improved() == "import os\n" + after
    assert Source(after).improved() == ("import os\n" + after if "STATIC_ROOT" in before else after)


@pytest.mark.parametrize(
    "text",
    [
        'SECRET_KEY = read("/run/secrets/key")\n',
        "DEBUG = False\n",
        "DEBUG = True\nDEBUG = False\n",
        "if local:\n    DEBUG = True\n",
        'ALLOWED_HOSTS = ["example.com"]\n',
        "ALLOWED_HOSTS = [\n]\n",
        "STATIC_URL = 'static/'\n",
        "BASE_DIR = Path('.')\nSTATIC_URL = 'static/'\nif live:\n    STATIC_ROOT = '/srv/static'\n",
        "a = 1; DEBUG = True\n",
        "",
    ],
)
def test_everything_else_is_left_as_it_is(text):
    assert Source(text).improved() == text


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ('"""What it is."""\n', '"""What it is."""\nimport os\n'),
        (
            '"""What it is."""\n\nfrom pathlib import Path\n',
            '"""What it is."""\n\nimport os\nfrom pathlib import Path\n',
        ),
        ("from __future__ import annotations\n", "from __future__ import annotations\nimport os\n"),
        ("import os\n", "import os\n"),
        ("import os.path\n", "import os\nimport os.path\n"),
    ],
)
def test_os_is_imported_where_imports_stand(head, expected):
    improved = Source(head + "DEBUG = True\n").improved()
    assert improved.startswith(expected)
    compile(improved, "settings.py", "exec")


def test_the_ends_of_lines_stay_as_they_are():
    assert Source("DEBUG = True\r\nA = 1\r\n").improved().count("\r\n") == 3
    # Python sees no line end in a form feed.
    assert "\x0cA = 1\nDEBUG = os" in Source("\x0cA = 1\nDEBUG = True\n").improved()


def test_the_modules_that_it_takes_everything_from_are_named():
    assert Source("from .base import *\nfrom os import path\nfrom a.b import *\n").shared() == [".base", "a.b"]
