import pytest

from fiat.builtin.child_fault import available_bytes, explain, gpu_room

# As PyTorch 2 says it.
CUDA = (
    "CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of 23.69 GiB of which 1.25 GiB is"
    " free. Including non-PyTorch memory, this process has 22.40 GiB memory in use. Of the allocated memory"
)


class OutOfMemoryError(RuntimeError):
    """Stands for torch's own, by its name and module."""

    __module__ = "torch"


def said(fault: BaseException, batch: str = "batch 12 (128 rows)") -> str:
    room = (1 << 29, 80 << 30)
    return str(explain(fault, step="train", batch=batch, free_bytes=3 << 30, gpu_room=room) or "")


def test_a_full_gpu_names_step_batch_and_what_was_free() -> None:
    assert said(OutOfMemoryError(CUDA)) == (
        "step train ran out of GPU memory in batch 12 (128 rows): it asked for 20.00 GiB, 1.25 GiB of 23.69 GiB were"
        " free (take smaller batches, keep less on the GPU, or ask for a larger share of one in `resources.gpus`)"
    )
    assert (
        "GPU memory in batch 12 (128 rows): it asked for 2.00 MiB, 512 MiB of 80 GiB were free (take"
        in said(OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 MiB. GPU 0 ..."))
    )
    assert said(OutOfMemoryError("new words"), "").startswith(
        "step train ran out of GPU memory: 512 MiB of 80 GiB were free (take"
    )
    unknown = explain(OutOfMemoryError("new words"), step="train", batch="", free_bytes=None)
    assert str(unknown).startswith("step train ran out of GPU memory (take")


@pytest.mark.parametrize(
    "words",
    [
        "CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
    ],
)
def test_a_gpu_that_is_full_before_torch_can_ask_for_memory_is_told_too(words: str) -> None:
    assert said(RuntimeError(words)).startswith(
        "step train ran out of GPU memory in batch 12 (128 rows): 512 MiB of 80 GiB were free (take"
    )


def test_what_an_error_was_raised_from_is_told() -> None:
    cause, fault = OutOfMemoryError(CUDA), ValueError("training failed")
    fault.__cause__ = cause
    assert "out of GPU memory in batch 12 (128 rows): it asked for 20.00 GiB" in said(fault)
    ring = ValueError("training failed")
    ring.__cause__ = ring
    assert said(ring) == ""


def test_without_a_gpu_in_use_there_is_no_room_to_tell() -> None:
    assert gpu_room() is None


@pytest.mark.parametrize(
    ("fault", "wanted"),
    [
        (
            RuntimeError(
                "DefaultCPUAllocator: can't allocate memory: you tried to allocate 400000000000 bytes."
            ),
            "373 GiB",
        ),
        (
            RuntimeError(
                "[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate 2097152 bytes."
            ),
            "2 MiB",
        ),
        (MemoryError("Unable to allocate 728. TiB for an array with shape (100000000000000,)"), "728. TiB"),
    ],
)
def test_full_memory_names_step_batch_and_what_was_free(fault: BaseException, wanted: str) -> None:
    found = said(fault)
    assert found.startswith("step train ran out of main memory in batch 12 (128 rows): it asked for ")
    assert f"it asked for {wanted}, 3 GiB were free (take smaller batches" in found


def test_memory_that_ran_out_without_a_word_is_told_too() -> None:
    assert said(MemoryError(), "").startswith("step train ran out of main memory: 3 GiB were free (")


def test_an_operation_that_differs_each_time_is_named() -> None:
    fault = RuntimeError(
        "put_ does not have a deterministic implementation, but you set 'torch.use_deterministic_algorithms(True)'."
    )
    assert said(fault) == (
        "put_ can't give the same result bit by bit each time (use another operation there, or take `deterministic` out"
        " of `train`)"
    )


@pytest.mark.parametrize("fault", [RuntimeError("shapes differ"), ValueError("memory"), KeyError("x")])
def test_other_errors_speak_for_themselves(fault: BaseException) -> None:
    assert said(fault) == ""


def test_a_machine_has_memory() -> None:
    assert (available_bytes() or 0) > 1 << 20
