"""The values of `--on`, and the commands that they become."""

from __future__ import annotations

import shlex
import subprocess

import pytest

from txtop.errors import UsageError
from txtop.fleet import places as places_module
from txtop.fleet.engines.ray import count_places, parse_wishes
from txtop.fleet.fleet_run import check_places
from txtop.fleet.folder import FleetOrder
from txtop.fleet.places import RemotePlace, hold_places, parse_places


def test_places_are_named_by_their_host_by_a_number_or_by_name() -> None:
    places = parse_places(["ssh:me@gpu1.lan", "exec:kubectl exec -i pod --"])
    assert [place.label for place in places] == ["gpu1.lan", "place2"]
    (named,) = parse_places(["h100=ssh:gpu2"])
    assert named == RemotePlace("h100", "ssh", "gpu2")


def test_exec_puts_the_command_behind_its_own() -> None:
    (place,) = parse_places(["exec:kubectl exec -i 'my pod' --"])
    assert place.build_command(["txtop"], ["stop", "a b"]) == [
        *("kubectl", "exec", "-i", "my pod", "--"),
        *("txtop", "stop", "a b"),
    ]


def test_ssh_quotes_for_the_shell_there_and_never_asks() -> None:
    (place,) = parse_places(["ssh:gpu1"])
    command = place.build_command(["/opt/my env/txtop"], ["stop", "$(id) ';"])
    assert command[0] == "ssh" and "BatchMode=yes" in command
    assert command[-3:-1] == ["gpu1", "--"]
    printed = subprocess.run(
        ["sh", "-c", "set -- " + command[-1] + '; printf "%s\\n" "$@"'],
        capture_output=True,
        text=True,
        check=True,
    )
    assert printed.stdout.splitlines() == ["/opt/my env/txtop", "stop", "$(id) ';"]
    assert shlex.split(command[-1]) == printed.stdout.splitlines()


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([], "at least one value"),
        (["gpu1"], "ssh:HOST"),
        (["shh:gpu1"], "did you mean ssh?"),
        (["slrum"], "did you mean slurm?"),
        (["ssh1"], "ssh:HOST"),
        (["ssh:"], "names no machine"),
        (["ssh:-oProxyCommand=evil"], "names no machine"),
        (["exec:'a"], "a quote is not closed"),
        (["ssh:gpu1", "ssh:other@gpu1"], "two places called gpu1"),
        (["ssh:h"] * 65, "at most 64"),
    ],
)
def test_refusals_say_what_to_type(values: list[str], text: str) -> None:
    with pytest.raises(UsageError) as refusal:
        parse_places(values)
    assert text in str(refusal.value)


def test_slurm_and_ray_need_no_target_and_slurm_is_counted() -> None:
    places = parse_places(["slurm*2:-p gpu --gres=gpu:1", "big=slurm:-c 8", "ray://head:10001"])
    assert places == (
        RemotePlace("slurm-1", "slurm", "-p gpu --gres=gpu:1"),
        RemotePlace("slurm-2", "slurm", "-p gpu --gres=gpu:1"),
        RemotePlace("big", "slurm", "-c 8"),
        RemotePlace("ray", "ray", "//head:10001"),
    )
    assert parse_places(["a=slurm*1"]) == (RemotePlace("a-1", "slurm", ""),)


@pytest.mark.parametrize("value", ["slurm*0", "slurm*65", "slurm*x", "ssh*2:gpu1", "slrum"])
def test_what_cannot_be_counted_is_refused(value: str) -> None:
    with pytest.raises(UsageError, match="cannot be"):
        parse_places([value])


def test_what_a_place_of_ray_holds() -> None:
    parts = ["//head:10001", "num_gpus=1", "accelerator_type=A100", "disk=0.5"]
    address, wishes = parse_wishes(parts)
    assert address == "ray://head:10001"
    assert wishes == {"GPU": 1, "accelerator_type:A100": 0.001, "disk": 0.5}
    node = {"CPU": 8.0, "GPU": 4.0, "accelerator_type:A100": 1.0, "disk": 1.0}
    assert count_places(wishes, node) == 2
    assert count_places({"GPU": 1}, node) == 4
    assert count_places({"accelerator_type:A100": 0.001}, node) == 1
    assert count_places({"GPU": 8}, node) == 0 and count_places({}, node) == 1
    for word in ("num_gpus", "num_gpus=-1", "num_gpus=nan", "=1"):
        with pytest.raises(UsageError, match="is no resource"):
            parse_wishes([word])


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("false", "a: exec:false ended with exit code 1: nothing was started"),
        ("true", "a: exec:true ended without a word of txtop: nothing was started"),
        ("echo", "a: its txtop does not describe its machine: update it there: nothing was"),
    ],
)
def test_a_place_whose_command_ends_at_once_is_named_with_it(command: str, expected: str) -> None:
    with pytest.raises(UsageError) as refusal:
        check_places([RemotePlace("a", "exec", command)], FleetOrder(["txtop"], b""))
    assert str(refusal.value).startswith(expected)


def test_what_an_engine_got_is_given_back_when_a_later_one_refuses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    released: list[str] = []

    def refuse(targets: list[str], tell: object) -> list[list[str]]:
        raise UsageError("no room")

    ray = places_module.ENGINES["ray"]._replace(
        hold=lambda targets, tell: [["n1", "n2"] for _ in targets],
        release=released.extend,
        require=None,
    )
    monkeypatch.setitem(places_module.ENGINES, "ray", ray)
    held = hold_places(parse_places(["ray", "ssh:gpu1"]), print)
    assert [place[::2] for place in held] == [("ray-1", "n1"), ("ray-2", "n2"), ("gpu1", "gpu1")]
    slurm = places_module.ENGINES["slurm"]._replace(hold=refuse, require=None)
    monkeypatch.setitem(places_module.ENGINES, "slurm", slurm)
    with pytest.raises(UsageError, match="no room"):
        hold_places(parse_places(["slurm", "ray"]), print)
    assert released == ["n1", "n2"]


@pytest.mark.parametrize(
    ("engine", "text"), [("slurm", "apt install slurm-client"), ("ray", "pip install 'txtop[ray]")]
)
def test_a_missing_engine_names_what_installs_it(
    engine: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.setattr("txtop.fleet.engines.ray.find_spec", lambda name: None)
    with pytest.raises(UsageError) as refusal:
        hold_places(parse_places([engine]), print)
    assert text in str(refusal.value)
