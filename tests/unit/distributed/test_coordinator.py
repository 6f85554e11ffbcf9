"""Watches are split into named shards."""

import pytest

from workflow_async import OpencastClient
from workflow_async.distributed import shards_of
from workflow_async.errors import InvalidArgument
from workflow_async.monitor import WatchSpec

URL = "http://127.0.0.1"


def test_shards_have_numbered_names_and_all_workflows_between_them() -> None:
    spec = WatchSpec.of(URL, range(1, 101))
    shards = shards_of("main", spec, 4)
    assert list(shards) == ["main-0", "main-1", "main-2", "main-3"]
    assert sorted(id for data in shards.values() for id in WatchSpec.from_bytes(data).ids) == list(range(1, 101))


def test_shards_without_a_workflow_are_left_out() -> None:
    assert len(shards_of("main", WatchSpec.of(URL, [1, 2]), 8)) <= 2
    assert shards_of("main", WatchSpec.of(URL, [])) == {}


def test_a_watch_of_filters_is_one_shard() -> None:
    spec = WatchSpec.where(OpencastClient(URL, auth=("user", "secret")), state="running")
    assert WatchSpec.from_bytes(shards_of("found", spec)["found-0"]).filters == {"state": "running"}
    with pytest.raises(InvalidArgument, match="cannot be those of a watch of filters"):
        shards_of("found", spec, 2)


@pytest.mark.parametrize("name", ["", "a b", "a.b", "a/b", "ä", "x" * 100, 7])
def test_a_name_has_up_to_100_plain_characters(name: str) -> None:
    with pytest.raises(InvalidArgument, match="name: must be 1 to 100 letters, digits"):
        shards_of(name, WatchSpec.of(URL, [1]))


@pytest.mark.parametrize("shards", [0, True, 1.5, 100_001])
def test_the_number_of_shards_is_checked(shards: int) -> None:
    with pytest.raises(InvalidArgument, match="shards: must be a whole number"):
        shards_of("main", WatchSpec.of(URL, [1]), shards)
