"""Serving options are expanded to load patterns: each scenario with each load."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import msgspec
import pytest

from txtop.errors import UsageError
from txtop.options.run_options import ServingOptions
from txtop.options.serving import expand_traffic, parse_slo
from txtop.plan.matrix import TrafficPattern
from txtop.plan.serving import Scenario, Serving, Slo

SERVED: tuple[Scenario, ...] = ("single", "dynamic", "continuous")
ALWAYS_ONE = {"max_batch": 1, "max_wait_ms": 0.0}
FULL = {"concurrency": "as many as fit"}
SWEPT = [FULL, *({"share": share} for share in (0.2, 0.4, 0.6, 0.8, 0.9, 1.0, 1.2))]
OFFERED: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]] = {
    "nothing": ({}, [FULL]),
    "a rate": ({"rate": ["2.5"]}, [{"rate": 2.5}]),
    "rates": ({"rate": ["4", "0.5", "1e3"]}, [{"rate": 4.0}, {"rate": 0.5}, {"rate": 1000.0}]),
    "sweep": ({"rate": ["sweep"]}, SWEPT),
    "a rate and a sweep": ({"rate": ["3", "sweep"]}, [{"rate": 3.0}, *SWEPT]),
    "clients": ({"concurrency": [1, 16]}, [{"concurrency": 1}, {"concurrency": 16}]),
    "both": ({"concurrency": [3], "rate": ["2"]}, [{"concurrency": 3}, {"rate": 2.0}]),
}
BATCHES: dict[str, dict[str, Any]] = {
    "by default": {},
    "asked for": {"max_batch": 5, "max_wait_ms": 7.5},
}


def serving_options(scenario: Scenario, **options: Any) -> ServingOptions:
    return ServingOptions(scenario=[scenario], **options)


def refused(options: ServingOptions) -> tuple[str, str]:
    with pytest.raises(UsageError) as caught:
        expand_traffic(options)
    return caught.value.cause, caught.value.hint


def expected(
    scenario: Scenario, batch: dict[str, Any], offers: list[dict[str, Any]]
) -> list[TrafficPattern]:
    server = {"max_batch": 8, "max_wait_ms": 20.0} | batch
    server = ALWAYS_ONE if scenario == "single" else server
    clients = {"concurrency": server["max_batch"]}
    return [
        (scenario, Serving(**server, **(clients if offer is FULL else offer))) for offer in offers
    ]


@pytest.mark.parametrize("scenario", SERVED)
@pytest.mark.parametrize("offer", OFFERED)
@pytest.mark.parametrize("batch", BATCHES)
def test_each_scenario_with_each_load(scenario: Scenario, offer: str, batch: str) -> None:
    options, offers = OFFERED[offer]
    patterns = expand_traffic(serving_options(scenario, **options, **BATCHES[batch]))
    assert patterns == expected(scenario, BATCHES[batch], offers)


@pytest.mark.parametrize(
    "options", [ServingOptions(), ServingOptions(scenario=[]), serving_options("static")]
)
def test_whole_batches_where_nothing_is_asked(options: ServingOptions) -> None:
    assert expand_traffic(options) == [("static", None)]


@pytest.mark.parametrize("names", itertools.permutations(("static", *SERVED), 3))
def test_scenarios_come_in_their_order_each_with_every_load(names: tuple[Scenario, ...]) -> None:
    options = ServingOptions(
        scenario=[*names, names[0]], rate=["1", "2"], max_batch=4, max_wait_ms=1.0
    )
    offers = [{"rate": 1.0}, {"rate": 2.0}]
    batch = {"max_batch": 4, "max_wait_ms": 1.0}
    wanted: list[TrafficPattern] = []
    for name in names:
        wanted += [(name, None)] if name == "static" else expected(name, batch, offers)
    assert expand_traffic(options) == wanted


@pytest.mark.parametrize("scenario", SERVED)
@pytest.mark.parametrize("lengths", ["fixed", "uniform", "lognormal"])
def test_every_load_has_what_requests_are_and_what_users_are_promised(
    scenario: Scenario, lengths: str
) -> None:
    options = serving_options(
        scenario, rate=["sweep", "2"], requests=40, lengths=lengths, slo="e2e=3s"
    )
    patterns = expand_traffic(options)
    assert len(patterns) == 9
    for _, serving in patterns:
        assert serving is not None
        assert (serving.requests, serving.lengths) == (40, lengths)
        assert serving.slo == Slo(e2e_ms=3000.0)


def test_open_loop_is_what_no_client_waits_for() -> None:
    patterns = expand_traffic(serving_options("dynamic", rate=["sweep", "2"], concurrency=[3]))
    assert [serving.open_loop for _, serving in patterns if serving] == [False] * 2 + [True] * 8


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rate", ["1"]),
        ("concurrency", [2]),
        ("requests", 3),
        ("max_batch", 4),
        ("max_wait_ms", 0.0),
        ("lengths", "fixed"),
        pytest.param(
            "slo",
            "ttft=1s",
        ),
    ],
)
@pytest.mark.parametrize("scenario", [None, ["static"], ["static", "static"]])
def test_options_of_requests_need_requests(
    name: str, value: object, scenario: list[Scenario] | None
) -> None:
    cause, hint = refused(ServingOptions(scenario=scenario, **{name: value}))
    spelt = "--" + name.replace("_", "-")
    assert cause == f"{spelt} is for requests, and static measures full batches"
    assert hint == "--scenario single, dynamic or continuous"


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("fast", "a number above 0, or sweep"),
        ("0", "a number above 0, or sweep"),
        ("-1", "a number above 0, or sweep"),
        ("nan", "a number above 0, or sweep"),
        ("inf", "a number above 0, or sweep"),
        ("1000001", "a number above 0, or sweep"),
        ("", "a number above 0, or sweep"),
        ("swep", "did you mean sweep?"),
    ],
)
def test_a_rate_is_a_number_or_a_sweep(word: str, hint: str) -> None:
    error = (f"--rate {word!a} is not a number of requests per second", hint)
    assert refused(serving_options("dynamic", rate=["1", word])) == error


def test_a_long_or_strange_rate_is_named_shortly() -> None:
    cause, _ = refused(serving_options("dynamic", rate=["\x1b" + "x" * 100]))
    assert cause == "--rate '\\x1b" + "x" * 39 + "' is not a number of requests per second"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"requests": 0}, "--requests 0 is not between 1 and 100,000"),
        ({"requests": 100_001}, "--requests 100,001 is not between 1 and 100,000"),
        ({"max_batch": 0}, "--max-batch 0 is not between 1 and 1,000,000"),
        ({"max_wait_ms": -1.0}, "--max-wait-ms -1 is not between 0 and 10,000,000"),
        ({"max_wait_ms": float("nan")}, "--max-wait-ms nan is not between 0 and 10,000,000"),
    ],
)
@pytest.mark.parametrize("scenario", SERVED)
def test_numbers_out_of_bounds(scenario: Scenario, options: dict[str, Any], message: str) -> None:
    assert refused(serving_options(scenario, **options)) == (message, "")


def lengths_of(path: Path) -> tuple[tuple[int, int], ...]:
    ((_, serving),) = expand_traffic(serving_options("dynamic", lengths=str(path)))
    assert serving is not None and serving.lengths == "pairs"
    return serving.pairs


def pairs_file(tmp_path: Path, body: str) -> Path:
    path = tmp_path / "pairs.csv"
    path.write_text(body, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "body",
    [
        "128,32\n7,1\n",
        "prompt,new\n128,32\n7,1\n",
        "prompt tokens;new tokens\n128,32\n7,1",
        " 128 ,\t32\n\n  \n7,1\n\n",
        "prompt,new\r\n128,32\r\n7,1\r\n",
    ],
    ids=["plain", "heading", "any heading", "blanks", "of Windows"],
)
def test_pairs_are_read_in_their_order(tmp_path: Path, body: str) -> None:
    assert lengths_of(pairs_file(tmp_path, body)) == ((128, 32), (7, 1))


def test_the_same_pair_may_come_often(tmp_path: Path) -> None:
    assert lengths_of(pairs_file(tmp_path, "5,6\n" * 3)) == ((5, 6),) * 3


@pytest.mark.parametrize(
    ("body", "line", "quoted"),
    [
        ("1,2\n3\n", 2, "3"),
        ("1,2,3\n", 1, "1,2,3"),
        ("prompt,new\n1,2\nx,4\n", 3, "x,4"),
        ("1,2\nprompt,new\n", 2, "prompt,new"),
        ("1,2\n3,4.5\n", 2, "3,4.5"),
        ("1,2\n\n-3,4\n", 3, "-3,4"),
        ("0,4\n", 1, "0,4"),
        ("4,0\n", 1, "4,0"),
        ("1000001,4\n", 1, "1000001,4"),
        ("1,²\n", 1, "1,²"),
        ("1,2\n" + "x" * 60 + "\n", 2, "x" * 40),
    ],
)
def test_a_line_that_is_no_pair_is_named(tmp_path: Path, body: str, line: int, quoted: str) -> None:
    path = pairs_file(tmp_path, body)
    assert refused(serving_options("dynamic", lengths=str(path))) == (
        f"--lengths {path}, line {line}: {quoted!a} is not prompt,new",
        "two whole numbers above 0, as 128,32",
    )


@pytest.mark.parametrize("first", ["1.5,2.5", "-3,-4", "128;32", "128 32"])
def test_a_first_line_with_numbers_is_no_heading(tmp_path: Path, first: str) -> None:
    path = pairs_file(tmp_path, f"{first}\n3,4\n")
    cause, _ = refused(serving_options("dynamic", lengths=str(path)))
    assert cause == f"--lengths {path}, line 1: {first!a} is not prompt,new"


def test_an_endless_number_is_refused(tmp_path: Path) -> None:
    path = pairs_file(tmp_path, "1,2\n" + "9" * 5_000 + ",4\n")
    cause, _ = refused(serving_options("dynamic", lengths=str(path)))
    assert cause == f"--lengths {path}, line 2: {'9' * 40!a} is not prompt,new"


@pytest.mark.parametrize(("count", "body"), [(0, ""), (0, "prompt,new\n"), (10_001, "1,2\n")])
def test_too_many_pairs_or_none(tmp_path: Path, count: int, body: str) -> None:
    path = pairs_file(tmp_path, body * max(count, 1))
    error = (f"--lengths {path} has {count} pairs", "1 to 10000")
    assert refused(serving_options("dynamic", lengths=str(path))) == error


def test_as_many_pairs_as_may_be(tmp_path: Path) -> None:
    assert len(lengths_of(pairs_file(tmp_path, "prompt,new\n" + "1,2\n" * 10_000))) == 10_000


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "noise"
    path.write_bytes(b"\xff\xfe1,2\n")
    cause, hint = refused(serving_options("dynamic", lengths=str(path)))
    assert cause.startswith(f"--lengths {path}: it is not UTF-8 text")
    assert hint == "a text file of lines prompt,new"


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("missing.csv", "fixed, uniform, lognormal, or a file of lines prompt,new"),
        (".", "fixed, uniform, lognormal, or a file of lines prompt,new"),
        ("", "fixed, uniform, lognormal, or a file of lines prompt,new"),
        ("pairs", "fixed, uniform, lognormal, or a file of lines prompt,new"),
        ("a\0b", "fixed, uniform, lognormal, or a file of lines prompt,new"),
        ("unifrom", "did you mean uniform?"),
        ("log-normal", "did you mean lognormal?"),
    ],
)
def test_lengths_are_a_distribution_or_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: str, hint: str
) -> None:
    monkeypatch.chdir(tmp_path)
    error = (f"--lengths {word!a} is neither a distribution nor a file", hint)
    assert refused(serving_options("continuous", lengths=word)) == error


def test_a_name_too_long_for_a_file() -> None:
    cause, _ = refused(serving_options("dynamic", lengths="x" * 300))
    assert cause == f"--lengths {'x' * 80!a} is neither a distribution nor a file"


@pytest.mark.parametrize(
    ("text", "bounds"),
    [
        ("ttft=0.2s,tpot=50ms", {"ttft_ms": 200.0, "tpot_ms": 50.0}),
        ("ttft=200ms,tpot=50ms,e2e=2s", {"ttft_ms": 200.0, "tpot_ms": 50.0, "e2e_ms": 2000.0}),
        ("e2e=2s", {"e2e_ms": 2000.0}),
        (" tpot= .5ms , ttft=1.s ", {"tpot_ms": 0.5, "ttft_ms": 1000.0}),
        ("e2e=1000000s", {"e2e_ms": 1e9}),
    ],
)
def test_a_promise_is_read_in_ms(text: str, bounds: dict[str, float]) -> None:
    assert msgspec.to_builtins(parse_slo(text)) == bounds


def test_a_promise_is_said_as_it_was_asked() -> None:
    assert parse_slo("ttft=0.2s,tpot=50ms").words() == "ttft 200 ms, tpot 50 ms"


NAMELESS = "ttft, tpot, e2e: ttft=200ms"
ENDLESS = "as ttft=200ms or e2e=2s"


@pytest.mark.parametrize(
    ("text", "cause", "hint"),
    [
        ("latency=1s", "--slo 'latency=1s' names no latency", NAMELESS),
        ("ttf=1s", "--slo 'ttf=1s' names no latency", "did you mean ttft?"),
        ("ttft=1s,tpt=5ms", "--slo 'tpt=5ms' names no latency", "did you mean tpot?"),
        ("TTFT=1s", "--slo 'TTFT=1s' names no latency", NAMELESS),
        ("", "--slo '' names no latency", NAMELESS),
        ("ttft=1s,", "--slo '' names no latency", NAMELESS),
        ("200ms", "--slo '200ms' names no latency", NAMELESS),
        ("ttft=200", "--slo 'ttft=200' has no duration", ENDLESS),
        ("ttft", "--slo 'ttft' has no duration", ENDLESS),
        ("ttft=", "--slo 'ttft=' has no duration", ENDLESS),
        ("ttft=ms", "--slo 'ttft=ms' has no duration", ENDLESS),
        ("ttft=0ms", "--slo 'ttft=0ms' has no duration", ENDLESS),
        ("ttft=0.00s", "--slo 'ttft=0.00s' has no duration", ENDLESS),
        ("ttft=-1s", "--slo 'ttft=-1s' has no duration", ENDLESS),
        ("ttft=1e3ms", "--slo 'ttft=1e3ms' has no duration", ENDLESS),
        ("ttft=2days", "--slo 'ttft=2days' has no duration", ENDLESS),
        ("e2e=1s,ttft=5", "--slo 'ttft=5' has no duration", ENDLESS),
    ],
)
def test_a_promise_that_cannot_be_read(text: str, cause: str, hint: str) -> None:
    assert refused(serving_options("dynamic", slo=text)) == (cause, hint)


@pytest.mark.parametrize("seconds", ["1000001", "9" * 400], ids=["too long", "infinite"])
def test_a_promise_that_no_log_holds_is_refused(seconds: str) -> None:
    cause, _ = refused(serving_options("dynamic", slo=f"ttft={seconds}s"))
    assert cause.startswith("--slo 'ttft=")


@pytest.mark.parametrize("scenario", SERVED)
@pytest.mark.parametrize(
    "options", [options | {"slo": "ttft=0.3s"} for options, _ in OFFERED.values()]
)
def test_a_log_reads_every_load_back(scenario: Scenario, options: dict[str, Any]) -> None:
    patterns = expand_traffic(serving_options(scenario, **options))
    again = msgspec.json.decode(msgspec.json.encode(patterns), type=list[TrafficPattern])
    assert again == patterns
