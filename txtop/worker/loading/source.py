"""The source of a model by its name: a local directory, a .gguf file, built-in, or the Hub."""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from txtop.models import builtin, checkpoint_faults, model_config, quantised, weight_files
from txtop.models.absent_models import explain_absent_name, is_known, suggest_name
from txtop.models.purpose import detect_family, get_class_name
from txtop.plan.cell import Weights
from txtop.plan.model_names import get_repository
from txtop.plan.plan import Allowed
from txtop.worker.failures import AbsentError, RejectedError
from txtop.worker.loading import gguf, hub

LogCallback = Callable[[str], None]
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.h5", "*.msgpack")


@dataclass(frozen=True)
class ModelSource:
    """The source that a name resolved to.

    `config` is the raw configuration, `model_type` included. `directory` holds the files, `None`
    for a built-in configuration; `gguf` names the file in it that holds configuration and weights.
    `pickled` is set if its weights are pickles, `own_code` if its own classes are to be run.
    """

    config: dict[str, Any]
    weights: Literal["pretrained", "random"]
    label: str
    directory: Path | None = None
    gguf: str | None = None
    pickled: bool = False
    own_code: bool = False
    notes: list[str] = field(default_factory=list)

    @property
    def quantisation(self) -> dict[str, Any] | None:
        """Return the quantiser's configuration that the files are stored with, None for none."""
        return None if self.gguf else quantised.find_quantisation(self.config)

    @property
    def weight_files(self) -> list[Path]:
        """Return the files that hold the weights."""
        if self.directory is None or self.weights == "random":
            return []
        if self.gguf:
            return [self.directory / self.gguf]
        try:
            files = weight_files.list_weight_files(self.directory, pickled=self.pickled)
        except (OSError, ValueError):
            return []
        return [path for path in files if path.is_file()]

    @property
    def weight_bytes(self) -> int:
        """Return the size of the files that hold the weights."""
        return sum(path.stat().st_size for path in self.weight_files)


def resolve_model(
    model: str, weights: Weights, allowed: Allowed, log: LogCallback, progress: hub.ProgressCallback
) -> ModelSource:
    """Find `model`. `log` gets lines for the log, `progress` the bytes of a download.

    Raises `RejectedError` with a reason and a next step.
    """
    path = model_config.find_local_path(model)
    if path is not None:
        return _find_local_source(path, weights, allowed, log, str(path))
    preset = builtin.find_builtin(model)
    if refusal := explain_absent_name(model):
        raise AbsentError(*refusal)
    if preset is not None and weights == "random":
        return _find_builtin_source(preset)
    try:
        directory = hub.fetch_model(
            preset.hub_id if preset else model, weights, allowed, log, progress
        )
    except hub.HubError as error:
        if preset is None:
            raise _build_absent_error(model, error) from None
        if weights == "pretrained":
            hint = error.hint or f"--weights random measures the architecture of {preset.name}"
            raise AbsentError(f"no pretrained weights of {model}: {error.cause}", hint) from None
        log(f"{preset.name}: random weights, since {error.cause}")
        return _find_builtin_source(preset)
    label = f"hub: {preset.hub_id if preset else model}"
    source = _find_local_source(directory, weights, allowed, log, label)
    return _drop_head(source) if preset is not None else source


def require_present(model: str, allowed: Allowed, log: LogCallback) -> None:
    """Raise `AbsentError` if there is no `model`. Of the Hub's its configuration alone is fetched.

    A built-in name is present, as its architecture is.
    """
    if refusal := explain_absent_name(model):
        raise AbsentError(*refusal)
    if is_known(model):
        return
    try:
        hub.fetch_model(model, "random", allowed, log, lambda done, total: None)
    except hub.HubError as error:
        raise _build_absent_error(model, error) from None


def _build_absent_error(model: str, error: hub.HubError) -> AbsentError:
    reason = f"{model}: {error.cause}"
    if not isinstance(error, hub.IncompleteError):
        here = (
            "a folder without a file config.json"
            if Path(model).is_dir()
            else "neither a local path nor built in"
        )
        reason = f"{model} is {here}, and {error.cause}"
    return AbsentError(reason, suggest_name(model, error.hint))


def _drop_head(source: ModelSource) -> ModelSource:
    """Return the files of a built-in name as what its configuration has: an encoder has no head.

    With and without a network the same is then measured.
    """
    head = get_class_name(source.config)
    if detect_family(source.config) != "encoder" or head.endswith("Model"):
        return source
    config = {name: value for name, value in source.config.items() if name != "architectures"}
    note = f"without the head of {head}: a built-in name is the bare encoder"
    return replace(source, config=config, notes=[*source.notes, note])


def _find_builtin_source(preset: builtin.BuiltinModel) -> ModelSource:
    config = {"model_type": preset.model_type, **preset.config}
    return ModelSource(
        config=config, weights="random", label=f"built-in configuration {preset.name}"
    )


