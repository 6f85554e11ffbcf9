"""No sequence of polls, splits, merges, saves and drops of a saved watch loses an end or reports one twice."""

import asyncio
from collections import Counter
from typing import Any, Literal, get_args

import httpx
from hypothesis import settings, strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from workflow_async import Clock, OpencastClient
from workflow_async.monitor import Change, PollResult, WatchSpec, poll_once, snapshot_active
from workflow_async.opencast import Workflow
from workflow_async.sandbox import ManualClock, Sandbox

URL = "http://127.0.0.1"
DEFINITIONS = ("fast", "fails", "publish")
LONG = 86_400.0
Release = Literal["11", "16"]
RELEASES = st.sampled_from(get_args(Release))


class SavedWatches(RuleBasedStateMachine):
    """Saved watches of one server, each with its own workflows."""

    specs: Bundle[WatchSpec] = Bundle("specs")

    def __init__(self) -> None:
        super().__init__()
        self.time = ManualClock()
        self.started: list[int] = []
        self.dropped: set[int] = set()
        self.current: list[WatchSpec] = []
        self.keys: Counter[str] = Counter()
        self.ends: dict[int, str] = {}

    @initialize(target=specs, release=RELEASES, count=st.integers(0, 12))
    def begin(self, release: Release, count: int) -> WatchSpec:
        self.sandbox = Sandbox(release, self.time)
        return self._keep(WatchSpec.of(URL, self._start(count), label="machine"))

    def _start(self, count: int) -> list[int]:
        fake = self.sandbox.opencast
        ids = [fake.start(fake.event(), DEFINITIONS[place % len(DEFINITIONS)]) for place in range(count)]
        self.started += ids
        return ids

    def _keep(self, spec: WatchSpec) -> WatchSpec:
        self.current.append(spec)
        return spec

    def _replace(self, old: WatchSpec, new: WatchSpec) -> WatchSpec:
        self.current = [spec for spec in self.current if spec is not old]
        return self._keep(new)

    def _poll(self, spec: WatchSpec, *, snapshot: bool = False, **limits: Any) -> PollResult[Workflow]:
        async def poll() -> PollResult[Workflow]:
            http = httpx.AsyncClient(transport=httpx.ASGITransport(self.sandbox.opencast.app))
            clock = Clock(now=self.time, wall=self.time)
            async with http, OpencastClient(URL, auth=self.sandbox.opencast.auth, http=http, clock=clock) as client:
                seen = (
                    await snapshot_active(client) if snapshot and self.sandbox.opencast.state.release == "11" else None
                )
                return await poll_once(client, spec, seen=seen, **limits)

        return asyncio.run(poll())

    def _deliver(self, polled: PollResult[Workflow]) -> None:
        for event in polled.events:
            if isinstance(event, Change) and event.now.final:
                self.keys[event.key] += 1
                self.ends[event.id] = event.workflow.state_text

    @rule(seconds=st.sampled_from([0.5, 5.0, 30.0, 600.0]))
    def advance(self, seconds: float) -> None:
        self.time.advance(seconds)

    @rule(target=specs, spec=consumes(specs), limit=st.none() | st.integers(1, 5), snapshot=st.booleans())
    def poll(self, spec: WatchSpec, limit: int | None, *, snapshot: bool) -> WatchSpec:
        polled = self._poll(spec, limit=limit, snapshot=snapshot)
        self._deliver(polled)
        if limit is not None and not snapshot:
            checked = sum(not cursor.over for cursor in spec.cursors) - polled.remaining
            assert self.sandbox.opencast.state.release == "11" or checked <= limit + len(polled.events)
        return self._replace(spec, polled.spec)

    @rule(spec=specs)
    def die_before_the_new_spec_is_saved(self, spec: WatchSpec) -> None:
        first = {event.key for event in self._poll(spec).events}
        assert first == {event.key for event in self._poll(spec).events}

    @rule(target=specs, spec=consumes(specs), packed=st.booleans())
    def save_and_read(self, spec: WatchSpec, *, packed: bool) -> WatchSpec:
        read = WatchSpec.from_bytes(spec.to_bytes()) if packed else WatchSpec.from_json(spec.to_json())
        by_id = sorted(spec.cursors, key=lambda cursor: cursor.id) if packed else spec.cursors
        assert read.cursors == tuple(by_id)
        return self._replace(spec, read)

    @rule(target=specs, spec=consumes(specs), count=st.integers(1, 3))
    def add(self, spec: WatchSpec, count: int) -> WatchSpec:
        return self._replace(spec, spec.add(*self._start(count)))

    @rule(target=specs, spec=consumes(specs))
    def drop_one(self, spec: WatchSpec) -> WatchSpec:
        dropped = spec.ids[:1]
        self.dropped.update(dropped)
        return self._replace(spec, spec.drop(*dropped))

    @rule(target=specs, first=consumes(specs), second=consumes(specs))
    def merge(self, first: WatchSpec, second: WatchSpec) -> WatchSpec:
        self.current = [spec for spec in self.current if spec is not first and spec is not second]
        return self._keep(WatchSpec.merge(first, second))

    @rule(target=specs, spec=consumes(specs), later_first=st.booleans())
    def merge_with_an_older_copy(self, spec: WatchSpec, *, later_first: bool) -> WatchSpec:
        self.time.advance(60)
        polled = self._poll(spec)
        self._deliver(polled)
        copies = (polled.spec, spec) if later_first else (spec, polled.spec)
        return self._replace(spec, WatchSpec.merge(*copies))

    @rule(target=specs, spec=consumes(specs), shards=st.integers(1, 3))
    def split_and_merge_the_second_half(self, spec: WatchSpec, shards: int) -> WatchSpec:
        first, *others = spec.split(shards)
        assert sorted(id for part in (first, *others) for id in part.ids) == sorted(spec.ids)
        self.current = [one for one in self.current if one is not spec]
        for other in others:
            self._keep(other)
        return self._keep(first)

    def _poll_to_end(self, spec: WatchSpec) -> None:
        while not spec.finished:
            polled = self._poll(spec)
            self._deliver(polled)
            spec = polled.spec
            self.time.advance(60.0)

    @invariant()
    def no_end_was_reported_twice(self) -> None:
        assert all(count == 1 for count in self.keys.values())

    def teardown(self) -> None:
        self.time.advance(LONG)
        for spec in self.current:
            self._poll_to_end(spec)
        assert set(self.started) - self.dropped <= self.ends.keys()
        self.no_end_was_reported_twice()
        for id, state in self.ends.items():
            run = self.sandbox.opencast.engine.get(id)
            assert run is not None
            assert state == ("failed" if run.definition == "fails" else "succeeded")


SavedWatches.TestCase.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
test_no_end_is_lost_or_reported_twice = SavedWatches.TestCase
