"""OpenAI's packages for Python and Node, unmodified, against ``python -m app`` with the demo checkpoint."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import openai
import pytest
from openai import OpenAI
from PIL import Image

from services.file_store import probe
from tests.running_service import RunningService, running_service

NPM = Path(__file__).parent / "npm"
NODE = shutil.which("node")
PROMPT = "a red circle moving left"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    with running_service(tmp_path_factory.mktemp("openai") / "data") as service:
        yield service


# The package says with every call that OpenAI's own service ends.
@pytest.mark.filterwarnings("ignore:The Sora API is scheduled:DeprecationWarning")
def test_the_python_package(service: RunningService, tmp_path: Path) -> None:
    with OpenAI(base_url=f"http://127.0.0.1:{service.port}/v1", api_key="none") as client:
        video = client.videos.create_and_poll(
            prompt=PROMPT, model="demo", seconds="2", extra_body={"seed": 7, "num_inference_steps": 2}
        )
        assert (video.status, video.progress) == ("completed", 100)
        client.videos.download_content(video.id).write_to_file(tmp_path / "out.mp4")
        facts = probe((tmp_path / "out.mp4").read_bytes())
        assert (facts.width, facts.height, facts.num_frames, facts.duration_seconds) == (128, 128, 16, 2.0)
        with Image.open(
            BytesIO(client.videos.download_content(video.id, variant="thumbnail").read())
        ) as still:
            assert (still.format, still.size) == ("WEBP", (128, 128))
        sheet = client.videos.download_content(video.id, variant="spritesheet").read()
        with Image.open(BytesIO(sheet)) as image:
            assert (image.format, image.size) == ("WEBP", (512, 512))
        remix = client.videos.poll(client.videos.remix(video.id, prompt="a blue circle moving left").id)
        assert (remix.status, remix.remixed_from_video_id) == ("completed", video.id)
        assert remix.model_extra is not None
        assert remix.model_extra["seed"] == 7
        assert [each.id for each in client.videos.list(limit=1, order="asc")] == [video.id, remix.id]
        assert client.videos.retrieve(video.id) == video
        for each in (video, remix):
            assert client.videos.delete(each.id).deleted
        with pytest.raises(openai.NotFoundError):
            client.videos.retrieve(video.id)


@pytest.mark.skipif(NODE is None, reason="Node is not installed")
@pytest.mark.skipif(
    not (NPM / "node_modules" / "openai").is_dir(), reason="run npm ci --prefix tests/npm first"
)
def test_the_npm_package(service: RunningService, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    done = subprocess.run(
        ["node", NPM / "openai_videos.mjs", f"http://127.0.0.1:{service.port}/v1", out],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    saw = json.loads(done.stdout)
    video, remix = saw["video"], saw["remix"]
    assert (video["status"], video["prompt"], video["seed"]) == ("completed", PROMPT, 7)
    assert (video["num_inference_steps"], video["metadata"]) == (2, {"take": "1"})
    assert probe(out.read_bytes()).num_frames == 16
    assert saw["spritesheet"] == "columns=4, rows=4, tiles=16, width=128, height=128"
    assert (remix["status"], remix["remixed_from_video_id"]) == ("completed", video["id"])
    assert saw["listed"] == [video["id"], remix["id"]]
    assert saw["deleted"] == {"id": remix["id"], "deleted": True, "object": "video.deleted"}
    image = {
        "name": "BadRequestError",
        "code": "unsupported_parameter",
        "param": "input_reference",
        "asked": 1,
    }
    assert saw["refusals"] == {
        "missing": {"name": "NotFoundError", "code": "job_not_found", "param": "id", "asked": 1},
        "image": image,
        "image_url": image,
        "size": {"name": "BadRequestError", "code": "invalid_value", "param": "size", "asked": 1},
    }
