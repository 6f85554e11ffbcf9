"""Start a workflow on an event and wait until it ends: `python script.py EVENT DEFINITION`."""

import asyncio
import os
import sys

from workflow_async import OpencastClient, Phase
from workflow_async.errors import WorkflowAsyncError


async def main(event: str, definition: str) -> int:
    auth = (os.environ["OPENCAST_USERNAME"], os.environ["OPENCAST_PASSWORD"])
    async with OpencastClient(os.environ["OPENCAST_URL"], auth=auth) as oc:
        workflow = await oc.workflows.start(event, definition)
        print(workflow.id, workflow.state_text, flush=True)
        done = await oc.workflows.wait(workflow.id, timeout=3600)
        print(done.id, done.state_text)
    return 0 if done.phase is Phase.SUCCEEDED else 1


if __name__ == "__main__":
    try:
        sys.exit(asyncio.run(main(*sys.argv[1:])))
    except WorkflowAsyncError as error:
        sys.exit(f"script.py: {error}")
