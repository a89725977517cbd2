"""What can be had of a finished clip: the MP4, a still, all frames in one picture."""

from enum import StrEnum
from typing import Annotated, cast

from fastapi import Depends, Request
from starlette.responses import Response

from models.job import Job
from routers.serving import serve_file
from services.file_store import FileStore
from services.spritesheets import Grid, Spritesheets
from services.videos import VideoService

SPRITESHEET = "Spritesheet"


class Variant(StrEnum):
    VIDEO = "video"
    THUMBNAIL = "thumbnail"
    SPRITESHEET = "spritesheet"


class Clips:
    """Serves them. All of them change never: their validators come from the clip's own digest."""

    def __init__(self, videos: VideoService, files: FileStore, spritesheets: Spritesheets) -> None:
        self._videos = videos
        self._files = files
        self._spritesheets = spritesheets

    async def serve(
        self, request: Request, job: Job, variant: Variant, *, download: bool = False
    ) -> Response:
        """Raises Conflict unless the job is completed, Expired once its file is gone."""
        video = self._videos.require_video(job)
        disposition = "attachment" if download else "inline"
        if variant is Variant.VIDEO:
            return await serve_file(
                request,
                self._files.video_path(job.id, job.fence),
                media_type="video/mp4",
                etag=video.sha256,
                headers={"Content-Disposition": f'{disposition}; filename="{job.id}.mp4"', "Vary": "Accept"},
            )
        if variant is Variant.THUMBNAIL:
            path, suffix, headers = self._files.thumbnail_path(job.id, job.fence), "", {}
        else:
            path, suffix = await self._spritesheets.path(job, video), ".sheet"
            headers = {SPRITESHEET: Grid.of(video).header}
        return await serve_file(
            request,
            path,
            media_type="image/webp",
            etag=f"{video.sha256}-{variant}",
            headers={"Content-Disposition": f'{disposition}; filename="{job.id}{suffix}.webp"', **headers},
        )


def get_clips(request: Request) -> Clips:
    state = request.state
    return Clips(state.videos, state.files, cast(Spritesheets, state.spritesheets))


ClipsOf = Annotated[Clips, Depends(get_clips)]
