"""Events of an A/B and of comparing outputs."""

from __future__ import annotations

from typing import Literal

from txtop.protocol.events.base import Event, Name, Natural, Real, Text
from txtop.protocol.events.base import Role as Role
from txtop.protocol.events.loading import DevicePeaks as DevicePeaks
from txtop.protocol.events.loading import Geometry as Geometry
from txtop.protocol.events.loading import Kernels as Kernels
from txtop.protocol.events.loading import ModelLoaded as ModelLoaded
from txtop.protocol.events.loading import Workload as Workload
from txtop.protocol.events.serving import OfferedLoad as OfferedLoad
from txtop.protocol.events.serving import Request as Request
from txtop.protocol.events.serving import ServerStatus as ServerStatus


class DisturbedBlock(Event, kw_only=True, tag="block"):
    """`count` measured iterations from `first` on in which the machine was not itself: why, and
    whether they count all the same (`kept`), for want of more repeats."""

    cell: Name
    first: Natural
    count: Natural
    kept: bool
    reasons: list[Name]


class ABBlock(Event, kw_only=True, tag="round"):
    """One block of an A/B: the arms in the `order` they took turns, which is the same backwards,
    and the iterations of each. One that is not `kept` counts for nothing, for these reasons.

    `paired` where turns are so long that few blocks are to be had: each arm has one, not two.
    `reloaded` where the arms do not fit beside each other: each turn is then a load of its own.
    """

    order: list[Name]
    iterations: dict[Name, list[Natural]]
    kept: bool
    paired: bool = False
    reloaded: bool = False
    reasons: list[Name] = []


class FidelityProgress(Event, kw_only=True, tag="comparing"):
    """The output of `cell` is being held against that of `reference`: steps done so far."""

    cell: Name
    reference: Name
    done: Natural
    total: Natural


class Fidelity(Event, kw_only=True, tag="fidelity"):
    """How far the output of `cell` is from that of `reference`, on the same fixed input.

    KL(reference || cell) in nats over `positions` next-token distributions; `top1` is at how many
    of them the likeliest token is the same; `floor` is the mean KLD of the reference against a
    second pass of itself. Of the true token: the ratio of perplexities (cell over reference; null
    without trained weights and text) and the RMS of the difference of its probability.
    `divergence` counts the tokens before the first that differs when both write freely, null where
    none of `written` does; `texts` are what they wrote: in common, then each. Encoders have cosines
    in place of all that, over `positions` tokens. `invalid` counts NaN and Inf in the output of
    `cell`; then, or where it `failed`, there are no figures. `same_model` says that vocabulary and
    architecture are one.
    """

    cell: Name
    reference: Name
    weights: Literal["pretrained", "random"] = "random"
    same_model: bool = True
    input_sha256: Name = ""
    text: bool = False
    positions: Natural = 0
    failed: Text = ""
    invalid: Natural = 0
    kld: Real | None = None
    kld_stderr: Real | None = None
    kld_median: Real | None = None
    kld_p99: Real | None = None
    kld_max: Real | None = None
    floor: Real | None = None
    top1: Natural | None = None
    perplexity_ratio: Real | None = None
    rms_probability: Real | None = None
    divergence: Natural | None = None
    written: Natural = 0
    texts: tuple[Text, Text, Text] | None = None
    cosine_pooled: Real | None = None
    cosine_tokens: Real | None = None
    cosine_tokens_min: Real | None = None
    notes: list[Text] = []
