#!/usr/bin/python3
"""aws_faults.py PORT JOURNAL [CERTIFICATE] - an AWS endpoint that misbehaves.

Each call brings its own plan, as members of its input: "id", and "plan", a
list with the behaviour of each attempt (the last one stays).  One line per
request goes to JOURNAL: ID BEHAVIOUR KEY HEADERS-AND-BODY-AS-JSON.  With a
CERTIFICATE (and its key, one PEM file) it speaks TLS.

    ok               {"attempt": N}, or the same in XML
    echo             the body's length and some headers
    error:S:CODE     status S with this code, in JSON or XML
    message:CODE:M   status 400 with this message
    after:MS         throttled, with x-amz-retry-after
    busy:SECONDS     503 with a proxy's Retry-After
    html             503 with a proxy's page
    skew:SECONDS     a clock so far off: refuses signatures of another time
    key:N            refuses as expired every key but AKIDN
    drop             closes before the reply
    reset            a reset in the middle of the body
    cut              ends before Content-Length
    huge:BYTES       a body of so many
    stall            never answers
    slow:MS          answers late
    garbage          200, not JSON and not XML
    nohttp           not HTTP at all
    redirect         307 to another host

GET /credentials is a container's credentials endpoint: the key of the Nth
request is AKIDN.
"""
import json
import re
import socket
import socketserver
import ssl
import struct
import sys
import threading
import time
import urllib.parse
from datetime import datetime, timedelta, timezone
from email.utils import formatdate

PORT, JOURNAL = int(sys.argv[1]), sys.argv[2]
lock = threading.Lock()
counts = {}


def count(name):
    with lock:
        counts[name] = counts.get(name, 0) + 1
        return counts[name]


def read_input(headers, body):
    if "x-amz-target" in headers:
        return json.loads(body), True
    form = urllib.parse.parse_qs(body.decode(), strict_parsing=True)
    plan = sorted((k, v[0]) for k, v in form.items()
                  if k.startswith("Plan.member."))
    return {"id": form["Id"][0], "plan": [v for _, v in plan],
            "op": form["Action"][0]}, False


class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        try:
            while self.one():
                pass
        except ConnectionError:
            pass

    def one(self):
        line = self.rfile.readline(65536).decode("latin-1")
        if not line:
            return False
        headers = {}
        while True:
            header = self.rfile.readline(65536).decode("latin-1").strip()
            if not header:
                break
            key, _, value = header.partition(":")
            headers[key.lower()] = value.strip()
        body = self.rfile.read(int(headers.get("content-length", "0")))
        if line.startswith("GET /credentials"):
            return self.credentials()
        return self.call(headers, body)

    def credentials(self):
        n = count("credentials")
        later = datetime.now(timezone.utc) + timedelta(hours=6)
        return self.reply(200, json.dumps({
            "AccessKeyId": "AKID%d" % n, "SecretAccessKey": "wJalrSECRET",
            "Token": "token%d" % n,
            "Expiration": later.strftime("%Y-%m-%dT%H:%M:%SZ")}))

    def call(self, headers, body):
        call, self.is_json = read_input(headers, body)
        self.op = call.get("op", "Op")
        n = count("call " + call["id"])
        behaviour = call["plan"][min(n, len(call["plan"])) - 1]
        key = re.search(r"Credential=([^/]*)/",
                        headers.get("authorization", "")).group(1)
        self.n, self.headers, self.body, self.key = n, headers, body, key
        with lock, open(JOURNAL, "a") as f:
            print(call["id"], behaviour, key,
                  json.dumps(dict(headers, body=body[:2000].decode())),
                  file=f)
        name, *words = behaviour.split(":", 2)
        return getattr(self, "do_" + name)(*words)

    def reply(self, status, body, extra="", length=None, date=None):
        data = body.encode()
        head = ("HTTP/1.1 %d X\r\nContent-Length: %d\r\nDate: %s\r\n"
                "x-amzn-RequestId: req-%d\r\n%s\r\n" % (
                    status, len(data) if length is None else length,
                    formatdate(date, usegmt=True),
                    getattr(self, "n", 0), extra))
        self.wfile.write(head.encode() + data)
        return True

    def error(self, status, code, message, extra="", date=None):
        body = json.dumps({"__type": "com.amazonaws.x#" + code,
                           "message": message})
        if not self.is_json:
            body = ("<ErrorResponse><Error><Type>Sender</Type><Code>%s</Code>"
                    "<Message>%s</Message></Error></ErrorResponse>" % (
                        code, message))
        return self.reply(status, body, extra, date=date)

    def do_ok(self, date=None):
        if self.is_json:
            return self.reply(200, json.dumps({"attempt": self.n}), date=date)
        return self.reply(200, "<%sResponse><%sResult><Attempt>%d</Attempt>"
                          "</%sResult></%sResponse>" % (
                              self.op, self.op, self.n, self.op, self.op),
                          date=date)

    def do_echo(self):
        names = ("content-type", "x-amz-target", "host", "expect",
                 "x-amz-security-token", "transfer-encoding")
        return self.reply(200, json.dumps(
            dict({k: self.headers.get(k) for k in names},
                 length=len(self.body))))

    def do_error(self, status, code):
        return self.error(int(status), code, "as planned")

    def do_message(self, code, message):
        return self.error(400, code, message)

    def do_after(self, ms):
        return self.error(400, "ThrottlingException", "Rate exceeded",
                          "x-amz-retry-after: %s\r\n" % ms)

    def do_busy(self, seconds):
        return self.reply(503, "busy", "Retry-After: %s\r\n" % seconds)

    def do_html(self):
        return self.reply(503, "<html><title>503 Service Unavailable</title>"
                          "<body>no healthy upstream</body></html>")

    def do_skew(self, seconds):
        now = time.time() + int(seconds)
        sent = datetime.strptime(self.headers["x-amz-date"],
                                 "%Y%m%dT%H%M%SZ").replace(
                                     tzinfo=timezone.utc).timestamp()
        if abs(sent - now) <= 300:
            return self.do_ok(now)
        return self.error(
            400 if self.is_json else 403,
            "InvalidSignatureException" if self.is_json
            else "SignatureDoesNotMatch",
            "Signature expired: X is now earlier than Y" if sent < now
            else "Signature not yet current: X is still later than Y",
            date=now)

    def do_key(self, n):
        if self.key == "AKID" + n:
            return self.do_ok()
        return self.error(400, "ExpiredTokenException",
                          "The security token included in the request is "
                          "expired")

    def do_drop(self):
        return False

    def do_reset(self):
        self.reply(200, '{"a": "b', length=1000)
        self.wfile.flush()
        time.sleep(0.1)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                   struct.pack("ii", 1, 0))
        self.connection.close()
        return False

    def do_cut(self):
        self.reply(200, '{"attempt": 1}', length=1000)
        return False

    def do_huge(self, size):
        return self.reply(200, '{"a":"%s"}' % ("x" * (int(size) - 8)))

    def do_stall(self):
        self.connection.recv(1)
        return False

    def do_slow(self, ms):
        time.sleep(int(ms) / 1000)
        return self.do_ok()

    def do_garbage(self):
        return self.reply(200, "<b>SECRET is not what was asked for")

    def do_nohttp(self):
        self.wfile.write(b"220 smtp.example.com ESMTP\r\n")
        return False

    def do_redirect(self):
        return self.reply(307, "", "Location: http://127.0.0.2:1/\r\n")


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


server = Server(("127.0.0.1", PORT), Handler)
if len(sys.argv) > 3:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(sys.argv[3])
    server.socket = tls.wrap_socket(server.socket, server_side=True)
server.serve_forever()
