#!/usr/bin/python3
"""aws_identity.py PORT FOLDER - where AWS credentials come from, on one port:
the agent of containers (ECS and EKS), instance metadata version 2, and STS.

Each credentials document has a key of its own: the Nth of a kind is KINDN
(CONTAINER1, INSTANCE2, ROLE1, WEB1).  Signatures are checked with botocore's
signer; only the keys of FOLDER/keys.json {ID: SECRET} and those given out are
known.  Every request is a line of JSON in FOLDER/journal.

FOLDER/plan.json, read at each request, changes the behaviour (all optional):

    life          seconds until what is given out expires (3600)
    container     status of the agent's next answers; "bad" = no JSON
    container_token  what Authorization must be
    fail          so many requests of any kind get status 500 first
    imds          "off" (403), "v1" (PUT is unknown), "norole", "stale"
                  (expired five minutes ago), "denied" (Code)
    sts           [STATUS, CODE, MESSAGE] for every call
    skew          seconds that our clock is ahead
"""
import hmac
import http.server
import json
import os
import re
import socketserver
import sys
import threading
import time
import urllib.parse
from datetime import datetime, timedelta, timezone
from email.utils import formatdate

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

PORT, FOLDER = int(sys.argv[1]), sys.argv[2]
REGION = "eu-north-1"
IMDS = "/latest/meta-data/iam/security-credentials/"
NS = "https://sts.amazonaws.com/doc/2011-06-15/"

lock = threading.Lock()
counts = {}
issued = {}       # key: (secret, token)
imds_tokens = set()
failed = 0


def read(name, default):
    try:
        with open(os.path.join(FOLDER, name)) as f:
            return json.load(f)
    except FileNotFoundError:
        return default


def iso(seconds):
    t = datetime.fromtimestamp(seconds, timezone.utc)
    return t.strftime("%Y-%m-%dT%H:%M:%SZ")


def issue(kind, life):
    counts[kind] = counts.get(kind, 0) + 1
    key = f"{kind}{counts[kind]}"
    issued[key] = (f"HUSH-{key}", f"HUSH-token-{key}")
    return {"AccessKeyId": key, "SecretAccessKey": issued[key][0],
            "Token": issued[key][1], "Expiration": iso(time.time() + life)}


