"""Who is due when: a queue of ids by instant, in which the last word on an id counts. Pure."""

import heapq

from attrs import define, field


@define
class DueQueue:
    """Ids and the instants (seconds) they are due at."""

    _due: dict[int, float] = field(factory=dict, init=False)
    _heap: list[tuple[float, int]] = field(factory=list, init=False)

    def __len__(self) -> int:
        return len(self._due)

    def __contains__(self, id: object) -> bool:
        return id in self._due

    def put(self, id: int, due: float) -> None:
        """Let an id be due at this instant, whatever was said before."""
        self._due[id] = due
        heapq.heappush(self._heap, (due, id))

    def drop(self, id: int) -> None:
        """Forget an id."""
        self._due.pop(id, None)

    def ids(self) -> set[int]:
        """Every id in it."""
        return set(self._due)

    def pop(self, now: float) -> int | None:
        """Take out the id that is due first, if that is by now."""
        first = self.first
        if first is None or self._due[first] > now:
            return None
        heapq.heappop(self._heap)
        del self._due[first]
        return first

    def overdue(self, now: float) -> list[int]:
        """Every id that is due by now, longest due first."""
        return sorted((id for id, due in self._due.items() if due <= now), key=self._due.__getitem__)

    @property
    def first(self) -> int | None:
        """The id that is due first, or None."""
        heap, due = self._heap, self._due
        while heap and due.get(heap[0][1]) != heap[0][0]:
            heapq.heappop(heap)
        return heap[0][1] if heap else None

    @property
    def next(self) -> float | None:
        """The instant the next id is due at, or None."""
        first = self.first
        return None if first is None else self._due[first]
