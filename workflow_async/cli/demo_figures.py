"""What the demonstration says before and after: the figures that polling each workflow would have needed. Pure."""

import math
from collections.abc import Iterable

from attrs import frozen

INTRODUCTION = (
    "{workflows} workflows are started on a fake Opencast and a fake Preservica in this process, and watched.",
    "Some fail on purpose. Some stay on hold (parked): they wait for a person, and nobody comes here.",
)
FAULTS_ARE_ON = "The servers lose answers on purpose, and refuse some requests with 503."


@frozen
class Figures:
    """The totals of both systems."""

    workflows: int
    elapsed: float
    requests: int
    lost_answers: int
    """Answers that the servers did not send, and requests that they refused with 503."""
    started_twice: int
    polling_each: int
    """The requests for the same with one look at each workflow in every interval."""
    interval: float

    def sentences(self) -> list[str]:
        """Return what the demonstration has shown."""
        lost = f"{self.lost_answers:,} answers were lost or refused" if self.lost_answers else "No answer was lost"
        instead = f"instead of about {self.polling_each:,} by polling each every {self.interval:g} s"
        more = "" if self.lost_answers else " demo --faults loses some."
        return [
            f"{self.workflows:,} workflows in {self.elapsed:.1f} s, {self.requests:,} requests {instead}.",
            f"{lost}, {self.started_twice} workflows were started twice.{more}",
        ]


def polls_of(durations: Iterable[float], workflows: int, interval: float) -> int:
    """Return the requests to start workflows and to look at each in every interval, until it has ended.

    Args:
        durations: the seconds from the start to the end of those that have ended. Others need one look.
        workflows: the number of all workflows.
        interval: seconds between two looks.
    """
    looks = [math.ceil(seconds / interval) + 1 for seconds in durations]
    return workflows + sum(looks) + (workflows - len(looks))
