# %% [markdown]
# How long do the workflows of each definition take? In a notebook, `await` the function of each cell.

# %%
import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import timedelta
from statistics import median

from workflow_async import OpencastClient, Phase
from workflow_async.opencast import Workflow


# %%
async def ended_workflows(limit: int) -> Sequence[Workflow]:
    async with OpencastClient.from_env() as oc:
        listing = oc.workflows.list(state="succeeded", limit=limit, with_operations=True)
        return [workflow async for workflow in listing if workflow.phase is Phase.SUCCEEDED]


# %%
def took(workflow: Workflow) -> timedelta:
    operations = workflow.operations or ()
    starts = [operation.start for operation in operations if operation.start is not None]
    ends = [operation.completion for operation in operations if operation.completion is not None]
    return max(ends) - min(starts) if starts and ends else timedelta()


# %%
def by_definition(workflows: Sequence[Workflow]) -> Mapping[str, timedelta]:
    durations: dict[str, list[timedelta]] = defaultdict(list)
    for workflow in workflows:
        durations[workflow.definition_id].append(took(workflow))
    return {
        name: timedelta(seconds=median(each.total_seconds() for each in found)) for name, found in durations.items()
    }


# %%
async def main() -> None:
    for name, duration in sorted(by_definition(await ended_workflows(500)).items()):
        print(f"{name:30} {duration}")


if __name__ == "__main__":
    asyncio.run(main())
