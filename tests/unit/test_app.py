import os
import re
import textwrap

import pytest

from penstock import app
from penstock.app import find, load
from penstock.errors import AppFailed, AppNotFound, ConfigurationError, UsageError
from penstock.secrets import MASK

HELLO = """
    def application(environ, start_response):
        start_response("200 OK", [])
        return [b"hello"]
"""
MANAGE = (
    'import os\nfrom django.core import management\nos.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")\n'
)


@pytest.fixture
def write(tmp_path):
    """Writes modules: by their names, or by their paths."""

    def put(paths=None, **modules):
        for name, text in ((paths or {}) | {f"{name}.py": text for name, text in modules.items()}).items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text))

    return put


def load_target(configure, target):
    config = configure(app=target)
    return load(find(config, {}), config)


def values_of(found):
    return {name: variable.value for name, variable in found.variables.items()}


# -- finding


def test_manage_py_here_or_above_names_the_project(write, configure, tmp_path):
    write({"shop/pages/views.py": ""}, manage=MANAGE)
    found = find(configure(chdir="shop/pages"), {})
    assert found.directory == found.path == str(tmp_path)
    assert (found.settings, found.module) == ("shop.settings", "")
    assert values_of(found) == {"DJANGO_SETTINGS_MODULE": "shop.settings"}


def test_the_settings_flag_wins_over_the_environment(write, configure):
    write(manage=MANAGE)
    real = {"DJANGO_SETTINGS_MODULE": "shop.live"}
    found = find(configure(settings="shop.test"), real)
    assert (found.settings, found.settings_origin) == ("shop.test", "--settings")
    assert found.variables["DJANGO_SETTINGS_MODULE"].value == "shop.test"
    assert [choice.module for choice in found.choices] == ["shop.test", "shop.live", "shop.settings"]
    assert find(configure(), real).settings == "shop.live"


def test_env_files_add_variables_and_the_named_one_wins(write, configure, tmp_path):
    write(manage=MANAGE)
    tmp_path.joinpath(".env").write_text("A=1\nB=1\nDJANGO_SETTINGS_MODULE=shop.dotenv\n")
    tmp_path.joinpath(".env.live").write_text("B=2\n")
    assert values_of(find(configure(), {})) == {"A": "1", "B": "1", "DJANGO_SETTINGS_MODULE": "shop.dotenv"}
    found = find(configure(env="live"), {})
    assert values_of(found) == {"A": "1", "B": "2", "DJANGO_ENV": "live", "DJANGO_SETTINGS_MODULE": "shop.dotenv"}
    assert found.settings_origin == ".env"


def test_env_files_never_win_over_the_real_environment(write, configure, tmp_path):
    write(manage=MANAGE)
    tmp_path.joinpath(".env").write_text("A=file\nB=file\n")
    assert values_of(find(configure(), {"A": "real"})) == {"B": "file", "DJANGO_SETTINGS_MODULE": "shop.settings"}


def test_an_environment_that_nothing_knows_is_a_slip(write, configure, tmp_path):
    write(manage=MANAGE)
    tmp_path.joinpath(".env.live").touch()
    with pytest.raises(ConfigurationError, match=r"nothing here knows the environment 'life' \(--env\)") as caught:
        find(configure(env="life"), {})
    assert caught.value.hint == "did you mean 'live'?"
    assert find(configure(env="live"), {}).variables["DJANGO_ENV"].value == "live"


@pytest.mark.parametrize("reader", ["manage.py", "shop/wsgi.py", "shop/settings.py"])
def test_an_environment_may_be_one_that_only_the_project_knows(write, configure, reader):
    write({"manage.py": MANAGE, reader: f"{MANAGE}os.environ.get('DJANGO_ENV')"})
    assert find(configure(env="live"), {}).variables["DJANGO_ENV"] == ("live", "--env", False)


def test_manage_py_may_choose_by_the_environment(write, configure):
    module = """f"shop.settings.{os.environ.get('DJANGO_ENV', 'development')}"
"""
    write(manage=f'import os, django\nos.environ.setdefault("DJANGO_SETTINGS_MODULE", {module})')
    found = find(configure(), {})
    assert (found.settings, found.settings_origin.endswith("manage.py")) == ("shop.settings.development", True)
    found = find(configure(env="production"), {})
    assert found.settings == "shop.settings.production"
    assert found.settings_origin.endswith("manage.py, by --env")


