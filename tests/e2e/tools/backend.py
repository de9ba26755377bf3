#!/usr/bin/python3
"""backend.py NAME IP PORT - an HTTP/1.1 server to route to.

Every answer's body is "NAME host=… proto=… for=…".  "/slow?MS" waits first; a request
with "Upgrade: echo" is answered with 101 and then echoed line by line, each
line with NAME in front.
"""
import socketserver
import sys
import time

NAME, IP, PORT = sys.argv[1], sys.argv[2], int(sys.argv[3])


class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        while self.one():
            pass

    def one(self):
        line = self.rfile.readline(65536).decode("latin-1")
        if not line:
            return False
        path = line.split(" ")[1]
        headers = {}
        while True:
            header = self.rfile.readline(65536).decode("latin-1").strip()
            if not header:
                break
            key, _, value = header.partition(":")
            headers[key.lower()] = value.strip()
        self.rfile.read(int(headers.get("content-length", "0")))
        if path.startswith("/slow?"):
            time.sleep(int(path[len("/slow?"):]) / 1000)
        if headers.get("upgrade") == "echo":
            return self.echo()
        body = "%s host=%s proto=%s for=%s\n" % (
            NAME, headers.get("host"), headers.get("x-forwarded-proto"),
            headers.get("x-forwarded-for"))
        self.wfile.write(
            ("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s"
             % (len(body), body)).encode("latin-1"))
        return headers.get("connection") != "close"

    def echo(self):
        self.wfile.write(b"HTTP/1.1 101 Switching Protocols\r\n"
                         b"Connection: Upgrade\r\nUpgrade: echo\r\n\r\n")
        for line in self.rfile:
            self.wfile.write(NAME.encode() + b" " + line)
        return False


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 1024

    def handle_error(self, request, client_address):
        pass  # a connection was cut: the other side tells


Server((IP, PORT), Handler).serve_forever()
