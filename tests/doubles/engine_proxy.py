#!/usr/bin/env python3
"""Stands between a client and a real Docker Engine, and misbehaves.

  engine_proxy.py LISTEN-SOCKET ENGINE-SOCKET MODE [LOG]

MODE is one of
  pass           relay everything
  hang           accept, never answer
  garbage        answer what is no HTTP
  stranger       answer HTTP, but not as an engine
  no-buildkit    refuse POST /build?version=2
  no-session     answer 404 to POST /session
  cut-session    close each session after it was opened
  cut-build      cut the reply of POST /build after its first bytes
  odd-build      put lines that are no JSON into the reply of POST /build
  endless-build  one endless line as the reply of POST /build
LOG gets the first line of each connection's first request.
"""
import os
import socket
import sys
import threading
import time

LISTEN, ENGINE, MODE = sys.argv[1:4]
LOG = sys.argv[4] if len(sys.argv) > 4 else None
CUT_AFTER = 600
ENDLESS = 16 * 1024 * 1024


def head_of(client):
    data = b""
    while b"\r\n\r\n" not in data:
        more = client.recv(65536)
        if not more:
            return data
        data += more
    return data


def reply(client, status, body):
    client.sendall(b"HTTP/1.1 %s\r\nContent-Type: application/json\r\n"
                   b"Content-Length: %d\r\nConnection: close\r\n\r\n%s"
                   % (status, len(body), body))


def pump(source, target, limit=None):
    """Relay until the end or the limit; end the target's side too."""
    left = limit
    try:
        while left is None or left > 0:
            data = source.recv(65536 if left is None else min(left, 65536))
            if not data:
                break
            target.sendall(data)
            if left is not None:
                left -= len(data)
    except OSError:
        pass
    for s in (source, target):
        try:
            s.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def relay(client, head, limit=None):
    engine = socket.socket(socket.AF_UNIX)
    engine.connect(ENGINE)
    engine.sendall(head)
    up = threading.Thread(target=pump, args=(client, engine), daemon=True)
    up.start()
    pump(engine, client, limit)
    up.join()
    engine.close()


def swallow(client):
    """Take the request's body, as a server would."""
    client.settimeout(0.5)
    try:
        while client.recv(65536):
            pass
    except OSError:
        pass
    client.settimeout(None)


def strange_build(client):
    swallow(client)
    client.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                   b"Connection: close\r\n\r\n")
    if MODE == "odd-build":
        client.sendall(b'nonsense\r\n{"id":"moby.buildkit.trace","aux":"!!"}'
                       b'\r\n[]\r\n{"aux":{"ID":"sha256:odd"}}\r\n')
        return
    client.sendall(b'{"stream":"')
    for _ in range(ENDLESS // 65536):
        client.sendall(b"x" * 65536)
    client.sendall(b'"}\r\n{"errorDetail":{"message":"at last"}}\r\n')


def serve(client):
    if MODE == "hang":
        time.sleep(600)
    if MODE == "garbage":
        client.sendall(b"220 mail.example.com ESMTP\r\n")
        return
    head = head_of(client)
    line = head.split(b"\r\n", 1)[0]
    if LOG:
        with open(LOG, "ab") as f:
            f.write(line + b"\n")
    is_build = line.startswith(b"POST ") and b"/build?" in line
    is_session = line.startswith(b"POST ") and b"/session " in line
    if MODE == "stranger":
        reply(client, b"200 OK", b"hello")
    elif MODE == "no-buildkit" and is_build and b"version=2" in line:
        reply(client, b"400 Bad Request",
              b'{"message":"buildkit is not supported by daemon"}')
        swallow(client)
    elif MODE == "no-session" and is_session:
        reply(client, b"404 Not Found", b'{"message":"page not found"}')
    elif MODE == "cut-session" and is_session:
        relay(client, head, 200)
    elif MODE == "cut-build" and is_build:
        relay(client, head, CUT_AFTER)
    elif MODE in ("odd-build", "endless-build") and is_build:
        strange_build(client)
    else:
        relay(client, head)


def handle(client):
    try:
        serve(client)
    except OSError:
        pass
    finally:
        client.close()


def main():
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(LISTEN + ".new")
    listener.listen(64)
    os.rename(LISTEN + ".new", LISTEN)  # there = ready
    while True:
        client, _ = listener.accept()
        threading.Thread(target=handle, args=(client,), daemon=True).start()


main()
