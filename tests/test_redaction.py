import pytest

from services.redaction import without_paths


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("lacks a file: /srv/models/demo/unet/config.json", "lacks a file: config.json"),
        ("no file model.safetensors in directory /srv/a b.", "no file model.safetensors in directory a b."),
        (
            "'/srv/models/demo' and \"~/cache/hub\", (/tmp/t2v-encode-x/clip.mp4)",
            "'demo' and \"hub\", (clip.mp4)",
        ),
        ("in /srv/models/", "in (a folder)"),
        ("path=/srv/models/x", "path=x"),
        (
            "https://huggingface.co/damo-vilab/text-to-video-ms-1.7b",
            "https://huggingface.co/damo-vilab/text-to-video-ms-1.7b",
        ),
        ("damo-vilab/text-to-video-ms-1.7b is gated", "damo-vilab/text-to-video-ms-1.7b is gated"),
        ("64×64 at 1/2 speed, a/b, /jobs", "64×64 at 1/2 speed, a/b, /jobs"),
        ("", ""),
    ],
)
def test_paths_shrink_to_their_last_part(text: str, shown: str) -> None:
    assert without_paths(text) == shown
