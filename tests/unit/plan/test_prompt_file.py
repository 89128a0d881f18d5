"""A file of prompts: its two formats, and the line that says what is wrong with it."""

from __future__ import annotations

import hashlib
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from txtop.errors import UsageError
from txtop.plan import prompt_file
from txtop.plan.prompt_file import Message, read_prompts, require_unchanged


def write(path: Path, *lines: Any) -> Path:
    texts = (line if isinstance(line, str) else json.dumps(line) for line in lines)
    path.write_text("\n".join(texts) + "\n", encoding="utf-8")
    return path


def test_each_line_of_a_text_file_is_a_prompt(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("\ufeffone\r\n\r\n  two ü\n".encode())
    file, prompts = read_prompts(str(path))
    assert [(p.line, p.messages) for p in prompts] == [
        (1, (Message("user", "one"),)),
        (3, (Message("user", "  two ü"),)),
    ]
    assert file.prompts == 2 and file.path == str(path) and file.name == "a.txt"
    assert file.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_line_of_json_has_text_or_messages_a_prefix_and_a_number_of_new_tokens(
    tmp_path: Path,
) -> None:
    chat = [
        {"role": "system", "content": "Be short."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello"},
        {"role": "user", "content": "Bye"},
        {"role": "assistant", "content": "So long"},
    ]
    path = write(
        tmp_path / "a.jsonl",
        {"text": "two", "prefix": "one ", "max_new_tokens": 3},
        {"messages": chat, "prefix": ">"},
    )
    first, second = read_prompts(str(path))[1]
    assert first.messages == (Message("user", "one two"),)
    assert (first.new_tokens, first.is_chat) == (3, False)
    assert second.is_chat and second.messages[0].content == ">Be short."
    turns = second.list_turns()
    # The answers of the file are the context of later turns; after the last nothing is asked.
    assert [turn[-1].content for turn in turns] == ["Hi", "Bye"]
    assert turns[0] == second.messages[:2] and turns[1] == second.messages[:4]


BAD: dict[str, tuple[str, bytes, str]] = {
    "empty": ("a.txt", b"", "no prompt in it"),
    "only blank lines": ("a.txt", b"\n  \n", "no prompt in it"),
    "no format": ("a.csv", b"one\n", "neither .txt nor .jsonl"),
    "latin-1": ("a.txt", "gut\nschön\n".encode("latin-1"), "line 2: byte 4 (0xf6) is not UTF-8"),
    "gzip": ("a.txt", b"\x1f\x8b\x08\x00", "is compressed: gunzip it first"),
    "UTF-16": ("a.txt", "one\ntwo".encode("utf-16"), "line 1: the file is UTF-16"),
    "binary": ("a.txt", b"one\n\0\1\2\n", "line 2: a zero byte"),
    "not JSON": ("a.jsonl", b'{"text": "a"}\n{"text": \n', "line 2: not JSON: "),
    "too deep": ("a.jsonl", b"[" * 100_000, "line 1: not JSON: "),
    "no object": ("a.jsonl", b'"one"\n', "line 1: not a JSON object"),
    "wrong field": ("a.jsonl", b'{"txt": "a"}\n', "line 1: no field 'txt': did you mean text?"),
    "a field twice": ("a.jsonl", b'{"text": "a", "text": "b"}\n', "line 1: 'text' twice"),
    "no text": ("a.jsonl", b'{"prefix": "a"}\n', "line 1: neither text nor messages"),
    "both": ("a.jsonl", b'{"text":"a","messages":[]}\n', "line 1: both text and messages"),
    "no number": ("a.jsonl", b'{"text":"a","max_new_tokens":"9"}\n',
                  "line 1: max_new_tokens: text in place of a whole number"),
    "zero": ("a.jsonl", b'{"text":"a","max_new_tokens":0}\n',
             "line 1: max_new_tokens: less than 1"),
    "no role": ("a.jsonl", b'{"messages":[{"role":"bot","content":"a"}]}\n',
                "line 1: messages[0]: no role 'bot': roles: system, user, assistant"),
    "a misspelt role": ("a.jsonl", b'{"messages":[{"role":"usr","content":"a"}]}\n',
                        "line 1: messages[0]: no role 'usr': did you mean user?"),
    "a misspelt field of a message": (
        "a.jsonl", b'{"messages":[{"role":"user","content":"a"},{"role":"user","contnet":"a"}]}\n',
        "line 1: messages[1]: no field 'contnet': did you mean content?"),
    "a field of a message too many": (
        "a.jsonl", b'{"messages":[{"role":"user","content":"a","name":"b"}]}\n',
        "line 1: messages[0]: no field 'name': fields: role, content"),
    "a field that is there twice, once misspelt": (
        "a.jsonl", b'{"text":"a","texts":"b"}\n', "line 1: no field 'texts': fields: text, mess"),
    "nothing asked": ("a.jsonl", b'{"messages":[{"role":"assistant","content":"a"}]}\n',
                      "line 1: no message of the role user"),
    "empty prompt": ("a.jsonl", b'{"text":"a"}\n{"text":" "}\n', "line 2: an empty prompt"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_refused_by_file_line_and_next_step(name: str, tmp_path: Path) -> None:
    file, content, cause = BAD[name]
    path = tmp_path / file
    path.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        read_prompts(str(path))
    assert caught.value.hint and "\n" not in str(caught.value)
    assert f"--prompts {path}" in str(caught.value) and cause in str(caught.value)


@pytest.mark.parametrize("name", ["absent.txt", "folder.txt"])
def test_a_path_without_a_file_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "folder.txt").mkdir()
    with pytest.raises(UsageError, match=r"no such file|not a file"):
        read_prompts(str(tmp_path / name))


@pytest.mark.parametrize("suffix", [".txt", ".jsonl"])
def test_a_line_of_a_gigabyte_is_refused_without_being_read(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    with path.open("wb") as file:
        file.write(b'{"text": "one"}\n')
        file.truncate(1 << 30)
    tracemalloc.start()
    try:
        with pytest.raises(UsageError, match="line 2: longer than 4 MiB"):
            read_prompts(str(path))
        assert tracemalloc.get_traced_memory()[1] < 4 * prompt_file.MAX_LINE_BYTES
    finally:
        tracemalloc.stop()


def test_too_many_prompts_and_too_large_a_file_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.txt", *["one"] * 5)
    monkeypatch.setattr(prompt_file, "MAX_PROMPTS", 4)
    with pytest.raises(UsageError, match="line 5: more than 4 prompts"):
        read_prompts(str(path))
    monkeypatch.setattr(prompt_file, "MAX_FILE_BYTES", 9)
    with pytest.raises(UsageError, match="line 3: the file is over"):
        read_prompts(str(path))


def test_a_changed_file_is_refused_by_its_hash(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "one", "two")
    file, _ = read_prompts(str(path))
    require_unchanged(file)
    write(path, "one", "too")
    with pytest.raises(UsageError, match="has changed since"):
        require_unchanged(file)
    path.unlink()
    with pytest.raises(UsageError, match="no such file"):
        require_unchanged(file)
