"""The data plane of the load balancer: HTTP/1.1 by Host header to targets.

Rules and target groups belong to services/elb.py; this listens, asks it where
a request goes, relays bodies and upgrades, checks targets' health and drains
those that are deregistered.  A target gets one connection a request, which
ends with it, so "in flight" is exact.

Behaviour: "Target groups for your Application Load Balancers" and
"Troubleshoot your Application Load Balancers" (ELB user guides).
"""
import http.client
import select
import socket
import threading

HEAD_MAX = 64 * 1024
# Seconds of this machine: clients wait in its time.
IDLE = 60
CONNECT = 5
CHECK_FLOOR = 0.25
CHECK_TIMEOUT_FLOOR = 1.0
HOP_BY_HOP = {b"connection", b"keep-alive", b"proxy-connection"}


class Broken(Exception):
    """A peer went away or does not speak HTTP."""


class Target:
    def __init__(self, address, port):
        self.address = address
        self.port = port
        self.state = "initial"
        self.reason = "Elb.RegistrationInProgress"
        self.description = "Target registration is in progress"
        self.in_flight = set()          # sockets to it
        self.gone = threading.Event()
        self.successes = 0
        self.failures = 0

    def become(self, state, reason=None, description=None):
        self.state, self.reason, self.description = state, reason, description


# ---- reading HTTP ----

class Stream:
    """A socket with a buffer."""

    def __init__(self, sock):
        self.sock = sock
        self.data = b""

    def more(self):
        try:
            data = self.sock.recv(65536)
        except OSError as e:
            raise Broken(str(e)) from e
        if not data:
            raise Broken("closed")
        self.data += data

    def head(self):
        """(first line, [(name, value)]) in bytes."""
        while b"\r\n\r\n" not in self.data:
            if len(self.data) > HEAD_MAX:
                raise Broken("head too long")
            self.more()
        head, _, self.data = self.data.partition(b"\r\n\r\n")
        first, *lines = head.split(b"\r\n")
        fields = []
        for line in lines:
            name, colon, value = line.partition(b":")
            if not colon:
                raise Broken("malformed field")
            fields.append((name, value.strip()))
        return first, fields

    def take(self, size):
        """Up to `size` bytes, at least one."""
        if not self.data:
            self.more()
        out, self.data = self.data[:size], self.data[size:]
        return out

    def line(self):
        while b"\r\n" not in self.data:
            if len(self.data) > HEAD_MAX:
                raise Broken("line too long")
            self.more()
        line, _, self.data = self.data.partition(b"\r\n")
        return line + b"\r\n"


def field(fields, name):
    for n, value in fields:
        if n.lower() == name:
            return value
    return None


def relay_body(source, target, fields, until_close):
    """What follows the head; True when its end was marked."""
    if (field(fields, b"transfer-encoding") or b"").lower() == b"chunked":
        relay_chunks(source, target)
        return True
    length = field(fields, b"content-length")
    if length is not None:
        left = int(length)
        while left:
            data = source.take(left)
            target.sendall(data)
            left -= len(data)
        return True
    if not until_close:
        return True
    try:
        while True:
            target.sendall(source.take(65536))
    except Broken:
        return False


def relay_chunks(source, target):
    while True:
        line = source.line()
        target.sendall(line)
        left = int(line.split(b";")[0], 16)
        if left == 0:
            break
        left += 2
        while left:
            data = source.take(left)
            target.sendall(data)
            left -= len(data)
    while True:                         # trailers
        line = source.line()
        target.sendall(line)
        if line == b"\r\n":
            return


def head_bytes(first, fields):
    return b"\r\n".join([first] + [n + b": " + v for n, v in fields]) \
        + b"\r\n\r\n"


def without_hops(fields):
    return [(n, v) for n, v in fields if n.lower() not in HOP_BY_HOP]


# ---- serving ----

