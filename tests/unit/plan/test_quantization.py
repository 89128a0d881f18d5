"""A library's configuration comes from a file or as text, and is kept whole."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from txtop.errors import UsageError
from txtop.options.ab_plan import parse_arm
from txtop.plan.quantization import MAX_CHARACTERS, label_quantization, parse_quantization

NF4 = {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}


def test_a_file_and_its_text_are_one_configuration(tmp_path: Path) -> None:
    path = tmp_path / "nf4.json"
    path.write_text("\ufeff" + json.dumps(NF4, indent=2), encoding="utf-8")
    kept = parse_quantization("--quantization", str(path))
    assert json.loads(kept) == NF4 and " " not in kept
    assert parse_quantization("--quantization", json.dumps(NF4)) == kept
    # A plan that is resumed elsewhere has no need of the file.
    path.unlink()
    assert label_quantization(kept) == "bitsandbytes nf4"


def test_an_arm_takes_a_file_and_text_with_commas(tmp_path: Path) -> None:
    path = tmp_path / "nf4.json"
    path.write_text(json.dumps(NF4), encoding="utf-8")
    kept = parse_quantization("--b", json.dumps(NF4))
    for value in (str(path), json.dumps(NF4)):
        arm = parse_arm("--b", f"quantization={value},threads=2")
        assert arm == {"quantization": kept, "threads": 2}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"nf4", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[4]", "not a JSON object"),
        (b"{}", "an empty configuration"),
        (b"\xff\xfe", "not UTF-8"),
        (json.dumps({"a": "b" * MAX_CHARACTERS}).encode(), "over 4000 characters"),
        (None, "No such file"),
    ],
)
def test_what_is_none_is_refused_by_its_file(
    body: bytes | None, reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "made.json"
    if body is not None:
        path.write_bytes(body)
    with pytest.raises(UsageError, match=reason) as refusal:
        parse_quantization("--quantization", str(path))
    assert str(path)[:60] in str(refusal.value)


@pytest.mark.parametrize(
    ("quantisation", "label"),
    [
        ({"quant_method": "fp8", "dequantize": True}, "fp8 dequantised"),
        ({"quant_method": "gptq", "bits": 4, "backend": "gptq_torch"}, "gptq gptq_torch"),
        ({"bits": 4}, "quantization"),
    ],
)
def test_a_configuration_has_a_short_name(quantisation: dict[str, object], label: str) -> None:
    assert label_quantization(json.dumps(quantisation)) == label