def test_a_variable_of_another_project_is_doubted(write, configure):
    write({"shop/settings.py": ""}, manage=MANAGE)
    [warning] = find(configure(), {"DJANGO_SETTINGS_MODULE": "blog.settings"}).warnings
    assert warning.startswith("DJANGO_SETTINGS_MODULE in the environment names blog.settings, which does not belong")
    assert "manage.py names shop.settings" in warning


def test_settings_of_this_project_are_not_doubted(write, configure):
    write({"shop/settings.py": "", "configuration/live.py": ""}, manage=MANAGE)
    for module in ("shop.settings", "shop.other", "configuration.live"):
        assert find(configure(), {"DJANGO_SETTINGS_MODULE": module}).warnings == []
    assert find(configure(settings="blog.settings"), {}).warnings == []


def test_that_manage_py_and_wsgi_py_disagree_is_told(write, configure):
    write({"shop/wsgi.py": 'os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.live")'}, manage=MANAGE)
    found = find(configure(), {})
    assert found.settings == "shop.settings"
    [warning] = found.warnings
    assert "shop/wsgi.py names shop.live: the first one counts; choose with --settings" in warning
    assert find(configure(settings="shop.settings"), {}).warnings == []


def test_without_manage_py_the_only_wsgi_py_is_taken(write, configure, tmp_path):
    write({"shop/wsgi.py": 'os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")'})
    found = find(configure(), {})
    assert (found.module, found.rule) == ("shop.wsgi", "the only */wsgi.py here")
    assert (found.settings, found.settings_origin.endswith("shop/wsgi.py")) == ("shop.settings", True)


def test_nothing_found_lists_what_was_tried(configure):
    with pytest.raises(AppNotFound) as caught:
        find(configure(), {})
    assert caught.value.detail.splitlines() == [
        "  - no TARGET was given",
        "  - no penstock.toml here names an app",
        "  - there is no manage.py of Django here or above",
        "  - there is no */wsgi.py here",
    ]


def test_several_wsgi_py_are_listed_and_none_is_guessed(write, configure):
    write({"shop/wsgi.py": "", "blog/wsgi.py": ""})
    with pytest.raises(AppNotFound) as caught:
        find(configure(), {})
    assert "there are several wsgi.py: blog/wsgi.py, shop/wsgi.py" in caught.value.detail


def test_a_manage_py_without_a_plain_default_says_so(write, configure):
    write(manage="# django\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', choose())")
    with pytest.raises(AppNotFound) as caught:
        find(configure(), {})
    assert "manage.py names no settings module in plain words" in caught.value.detail


def test_the_file_may_name_the_application(write, configure, tmp_path):
    tmp_path.joinpath("penstock.toml").write_text('[site]\napp = "shop.wsgi"\n')
    write(manage=MANAGE)
    assert find(configure(), {}).module == "shop.wsgi"


@pytest.mark.parametrize(
    "target", ["a b", "shop:", "shop:a-b", ":app", "shop:app()()", "shop..wsgi", "shop:create('x')"]
)
def test_what_is_no_target_is_refused_with_the_forms(configure, target):
    with pytest.raises(UsageError) as caught:
        find(configure(app=target), {})
    assert "module:attribute" in caught.value.hint


@pytest.mark.parametrize(
    ("target", "module", "path"),
    [("tool.py", "tool", ""), ("shop/wsgi.py:app", "shop.wsgi", ""), ("lib/tool.py", "tool", "lib")],
)
def test_a_file_is_a_module_of_the_first_directory_that_is_no_package(write, configure, target, module, path):
    write({"shop/__init__.py": "", "shop/wsgi.py": "", "lib/tool.py": ""}, tool="")
    config = configure(app=target)
    found = find(config, {})
    assert (found.module, found.path) == (module, os.path.join(config.directory, path).rstrip("/"))


def test_a_file_that_is_not_there_is_named_with_the_nearest(write, configure):
    write(hello="")
    with pytest.raises(AppNotFound, match=r"there is no file .*helo\.py") as caught:
        find(configure(app="helo.py"), {})
    assert caught.value.hint == "did you mean 'hello.py'?"


def test_a_script_is_run_by_its_path_as_mod_wsgi_does(write, configure, own_process, tmp_path):
    write({"etc/shop-live.wsgi": HELLO + "    app = application\n"})
    for target, attribute in (("etc/shop-live.wsgi", "application"), (f"{tmp_path}/etc/shop-live.wsgi:app", "app")):
        loaded = load_target(configure, target)
        assert loaded.application({}, lambda *_: None) == [b"hello"]
        assert loaded.name == f"{tmp_path}/etc/shop-live.wsgi:{attribute}"