class Refusal(Exception):
    pass


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def reply(self, status, body, type_="text/plain"):
        data = body if isinstance(body, bytes) else body.encode()
        self.send_response_only(status)
        self.send_header("Date", formatdate(time.time() +
                                            self.plan.get("skew", 0),
                                            usegmt=True))
        self.send_header("Content-Type", type_)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def handle_one(self):
        global failed
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        self.plan = read("plan.json", {})
        form = {k: v[0] for k, v in
                urllib.parse.parse_qs(body.decode()).items()}
        with lock:
            with open(os.path.join(FOLDER, "journal"), "a") as f:
                json.dump({"method": self.command, "path": self.path,
                           "form": form,
                           "headers": {k.lower(): v for k, v in
                                       self.headers.items()}}, f)
                f.write("\n")
            if failed < self.plan.get("fail", 0):
                failed += 1
                return self.reply(500, "HUSH: not now")
            failed = failed if self.plan.get("fail") else 0
            if self.path.startswith("/latest/"):
                return self.instance()
            if self.command == "POST":
                return self.sts(body, form)
            return self.container()

    do_GET = do_PUT = do_POST = handle_one

    # ---- agents ----

    def container(self):
        want = self.plan.get("container_token")
        state = self.plan.get("container", 200)
        if want and self.headers.get("Authorization") != want:
            return self.reply(401, '{"message": "HUSH"}')
        if state == "bad":
            return self.reply(200, '{"AccessKeyId": "HUSH')
        if state != 200:
            return self.reply(state, '{"message": "HUSH"}')
        self.reply(200, json.dumps(issue("CONTAINER",
                                         self.plan.get("life", 3600))))

    def instance(self):
        state = self.plan.get("imds")
        if state == "off":
            return self.reply(403, "")
        if self.command == "PUT":
            ttl = self.headers.get("x-aws-ec2-metadata-token-ttl-seconds")
            if state == "v1":
                return self.reply(405, "")
            if self.path != "/latest/api/token" or ttl != "21600":
                return self.reply(400, "")
            token = f"HUSH{len(imds_tokens)}=="
            imds_tokens.add(token)
            return self.reply(200, token)
        if self.headers.get("x-aws-ec2-metadata-token") not in imds_tokens \
                and state != "v1":
            return self.reply(401, "")
        if self.path == "/latest/meta-data/placement/region":
            return self.reply(200, REGION)
        if self.path == IMDS and state != "norole":
            return self.reply(200, "web+role@1")
        if self.path != IMDS + "web+role@1":
            return self.reply(404, "")
        if state == "denied":
            return self.reply(200, json.dumps(
                {"Code": "AssumeRoleUnauthorizedAccess",
                 "Message": "HUSH"}))
        life = -300 if state == "stale" else self.plan.get("life", 3600)
        self.reply(200, json.dumps(
            {"Code": "Success", "Type": "AWS-HMAC", **issue("INSTANCE", life)}))

    # ---- STS ----

    def check_signature(self, body):
        m = re.fullmatch(r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/"
                         r"([^/]+)/sts/aws4_request, ?SignedHeaders=([^,]+), ?"
                         r"Signature=([0-9a-f]{64})",
                         self.headers.get("Authorization") or "")
        if not m:
            raise Refusal("MissingAuthenticationToken", "not signed")
        key, _, region, names, signature = m.groups()
        token = self.headers.get("X-Amz-Security-Token")
        known = {k: (v, None) for k, v in read("keys.json", {}).items()}
        known.update(issued)
        if key not in known or token != known[key][1]:
            raise Refusal("InvalidClientTokenId", "no such key or token")
        when = datetime.strptime(self.headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ")
        now = datetime.utcnow() + timedelta(seconds=self.plan.get("skew", 0))
        if abs((now - when).total_seconds()) > 300:
            raise Refusal("SignatureDoesNotMatch",
                          f"Signature expired: {when} is now earlier than "
                          f"{now}")
        signed = {n: self.headers[n] for n in names.split(";")}
        for must in ("host", "x-amz-date", "content-type"):
            if must not in signed:
                raise Refusal("SignatureDoesNotMatch", f"{must} unsigned")
        request = AWSRequest("POST", f"http://{self.headers['Host']}/",
                             data=body, headers=signed)
        request.context["timestamp"] = self.headers["X-Amz-Date"]
        auth = SigV4Auth(Credentials(key, known[key][0]), "sts", region)
        canonical = auth.canonical_request(request)
        if not hmac.compare_digest(
                signature,
                auth.signature(auth.string_to_sign(request, canonical),
                               request)):
            raise Refusal("SignatureDoesNotMatch", "it does not")
        return key

    def sts(self, body, form):
        action = form.get("Action")
        try:
            if self.plan.get("sts"):
                status, code, message = self.plan["sts"]
                return self.refuse(status, code, message)
            if form.get("Version") != "2011-06-15":
                raise Refusal("InvalidAction", "no such version")
            if action == "AssumeRole":
                self.check_signature(body)
            elif action != "AssumeRoleWithWebIdentity":
                raise Refusal("InvalidAction", "no such action")
            elif self.headers.get("Authorization") or \
                    not form.get("WebIdentityToken"):
                raise Refusal("InvalidIdentityToken", "token, no signature")
        except Refusal as e:
            return self.refuse(403, *e.args)
        given = issue("ROLE" if action == "AssumeRole" else "WEB",
                      self.plan.get("life", 3600))
        self.reply(200, f"""<{action}Response xmlns="{NS}">
  <{action}Result>
    <AssumedRoleUser><Arn>{form["RoleArn"]}</Arn></AssumedRoleUser>
    <Credentials>
      <AccessKeyId>{given["AccessKeyId"]}</AccessKeyId>
      <SecretAccessKey>{given["SecretAccessKey"]}</SecretAccessKey>
      <SessionToken>{given["Token"]}</SessionToken>
      <Expiration>{given["Expiration"]}</Expiration>
    </Credentials>
  </{action}Result>
  <ResponseMetadata><RequestId>req-1</RequestId></ResponseMetadata>
</{action}Response>""", "text/xml")

    def refuse(self, status, code, message):
        self.reply(status, f"""<ErrorResponse xmlns="{NS}">
  <Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>
  <RequestId>req-2</RequestId>
</ErrorResponse>""", "text/xml")


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


Server(("127.0.0.1", PORT), Handler).serve_forever()
