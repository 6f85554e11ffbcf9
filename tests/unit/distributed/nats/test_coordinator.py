import json
import time
from dataclasses import replace
from typing import Any

import anyio
import nats.errors
import pytest
from attrs import evolve
from nats.js import api
from nats.js.errors import APIError, NotFoundError

from tests.support.nats_workers import (
    SPEC,
    LossyClient,
    NatsWorkers,
    OwnTime,
    claim_all,
    connect,
    owner_in,
    seen_by,
    until,
)
from workflow_async import Clock
from workflow_async.distributed import Claim, shards_of
from workflow_async.distributed.nats import NatsCoordinator, ShardInfo
from workflow_async.distributed.nats.shard_bucket import ensure_stream
from workflow_async.errors import ClientClosed, CoordinatorUnavailable, InvalidArgument
from workflow_async.monitor import Change, WatchSpec
from workflow_async.testing import change, opencast_workflow

LEASE = 20.0


ENDED = change(opencast_workflow(1, "succeeded"))


def ended(id: int) -> Change[Any]:
    """Return the end of a workflow. Its key differs from those of others."""
    return evolve(ENDED, workflow=evolve(ENDED.workflow, id=id), key=f"key {id}")


async def stored_events(workers: NatsWorkers) -> list[tuple[str, str]]:
    """Return subject and key of every event, in their order."""
    async with await connect(workers.url) as client:
        js = client.jetstream()
        stream = f"{workers.name}-events"
        count = (await js.stream_info(stream)).state.messages
        found = [await js.get_msg(stream, n + 1) for n in range(count)]
        return [(str(message.subject), (message.headers or {})["Nats-Msg-Id"]) for message in found]


async def test_a_worker_alone_claims_every_shard_with_its_watch(workers: NatsWorkers) -> None:
    worker = await workers.add()
    assert await worker.put({"a-0": b"zero", "a-1": b"one"}) == ("a-0", "a-1")
    leases = await claim_all(worker)
    assert {shard: lease.spec for shard, lease in leases.items()} == {"a-0": b"zero", "a-1": b"one"}
    assert await worker.claim(leases) == Claim()


async def test_put_leaves_shards_that_exist_as_they_are(workers: NatsWorkers) -> None:
    worker = await workers.add()
    await worker.put({"a-0": SPEC})
    lease = (await claim_all(worker))["a-0"]
    await worker.release(lease, finished=True)
    assert await worker.put({"a-0": SPEC, "a-1": SPEC}) == ("a-1",)
    assert [*await claim_all(worker)] == ["a-1"]


async def test_two_workers_that_claim_at_once_never_have_the_same_shard(workers: NatsWorkers) -> None:
    first, second = await workers.add(), await workers.add()
    await first.put({f"a-{n}": SPEC for n in range(8)})
    found: dict[str, list[str]] = {first.worker: [], second.worker: []}

    async def claim(worker: NatsCoordinator) -> None:
        found[worker.worker] += [lease.shard for lease in (await worker.claim(found[worker.worker])).leases]

    async with anyio.create_task_group() as group:
        group.start_soon(claim, first)
        group.start_soon(claim, second)
    for worker in (first, second):
        await claim(worker)
    claimed = [*found[first.worker], *found[second.worker]]
    assert sorted(claimed) == [f"a-{n}" for n in range(8)]


async def test_a_worker_claims_no_more_than_its_share(workers: NatsWorkers) -> None:
    first, second = await workers.add(), await workers.add()
    await first.put({f"a-{n}": SPEC for n in range(7)})
    await second._feed.say("alive")
    await until(lambda: second.worker in first._view._alive(0.0))
    assert len(await claim_all(first)) == 4
    assert len(await claim_all(second)) == 3


async def test_each_write_gives_a_larger_token_and_only_the_newest_is_accepted(workers: NatsWorkers) -> None:
    worker, other = await workers.add(), await workers.add()
    await worker.put({"a-0": SPEC})
    claimed = (await claim_all(worker))["a-0"]
    renewed = await worker.renew(claimed)
    assert renewed is not None
    saved = await worker.save(renewed, b"later", ())
    assert saved is not None
    assert claimed.token < renewed.token < saved.token
    assert saved.spec == b"later"
    assert await other.renew(saved) is not None  # a token counts, whoever has it
    assert await worker.renew(saved) is None


