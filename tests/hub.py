"""A hub on the loopback that speaks as much of huggingface.co's API as a download needs."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "1" * 40
TOKEN = "hf_secret"


class Hub(BaseHTTPRequestHandler):
    """``open/model`` is the folder's content, ``gated/model`` needs the token, nothing else is there."""

    folder: Path

    def do_GET(self):
        path = self.path.partition("?")[0].removeprefix("/api/models")
        if path.startswith("/gated/model") and self.headers["Authorization"] != f"Bearer {TOKEN}":
            self.answer(403, b"", {"X-Error-Code": "GatedRepo"})
        elif not path.startswith(("/open/model", "/gated/model")):
            self.answer(401, b"", {"X-Error-Code": "RepoNotFound"})
        elif "/resolve/" in path:
            content = (self.folder / path.partition(f"/resolve/{COMMIT}/")[2]).read_bytes()
            tag = hashlib.sha256(content).hexdigest()
            self.answer(200, content, {"ETag": f'"{tag}"', "X-Repo-Commit": COMMIT})
        elif "/tree/" in path:
            files = [{"type": "file", "path": name, "size": size, "oid": "0"} for name, size in self.files()]
            self.answer(200, json.dumps(files).encode())
        else:
            files = [{"rfilename": name} for name, _ in self.files()]
            about = {"id": path.strip("/"), "sha": COMMIT, "siblings": files}
            self.answer(200, json.dumps(about).encode())

    do_HEAD = do_GET

    def answer(self, status, content, headers=None):
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def files(self):
        paths = (path for path in self.folder.rglob("*") if path.is_file())
        return [(str(path.relative_to(self.folder)), path.stat().st_size) for path in paths]

    def log_message(self, *args):
        """Say nothing."""


@contextmanager
def serve_hub(folder: Path) -> Iterator[str]:
    """The address of a hub that has the checkpoint in ``folder``."""
    handler = type("Hub", (Hub,), {"folder": folder})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
