"""Names with an instant each, and the earliest of them, however many there are."""

from __future__ import annotations

import heapq

ROOM = 64  # outdated entries that are not worth a clean-up


class Instants(dict[str, float | None]):
    """Instant by name; None: not by time. A heap beside the dict gives the earliest; what is outdated there is skipped."""

    def __init__(self) -> None:
        super().__init__()
        self._heap: list[tuple[float, str]] = []

    def __setitem__(self, name: str, at: float | None) -> None:
        if at is not None and self.get(name) != at:
            heapq.heappush(self._heap, (at, name))
            if len(self._heap) > 2 * len(self) + ROOM:
                self._heap = [(since, each) for each, since in self.items() if since is not None and each != name]
                self._heap.append((at, name))
                heapq.heapify(self._heap)
        super().__setitem__(name, at)

    def first(self) -> tuple[float, str] | None:
        """The earliest; of those at the same instant the first by name."""
        while self._heap:
            at, name = self._heap[0]
            if self.get(name) == at:
                return at, name
            heapq.heappop(self._heap)
        return None

    def take(self, at: float) -> tuple[float, str] | None:
        """The earliest that is due at `at`, which then has no instant any more."""
        first = self.first()
        if first is None or first[0] > at:
            return None
        self[first[1]] = None
        return first
