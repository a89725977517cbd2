"""Jobs for tests, as the API would queue them."""

from typing import Any

from models.job import Job, JobProgress
from models.video import VideoParams
from services.job_store import new_job_id, utc_now


def queued_job(prompt: str = "at once", *, steps: int = 3, model: str = "demo", **fields: Any) -> Job:
    """A job of 4 frames at 64 × 64 that waits for its turn."""
    params = VideoParams(
        prompt=prompt,
        negative_prompt="",
        width=64,
        height=64,
        num_frames=4,
        fps=8,
        num_inference_steps=steps,
        guidance_scale=1.0,
        scheduler="ddim",
        seed=1,
    )
    values: dict[str, Any] = {
        "id": new_job_id(),
        "owner": "tester",
        "model": model,
        "params": params,
        "progress": JobProgress(total=steps),
        "created_at": utc_now(),
    }
    return Job(**(values | fields))
