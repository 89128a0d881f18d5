"""The values of `--on`, and the commands that they become."""

from __future__ import annotations

import shlex
import subprocess

import pytest

from txtop.errors import UsageError
from txtop.fleet.places import RemotePlace, parse_places


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
