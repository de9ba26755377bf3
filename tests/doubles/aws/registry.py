"""The data plane of ECR: Debian's docker-registry behind a proxy.

The proxy checks the token, knows the repositories, keeps tags immutable and
records what was pushed; the child keeps bytes and checks digests.  A tag is
resolved by ECR's own table, so that a deleted image is gone at once.
Errors are those that docker shows of ECR: "name unknown: …", "denied: …".
"""
import base64
import binascii
import hashlib
import http.client
import json
import os
import re
import socket
import subprocess
import time

import web

PATH = re.compile(r"/v2/([a-z0-9][a-z0-9._/-]*?)/(manifests|blobs|tags)/(.*)")
CHUNK = 256 * 1024
# Manifests are kept in memory; the registry's own limit is the same.
MAX_MANIFEST = 4 * 1024 * 1024
HOP = {"connection", "transfer-encoding", "content-length", "authorization",
       "host", "keep-alive", "te", "upgrade", "date", "expect"}

EXPIRED = (403, "DENIED", "Your authorization token has expired. "
           "Reauthenticate and try again.")
CONFIG = """\
version: 0.1
log:
  level: warn
storage:
  filesystem:
    rootdirectory: {folder}/data
http:
  addr: 127.0.0.1:{port}
  relativeurls: true
"""


class Registry:
    def __init__(self, world, ecr, folder):
        self.world = world
        self.ecr = ecr
        self.folder = folder
        self.child = None
        self.server = None

    def start(self):
        """Both parts; the address that clients use."""
        os.makedirs(self.folder, exist_ok=True)
        for _ in range(5):  # another program may take the port first
            if self.start_child():
                break
        else:
            raise RuntimeError("docker-registry does not start, see "
                               f"{self.folder}/log")
        self.server = web.Server(self.world, RegistryHandler)
        self.server.registry = self
        self.server.begin()
        return self.server.address

    def start_child(self):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        config = os.path.join(self.folder, "config.yml")
        with open(config, "w", encoding="utf-8") as f:
            f.write(CONFIG.format(folder=self.folder, port=self.port))
        with open(os.path.join(self.folder, "log"), "ab") as log:
            # Not to outlive this process, however that ends.
            self.child = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL",
                 "docker-registry", "serve", config],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, "OTEL_TRACES_EXPORTER": "none"})
        for _ in range(200):
            if self.child.poll() is not None:
                return False
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return True
            except OSError:
                time.sleep(0.05)
        self.stop_child()
        return False

    def stop_child(self):
        self.child.terminate()
        try:
            self.child.wait(10)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()

    def stop(self):
        if self.server:
            self.server.end()
        if self.child:
            self.stop_child()