def test_a_script_that_is_not_there_comes_with_the_most_similar_one(write, configure, own_process):
    write({"shop.wsgi": HELLO, "shop.py": ""})
    with pytest.raises(AppNotFound) as caught:
        find(configure(app="./shap.wsgi"), {})
    assert caught.value.message == "there is no file shap.wsgi (TARGET)"
    assert caught.value.hint == "did you mean 'shop.wsgi'?"


def test_a_script_does_not_hide_the_wsgi_module_of_a_package(write, configure, own_process):
    write({"shop.wsgi": "raise NotImplementedError", "shop/__init__.py": "", "shop/wsgi.py": HELLO})
    assert load_target(configure, "shop.wsgi").name == "shop.wsgi:application"
    assert find(configure(app="./shop.wsgi"), {}).module.endswith("/shop.wsgi")


def test_a_script_that_raises_shows_its_own_traceback(write, configure, own_process):
    write({"shop.wsgi": "application = 1 / 0\n"})
    with pytest.raises(AppFailed) as caught:
        load_target(configure, "shop.wsgi")
    assert "ZeroDivisionError" in caught.value.message
    assert 'shop.wsgi", line 1' in caught.value.detail


# -- loading


@pytest.mark.parametrize("target", ["hello", "hello:application", "hello.py", "hello:Site.app", "hello:create()"])
def test_every_form_of_target_leads_to_the_application(write, configure, own_process, target):
    write(hello=textwrap.dedent(HELLO) + "class Site:\n    app = application\ndef create():\n    return application\n")
    loaded = load_target(configure, target)
    assert loaded.application({}, lambda *_: None) == [b"hello"]
    assert loaded.name.startswith("hello:")


def test_app_is_the_second_usual_name(write, configure, own_process):
    write(flasky="app = lambda environ, start_response: []")
    assert load_target(configure, "flasky").name == "flasky:app"


def test_python_path_comes_first(write, configure, own_process):
    write({"first/hello.py": HELLO}, hello="application = 1")
    config = configure(app="hello", python_path=["first"])
    assert callable(load(find(config, {}), config).application)


def test_a_missing_module_is_named_with_the_nearest(write, configure, own_process):
    write({"shop/wsgi.py": HELLO, "shop/__init__.py": ""})
    with pytest.raises(AppNotFound, match=r"^there is no module 'shopp' \(for shopp.wsgi\)") as caught:
        load_target(configure, "shopp.wsgi")
    assert caught.value.hint == "did you mean 'shop'?"
    with pytest.raises(AppNotFound, match=r"^there is no module 'shop\.wsgy'") as caught:
        load_target(configure, "shop.wsgy")
    assert caught.value.hint == "did you mean 'shop.wsgi'?"


def test_a_missing_attribute_is_named_with_the_nearest(write, configure, own_process):
    write(hello=HELLO)
    with pytest.raises(AppNotFound, match=r"^hello has no attribute 'app'") as caught:
        load_target(configure, "hello:app")
    assert caught.value.hint == "did you mean 'application'?"


def test_a_module_without_the_usual_names_asks_for_one(write, configure, own_process):
    write(plain="x = 1")
    with pytest.raises(AppNotFound, match="plain has neither 'application' nor 'app'") as caught:
        load_target(configure, "plain")
    assert "plain:NAME" in caught.value.hint


def test_what_cannot_be_called_is_refused(write, configure, own_process):
    write(numbers_="application = 42")
    with pytest.raises(AppNotFound, match="numbers_:application is not callable: it is a int"):
        load_target(configure, "numbers_")


def test_an_import_error_inside_the_application_is_shown_with_its_own_lines_only(write, configure, own_process):
    write(broken="def deeper():\n    import surely_missing\ndeeper()\n")
    with pytest.raises(AppFailed, match="No module named 'surely_missing'") as caught:
        load_target(configure, "broken")
    assert "broken.py" in caught.value.detail
    assert "import surely_missing" in caught.value.detail
    assert "penstock/app.py" not in caught.value.detail
    assert "importlib" not in caught.value.detail
    assert "install it for" in caught.value.hint
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)


def test_a_syntax_error_is_named_with_its_line(write, configure, own_process):
    write(slip="x = 1\ndef (:\n")
    with pytest.raises(AppFailed, match=r"invalid syntax in .*slip\.py, line 2"):
        load_target(configure, "slip")


