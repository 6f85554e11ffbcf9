"""The messages of a JVM about a configuration that is not an object of strings."""

from typing import Any

_OBJECT = "org.json.simple.JSONObject"
_TEXT = "java.lang.String"
_CLASSES = {
    bool: "java.lang.Boolean",
    int: "java.lang.Long",
    float: "java.lang.Double",
    str: _TEXT,
    list: "org.json.simple.JSONArray",
    dict: _OBJECT,
}
_LIBRARY = "unnamed module of loader 'app'"
_JAVA = "module java.base of loader 'bootstrap'"


def cast_error(tree: Any) -> str | None:
    """Return the message of the JVM for a configuration. None if the configuration is an object of strings."""
    if not isinstance(tree, dict):
        return _refusal(tree, _OBJECT)
    return next((_refusal(value, _TEXT) for value in tree.values() if not isinstance(value, str)), None)


def _refusal(value: Any, wanted: str) -> str:
    if value is None:
        return "null"
    given = _CLASSES[type(value)]
    return f"class {given} cannot be cast to class {wanted} ({_modules(given, wanted)})"


def _modules(given: str, wanted: str) -> str:
    modules = [_LIBRARY if name.startswith("org.") else _JAVA for name in (given, wanted)]
    if modules[0] == modules[1]:
        return f"{given} and {wanted} are in {modules[0]}"
    return f"{given} is in {modules[0]}; {wanted} is in {modules[1]}"
