"""The devices that a process can use: by the code of torch, one product, and the driver's words."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
import torch

from support import tiny_models
from txtop.plan.cell import Cell
from txtop.protocol import codec, commands, events
from txtop.worker import device, probe
from txtop.worker.failures import AbsentError, RejectedError
from txtop.worker.loading import load, numerics, precision
from txtop.worker.loading.phase_timer import PhaseTimer

CU126 = ["sm_50", "sm_60", "sm_70", "sm_75", "sm_80", "sm_86", "sm_90"]
CU130 = ["sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120", "compute_120"]


@pytest.mark.parametrize(
    ("gpu", "capability", "architectures", "usable"),
    [
        ("P100", (6, 0), CU126, True),
        ("P100", (6, 0), CU130, False),
        ("V100", (7, 0), CU126, True),
        ("V100", (7, 0), CU130, False),
        ("T4", (7, 5), CU130, True),
        ("A100", (8, 0), CU130, True),
        ("RTX 4090", (8, 9), CU130, True),
        ("H100", (9, 0), CU130, True),
        ("B200", (10, 0), CU126, False),
        ("B300", (10, 3), CU130, True),
        ("RTX 5090", (12, 0), CU130, True),
        ("a later one", (13, 0), CU130, True),
        ("H100", (9, 0), ["sm_80"], False),
        ("H100", (9, 0), ["sm_80", "compute_80"], True),
        ("H100", (9, 0), ["sm_90a"], True),
        ("B300", (10, 3), ["sm_100a"], False),
        ("B300", (10, 3), ["sm_100f"], True),
        ("A100", (8, 0), ["sm_86"], False),
    ],
)
def test_the_code_of_torch_is_compared_with_the_gpu(
    gpu: str, capability: tuple[int, int], architectures: list[str], usable: bool
) -> None:
    why = device.explain_missing_code(capability, architectures)
    assert (why == "") == usable, gpu
    assert usable or f"sm_{capability[0]}{capability[1]}" in why


Setting = Callable[..., None]


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[Setting]:
    """A torch for CUDA that sees a GPU, whose product raises `error`, if any."""

    def build(capability: tuple[int, int] = (9, 0), error: Exception | None = None) -> None:
        def ones(*_: int, device: str) -> torch.Tensor:
            assert device == "cuda"
            if error is not None:
                raise error
            return torch.full((8, 8), 1.0)

        monkeypatch.setattr(torch.version, "cuda", "13.0")
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: CU130)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda *_: capability)
        monkeypatch.setattr(torch, "ones", ones)

    device._try_product.cache_clear()
    yield build
    device._try_product.cache_clear()


def test_a_gpu_that_multiplies_is_usable(gpu: Setting) -> None:
    gpu()
    assert device.check_accelerators()["cuda"] == "" and device.choose_device_type() == "cuda"


def test_a_gpu_without_code_is_not_chosen(gpu: Setting) -> None:
    gpu(capability=(7, 0))
    assert "no code for sm_70" in device.check_accelerators()["cuda"]
    assert device.choose_device_type() == "cpu"


@pytest.mark.parametrize(
    ("text", "usable"),
    [
        ("CUDA error: no kernel image is available for execution on the device", False),
        ("CUDA error: CUDA-capable device(s) is/are busy or unavailable", True),
        ("CUDA out of memory. Tried to allocate 2.00 MiB.", True),
    ],
)
def test_a_gpu_that_fails_to_multiply_is_not_chosen_unless_it_is_only_in_use(
    text: str, usable: bool, gpu: Setting
) -> None:
    gpu(error=RuntimeError(text + "\nCUDA kernel errors might be asynchronously reported"))
    why = device.check_accelerators()["cuda"]
    assert (why == "") == usable
    assert usable or (text in why and "asynchronously" not in why)


UUIDS = ("00000000-1", "11111111-1", "11112222-1")


@pytest.fixture
def three_gpus(gpu: Setting, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A torch that sees three GPUs; the list receives the indices that are set."""
    chosen: list[int] = []
    gpu()
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda i: SimpleNamespace(uuid=UUIDS[i])
    )
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    return chosen


@pytest.mark.parametrize(
    ("name", "index"),
    [("cuda:0", 0), ("cuda:2", 2), ("GPU-00000000", 0), ("GPU-11112", 2), ("GPU-11111111-1", 1)],
)
def test_a_process_that_sees_all_gpus_finds_the_one_that_is_named(
    name: str, index: int, three_gpus: list[int]
) -> None:
    assert device.find_device(name) == torch.device("cuda", index)
    assert three_gpus == [index]


