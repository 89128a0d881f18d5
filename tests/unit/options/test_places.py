"""The places of `--devices`: names, ranges, core sets, and what is refused in one line."""

from __future__ import annotations

import pytest

from txtop.errors import UsageError
from txtop.options.places import PlacesHere, parse_places
from txtop.options.run_options import RunOptions
from txtop.options.run_plan import _require_cores, build_plan
from txtop.plan.cell import Cell
from txtop.plan.plan import hash_workload
from txtop.system import cpu

FOUR = PlacesHere(gpus=4, nodes=(), cores=frozenset(range(8)))
SOCKETS = PlacesHere(
    gpus=0, nodes=(frozenset(range(4)), frozenset(range(4, 8))), cores=frozenset(range(8))
)
LAPTOP = PlacesHere(gpus=0, nodes=(frozenset(range(2)),), cores=frozenset(range(2)))
UNCOUNTED = PlacesHere(gpus=None, nodes=(), cores=frozenset(range(8)))


@pytest.mark.parametrize(
    ("texts", "here", "places"),
    [
        (["all"], FOUR, ["cuda:0", "cuda:1", "cuda:2", "cuda:3"]),
        (["0,2,3"], FOUR, ["cuda:0", "cuda:2", "cuda:3"]),
        (["0-3"], FOUR, ["cuda:0", "cuda:1", "cuda:2", "cuda:3"]),
        (["2", "0-1"], FOUR, ["cuda:2", "cuda:0", "cuda:1"]),
        (["cuda:1", "CUDA:0"], FOUR, ["cuda:1", "cuda:0"]),
        (["cuda:1,cuda:0"], FOUR, ["cuda:1", "cuda:0"]),
        (["GPU-8f3a9c1e,MIG-8f3a9c1f"], FOUR, ["GPU-8f3a9c1e", "MIG-8f3a9c1f"]),
        (["7"], UNCOUNTED, ["cuda:7"]),
        (["cpu:0-3", "cpu:4-7"], FOUR, ["cpu:0-3", "cpu:4-7"]),
        (["cpu:3,0-1,cpu:4,6"], FOUR, ["cpu:0-1,3", "cpu:4,6"]),
        (["all"], SOCKETS, ["cpu:0-3", "cpu:4-7"]),
        (["xpu:0", "xpu:1"], LAPTOP, ["xpu:0", "xpu:1"]),
    ],
)
def test_places_are_the_devices_they_name(
    texts: list[str], here: PlacesHere, places: list[str]
) -> None:
    assert parse_places(texts, here) == tuple(places)


def test_all_leaves_out_nodes_and_cores_that_this_process_may_not_use() -> None:
    nodes = (frozenset({0, 1}), frozenset({2, 3}), frozenset({4, 5}))
    here = PlacesHere(gpus=0, nodes=nodes, cores=frozenset({1, 2, 3}))
    assert parse_places(["all"], here) == ("cpu:1", "cpu:2-3")


@pytest.mark.parametrize(
    ("texts", "here", "cause"),
    [
        ([], FOUR, "--devices needs at least one value"),
        (["all"], LAPTOP, "--devices all: no GPU and a single NUMA node here"),
        (["all"], UNCOUNTED, "--devices all: the GPUs cannot be counted here"),
        (["4"], FOUR, "--devices cuda:4: no such NVIDIA GPU, this machine shows 4 of them"),
        (["0"], LAPTOP, "--devices cuda:0: no such NVIDIA GPU, this machine shows none"),
        (["3-0"], FOUR, "--devices 3-0 counts backwards"),
        (["0", "0-1"], FOUR, "--devices names cuda:0 twice"),
        (["GPU-8f3a9c1e", "GPU-8f3a9c1e-5b1c"], FOUR, "--devices names GPU-8f3a9c1e-5b1c twice"),
        (["cpu:0-3", "cpu:3-5"], FOUR, "--devices cpu:0-3 and cpu:3-5 share core 3"),
        (["cpu:6-9"], FOUR, "--devices cpu:6-9: this process may not use cores 8-9"),
        (["cpu:1-0"], FOUR, "--devices cannot be 'cpu:1-0'"),
        (["cpu"], FOUR, "--devices cpu names no single place"),
        (["auto"], FOUR, "--devices auto names no single place"),
        (["0", "cpu:1"], FOUR, "--devices mixes cuda and cpu, whose figures do not compare"),
        (["0", "GPU-8f3a9c1e"], FOUR, "--devices mixes numbers and UUIDs of GPUs"),
        (["gpu0"], FOUR, "--devices cannot be 'gpu0'"),
    ],
)
def test_what_is_no_place_is_refused_in_one_line(
    texts: list[str], here: PlacesHere, cause: str
) -> None:
    with pytest.raises(UsageError) as refused:
        parse_places(texts, here)
    assert refused.value.cause == cause
    assert refused.value.hint and "\n" not in str(refused.value)


def test_a_plan_has_its_places_and_the_same_work() -> None:
    core = min(cpu.read_affinity())
    given = {"models": ["hf-internal-testing/tiny-random-gpt2"], "precisions": ["fp32"]}
    plan = build_plan(RunOptions(**given, devices=[f"cpu:{core}"]))
    assert plan.places == (f"cpu:{core}",)
    assert {cell.device for cell in plan.cells} == {"cpu"}
    assert hash_workload(plan) == hash_workload(build_plan(RunOptions(**given)))


def test_one_device_for_all_beside_several_is_refused() -> None:
    with pytest.raises(UsageError, match="--device and --devices contradict each other"):
        build_plan(RunOptions(models=["gpt2"], device="cpu", devices=["cpu:0"]))


def test_more_threads_than_a_place_has_cores_are_refused() -> None:
    cells = (Cell(id="c001", model="gpt2", threads=2),)
    _require_cores(cells, ("cpu:0-1", "cuda:0"))
    with pytest.raises(UsageError, match="--threads 2 in cpu:1, which has 1 core: as many"):
        _require_cores(cells, ("cpu:2-3", "cpu:1"))
