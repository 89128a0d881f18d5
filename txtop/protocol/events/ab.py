"""Events of an A/B, of a race, and of comparing outputs."""

from __future__ import annotations

from typing import Literal

from txtop.protocol.events.base import Event, Name, Natural, Real, Text
from txtop.protocol.events.telemetry import Contention


class DisturbedBlock(Event, kw_only=True, tag="block"):
    """`count` measured iterations from `first` on that the machine disturbed, and the reasons.

    They are repeated, unless they are `kept` because repeats are used up. Of the `reasons`, those
    of the processor have figures in `contention`.
    """

    cell: Name
    first: Natural
    count: Natural
    kept: bool
    reasons: list[Name]
    contention: list[Contention] = []


class ABBlock(Event, kw_only=True, tag="round"):
    """One block of an A/B: the arms in their `order`, and the numbers of the iterations of each.

    In a palindrome the arms take their turns in `order` and then in reverse. A block that is not
    `kept` counts for nothing, for the `reasons`. `paired`: turns are so long that there will be few
    blocks, so each arm has one turn and not two. `reloaded`: the arms do not fit into memory
    together, so each turn loads its model again. `ends_start`: where the arms have several starts,
    it is the last block of one. `contention` is as in a `DisturbedBlock`.
    """

    order: list[Name]
    iterations: dict[Name, list[Natural]]
    kept: bool
    paired: bool = False
    reloaded: bool = False
    ends_start: bool = False
    reasons: list[Name] = []
    contention: list[Contention] = []


class RaceBlock(Event, kw_only=True, tag="race_block"):
    """One block of a race: the numbers of the iterations of each candidate that took a turn in it.

    In the stage `race` it is one candidate's block of a `round`; in `confirm` the candidates take
    turns, in `order` and, unless `paired`, in reverse, and `round` counts these blocks. The other
    fields are as in an `ABBlock`. `joules` is what the device used in it, by candidate, where the
    energy is raced.
    """

    stage: Literal["race", "confirm"]
    round: Natural
    order: list[Name]
    iterations: dict[Name, list[Natural]]
    kept: bool
    paired: bool = False
    reasons: list[Name] = []
    contention: list[Contention] = []
    joules: dict[Name, Real] = {}


class Standing(Event, kw_only=True, tag="standing"):
    """A candidate leaves a race, and why; without a `why` it comes back.

    `against` is the candidate beside which it was judged, empty if it was judged alone.
    """

    cell: Name
    why: Name = ""
    against: Name = ""
    detail: Text = ""


class FidelityProgress(Event, kw_only=True, tag="comparing"):
    """Steps done so far of comparing the output of `cell` with that of `reference`."""

    cell: Name
    reference: Name
    done: Natural
    total: Natural


class Fidelity(Event, kw_only=True, tag="fidelity"):
    """The distance of the output of `cell` from that of `reference`, on the same fixed input.

    All `kld` figures are of KL(reference || cell) in nats over `positions` next-token
    distributions; `floor` is the mean KLD of a second pass of the reference against its first.
    `top1` counts the positions with the same likeliest token. `perplexity_ratio` is cell over
    reference, None without trained weights and text; `rms_probability` is the RMS of the difference
    in the probability of the true token.

    `divergence` counts the tokens before the first that differs when both generate freely, None if
    none of `written` tokens does; `texts` are what they wrote: the common part, then the rest of
    the reference and of the cell. Encoders have cosines in place of all that, over `positions`
    tokens. `invalid` counts NaN and Inf in the output of `cell`; if there are any, or if the
    comparison `failed`, there are no figures; with `may_pass` `resume` tries again. `same_model` is
    True if vocabulary and architecture agree. `unknown` are the outputs that depend on weights that
    were not in the files, which are not compared; of a model whose head is among them the `hidden`
    states are, by cosines. An encoder's embeddings of as many `sentences` are compared one by one
    (`cosine_embedding`, the mean), and by the cosines of all their pairs: the rank correlation of
    those of the cell with those of the reference, and the RMS of their differences. `pooled_by` is
    the source of the pooled output.
    """

    cell: Name
    reference: Name
    weights: Literal["pretrained", "random"] = "random"
    same_model: bool = True
    input_sha256: Name = ""
    text: bool = False
    positions: Natural = 0
    failed: Text = ""
    may_pass: bool = False
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
    pooled_by: Literal["", "head", "pooler", "mean"] = ""
    sentences: Natural = 0
    cosine_embedding: Real | None = None
    similarity_rank: Real | None = None
    similarity_rms: Real | None = None
    unknown: list[Literal["hidden", "pooled", "head"]] = []
    notes: list[Text] = []
