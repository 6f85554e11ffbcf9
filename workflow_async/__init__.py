"""Asyncio-native client for the workflow engines of Opencast and Preservica."""

from workflow_async._auth import Basic, Bearer
from workflow_async._call import Page
from workflow_async._http import Digest
from workflow_async._listing import Listing
from workflow_async.opencast import OpencastClient
from workflow_async.phase import Phase
from workflow_async.preservica import PreservicaClient
from workflow_async.settings import Clock, Limits, Poll, Retry, Timeouts

__version__ = "0.1.0"

__all__ = [
    "Basic",
    "Bearer",
    "Clock",
    "Digest",
    "Limits",
    "Listing",
    "OpencastClient",
    "Page",
    "Phase",
    "Poll",
    "PreservicaClient",
    "Retry",
    "Timeouts",
]
