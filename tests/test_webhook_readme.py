"""The receiver of the README, as it stands there."""

import re
import time
from pathlib import Path
from typing import Any

import httpx2
import pytest

from models.webhook import EventData, WebhookEvent
from services.webhook_signing import signed_headers
from tests.receiver import KEY, SECRET

README = Path(__file__).resolve().parent.parent / "README.md"


async def test_it_prints_what_is_signed_and_no_more(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"```python\n(from fastapi.*?)```", README.read_text(), re.DOTALL)
    assert code.count("\n") <= 12
    names: dict[str, Any] = {}
    exec(code.replace("whsec_...", SECRET), names)  # noqa: S102
    event = WebhookEvent(id="evt_1", type="video.failed", created_at=1, data=EventData(id="video_1"))
    body = event.model_dump_json().encode()
    headers = signed_headers("evt_1", int(time.time()), body, [KEY])
    transport = httpx2.ASGITransport(names["app"], raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://hook.example") as client:
        assert (await client.post("/hook", content=body, headers=headers)).status_code == 204
        assert capsys.readouterr().out == "evt_1 video.failed video_1\n"
        forged = await client.post("/hook", content=body.replace(b"failed", b"completed"), headers=headers)
    assert forged.status_code == 500
    assert capsys.readouterr().out == ""
