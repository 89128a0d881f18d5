"""The words of the screens, explained in a line each; docs/screens.md has the same table."""

from __future__ import annotations

Entry = tuple[str, str]

GLOSSARY: tuple[tuple[str, tuple[Entry, ...]], ...] = (
    (
        "numbers",
        (
            (
                "tok/s, seq/s, req/s",
                "tokens, sequences, requests finished per second, all of a batch together",
            ),
            ("TTFT", "time to first token"),
            ("TPOT", "time per output token: (E2E - TTFT) / (tokens - 1)"),
            (
                "ITL",
                "inter-token latency: each gap between two tokens, or two steps of several",
            ),
            (
                "E2E",
                "end to end: from call or arrival to the last token; an encoder's forward time",
            ),
            ("prefill", "processing the prompt up to the first token; bound by arithmetic"),
            (
                "decode",
                "the steps after the first token, one token each; bound by memory bandwidth",
            ),
            (
                "MBU",
                "model bandwidth utilisation: bytes a decode step must read / TPOT / peak "
                "bandwidth",
            ),
            ("MFU", "model FLOPs utilisation: FLOPs of the prompt / TTFT / peak FLOP/s"),
            ("KV cache", "keys and values of earlier positions; grows with batch and context"),
        ),
    ),
    (
        "how sure",
        (
            (
                "± and [ , ] 95 %",
                "half of the 95 % interval, as a share of the mean; the interval itself",
            ),
            ("n", "iterations or requests that count; never tokens"),
            (
                "few: only 3 samples",
                "fewer than 10 iterations count; read the interval before the number",
            ),
            ("○ weak", "few samples, a drift, or no interval: not a number to quote"),
            (
                "need: p90 after 64",
                "a percentile is stated from that many iterations on; how many there are so far",
            ),
            ("STABLE", "10 iterations, CV below 2 %, an interval, no trend"),
            ("CV", "coefficient of variation: standard deviation as a share of the mean"),
            ("warming, warm-up", "iterations before speed settles; recorded and not counted"),
            ("busy", "others took the processor while it was measured; no interval"),
            ("throttled", "the GPU reports a slowdown for heat or power"),
            ("INVALID", "NaN or Inf in the output"),
        ),
    ),
    (
        "quality",
        (
            ("badge", "how close the output is to that of the reference, in a word"),
            (
                "✓ lossless-like",
                "mean KLD up to 0.001 and top-1 from 99 %; an encoder: similarities from 0.99",
            ),
            (
                "≈ minor",
                "mean KLD up to 0.01 and top-1 from 94 %; an encoder: similarities from 0.94",
            ),
            (
                "▲ visible",
                "mean KLD up to 0.1 and top-1 from 80 %; an encoder: similarities from 0.85",
            ),
            ("✗ broken", "beyond: its speed is no gain"),
            ("?", "no badge: the output is not judged, as with random weights"),
            ("fidelity", "how far the output of a cell is from that of the reference"),
            ("reference", "the most precise cell of the same work; in a race today's default"),
            ("KLD", "Kullback-Leibler divergence of next-token distributions, in nats"),
            ("top-1", "share of positions at which both outputs have the same likeliest token"),
            (
                "task",
                "items with known answers that every precision answers; with one it is the badge",
            ),
            (
                "pt",
                "points: the difference of two accuracies in percent; ✓ no worse, ▲ loss, ✗ worse",
            ),
        ),
    ),
    (
        "A/B and trade-offs",
        (
            (
                "arm",
                "one side of an A/B: a configuration, written as knobs (precision=bf16,threads=2)",
            ),
            ("block", "in an A/B: turns A B B A or B A A B; else about 0.1 s of iterations"),
            ("confidence sequence", "an interval that holds however often you check"),
            ("margin", "the smallest difference that matters, 2 % unless set"),
            (
                "start",
                "fresh processes of all arms; with --starts they decide an A/B, in place of blocks",
            ),
            ("funnel", "the intervals of an A/B, one row a block"),
            ("Pareto-optimal", "no other cell has more throughput and less latency"),
        ),
    ),
    (
        "serving",
        (
            (
                "open, closed loop",
                "requests come at a rate whatever the server does; clients wait for answers",
            ),
            ("saturated", "requests came faster than they were answered"),
            ("knee", "the load with the best ratio of throughput to latency"),
        ),
    ),
    (
        "a run",
        (
            (
                "cell",
                "one configuration to measure: model, precision, attention, batch, length, ...",
            ),
            ("knob", "one choice of a cell, such as precision; an option of run, a key of an arm"),
            ("recipe", "how a quantised precision was made, such as int8:weight-only"),
            ("iteration", "one call of generate() or one forward pass, of a full batch"),
            (
                "budget",
                "time limit per cell for warm-up and measuring; of an A/B, of measuring all arms",
            ),
            ("session", "everything one run recorded: a folder with events.jsonl"),
            ("segment", "the part of a session that one writer recorded; each resume adds one"),
            (
                "worker, sampler, runner",
                "the processes that measure, watch the machine, and conduct the run",
            ),
        ),
    ),
)
BIG_NUMBERS = {
    "tok/s": "tokens generated per second, by all sequences together",
    "seq/s": "sequences processed per second",
    "req/s": "requests answered per second",
}
"""The word under the big number, by its unit."""
