"""Marks that run a test against certain releases of the sandbox's Opencast."""

import pytest

from workflow_async.sandbox.opencast.releases import RELEASES, Release


def on(*releases: Release) -> pytest.MarkDecorator:
    """Return the mark that runs a test once against each of these releases."""
    return pytest.mark.parametrize("sandbox", list(releases), indirect=True)


on_11 = on("11")
on_19 = on("19")
on_11_and_16 = on("11", "16")
_UNLISTED: list[Release] = [release for release, rules in RELEASES.items() if not rules.listing]
on_12_and_later = on(*_UNLISTED)
on_all = on(*RELEASES)
