"""A small service with every fault that a test asks for: `program.py PORT [FAULT=VALUE ...]`."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

FAULTS = dict(word.partition("=")[::2] for word in sys.argv[2:])


class Answer(BaseHTTPRequestHandler):
    """Answers with its process number and what it was told to say."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        sick = "sick" in FAULTS and Path(FAULTS["sick"]).exists()
        if sick and Path(FAULTS["sick"]).read_text() == "hang":
            threading.Event().wait()
        body = f"{os.getpid()} {FAULTS.get('say', '')}".encode()
        self.send_response(500 if sick else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def grow() -> None:
    held = []
    while sum(map(len, held)) < 200_000_000:
        held.append(bytearray(5_000_000))
        time.sleep(0.01)
    threading.Event().wait()


def chatter() -> None:
    for number in range(int(FAULTS["chatter"])):
        print(f"line {number:06d} {'x' * 1_000}", flush=True)


def leave_children() -> None:
    """One in our group, one in a session of its own, one orphaned in a session of its own."""
    sleep = [sys.executable, "-c", "import time; time.sleep(600)", FAULTS["children"]]
    subprocess.Popen(sleep)
    subprocess.Popen(sleep, start_new_session=True)
    subprocess.run(["/bin/sh", "-c", '"$@" &', "sh", *sleep], start_new_session=True, check=True)


def main() -> None:
    if "starts" in FAULTS:
        with Path(FAULTS["starts"]).open("a") as file:
            file.write(f"{os.getpid()} {os.environ['PORT']}\n")
    if "deaf" in FAULTS:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    else:
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    if "exit" in FAULTS:
        print("the last words", flush=True)
        sys.exit(int(FAULTS["exit"]))
    if "children" in FAULTS:
        leave_children()
    if "silent" in FAULTS:
        with socket.create_server(("127.0.0.1", int(sys.argv[1]))):
            threading.Event().wait()
    for name, work in (("leak", grow), ("chatter", chatter)):
        if name in FAULTS:
            threading.Thread(target=work, daemon=True).start()
    port = int(FAULTS.get("port", sys.argv[1]))
    Server(("127.0.0.1", port), Answer).serve_forever()


if __name__ == "__main__":
    main()