class Refused(Exception):
    """An answer of ECR in the registry's form."""

    def __init__(self, status, code, message):
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class RegistryHandler(web.Handler):
    timeout = 600

    def answer(self):
        note = {"method": self.command, "path": self.path.split("?")[0]}
        try:
            self.serve(note)
        except Refused as e:
            # What was not read of the body would be taken for a request.
            self.close_connection = True
            note["status"] = e.status
            note["error"] = e.message
            self.refuse(e)
        finally:
            self.world.journal.note("registry", **note)

    def serve(self, note):
        self.authorize()
        if self.path in ("/v2/", "/v2"):
            note["status"] = 200
            self.reply(200, b"{}", "application/json",
                       [("Docker-Distribution-Api-Version", "registry/2.0")])
            return
        path = self.path.split("?")[0]
        match = PATH.fullmatch(path)
        if not match or self.command == "DELETE":
            raise Refused(405, "UNSUPPORTED", "The operation is unsupported.")
        name, kind, rest = match.groups()
        self.faults(name, kind, note)
        repository = self.repository(name)
        if kind == "tags":
            raise Refused(405, "UNSUPPORTED", "The operation is unsupported.")
        if kind == "manifests" and self.command == "PUT":
            note["status"] = self.put_manifest(repository, rest)
        elif kind == "manifests":
            note["status"] = self.get_manifest(repository, rest)
        else:
            note["status"] = self.relay()

    def refuse(self, e):
        headers = [("Docker-Distribution-Api-Version", "registry/2.0")]
        if e.status == 401:
            headers.append(("WWW-Authenticate", 'Basic realm="http://'
                            f'{self.server.address}/",service='
                            '"ecr.amazonaws.com"'))
        body = {"errors": [{"code": e.code, "message": e.message}]}
        self.reply(e.status, json.dumps(body).encode(), "application/json",
                   headers)

    def authorize(self):
        header = self.headers.get("Authorization", "")
        if not header.startswith("Basic "):
            raise Refused(401, "UNAUTHORIZED", "Not Authorized")
        try:
            user, _, password = base64.b64decode(
                header[6:], validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            raise Refused(401, "UNAUTHORIZED", "Not Authorized") from None
        state = self.server.registry.ecr.token_state(password)
        if user != "AWS" or state == "unknown":
            raise Refused(401, "UNAUTHORIZED", "Not Authorized")
        if state == "expired":
            raise Refused(*EXPIRED)

    def faults(self, name, kind, note):
        operation = f"{self.command} {kind}"
        fault = self.world.faults.of_request("registry", operation)
        if fault is None:
            return
        note["fault"] = fault["kind"]
        if fault["kind"] == "delay":
            self.world.stopping.wait(fault.get("seconds", 1))
        elif fault["kind"] == "reset":
            self.reset()
            raise ConnectionResetError
        elif fault["kind"].startswith("http-"):
            raise Refused(int(fault["kind"][5:]), "UNKNOWN", "unavailable")
        elif fault["kind"] == "throttle":
            raise Refused(429, "TOOMANYREQUESTS", "Rate exceeded")
        elif fault["kind"] == "expired-token":
            raise Refused(*EXPIRED)
        elif fault["kind"] == "access-denied":
            action = "ecr:PutImage" if self.command == "PUT" else \
                "ecr:BatchGetImage"
            raise Refused(403, "DENIED", "User: arn:aws:iam::"
                          f"{self.world.account}:user/slipway is not "
                          f"authorized to perform: {action} on resource: "
                          f"{self.world.arn('ecr', 'repository/' + name)}")

    def repository(self, name):
        found = self.server.registry.ecr.repositories.get(name)
        if found is None:
            raise Refused(404, "NAME_UNKNOWN", "The repository with name "
                          f"'{name}' does not exist in the registry with id "
                          f"'{self.world.account}'")
        return found

    # ---- manifests ----

    def put_manifest(self, repository, reference):
        ecr = self.server.registry.ecr
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > MAX_MANIFEST:
            raise Refused(400, "SIZE_INVALID", "manifest too large")
        manifest = self.rfile.read(int(length))
        digest = "sha256:" + hashlib.sha256(manifest).hexdigest()
        tag = None if reference.startswith("sha256:") else reference
        if tag is not None:
            with ecr.lock:
                problem = ecr.tag_problem(repository, tag, digest)
            if problem:
                raise Refused(400, "TAG_INVALID", problem)
        status = self.relay(body=manifest)
        if status == 201:
            ecr.record(repository, tag, digest, manifest,
                       self.headers.get("Content-Type"))
        return status

    def get_manifest(self, repository, reference):
        ecr = self.server.registry.ecr
        with ecr.lock:
            digest = repository.tags.get(reference, reference)
            there = digest in repository.images
        if not there:
            raise Refused(404, "MANIFEST_UNKNOWN", "Requested image not found")
        return self.relay(path=f"/v2/{repository.name}/manifests/{digest}")

    # ---- to the child and back ----

    def relay(self, path=None, body=None):
        """Pass the request on, stream both bodies; the status."""
        child = http.client.HTTPConnection(
            "127.0.0.1", self.server.registry.port, timeout=300)
        try:
            child.putrequest(self.command, path or self.path,
                             skip_host=True, skip_accept_encoding=True)
            child.putheader("Host", self.server.address)
            for name, value in self.headers.items():
                if name.lower() not in HOP:
                    child.putheader(name, value)
            self.send_body(child, body)
            return self.return_reply(child.getresponse())
        finally:
            child.close()

    def send_body(self, child, body):
        length = self.headers.get("Content-Length")
        chunked = "chunked" in self.headers.get("Transfer-Encoding", "")
        if chunked:
            child.putheader("Transfer-Encoding", "chunked")
        elif length is not None:
            child.putheader("Content-Length", length)
        child.endheaders()
        if body is not None:
            child.send(body)
        elif chunked:
            for data in self.chunks():
                child.send(b"%x\r\n%s\r\n" % (len(data), data))
            child.send(b"0\r\n\r\n")
        else:
            left = int(length or 0)
            while left:
                data = self.rfile.read(min(left, CHUNK))
                if not data:
                    raise ConnectionResetError
                left -= len(data)
                child.send(data)

    def chunks(self):
        """The pieces of a chunked body."""
        while True:
            size = int(self.rfile.readline(100).split(b";")[0], 16)
            if size == 0:
                while self.rfile.readline(8192) not in (b"\r\n", b""):
                    pass
                return
            while size:
                data = self.rfile.read(min(size, CHUNK))
                if not data:
                    raise ConnectionResetError
                size -= len(data)
                yield data
            self.rfile.readline(4)

    def return_reply(self, reply):
        lines = [f"HTTP/1.1 {reply.status} {reply.reason}",
                 f"Date: {self.date_header()}"]
        lines += [f"{name}: {value}" for name, value in reply.getheaders()
                  if name.lower() not in HOP]
        length = reply.getheader("Content-Length")
        if length is None and self.command != "HEAD" and \
                reply.status not in (204, 304):
            self.close_connection = True
            lines.append("Connection: close")
        elif length is not None:
            lines.append(f"Content-Length: {length}")
        self.wfile.write("\r\n".join(lines + ["", ""]).encode("latin-1"))
        while self.command != "HEAD":
            data = reply.read(CHUNK)
            if not data:
                break
            self.wfile.write(data)
        return reply.status
