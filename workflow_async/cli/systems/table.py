"""The table of systems, and the choice among them."""

import os
from collections.abc import Mapping
from typing import Any

from workflow_async.cli.config_file import read_config
from workflow_async.cli.exit_codes import UsageError
from workflow_async.cli.settings_sources import with_profile, with_variables
from workflow_async.cli.systems.opencast import OpencastSystem
from workflow_async.cli.systems.preservica import PreservicaSystem
from workflow_async.cli.systems.system import AnySystem
from workflow_async.cli.target import Target

SYSTEMS: Mapping[str, type[AnySystem]] = {system.name: system for system in (OpencastSystem, PreservicaSystem)}
"""Every system by its name, the default first."""
PROFILE_VARIABLE = "WORKFLOW_ASYNC_PROFILE"


def choose_system(target: Target, environment: Mapping[str, str]) -> type[AnySystem]:
    """Return the system that the options name, else the only one that has environment variables.

    If several or none have variables, return the only system that has the command, else the default.
    """
    if target.system is not None:
        return SYSTEMS[target.system]
    default, *_ = SYSTEMS.values()
    configured = [system for system in SYSTEMS.values() if _has_variables(system, environment)]
    if target.credentials is not None:
        return next(system for system in SYSTEMS.values() if system.has_credentials_file)
    if len(configured) == 1:
        return configured[0]
    return next((system for system in SYSTEMS.values() if target.command in system.own_commands), default)


def system_for(target: Target) -> AnySystem:
    """Return the chosen system with a client of the target. The client is not open yet."""
    profile = choose_profile(target, os.environ)
    if profile is not None:
        filled = with_profile(target, *profile, os.environ)
        return choose_system(filled, os.environ).from_target(filled)
    system = choose_system(target, os.environ)
    return system.from_target(with_variables(target, system.name, system.variables, os.environ))


def choose_profile(target: Target, environment: Mapping[str, str]) -> tuple[str, Mapping[str, Any]] | None:
    """Return the name and the content of the profile to use. None if options or variables name the server.

    Raises:
        UsageError: there is no such profile, or the options contradict it.
    """
    name = target.profile
    if name is None and target.url is None and target.credentials is None:
        name = environment.get(PROFILE_VARIABLE)
        configured = any(_has_variables(system, environment) for system in SYSTEMS.values())
        if not name and not configured and target.system is None:
            name = read_config(SYSTEMS).default
    if not name:
        return None
    profile = read_config(SYSTEMS).profile(name)
    if target.url is not None or target.credentials is not None or target.system not in {None, profile["system"]}:
        raise UsageError(f"the profile {name!r} names the server: leave out --url, --credentials and --system")
    return name, profile


def _has_variables(system: type[AnySystem], environment: Mapping[str, str]) -> bool:
    return any(name.startswith(f"{system.name.upper()}_") for name in environment)
