import hashlib
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.file_store import FileStore, InvalidVideo, StorageFull, probe
from tests.clips import make_clip

MEGABYTE = 2**20


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "videos", budget_bytes=MEGABYTE)


@pytest.fixture(scope="module")
def clip() -> bytes:
    return make_clip()


def names(store: FileStore) -> set[str]:
    return {path.name for path in store.video_path("x", 1).parent.iterdir()}


def test_publish_stores_the_bytes_and_tells_their_facts(store: FileStore, clip: bytes) -> None:
    video = store.publish("video_A", 2, clip, b"webp")

    assert store.video_path("video_A", 2).read_bytes() == clip
    assert store.thumbnail_path("video_A", 2).read_bytes() == b"webp"
    assert names(store) == {"video_A.2.mp4", "video_A.2.webp"}
    assert video.model_dump() == {
        "size_bytes": len(clip),
        "sha256": hashlib.sha256(clip).hexdigest(),
        "width": 64,
        "height": 64,
        "fps": 8.0,
        "num_frames": 8,
        "duration_seconds": 1.0,
        "codec": "h264",
    }


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: b"", id="empty"),
        pytest.param(lambda: b"not an mp4 at all", id="text"),
        pytest.param(lambda: make_clip()[:-50], id="cut off"),
        pytest.param(lambda: make_clip(faststart=False), id="index at the end"),
        pytest.param(lambda: make_clip(codec="mpeg4"), id="mp4v"),
        pytest.param(lambda: make_clip(pix_fmt="yuv444p"), id="4:4:4"),
    ],
)
def test_what_a_browser_refuses_is_never_stored(store: FileStore, make) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InvalidVideo):
        store.publish("video_A", 1, make(), b"webp")
    assert names(store) == set()


def test_two_fences_lie_side_by_side_and_are_deleted_apart(store: FileStore, clip: bytes) -> None:
    store.publish("video_A", 1, clip, b"")
    store.publish("video_A", 2, clip, b"")
    store.publish("video_B", 1, clip, b"")
    store.delete("video_A", 1)
    assert names(store) == {"video_A.2.mp4", "video_A.2.webp", "video_B.1.mp4", "video_B.1.webp"}
    store.delete("video_A")
    assert names(store) == {"video_B.1.mp4", "video_B.1.webp"}
    assert {(file.job_id, file.fence) for file in store.stored()} == {("video_B", 1)}
    assert store.used_bytes() == len(clip)


def test_a_clip_over_the_budget_is_refused(tmp_path: Path, clip: bytes) -> None:
    store = FileStore(tmp_path / "videos", budget_bytes=len(clip) - 1)
    with pytest.raises(StorageFull, match="budget"):
        store.publish("video_A", 1, clip, b"")
    assert names(store) == set()


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, clip: bytes) -> None:
    """RLIMIT_FSIZE makes the kernel refuse the write in its middle, as a full disk does."""
    (tmp_path / "clip.mp4").write_bytes(clip)
    script = (
        "import resource, signal, sys, pathlib\n"
        "from services.file_store import FileStore, StorageFull\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "clip = (folder / 'clip.mp4').read_bytes()\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (len(clip) // 2, resource.RLIM_INFINITY))\n"
        "store = FileStore(folder / 'videos', 2**20)\n"
        "try:\n    store.publish('video_A', 1, clip, b'webp')\n"
        "except StorageFull as error:\n    print('full:', error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("full:")
    assert list((tmp_path / "videos").iterdir()) == []


def test_sweep_deletes_only_old_parts(store: FileStore, clip: bytes) -> None:
    store.publish("video_A", 1, clip, b"")
    folder = store.video_path("video_A", 1).parent
    for name, age in [("video_B.1.mp4.part", 3600), ("video_C.1.mp4.part", 0)]:
        (folder / name).write_bytes(b"half")
        os.utime(folder / name, (os.path.getmtime(folder / name) - age,) * 2)
    assert store.sweep_parts(older_than_seconds=600) == 1
    assert names(store) == {"video_A.1.mp4", "video_A.1.webp", "video_C.1.mp4.part"}


@pytest.mark.parametrize("job_id", ["../etc/passwd", "a/b", "", "a.b", "a\x00b"])
def test_an_id_never_leaves_the_folder(store: FileStore, job_id: str) -> None:
    with pytest.raises(ValueError, match="job id"):
        store.video_path(job_id, 1)


def test_probe_reads_odd_rates() -> None:
    video = probe(make_clip(frames=5, fps=24))
    assert (video.num_frames, video.fps) == (5, 24.0)
    assert video.duration_seconds == pytest.approx(5 / 24)


@settings(max_examples=300, deadline=None)
@given(changes=st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 255)), min_size=1, max_size=4))
def test_a_damaged_clip_is_probed_or_refused(clip: bytes, changes: list[tuple[int, int]]) -> None:
    """Whatever is wrong with it: names that are no text and unknown codecs once ended the probe otherwise."""
    damaged = bytearray(clip)
    for place, value in changes:
        damaged[place % len(damaged)] = value
    with suppress(InvalidVideo):
        assert probe(bytes(damaged)).num_frames > 0


def test_a_name_that_is_no_text_is_nothing_to_the_frames(clip: bytes) -> None:
    assert probe(clip.replace(b"VideoHandler", b"\xffideoHandler")).num_frames == 8


def test_a_codec_that_nobody_knows_is_refused(clip: bytes) -> None:
    with pytest.raises(InvalidVideo, match="codec"):
        probe(clip.replace(b"avc1", b"zzzz"))
