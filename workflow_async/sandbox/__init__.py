"""A fake server of both systems on real loopback sockets, for tests, demonstrations and experiments."""

from workflow_async.sandbox.canned import CannedResponse
from workflow_async.sandbox.clock import ManualClock, RealClock
from workflow_async.sandbox.conditions import Boot, IndexFault, OddRow, SecondResume, ServerClock
from workflow_async.sandbox.engine import Step, StepResult, TimeSource
from workflow_async.sandbox.fault_middleware import RecordedRequest
from workflow_async.sandbox.faults import Fault, Faults, Trouble
from workflow_async.sandbox.sandbox import Sandbox
from workflow_async.sandbox.systems import FakeOpencast, FakePreservica

__all__ = [
    "Boot",
    "CannedResponse",
    "FakeOpencast",
    "FakePreservica",
    "Fault",
    "Faults",
    "IndexFault",
    "ManualClock",
    "OddRow",
    "RealClock",
    "RecordedRequest",
    "Sandbox",
    "SecondResume",
    "ServerClock",
    "Step",
    "StepResult",
    "TimeSource",
    "Trouble",
]
