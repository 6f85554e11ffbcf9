"""Events: what the workflows of an Opencast work on."""

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
    """When it was recorded. None if unknown."""
    title: str = ""
    creator: str = ""
    """The presenters, joined by "; "."""
    contributor: str = ""
    subject: str = ""
    language: str = ""
    license: str = ""
    series: str = ""
    series_title: str = ""
    description: str = ""
    duration: int | None = 2_700_000
    """Milliseconds. None while it is not known."""
    readers: frozenset[str] = frozenset({USER_ROLE})
    """The roles that may see it."""
    writers: frozenset[str] = frozenset()
    """The roles that may change it."""
    properties: dict[str, str] = field(factory=dict)
    """Every setting that any start of a workflow ever brought."""
    workflow_ids: list[int] = field(factory=list)
    """Its workflows, by the order of their start."""

    @property
    def indexed_date(self) -> float:
        """Its date in the indexes, where an event without a date is of 1970."""
        return self.created or 0.0


def sample_event(seed: int, n: int, now: float) -> Event:
    """The n-th recording of an imaginary university; three and more share each date."""
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
