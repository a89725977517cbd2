"""Every knob of the service, read from the environment and ``.env``."""

import re
from functools import cached_property
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from authentication import ApiKeys
from models.webhook import MAX_URL_CHARS, Endpoint
from services.public_addresses import AddressPolicy
from services.rate_limits import parse_rate_limit
from services.webhook_signing import parse_secrets

_SIGNING_KEY_CHARS = 32
_ALIAS = re.compile(r"[^\s=]{1,200}\s*=\s*[^\s=]+")
_HOST = re.compile(r"(\*\.)?[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]")


def listed(text: str) -> list[str]:
    """The entries of a comma-separated setting."""
    return [entry.strip() for entry in text.split(",") if entry.strip()]


class Settings(BaseSettings):
    """``T2V_<NAME>`` in the environment sets a field.

    The two outside credentials, ``MONGO_URI`` and ``HF_TOKEN``, are read by ``authentication.py``.
    """

    model_config = SettingsConfigDict(env_prefix="T2V_", env_file=".env", extra="ignore", frozen=True)

    # Where it listens
    host: str = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65535)
    role: Literal["all", "api", "dispatcher"] = "all"
    max_connections: int = Field(
        500, ge=1, description="Open connections; past it new ones are answered 503."
    )
    client_timeout_seconds: float = Field(
        30, gt=0, description="For a request to arrive; for an answer to be read, unless at 1 KiB/s or more."
    )

    # What it keeps
    data_dir: Path = Path("data")
    database: str = Field("text_to_video", min_length=1, max_length=38)
    video_ttl_hours: float = Field(
        24 * 7, gt=0, description="Age at which a clip's file goes; its record stays."
    )
    video_budget_mb: int = Field(10_000, gt=0, description="Disk for clips; past it the oldest go first.")
    history_days: float = Field(0, ge=0, description="Age of an ended job at which its record goes; 0 never.")
    history_max: int = Field(0, ge=0, description="Records kept, newest first; 0 all.")

    # What it runs
    model: str = Field("auto", description="A catalogue name, a folder in diffusers layout, or auto.")
    model_aliases: str = Field(
        "", description="Other names of models, as in sora-2=zeroscope_v2_576w, comma-separated."
    )
    device: str = Field("auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    offload: Literal["auto", "none", "model", "sequential"] = "auto"
    vae_slicing: Literal["auto", "on", "off"] = "auto"
    compile: Literal["auto", "on", "off"] = Field(
        "auto",
        description="Compile models in the background, for shapes that are asked for; auto: with CUDA by "
        "torch.compile, small models in float32 on a CPU by OpenVINO.",
    )
    preload: bool = Field(True, description="Load the default model at start instead of at the first job.")
    idle_unload_seconds: float = Field(
        0, ge=0, description="Free the device after so long without a job; 0 never."
    )
    checkpoint_cache: Path | None = Field(None, description="Folder for hub downloads.")
    offline: bool = Field(False, description="Never ask the hub.")
    embed_metadata: bool = Field(True, description="Write prompt and parameters into the MP4.")

    # How jobs are run
    max_batch: str = Field(
        "auto",
        pattern=r"^(auto|[1-8])$",
        description="Waiting jobs of one kind that are made at once, as far as memory goes.",
    )
    max_attempts: int = Field(3, ge=1)
    job_timeout_seconds: float = Field(1800, gt=0)
    lease_seconds: float = Field(30, gt=0)
    poll_seconds: float = Field(1.0, gt=0, description="How often the queue is looked at without a wake-up.")
    cancel_grace_seconds: float = Field(
        10, gt=0, description="A worker that does not stop by then is killed."
    )
    shutdown_grace_seconds: float = Field(
        30, ge=0, description="Running jobs may finish for so long at SIGTERM."
    )
    max_queued: int = Field(1000, ge=1, description="Jobs that may wait; past it POST /videos answers 503.")
    max_queued_per_owner: int = Field(
        500, ge=1, description="Jobs of one owner that may wait; past it POST /videos answers 429."
    )
    rate_limit: str = Field(
        "", description="Requests for clips that each owner may make, as in 60/minute; empty for any."
    )
    max_streams_per_owner: int = Field(
        50, ge=1, description="Event streams and held answers that one owner may have open in a process."
    )

    # Who may call it
    api_keys: SecretStr = Field(SecretStr(""), description="name:sha256 pairs, comma-separated.")
    signing_key: SecretStr | None = Field(
        None, description="Signs expiring links; drawn and kept when not set."
    )
    cors_origins: str = Field("", description="Allowed origins, comma-separated.")
    trusted_hosts: str = Field(
        "", description="Names it answers to, comma-separated; *.example.org for all below."
    )
    trusted_proxies: str = Field(
        "", description="Addresses or networks whose X-Forwarded-* count, comma-separated."
    )
    page: bool = Field(True, description="Serve the web page at /.")
    docs: bool = Field(True, description="Serve /docs and /openapi.json.")
    metrics: bool = Field(True, description="Serve /metrics.")

    # Whom it tells
    webhook_url: SecretStr = Field(
        SecretStr(""), description="Told of every job's end, besides the job's own webhook_url."
    )
    webhook_secret: SecretStr = Field(
        SecretStr(""), description="whsec_ keys that sign webhooks, comma-separated; without, none is sent."
    )
    webhook_allow_private: str = Field(
        "false", description="Whether webhooks may go to any address (true), or networks they may go to."
    )
    webhook_timeout_seconds: float = Field(15, gt=0, description="For one attempt.")
    webhook_retry_hours: float = Field(24, ge=0, description="After so long a delivery is given up.")

    # What it says
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["auto", "console", "json"] = "auto"

    @cached_property
    def keys(self) -> ApiKeys:
        return ApiKeys.parse(self.api_keys.get_secret_value())

    @property
    def aliases(self) -> dict[str, str]:
        """Models by their other names."""
        pairs = (entry.partition("=") for entry in listed(self.model_aliases))
        return {alias.strip(): name.strip() for alias, _, name in pairs}

    @property
    def webhook_addresses(self) -> AddressPolicy:
        return AddressPolicy.parse(self.webhook_allow_private)

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the address it listens on."""
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def answers_to(self) -> list[str] | None:
        """Host names that requests may ask for, besides the loopback's own; None for any.

        Beyond the loopback every request needs a key, which no page of another name has.
        """
        if self.is_loopback or self.trusted_hosts:
            return [self.host, *listed(self.trusted_hosts)]
        return None

    @field_validator("model_aliases")
    @classmethod
    def _pairs(cls, value: str) -> str:
        for place, entry in enumerate(listed(value), start=1):
            if not _ALIAS.fullmatch(entry):
                raise ValueError(f"entry {place} is not of the form name=model")
        return value

    @field_validator("webhook_url")
    @classmethod
    def _an_endpoint(cls, value: SecretStr) -> SecretStr:
        if len(value.get_secret_value()) > MAX_URL_CHARS:
            raise ValueError(f"must have at most {MAX_URL_CHARS} characters")
        if value.get_secret_value():
            Endpoint.parse(value.get_secret_value())
        return value

    @field_validator("webhook_secret")
    @classmethod
    def _signing_secrets(cls, value: SecretStr) -> SecretStr:
        parse_secrets(value.get_secret_value())
        return value

    @field_validator("webhook_allow_private")
    @classmethod
    def _an_address_policy(cls, value: str) -> str:
        AddressPolicy.parse(value)
        return value

    @field_validator("rate_limit")
    @classmethod
    def _a_rate(cls, value: str) -> str:
        parse_rate_limit(value)
        return value

    @field_validator("api_keys")
    @classmethod
    def _readable(cls, value: SecretStr) -> SecretStr:
        ApiKeys.parse(value.get_secret_value())
        return value

    @field_validator("signing_key")
    @classmethod
    def _long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None or not value.get_secret_value():
            return None
        if len(value.get_secret_value()) < _SIGNING_KEY_CHARS:
            raise ValueError(f"must have at least {_SIGNING_KEY_CHARS} characters")
        return value

    @field_validator("trusted_hosts")
    @classmethod
    def _host_names(cls, value: str) -> str:
        for place, host in enumerate(listed(value), start=1):
            if not _HOST.fullmatch(host):
                raise ValueError(f"entry {place} is not a host name without scheme and port, or *.name")
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: str) -> str:
        for place, network in enumerate(listed(value), start=1):
            try:
                ip_network(network)
            except ValueError:
                # uvicorn would take any other word for a name that matches nothing, and * for everyone.
                raise ValueError(f"entry {place} is not an IP address or network") from None
        return value

    @model_validator(mode="after")
    def _a_webhook_that_can_be_sent(self) -> Self:
        url = self.webhook_url.get_secret_value()
        if url and not self.webhook_secret.get_secret_value():
            raise ValueError(
                "T2V_WEBHOOK_URL needs T2V_WEBHOOK_SECRET, which signs what is sent; make one with: "
                'echo "whsec_$(openssl rand -base64 32)"'
            )
        if url and self.webhook_addresses.refuses_host(Endpoint.parse(url).host):
            raise ValueError("T2V_WEBHOOK_URL is not public: set T2V_WEBHOOK_ALLOW_PRIVATE to its network")
        return self

    @model_validator(mode="after")
    def _keys_beyond_loopback(self) -> Self:
        if self.role != "dispatcher" and not self.is_loopback and not self.keys.required:
            raise ValueError(
                f"T2V_HOST={self.host} can be reached from other machines, so an API key is needed: run "
                "'python -m authentication create NAME' and set T2V_API_KEYS, or listen on 127.0.0.1"
            )
        return self
