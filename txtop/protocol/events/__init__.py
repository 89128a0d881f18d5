"""The events of a session: facts, one JSON object per line, each with its producer's clock.

Everything else (percentiles, verdicts, time left) is derived from them by `state`, `stats` and
`analysis`. `t_ns` is monotonic per producer and segment; wall time appears in header, segment and
ended only. docs/sessions.md describes the format for readers outside txtop.
"""

from __future__ import annotations

from txtop.protocol.events.ab import ABBlock as ABBlock
from txtop.protocol.events.ab import DisturbedBlock as DisturbedBlock
from txtop.protocol.events.ab import Fidelity as Fidelity
from txtop.protocol.events.ab import FidelityProgress as FidelityProgress
from txtop.protocol.events.ab import RaceBlock as RaceBlock
from txtop.protocol.events.ab import Standing as Standing
from txtop.protocol.events.accuracy import TaskAnswered as TaskAnswered
from txtop.protocol.events.accuracy import TaskAnswers as TaskAnswers
from txtop.protocol.events.accuracy import TaskQuestions as TaskQuestions
from txtop.protocol.events.base import Event as Event
from txtop.protocol.events.base import Role as Role
from txtop.protocol.events.cell import CellFinished as CellFinished
from txtop.protocol.events.cell import CellRejected as CellRejected
from txtop.protocol.events.cell import CellStarted as CellStarted
from txtop.protocol.events.cell import CellStatus as CellStatus
from txtop.protocol.events.cell import DevicePhase as DevicePhase
from txtop.protocol.events.cell import DeviceTime as DeviceTime
from txtop.protocol.events.cell import Isolation as Isolation
from txtop.protocol.events.cell import IsolationProgress as IsolationProgress
from txtop.protocol.events.cell import Iteration as Iteration
from txtop.protocol.events.cell import Memory as Memory
from txtop.protocol.events.cell import PartMemory as PartMemory
from txtop.protocol.events.cell import Phase as Phase
from txtop.protocol.events.cell import Probe as Probe
from txtop.protocol.events.cell import Progress as Progress
from txtop.protocol.events.cell import Speculation as Speculation
from txtop.protocol.events.cell import TokenTimings as TokenTimings
from txtop.protocol.events.explain import EXPLAINING as EXPLAINING
from txtop.protocol.events.explain import Explanation as Explanation
from txtop.protocol.events.explain import KernelTime as KernelTime
from txtop.protocol.events.explain import ModuleTime as ModuleTime
from txtop.protocol.events.explain import OperatorTime as OperatorTime
from txtop.protocol.events.explain import PhaseExplanation as PhaseExplanation
from txtop.protocol.events.explain import PhaseName as PhaseName
from txtop.protocol.events.explain import StepPart as StepPart
from txtop.protocol.events.explain import TraceSlices as TraceSlices
from txtop.protocol.events.loading import DevicePeaks as DevicePeaks
from txtop.protocol.events.loading import Geometry as Geometry
from txtop.protocol.events.loading import Kernels as Kernels
from txtop.protocol.events.loading import ModelLoaded as ModelLoaded
from txtop.protocol.events.loading import Workload as Workload
from txtop.protocol.events.serving import OfferedLoad as OfferedLoad
from txtop.protocol.events.serving import Request as Request
from txtop.protocol.events.serving import ServerStatus as ServerStatus
from txtop.protocol.events.session import LOG_SCHEMA as LOG_SCHEMA
from txtop.protocol.events.session import Control as Control
from txtop.protocol.events.session import ControlAction as ControlAction
from txtop.protocol.events.session import Expected as Expected
from txtop.protocol.events.session import Gap as Gap
from txtop.protocol.events.session import Log as Log
from txtop.protocol.events.session import Machine as Machine
from txtop.protocol.events.session import Marker as Marker
from txtop.protocol.events.session import Segment as Segment
from txtop.protocol.events.session import SessionEnded as SessionEnded
from txtop.protocol.events.session import SessionHeader as SessionHeader
from txtop.protocol.events.telemetry import Contention as Contention
from txtop.protocol.events.telemetry import ContentionKind as ContentionKind
from txtop.protocol.events.telemetry import ForeignProcess as ForeignProcess
from txtop.protocol.events.telemetry import Telemetry as Telemetry

AnyEvent = (
    SessionHeader
    | Segment
    | CellRejected
    | CellStarted
    | Probe
    | Isolation
    | IsolationProgress
    | Progress
    | Phase
    | ModelLoaded
    | DevicePeaks
    | Workload
    | Kernels
    | Speculation
    | TokenTimings
    | Iteration
    | DisturbedBlock
    | OfferedLoad
    | Request
    | ServerStatus
    | ABBlock
    | RaceBlock
    | Standing
    | FidelityProgress
    | Fidelity
    | TaskQuestions
    | TaskAnswers
    | TaskAnswered
    | Memory
    | DeviceTime
    | Explanation
    | TraceSlices
    | Telemetry
    | Control
    | CellFinished
    | Log
    | Marker
    | Gap
    | SessionEnded
)