async def test_a_worker_that_stopped_beyond_its_lease_is_fenced_off(workers: NatsWorkers) -> None:
    stopped, time = await workers.add(), OwnTime()
    other = await workers.add(time.clock)
    await stopped.put({"a-0": SPEC})
    lease = (await claim_all(stopped))["a-0"]
    await seen_by(other, lease)
    time.now = LEASE - 1
    assert await other.claim(()) == Claim()
    time.now = LEASE
    taken = (await claim_all(other))["a-0"]
    assert taken.token > lease.token
    assert await stopped.renew(lease) is None
    assert await stopped.save(lease, b"stale", (ended(1),)) is None
    await stopped.release(lease, finished=True)
    assert await other.renew(taken) is not None
    assert [(info.owner, info.size) for info in await other.shards()] == [(other.worker, len(SPEC))]


async def test_clocks_of_machines_need_not_agree(workers: NatsWorkers) -> None:
    early, late = OwnTime(-1e6), OwnTime(1e9)
    owner, other = await workers.add(early.clock), await workers.add(late.clock)
    await owner.put({"a-0": SPEC})
    lease = (await claim_all(owner))["a-0"]
    for _ in range(3):
        await seen_by(other, lease)
        late.now += LEASE - 1  # and nothing passes on the clock of the owner
        assert await other.claim(()) == Claim()
        renewed = await owner.renew(lease)
        assert renewed is not None
        lease = renewed
    await seen_by(other, lease)
    late.now += LEASE
    assert [*await claim_all(other)] == ["a-0"]


async def test_events_are_stored_in_their_order_and_repeats_are_dropped_by_key(workers: NatsWorkers) -> None:
    worker = await workers.add()
    await worker.put({"a-0": SPEC})
    lease = (await claim_all(worker))["a-0"]
    events = [ended(n) for n in range(600)]
    saved = await worker.save(lease, b"later", events[:400])
    assert saved is not None
    assert await worker.save(saved, b"last", events[300:]) is not None
    assert await stored_events(workers) == [(f"{workers.name}.events.a-0", f"key {n}") for n in range(600)]


async def test_an_event_is_its_dictionary_with_its_class_in_a_header(workers: NatsWorkers) -> None:
    worker = await workers.add()
    await worker.put({"a-0": SPEC})
    lease = (await claim_all(worker))["a-0"]
    await worker.save(lease, SPEC, (ended(7),))
    message = await worker.client.jetstream().get_msg(f"{workers.name}-events", 1)
    assert json.loads(message.data or b"") == ended(7).to_dict()
    assert (message.headers or {})["Workflow-Event"] == "Change"


async def test_the_duplicate_window_is_longer_than_a_takeover(workers: NatsWorkers) -> None:
    worker = await workers.add(lease_seconds=300.0)
    config = (await worker.client.jetstream().stream_info(f"{workers.name}-events")).config
    assert config.duplicate_window == 1200.0
    await workers.add(lease_seconds=1.0)


async def test_a_stream_that_exists_is_used_as_it_is(workers: NatsWorkers) -> None:
    async with await connect(workers.url) as client:
        subjects = [f"{workers.name}.events.>"]
        await client.jetstream().add_stream(
            api.StreamConfig(name=f"{workers.name}-events", subjects=subjects, max_age=60.0, duplicate_window=60.0)
        )
    worker = await workers.add()
    assert (await worker.client.jetstream().stream_info(f"{workers.name}-events")).config.max_age == 60.0


async def test_a_stream_that_another_worker_creates_at_the_same_time_is_used(workers: NatsWorkers) -> None:
    async with await connect(workers.url) as client:
        js = client.jetstream()
        config = api.StreamConfig(name=f"{workers.name}-any", subjects=[f"{workers.name}.any"], max_msgs=7)
        await js.add_stream(config)

        async def not_found(name: str) -> api.StreamInfo:
            raise NotFoundError

        real, js.stream_info = js.stream_info, not_found  # type: ignore[method-assign,assignment]  # it came later
        await ensure_stream(js, replace(config, max_msgs=8))
        assert (await real(f"{workers.name}-any")).config.max_msgs == 7
        with pytest.raises(APIError):
            await ensure_stream(js, replace(config, name=f"{workers.name}-other"))


async def test_a_released_shard_is_free_at_once(workers: NatsWorkers) -> None:
    first, second = await workers.add(), await workers.add()
    await first.put({"a-0": SPEC})
    lease = (await claim_all(first))["a-0"]
    saved = await first.save(lease, b"later", ())
    assert saved is not None
    await first.release(saved, finished=False)
    await until(lambda: len(second._view.claimable((), 0.0)) == 1)
    assert (await claim_all(second))["a-0"].spec == b"later"
    assert not await second.over()


