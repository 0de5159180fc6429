"""ONNX Runtime: opening a graph, and its errors."""

from typing import TYPE_CHECKING

from laennec.errors import LaennecError

if TYPE_CHECKING:
    import onnxruntime


def open_session(content: bytes, source: str, threads: int) -> "onnxruntime.InferenceSession":
    import onnxruntime  # here, since reading a card's type or checking an age needs none of it

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what goes wrong is raised; the same text on stderr would be noise
    # Waiting threads that spin take processor time from everybody else.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except runtime_errors() as error:
        raise LaennecError(
            f"{source}: not an ONNX model that ONNX Runtime {onnxruntime.__version__} can load "
            f"({first_line(error)})"
        ) from error


def runtime_errors() -> tuple[type[Exception], ...]:
    """ONNX Runtime's exceptions, which have no common base but Exception."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    found = (value for value in vars(state).values() if isinstance(value, type))
    return (RuntimeError, ValueError, *(kind for kind in found if issubclass(kind, Exception)))


def first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].strip().rstrip(".")
