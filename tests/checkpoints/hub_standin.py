"""A small hub on this machine, which can be told to misbehave.

It answers what the real one answers: a page's facts at /api/models/REPO, and files at
/REPO/resolve/REVISION/NAME, which it sends from another address (a redirect), in part if asked to.
"""

import hashlib
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "c" * 40


def git_hash(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class Hub:
    """Files by page, and what goes wrong.

    Attributes:
        pages: Page -> file name -> bytes. Names that end in .json are small texts, all others LFS.
        faults: Part of a path -> a list of what goes wrong at the next requests, one each; the last
            one stays if it is "always".
        requests: (method, path, headers) of every request.
    """

    def __init__(self, pages):
        self.pages = pages
        self.faults = {}
        self.requests = []
        self.endpoint = ""
        self.released = threading.Event()

    def fault(self, path):
        for part, faults in self.faults.items():
            if part in path and faults:
                return faults[0] if len(faults) > 1 and faults[1] == "always" else faults.pop(0)
        return None

    def asked(self, part):
        return [headers for _, path, headers in self.requests if part in path]

    def page(self, repo):
        siblings = []
        for name, data in self.pages[repo].items():
            entry = {"rfilename": name, "size": len(data), "blobId": git_hash(data)}
            if not name.endswith(".json"):
                sha = hashlib.sha256(data).hexdigest()
                entry["lfs"] = {"sha256": sha, "size": len(data), "pointerSize": 130}
            siblings.append(entry)
        card = {"license": "apache-2.0"}
        facts = {"sha": COMMIT, "siblings": siblings, "cardData": card, "tags": []}
        return json.dumps({"id": repo, "modelId": repo, **facts}).encode()


@contextmanager
def running(pages):
    hub = Hub(pages)
    handler = type("Handler", (_Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    hub.endpoint = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        hub.released.set()
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub = None

    def log_message(self, *args):
        pass

    def do_GET(self):
        path = self.path.partition("?")[0]
        self.hub.requests.append((self.command, path, dict(self.headers)))
        fault = self.hub.fault(path)
        if isinstance(fault, int):
            return self.say(fault, b"no", {})
        if not any(repo in path for repo in self.hub.pages):
            return self.say(404, b"no", {})  # the client asks for more than we do
        if path.startswith("/api/models/"):
            return self.say(200, self.hub.page(path.removeprefix("/api/models/")))
        if fault == "loop":
            return self.say(302, b"", {"Location": self.path})
        if "/resolve/" in path and not path.startswith("/bytes"):
            port = self.server.server_port
            return self.say(302, b"", {"Location": f"http://localhost:{port}/bytes{self.path}"})
        repo, _, rest = path.removeprefix("/bytes/").partition("/resolve/")
        return self.send_file(self.hub.pages[repo][rest.partition("/")[2]], fault)

    def say(self, status, body, headers=None):
        self.send_response(status)
        kind = {"Content-Type": "application/json"} if headers is None else headers
        for name, value in {"Content-Length": str(len(body)), **kind}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def send_file(self, data, fault):
        asked = self.headers.get("Range")
        start = 0 if asked is None or fault == "no ranges" else int(asked[6:].rstrip("-"))
        if fault == "page":
            return self.say(200, b"<!DOCTYPE html><html>sign in", {"Content-Type": "text/html"})
        if fault == "page as bytes":
            data = b"<!DOCTYPE html>".ljust(len(data), b" ")
        if fault == "wrong bytes":
            data = bytes(byte ^ 1 for byte in data)
        if fault == "wrong size":
            data = data + b"more"
        body = data[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        if fault == "truncated":  # no length: the end of the connection is the end of the file
            self.send_header("Connection", "close")
            body = body[: len(body) // 2]
        else:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if fault in ("drop", "stall"):
            self.wfile.write(body[: len(body) // 2])
            self.wfile.flush()
            if fault == "stall":
                self.hub.released.wait(30)
            self.close_connection = True
            return None
        self.wfile.write(body)
        self.close_connection = fault == "truncated"
        return None
