"""Asyncio-native client for the workflow engines of Opencast and Preservica."""

from typing import TYPE_CHECKING

from workflow_async._facade import lazily

if TYPE_CHECKING:
    from workflow_async._auth import Basic, Bearer
    from workflow_async._call import Page, UnreadableRow
    from workflow_async._digest import Digest
    from workflow_async._lists.listing import Listing, ListingReport
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
        "_auth": ("Basic", "Bearer"),
        "_call": ("Page", "UnreadableRow"),
        "_digest": ("Digest",),
        "_lists.listing": ("Listing", "ListingReport"),
        "opencast.client": ("OpencastClient",),
        "phase": ("Phase",),
        "preservica.client": ("PreservicaClient",),
        "settings": ("Clock", "Limits", "Poll", "Retry", "Timeouts"),
    },
)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
