import pytest

from penstock.environment import gather
from penstock.errors import ConfigurationError


@pytest.fixture
def values(configure, tmp_path):
    """The variables that the site gets, by name; `real` are the ones that are set."""

    def gathered(real=None, **settings):
        found = gather(configure(real, **settings), real or {}, str(tmp_path))
        return {name: (variable.value, variable.origin) for name, variable in found.items()}

    return gathered


def test_what_penstock_is_told_wins_over_what_is_set_and_that_over_env_files(values, tmp_path):
    tmp_path.joinpath(".env").write_text("A=file\nB=file\nC=file\n")
    assert values({"A": "real", "B": "real"}, environment=["A=told"]) == {
        "A": ("told", "--environment"),
        "C": ("file", ".env"),
    }


def test_the_environment_is_no_variable_of_the_table(values):
    with pytest.raises(ConfigurationError, match=r"environment \(--environment\) sets DJANGO_ENV") as caught:
        values(environment=["DJANGO_ENV=live"])
    assert "--env NAME" in caught.value.hint


def test_a_secret_may_be_a_variable(values):
    assert values({"KEY": "k"}, secrets="KEY") == {"KEY": ("k", "the variable KEY")}


def test_a_secret_may_be_a_line_of_an_env_file(values, tmp_path):
    tmp_path.joinpath(".env").write_text("KEY=k\n")
    assert values(secrets="KEY") == {"KEY": ("k", ".env")}
    assert values({"KEY": ""}, secrets="KEY") == {"KEY": ("k", ".env")}


def test_a_secret_file_wins_over_an_env_file(values, tmp_path):
    tmp_path.joinpath(".env").write_text("KEY=development\n")
    tmp_path.joinpath("key").write_text("live\n")
    assert values({"KEY_FILE": "key"}, secrets="KEY") == {"KEY": ("live", f"KEY_FILE ({tmp_path}/key)")}


def test_the_file_may_be_named_in_the_table(values, tmp_path):
    tmp_path.joinpath("key").write_text("live")
    assert values(environment=["KEY_FILE=key"], secrets="KEY")["KEY"][0] == "live"


def test_without_being_listed_no_file_is_a_secret(values):
    assert values({"SSL_CERT_FILE": "/etc/ssl/cert.pem"}) == {}


def test_missing_secrets_are_named_with_the_places_that_do_not_have_them(values, tmp_path):
    with pytest.raises(ConfigurationError) as caught:
        values({"B": "here"}, secrets="A,B,C", env="live")
    assert caught.value.message == "the secrets A, C (--secrets) are missing"
    assert caught.value.detail.splitlines() == [
        "  - no variable A or C is set",
        "  - no variable A_FILE names a file with it",
        "  - systemd has passed on no credentials",
        f"  - no .env or .env.live in {tmp_path} has it",
    ]
    assert caught.value.exit_code == 2


def test_a_value_is_not_in_the_representation_of_a_variable(configure, tmp_path):
    [variable] = gather(configure(environment=["A=value"]), {}, str(tmp_path)).values()
    assert "value" not in repr(variable)
