"""`/metrics`: counts in the text format of Prometheus.

Source: https://prometheus.io/docs/instrumenting/exposition_formats/, "Text-based format", version 0.0.4.
"""

from collections.abc import Iterable, Sequence

from fiat.serving.counts import Counts, WorkerCounts, bucket_end_s

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
_EVERY = 8
"""One bucket a doubling: the finer ones are for who judges rollouts."""
_PLAIN: Sequence[tuple[str, str, str]] = (
    ("requests", "fiat_requests_total", "Requests that were answered, well or not."),
    ("failed", "fiat_requests_failed_total", "Requests that failed by the server's or the model's fault."),
    ("refused", "fiat_requests_refused_total", "Requests that the client got wrong."),
    ("rows", "fiat_rows_total", "Rows that were predicted."),
    ("batches", "fiat_batches_total", "Runs of the model."),
    ("shadowed", "fiat_shadow_compared_total", "Copied requests whose answers were compared."),
    ("disagreed", "fiat_shadow_disagreed_total", "Copied requests that were answered otherwise."),
    ("distance", "fiat_shadow_distance_total", "Sum of the distances of compared answers."),
    ("shadow_failed", "fiat_shadow_failed_total", "Copied requests that were not answered."),
    (
        "shadow_dropped",
        "fiat_shadow_dropped_total",
        "Copied requests that were thrown away for lack of time.",
    ),
)
Labelled = tuple[str, Counts]


def metrics_text(workers: Sequence[WorkerCounts]) -> str:
    """The page.

    Args:
        workers: what every worker of the service tells.
    """
    versions = _summed(workers)
    lines: list[str] = []
    for attribute, name, words in _PLAIN:
        lines += _head(name, "counter", words)
        lines += [f"{name}{{{labels}}} {getattr(counts, attribute):.12g}" for labels, counts in versions]
    lines += _latency(versions)
    lines += _head(
        "fiat_predictions_total", "counter", "Rows by predicted class, or lower end of the number's range."
    )
    for labels, counts in versions:
        for prediction, count in counts.predictions.items():
            lines.append(f'fiat_predictions_total{{{labels},prediction="{_escaped(prediction)}"}} {count}')
    lines += _states(workers)
    for attribute, name, words in (
        ("in_flight", "fiat_requests_in_flight", "Requests that are worked on."),
        ("queued", "fiat_requests_queued", "Requests that wait."),
        ("memory_bytes", "fiat_memory_bytes", "Resident memory."),
    ):
        lines += _head(name, "gauge", words)
        lines += [f'{name}{{worker="{worker.worker}"}} {getattr(worker, attribute)}' for worker in workers]
    lines += _head("fiat_log_dropped_total", "counter", "Predictions that were not written down.")
    lines.append(f"fiat_log_dropped_total {sum(worker.log_dropped for worker in workers)}")
    return "\n".join(lines) + "\n"


def _summed(workers: Iterable[WorkerCounts]) -> list[Labelled]:
    found: dict[str, Counts] = {}
    for worker in workers:
        for model, versions in worker.versions.items():
            for version in versions:
                labels = f'model="{_escaped(model)}",version="{_escaped(version.name)}",digest="{_escaped(version.digest)}"'
                found[labels] = found.get(labels, Counts()).plus(version.counts)
    return sorted(found.items())


def _latency(versions: Sequence[Labelled]) -> list[str]:
    name = "fiat_request_seconds"
    lines = _head(name, "histogram", "Seconds from the first byte of a request to its answer.")
    for labels, counts in versions:
        buckets = sorted((int(bucket), count) for bucket, count in counts.latency.items())
        running, total_s = 0, 0.0
        ends: dict[int, int] = {}
        for bucket, count in buckets:
            running += count
            total_s += count * bucket_end_s(bucket)
            ends[bucket // _EVERY] = running
        for end, count in ends.items():
            edge = bucket_end_s(end * _EVERY + _EVERY - 1)
            lines.append(f'{name}_bucket{{{labels},le="{edge:.6g}"}} {count}')
        lines.append(f'{name}_bucket{{{labels},le="+Inf"}} {running}')
        lines.append(f"{name}_sum{{{labels}}} {total_s:.9g}")
        lines.append(f"{name}_count{{{labels}}} {running}")
    return lines


def _states(workers: Sequence[WorkerCounts]) -> list[str]:
    lines = _head("fiat_version_ready", "gauge", "Whether a worker has a version ready.")
    for worker in workers:
        for model, versions in worker.versions.items():
            for version in versions:
                labels = (
                    f'model="{_escaped(model)}",version="{_escaped(version.name)}",worker="{worker.worker}"'
                )
                lines.append(f"fiat_version_ready{{{labels}}} {int(version.state == 'ready')}")
    return lines


def _head(name: str, kind: str, words: str) -> list[str]:
    return [f"# HELP {name} {words}", f"# TYPE {name} {kind}"]


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
