"""A threaded HTTP/1.1 server on loopback and its handler, for all parts."""
import email.utils
import http.server
import json
import socket
import struct
import sys
import threading

MAX_BODY = 8 * 1024 * 1024


class Handler(http.server.BaseHTTPRequestHandler):
    """Subclasses write answer(), called for every method."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 120

    @property
    def world(self):
        return self.server.world

    def answer(self):
        raise NotImplementedError

    def __getattr__(self, name):
        if name.startswith("do_"):
            return self.guarded
        raise AttributeError(name)

    def guarded(self):
        try:
            self.answer()
        except (BrokenPipeError, ConnectionResetError, socket.timeout):
            self.close_connection = True

    def log_message(self, format, *args):
        pass

    def body(self):
        """The whole body; None when it is too long or has no length."""
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not length.isdigit() \
                or int(length) > MAX_BODY:
            self.close_connection = True
            return None
        return self.rfile.read(int(length))

    def date_header(self):
        return email.utils.formatdate(self.world.clock.server_now(),
                                      usegmt=True)

    def reply(self, status, body, content_type, headers=(), limit=None):
        """One write; `limit` cuts the body short and ends the connection."""
        reason = http.server.BaseHTTPRequestHandler.responses.get(
            status, ("Status",))[0]
        lines = [f"HTTP/1.1 {status} {reason}", f"Date: {self.date_header()}",
                 f"Content-Length: {len(body)}"]
        if content_type:
            lines.append(f"Content-Type: {content_type}")
        lines += [f"{name}: {value}" for name, value in headers]
        if self.close_connection or limit is not None:
            self.close_connection = True
            lines.append("Connection: close")
        if self.command == "HEAD":
            body = b""
        head = "\r\n".join(lines + ["", ""]).encode("latin-1", "replace")
        self.wfile.write(head + (body if limit is None else body[:limit]))

    def reply_json(self, status, value):
        self.reply(status, json.dumps(value).encode(), "application/json")

    def reset(self):
        """End the connection with RST instead of FIN."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                   struct.pack("ii", 1, 0))
        self.connection.close()


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, world, handler, port=0):
        self.world = world
        self.thread = None
        super().__init__(("127.0.0.1", port), handler)
        self.address = f"127.0.0.1:{self.server_address[1]}"

    def begin(self):
        self.thread = threading.Thread(target=self.serve_forever,
                                       args=(0.05,), daemon=True)
        self.thread.start()

    def end(self):
        if self.thread:
            self.shutdown()  # waits for ever for what never began
        self.server_close()

    def handle_error(self, request, client_address):
        """A client that went away is no news; the rest is told."""
        if not isinstance(sys.exc_info()[1], (OSError, ValueError)):
            super().handle_error(request, client_address)
