"""The peers of benchmarks/inference.py: the same weights in other engines, each as a user has it.

Every one takes padded rows (B, S) int64 and their mask and gives hidden states (B, S, H).
"""

import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import torch

Answer = Callable[[np.ndarray, np.ndarray], np.ndarray]
INPUTS = ("input_ids", "attention_mask")
# Rows that static quantisation is calibrated on.
CALIBRATION = 64


def transformers_model(directory: Path, dtype: torch.dtype = torch.float32) -> Any:
    """transformers' AlbertModel or BertModel of a directory."""
    from transformers import AutoModel

    return AutoModel.from_pretrained(directory, dtype=dtype).eval()


def eager(directory: Path, threads: int, *, dtype: torch.dtype, compiled: bool = False) -> Answer:
    """transformers as it is, or through torch.compile with dynamic shapes."""
    model = transformers_model(directory, dtype)
    call = torch.compile(model, dynamic=True) if compiled else model

    def answer(ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            out = call(input_ids=torch.from_numpy(ids), attention_mask=torch.from_numpy(mask))
            return out.last_hidden_state.float().numpy()

    return answer


class _Hidden(torch.nn.Module):
    def __init__(self, model: torch.nn.Module):
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        return self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state


def onnx_runtime(directory: Path, threads: int, *, int8: bool) -> Answer:
    """ONNX Runtime on the model exported by torch; int8 by its dynamic quantisation."""
    import onnxruntime

    place = Path(tempfile.mkdtemp(prefix="inference-"))
    path = place / "model.onnx"
    batch, length = torch.export.Dim("batch"), torch.export.Dim("length", max=512)
    example = torch.ones(2, 16, dtype=torch.int64)
    mask = example.clone()
    # transformers leaves out a mask that hides nothing, and the export would do so for ever
    mask[1, 9:] = 0
    torch.onnx.export(
        _Hidden(transformers_model(directory)),
        (example, mask),
        str(path),
        input_names=list(INPUTS),
        output_names=["hidden"],
        dynamic_shapes={name: {0: batch, 1: length} for name in INPUTS},
        dynamo=True,
        verbose=False,
    )
    if int8:
        from onnxruntime.quantization import QuantType, quantize_dynamic

        rounded = place / "int8.onnx"
        # shapes that the exporter wrote beside what is rounded away would contradict it
        quantize_dynamic(
            _without_shapes(path), rounded, per_channel=True, weight_type=QuantType.QInt8
        )
        path = rounded
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])
    return lambda ids, mask: session.run(None, dict(zip(INPUTS, (ids, mask), strict=True)))[0]


def _without_shapes(path: Path) -> Any:
    import onnx

    model = onnx.load(path)
    del model.graph.value_info[:]
    return model


def openvino(directory: Path, threads: int, *, precision: str, int8: bool = False) -> Answer:
    """OpenVINO on the model converted from PyTorch; int8 by NNCF, calibrated on random rows."""
    import openvino as ov

    example = torch.ones(2, 16, dtype=torch.int64)
    model = ov.convert_model(
        _Hidden(transformers_model(directory)),
        example_input=dict.fromkeys(INPUTS, example),
    )
    if int8:
        import nncf

        # its progress bars are no results
        with redirect_stdout(sys.stderr):
            model = nncf.quantize(
                model,
                nncf.Dataset(list(_rows(CALIBRATION))),
                model_type=nncf.ModelType.TRANSFORMER,
                subset_size=CALIBRATION,
            )
    options = {
        "INFERENCE_PRECISION_HINT": precision,
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
    }
    request = ov.compile_model(model, "CPU", options).create_infer_request()

    def answer(ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
        return request.infer(dict(zip(INPUTS, (ids, mask), strict=True)))[0]

    return answer


def _rows(count: int) -> Iterator[dict[str, np.ndarray]]:
    draw = np.random.default_rng(1)
    for _ in range(count):
        ids = draw.integers(5, 30000, (1, int(draw.integers(8, 128))))
        yield dict(zip(INPUTS, (ids, np.ones_like(ids)), strict=True))


PEERS: dict[str, Callable[[Path, int], Answer]] = {
    "fp32 transformers": lambda place, n: eager(place, n, dtype=torch.float32),
    "fp32 compiled": lambda place, n: eager(place, n, dtype=torch.float32, compiled=True),
    "bf16 transformers": lambda place, n: eager(place, n, dtype=torch.bfloat16),
    "bf16 compiled": lambda place, n: eager(place, n, dtype=torch.bfloat16, compiled=True),
    "fp32 ONNX Runtime": lambda place, n: onnx_runtime(place, n, int8=False),
    "int8 ONNX Runtime": lambda place, n: onnx_runtime(place, n, int8=True),
    "fp32 OpenVINO": lambda place, n: openvino(place, n, precision="f32"),
    "bf16 OpenVINO": lambda place, n: openvino(place, n, precision="bf16"),
    "int8 OpenVINO": lambda place, n: openvino(place, n, precision="f32", int8=True),
    "int8+bf16 OpenVINO": lambda place, n: openvino(place, n, precision="bf16", int8=True),
}
"""By arithmetic and name: what makes an answer from a model's directory and a number of threads."""
