"""A race for energy needs a meter, which is asked for before anything runs."""

import pytest

from txtop.errors import UsageError
from txtop.runner import machine_info
from txtop.system import torch_build


def test_energy_is_refused_where_no_counter_of_the_processor_can_be_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(machine_info, "has_package_power", lambda: False)
    monkeypatch.setattr(torch_build, "has_cuda", lambda: False)
    for device in ("cpu", "auto"):
        with pytest.raises(UsageError, match="no energy counter of this CPU"):
            machine_info.require_power_meter([device, device])
    machine_info.require_power_meter(["cpu", "cuda"])
    monkeypatch.setattr(machine_info, "has_package_power", lambda: True)
    machine_info.require_power_meter(["cpu"])