class LoadBalancer:
    def __init__(self, clock, route):
        """`route(host, path)` gives ("fixed", status, type, body) or
        ("target", Target); ("fixed", 503, …) when there is none."""
        self.clock = clock
        self.route = route
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self.listener.getsockname()[1]
        self.lock = threading.Lock()

    def start(self):
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, peer = self.listener.accept()
            except OSError:
                return                  # closed
            client.settimeout(IDLE)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.serve, args=(client, peer[0]),
                             daemon=True).start()

    def serve(self, client, peer):
        stream = Stream(client)
        try:
            while self.serve_one(stream, client, peer):
                pass
        except (Broken, OSError, ValueError):
            pass
        finally:
            client.close()

    def serve_one(self, stream, client, peer):
        """One request; True when the connection can take another."""
        first, fields = stream.head()
        method, path, version = first.split(b" ", 2)
        host = (field(fields, b"host") or b"").decode("latin-1")
        kind, *what = self.route(host.rsplit(":", 1)[0].lower(),
                                 path.decode("latin-1"))
        if kind == "fixed":
            self.answer(client, *what)
            return False
        target = what[0]
        try:
            upstream = socket.create_connection(
                (target.address, target.port), CONNECT)
        except OSError:
            self.answer(client, 502, "text/html", "<h1>502 Bad Gateway</h1>")
            return False
        upstream.settimeout(IDLE)
        upstream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self.lock:
            target.in_flight.add(upstream)
        try:
            keep = self.exchange(stream, client, upstream, first, fields, peer,
                                 method)
        finally:
            with self.lock:
                target.in_flight.discard(upstream)
            upstream.close()
        wants = (field(fields, b"connection") or b"").lower()
        return keep and version == b"HTTP/1.1" and wants != b"close"

    def exchange(self, stream, client, upstream, first, fields, peer, method):
        upgrade = field(fields, b"upgrade")
        out = without_hops(fields) + [
            (b"X-Forwarded-For", peer.encode()),
            (b"X-Forwarded-Proto", b"http"),
            (b"X-Forwarded-Port", str(self.port).encode()),
            (b"Connection", b"upgrade" if upgrade else b"close")]
        answer = Stream(upstream)
        try:
            upstream.sendall(head_bytes(first, out))
            if (field(fields, b"expect") or b"").lower() == b"100-continue":
                client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            relay_body(stream, upstream, fields, False)
            status, reply = answer.head()
            while status.split(b" ")[1] == b"100":
                status, reply = answer.head()
        except (Broken, OSError):
            self.answer(client, 502, "text/html", "<h1>502 Bad Gateway</h1>")
            return False
        code = status.split(b" ")[1]
        if code == b"101":
            client.sendall(head_bytes(status, reply))
            self.tunnel(stream, client, answer, upstream)
            return False
        marked = field(reply, b"content-length") is not None or \
            field(reply, b"transfer-encoding") is not None
        empty = method == b"HEAD" or code in (b"204", b"304")
        keep = marked or empty
        client.sendall(head_bytes(b"HTTP/1.1 " + status.split(b" ", 1)[1],
                                  without_hops(reply)
                                  + ([] if keep else [(b"Connection",
                                                       b"close")])))
        if empty:
            return True
        return relay_body(answer, client, reply, True)

    def tunnel(self, stream, client, answer, upstream):
        client.sendall(answer.data)
        upstream.sendall(stream.data)
        pairs = {client: upstream, upstream: client}
        while True:
            ready, _, _ = select.select(list(pairs), [], [], IDLE)
            if not ready:
                return
            for sock in ready:
                data = sock.recv(65536)
                if not data:
                    return
                pairs[sock].sendall(data)

    def answer(self, client, status, content_type, body):
        data = body.encode()
        client.sendall(
            b"HTTP/1.1 %d %s\r\nServer: awselb/2.0\r\nContent-Type: %s\r\n"
            b"Content-Length: %d\r\nConnection: close\r\n\r\n%s"
            % (status, http.client.responses.get(status, "").encode(),
               content_type.encode(), len(data), data))

    # ---- targets ----

    def watch(self, target, group):
        """Check its health until it is gone."""
        threading.Thread(target=self.check, args=(target, group),
                         daemon=True).start()

    def check(self, target, group):
        target.reason = "Elb.InitialHealthChecking"
        target.description = "Initial health checks in progress"
        while not target.gone.wait(
                max(self.clock.scaled(group.interval), CHECK_FLOOR)):
            if target.state == "draining":
                continue
            self.note(target, group, self.probe(target, group))

    def probe(self, target, group):
        """None when healthy, else (reason, description)."""
        connection = http.client.HTTPConnection(
            target.address, group.check_port or target.port,
            timeout=max(self.clock.scaled(group.timeout),
                        CHECK_TIMEOUT_FLOOR))
        try:
            connection.request("GET", group.path, headers={
                "User-Agent": "ELB-HealthChecker/2.0",
                "Connection": "close"})
            status = connection.getresponse().status
        except TimeoutError:
            return "Target.Timeout", "Request timed out"
        except (OSError, http.client.HTTPException):
            return "Target.FailedHealthChecks", "Health checks failed"
        finally:
            connection.close()
        if group.matches(status):
            return None
        return ("Target.ResponseCodeMismatch",
                f"Health checks failed with these codes: [{status}]")

    def note(self, target, group, failure):
        with self.lock:
            if target.state == "draining":
                return
            if failure is None:
                target.successes, target.failures = target.successes + 1, 0
                # A new target needs one success only.
                if target.state == "initial" or \
                   target.successes >= group.healthy_threshold:
                    target.become("healthy")
                return
            target.successes, target.failures = 0, target.failures + 1
            if target.failures >= group.unhealthy_threshold or \
               target.state == "unhealthy":
                target.become("unhealthy", *failure)

    def drain(self, target, delay, on_gone):
        """No new requests; those in flight have `delay` seconds (of AWS)."""
        with self.lock:
            if target.state == "draining":
                return
            target.become("draining", "Target.DeregistrationInProgress",
                          "Target deregistration is in progress")

        def end():
            self.clock.sleep(delay)     # seconds of AWS
            with self.lock:
                left = list(target.in_flight)
            for sock in left:
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
            target.gone.set()
            on_gone()
        threading.Thread(target=end, daemon=True).start()

    def close(self):
        self.listener.close()
