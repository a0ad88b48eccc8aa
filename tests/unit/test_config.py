import os

import pytest

from penstock.config import find_file, line_of, load
from penstock.errors import ConfigurationError


def test_without_any_layer_every_value_is_the_default(configure):
    config = configure()
    assert config.bind == ["127.0.0.1:8000"]
    assert config.origin("bind") == "default"
    assert config.graceful_timeout == 30


def test_each_layer_wins_over_the_one_below(tmp_path, configure, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tmp_path.joinpath("penstock.toml").write_text("[site]\nworkers = 2\nthreads = 2\nmax_body = '2MiB'\n")
    config = configure({"PENSTOCK_THREADS": "3", "PENSTOCK_WORKERS": "3"}, workers="4")
    assert (config.workers, config.origin("workers")) == (4, "--workers")
    assert (config.threads, config.origin("threads")) == (3, "PENSTOCK_THREADS")
    assert (config.max_body, config.origin("max_body")) == (2 * 2**20, "penstock.toml:4")
    assert config.backlog == 2048


def test_paths_in_the_file_refer_to_its_directory(tmp_path, configure):
    tmp_path.joinpath("conf").mkdir()
    tmp_path.joinpath("conf/site.toml").write_text('[site.static]\n"/static/" = "var/static"\n')
    config = configure(config="conf/site.toml")
    assert config.static == {"/static/": str(tmp_path / "conf/var/static")}


def test_the_file_is_found_beside_manage_py_above(tmp_path):
    tmp_path.joinpath("manage.py").touch()
    tmp_path.joinpath("penstock.toml").touch()
    tmp_path.joinpath("mysite").mkdir()
    assert find_file(str(tmp_path / "mysite")) == str(tmp_path / "penstock.toml")


def test_a_file_that_leads_nowhere_is_an_error_and_not_passed_over(tmp_path, configure):
    tmp_path.joinpath("penstock.toml").symlink_to("shared/penstock.toml")
    with pytest.raises(ConfigurationError, match=r"penstock\.toml cannot be read: No such file or directory"):
        configure()


def test_a_file_above_without_manage_py_is_not_ours(tmp_path):
    tmp_path.joinpath("penstock.toml").touch()
    tmp_path.joinpath("mysite").mkdir()
    assert find_file(str(tmp_path / "mysite")) is None


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("[site]\nworkrs = 1\n", r"toml:2: \[site\] has no key 'workrs'", "did you mean 'workers'?"),
        ("[server]\n\nworkers = 1\n", r"toml:3: \[server\] has no key 'workers'", "it belongs in [site]"),
        ("workers = 1\n", "toml:1: unknown key 'workers'", "write it below [site]"),
        (
            "[site]\nworkers = 1\n[sites.shop]\n",
            r"toml:3: there are \[site\] and sites",
            "one site is [site]; of several each is a [sites.NAME]",
        ),
        (
            "[web]\n",
            "toml:1: unknown key 'web'",
            "the sections are [server] and [site], [sites.NAME] and [env.NAME.site]",
        ),
        ("site = 3\n", "toml:1: site is no table", "it begins with [site]"),
        ("[env.live]\nworkers = 1\n", "toml:2: unknown key 'env.live.workers'", "write it below [env.live.site]"),
        ("[env.live.site]\nworkrs = 1\n", r"toml:2: \[env.live.site\] has no key 'workrs'", "did you mean 'workers'?"),
        ('[env."live.eu".site]\nworkrs = 1\n', r"toml:2: \[env.live.eu.site\]", "did you mean 'workers'?"),
        ("[env.live.server]\nworkers = 1\n", r"toml:2: \[env.live.server\]", "it belongs in [env.live.site]"),
        ("[env.live.site]\nenv = 'x'\n", "toml:2: .* cannot choose another env", "write it in [site]"),
        (
            "env = 'live'\n",
            "toml:1: below env are tables",
            "as in [env.production.site]; which one is taken is env in [site]",
        ),
        ("[site]\nworkers = 'x'\n", r"workers cannot be 'x' \(.*toml:2\): expected a whole", "the default is 'auto'"),
        ("[site]\nworkers = [\n", "is not valid TOML", ""),
    ],
)
def test_a_mistake_in_the_file_is_named_with_its_line(tmp_path, configure, text, message, hint):
    tmp_path.joinpath("penstock.toml").write_text(text)
    with pytest.raises(ConfigurationError, match=message) as caught:
        configure()
    assert caught.value.hint == hint
    assert caught.value.exit_code == 2


