#!/usr/bin/env python3
"""An SSH client that does what stock ones do not, on top of paramiko.

    ssh_client.py PORT ACTION ARGUMENTS…

    sk KEYFILE              make a FIDO key (software), print its public half,
                            wait for a line on stdin, log in, run `echo sk`
    certificate KEYFILE     log in with KEYFILE-cert.pub, which OpenSSH does
                            not even try where the server does not offer it
    drip KEYFILE APP SECONDS  start a push and send one byte per half second
    stall KEYFILE WORDS…    run a command and never read; print how much of
                            the output came within the window
    silent SECONDS          connect and say nothing; print when it was closed
    banner SECONDS          send only a version line, likewise
    channels KEYFILE N      open N sessions at once; print how many were given
"""
import hashlib
import os
import socket
import struct
import sys
import time

import paramiko
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519


def connect(port, key, user="git"):
    sock = socket.create_connection(("127.0.0.1", port), timeout=20)
    transport = paramiko.Transport(sock)
    transport.start_client(timeout=20)
    transport.auth_publickey(user, key)
    return transport


def load(path):
    return paramiko.Ed25519Key.from_private_key_file(path)


class SkKey(paramiko.PKey):
    """What a FIDO token does, in software."""

    NAME = "sk-ssh-ed25519@openssh.com"
    APPLICATION = b"ssh:"

    public_blob = None  # paramiko asks: no certificate

    def __init__(self):
        self.private = ed25519.Ed25519PrivateKey.generate()

    def get_name(self):
        return self.NAME

    def asbytes(self):
        public = self.private.public_key().public_bytes(
            serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        m = paramiko.Message()
        m.add_string(self.NAME)
        m.add_string(public)
        m.add_string(self.APPLICATION)
        return m.asbytes()

    def can_sign(self):
        return True

    def sign_ssh_data(self, data, algorithm=None):
        flags, counter = 1, 7
        signed = (hashlib.sha256(self.APPLICATION).digest() +
                  struct.pack(">BI", flags, counter) +
                  hashlib.sha256(data).digest())
        m = paramiko.Message()
        m.add_string(self.NAME)
        m.add_string(self.private.sign(signed))
        m.add_byte(bytes([flags]))
        m.add_int(counter)
        return m


def run(transport, line):
    channel = transport.open_session()
    channel.exec_command(line)
    out = b""
    while True:
        part = channel.recv(65536)
        if not part:
            break
        out += part
    return channel.recv_exit_status(), out


def act_sk(port):
    key = SkKey()
    print(key.get_name(), key.get_base64(), flush=True)
    sys.stdin.readline()
    status, out = run(connect(port, key), "echo sk")
    sys.stdout.buffer.write(out)
    return status


def act_certificate(port, path):
    key = load(path)
    key.load_certificate(path + "-cert.pub")
    try:
        connect(port, key)
    except paramiko.AuthenticationException:
        print("refused")
        return 0
    return 1


def act_drip(port, path, app, seconds):
    channel = connect(port, load(path)).open_session()
    channel.exec_command("git-receive-pack '%s'" % app)
    began = time.time()
    while time.time() - began < float(seconds):
        try:
            channel.send(b"1")
        except OSError:
            break
        if channel.exit_status_ready():
            break
        time.sleep(0.5)
    print("ended %d" % channel.exit_status_ready())
    while channel.recv_stderr_ready():
        sys.stdout.buffer.write(channel.recv_stderr(65536))
    return 0


def act_stall(port, path, *words):
    channel = connect(port, load(path)).open_session(window_size=1 << 20)
    channel.exec_command(" ".join(words))
    time.sleep(3)
    print(len(channel.in_buffer))
    sys.stdout.flush()
    sys.stdin.readline()
    return 0


def wait_closed(sock, seconds):
    began = time.time()
    sock.settimeout(float(seconds))
    try:
        while sock.recv(4096):
            pass
        print("closed %.1f" % (time.time() - began))
    except (TimeoutError, socket.timeout):
        print("open")
    except ConnectionResetError:
        print("closed %.1f" % (time.time() - began))
    return 0


def act_silent(port, seconds):
    return wait_closed(socket.create_connection(("127.0.0.1", port)), seconds)


def act_banner(port, seconds):
    sock = socket.create_connection(("127.0.0.1", port))
    sock.sendall(b"SSH-2.0-drip\r\n")
    return wait_closed(sock, seconds)


def act_channels(port, path, count):
    transport = connect(port, load(path))
    given = []
    for _ in range(int(count)):
        try:
            given.append(transport.open_session(timeout=5))
        except paramiko.SSHException:
            pass
    print(len(given))
    return 0


def main():
    port, action = int(sys.argv[1]), sys.argv[2]
    code = globals()["act_" + action](port, *sys.argv[3:])
    sys.stdout.flush()
    # paramiko's threads may hang about.
    os._exit(code)


main()
