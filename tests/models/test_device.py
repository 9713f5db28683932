"""Which device a network runs on."""

import pytest
import torch

from hepfilter.errors import UsageError
from hepfilter.models.device import choose_device
from hepfilter.work.processes import WORKER


def with_devices(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)


@pytest.mark.parametrize(("count", "found"), [(0, "cpu"), (1, "cuda"), (4, "cuda")])
def test_auto_is_cuda_where_there_is_one(monkeypatch, count, found):
    with_devices(monkeypatch, count)
    assert choose_device("auto") == torch.device(found)
    assert choose_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize(
    ("count", "found"),
    [(1, ["cuda"] * 5), (2, ["cuda:0", "cuda:1", "cuda:0", "cuda:1", "cuda:0"])],
)
def test_workers_spread_over_the_devices_or_share_the_one(monkeypatch, count, found):
    with_devices(monkeypatch, count)
    chosen = []
    for number in range(5):
        monkeypatch.setenv(WORKER, str(number))
        chosen.append(choose_device("cuda"))
    assert [str(device) for device in chosen] == found
    assert {device.type for device in chosen} == {"cuda"}  # device classes name the type alone


def test_a_device_that_is_unknown_or_not_there_is_refused(monkeypatch):
    with_devices(monkeypatch, 0)
    with pytest.raises(UsageError, match="device 'tpu' is unknown; auto, cpu and cuda are there"):
        choose_device("tpu")
    with pytest.raises(UsageError, match="device cuda: torch finds none here; auto or cpu works"):
        choose_device("cuda")
