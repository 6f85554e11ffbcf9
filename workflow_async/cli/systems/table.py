"""The table of systems, and the choice among them."""

import os
from collections.abc import Mapping

from workflow_async.cli.systems.opencast import OpencastSystem
from workflow_async.cli.systems.preservica import PreservicaSystem
from workflow_async.cli.systems.system import AnySystem
from workflow_async.cli.target import Target

SYSTEMS: Mapping[str, type[AnySystem]] = {system.name: system for system in (OpencastSystem, PreservicaSystem)}
"""Every system by its name, the default first."""


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
    return choose_system(target, os.environ).from_target(target)


def _has_variables(system: type[AnySystem], environment: Mapping[str, str]) -> bool:
    return any(name.startswith(f"{system.name.upper()}_") for name in environment)
