"""Asyncio-native client for the workflow engines of Opencast and Preservica."""

from typing import TYPE_CHECKING

from workflow_async._core.lazy import lazily

if TYPE_CHECKING:
    from workflow_async._core.auth import Basic, Bearer
    from workflow_async._core.call import Page, UnreadableRow
    from workflow_async._core.digest import Digest
    from workflow_async._listing.listing import Listing, ListingReport
    from workflow_async.opencast.client import OpencastClient
    from workflow_async.phase import Phase
    from workflow_async.preservica.client import PreservicaClient
    from workflow_async.settings import Clock, Limits, Poll, Retry, Timeouts

__version__ = "0.1.0"

__all__ = [
    "Basic",
    "Bearer",
    "Clock",
    "Digest",
    "Limits",
    "Listing",
    "ListingReport",
    "OpencastClient",
    "Page",
    "Phase",
    "Poll",
    "PreservicaClient",
    "Retry",
    "Timeouts",
    "UnreadableRow",
]

__getattr__ = lazily(
    __name__,
    {
        "_core.auth": ("Basic", "Bearer"),
        "_core.call": ("Page", "UnreadableRow"),
        "_core.digest": ("Digest",),
        "_listing.listing": ("Listing", "ListingReport"),
        "opencast.client": ("OpencastClient",),
        "phase": ("Phase",),
        "preservica.client": ("PreservicaClient",),
        "settings": ("Clock", "Limits", "Poll", "Retry", "Timeouts"),
    },
)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
