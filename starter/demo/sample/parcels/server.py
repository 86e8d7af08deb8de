"""The server: HTTP in, routes behind."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

from parcels.routes import answer


class Handler(BaseHTTPRequestHandler):
    """Answers JSON."""

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        status, body = answer("GET", url.path, dict(parse_qsl(url.query)))
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Stay quiet."""


def serve(port: int) -> None:
    """Serve until interrupted."""
    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        server.serve_forever()
