"""Format figures for people: three significant digits, and `—` where there is no value.

Screens, tables and messages share these, so that a figure reads the same everywhere.
"""

from __future__ import annotations

import math

from txtop.units import NS_PER_S

GIB = 1 << 30
MISSING = "—"
PENDING = "…"


def _is_finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


_TYPED_UNITS = {"GiB": GIB, "MiB": 1 << 20, "GB": 10**9, "MB": 10**6}


def format_number(value: float | None) -> str:
    """Format with three significant digits: `0.52`, `1.23`, `27.1`, `312`, `3,120`, `1.5M`."""
    if value is None or not math.isfinite(value):
        return MISSING
    if abs(value) >= 999_500:
        return f"{value / 1e6:,.0f}M" if abs(value) >= 99.95e6 else f"{value / 1e6:.3g}M"
    if abs(value) >= 999.5:
        step: float = 10 ** (math.floor(math.log10(abs(value))) - 2)
        return f"{round(value / step) * step:,.0f}"
    if abs(value) >= 99.95:
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 9.995 else f"{value:.2f}"


def format_scaled(value: float | None) -> tuple[str, str]:
    """Return the big number, at most three digits from 0.1 on, and the prefix of its unit.

    The prefix is empty, `k`, `M` or `G`.
    """
    if value is None or not math.isfinite(value):
        return MISSING, ""
    if 0 < abs(value) < 0.0995:
        return format_figure(value), ""
    for prefix, size in (("", 1.0), ("k", 1e3), ("M", 1e6), ("G", 1e9)):
        if abs(value) / size < 999.5:
            return format_number(value / size), prefix
    return MISSING, ""


def format_ms(value: float | None) -> str:
    """Format milliseconds: three significant digits, at most one decimal (two under 1 ms)."""
    if value is None or not math.isfinite(value):
        return MISSING
    if 1 <= abs(value) < 99.95:
        return f"{value:.1f}"
    return format_number(value)


def format_percent(value: float | None) -> str:
    """Format a percentage without decimals and without its sign."""
    return f"{value:.0f}" if value is not None and math.isfinite(value) else MISSING


def format_half_width(width: float | None) -> str:
    """Format half the width of an interval, given as a share: `±1.2 %`; empty without a value.

    From 100 % on it has no decimals, so that it is never longer than 7 characters.
    """
    if width is None or not math.isfinite(width):
        return ""
    return f"±{format_share(width, int(width < 0.9995))}" if width < 9.995 else "±>999 %"


def format_change(share: float, digits: int = 1) -> str:
    """Format a change as a share of 1 with its sign: `+3.1 %`, `−25.7 %`; zero has none."""
    text = format_share(abs(share), digits)
    return text if text == format_share(0, digits) else f"{'−' if share < 0 else '+'}{text}"


def format_drift(share: float) -> str:
    """Format a change of speed that leaves no interval: `drifts −25.7 %`."""
    return f"drifts {format_change(share)}"


def format_interval(ends: tuple[float, float] | None) -> str:
    """Format a 95 % interval: `[308, 316] 95 %`; empty without one.

    Its numbers have no spaces inside.
    """
    if ends is None or not all(map(_is_finite, ends)):
        return ""
    low, high = (format_number(end) for end in ends)
    return f"[{low}, {high}] 95 %"


def format_gib(size: float | None, sign: str = "") -> str:
    """Format bytes as GiB with one decimal.

    Under 0.05 GiB there are two, so that a small model is not 0.0, and from 1,000 GiB on none.
    """
    if size is None or not math.isfinite(size):
        return MISSING
    value = size / GIB
    return f"{sign}{value:,.{2 if 0 < value < 0.05 else 1 if abs(value) < 1000 else 0}f}"


def format_gibs(*sizes: float | None) -> list[str]:
    """Format bytes that stand beside each other as GiB, so that unequal ones look unequal.

    They have three digits where these suffice; from 1,000 GiB on those that are whole stay so.
    """
    values = [None if size is None else size / GIB for size in sizes]
    texts: dict[float | None, str] = {}
    for decimals in range(11):
        texts = {v: _format_decimals(v, decimals) for v in values if v is not None}
        if len(set(texts.values())) == len(texts):
            break
    whole = {v: f"{v:,.0f}" for v in texts if v is not None and v >= 1000 and v % 1 == 0}
    return [(texts | whole).get(value, MISSING) for value in values]


