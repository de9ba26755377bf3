"""A small client of the Docker Engine's API over its Unix socket.

One connection a call, so it may be used from any thread.  Failures are
DockerError with the engine's status and words.
"""
import datetime
import http.client
import json
import socket
import struct
import time
import urllib.parse

API = "/v1.41"
LINE_MAX = 256 * 1024       # CloudWatch Logs' limit of one event


socket_path = "/var/run/docker.sock"


def use(engine):
    """Talk to the engine at "unix:///…" from now on."""
    global socket_path
    if not engine.startswith("unix://"):
        raise ValueError(f"not a Unix socket: {engine}")
    socket_path = engine[len("unix://"):]


class DockerError(Exception):
    def __init__(self, status, message):
        super().__init__(message)
        self.status = status
        self.message = message


class Connection(http.client.HTTPConnection):
    def __init__(self, timeout):
        super().__init__("engine", timeout=timeout)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(socket_path)


def message_of(data):
    try:
        return json.loads(data)["message"]
    except (ValueError, KeyError, TypeError):
        return data.decode("utf-8", "replace")[:500]


def open_reply(method, path, body, headers, timeout):
    connection = Connection(timeout)
    headers = dict(headers or {})
    data = None
    if body is not None:
        data = json.dumps(body)
        headers["Content-Type"] = "application/json"
    try:
        connection.request(method, API + path, data, headers)
        reply = connection.getresponse()
    except (OSError, http.client.HTTPException) as e:
        connection.close()
        raise DockerError(0, f"engine: {e}") from e
    if reply.status >= 400:
        text = message_of(reply.read())
        connection.close()
        raise DockerError(reply.status, text)
    return connection, reply


def call(method, path, body=None, headers=None, timeout=120):
    """The decoded reply, or None when it has no content."""
    connection, reply = open_reply(method, path, body, headers, timeout)
    try:
        data = reply.read()
    except (OSError, http.client.HTTPException) as e:
        raise DockerError(0, f"engine: {e}") from e
    finally:
        connection.close()
    return json.loads(data) if data.strip() else None


def query(**fields):
    return urllib.parse.urlencode(fields)


def labelled(label):
    return query(filters=json.dumps({"label": [label]}))


# ---- images ----

def pull(image, auth=None):
    """Pull "name:tag" or "name@sha256:…"; the engine answers 200 and tells
    failures as lines of the stream."""
    headers = {"X-Registry-Auth": auth} if auth else None
    name, tag = split_image(image)
    connection, reply = open_reply(
        "POST", "/images/create?" + query(fromImage=name, tag=tag), None,
        headers, 300)
    try:
        for line in reply:
            if line.strip() and "error" in (status := json.loads(line)):
                raise DockerError(500, status["error"])
    except (OSError, ValueError, http.client.HTTPException) as e:
        raise DockerError(0, f"engine: {e}") from e
    finally:
        connection.close()


def split_image(image):
    if "@" in image:
        name, _, digest = image.partition("@")
        return name, digest
    name, colon, tag = image.rpartition(":")
    if colon and "/" not in tag:
        return name, tag
    return image, "latest"


def image(name):
    return call("GET", "/images/" + urllib.parse.quote(name) + "/json")


def untag(name):
    """The reference goes; the image too when that was its last."""
    try:
        call("DELETE", "/images/" + urllib.parse.quote(name))
    except DockerError as e:
        if e.status not in (404, 409):
            raise


# ---- containers ----

def create(name, spec):
    return call("POST", "/containers/create?" + query(name=name), spec)["Id"]


def start(container):
    call("POST", f"/containers/{container}/start")


def inspect(container):
    return call("GET", f"/containers/{container}/json")


def kill(container, signal):
    """Nothing happens when it does not run."""
    try:
        call("POST", f"/containers/{container}/kill?" + query(signal=signal))
    except DockerError as e:
        if e.status not in (404, 409):
            raise


def remove(container):
    try:
        call("DELETE", f"/containers/{container}?force=1&v=1")
    except DockerError as e:
        if e.status not in (404, 409):
            raise


def wait(container, timeout):
    """Its exit code; None when it still runs after `timeout` seconds."""
    try:
        reply = call("POST", f"/containers/{container}/wait", timeout=timeout)
        return reply["StatusCode"]
    except DockerError as e:
        if e.status == 0:
            return None
        raise


def read_exact(reply, size):
    data = b""
    while len(data) < size:
        more = reply.read(size - len(data))
        if not more:
            return None
        data += more
    return data


def log_lines(container):
    """(milliseconds, text) of stdout and stderr until the container ends."""
    connection, reply = open_reply(
        "GET", f"/containers/{container}/logs?"
        + query(follow=1, stdout=1, stderr=1, timestamps=1), None, None, None)
    lines = {1: None, 2: None}      # of stdout, of stderr: unfinished
    try:
        while head := read_exact(reply, 8):
            stream, size = struct.unpack(">BxxxI", head)
            data = read_exact(reply, size)
            if data is None or stream not in lines:
                return
            # The engine cuts long lines; each part has its own time.
            stamp, _, text = data.partition(b" ")
            line = lines[stream] or (milliseconds(stamp.decode()), b"")
            line = (line[0], line[1] + text)
            if text.endswith(b"\n") or len(line[1]) > LINE_MAX:
                yield decoded(line)
                line = None
            lines[stream] = line
        yield from (decoded(line) for line in lines.values() if line)
    except (OSError, http.client.HTTPException):
        return
    finally:
        connection.close()


def decoded(line):
    stamp, text = line
    return stamp, text[:LINE_MAX].decode("utf-8", "replace").rstrip("\r\n")


def milliseconds(stamp):
    """Of RFC 3339 with up to nine decimals, always UTC here."""
    whole, _, decimals = stamp.rstrip("Z").partition(".")
    moment = datetime.datetime.fromisoformat(whole).replace(
        tzinfo=datetime.timezone.utc)
    return int(moment.timestamp()) * 1000 + int((decimals + "000")[:3])


# ---- networks ----

def create_network(name, label, value):
    return call("POST", "/networks/create",
                {"Name": name, "Driver": "bridge", "CheckDuplicate": True,
                 "Labels": {label: value}})["Id"]


def remove_labelled(label, patience_s=30):
    """Every container and network with the label "key=value"; the engine may
    still be busy with some that it was told to remove before."""
    limit = time.monotonic() + patience_s
    while True:
        containers = call("GET", "/containers/json?all=1&" + labelled(label))
        networks = call("GET", "/networks?" + labelled(label))
        if not containers and not networks:
            return
        try:
            for c in containers:
                remove(c["Id"])
            for n in networks:
                call("DELETE", "/networks/" + n["Id"])
        except DockerError:
            if time.monotonic() > limit:
                raise
        time.sleep(0.2)
