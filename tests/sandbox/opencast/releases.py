"""Marks that run a test on the releases of Opencast with a certain rule."""

from collections.abc import Callable

import pytest

from workflow_async.sandbox.opencast.releases import RELEASES, Release, ReleaseRules


def _having(rule: Callable[[ReleaseRules], bool]) -> list[Release]:
    return [release for release, rules in RELEASES.items() if rule(rules)]


LISTING = _having(lambda rules: rules.listing)
every_release = pytest.mark.parametrize("release", RELEASES)
with_list = pytest.mark.parametrize("release", LISTING)
without_list = pytest.mark.parametrize("release", _having(lambda rules: not rules.listing))
with_gson = pytest.mark.parametrize("release", _having(lambda rules: rules.gson))
without_gson = pytest.mark.parametrize("release", _having(lambda rules: not rules.gson))
without_list_or_gson = pytest.mark.parametrize("release", _having(lambda rules: not rules.listing and not rules.gson))