def test_an_application_that_exits_while_it_is_loaded_is_a_failure(write, configure, own_process):
    write(leaver="import sys\nsys.exit('no database')\n")
    with pytest.raises(AppFailed, match=r"it called sys.exit\('no database'\)"):
        load_target(configure, "leaver")


def test_a_factory_that_fails_is_the_applications_failure(write, configure, own_process):
    write(factory="def create():\n    raise KeyError('DATABASE_URL')\n")
    with pytest.raises(AppFailed, match=r"factory:create\(\) failed: KeyError: 'DATABASE_URL'"):
        load_target(configure, "factory:create()")


def test_a_long_traceback_is_cut_to_the_frames_next_to_the_mistake(write, configure, own_process):
    functions = "".join(f"def f{n}():\n    f{n + 1}()\n" for n in range(40))
    write(deep=f"{functions}def f40():\n    1 / 0\nf0()\n")
    with pytest.raises(AppFailed) as caught:
        load_target(configure, "deep")
    assert caught.value.detail.count("File ") == app.TRACEBACK_FRAMES
    assert caught.value.detail.endswith("ZeroDivisionError: division by zero\n")


def test_a_traceback_does_not_show_how_installed_packages_came_to_the_project(write, configure, own_process, tmp_path):
    write(
        {"site-packages/framework.py": "import choices\n", "site-packages/alone.py": "1 / 0\n"},
        choices="import alone\n",
    )
    config = configure(app="framework", python_path=["site-packages"])
    with pytest.raises(AppFailed) as caught:
        load(find(config, {}), config)
    assert re.findall(r"(\w+)\.py", caught.value.detail) == ["choices", "alone"]
    config = configure(app="alone", python_path=["site-packages"])
    with pytest.raises(AppFailed) as caught:
        load(find(config, {}), config)
    assert "alone.py" in caught.value.detail


def test_settings_that_belong_elsewhere_and_are_not_here_are_an_error(write, configure, own_process):
    write({"shop/settings.py": ""}, manage=MANAGE)
    config = configure()
    with pytest.raises(AppNotFound, match=r"there is no settings module 'blog_\.settings'") as caught:
        load(find(config, {"DJANGO_SETTINGS_MODULE": "blog_.settings"}), config)
    assert "does not belong to this project" in caught.value.hint
    assert "shop.settings" in caught.value.hint


def test_secrets_are_masked_in_the_failures_of_the_application(write, configure, own_process, tmp_path):
    tmp_path.joinpath(".env").write_text("SIGNING_KEY=correct-horse\nDATABASE=db://me:battery-staple@host/\n")
    write(
        teller="import os\n"
        "raise ValueError(' and '.join(os.environ[name] for name in ('SIGNING_KEY', 'DATABASE', 'PLAIN')))"
    )
    config = configure(app="teller", environment={"PLAIN": "nothing-special"})
    with pytest.raises(AppFailed) as caught:
        load(find(config, {}), config)
    assert f"ValueError: {MASK} and db://me:{MASK}@host/ and nothing-special" in caught.value.message
    assert "correct-horse" not in str(caught.value)
    assert "battery-staple" not in str(caught.value)


def test_another_project_that_the_application_imports_is_refused(write, configure, own_process, running_settings):
    running_settings("shop.settings")
    write(
        {"blog/wsgi.py": 'import os\nos.environ.setdefault("DJANGO_SETTINGS_MODULE", "blog.settings")\n'},
        both=f"import blog.wsgi\n{textwrap.dedent(HELLO)}",
    )
    with pytest.raises(ConfigurationError) as caught:
        load_target(configure, "both")
    assert caught.value.message == (
        "both:application brings a second Django project: this process already runs with shop.settings, "
        "and blog.wsgi wants blog.settings"
    )
    assert "a site of its own" in caught.value.hint


def test_an_application_that_sets_its_settings_itself_is_told_of(write, configure, own_process, running_settings):
    running_settings("shop.settings")
    write(hello=f'import os\nos.environ["DJANGO_SETTINGS_MODULE"] = "shop.settings"\n{textwrap.dedent(HELLO)}')
    config = configure(app="hello", settings="shop.live")
    loaded = load(find(config, {}), config)
    assert loaded.settings == ("shop.settings", "set by hello", False)
    [warning] = loaded.warnings
    assert warning.startswith("shop.live (--settings) has no effect, because hello sets DJANGO_SETTINGS_MODULE")
