"""What differs from one release of Opencast to another: the versions of its API and how it writes JSON."""

import json
from typing import Any, Literal

from attrs import frozen

Release = Literal["11", "16", "19"]


@frozen
class ReleaseRules:
    """One release of Opencast, as far as a client can tell it from another."""

    newest: int
    """The minor version of the newest API it offers: 7 stands for v1.7.0."""
    listing: bool = False
    """Whether it lists workflow instances; with the index that comes with it."""
    unless: bool = False
    """Whether an operation of an instance tells its `unless`."""
    panel_json: bool = True
    """Whether it knows `withconfigurationpaneljson`."""
    gson: bool = False
    """Whether JSON is written by Gson, and resources have paths of their own."""
    keeps_finished: bool = False
    """Whether stopping a finished workflow leaves its state alone."""

    @property
    def default(self) -> str:
        """The version that counts if a client names none."""
        return f"v1.{self.newest}.0"

    @property
    def versions(self) -> list[str]:
        """Every version it accepts, oldest first."""
        return [f"v1.{minor}.0" for minor in range(self.newest + 1)]

    def negotiate(self, accept: str | None, oldest: int = 1) -> str | None:
        """The version an `Accept` header gets. None if it lists none from v1.`oldest` on that is spoken here."""
        if not accept or any(wide in accept for wide in ("application/json", "application/*", "*/*")):
            return self.default
        return next((v for v in reversed(self.versions[oldest:]) if f"application/{v}+json" in accept), None)

    def write(self, tree: Any) -> str:
        """The JSON text of a tree, with the escapes of the release."""
        text = json.dumps(tree, ensure_ascii=False, separators=(",", ":"))
        if not self.gson:
            return text.replace("/", "\\/")
        for sign in "&<>='":
            text = text.replace(sign, f"\\u{ord(sign):04x}")
        return text


RELEASES: dict[Release, ReleaseRules] = {
    "11": ReleaseRules(newest=7, listing=True, unless=True, panel_json=False),
    "16": ReleaseRules(newest=11),
    "19": ReleaseRules(newest=12, gson=True, keeps_finished=True),
}
