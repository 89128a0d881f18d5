"""The price of a million tokens or sequences, from a rate and a price per hour."""

from __future__ import annotations

from txtop.stats.summary import Summary


def compute_cost_per_million(rate: Summary, per_hour: float, unit: str) -> Summary:
    """Return the price of a million units of work: per_hour / 3600 / rate x 1e6.

    The ends of the rate's interval are converted to prices and swapped. `unit` is the unit of the
    result.
    """

    def price(speed: float | None) -> float | None:
        return per_hour / 3600 / speed * 1e6 if speed is not None and speed > 0 else None

    low, high = map(price, rate.ci95 or (None, None))
    return Summary(
        unit=unit,
        n=rate.n,
        mean=price(rate.mean),
        median=price(rate.median),
        ci95=(high, low) if low is not None and high is not None else None,
        notes=[f"at {per_hour:g} $ an hour"],
    )