OVERLAID = """
[site]
workers = 1
threads = 1
environment = { A = "1", B = "1" }

[env.live.site]
workers = 2

[env.live.server]
bind = [":80"]

[env.live.site.environment]
B = "2"

[env.test.site]
workers = 3
"""


def test_the_part_of_the_file_for_an_environment_is_laid_over_the_rest(tmp_path, configure, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tmp_path.joinpath("penstock.toml").write_text(OVERLAID)
    config = configure(env="live")
    assert (config.workers, config.origin("workers")) == (2, "penstock.toml:8")
    assert (config.threads, config.origin("threads")) == (1, "penstock.toml:4")
    assert (config.bind, config.origin("bind")) == (["0.0.0.0:80"], "penstock.toml:11")
    assert (config.environment, config.origin("environment")) == ({"A": "1", "B": "2"}, "penstock.toml:13")
    assert configure({"PENSTOCK_WORKERS": "9"}, env="live").workers == 9
    assert configure(env="other").workers == configure().workers == 1
    assert config.environments == ("live", "test")


def test_an_environment_is_chosen_by_the_flag_then_variables_then_the_file_then_an_env_file(tmp_path, configure):
    def chosen(*arguments, **named):
        config = configure(*arguments, **named)
        return config.env, os.path.basename(config.origin("env"))

    assert chosen() == ("", "default")
    tmp_path.joinpath(".env").write_text("DJANGO_ENV=dotenv\n")
    assert chosen() == ("dotenv", "DJANGO_ENV in .env")
    tmp_path.joinpath("penstock.toml").write_text("[site]\nenv = 'file'\n[env.dotenv.site]\nworkers = 1\n")
    assert chosen() == ("file", "penstock.toml:2")
    assert chosen({"DJANGO_ENV": "django"}) == ("django", "DJANGO_ENV")
    assert chosen({"DJANGO_ENV": "django", "PENSTOCK_ENV": "ours"}) == ("ours", "PENSTOCK_ENV")
    assert chosen({"PENSTOCK_ENV": "ours"}, env="flag") == ("flag", "--env")
    assert chosen({"DJANGO_ENV": ""}) == ("", "DJANGO_ENV")


def test_an_environment_of_an_env_file_chooses_its_part_of_the_file(tmp_path, configure):
    tmp_path.joinpath("penstock.toml").write_text(OVERLAID)
    tmp_path.joinpath(".env").write_text("DJANGO_ENV=test\n")
    assert configure().workers == 3


def test_a_wrong_variable_is_named_and_its_value_is_not(tmp_path, configure):
    tmp_path.joinpath("penstock.toml").write_text('[site]\nenvironment = { KEY = "secret", PORT = 7 }\n')
    with pytest.raises(ConfigurationError, match=r"toml:2\): the value of PORT must be text") as caught:
        configure()
    assert "secret" not in str(caught.value)


def test_a_wrong_value_in_the_environment_names_the_variable(configure):
    with pytest.raises(ConfigurationError, match=r"head_timeout cannot be 'soon' \(PENSTOCK_HEAD_TIMEOUT\)"):
        configure({"PENSTOCK_HEAD_TIMEOUT": "soon"})


def test_a_file_that_is_named_must_be_there(configure):
    with pytest.raises(ConfigurationError, match="cannot be read: No such file"):
        configure(config="nowhere.toml")


def test_chdir_must_be_a_directory(configure):
    with pytest.raises(ConfigurationError, match=r"--chdir names .*nowhere, which is not a directory"):
        configure(chdir="nowhere")


def test_chdir_leads_to_the_file(tmp_path):
    tmp_path.joinpath("site").mkdir()
    tmp_path.joinpath("site/penstock.toml").write_text("[site]\nworkers = 7\n")
    config = load({"chdir": "site"}, {}, str(tmp_path))
    assert config.workers == 7
    assert config.directory == str(tmp_path / "site")


def test_the_line_of_a_key_is_the_one_in_its_section():
    text = '[server]\nname = 1\n[site]\nother = 2\n"name" = 3\n[site.static]\n"/x" = "y"\n'
    assert line_of(text, "site", "name") == 5
    assert line_of(text, "site", "static") == 6
