"""A home and a login name for a process that has none."""

from __future__ import annotations

import getpass
import os
import pwd
from pathlib import Path
from typing import Any

import pytest

from txtop.system.home import LOGIN_VARIABLES, NOWHERE, ensure_home


def _raise_no_entry(*_: Any) -> Any:
    raise KeyError("getpwuid(): uid not found")


@pytest.mark.fault(53)
@pytest.mark.parametrize(
    ("given", "has_entry", "home"),
    [
        ("/srv/me", True, "/srv/me"),
        ("/srv/me", False, "/srv/me"),
        *((given, False, NOWHERE) for given in (None, "", "relative")),
        *((given, True, pwd.getpwuid(os.getuid()).pw_dir) for given in (None, "", "relative")),
    ],
)
def test_a_home_that_is_absolute(
    given: str | None, has_entry: bool, home: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HOME", *LOGIN_VARIABLES):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    if given is not None:
        monkeypatch.setenv("HOME", given)
    if not has_entry:
        monkeypatch.setattr(pwd, "getpwuid", _raise_no_entry)
    ensure_home()
    assert Path.home() == Path(home)
    assert getpass.getuser()


def test_a_login_name_that_is_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "")
    monkeypatch.delenv("LOGNAME")
    monkeypatch.setenv("USER", "me")
    ensure_home()
    assert "LOGNAME" not in os.environ
