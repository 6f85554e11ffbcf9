from .opencast import SyncOpencastClient as SyncOpencastClient
from .preservica import SyncPreservicaClient as SyncPreservicaClient
from .streams import (
    SyncItems as SyncItems,
    SyncListing as SyncListing,
    SyncOutcomeStream as SyncOutcomeStream,
    SyncPages as SyncPages,
    SyncRun as SyncRun,
    SyncWatch as SyncWatch,
)
