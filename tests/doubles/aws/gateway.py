"""The one endpoint of all AWS APIs: parse, verify, check, run, answer.

The service is found by X-Amz-Target (JSON) or Version (query), then the
signature must be scoped to it.  What neither names is refused.
"""
import time
import traceback
import sys
import urllib.parse
import uuid

import models
import wire
from core import AwsError, Request
from signature import Raw, Verifier
from web import Handler

# Operations that are called without credentials.
UNSIGNED = {("sts", "AssumeRoleWithWebIdentity")}

# Calls per second and account that AWS allows, with their source; a bucket
# holds one second.
RATES = {
    # repost.aws "cloudwatch-logs-throttling"
    ("logs", "FilterLogEvents"): 5,
}

HTML = ("<html><head><title>{0}</title></head><body><center><h1>{0}</h1>"
        "</center></body></html>\n")


class Gateway:
    """What the handlers share."""

    def __init__(self, world):
        self.world = world
        self.models = {name: models.load(name) for name in world.services}
        self.targets = {m.target_prefix: m for m in self.models.values()
                        if m.is_json}
        self.versions = {m.version: m for m in self.models.values()
                         if not m.is_json}
        self.buckets = {}

    def within_rate(self, service, operation):
        rate = RATES.get((service, operation))
        if rate is None:
            return True
        with self.world.services[service].lock:
            now = time.monotonic()
            tokens, then = self.buckets.get((service, operation), (rate, now))
            tokens = min(rate, tokens + (now - then) * rate)
            allowed = tokens >= 1
            self.buckets[(service, operation)] = (tokens - allowed, now)
            return allowed


class Call:
    """One request on its way through; what went wrong is raised."""

    def __init__(self, gateway, raw):
        self.gateway = gateway
        self.world = gateway.world
        self.raw = raw
        self.id = str(uuid.uuid4())
        self.model = None
        self.name = None
        self.params = None
        self.key = None

    @property
    def format(self):
        return wire.Json if self.model is None or self.model.is_json \
            else wire.Query

    def find(self):
        if self.raw.method != "POST" or self.raw.target != "/":
            raise AwsError("UnknownOperationException",
                           f"{self.raw.method} {self.raw.target[:80]}", 404)
        target = self.raw.one("x-amz-target")
        if target is not None:
            prefix, _, self.name = target.rpartition(".")
            self.model = self.gateway.targets.get(prefix)
            version = prefix
        else:
            form = dict(urllib.parse.parse_qsl(
                self.raw.body.decode("utf-8", "replace")))
            self.name = form.get("Action", "")
            version = form.get("Version", "")
            self.model = self.gateway.versions.get(version)
        if self.model is None:
            raise AwsError("UnknownOperationException",
                           f"no service for '{version[:80]}'", 404)
        if self.name not in self.model.operations or \
                self.method() is None:
            if self.model.is_json:
                raise AwsError("UnknownOperationException", self.name)
            raise AwsError("InvalidAction", "Could not find operation "
                           f"{self.name} for version {version}")
        self.content_type()

    def method(self):
        return getattr(self.world.services[self.model.name], self.name, None)

    def content_type(self):
        given = (self.raw.one("content-type") or "").split(";")[0].strip()
        wanted = ("application/x-amz-json-1.1" if self.model.is_json
                  else "application/x-www-form-urlencoded")
        if given != wanted:
            raise AwsError("SerializationException",
                           f"Content-Type must be {wanted}", 415)

    def verify(self):
        if (self.model.name, self.name) not in UNSIGNED:
            self.key = Verifier(self.world, self.model).verify(self.raw)

    def named_fault(self, fault):
        """A fault that is an answer of AWS."""
        json = self.model.is_json
        if fault["kind"] == "throttle":
            raise AwsError("ThrottlingException" if json else "Throttling",
                           "Rate exceeded")
        if fault["kind"] == "expired-token":
            raise Verifier(self.world, self.model).error(
                "expired",
                "The security token included in the request is expired")
        if fault["kind"] == "access-denied":
            action = f"{self.model.signing_name}:{self.name}"
            raise AwsError(
                "AccessDeniedException" if json else "AccessDenied",
                f"User: {self.key.principal} is not authorized to perform: "
                f"{action} on resource: * because no identity-based policy "
                f"allows the {action} action", 400 if json else 403)
        if fault["kind"] == "error":
            raise AwsError(fault["code"], fault.get("message", ""),
                           fault.get("status", 400))

    def run(self):
        """The operation's reply as bytes."""
        if not self.gateway.within_rate(self.model.name, self.name):
            raise AwsError("ThrottlingException", "Rate exceeded")
        operation = self.model.operation(self.name)
        self.params = self.format.parse(operation.input_shape, self.raw.body)
        self.model.check_input(self.name, self.params)
        self.supported()
        request = Request(self.model.name, self.name,
                          {n.lower(): v for n, v in self.raw.headers})
        request.id = self.id
        if self.key:
            request.principal = self.key.principal
            request.access_key = self.key.id
        try:
            result = self.method()(self.params, request) or {}
        except AwsError as error:
            if not self.model.may_raise(self.name, error.code):
                raise RuntimeError(f"{self.name} may not raise {error}") \
                    from error
            raise
        problems = self.model.check_output(self.name, result)
        if problems:
            raise RuntimeError(f"{self.name} answers what its model forbids:"
                               f" {'; '.join(problems)}")
        return self.format.reply(self.model, self.name, result, self.id)

    def supported(self):
        """Nothing is taken in silence and then ignored."""
        service = self.world.services[self.model.name]
        members = service.unsupported.get(self.name, set()) \
            & set(self.params)
        if members:
            raise AwsError(models.VALIDATION_CODE[self.model.name],
                           "the double does not support "
                           + ", ".join(sorted(members)))

    def shown_params(self):
        if self.params is None:
            return None
        return models.redact(self.model.operation(self.name).input_shape,
                             self.params)