async def test_a_finished_shard_loses_its_watch_and_is_never_claimed(workers: NatsWorkers) -> None:
    worker = await workers.add()
    assert not await worker.over()
    await worker.put({"a-0": SPEC})
    await worker.release((await claim_all(worker))["a-0"], finished=True)
    assert await worker.over()
    assert await worker.claim(()) == Claim()
    (info,) = await worker.shards()
    assert info == ShardInfo(shard="a-0", owner="", finished=True, age=info.age, size=0, left=0)


async def test_finished_shards_can_be_removed(workers: NatsWorkers) -> None:
    worker = await workers.add()
    await worker.put({"a-0": SPEC, "a-1": SPEC})
    await worker.release((await claim_all(worker))["a-0"], finished=True)
    assert await worker.remove_finished() == 1
    assert [info.shard for info in await worker.shards()] == ["a-1"]
    assert await worker.put({"a-0": SPEC, "a-1": SPEC}) == ("a-0",)


async def test_a_worker_that_comes_gets_its_share(workers: NatsWorkers) -> None:
    first = await workers.add()
    await first.put({f"a-{n}": SPEC for n in range(8)})
    held = await claim_all(first)
    second = await workers.add()
    await seen_by(second, *held.values())
    assert await second.claim(()) == Claim()
    await until(lambda: second.worker in first._view._alive(0.0))
    assert await first.claim(held) == Claim(surplus=4)
    for shard in [*held][:4]:
        await first.release(held.pop(shard), finished=False)
    await until(lambda: len(second._view.claimable((), 0.0)) == 4)
    assert len(await claim_all(second)) == 4
    assert await first.claim(held) == Claim()


async def test_the_share_of_a_worker_that_leaves_is_free_at_once(workers: NatsWorkers) -> None:
    first, second = await workers.add(), await workers.add()
    await second.claim(())
    await until(lambda: second.worker in first._view._alive(0.0))
    await second.leave()
    await until(lambda: second.worker not in first._view._alive(0.0))


async def test_a_shard_that_is_being_released_is_not_claimed_again(workers: NatsWorkers) -> None:
    worker = await workers.add(OwnTime().clock)
    await worker.put({"a-0": SPEC})
    lease = (await claim_all(worker))["a-0"]
    worker._leaving.add("a-0")
    assert await worker.claim(()) == Claim()
    worker._leaving.clear()
    assert (await claim_all(worker))["a-0"].token > lease.token


async def test_a_shard_that_was_deleted_by_hand_is_forgotten(workers: NatsWorkers) -> None:
    worker, other = await workers.add(), await workers.add()
    await worker.put({"a-0": SPEC, "a-1": SPEC})
    lease = (await claim_all(worker))["a-0"]
    kv = await worker.client.jetstream().key_value(workers.name)
    await kv.delete("a-0")
    await until(lambda: [entry.shard for entry in other._view.entries] == ["a-1"])
    assert await worker.save(lease, SPEC, ()) is None


async def test_a_claim_does_not_take_what_has_changed_since_it_was_judged(workers: NatsWorkers) -> None:
    worker, other = await workers.add(), await workers.add()
    await worker.put({"a-0": SPEC, "b-0": SPEC})
    await until(lambda: len(other._view.entries) == 2)
    stale = {entry.shard: entry for entry in other._view.entries}
    await claim_all(worker)
    await until(lambda: owner_in(other, "a-0") == owner_in(other, "b-0") == worker.worker)
    assert await other._claim(stale["a-0"]) is None
    await worker.client.jetstream().purge_stream(f"KV_{workers.name}", subject=f"$KV.{workers.name}.b-0")
    assert await other._claim(stale["b-0"]) is None
    assert [entry.shard for entry in other._view.entries] == ["a-0"]


# The cost


async def test_a_round_costs_one_operation_for_each_shard_and_one_for_each_event(workers: NatsWorkers) -> None:
    time = OwnTime()
    worker = await workers.add(time.clock)
    await worker.put({f"a-{n}": SPEC for n in range(8)})
    leases = await claim_all(worker)
    sent = worker.client.stats["out_msgs"]
    for shard, lease in leases.items():
        leases[shard] = await worker.save(lease, SPEC, ()) or lease
        await worker.claim(leases)
        await worker.over()
    assert worker.client.stats["out_msgs"] - sent == 8
    await worker.save(leases["a-0"], SPEC, [ended(n) for n in range(1, 6)])
    assert worker.client.stats["out_msgs"] - sent == 8 + 5 + 1


async def test_a_worker_sends_three_signs_of_life_in_a_lease(workers: NatsWorkers) -> None:
    time = OwnTime()
    worker = await workers.add(time.clock)
    sent = worker.client.stats["out_msgs"]
    for _ in range(60):
        await worker.claim(())
        time.now += LEASE / 20
    assert worker.client.stats["out_msgs"] - sent == 10


