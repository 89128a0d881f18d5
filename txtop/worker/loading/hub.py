"""The files of a model from the Hugging Face Hub: the local cache, else a download.

One probe of 2 s decides whether the Hub is reachable; if not, the process stays offline.
"""

from __future__ import annotations

import errno
import os
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Collection
from pathlib import Path

from txtop.errors import TxtopError
from txtop.models import checkpoint_faults, weight_files
from txtop.models.model_config import OFFLINE_NOTICE
from txtop.plan.cell import Weights
from txtop.plan.plan import Allowed
from txtop.sanitise import sanitise

PROBE_TIMEOUT_S = 2.0
PICKLE_PATTERN = "pytorch_model*.bin"
ProgressCallback = Callable[[int, int | None], None]
_CONFIG = ("config.json", "generation_config.json", "modules.json")


class HubError(TxtopError):
    """The Hub could not provide the files; `hint` is set if there is a specific next step."""


class IncompleteError(HubError):
    """A part of the files is in the local cache, and the Hub could not provide the rest."""


def fetch_model(
    repo: str,
    weights: Weights,
    allowed: Allowed,
    log: Callable[[str], None],
    progress: ProgressCallback,
) -> Path:
    """Return a directory with config.json and, unless `weights` is random, the weights of `repo`.

    Weights are safetensors, or pickles if only they exist and are allowed. The repository's own
    code is included if that is allowed. `log` gets a line for the log, `progress` the bytes done
    and in all. After a failed probe the process stays offline (HF_HUB_OFFLINE).

    Raises `HubError`.
    """
    directory, missing = _find_cached(repo, weights, allowed)
    if directory is not None and not missing:
        return directory
    try:
        if not _is_offline() and not is_reachable():
            os.environ["HF_HUB_OFFLINE"] = "1"
            log(OFFLINE_NOTICE)
        if _is_offline():
            raise HubError(
                "this run is offline"
                if directory
                else "it is not in the local cache and this run is offline"
            )
        return _download(repo, weights, allowed, progress)
    except HubError as error:
        if directory is None:
            raise
        names = checkpoint_faults.format_missing(missing)
        cause = f"its download is not complete ({names} missing), and {error.cause}"
        raise IncompleteError(
            cause, error.hint or "a run with the Hub in reach fetches the rest"
        ) from None


def _is_offline() -> bool:
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")


def _endpoint() -> str:
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co")


def _find_cached(repo: str, weights: Weights, allowed: Allowed) -> tuple[Path | None, list[str]]:
    """Return the directory in the cache, None without one, and the files that it lacks."""
    from huggingface_hub import try_to_load_from_cache

    config = try_to_load_from_cache(repo, "config.json")
    if not isinstance(config, str):
        return None, []
    directory = Path(config).parent
    missing: list[str] = []
    if weights != "random":
        names = {path.name for path in directory.iterdir()}
        stored = weight_files.find_entry(names) is not None
        pickled = weight_files.find_entry(names, pickled=True) is not None
        pickled = pickled and allowed.pickles and not stored
        missing = checkpoint_faults.find_missing_files(directory, pickled=pickled)
        if not missing and not (pickled or stored):
            missing = ["the weights"]
    own_code = allowed.remote_code and "auto_map" in Path(config).read_text("utf-8")
    if own_code and not any(directory.glob("*.py")):
        missing.append("its code")
    return directory, missing


def is_reachable() -> bool:
    """Return True if the Hub gives any answer within 2 s, name resolution included."""
    answered = threading.Event()

    def ask() -> None:
        request = urllib.request.Request(_endpoint(), method="HEAD")
        try:
            urllib.request.urlopen(request, timeout=PROBE_TIMEOUT_S).close()
        except urllib.error.HTTPError:
            pass
        except (OSError, ValueError):
            return
        answered.set()

    # A name resolver that does not answer ignores every timeout, so the thread is abandoned.
    probe = threading.Thread(target=ask, daemon=True)
    probe.start()
    probe.join(PROBE_TIMEOUT_S)
    return answered.is_set()


def _download(repo: str, weights: Weights, allowed: Allowed, progress: ProgressCallback) -> Path:
    from huggingface_hub import HfApi, hf_hub_download
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError

    try:
        info = HfApi(endpoint=_endpoint()).model_info(repo, files_metadata=True, timeout=10)
        sizes = {f.rfilename: f.size or 0 for f in info.siblings or []}
        names = [name for name in _CONFIG if name in sizes]
        if weights != "random":
            tensors = _list_weights(repo, sizes, pickled=False)
            if allowed.pickles:
                tensors = tensors or _list_weights(repo, sizes, pickled=True)
            if not tensors:
                hint = "--allow-pickles" if any(map(_is_pickle, sizes)) else "another model"
                raise HubError("its repository has no safetensors weights", hint)
            names += tensors
        if allowed.remote_code:
            names += [name for name in sizes if name.endswith(".py")]
        if "config.json" not in sizes:
            raise HubError("its repository has no config.json", "another model")
        total, done, path = sum(sizes[name] for name in names), 0, ""
        for name in names:
            progress(done, total)
            path = hf_hub_download(repo, name, endpoint=_endpoint())
            done += sizes[name]
        progress(done, total)
        return Path(path).parent
    except GatedRepoError:
        hint = f"accept its licence at huggingface.co/{repo}, then set HF_TOKEN"
        raise HubError("its repository is gated", hint) from None
    except RepositoryNotFoundError:
        raise HubError("the Hub has none of that name", "HF_TOKEN if it is private") from None
    except HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else 0
        if status == 429:
            raise HubError("the Hub limits the rate", "wait a minute, or set HF_TOKEN") from None
        raise HubError(f"the Hub answered {status}", "try again later") from None
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            hint = "free some space, or set HF_HOME to another disk"
            raise HubError("the disk is full", hint) from None
        raise HubError(f"the download failed ({sanitise(str(error), 200)})") from None


def _is_pickle(name: str) -> bool:
    return name.startswith("pytorch_model") and name.endswith((".bin", ".bin.index.json"))


def _list_weights(repo: str, names: Collection[str], *, pickled: bool) -> list[str]:
    """Return those of `names` that transformers loads: a single file, or an index and its shards.

    Raises `HubError` if the index cannot be read or names a file that the repository lacks.
    """
    from huggingface_hub import hf_hub_download

    entry = weight_files.find_entry(names, pickled=pickled)
    if entry is None or not entry.endswith(".json"):
        return [entry] if entry else []
    try:
        shards = weight_files.list_shards(Path(hf_hub_download(repo, entry, endpoint=_endpoint())))
    except ValueError as error:
        raise HubError(f"its {error}", "another model") from None
    if missing := [name for name in shards if name not in names]:
        raise HubError(f"its repository lacks {missing[0]}, which its index names", "another model")
    return [entry, *shards]
