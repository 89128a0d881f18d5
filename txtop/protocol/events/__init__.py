"""The vocabulary of a session: facts, one JSON object a line, each with its producer's clock.

Everything else (percentiles, verdicts, time left) is derived from these by `state` and `stats`.
`t_ns` is monotonic per producer and segment; wall time appears in header, segment and ended alone.
"""

from __future__ import annotations

from txtop.protocol.events.ab import Block as Block
from txtop.protocol.events.ab import Comparing as Comparing
from txtop.protocol.events.ab import Fidelity as Fidelity
from txtop.protocol.events.ab import Round as Round
from txtop.protocol.events.base import Event as Event
from txtop.protocol.events.base import Role as Role
from txtop.protocol.events.cell import CellFinished as CellFinished
from txtop.protocol.events.cell import CellRejected as CellRejected
from txtop.protocol.events.cell import CellStarted as CellStarted
from txtop.protocol.events.cell import Iteration as Iteration
from txtop.protocol.events.cell import Memory as Memory
from txtop.protocol.events.cell import Phase as Phase
from txtop.protocol.events.cell import Progress as Progress
from txtop.protocol.events.cell import Status as Status
from txtop.protocol.events.cell import Steps as Steps
from txtop.protocol.events.loading import Geometry as Geometry
from txtop.protocol.events.loading import Kernels as Kernels
from txtop.protocol.events.loading import Load as Load
from txtop.protocol.events.loading import Peaks as Peaks
from txtop.protocol.events.loading import Workload as Workload
from txtop.protocol.events.serving import Lanes as Lanes
from txtop.protocol.events.serving import Offered as Offered
from txtop.protocol.events.serving import Request as Request
from txtop.protocol.events.session import SCHEMA as SCHEMA
from txtop.protocol.events.session import Action as Action
from txtop.protocol.events.session import Control as Control
from txtop.protocol.events.session import Ended as Ended
from txtop.protocol.events.session import Gap as Gap
from txtop.protocol.events.session import Header as Header
from txtop.protocol.events.session import Log as Log
from txtop.protocol.events.session import Machine as Machine
from txtop.protocol.events.session import Marker as Marker
from txtop.protocol.events.session import Segment as Segment
from txtop.protocol.events.telemetry import Foreign as Foreign
from txtop.protocol.events.telemetry import Telemetry as Telemetry

AnyEvent = (
    Header
    | Segment
    | CellRejected
    | CellStarted
    | Progress
    | Phase
    | Load
    | Peaks
    | Workload
    | Kernels
    | Steps
    | Iteration
    | Block
    | Offered
    | Request
    | Lanes
    | Round
    | Comparing
    | Fidelity
    | Memory
    | Telemetry
    | Control
    | CellFinished
    | Log
    | Marker
    | Gap
    | Ended
)