async def test_watches_are_sent_to_their_owners_only(workers: NatsWorkers) -> None:
    worker, other = await workers.add(), await workers.add()
    await worker.put({"a-0": bytes(100_000)})
    lease = (await claim_all(worker))["a-0"]
    for _ in range(5):
        lease = (await worker.renew(lease)) or lease
    await seen_by(other, lease)
    assert other.client.stats["in_bytes"] < 10_000


# What goes wrong


@pytest.mark.parametrize("lost", ["requests", "answers"])
async def test_what_is_lost_does_not_stay_in_doubt(workers: NatsWorkers, lost: str) -> None:
    worker = await workers.add()
    network = LossyClient(worker.client, "$KV.")
    setattr(network, lost, 1)
    assert await worker.put({"a-0": SPEC}) == ("a-0",)
    setattr(network, lost, 1)
    lease = (await claim_all(worker))["a-0"]
    setattr(network, lost, 2)
    saved = await worker.save(lease, b"later", ())
    assert saved is not None
    assert saved.token == lease.token + 1
    setattr(network, lost, 1)
    await worker.release(saved, finished=True)
    assert await worker.over()


async def test_an_event_whose_answer_is_lost_is_stored_once(workers: NatsWorkers) -> None:
    worker = await workers.add()
    await worker.put({"a-0": SPEC})
    lease = (await claim_all(worker))["a-0"]
    LossyClient(worker.client, workers.name, answers=3)
    assert await worker.save(lease, SPEC, [ended(n) for n in range(1, 6)]) is not None
    assert len(await stored_events(workers)) == 5


async def test_a_save_that_arrives_after_it_was_given_up_does_not_fence_its_own_worker(workers: NatsWorkers) -> None:
    worker = await workers.add(Clock(), lease_seconds=2.0)
    await worker.put({"a-0": SPEC})
    lease = (await claim_all(worker))["a-0"]
    network = LossyClient(worker.client, "$", answers=1000)
    with pytest.raises(CoordinatorUnavailable, match="has not answered in time: check that the server can be reached"):
        await worker.save(lease, b"later", ())
    network.answers = 0
    renewed = await worker.save(lease, b"last", ())
    assert renewed is not None
    assert renewed.token == lease.token + 2


async def test_a_claim_whose_answers_are_lost_is_repeated_without_waiting_for_the_lease(workers: NatsWorkers) -> None:
    worker = await workers.add(Clock(), lease_seconds=2.0)
    await worker.put({"a-0": SPEC})
    network = LossyClient(worker.client, "$KV.", answers=1000)
    network.prefix = "$JS.API.STREAM.MSG.GET"
    with pytest.raises(CoordinatorUnavailable):
        await worker.claim(())
    network.prefix, network.answers = "$KV.", 1
    assert [*await claim_all(worker)] == ["a-0"]
    assert [*await claim_all(worker)] == ["a-0"]


async def test_events_that_cannot_be_stored_keep_the_watch_as_it_was(workers: NatsWorkers) -> None:
    worker = await workers.add(Clock(), lease_seconds=2.0)
    await worker.put({"a-0": SPEC})
    lease = (await claim_all(worker))["a-0"]
    LossyClient(worker.client, workers.name, requests=1000)
    with pytest.raises(CoordinatorUnavailable):
        await worker.save(lease, b"later", (ended(1), ended(2)))
    assert await worker.renew(lease) is not None


@pytest.mark.parametrize(
    ("limit", "refusal"),
    [
        ({"max_msgs": 1, "discard": api.DiscardPolicy.NEW}, "maximum messages exceeded"),
        ({"max_msg_size": 100}, "message size exceeds maximum allowed"),
    ],
)
async def test_a_refusal_is_an_error_that_names_the_reason(
    workers: NatsWorkers, limit: dict[str, Any], refusal: str
) -> None:
    async with await connect(workers.url) as client:
        config = api.StreamConfig(name=f"{workers.name}-events", subjects=[f"{workers.name}.events.>"], **limit)
        await client.jetstream().add_stream(config)
    worker = await workers.add(Clock(), lease_seconds=1.0)
    await worker.put({"a-0": SPEC})
    lease = (await claim_all(worker))["a-0"]
    with pytest.raises(CoordinatorUnavailable, match=f"NATS refuses: {refusal}"):
        await worker.save(lease, SPEC, (ended(1), ended(2)))


async def test_a_refusal_of_the_bucket_is_an_error_too(workers: NatsWorkers) -> None:
    async with await connect(workers.url) as client:
        await client.jetstream().create_key_value(bucket=workers.name, max_value_size=100)
    worker = await workers.add()
    with pytest.raises(CoordinatorUnavailable, match="NATS refuses: message size exceeds maximum allowed"):
        await worker.put({"a-0": bytes(1000)})


