"""The service that every driver deploys in its tests: says its version, and fails if told to."""

import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

FOLDER = Path(__file__).parent
VERSION = (FOLDER / "VERSION").read_text().strip()
GO = threading.Event()


class Answer(BaseHTTPRequestHandler):
    """`/` says version and digest of the build, `/bad` is a 500, `/slow` waits for `/go`."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/go":
            GO.set()
        if self.path == "/slow":
            GO.wait(30)
        body = f"{VERSION} {os.environ.get('COLOUR', '')}".encode()
        self.send_response(500 if self.path == "/bad" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


if __name__ == "__main__":
    if VERSION == "broken":
        sys.exit("this version is broken")
    if VERSION == "never":
        threading.Event().wait()
    Server(("127.0.0.1", int(sys.argv[1])), Answer).serve_forever()
