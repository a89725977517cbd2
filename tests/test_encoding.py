"""MP4s made by a real encoder process, read back by PyAV."""

import asyncio
import gc
import json
import os
import signal
import subprocess
import sys
from io import BytesIO

import av
import numpy as np
import psutil
import pytest

from services.execution.executor import ExecutionFailed
from services.file_store import probe
from services.generation.encoding import EncoderPool, VideoEncoder
from tests.waiting import eventually

PARAMETERS = {"model": "demo", "prompt": "a red circle", "seed": 4_294_967_295, "guidance_scale": 4.0}


def make_frames(count=8, height=64, width=64):
    """A red square that moves right on blue."""
    frames = np.zeros((count, height, width, 3), np.uint8)
    frames[..., 2] = 200
    for index, frame in enumerate(frames):
        frame[height // 4 : height // 2, index : index + width // 4] = (220, 20, 20)
    return frames


POOL = EncoderPool()


def encode(frames, *, fps=8, metadata=None, chunk=3, pool=POOL, **limits):
    _, height, width, _ = frames.shape
    with VideoEncoder(width, height, fps, metadata, pool=pool, **limits) as encoder:
        for start in range(0, len(frames), chunk):
            encoder.write(frames[start : start + chunk])
        return encoder.finish()


def decode(video):
    with av.open(BytesIO(video)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


@pytest.mark.parametrize(("height", "width"), [(64, 64), (64, 96), (16, 16), (320, 576), (2, 2)])
def test_a_browser_plays_it(height, width):
    video = encode(make_frames(8, height, width), fps=12)
    facts = probe(video)  # H.264, yuv420p, index before frames
    assert (facts.width, facts.height, facts.num_frames, facts.fps) == (width, height, 8, 12.0)
    assert facts.duration_seconds == pytest.approx(8 / 12)


@pytest.mark.parametrize("count", [1, 2, 25])
@pytest.mark.parametrize("fps", [1, 60])
def test_every_length_and_rate(count, fps):
    facts = probe(encode(make_frames(count), fps=fps))
    assert (facts.num_frames, facts.fps) == (count, fps)


def test_says_that_its_colours_are_bt709():
    with av.open(BytesIO(encode(make_frames()))) as container:
        context = container.streams.video[0].codec_context
        assert context.pix_fmt == "yuv420p"
        assert (context.color_primaries, context.color_trc, context.colorspace) == (1, 1, 1)
        assert context.color_range == 1  # limited ("tv")


def test_colours_survive():
    frames = make_frames(8, 128, 128)
    error = np.abs(decode(encode(frames)).astype(int) - frames)
    assert error.mean() < 3
    assert np.median(error[:, :20]) <= 2


def test_parameters_travel_in_the_file():
    prompt = 'quotes " and \\ and = ; # and\nlines, 日本語 🎉 \x00'
    video = encode(make_frames(), metadata=PARAMETERS | {"prompt": prompt})
    with av.open(BytesIO(video)) as container:
        tags = container.metadata
    assert json.loads(tags["comment"]) == PARAMETERS | {"prompt": prompt}
    assert tags["title"].startswith('quotes " and \\ and = ; # and lines, 日本語 🎉')


def test_the_longest_prompt_travels_too():
    metadata = PARAMETERS | {"prompt": "🎉" * 4000, "negative_prompt": "é" * 4000}
    with av.open(BytesIO(encode(make_frames(), metadata=metadata))) as container:
        assert json.loads(container.metadata["comment"]) == metadata


def test_metadata_can_be_left_out():
    video = encode(make_frames())
    with av.open(BytesIO(video)) as container:
        assert not {"comment", "title", "encoder", "creation_time"} & set(container.metadata)


def test_equal_input_gives_equal_bytes():
    frames = make_frames(24, 128, 128)
    pool = EncoderPool()
    videos = {
        encode(frames, metadata=PARAMETERS, chunk=chunk, pool=where)
        for chunk in (3, 24)
        for where in (None, pool, pool)
    }
    assert len(videos) == 1


@pytest.mark.parametrize(("width", "height"), [(63, 64), (64, 63), (0, 64)])
def test_odd_sizes_are_refused(width, height):
    with pytest.raises(ExecutionFailed, match="even sizes") as failure:
        VideoEncoder(width, height, 8)
    assert failure.value.code == "encoding_failed"


def test_frames_of_another_size_are_refused():
    with VideoEncoder(64, 64, 8) as encoder, pytest.raises(ExecutionFailed, match="expected"):
        encoder.write(make_frames(1, 32, 32))


def test_no_frames_is_a_failure():
    with VideoEncoder(64, 64, 8) as encoder, pytest.raises(ExecutionFailed, match="no frames") as failure:
        encoder.finish()
    assert failure.value.code == "encoding_failed"


def test_a_killed_encoder_is_a_failure():
    with VideoEncoder(64, 64, 8) as encoder:
        encoder.write(make_frames())
        os.kill(encoder.pid, signal.SIGKILL)
        with pytest.raises(ExecutionFailed, match="code -9") as failure:
            encoder.finish()
    assert failure.value.code == "encoding_failed"


def test_a_killed_encoder_is_noticed_while_writing():
    frames = make_frames(64, 256, 256)
    with VideoEncoder(256, 256, 8) as encoder:
        os.kill(encoder.pid, signal.SIGKILL)
        with pytest.raises(ExecutionFailed, match="code -9"):
            encoder.write(frames)  # more than a pipe holds


def test_an_encoder_that_hangs_is_killed():
    frames = make_frames(64, 256, 256)
    with VideoEncoder(256, 256, 8, write_seconds=0.3) as encoder:
        os.kill(encoder.pid, signal.SIGSTOP)
        with pytest.raises(ExecutionFailed, match=r"took no frames for 0\.3 s") as failure:
            encoder.write(frames)  # more than a pipe holds
        assert not psutil.pid_exists(encoder.pid)
    assert failure.value.code == "encoding_failed"


def test_a_clip_that_grows_too_large_is_a_failure():
    noise = np.random.default_rng(0).integers(0, 255, (64, 256, 256, 3), np.uint8)
    for chunk in (1, len(noise)):
        with pytest.raises(ExecutionFailed, match="larger than 100000 bytes") as failure:
            encode(noise, chunk=chunk, max_bytes=100_000)
        assert failure.value.code == "encoding_failed"


def test_the_encoder_sees_no_credentials_and_can_write_no_file(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    metadata = {"prompt": "; touch pwned", "note": "$(touch pwned) `touch pwned`"}
    with VideoEncoder(64, 64, 8, metadata) as encoder:
        process = psutil.Process(encoder.pid)
        encoder.write(make_frames())
        assert process.environ().keys() <= {"PATH", "LD_LIBRARY_PATH"}
        assert "pwned" not in " ".join(process.cmdline()), "a prompt has no place in the process list"
        encoder.finish()
        if sys.platform == "linux":
            assert process.rlimit(psutil.RLIMIT_FSIZE) == process.rlimit(psutil.RLIMIT_CORE) == (0, 0)
    assert list(tmp_path.iterdir()) == []


def test_what_the_encoder_says_is_in_the_message():
    with pytest.raises(ExecutionFailed, match="Invalid argument") as failure:
        encode(make_frames(), fps=-1)
    assert failure.value.code == "encoding_failed"


def test_an_encoder_that_does_not_start_is_a_failure(monkeypatch, tmp_path):
    monkeypatch.setattr("sys.executable", str(tmp_path / "nothing"))
    with pytest.raises(ExecutionFailed, match="does not start") as failure, VideoEncoder(64, 64, 8):
        pass
    assert failure.value.code == "encoding_failed"


def test_one_process_makes_clips_of_any_size_one_after_the_other():
    pool, pids = EncoderPool(), set()
    pool.warm()
    for size in (64, 128, 32):
        frames = make_frames(5, size, size)
        with VideoEncoder(size, size, 8, pool=pool) as encoder:
            encoder.write(frames)
            video = encoder.finish()
        pids.add(encoder.pid)
        assert decode(video).shape == frames.shape
    assert len(pids) == 1


def test_two_clips_at_once_have_two_processes():
    pool = EncoderPool()
    with VideoEncoder(64, 64, 8, pool=pool) as first, VideoEncoder(64, 64, 8, pool=pool) as second:
        assert first.pid != second.pid
        for encoder in (first, second):
            encoder.write(make_frames())
        assert first.finish() == second.finish()


def test_a_process_whose_clip_was_abandoned_or_failed_makes_no_other():
    pool = EncoderPool()
    with VideoEncoder(64, 64, 8, pool=pool) as abandoned:
        abandoned.write(make_frames())
    with VideoEncoder(64, 64, 8, pool=pool, max_bytes=10) as failed:
        failed.write(make_frames())
        with pytest.raises(ExecutionFailed, match="larger"):
            failed.finish()
    assert not psutil.pid_exists(abandoned.pid)
    assert not psutil.pid_exists(failed.pid)
    assert probe(encode(make_frames(), pool=pool)).num_frames == 8


def test_a_process_that_died_idle_is_replaced():
    pool = EncoderPool()
    first = pool.take()
    pool.give_back(first)
    first.kill()
    first.wait()
    assert probe(encode(make_frames(), pool=pool)).num_frames == 8


def test_the_pools_processes_end_with_it():
    pool = EncoderPool()
    encode(make_frames(), pool=pool)
    process = pool.take()
    pool.give_back(process)
    del pool
    gc.collect()
    # The last write's watch may hold the pool until its thread has ended.
    asyncio.run(eventually(lambda: process.returncode is not None))
    assert process.returncode == -signal.SIGKILL


def test_an_abandoned_encoder_leaves_nothing():
    with VideoEncoder(64, 64, 8) as encoder:
        encoder.write(make_frames())
        assert psutil.pid_exists(encoder.pid)
    assert not psutil.pid_exists(encoder.pid)


def test_the_encoder_does_not_outlive_a_killed_parent(tmp_path):
    script = (
        "import sys, numpy as np\n"
        "from services.generation.encoding import VideoEncoder\n"
        "with VideoEncoder(64, 64, 8) as encoder:\n"
        "    encoder.write(np.zeros((1, 64, 64, 3), np.uint8))\n"
        "    print(encoder.pid, flush=True)\n"
        "    sys.stdin.read()\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"TMPDIR": str(tmp_path)},
    )
    with parent:
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
        parent.wait()
        asyncio.run(
            eventually(
                lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE,
                message="the encoder outlived its parent",
            )
        )
