"""A file of prompts: its identity in a plan, and a reader that checks every line of it.

It needs neither torch nor a tokenizer: a bad file is refused before anything is loaded. The format
is described in docs/prompts.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, get_args

import msgspec
from msgspec import Meta

from txtop.errors import UsageError, did_you_mean
from txtop.plan.file_signature import describe_packed
from txtop.plan.json_lines import LineError, RepeatedFieldError, describe_fault, parse_line

MAX_LINE_BYTES = 4 << 20
MAX_FILE_BYTES = 256 << 20
MAX_PROMPTS = 10_000
"""The most prompts of a file; of a conversation each turn is one."""
MAX_NEW_TOKENS = 1_000_000
ChatTemplate = Literal["auto", "off"]
Role = Literal["system", "user", "assistant"]
PrefixCache = Literal["off", "on"]
_FORMS = "a .txt file with a prompt a line, or .jsonl with text or messages"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_BOM = b"\xef\xbb\xbf"


class TokenCounts(msgspec.Struct, frozen=True):
    """The tokens of the prompts of a file: the least, the mean, and the most."""

    least: int
    mean: float
    most: int

    @classmethod
    def of(cls, counts: Sequence[int]) -> TokenCounts:
        return cls(min(counts), sum(counts) / len(counts), max(counts))

    def __str__(self) -> str:
        """Return `128`, or the mean of several counts as `~41`."""
        return str(self.most) if self.least == self.most else f"~{round(self.mean)}"


class PromptFile(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The identity of a file of prompts.

    `path` is absolute, `sha256` that of its bytes, `prompts` the number of its lines with a prompt.
    `tokens` are known once a model's tokenizer has read it. `new_tokens` are what the prompts ask
    for, `None` where no line says so.
    """

    path: str
    sha256: str
    prompts: Annotated[int, Meta(ge=1, le=MAX_PROMPTS)]
    tokens: TokenCounts | None = None
    new_tokens: TokenCounts | None = None

    def __str__(self) -> str:
        """Return the path, as a command line and a plan file spell it."""
        return self.path

    @property
    def name(self) -> str:
        """Return the name of the file without its folder."""
        return Path(self.path).name

    @property
    def work(self) -> tuple[str, str]:
        """Return what two files share that hold the same prompts, wherever they are."""
        return Path(self.path).suffix.lower(), self.sha256


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A message of a conversation."""

    role: Role
    content: str


class Prompt(NamedTuple):
    """The prompt of a line; plain text is one message of a user. `new_tokens` may not be set."""

    line: int
    messages: tuple[Message, ...]
    is_chat: bool = False
    new_tokens: int | None = None

    def list_turns(self) -> list[tuple[Message, ...]]:
        """Return what is asked in turn: up to each message of the user, with the answers before."""
        asked = [i for i, message in enumerate(self.messages) if message.role == "user"]
        return [self.messages[: i + 1] for i in asked]


class _Line(msgspec.Struct):
    """A line of a .jsonl file."""

    text: str | None = None
    messages: list[Message] | None = None
    prefix: str = ""
    max_new_tokens: Annotated[int, Meta(ge=1, le=MAX_NEW_TOKENS)] | None = None


def parse_prompt_file(option: str, path: str) -> PromptFile:
    """Read and check the file that was typed for `option`.

    Raises `UsageError`, with file, line and next step.
    """
    return read_prompts(path, option=option)[0]


def read_prompts(path: str, *, option: str = "--prompts") -> tuple[PromptFile, list[Prompt]]:
    """Read a file of prompts: its identity, and its prompts in order.

    Memory holds one line beside the prompts. Raises `UsageError`.
    """
    try:
        where = Path(path).expanduser().absolute()
        suffix = where.suffix.lower()
        if suffix not in (".txt", ".jsonl"):
            raise UsageError(f"{option} {path}: neither .txt nor .jsonl", _FORMS)
        if not where.is_file():
            state = "not a file" if where.exists() else "no such file"
            raise UsageError(f"{option} {path}: {state}", _FORMS)
        digest = hashlib.sha256()
        prompts = list(_read_lines(where, f"{option} {path}", suffix, digest))
    except (OSError, ValueError, RuntimeError) as error:
        cause = getattr(error, "strerror", None) or str(error)
        step = "make it readable" if isinstance(error, PermissionError) else _FORMS
        raise UsageError(f"{option} {path}: {cause}", step) from None
    if not prompts:
        raise UsageError(f"{option} {path}: no prompt in it", _FORMS)
    file = PromptFile(path=str(where), sha256=digest.hexdigest(), prompts=len(prompts))
    return file, prompts


def describe_change(now: PromptFile) -> str:
    """Return the text of an error: the file is `now` another than the one of the plan."""
    return f"--prompts {now.path}: the file has changed since (sha256 {now.sha256[:12]})"


def require_unchanged(file: PromptFile) -> None:
    """Raise `UsageError` if the file is not what it was when the plan was made."""
    now, _ = read_prompts(file.path)
    if now.sha256 != file.sha256:
        raise UsageError(describe_change(now), "restore it, or begin a new run")


def _read_lines(path: Path, where: str, suffix: str, digest: Any) -> Iterator[Prompt]:
    size = count = 0
    with path.open("rb") as file:
        number = 0
        while line := file.readline(MAX_LINE_BYTES + 1):
            number += 1
            at = f"{where}, line {number}"
            if number == 1 and (packed := describe_packed(line)):
                raise UsageError(f"{where} {packed[0]}", packed[1])
            if len(line) > MAX_LINE_BYTES:
                raise UsageError(
                    f"{at}: longer than {MAX_LINE_BYTES >> 20} MiB", "a line for each prompt"
                )
            size += len(line)
            if size > MAX_FILE_BYTES:
                raise UsageError(
                    f"{at}: the file is over {MAX_FILE_BYTES >> 20} MiB", "a sample of it"
                )
            digest.update(line)
            text = _decode(line, number, at)
            if not text.strip():
                continue
            if suffix == ".jsonl":
                prompt = _parse_line(text, number, at)
            else:
                prompt = Prompt(number, (Message("user", text.rstrip("\r\n")),))
            count += len(prompt.list_turns())
            if count > MAX_PROMPTS:
                raise UsageError(f"{at}: more than {MAX_PROMPTS:,} prompts", "a sample of them")
            yield prompt


def _decode(line: bytes, number: int, at: str) -> str:
    if number == 1:
        line = line.removeprefix(_BOM)
        if line.startswith(_UTF16):
            raise UsageError(f"{at}: the file is UTF-16", "save it as UTF-8")
    if b"\0" in line:
        raise UsageError(f"{at}: a zero byte: this is no text", _FORMS)
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        byte = line[error.start]
        raise UsageError(
            f"{at}: byte {error.start + 1} (0x{byte:02x}) is not UTF-8", "save the file as UTF-8"
        ) from None


def _parse_line(text: str, number: int, at: str) -> Prompt:
    try:
        value = parse_line(text)
    except RepeatedFieldError as repeated:
        raise UsageError(f"{at}: {str(repeated)[:40]!a} twice", "each field once") from None
    except LineError as error:
        raise UsageError(f"{at}: not JSON: {error}", 'as {"text": "a prompt"}') from None
    fields = _Line.__struct_fields__
    if not isinstance(value, dict):
        raise UsageError(f"{at}: not a JSON object", 'as {"text": "a prompt"}')
    _require_fields(value, fields, at)
    given = value.get("messages")
    for place, message in enumerate(given if isinstance(given, list) else []):
        if isinstance(message, dict):
            _require_message(message, f"{at}: messages[{place}]")
    try:
        line = msgspec.convert(value, _Line)
    except msgspec.ValidationError as error:
        raise UsageError(f"{at}: {describe_fault(error)}", _FORMS) from None
    if (line.text is None) == (line.messages is None):
        state = "neither text nor messages" if line.text is None else "both text and messages"
        raise UsageError(f"{at}: {state}", "one of them")
    messages = line.messages
    if messages is None:
        messages = [Message("user", line.text or "")]
    if not any(message.role == "user" for message in messages):
        raise UsageError(f"{at}: no message of the role user", "what is asked has that role")
    if line.prefix:
        first = messages[0]
        messages = [Message(first.role, line.prefix + first.content), *messages[1:]]
    if not any(message.content.strip() for message in messages):
        raise UsageError(f"{at}: an empty prompt", "leave the line out")
    return Prompt(number, tuple(messages), line.messages is not None, line.max_new_tokens)


def _require_message(message: dict[str, Any], at: str) -> None:
    _require_fields(message, Message.__struct_fields__, at)
    role, roles = message.get("role"), get_args(Role)
    if isinstance(role, str) and role not in roles:
        hint = did_you_mean(role, roles, f"roles: {', '.join(roles)}")
        raise UsageError(f"{at}: no role {role[:40]!a}", hint)


def _require_fields(value: dict[str, Any], fields: Sequence[str], at: str) -> None:
    """Raise `UsageError` for a field that is none of `fields`."""
    if unknown := [name for name in value if name not in fields]:
        missing = [name for name in fields if name not in value]
        hint = did_you_mean(unknown[0], missing, f"fields: {', '.join(fields)}")
        raise UsageError(f"{at}: no field {unknown[0][:40]!a}", hint)
