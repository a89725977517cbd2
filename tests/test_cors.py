"""Which web pages may call the service."""

from pathlib import Path

from tests.live_api import live_api

PAGE = "https://studio.example"


async def test_only_named_origins_may_read_answers(tmp_path: Path) -> None:
    async with live_api(tmp_path, cors_origins=f"{PAGE}, https://other.example") as api:
        answer = await api.client.get("/models", headers={"origin": PAGE})
        assert answer.headers["access-control-allow-origin"] == PAGE
        assert "X-Request-ID" in answer.headers["access-control-expose-headers"]
        preflight = await api.client.options(
            "/videos",
            headers={
                "origin": PAGE,
                "access-control-request-method": "POST",
                "access-control-request-headers": "content-type,idempotency-key",
            },
        )
        assert preflight.status_code == 200
        assert preflight.headers["access-control-allow-origin"] == PAGE
        assert "access-control-allow-credentials" not in preflight.headers
        for headers in (
            {"origin": "https://evil.example"},
            {"origin": "null"},
            {"origin": f"{PAGE}.evil.example"},
        ):
            refused = await api.client.options(
                "/videos", headers=headers | {"access-control-request-method": "POST"}
            )
            assert refused.status_code == 400
            assert "access-control-allow-origin" not in refused.headers
        stranger = await api.client.get("/models", headers={"origin": "https://evil.example"})
        assert "access-control-allow-origin" not in stranger.headers


async def test_no_origin_is_allowed_unless_named(tmp_path: Path) -> None:
    async with live_api(tmp_path) as api:
        answer = await api.client.get("/models", headers={"origin": PAGE})
        assert "access-control-allow-origin" not in answer.headers
        for path in ("/videos", "/jobs/x/cancel", "/keys"):
            preflight = await api.client.options(
                path, headers={"origin": PAGE, "access-control-request-method": "POST"}
            )
            assert preflight.status_code == 405
            assert "access-control-allow-origin" not in preflight.headers
        # What a page may send without asking first: no JSON, so no job.
        sneaked = await api.client.post(
            "/videos", content=b'{"prompt": "x"}', headers={"origin": PAGE, "content-type": "text/plain"}
        )
        assert sneaked.status_code == 415
