"""The releases of Opencast that the sandbox behaves as, and the rules in which they differ.

A new release is a member of `Release` and an entry of `RELEASES`. Nothing else in the sandbox names a release.
"""

import json
from typing import Any, Literal

from attrs import frozen

Release = Literal["11", "16", "19"]
DEFAULT: Release = "16"


@frozen
class ReleaseRules:
    """The behaviour of one release of Opencast, as far as a client can tell it from another."""

    newest: int
    """The minor version of the newest API that is offered. 7 stands for v1.7.0."""
    listing: bool = False
    """True if workflow instances are listed, from an index that lags behind."""
    unless: bool = False
    """True if an operation of an instance has the key `unless`."""
    panel_json: bool = True
    """True if `withconfigurationpaneljson` is supported."""
    gson: bool = False
    """True if Gson writes the JSON, and each resource has a path of its own."""
    keeps_finished: bool = False
    """True if stopping a finished workflow does not change its state."""
    challenges_basic: bool = True
    """True if `X-Requested-Auth: Basic` gets a challenge instead of the login page."""

    @property
    def default_version(self) -> str:
        """The version for a client that names none."""
        return f"v1.{self.newest}.0"

    @property
    def versions(self) -> list[str]:
        """Every version that is accepted, oldest first."""
        return [f"v1.{minor}.0" for minor in range(self.newest + 1)]

    def negotiate(self, accept: str | None, oldest: int = 1) -> str | None:
        """Return the version for an `Accept` header. None if it lists no supported version from v1.`oldest` on."""
        if not accept or any(media_range in accept for media_range in ("application/json", "application/*", "*/*")):
            return self.default_version
        return next((v for v in reversed(self.versions[oldest:]) if f"application/{v}+json" in accept), None)

    def write(self, tree: Any) -> str:
        """Return the JSON text of a tree, with the escapes of the release."""
        text = json.dumps(tree, ensure_ascii=False, separators=(",", ":"))
        if not self.gson:
            return text.replace("/", "\\/")
        for sign in "&<>='":
            text = text.replace(sign, f"\\u{ord(sign):04x}")
        return text


RELEASES: dict[Release, ReleaseRules] = {
    # The last release that lists workflows.
    "11": ReleaseRules(newest=7, listing=True, unless=True, panel_json=False, challenges_basic=False),
    # Answers `GET /api/workflows` with the document of `/api`.
    "16": ReleaseRules(newest=11),
    # Answers `GET /api/workflows` with 405.
    "19": ReleaseRules(newest=12, gson=True, keeps_finished=True),
}
"""The rules of each release, oldest release first."""
