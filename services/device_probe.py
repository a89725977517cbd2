"""Whether torch would find a CUDA device, answered in milliseconds and without importing torch."""

import ctypes
import importlib.metadata
import os

_NVML_SUCCESS = 0


def has_cuda(device: str = "auto") -> bool:
    """Whether a worker with this ``device`` setting runs on CUDA."""
    if device == "cpu":
        return False
    return _torch_is_built_for_cuda() and _devices_are_visible() and _driver_device_count() > 0


def _torch_is_built_for_cuda() -> bool:
    try:
        return "+cpu" not in importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return False


def _devices_are_visible() -> bool:
    """CUDA_VISIBLE_DEVICES empty, or beginning with -1, hides every device."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return visible is None or (visible.strip() != "" and not visible.strip().startswith("-1"))


def _driver_device_count() -> int:
    """Devices that the NVIDIA driver reports through NVML; 0 where there is no driver."""
    try:
        nvml = ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        return 0
    if nvml.nvmlInit_v2() != _NVML_SUCCESS:
        return 0
    count = ctypes.c_uint()
    status = nvml.nvmlDeviceGetCount_v2(ctypes.byref(count))
    nvml.nvmlShutdown()
    return count.value if status == _NVML_SUCCESS else 0
