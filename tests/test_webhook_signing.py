"""Our signatures, verified by the packages that receivers use."""

import base64
import json
import time

import pytest
from openai import InvalidWebhookSignatureError, OpenAI
from standardwebhooks import Webhook, WebhookVerificationError

from models.webhook import EventData, WebhookEvent
from services.webhook_signing import parse_secrets, signed_headers
from tests.receiver import KEY, SECRET

EVENT = WebhookEvent(
    id="evt_1", type="video.completed", created_at=1_700_000_000, data=EventData(id="video_1")
)
BODY = EVENT.model_dump_json().encode()


def test_the_example_of_the_specification() -> None:
    secrets = parse_secrets("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = b'{"test": 2432232314}'
    headers = signed_headers("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body, secrets)
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_standardwebhooks_verifies_it() -> None:
    headers = signed_headers("evt_1", int(time.time()), BODY, [KEY])
    assert Webhook(SECRET).verify(BODY, headers) == json.loads(BODY)


def test_openai_unwraps_it() -> None:
    headers = signed_headers("evt_1", int(time.time()), BODY, [KEY])
    with OpenAI(api_key="none", webhook_secret=SECRET) as client:
        event = client.webhooks.unwrap(BODY, headers)
        assert (event.id, event.object, event.type) == ("evt_1", "event", "video.completed")
        assert event.created_at == 1_700_000_000
        assert event.data.id == "video_1"
        with pytest.raises(InvalidWebhookSignatureError):
            client.webhooks.unwrap(BODY + b" ", headers)


@pytest.mark.parametrize("seconds", [-301, 301])
def test_an_old_or_early_one_is_refused(seconds: int) -> None:
    headers = signed_headers("evt_1", int(time.time()) + seconds, BODY, [KEY])
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(BODY, headers)


def test_while_a_secret_is_replaced_both_sign() -> None:
    other = f"whsec_{base64.b64encode(bytes(24)).decode()}"
    headers = signed_headers("evt_1", int(time.time()), BODY, parse_secrets(f"{other}, {SECRET}"))
    for secret in (SECRET, other):
        Webhook(secret).verify(BODY, headers)
    third = f"whsec_{base64.b64encode(bytes([1] * 24)).decode()}"
    with pytest.raises(WebhookVerificationError):
        Webhook(third).verify(BODY, headers)


@pytest.mark.parametrize(
    "secret",
    ["hunter2", "whsec_", "whsec_AAAA", "whsec_!!!!", SECRET.removeprefix("whsec_"), SECRET + "A" * 48],
)
def test_a_secret_that_cannot_be_is_not_repeated(secret: str) -> None:
    with pytest.raises(ValueError, match=r"entry 2 is not whsec_ and 24 to 64 bytes") as refused:
        parse_secrets(f"{SECRET},{secret}")
    assert "hunter2" not in str(refused.value)


def test_no_secret() -> None:
    assert parse_secrets("") == ()
