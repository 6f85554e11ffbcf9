from . import (
    auth as auth,
    batch as batch,
    errors as errors,
    monitor as monitor,
    opencast as opencast,
    phase as phase,
    preservica as preservica,
    settings as settings,
)
from ._core.call import Page as Page, ParameterValue as ParameterValue, UnreadableRow as UnreadableRow
from ._http import HTTPBackend as HTTPBackend
from ._http.tls import TLS as TLS
from ._listing.listing import Listing as Listing, ListingReport as ListingReport, Pages as Pages
from ._listing.scan import Consistency as Consistency
from .auth import Basic as Basic, Bearer as Bearer, Digest as Digest, Secret as Secret
from .opencast.client import OpencastClient as OpencastClient
from .phase import Phase as Phase
from .preservica.client import PreservicaClient as PreservicaClient
from .settings import Clock as Clock, Limits as Limits, Poll as Poll, Retry as Retry, Timeouts as Timeouts

__version__: str
