"""A priority queue of ids by due time. Setting an id again replaces its due time. Pure."""

import heapq

from attrs import define, field


@define
class DueQueue:
    """Ids and their due times, in seconds."""

    _due: dict[int, float] = field(factory=dict, init=False)
    _heap: list[tuple[float, int]] = field(factory=list, init=False)

    def __len__(self) -> int:
        return len(self._due)

    def __contains__(self, id: object) -> bool:
        return id in self._due

    def put(self, id: int, due: float) -> None:
        """Set the due time of an id. This replaces an earlier one."""
        self._due[id] = due
        heapq.heappush(self._heap, (due, id))

    def drop(self, id: int) -> None:
        """Remove an id."""
        self._due.pop(id, None)

    def ids(self) -> set[int]:
        """Return all ids."""
        return set(self._due)

    def pop(self, now: float) -> int | None:
        """Remove and return the id that is due first. None if it is due later than `now`."""
        first = self.first
        if first is None or self._due[first] > now:
            return None
        heapq.heappop(self._heap)
        del self._due[first]
        return first

    def overdue(self, now: float) -> list[int]:
        """Return all ids that are due, those with the earliest due time first."""
        return sorted((id for id, due in self._due.items() if due <= now), key=self._due.__getitem__)

    @property
    def first(self) -> int | None:
        """The id that is due first. None if the queue is empty."""
        heap, due = self._heap, self._due
        while heap and due.get(heap[0][1]) != heap[0][0]:
            heapq.heappop(heap)
        return heap[0][1] if heap else None

    @property
    def next(self) -> float | None:
        """The earliest due time. None if the queue is empty."""
        first = self.first
        return None if first is None else self._due[first]