class ApiHandler(Handler):
    def answer(self):
        began = time.monotonic()
        raw = Raw(self.command, self.path, list(self.headers.items()),
                  self.body())
        if raw.body is None:
            self.reply(413, b"", None)
            return
        call = Call(self.server.gateway, raw)
        note = {"id": call.id}
        try:
            self.serve(call, note)
        finally:
            self.world.journal.note(
                "request", **note,
                service=call.model.name if call.model else None,
                operation=call.name, params=call.shown_params(),
                principal=call.key.principal if call.key else None,
                attempt=raw.one("amz-sdk-request"),
                ms=round((time.monotonic() - began) * 1000))

    def serve(self, call, note):
        fault = None
        try:
            call.find()
            fault = self.world.faults.of_request(call.model.name, call.name)
            if fault:
                note["fault"] = fault["kind"]
                if self.rude(fault):
                    return
            call.verify()
            if fault:
                call.named_fault(fault)
            body, status = call.run(), 200
        except AwsError as error:
            note["error"] = error.code
            note["message"] = error.message
            body = call.format.error(call.model, error, call.id) \
                if call.model else wire.Json.error(None, error, call.id)
            status = error.status
        except Exception:
            # A fault of the double: loud, and never taken for AWS's answer.
            note["bug"] = traceback.format_exc()
            print(note["bug"], file=sys.stderr, flush=True)
            error = AwsError("InternalFailure", "bug in the double: "
                             + note["bug"].strip().split("\n")[-1], 500)
            body = call.format.error(call.model, error, call.id)
            status = 500
        note["status"] = status
        self.finish_call(call, fault, status, body)

    def rude(self, fault):
        """Faults that never reach AWS's code; True when answered."""
        if fault["kind"] == "delay":
            self.world.stopping.wait(fault.get("seconds", 1))
        if fault["kind"] == "reset":
            self.reset()
            return True
        if fault["kind"] in ("http-500", "http-503"):
            text = {"http-500": "500 Internal Server Error",
                    "http-503": "503 Service Temporarily Unavailable"}
            self.reply(int(fault["kind"][5:]),
                       HTML.format(text[fault["kind"]]).encode(), "text/html")
            return True
        return False

    def finish_call(self, call, fault, status, body):
        kind = fault["kind"] if fault else None
        if kind == "lost-reply":
            self.reset()
            return
        headers = [("x-amzn-RequestId", call.id)]
        if kind == "throttle" and "retry_after_ms" in fault:
            headers.append(("x-amz-retry-after", fault["retry_after_ms"]))
        limit = None
        if kind == "truncate":
            limit = fault.get("bytes", max(0, len(body) - 10))
        self.reply(status, body, call.format.content_type, headers, limit)
