"""Media events, on which the workflows of Opencast run."""

from attrs import define, field

from workflow_async.sandbox.hashing import hash_choice, hash_float, hash_uuid

USER_ROLE = "ROLE_USER"
HOUR = 3600.0
DAY = 24 * HOUR

_SUBJECTS = ("Algebra", "Optics", "Roman law", "Thermodynamics", "Génétique", "Old Norse & its poets")
_PEOPLE = ("Ada Byron", "Emmy Noether", "Søren Ørsted", "Rosalind Franklin", "李善蘭", "")
_LICENSES = ("ALLRIGHTS", "CC-BY", "CC0", "")
_LANGUAGES = ("eng", "deu", "fra", "")


@define(eq=False)
class Event:
    """A recording and its metadata."""

    identifier: str
    created: float | None
    """The date of the recording. None if unknown."""
    title: str = ""
    creator: str = ""
    """The presenters, separated by a semicolon and a space."""
    contributor: str = ""
    subject: str = ""
    language: str = ""
    license: str = ""
    series: str = ""
    series_title: str = ""
    description: str = ""
    duration: int | None = 2_700_000
    """Milliseconds. None if unknown."""
    readers: frozenset[str] = frozenset({USER_ROLE})
    """The roles with read access."""
    writers: frozenset[str] = frozenset()
    """The roles with write access."""
    properties: dict[str, str] = field(factory=dict)
    """The configuration values of every start so far."""
    workflow_ids: list[int] = field(factory=list)
    """The ids of its workflows, in the order of their start."""

    @property
    def indexed_date(self) -> float:
        """The date in the indexes, which is 1970 for an event without a date."""
        return self.created or 0.0


def sample_event(seed: int, n: int, now: float) -> Event:
    """Return the n-th sample event. Three or more events share each date."""
    subject = hash_choice(_SUBJECTS, seed, n, "subject")
    return Event(
        hash_uuid(seed, "event", n),
        now // HOUR * HOUR - DAY * (1 + n // 3 % 300),
        f"{subject}, part {1 + n % 14}",
        hash_choice(_PEOPLE, seed, n, "creator"),
        hash_choice(_PEOPLE, seed, n, "contributor"),
        subject,
        hash_choice(_LANGUAGES, seed, n, "language"),
        hash_choice(_LICENSES, seed, n, "license"),
        hash_uuid(seed, "series", subject),
        f"{subject} in winter",
        "" if hash_float(seed, n, "description") < 1 / 2 else "Recorded in hall 1 / west",
    )
