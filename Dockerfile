# The service with everything it needs; the CUDA libraries come with torch, the driver with the NVIDIA runtime.
FROM python:3.11-slim

RUN useradd --create-home --uid 10001 service
WORKDIR /srv/text-to-video

# Every package by its hash: what is built is what was locked (make lock).
COPY requirements.lock .
RUN pip install --no-cache-dir --require-hashes -r requirements.lock

COPY app app
COPY authentication.py .
COPY checkpoints checkpoints
COPY models models
COPY routers routers
COPY services services

# Clips, the embedded database and downloaded checkpoints live in the volume; the rest can be read-only.
ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    T2V_HOST=0.0.0.0 \
    T2V_DATA_DIR=/data \
    T2V_CHECKPOINT_CACHE=/data/checkpoints
RUN install -d -o service -m 700 /data
VOLUME /data
USER service
EXPOSE 8000

HEALTHCHECK --interval=10s --timeout=3s --start-period=120s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health/live', timeout=2)"]
STOPSIGNAL SIGTERM
CMD ["python", "-m", "app"]
