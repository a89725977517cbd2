"""Webhooks of the whole service, in a process of its own that is killed; its clips are scripted."""

from pathlib import Path

from tests.receiver import SECRET, receiver
from tests.running_service import SCRIPTED_SERVICE, free_port, running_service


def test_what_was_pending_at_a_kill_arrives_after_the_restart(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}/hook?token=hidden"
    settings = {"T2V_WEBHOOK_SECRET": SECRET, "T2V_WEBHOOK_ALLOW_PRIVATE": "true"}
    with running_service(tmp_path / "data", settings, module=SCRIPTED_SERVICE) as service:
        job = service.create(webhook_url=url)
        service.wait_for(job["id"], "completed")

        def deliveries() -> list[dict[str, object]]:
            found: list[dict[str, object]] = service.client.get(f"/jobs/{job['id']}/deliveries").json()[
                "data"
            ]
            return found

        def has_failed() -> bool:
            return any(delivery["attempts"] for delivery in deliveries())

        service.wait_until(has_failed, 60, "no attempt was made while nobody listened")
        assert deliveries()[0]["status"] == "pending"
        service.kill()
        with receiver(port=port) as hook:
            service.start()
            service.wait_until(lambda: bool(hook.requests), 120, "the webhook did not arrive")
            service.wait_until(lambda: deliveries()[0]["status"] == "delivered", 60, "it was not recorded")
            assert {event["data"]["id"] for event in hook.events} == {job["id"]}
            assert {event["type"] for event in hook.events} == {"video.completed"}
            assert not hook.refused
        assert service.stop() == 0, service.output
        for hidden in (SECRET, "hidden", "Traceback"):
            assert hidden not in service.output


def test_ends_before_and_after_a_kill_are_all_told(tmp_path: Path) -> None:
    settings = {"T2V_WEBHOOK_SECRET": SECRET, "T2V_WEBHOOK_ALLOW_PRIVATE": "127.0.0.1"}
    with receiver() as hook, running_service(tmp_path / "data", settings, module=SCRIPTED_SERVICE) as service:
        go_on = tmp_path / "go-on"
        running = service.create(prompt=f"wait {go_on}", webhook_url=hook.url)
        waiting = [service.create(webhook_url=hook.url) for _ in range(3)]
        service.wait_for_step(running["id"], 1)
        for job in waiting:
            assert service.client.post(f"/jobs/{job['id']}/cancel").status_code == 200
        service.kill()
        service.start()
        go_on.touch()
        service.wait_for(running["id"], "completed")
        expected = {running["id"], *(job["id"] for job in waiting)}
        service.wait_until(
            lambda: {event["data"]["id"] for event in hook.events} == expected, 120, "not all were told"
        )
        assert not hook.refused
