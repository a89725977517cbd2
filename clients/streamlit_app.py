"""A page for a demo: ``python -m streamlit run clients/streamlit_app.py``.

It reads ``T2V_URL`` and ``T2V_API_KEY``. The page's address names the clip that it shows.
"""

from contextlib import suppress
from typing import cast

import streamlit as st

from clients.client import Client
from clients.errors import ClientError, Conflict
from clients.records import Job, Model, Options, Quality, Range, Tier, note_of


@st.cache_resource
def open_client() -> Client:
    return Client()


def main() -> None:
    st.set_page_config(page_title="Text to video", page_icon="🎬")
    st.title("Text to video")
    try:
        client = open_client()
        ask(client)
        if job_id := st.query_params.get("job"):
            show(client, job_id)
    except (ClientError, ValueError) as error:
        st.error(str(error))


def ask(client: Client) -> None:
    """The form. What is sent goes into the page's address, so that reloading goes on with it."""
    models = {model.id: model for model in client.models()}
    default = next(place for place, model in enumerate(models.values()) if model.default)
    model = models[st.selectbox("Model", list(models), index=default)]
    tiers = {tier.quality: tier for tier in model.tiers}
    tier = tiers[st.selectbox("Quality", list(tiers))] if tiers else None
    with st.form("clip"):
        prompt = st.text_area("Prompt", placeholder="a red circle moving left", max_chars=4000)
        with st.expander("Advanced"):
            options = choose(model, tier)
        if st.form_submit_button("Generate", type="primary"):
            if prompt.strip():
                st.query_params["job"] = client.create(prompt, **options).id
            else:
                st.warning("Say in the prompt what the clip shows.")
    if not model.commercial_use:
        st.caption(f"{model.id}: {model.licence}, no commercial use.")


def choose(model: Model, tier: Tier | None) -> Options:
    limits, defaults = model.limits, model.defaults
    steps = defaults.num_inference_steps if tier is None else tier.num_inference_steps
    seed = st.number_input("Seed (empty: random)", min_value=0, max_value=2**32 - 1, value=None, step=1)
    return Options(
        model=model.id,
        negative_prompt=st.text_input("Negative prompt", defaults.negative_prompt),
        num_inference_steps=whole("Steps", limits.num_inference_steps, steps),
        quality=None if tier is None else cast(Quality, tier.quality),
        guidance_scale=st.number_input(
            "Guidance",
            min_value=limits.guidance_scale.minimum,
            max_value=limits.guidance_scale.maximum,
            value=defaults.guidance_scale,
            step=0.5,
        ),
        width=whole("Width", limits.width, defaults.width),
        height=whole("Height", limits.height, defaults.height),
        num_frames=whole("Frames", limits.num_frames, defaults.num_frames),
        fps=whole("Frames per second", limits.fps, defaults.fps),
        seed=seed,
    )


def whole(label: str, limit: Range, default: int) -> int:
    least, most = int(limit.minimum), int(limit.maximum)
    return st.number_input(
        label, min_value=least, max_value=most, value=default, step=limit.multiple_of, disabled=least == most
    )


def show(client: Client, job_id: str) -> None:
    """The job's progress, then its clip."""
    job = client.get(job_id)
    if not job.is_final:
        job = watch(client, job)
    st.markdown(f"> {escaped(job.params.prompt)}")
    if job.status == "completed":
        clip = client.read(job.id)
        st.video(clip, loop=True, autoplay=True, muted=True)
        st.download_button("Download", clip, file_name=f"{job.id}.mp4", mime="video/mp4", on_click="ignore")
        st.caption(f"Seed {job.params.seed}")
    elif job.error is not None:
        st.error(f"{job.error.code}: {job.error.message}")
    else:
        st.info("It was cancelled.")


def watch(client: Client, job: Job) -> Job:
    """Pressing the button runs the page anew, which then finds the job cancelled."""
    button, bar, picture = st.empty(), st.progress(0.0), st.empty()
    button.button("Cancel", on_click=cancel, args=(client, job.id))
    for update in client.follow(job.id):
        job = update.job
        text = f"{job.status.replace('_', ' ')} {note_of(job)}"
        bar.progress(min(1.0, job.progress.percent / 100), text)
        if update.preview is not None:
            picture.image(update.preview, width=256)
    for element in (button, bar, picture):
        element.empty()
    return job


def cancel(client: Client, job_id: str) -> None:
    with suppress(Conflict):  # It ended before the button was pressed.
        client.cancel(job_id)


def escaped(text: str) -> str:
    """Text that stays text in Markdown."""
    return "".join(f"\\{letter}" if letter in r"\`*_{}[]()<>#+-.!|~:$" else letter for letter in text)


main()
