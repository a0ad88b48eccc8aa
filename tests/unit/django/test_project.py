import pytest

from penstock.django.project import choose_settings, default_settings

NOBODY = ("", "default")


@pytest.mark.parametrize(
    ("source", "settings"),
    [
        ('os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")', "shop.settings"),
        ('environ["DJANGO_SETTINGS_MODULE"] = "shop.settings"', "shop.settings"),
        ('def main():\n    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "a.b")', "a.b"),
        ('os.environ.setdefault("DJANGO_SETTINGS_MODULE", f"{name}.settings")', None),
        ('os.environ.setdefault("OTHER", "shop.settings")', None),
        ("def (", None),
    ],
)
def test_the_default_settings_are_read_and_not_run(tmp_path, source, settings):
    path = tmp_path / "manage.py"
    path.write_text(source)
    assert default_settings(str(path)) == settings


def test_a_file_that_is_not_there_has_no_default(tmp_path):
    assert default_settings(str(tmp_path / "manage.py")) is None


def test_the_flag_wins_then_the_environment_then_env_files_then_manage_py(tmp_path):
    manage = tmp_path / "manage.py"
    manage.write_text('os.environ.setdefault("DJANGO_SETTINGS_MODULE", "manage")')
    real = {"DJANGO_SETTINGS_MODULE": "environment"}
    files = {"DJANGO_SETTINGS_MODULE": ("file", ".env")}
    assert choose_settings(("flag", "--settings"), real, files, [str(manage)]) == ("flag", "--settings")
    assert choose_settings(NOBODY, real, files, [str(manage)])[0] == "environment"
    assert choose_settings(NOBODY, {}, files, [str(manage)]) == ("file", ".env")
    assert choose_settings(NOBODY, {}, {}, [str(manage)]) == ("manage", str(manage))
    assert choose_settings(NOBODY, {}, {}, []) == ("", "")
