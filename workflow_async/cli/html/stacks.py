"""Where the time of the workflows of each definition went: the operations of their mean duration, stacked. Pure."""

import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from attrs import frozen

from workflow_async.batch import StartStatus
from workflow_async.cli.html.attempts import names_of
from workflow_async.cli.html.markup import plural, safe, shortened
from workflow_async.cli.timeline import format_seconds

MAX_COLOURS = 8
"""The operations that took the most time have a colour of their own."""
OTHER, BETWEEN, WHOLE = "other", "between", "whole"
"""The colours of the other operations, of the time between operations, and of a workflow without operations."""
BETWEEN_TEXT, WHOLE_TEXT = "between operations", "whole workflow"
MIN_SHARE = 0.002
"""The smallest share of a stack that is drawn."""
MAX_NAME = 60
EXPLANATION = (
    "The mean of the workflows that succeeded, by the clock of the server. Between the operations are the queue, "
    "pauses, and earlier attempts of operations that were repeated."
)
NO_OPERATIONS = "The server does not say how long each step took."


@frozen
class Layer:
    """A part of the mean duration of a definition's workflows."""

    name: str
    colour: str
    seconds: float


@frozen
class Stack:
    """The mean duration of a definition's workflows that succeeded, in layers."""

    definition: str
    workflows: int
    seconds: float
    layers: Sequence[Layer]
    """In the order of execution. Then the other operations, and the time between operations."""


def stacks_of(statuses: Iterable[StartStatus]) -> Sequence[Stack]:
    """Return a stack for each definition, the longest mean duration first."""
    by_definition: dict[str, list[StartStatus]] = {}
    for status in statuses:
        if status.word == "succeeded" and status.took is not None:
            by_definition.setdefault(names_of(status)[0], []).append(status)
    means = {definition: _operation_means(each) for definition, each in by_definition.items()}
    colours = _colours(means.values())
    found = [_stack(definition, each, means[definition], colours) for definition, each in by_definition.items()]
    return sorted(found, key=lambda stack: -stack.seconds)


def _operation_means(statuses: Sequence[StartStatus]) -> Mapping[str, float]:
    """Return the mean seconds of each operation, in the order of execution. Operations with one name are one."""
    return _sums(
        (each.operation, each.seconds / len(statuses)) for status in statuses for each in status.operations or ()
    )


def _sums(seconds: Iterable[tuple[str, float]]) -> Mapping[str, float]:
    """Return the sum for each name, in the order of the first one."""
    sums: defaultdict[str, float] = defaultdict(float)
    for name, each in seconds:
        sums[name] += each
    return sums


def _colours(means: Iterable[Mapping[str, float]]) -> Mapping[str, str]:
    """Return the colour of each operation that has one of its own."""
    totals = _sums(each for mean in means for each in mean.items())
    longest = sorted(totals, key=lambda name: -totals[name])[:MAX_COLOURS]
    return {name: str(n) for n, name in enumerate(longest, 1)}


def _stack(
    definition: str, statuses: Sequence[StartStatus], means: Mapping[str, float], colours: Mapping[str, str]
) -> Stack:
    seconds = statistics.fmean(status.took.total_seconds() for status in statuses if status.took is not None)
    if all(status.operations is None for status in statuses):
        layers = [Layer(WHOLE_TEXT, WHOLE, seconds)]
    else:
        layers = [Layer(name, colours[name], each) for name, each in means.items() if name in colours]
        others = {name: each for name, each in means.items() if name not in colours}
        layers += [Layer(_name_of(others), OTHER, sum(others.values()))] if others else []
        layers.append(Layer(BETWEEN_TEXT, BETWEEN, seconds - sum(means.values())))
    shown = [layer for layer in layers if layer.seconds > MIN_SHARE * seconds]
    return Stack(definition, len(statuses), seconds, shown)


def _name_of(others: Mapping[str, float]) -> str:
    return next(iter(others)) if len(others) == 1 else plural(len(others), "other operation")


def stacked_durations(statuses: Iterable[StartStatus]) -> str:
    """Return a bar for each definition, with the name and the time of each of its parts below it."""
    stacks = stacks_of(statuses)
    if not stacks:
        return ""
    known = any(layer.colour != WHOLE for stack in stacks for layer in stack.layers)
    rows = "".join(_row(stack, stacks[0].seconds) for stack in stacks)
    return f'<h3>By operation</h3><p class="dim">{EXPLANATION if known else NO_OPERATIONS}</p>{rows}'


def _row(stack: Stack, top: float) -> str:
    width = 100 * stack.seconds / top if top else 100
    parts = "".join(_part(layer, stack.seconds) for layer in stack.layers)
    legend = "".join(map(_key, stack.layers))
    label = safe(f"{stack.definition}: {', '.join(map(_text, stack.layers))}")
    return (
        f'<div class="stack"><p>{shortened(stack.definition)} <span class="dim">{format_seconds(stack.seconds)}, '
        f"{plural(stack.workflows, 'workflow')}</span></p>"
        f'<div role="img" aria-label="{label}" style="width:{width:.1f}%">{parts}</div><ul>{legend}</ul></div>'
    )


def _part(layer: Layer, seconds: float) -> str:
    share = 100 * layer.seconds / seconds
    return f'<i class="part-{layer.colour}" style="width:{share:.2f}%" title="{safe(_text(layer))}"></i>'


def _key(layer: Layer) -> str:
    name, time = shortened(layer.name, MAX_NAME), format_seconds(layer.seconds)
    return f'<li class="key part-{layer.colour}">{name} <b>{time}</b></li>'


def _text(layer: Layer) -> str:
    return f"{layer.name} {format_seconds(layer.seconds)}"
