"""The arithmetic that "auto" chooses is the processor's, not the moment's."""

from pathlib import Path

import pytest
import torch

from litebert import hardware

CPU = torch.device("cpu")


@pytest.mark.skipif(not Path("/proc/cpuinfo").is_file(), reason="Linux says what it can do")
def test_flags_are_those_of_the_first_processor():
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    flags = [line.split(":")[1].split() for line in lines if line.startswith("flags")]
    assert hardware.processor_flags() == frozenset(flags[0] if flags else ())


@pytest.mark.parametrize(
    ("flags", "dtype"),
    [
        ({"avx2"}, torch.float32),
        ({"avx512f", "avx512_bf16"}, torch.bfloat16),
        ({"amx_bf16"}, torch.bfloat16),
    ],
)
def test_a_busy_machine_chooses_no_other_arithmetic(monkeypatch, flags, dtype):
    monkeypatch.setattr(hardware, "processor_flags", lambda: frozenset(flags))
    monkeypatch.setattr(hardware, "product_rate", lambda *_, **__: pytest.fail("timed"))
    assert hardware.choose_dtype("auto", CPU) == dtype


def test_where_nothing_is_known_the_faster_one_is_taken(monkeypatch):
    monkeypatch.setattr(hardware, "processor_flags", frozenset)
    rates = {torch.float32: 1.0, torch.bfloat16: 2.0}
    monkeypatch.setattr(hardware, "product_rate", lambda _, dtype, *, side: rates[dtype])
    assert hardware.choose_dtype("auto", CPU) == torch.bfloat16
    rates[torch.bfloat16] = 1.1
    assert hardware.choose_dtype("auto", CPU) == torch.float32
