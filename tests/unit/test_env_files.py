import pytest

from penstock.env_files import read_env_files, read_variable
from penstock.errors import ConfigurationError


def test_the_named_file_wins_and_each_variable_keeps_its_origin(tmp_path):
    tmp_path.joinpath(".env").write_text("A=1\nB=1\n")
    tmp_path.joinpath(".env.live").write_text("export B='2'\n")
    assert read_env_files(str(tmp_path), "live") == {"A": ("1", ".env", False), "B": ("2", ".env.live", False)}


def test_without_files_there_are_no_variables(tmp_path):
    assert read_env_files(str(tmp_path), "live") == {}
    assert read_variable(str(tmp_path), "A") is None


def test_one_variable_is_read_alone(tmp_path):
    tmp_path.joinpath(".env").write_text("A=1\n# B=2\n")
    assert read_variable(str(tmp_path), "A").value == "1"
    assert read_variable(str(tmp_path), "B") is None


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"A=1\nthis is = no line\n", r"\.env:2 is no line of the form NAME=value"),
        (b"A=\xff\n", r"\.env cannot be read: it is not UTF-8"),
    ],
)
def test_a_file_that_is_no_list_of_variables_is_refused(tmp_path, content, reason):
    tmp_path.joinpath(".env").write_bytes(content)
    with pytest.raises(ConfigurationError, match=reason):
        read_env_files(str(tmp_path), "")
