"""Fills the server options that a command line leaves out: from variables, or from a profile."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs

from workflow_async.auth import Secret
from workflow_async.cli.exit_codes import UsageError
from workflow_async.cli.secret_sources import SECRETS, SOURCES, read_source
from workflow_async.cli.target import Target

TEXTS = ("url", "username", "tenant", "run_as", "run_with_roles", "proxy")
PATHS = ("password_file", "token_file", "credentials", "ca_file", "client_cert")
NUMBERS = ("request_timeout", "rate")
FLAGS = ("digest", "allow_insecure_http")
OPTIONS = (*TEXTS, *PATHS, *NUMBERS, *FLAGS)
"""The options that a variable or a profile can set."""
YES, NO = frozenset({"1", "true", "yes", "on"}), frozenset({"0", "false", "no", "off"})


def with_variables(target: Target, system: str, names: Mapping[str, str], environment: Mapping[str, str]) -> Target:
    """Return the target with what the variables of its system say, such as OPENCAST_CA_FILE.

    Args:
        target: the options of the command line, which come first.
        system: the name of the system.
        names: the variables whose name does not follow from that of the option.
        environment: the variables.

    Raises:
        UsageError: a variable is not what its option takes.
    """
    found: dict[str, Any] = {}
    for option in OPTIONS:
        variable = names.get(option, f"{system}_{option}".upper())
        if environment.get(variable):
            found[option] = _from_text(option, variable, environment[variable])
    secrets = {name: f"{system}_{name}".upper() for name in ("password", "token")}
    given = {name: Secret(environment[variable]) for name, variable in secrets.items() if environment.get(variable)}
    return attrs.evolve(_with_missing(target, found), secrets=given)


def with_profile(target: Target, name: str, profile: Mapping[str, Any], environment: Mapping[str, str]) -> Target:
    """Return the target with what a profile says. `checked_profile` has checked it.

    Raises:
        UsageError: a secret is not where the profile says.
    """
    found = {
        option: _path(value) if option in PATHS else value for option, value in profile.items() if option in OPTIONS
    }
    filled = _with_missing(attrs.evolve(target, profile=name, system=profile["system"]), found)
    secrets = {
        secret: read_source(source, profile[key], filled.username or "", environment)
        for secret in SECRETS
        for source in SOURCES
        if (key := f"{secret}_{source}") in profile and getattr(target, f"{secret}_file", None) is None
    }
    return attrs.evolve(filled, secrets=secrets)


def checked_profile(place: str, profile: Any, systems: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a profile of the configuration file. Raise `UsageError` for an unknown key or a wrong value."""
    if not isinstance(profile, dict):
        raise UsageError(f"{place} must be a table, such as [{place}]")
    for key, value in profile.items():
        if key in SECRETS:
            places = ", ".join(name for name in CHECKS if name.startswith(f"{key}_"))
            raise UsageError(f"{place}.{key} must not stand in the file: give one of {places}")
        if key not in CHECKS:
            raise UsageError(f"{place}.{key} is not a setting: use one of {', '.join(sorted(CHECKS))}")
        if not CHECKS[key](value):
            raise UsageError(f"{place}.{key} has a value of the wrong type")
    if profile.get("system") not in systems:
        raise UsageError(f"{place}.system must be one of {', '.join(systems)}")
    return profile


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


CHECKS: Mapping[str, Callable[[Any], bool]] = {
    "system": _is_text,
    **dict.fromkeys(
        (
            *TEXTS,
            *(name for name in PATHS if name != "credentials"),
            *(f"{secret}_{source}" for secret in SECRETS for source in SOURCES),
        ),
        _is_text,
    ),
    **dict.fromkeys(NUMBERS, _is_number),
    **dict.fromkeys(FLAGS, _is_flag),
}
"""Every key of a profile, with the test of its value."""


def _with_missing(target: Target, found: Mapping[str, Any]) -> Target:
    """Return the target with the values for options that have their default."""
    empty = Target()
    missing = {name: value for name, value in found.items() if getattr(target, name) == getattr(empty, name)}
    return attrs.evolve(target, **missing)


def _from_text(option: str, variable: str, text: str) -> Any:
    if option in PATHS:
        return _path(text)
    if option in FLAGS:
        if text.lower() not in YES | NO:
            raise UsageError(f"{variable} must be 1 or 0")
        return text.lower() in YES
    if option in NUMBERS:
        number = _number(text)
        if not _is_number(number):
            raise UsageError(f"{variable} must be a number above 0")
        return number
    return text


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _path(text: str) -> Path:
    return Path(text).expanduser()
