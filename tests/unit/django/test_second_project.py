import os
import sys
from types import ModuleType

import pytest

from penstock.django.second_project import refuse_second_project
from penstock.errors import ConfigurationError

WSGI = 'import os\nos.environ.setdefault("DJANGO_SETTINGS_MODULE", "{}")\n'


@pytest.fixture
def load_module(tmp_path, own_process, running_settings, monkeypatch):
    """Puts a module with this text among those that are loaded, in a process that runs with shop.settings."""
    running_settings("shop.settings")
    sys.path.insert(0, str(tmp_path))
    for package in ("shop", "blog"):
        tmp_path.joinpath(package).mkdir()

    def put(name, text):
        path = tmp_path / f"{name}.py"
        path.write_text(text)
        module = ModuleType(name)
        module.__file__ = str(path)
        monkeypatch.setitem(sys.modules, name, module)

    return put


@pytest.mark.parametrize(("name", "asked"), [("blog.wsgi", "front"), ("blog_application", "blog_application")])
def test_what_is_loaded_must_not_belong_to_another_project(load_module, name, asked):
    before = set(sys.modules)
    load_module(name, WSGI.format("blog.settings"))
    with pytest.raises(ConfigurationError) as caught:
        refuse_second_project(asked, before, "the mount /blog")
    assert caught.value.message == (
        "the mount /blog brings a second Django project: this process already runs with shop.settings, "
        f"and {name} wants blog.settings"
    )


@pytest.mark.parametrize(
    "text", [WSGI.format("shop.settings.live"), WSGI.format("surely_missing.settings"), "application = print"]
)
def test_the_same_project_no_project_and_one_that_is_not_here_may_be_loaded(load_module, text):
    before = set(sys.modules)
    load_module("blog.wsgi", text)
    refuse_second_project("blog.wsgi", before, "the mount /blog")


def test_what_was_there_before_is_not_asked(load_module):
    load_module("blog.wsgi", WSGI.format("blog.settings"))
    refuse_second_project("blog.wsgi", set(sys.modules), "the mount /blog")


def test_the_first_project_of_a_process_is_the_one_that_its_variable_names(load_module, monkeypatch):
    monkeypatch.delitem(sys.modules, "django.conf")
    before = set(sys.modules)
    load_module("blog.wsgi", WSGI.format("blog.settings"))
    os.environ["DJANGO_SETTINGS_MODULE"] = "blog.settings"
    refuse_second_project("blog.wsgi", before, "the mount /blog")
