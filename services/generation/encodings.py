"""Frames to finished clips, beside the device's work."""

import threading
from dataclasses import replace
from queue import SimpleQueue
from time import perf_counter

from services.execution.executor import Clip, GenerationCancelled
from services.execution.messages import Completed
from services.generation.decoding import Frames
from services.generation.encoding import EncoderPool, VideoEncoder
from services.generation.thumbnail import make_thumbnail

_LOOK_SECONDS = 0.05


class Discarded(Exception):
    """The clip is made again from its beginning: nobody is told."""


class Encodings:
    """The clips that are being encoded.

    Args:
        most: So many at once; the device waits before it makes frames of one more.
        embed_metadata: Write prompt and parameters into the MP4.
    """

    def __init__(self, most: int, *, embed_metadata: bool) -> None:
        self._room = threading.BoundedSemaphore(most)
        self._embed_metadata = embed_metadata
        self._pool = EncoderPool()

    def warm(self) -> None:
        """Have an encoder started for the next clip, in the background."""
        self._pool.warm()

    def begin(self, clip: Clip, unfinished: Completed) -> "Encoding":
        """Encode what comes, and complete the clip with it.

        Args:
            unfinished: The answer without video and thumbnail; its timings may be filled in until ``close``.

        Raises:
            ExecutionFailed: ``encoding_failed``: H.264 has no such size.
            GenerationCancelled: the clip was, while others were encoded.
        """
        request = clip.request
        params = request.params
        metadata = {"model": request.model.name, **params.model_dump()} if self._embed_metadata else None
        encoder = VideoEncoder(params.width, params.height, params.fps, metadata, pool=self._pool)
        while not self._room.acquire(timeout=_LOOK_SECONDS):
            if clip.is_cancelled:
                raise GenerationCancelled
        return Encoding(clip, unfinished, encoder, self._room)


class Encoding:
    """One clip that is encoded on a thread of its own, as its frames come."""

    def __init__(
        self, clip: Clip, unfinished: Completed, encoder: VideoEncoder, room: threading.Semaphore
    ) -> None:
        self._clip = clip
        self._unfinished = unfinished
        self._encoder = encoder
        self._room = room
        self._frames: SimpleQueue[Frames | Exception | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=f"encode {clip.request.job_id}", daemon=True)
        self._thread.start()

    @property
    def has_ended(self) -> bool:
        """Whether more frames are of no use."""
        return not self._thread.is_alive()

    def write(self, frames: Frames) -> None:
        """Append ``uint8[T, H, W, 3]``; does not wait for the encoder."""
        self._frames.put(frames)

    def close(self) -> None:
        """The clip has all its frames."""
        self._frames.put(None)

    def abort(self, error: Exception) -> None:
        """The clip fails with this error; with ``Discarded`` nobody is told. Returns when it is gone."""
        self._frames.put(error)
        self._thread.join()

    def _run(self) -> None:
        try:
            self._clip.complete(self._encode())
        except Discarded:
            return
        except Exception as error:
            self._clip.fail(error)
        finally:
            self._room.release()

    def _encode(self) -> Completed:
        """Raises ExecutionFailed (``encoding_failed``), GenerationCancelled, or the error that came."""
        middle, seen = self._clip.request.params.num_frames // 2, 0
        thumbnail, seconds = b"", 0.0
        with self._encoder as encoder:
            while (frames := self._frames.get()) is not None:
                if isinstance(frames, Exception):
                    raise frames
                if self._clip.is_cancelled:
                    raise GenerationCancelled
                began = perf_counter()
                if seen <= middle < seen + len(frames):
                    thumbnail = make_thumbnail(frames[middle - seen])
                encoder.write(frames)
                seen += len(frames)
                seconds += perf_counter() - began
            if self._clip.is_cancelled:
                raise GenerationCancelled
            began = perf_counter()
            video = encoder.finish()
            seconds += perf_counter() - began
        timings = self._unfinished.timings.model_copy(update={"encode": seconds})
        return replace(self._unfinished, video=video, thumbnail=thumbnail, timings=timings)
