"""The variables of a site's processes: who gives each of them. Reads files, sets nothing.

From the strongest to the weakest: --env, `environment` in penstock.toml, what is really set, the files of `secrets`,
.env.NAME, .env.
"""

from collections.abc import Mapping

from penstock.config import DJANGO_ENV, Config
from penstock.env_files import Variable, read_env_files
from penstock.errors import ConfigurationError
from penstock.secrets import find_secret


def gather(config: Config, real: Mapping[str, str], directory: str) -> dict[str, Variable]:
    """The variables that the site's processes get over the real ones. Raises ConfigurationError.

    `directory` is the project's: .env stands there, and relative paths of secret files refer to it.
    """
    if DJANGO_ENV in config.environment:
        origin = config.origin("environment")
        raise ConfigurationError(f"environment ({origin}) sets {DJANGO_ENV}", "that is the setting env, or --env NAME")
    asked = {name: Variable(value, config.origin("environment")) for name, value in config.environment.items()}
    if config.env:
        asked[DJANGO_ENV] = Variable(config.env, config.origin("env"))
    given = {**real, **{name: variable.value for name, variable in asked.items()}}
    files = read_env_files(directory, config.env)
    variables = {name: variable for name, variable in files.items() if name not in real} | asked
    for name in config.secrets:
        if found := find_secret(name, given, directory):
            variables[name] = Variable(*found, is_secret=True)
        elif name in files and files[name].value:
            variables[name] = files[name]._replace(is_secret=True)
    refuse_missing(config, variables, given, directory)
    return variables


def refuse_missing(
    config: Config, variables: Mapping[str, Variable], given: Mapping[str, str], directory: str
) -> None:
    """Names every listed secret that nobody has given, and where it was looked for."""
    missing = [name for name in config.secrets if name not in variables or not variables[name].is_secret]
    if not missing:
        return
    names = ".env" + (f" or .env.{config.env}" if config.env else "")
    credentials = given.get("CREDENTIALS_DIRECTORY")
    tried = [f"no variable {' or '.join(missing)} is set", f"no variable {missing[0]}_FILE names a file with it"]
    tried.append(f"{credentials} has no such credential" if credentials else "systemd has passed on no credentials")
    tried.append(f"no {names} in {directory} has it")
    many = "the secrets" if len(missing) > 1 else "the secret"
    raise ConfigurationError(
        f"{many} {', '.join(missing)} ({config.origin('secrets')}) {'are' if len(missing) > 1 else 'is'} missing",
        f"set {missing[0]}, or {missing[0]}_FILE to the path of a file that holds it",
        "\n".join(f"  - {line}" for line in tried),
    )
