"""Instance metadata (IMDSv2 only) and the container credentials endpoint.

IMDSv2: EC2 user guide, "Use IMDSv2".  Container credentials: SDK reference,
"Container credential provider"; the token is read from a file per request,
so that a test may swap it.
"""
import datetime
import json
import os
import secrets

from web import Handler

ROLE = "slipway-host"
CONTAINER_ROLE = "slipway-task"
IMDS = "/latest/meta-data/"
ROLES = IMDS + "iam/security-credentials/"
CONTAINER_PATH = "/v2/credentials/"


def iso(seconds):
    return datetime.datetime.fromtimestamp(
        seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


class Metadata:
    def __init__(self, world):
        self.world = world
        self.tokens = {}  # token -> epoch of its end
        self.container_id = secrets.token_hex(16)
        self.token_file = os.path.join(world.options.data,
                                       "container-token")
        write_private(self.token_file, secrets.token_urlsafe(40))

    def ready_values(self, address):
        return {
            "METADATA_URL": f"http://{address}",
            "CONTAINER_CREDENTIALS_URL":
                f"http://{address}{CONTAINER_PATH}{self.container_id}",
            "CONTAINER_TOKEN_FILE": self.token_file,
        }

    def new_token(self, ttl_s):
        token = secrets.token_urlsafe(42)
        self.tokens[token] = self.world.clock.now() + ttl_s
        return token

    def token_good(self, token):
        return self.tokens.get(token, 0) > self.world.clock.now()


def write_private(path, text):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "w") as f:
        f.write(text)


class MetadataHandler(Handler):
    def answer(self):
        metadata = self.server.metadata
        self.world.journal.note("metadata", method=self.command,
                                path=self.path)
        fault = self.world.faults.of_request("metadata", self.path)
        if fault and fault["kind"] == "reset":
            self.reset()
        elif fault and fault["kind"].startswith("http-"):
            self.text(int(fault["kind"][5:]), "unavailable")
        elif fault and fault["kind"] == "error":
            # As IMDS tells of a role that cannot be assumed: with 200.
            self.reply_json(200, {"Code": fault["code"],
                                  "Message": fault.get("message", "")})
        elif self.path == "/latest/api/token":
            self.give_token(metadata)
        elif self.command != "GET":
            self.text(405, "")
        elif self.path.startswith(CONTAINER_PATH):
            self.container(metadata)
        elif not metadata.token_good(
                self.headers.get("X-aws-ec2-metadata-token")):
            self.text(401, "")
        else:
            self.instance()

    def text(self, status, text):
        self.reply(status, text.encode(), "text/plain")

    def give_token(self, metadata):
        ttl = self.headers.get("X-aws-ec2-metadata-token-ttl-seconds", "")
        if self.command != "PUT":
            self.text(405, "")
        elif not ttl.isdigit() or not 1 <= int(ttl) <= 21600:
            self.text(400, "")
        elif "X-Forwarded-For" in self.headers:
            self.text(403, "")
        else:
            self.text(200, metadata.new_token(int(ttl)))

    def instance(self):
        if self.path == ROLES:
            self.text(200, ROLE)
        elif self.path == ROLES + ROLE:
            key = self.world.credentials.for_role(ROLE, "i-0123456789abcdef0")
            self.text(200, json.dumps({
                "Code": "Success", "LastUpdated": iso(self.world.clock.now()),
                "Type": "AWS-HMAC", **document(key)}))
        elif self.path == IMDS + "placement/region":
            self.text(200, self.world.region)
        else:
            self.text(404, "")

    def container(self, metadata):
        with open(metadata.token_file, encoding="utf-8") as f:
            wanted = f.read()
        if self.path != CONTAINER_PATH + metadata.container_id:
            self.reply_json(404, {"code": "NotFound", "message": "unknown"})
        elif self.headers.get("Authorization") != wanted:
            self.reply_json(403, {"code": "AccessDenied",
                                  "message": "the token is not good"})
        else:
            key = self.world.credentials.for_role(CONTAINER_ROLE, "task")
            self.reply_json(200, document(key))


def document(key):
    return {"AccessKeyId": key.id, "SecretAccessKey": key.secret,
            "Token": key.token, "Expiration": iso(key.expires)}
