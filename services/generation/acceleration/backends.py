"""The backends by name."""

from services.generation.acceleration.backend import Backend
from services.generation.acceleration.inductor_backend import InductorBackend
from services.generation.acceleration.openvino_backend import OpenVinoBackend

BACKENDS: dict[str, Backend] = {backend.name: backend for backend in (InductorBackend(), OpenVinoBackend())}
