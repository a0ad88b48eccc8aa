import pytest

from penstock.django.project import Choice, default_settings, doubts, settings_choices
from penstock.env_files import Variable

NOBODY = Choice("", "default")


@pytest.mark.parametrize(
    ("source", "settings"),
    [
        ('os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")', "shop.settings"),
        ('environ["DJANGO_SETTINGS_MODULE"] = "shop.settings"', "shop.settings"),
        ('def main():\n    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "a.b")', "a.b"),
        ('NAME = "a.b"\nos.environ.setdefault("DJANGO_SETTINGS_MODULE", NAME)', "a.b"),
        ('os.environ.setdefault("DJANGO_SETTINGS_MODULE", f"{name}.settings")', None),
        ('name = name + "x"\nos.environ.setdefault("DJANGO_SETTINGS_MODULE", name)', None),
        ('os.environ.setdefault("DJANGO_SETTINGS_MODULE", f"{ENV!r}")', None),
        ('os.environ.setdefault("OTHER", "shop.settings")', None),
        ("def (", None),
    ],
)
def test_the_default_settings_are_read_and_not_run(tmp_path, source, settings):
    path = tmp_path / "manage.py"
    path.write_text(source)
    assert default_settings(str(path), {}) == settings


@pytest.mark.parametrize(
    "chosen",
    [
        "os.environ.get('DJANGO_ENV', 'development')",
        "environ.get('DJANGO_ENV', 'development')",
        "os.getenv('DJANGO_ENV', 'development')",
        "os.environ.get('DJANGO_ENV') or 'development'",
    ],
)
@pytest.mark.parametrize("put_together", ['f"shop.{environment}"', '"shop." + environment'])
def test_a_default_may_be_put_together_from_variables(tmp_path, chosen, put_together):
    path = tmp_path / "wsgi.py"
    path.write_text(f'environment = {chosen}\nos.environ.setdefault("DJANGO_SETTINGS_MODULE", {put_together})')
    assert default_settings(str(path), {}) == "shop.development"
    assert default_settings(str(path), {"DJANGO_ENV": "live"}) == "shop.live"


def test_a_variable_that_must_be_there_may_be_missing(tmp_path):
    path = tmp_path / "wsgi.py"
    path.write_text('os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop." + os.environ["STAGE"])')
    assert default_settings(str(path), {"STAGE": "live"}) == "shop.live"
    assert default_settings(str(path), {}) is None


def test_a_file_that_is_not_there_has_no_default(tmp_path):
    assert default_settings(str(tmp_path / "manage.py"), {}) is None


def test_the_flag_wins_then_the_environment_then_env_files_then_manage_py_then_wsgi_py(tmp_path):
    for name in ("manage", "wsgi"):
        (tmp_path / name).write_text(f'os.environ.setdefault("DJANGO_SETTINGS_MODULE", "{name}")')
    sources = {name: str(tmp_path / name) for name in ("manage", "wsgi")}
    flag = Choice("flag", "--settings")
    real = {"DJANGO_SETTINGS_MODULE": "environment"}
    file = {"DJANGO_SETTINGS_MODULE": Variable("file", ".env")}
    manage, wsgi = (Choice(name, name, is_default=True) for name in ("manage", "wsgi"))
    inherited = Choice("environment", "DJANGO_SETTINGS_MODULE in the environment")
    assert settings_choices(flag, real, {}, sources) == [flag, inherited, manage, wsgi]
    assert settings_choices(NOBODY, {}, file, sources) == [Choice("file", ".env"), manage, wsgi]
    assert settings_choices(NOBODY, {}, {}, {}) == []


def test_a_default_that_no_project_here_has_raises_no_doubt(tmp_path):
    inherited = Choice("live.settings", "DJANGO_SETTINGS_MODULE in the environment")
    assert doubts([inherited, Choice("renamed.settings", "manage.py", is_default=True)], str(tmp_path)) == []