def _find_local_source(
    path: Path, weights: Weights, allowed: Allowed, log: LogCallback, label: str
) -> ModelSource:
    if path.is_file():
        return _build_gguf_source(path, weights, label)
    files = sorted(path.glob("*.gguf"))
    stored = _is_stored(path, strict=weights != "random")
    if files and not stored:
        if len(files) > 1:
            raise RejectedError(f"{path} holds {len(files)} .gguf files", f"name one: {files[0]}")
        return _build_gguf_source(files[0], weights, label)
    config = _read_config(path)
    own_code, notes = _find_own_code(path, config, allowed)
    if weights != "random":
        _require_whole(path, stored)
    pickled = not stored and any(file for pattern in _PICKLES for file in path.glob(pattern))
    others = sorted(path.glob("*.safetensors"))
    if weights != "random" and others and not (stored or pickled):
        raise RejectedError(
            f"{path} holds {others[0].name}, and no {weight_files.SAFETENSORS} or index of shards",
            "weights in the format of transformers, or --weights random",
        )
    if weights == "random" or not (stored or pickled):
        if weights == "pretrained":
            raise AbsentError(f"{path} holds no weights", "--weights random")
        if weights == "auto":
            log(f"{path} holds no weights: random weights")
        kind: Literal["pretrained", "random"] = "random"
        pickled = False
    else:
        kind = "pretrained"
    if pickled:
        notes += _find_pickles(path, allowed)
    source = ModelSource(
        config=config,
        weights=kind,
        label=label,
        directory=path,
        pickled=pickled,
        own_code=own_code,
        notes=notes,
    )
    if damaged := checkpoint_faults.explain_damaged_files(source.weight_files):
        raise AbsentError(*damaged)
    return source


def _require_whole(path: Path, stored: bool) -> None:
    """Raise `AbsentError` if the files of weights are not all there, or are another program's."""
    missing = checkpoint_faults.find_missing_files(path)
    if not stored and not missing:
        missing = checkpoint_faults.find_missing_files(path, pickled=True)
    if missing:
        repository = get_repository(str(path))
        hint = (
            f"{repository} as the model fetches them" if repository else "copy or download the rest"
        )
        names = checkpoint_faults.format_missing(missing)
        raise AbsentError(f"{path} lacks files of its weights: {names}", hint)
    if stored or any(path.glob(hub.PICKLE_PATTERN)):
        return
    if lacking := checkpoint_faults.explain_lacking_weights(path):
        raise AbsentError(*lacking)


def _is_stored(path: Path, *, strict: bool) -> bool:
    """Return whether a directory names weights as safetensors that transformers loads.

    Raises `RejectedError` if it is `strict` and finds an index that cannot be read.
    """
    try:
        return bool(weight_files.list_weight_files(path))
    except ValueError as error:
        if strict:
            raise RejectedError(f"{path}/{error}", "download the model again") from None
        return True


def _find_own_code(path: Path, config: dict[str, Any], allowed: Allowed) -> tuple[bool, list[str]]:
    """Return whether the code of the repository is run, and the note on it.

    Raises `RejectedError` if the model needs that code and it is not allowed.
    """
    if "auto_map" not in config:
        return False, []
    if allowed.remote_code:
        return True, ["the repository's own code was run: --trust-remote-code"]
    if "model_type" not in config:
        hint = "--trust-remote-code runs it, if you trust who wrote it"
        raise RejectedError(f"{path.name} needs code of its own, which is not run", hint)
    return False, []


def _find_pickles(path: Path, allowed: Allowed) -> list[str]:
    """Return the note on pickled weights.

    Raises `RejectedError` if they are not allowed, or are not named `pytorch_model*.bin`.
    """
    if not allowed.pickles:
        raise RejectedError(
            f"{path} holds only pickled weights, which can run code",
            "convert them to safetensors, or --allow-pickles, or --weights random",
        )
    if not any(path.glob(hub.PICKLE_PATTERN)):
        raise RejectedError(
            f"{path} holds no {hub.PICKLE_PATTERN}", "convert its weights to safetensors"
        )
    return ["weights read from pickled files: --allow-pickles"]


def _read_config(path: Path) -> dict[str, Any]:
    file = path / "config.json"
    again = "correct it, or download it again"
    try:
        raw = file.read_bytes()
        if raw.startswith(codecs.BOM_UTF8):
            hint = "save it as UTF-8 without one"
            raise AbsentError(f"{file} begins with a byte order mark", hint)
        config = json.loads(raw.decode())
    except OSError as error:
        hint = "give this user leave to read it, or name a copy"
        raise AbsentError(f"{file} cannot be read ({error.strerror})", hint) from None
    except (ValueError, RecursionError) as error:
        what = "UTF-8 text" if isinstance(error, UnicodeDecodeError) else "JSON"
        raise AbsentError(f"{file} is not {what} ({type(error).__name__})", again) from None
    if not isinstance(config, dict):
        raise AbsentError(f"{file} is not a JSON object", again)
    return config


def _build_gguf_source(path: Path, weights: Weights, label: str) -> ModelSource:
    if weights == "random":
        raise RejectedError(f"{path.name} is a file of weights", "--weights auto for a .gguf file")
    model_type = gguf.read_model_type(path)
    return ModelSource(
        config={"model_type": model_type},
        weights="pretrained",
        label=label,
        directory=path.parent,
        gguf=path.name,
        notes=[f"weights dequantised from {path.name}"],
    )