def _format_decimals(value: float, least: int) -> str:
    """Format with three digits, from 1,000 on whole, and with no fewer decimals than `least`."""
    text = f"{value:,.0f}" if value >= 1000 else format_figure(value)
    return text if len(text.partition(".")[2]) >= least else f"{value:,.{least}f}"


def format_typed_size(count: int) -> str:
    """Format bytes as somebody typed them, `700 MiB` or `24 GB`, else as GiB."""
    forms = []
    for unit, size in _TYPED_UNITS.items():
        text = f"{count / size:,.2f}".rstrip("0").rstrip(".")
        if round(float(text.replace(",", "")) * size) == count:
            forms.append(f"{text} {unit}")
    # The shortest is what was typed, or one with the same meaning.
    shortest = min(forms, key=lambda form: (len(form), "." in form), default="")
    return shortest or f"{format_gibs(count)[0]} GiB"


def format_size(count: float) -> str:
    """Format bytes in the unit that fits: `812 KiB`, `1.2 GiB`."""
    for unit, one in (("GiB", GIB), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count >= one:
            return f"{count / one:,.1f} {unit}"
    return f"{count:.0f} B"


def join_reason(word: str, reason: str) -> str:
    """Join how something ended and why: `does not fit: needs 4.6 GiB`, and no word twice."""
    return reason if reason.startswith(word) else ": ".join(filter(None, (word, reason)))


def format_count(count: int, noun: str) -> str:
    """Format a number of things, with a plural in -s: `1 cell`, `3 cells`, `1,200 cells`."""
    return f"{count} {noun}" if count == 1 else f"{count:,} {noun}s"


def format_ratio(value: float | None) -> str:
    """Format a factor: `0.0126x`, `0.68x`, `1.47x`, `11.5x`; empty without a value."""
    if value is None or not math.isfinite(value):
        return ""
    return f"{format_figure(value) if value < 0.0995 else format_number(value)}x"


def format_ratio_interval(low: float, high: float) -> str:
    """Format the interval of a factor: `[0.988, 1.004]`, `[0.61, 1.87]`.

    Two decimals move no end by more than a tenth of the half-width; a narrower one has three.
    """
    decimals = 3 if abs(high - low) / 2 < 0.05 else 2
    return f"[{low:.{decimals}f}, {high:.{decimals}f}]"


def is_rough(interval: tuple[float, float] | None) -> bool:
    """Return True if a factor is not to be relied on: its interval spans a factor of ten."""
    return interval is None or interval[1] > 10 * interval[0]


def format_rough_ratio(value: float | None, interval: tuple[float, float] | None) -> str:
    """Format a factor; where its interval says too little, with two digits: `≈11x`."""
    if value is None or not is_rough(interval):
        return format_ratio(value)
    return f"≈{float(f'{value:.2g}'):,.0f}x" if value >= 9.95 else f"≈{value:.2g}x"


def format_clock(ns: float) -> str:
    """Format ns as mm:ss, and as h:mm:ss from an hour on."""
    whole = max(0, int(ns // NS_PER_S))
    hours, rest = divmod(whole, 3600)
    if hours:
        return f"{hours}:{rest // 60:02d}:{rest % 60:02d}"
    return f"{rest // 60:02d}:{rest % 60:02d}"


def format_estimate(s: float | None) -> str:
    """Format an estimated time: `~01:40`; `…` while there is nothing to estimate from.

    It is rounded up to 5 s from a minute on, and to a minute from ten minutes on.
    """
    if s is None or not math.isfinite(s):
        return PENDING
    step = 1 if s < 60 else 5 if s < 600 else 60
    return f"~{format_clock(math.ceil(s / step) * step * NS_PER_S)}"


def format_figure(value: float | None) -> str:
    """Format with three significant digits and never an exponent; `—` without a value."""
    if value is None:
        return MISSING
    size = abs(value)
    if size >= 100:
        return f"{float(f'{value:.3g}'):,.0f}"
    leading_zeros = min(6, -math.floor(math.log10(size)) - 1) if 0 < size < 1 else 0
    return f"{value:.{1 if size >= 10 else 2 if size >= 1 else 3 + leading_zeros}f}"


def format_few(n: int) -> str:
    """Format a warning about too few samples: `only 3 samples`, `no samples`."""
    return "no samples" if n == 0 else f"only {format_count(n, 'sample')}"


def format_share(share: float, digits: int = 0) -> str:
    """Format a share of 1 as a percentage: `42.7 %`."""
    return f"{share * 100:.{digits}f} %"
