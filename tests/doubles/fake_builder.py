#!/usr/bin/env python3
"""A stand-in for slipway-builder on the control socket (docs/PROTOCOL.md).

It shares no code with what it tests.  Control files in its folder change how
it behaves from the next request on:

    keys            lines "type base64 NAME": who may log in
    delay-WHAT      seconds to wait before answering whois, authorize, command
    drop-WHAT       close the connection instead of answering
    deny-APP        authorize answers "notfound" for APP

requests.log gets one JSON line per message received.
"""
import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time


def log(folder, message):
    with open(os.path.join(folder, "requests.log"), "a") as f:
        f.write(json.dumps(message) + "\n")


def read_exact(conn, count):
    data = b""
    while len(data) < count:
        part = conn.recv(count - len(data))
        if not part:
            return None
        data += part
    return data


def read_frame(conn):
    head = read_exact(conn, 5)
    if head is None:
        return None, None
    length, kind = struct.unpack(">IB", head)
    return kind, read_exact(conn, length - 1) if length > 1 else b""


def send_frame(conn, kind, data):
    conn.sendall(struct.pack(">IB", len(data) + 1, kind) + data)


def send(conn, message):
    send_frame(conn, 0, json.dumps(message).encode())


def whois(folder, message):
    with open(os.path.join(folder, "keys")) as f:
        for line in f:
            words = line.split()
            if len(words) >= 3 and " ".join(words[:2]) == message["key"]:
                return {"type": "user", "user": words[2], "admin": False}
    return {"type": "error", "code": "notfound", "message": "unknown key"}


def authorize(folder, message):
    app = message["app"]
    if os.path.exists(os.path.join(folder, "deny-" + app)):
        return {"type": "error", "code": "notfound",
                "message": "app '%s' not found; see apps:list" % app}
    git_dir = os.path.join(folder, "data", "repos", app + ".git")
    created = not os.path.exists(git_dir)
    if created and message["action"] != "push":
        return {"type": "error", "code": "notfound",
                "message": "app '%s' not found; see apps:list" % app}
    if created:
        subprocess.run(["git", "init", "-q", "--bare", "--template=",
                        "--initial-branch=main", git_dir], check=True)
    return {"type": "authorized", "app": app, "git_dir": git_dir,
            "created": created}


def command(conn, message):
    """echo WORDS… | cat | fill BYTES | tail | fail STATUS | vanish"""
    argv = message["argv"]
    status = 0
    if argv[0] == "cat":
        while True:
            kind, data = read_frame(conn)
            if kind is None or not data:
                break
            send_frame(conn, 1, data)
    elif argv[0] == "fill":
        left = int(argv[1])
        while left > 0:
            part = min(left, 1 << 20)
            send_frame(conn, 1, b"x" * part)
            left -= part
    elif argv[0] == "tail":
        for i in range(1, 1000):
            send_frame(conn, 1, b"line %d\n" % i)
            time.sleep(0.2)
    elif argv[0] == "fail":
        send_frame(conn, 2, b"it failed\n")
        status = int(argv[1])
    elif argv[0] == "vanish":
        return
    else:
        text = json.dumps({"argv": argv, "user": message.get("user"),
                           "tty": message.get("tty")})
        send_frame(conn, 1, text.encode() + b"\n")
    send(conn, {"type": "exit", "status": status})


def serve(conn, folder):
    try:
        while True:
            kind, data = read_frame(conn)
            if kind != 0:
                return
            message = json.loads(data)
            log(folder, message)
            what = message["type"]
            if os.path.exists(os.path.join(folder, "drop-" + what)):
                return
            delay = os.path.join(folder, "delay-" + what)
            if os.path.exists(delay):
                with open(delay) as f:
                    time.sleep(float(f.read()))
            if what == "whois":
                send(conn, whois(folder, message))
            elif what == "authorize":
                send(conn, authorize(folder, message))
            elif what == "command":
                command(conn, message)
                return
            elif what == "ping":
                send(conn, {"type": "pong", "version": "0"})
            else:
                return
    except (BrokenPipeError, ConnectionResetError):
        pass
    finally:
        conn.close()


def main():
    folder, path = sys.argv[1], sys.argv[2]
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    listener.listen(128)
    while True:
        conn, _ = listener.accept()
        threading.Thread(target=serve, args=(conn, folder),
                         daemon=True).start()


main()
