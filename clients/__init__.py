"""Clients of the text-to-video service.

from clients import Client

Client().generate("a red circle moving left").save("out.mp4")
"""

from clients.async_client import AsyncClient, AsyncClip
from clients.client import Client, Clip
from clients.errors import (
    ApiError,
    ClientClosed,
    ClientError,
    Conflict,
    CorruptDownload,
    Expired,
    InvalidRequest,
    JobCancelled,
    JobFailed,
    NotFound,
    PermissionDenied,
    ServerError,
    ServiceUnreachable,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
    UnexpectedAnswer,
    WaitTimeout,
)
from clients.records import Job, Link, Model, Options, Update, Video

__all__ = [
    "ApiError",
    "AsyncClient",
    "AsyncClip",
    "Client",
    "ClientClosed",
    "ClientError",
    "Clip",
    "Conflict",
    "CorruptDownload",
    "Expired",
    "InvalidRequest",
    "Job",
    "JobCancelled",
    "JobFailed",
    "Link",
    "Model",
    "NotFound",
    "Options",
    "PermissionDenied",
    "ServerError",
    "ServiceUnreachable",
    "TooManyRequests",
    "Unauthenticated",
    "Unavailable",
    "UnexpectedAnswer",
    "Update",
    "Video",
    "WaitTimeout",
]
