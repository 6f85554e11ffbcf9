"""Asyncio-native client for the workflow engines of Opencast and Preservica."""

from typing import TYPE_CHECKING

from workflow_async._core.lazy import lazily

if TYPE_CHECKING:
    from workflow_async._core.call import Page, ParameterValue, UnreadableRow
    from workflow_async._http import HTTPBackend
    from workflow_async._listing.listing import Listing, ListingReport
    from workflow_async._listing.scan import Consistency
    from workflow_async.auth import Basic, Bearer, Digest, Secret
    from workflow_async.opencast.client import OpencastClient
    from workflow_async.phase import Phase
    from workflow_async.preservica.client import PreservicaClient
    from workflow_async.settings import Clock, Limits, Poll, Retry, Timeouts

__version__ = "0.1.0"

__all__ = [
    "Basic",
    "Bearer",
    "Clock",
    "Consistency",
    "Digest",
    "HTTPBackend",
    "Limits",
    "Listing",
    "ListingReport",
    "OpencastClient",
    "Page",
    "ParameterValue",
    "Phase",
    "Poll",
    "PreservicaClient",
    "Retry",
    "Secret",
    "Timeouts",
    "UnreadableRow",
]

__getattr__ = lazily(
    __name__,
    {
        "_core.call": ("Page", "ParameterValue", "UnreadableRow"),
        "_http": ("HTTPBackend",),
        "_listing.listing": ("Listing", "ListingReport"),
        "_listing.scan": ("Consistency",),
        "auth": ("Basic", "Bearer", "Digest", "Secret"),
        "opencast.client": ("OpencastClient",),
        "phase": ("Phase",),
        "preservica.client": ("PreservicaClient",),
        "settings": ("Clock", "Limits", "Poll", "Retry", "Timeouts"),
    },
)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
