"""Every row of fault_rows.toml that is built has a test; the rest are listed as the run ends."""

from __future__ import annotations

from pathlib import Path

from support import fault_rows


def test_markers_name_known_rows() -> None:
    unknown = {n: where for n, where in fault_rows.tested().items() if n not in fault_rows.rows()}
    assert unknown == {}


def test_every_row_that_is_built_has_a_test() -> None:
    untested = fault_rows.built() - set(fault_rows.tested())
    assert {number: fault_rows.rows()[number] for number in sorted(untested)} == {}


def test_rows_are_numbered_without_a_gap() -> None:
    assert list(fault_rows.rows()) == list(range(1, len(fault_rows.rows()) + 1))
    assert fault_rows.built() <= set(fault_rows.rows())


def test_markers_are_found_wherever_they_stand(tmp_path: Path) -> None:
    (tmp_path / "test_a.py").write_text(
        "pytestmark = pytest.mark.fault(1)\n"
        "@pytest.mark.fault(2, 3)\n"
        "def test_b(): pytest.param(0, marks=pytest.mark.fault(4))\n"
    )
    (tmp_path / "helper.py").write_text("pytest.mark.fault(5)\n")
    assert set(fault_rows.tested(tmp_path)) == {1, 2, 3, 4}
