"""Carry a watch one round further: `python cron.py FILE` in the crontab. `python cron.py FILE ID...` adds workflows."""

import asyncio
import fcntl
import json
import os
import sys
from pathlib import Path

from workflow_async import OpencastClient
from workflow_async.monitor import WatchSpec, poll_once


def load(path: Path) -> WatchSpec:
    return WatchSpec.from_bytes(path.read_bytes()) if path.exists() else WatchSpec.of(os.environ["OPENCAST_URL"], [])


def save(path: Path, spec: WatchSpec) -> None:
    """Replace the file by a new one whose data is on the disk. A crash leaves the old file or the new one."""
    temporary = path.with_suffix(".new")
    with temporary.open("wb") as file:
        file.write(spec.to_bytes())
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)


async def carry_on(spec: WatchSpec) -> WatchSpec:
    async with OpencastClient.from_env() as oc:
        polled = await poll_once(oc, spec, within=50)
    for event in polled.events:
        print(json.dumps({"key": event.key, **event.to_dict()}), flush=True)  # to a receiver that drops known keys
    return polled.spec


def main(path: Path, ids: list[str]) -> None:
    with path.with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX if ids else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return  # another run is at work
        save(path, asyncio.run(carry_on(load(path).add(*ids))))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