@pytest.mark.parametrize("name", ["cuda:3", "GPU-1111", "GPU-99999999", "MIG-11111111-1"])
def test_a_gpu_that_is_absent_or_named_twice_is_refused(name: str, three_gpus: list[int]) -> None:
    with pytest.raises(RejectedError, match=f"no {name} device: torch sees 3 devices"):
        device.find_device(name)
    assert three_gpus == []


@pytest.mark.parametrize(
    ("name", "given", "visible"),
    [
        ("auto", None, None),
        ("cuda", "1,0", "1,0"),
        ("cpu", None, None),
        ("cuda:1", None, "1"),
        ("cuda:1", "3,2", "2"),
        ("cuda:1", "GPU-a,GPU-b", "GPU-b"),
        ("cuda:2", "3,2", "3,2"),
        ("GPU-8f3a", "3,2", "GPU-8f3a"),
        ("MIG-8f3a", None, "MIG-8f3a"),
    ],
)
def test_a_worker_hides_all_gpus_but_its_own(
    name: str, given: str | None, visible: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "torch")
    for state in ("_only", "_original_visible"):
        monkeypatch.setattr(device, state, None)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", given or "")
    if given is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    device.hide_other_gpus(name)
    assert os.environ.get("CUDA_VISIBLE_DEVICES") == visible
    # What the user has set is recorded, not what txtop has.
    assert device.read_given_environment().get("CUDA_VISIBLE_DEVICES") == given


@pytest.fixture
def kept_cores() -> Iterator[set[int]]:
    """Give every thread of this process its cores back."""
    threads = [int(name) for name in os.listdir("/proc/self/task")]
    before = {thread: os.sched_getaffinity(thread) for thread in threads}
    yield os.sched_getaffinity(0)
    for thread, cores in before.items():
        os.sched_setaffinity(thread, cores)


def test_a_worker_stays_on_the_cores_it_is_given(kept_cores: set[int]) -> None:
    core = max(kept_cores)
    device.confine_process(f"cpu:{core}")
    assert os.sched_getaffinity(0) == {core}
    assert device.find_device(f"cpu:{core}") == torch.device("cpu")


@pytest.mark.parametrize("name", ["cpu", "auto"])
def test_without_numbers_a_worker_has_all_cores(name: str, kept_cores: set[int]) -> None:
    device.confine_process(name)
    assert os.sched_getaffinity(0) == kept_cores


def test_cores_that_a_worker_may_not_use_are_absent(kept_cores: set[int]) -> None:
    absent = max(kept_cores) + 1
    with pytest.raises(AbsentError, match=rf"no cpu:{absent}: this process may not run there"):
        device.confine_process(f"cpu:{absent}")
    with pytest.raises(AbsentError, match=f"may not use core {absent}"):
        device.confine_process(f"cpu:{max(kept_cores)}-{absent}")


def test_the_gpu_left_to_a_worker_is_its_first(
    three_gpus: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "_only", "cuda:2")
    assert device.find_device("cuda:2") == torch.device("cuda")
    assert three_gpus == []


DRIVER = "The NVIDIA driver on your system is too old (found version 11040)."


@pytest.fixture
def old_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    def init() -> None:
        raise RuntimeError(f"{DRIVER}\nPlease update your GPU driver")

    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "init", init)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.mark.usefixtures("old_driver")
def test_the_reason_is_in_the_words_of_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    assert device.check_accelerators()["cuda"] == DRIVER
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert device.check_accelerators()["cuda"] == f"{DRIVER} (CUDA_VISIBLE_DEVICES='')"
    assert probe._probe_gpu().detail.startswith(DRIVER)


@pytest.mark.usefixtures("old_driver")
@pytest.mark.parametrize(
    ("file", "present"),
    [
        ("dev/nvidia0", True),
        ("dev/nvidia7", True),
        ("usr/lib/wsl/lib/libnvidia-ml.so.1", True),
        ("dev/nvidiactl", False),
        ("dev/null", False),
    ],
)
def test_a_gpu_that_torch_cannot_use_is_noticed_by_its_files(
    file: str, present: bool, tmp_path: Path
) -> None:
    (tmp_path / file).parent.mkdir(parents=True)
    (tmp_path / file).touch()
    assert device.explain_unused_gpu(tmp_path) == (DRIVER if present else "")