async def test_without_jetstream_the_error_says_how_to_start_the_server(workers: NatsWorkers) -> None:
    async with await connect(workers.url) as client:

        async def refuse(*args: object, **options: object) -> object:
            raise nats.errors.NoRespondersError

        client.request = refuse  # type: ignore[method-assign,assignment]  # what a server without JetStream does
        with pytest.raises(CoordinatorUnavailable, match=r"runs with it \(nats-server -js\)"):
            async with NatsCoordinator(client, workers.name, lease_seconds=1.0):
                pass


async def test_a_watch_that_does_not_fit_is_refused_before_anything_is_sent(workers: NatsWorkers) -> None:
    worker = await workers.add()
    large = bytes(1024 * 1024)
    with pytest.raises(InvalidArgument, match="shards: b-0 has 1,048,576 bytes but NATS takes 1,044,480: split"):
        await worker.put({"a-0": SPEC, "b-0": large})
    await worker.put({"a-0": SPEC})
    lease = (await claim_all(worker))["a-0"]
    with pytest.raises(InvalidArgument, match="spec: a-0 has"):
        await worker.save(lease, large, (ended(1),))
    assert await stored_events(workers) == []


async def test_wrong_arguments_are_refused(workers: NatsWorkers) -> None:
    worker = await workers.add()
    with pytest.raises(InvalidArgument, match="shards: must be 1 to 100 letters"):
        await worker.put({"a.0": SPEC})
    with pytest.raises(InvalidArgument, match="name: must be"):
        NatsCoordinator(worker.client, "two words")
    with pytest.raises(InvalidArgument, match="lease_seconds: must be"):
        NatsCoordinator(worker.client, "name", lease_seconds=0.0)


async def test_a_coordinator_is_used_inside_its_block(workers: NatsWorkers) -> None:
    async with await connect(workers.url) as client:
        worker = NatsCoordinator(client, workers.name)
        with pytest.raises(ClientClosed, match="enter it with `async with`"):
            await worker.claim(())
        async with worker:
            await client.close()
            with pytest.raises(ClientClosed, match="the NATS client is closed: connect another one"):
                await worker.claim(())
            with pytest.raises(ClientClosed, match="the NATS client is closed"):
                await worker.put({"a-0": SPEC})


async def test_a_client_that_is_closed_during_a_call_ends_it(workers: NatsWorkers) -> None:
    worker = await workers.add()

    async def closed(*args: object, **options: object) -> object:
        raise nats.errors.ConnectionClosedError

    worker.client.request = closed  # type: ignore[method-assign,assignment]  # closed between the check and the call
    with pytest.raises(ClientClosed, match="the NATS client is closed"):
        await worker.put({"a-0": SPEC})


async def test_a_full_buffer_of_a_client_that_reconnects_is_an_outage(workers: NatsWorkers) -> None:
    worker = await workers.add(Clock(), lease_seconds=1.0)

    async def full(*args: object, **options: object) -> object:
        raise nats.errors.OutboundBufferLimitError

    worker.client.request = full  # type: ignore[method-assign,assignment]  # what nats-py does when its buffer is full
    with pytest.raises(CoordinatorUnavailable, match="reconnecting, and its buffer is full"):
        await worker.put({"a-0": SPEC})


# For people


async def test_shards_say_who_owns_them_how_old_they_are_and_how_many_are_left(workers: NatsWorkers) -> None:
    worker = await workers.add()
    spec = WatchSpec.of("https://oc.example.org", range(1000, 1020))
    shards = shards_of("nightly", spec, 2)
    await worker.put({**shards, "unreadable": b"?"})
    lease = next(lease for shard, lease in (await claim_all(worker)).items() if shard == "nightly-0")
    await worker.release(lease, finished=False)
    first, second, unreadable = await worker.shards()
    assert (first.shard, first.owner, second.shard, second.owner) == ("nightly-0", "", "nightly-1", worker.worker)
    assert (first.left or 0) + (second.left or 0) == 20
    assert first.size == len(shards["nightly-0"])
    assert 0.0 <= first.age < 10.0
    assert unreadable.left is None


async def test_each_worker_has_an_identity_of_its_own(workers: NatsWorkers) -> None:
    assert (await workers.add()).worker != (await workers.add()).worker


async def test_monotonic_time_is_the_default(workers: NatsWorkers) -> None:
    assert NatsCoordinator((await workers.add()).client, "name").clock.now is time.monotonic
