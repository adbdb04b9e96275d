"""The program that converts and measures a model in a process of its own: `python -m fiat.builtin.edge_child REQUEST.json`.

A converter or a runtime that crashes, hangs or eats memory ends here, and nowhere else. The request and the answer are
written beside the converted file by `edge_work.py`.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fiat.builtin.edge_formats import OnnxFormat, edge_format
from fiat.builtin.edge_measure import About, compare, median_us, monotonic
from fiat.builtin.edge_quantize import quantize
from fiat.builtin.edge_rows import Rows, read_json, read_rows
from fiat.data.raw import RAW
from fiat.errors import EXIT_DONE, EXIT_REFUSED, FiatError, SpecError
from fiat.model.package import GRAPH, MANIFEST, SIGNATURE
from fiat.ports.edge import EdgeFormat

_SEED = 7


def main(arguments: list[str]) -> int:
    """Do one request and give the exit code."""
    request: dict[str, Any] = json.loads(Path(arguments[0]).read_bytes())
    try:
        answer = work(request)
        code = EXIT_DONE
    except FiatError as fault:
        answer = {"error": {"kind": type(fault).__name__, "message": fault.message, "hint": fault.hint}}
        code = EXIT_REFUSED
    Path(request["answer"]).write_text(json.dumps(answer, allow_nan=False), "utf-8")
    return code


def work(request: Mapping[str, Any]) -> dict[str, Any]:
    """Convert, load, predict, measure.

    Args:
        request: `package`, `folder`, `format`, `quantize`, `datasets`: JSON values.

    Returns:
        What is known of the converted file, JSON values.

    Raises:
        SpecError: the graph can't be converted, quantized or run.
        EnvironmentFault: a plugin is missing, or a dataset damaged.
    """
    package, folder, how = Path(request["package"]), Path(request["folder"]), request["quantize"]
    signature, manifest = read_json(package / SIGNATURE), read_json(package / MANIFEST)
    form = edge_format(request["format"])
    rows = read_rows(signature, [Path(item) for item in request["datasets"]], _SEED)
    file = _convert(form, package / GRAPH, folder, how, rows, raw=signature["layout"] == RAW)
    labels = signature["labels"]
    about = About(manifest["task"], manifest.get("scores", "none"), tuple(labels) if labels else None)
    packaged, converted = OnnxFormat().open(package / GRAPH), form.open(file)
    measured = compare(packaged, converted, rows, about)
    speed = median_us((packaged, converted), rows, monotonic)
    return {
        **measured,
        "file": file.name,
        "runtime": form.runtime,
        "size_bytes": file.stat().st_size,
        "packaged_size_bytes": (package / GRAPH).stat().st_size,
        "row_us": speed[1],
        "packaged_row_us": speed[0],
    }


def _convert(form: EdgeFormat, graph: Path, folder: Path, how: str, rows: Rows, *, raw: bool) -> Path:
    if how == "none" or how in form.quantizes:
        return form.convert(graph, folder, how)
    if not form.takes_quantized:
        ways = " or ".join(("none", *form.quantizes))
        raise SpecError(
            f"the format {form.name} can't be quantized in the {how} way", hint=f"say quantize: {ways}"
        )
    if how == "static" and not rows.train:
        raise SpecError(
            "quantize: static needs rows of the train split, and the model has no data here",
            hint="say quantize: dynamic",
        )
    smaller = folder / "quantized.onnx"
    try:
        quantize(graph, smaller, how, rows.train, has_transforms=raw)
        return form.convert(smaller, folder, "none")
    finally:
        smaller.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