@pytest.mark.parametrize(
    ("programs", "header", "triton", "state", "detail"),
    [
        ({"gcc"}, True, True, "ok", "by triton"),
        ({"clang"}, True, True, "ok", "by triton"),
        ({"cc"}, True, True, "missing", "C compiler"),
        ({"gcc"}, False, True, "missing", "Python.h"),
        ({"gcc"}, True, False, "missing", "no triton"),
    ],
)
def test_triton_needs_a_c_compiler_and_the_header_of_python(
    programs: set[str],
    header: bool,
    triton: bool,
    state: str,
    detail: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr(probe, "_choose_device", lambda: torch.device("cuda"))
    monkeypatch.setattr("txtop.system.compiler.find_spec", lambda _: object() if triton else None)
    monkeypatch.setattr("shutil.which", lambda name: name if name in programs else None)
    monkeypatch.setattr("sysconfig.get_path", lambda _: str(tmp_path))
    if header:
        (tmp_path / "Python.h").touch()
    entry = probe._probe_compile()
    assert entry.state == state and detail in entry.detail


def load_tiny(folder: Path, asked: str, monkeypatch: pytest.MonkeyPatch) -> list[events.AnyEvent]:
    """The events of loading a tiny model in this process."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "HF_HUB_OFFLINE"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setattr("gc.freeze", lambda: None)
    model = str(tiny_models.gpt2(folder / "m"))
    cell = Cell(id="c1", model=model, device=asked, threads=torch.get_num_threads())
    command = commands.LoadModel(cell=cell, started_ns=0, seed=0)
    seen: list[events.AnyEvent] = []
    load.load_model(command, PhaseTimer(0, lambda _: None), "worker", seen.append)
    return seen


@pytest.mark.parametrize(
    ("asked", "why", "warned"),
    [("auto", DRIVER, True), ("auto", "", False), ("cpu", DRIVER, False)],
)
def test_a_cpu_in_place_of_a_gpu_is_never_silent(
    asked: str, why: str, warned: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "explain_unused_gpu", lambda: why)
    monkeypatch.setattr(device, "choose_device_type", lambda: "cpu")
    *_, loaded = seen = load_tiny(tmp_path, asked, monkeypatch)
    assert isinstance(loaded, events.ModelLoaded)
    warnings = [e.text for e in seen if isinstance(e, events.Log) and e.level == "warning"]
    assert warnings == [note for note in loaded.notes if "torch cannot use" in note]
    assert bool(warnings) == warned and all(DRIVER in text for text in warnings)


def test_what_bends_numbers_is_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name in numerics.VARIABLES or name.startswith(numerics.PREFIXES):
            monkeypatch.delenv(name)
    monkeypatch.setenv("TORCH_CUDNN_SDPA_DEPRIORITIZED", "1")
    monkeypatch.setenv("CUDA_LAUNCH_BLOCKING", "1\x1b")
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("KMP_BLOCKTIME", "0")
    monkeypatch.setenv("PYTHONMALLOC", "malloc")
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    # The environment may have turned TF32 on before the first cell.
    torch.set_float32_matmul_precision("high")
    *_, loaded = load_tiny(tmp_path, "cpu", monkeypatch)
    assert isinstance(loaded, events.ModelLoaded)
    assert loaded.environment == {
        "matmul_precision": "highest",
        "CUDA_LAUNCH_BLOCKING": "1\\x1b",
        "KMP_BLOCKTIME": "0",
        "PYTHONMALLOC": "malloc",
        "TORCH_CUDNN_SDPA_DEPRIORITIZED": "1",
    }
    decoded = codec.decode_event(codec.encode_event(loaded))
    assert isinstance(decoded, events.ModelLoaded)
    assert decoded.environment == loaded.environment


def test_on_a_gpu_the_switches_of_tf32_and_cudnn_are_recorded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "version", lambda: 91501)
    numerics.set_fp32_products("fp32")
    recorded = numerics.read_environment(torch.device("cuda"))
    assert recorded["cudnn"] == "91501" and recorded["cuda_matmul_allow_tf32"] == "False"
    assert recorded["cudnn_allow_tf32"] == "False"


@pytest.mark.parametrize(
    ("kind", "capability", "allowed"),
    [("cpu", None, False), ("xpu", None, False), ("cuda", (7, 5), False), ("cuda", (8, 0), True)],
)
def test_tf32_is_for_gpus_that_have_it(
    kind: str,
    capability: tuple[int, int] | None,
    allowed: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "NVIDIA GPU")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    plain = Cell(id="c1", model="m")
    for name in ("fp32", "bf16"):
        precision.require_precision(
            msgspec.structs.replace(plain, precision=name), torch.device(kind)
        )
    with nullcontext() if allowed else pytest.raises(RejectedError, match="sm80"):
        precision.require_precision(
            msgspec.structs.replace(plain, precision="tf32"), torch.device(kind)
        )


def test_tf32_is_on_in_its_own_precision_alone() -> None:
    try:
        for name, on in (("fp32", False), ("tf32", True), ("bf16", False), ("fp32", False)):
            numerics.set_fp32_products(name)
            assert (torch.get_float32_matmul_precision() == "high") == on
            assert torch.backends.cuda.matmul.allow_tf32 == on
            assert torch.backends.cudnn.allow_tf32 == on
    finally:
        numerics.set_fp32_products("fp32")
