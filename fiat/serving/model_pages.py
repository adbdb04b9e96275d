"""What the server tells of its models: metadata, configuration, statistics, index; JSON values.

Source: the Open Inference Protocol, "Server Metadata" and "Model Metadata"; Triton's extensions `model_repository`,
`statistics` and `model_configuration`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from fiat.serving.counts import Counts
from fiat.serving.loaded import LoadedVersion
from fiat.serving.served import ModelState
from fiat.serving.tensors import BYTES, ServedTensor

EXTENSIONS = ("binary_tensor_data", "model_repository", "statistics", "model_configuration")
_NS = 1e9
Document = dict[str, Any]


def server_page(version: str) -> Document:
    """Server metadata."""
    return {"name": "fiat", "version": version, "extensions": list(EXTENSIONS)}


def model_page(loaded: LoadedVersion, versions: Sequence[str]) -> Document:
    """Metadata of a model.

    Args:
        loaded: the version that is asked for.
        versions: names of all that can be asked.
    """
    info, origin = loaded.info, loaded.origin
    parameters = {
        "version": loaded.version.name,
        "digest": loaded.version.digest,
        "commit": origin.commit,
        "spec": origin.spec,
    }
    return {
        "name": info.name,
        "versions": list(versions),
        "platform": info.platform,
        "inputs": [_tensor(item) for item in info.inputs],
        "outputs": [_tensor(item) for item in info.answered],
        "parameters": {name: value for name, value in parameters.items() if value},
    }


def config_page(loaded: LoadedVersion, batch_rows: int) -> Document:
    """Configuration of a model in Triton's words."""
    joined = loaded.session.joinable and batch_rows > 1
    kind = "KIND_GPU" if "CUDAExecutionProvider" in loaded.session.providers else "KIND_CPU"
    return {
        "name": loaded.info.name,
        "platform": loaded.info.platform,
        "backend": "onnxruntime",
        "max_batch_size": batch_rows if joined else 0,
        "input": [_config(item, batched=joined) for item in loaded.info.inputs],
        "output": [_config(item, batched=joined) for item in loaded.info.answered],
        "instance_group": [{"name": loaded.info.name, "kind": kind, "count": 1}],
        **({"dynamic_batching": {"max_queue_delay_microseconds": 0}} if joined else {}),
    }


def index_page(states: Mapping[str, ModelState], *, only_ready: bool) -> list[Document]:
    """All versions of all models, those that could not be loaded too."""
    entries: list[Document] = []
    for state in states.values():
        served = state.served.versions if state.served else {}
        refused = {item.version.name: item.reason for item in state.refused}
        for name in served:
            reason = refused.pop(name, "")
            entries.append(
                _entry(state.name, name, "READY", reason and f"a newer package was refused: {reason}")
            )
        entries += [
            _entry(state.name, version.name, "LOADING", "")
            for version in state.loading
            if version.name not in served
        ]
        entries += [_entry(state.name, name, "UNAVAILABLE", reason) for name, reason in refused.items()]
    return [entry for entry in entries if entry["state"] == "READY" or not only_ready]


def stats_page(found: Sequence[tuple[LoadedVersion, Counts, float, float]]) -> Document:
    """Statistics.

    Args:
        found: for each version its counts, seconds of all requests, and seconds of all runs.
    """
    return {"model_stats": [_stats(*item) for item in found]}


def _stats(loaded: LoadedVersion, counts: Counts, seconds: float, run_s: float) -> Document:
    def entry(count: int, spent_s: float) -> Document:
        return {"count": count, "ns": int(spent_s * _NS)}

    good = counts.requests - counts.failed
    return {
        "name": loaded.info.name,
        "version": loaded.version.name,
        "inference_count": counts.rows,
        "execution_count": counts.batches,
        "inference_stats": {
            "success": entry(good, seconds),
            "fail": entry(counts.failed + counts.refused, 0.0),
            "queue": entry(good, max(0.0, seconds - run_s)),
            "compute_input": entry(good, 0.0),
            "compute_infer": entry(counts.batches, run_s),
            "compute_output": entry(good, 0.0),
        },
        "batch_stats": [],
    }


def _entry(model: str, version: str, state: str, reason: str) -> Document:
    return {"name": model, "version": version, "state": state, "reason": reason}


def _tensor(tensor: ServedTensor) -> Document:
    return {"name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.shape)}


def _config(tensor: ServedTensor, *, batched: bool) -> Document:
    name = "TYPE_STRING" if tensor.datatype == BYTES else f"TYPE_{tensor.datatype}"
    dims = tensor.shape[1:] if batched else tensor.shape
    return {"name": tensor.name, "data_type": name, "dims": list(dims)}
