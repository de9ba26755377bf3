"""Signature version 4, verified from the raw request with botocore's signer.

Stricter than AWS where a client could not notice: `host` and every `x-amz-*`
header that was sent must be signed.  Texts are those of AWS's answers.
"""
import datetime
import hashlib
import hmac
import re

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from core import AwsError

SKEW_S = 300
ALGORITHM = "AWS4-HMAC-SHA256"
MISMATCH = ("The request signature we calculated does not match the signature"
            " you provided. Check your AWS Secret Access Key and signing "
            "method. Consult the service documentation for details.")

# (JSON services, query services); the latter answer with 403.
CODES = {
    "missing": ("MissingAuthenticationTokenException",
                "MissingAuthenticationToken"),
    "incomplete": ("IncompleteSignatureException", "IncompleteSignature"),
    "mismatch": ("InvalidSignatureException", "SignatureDoesNotMatch"),
    "unknown": ("UnrecognizedClientException", "InvalidClientTokenId"),
    "expired": ("ExpiredTokenException", "ExpiredToken"),
}


class Raw:
    """A request as it came over the wire."""

    def __init__(self, method, target, headers, body):
        self.method = method
        self.target = target    # path and query, untouched
        self.headers = headers  # [(name, value)]
        self.body = body

    def all(self, name):
        return [v for n, v in self.headers if n.lower() == name]

    def one(self, name):
        values = self.all(name)
        return values[0] if values else None


class Verifier:
    def __init__(self, world, model):
        self.world = world
        self.model = model

    def error(self, kind, message):
        json_code, query_code = CODES[kind]
        if self.model.is_json:
            return AwsError(json_code, message)
        return AwsError(query_code, message, 403)

    def verify(self, raw):
        """The Key that signed, or AwsError."""
        access_key, scope, signed, signature = self.authorization(raw)
        date = self.date(raw)
        self.scope(scope, date)
        self.coverage(raw, signed)
        key = self.key(raw, access_key)
        self.content_hash(raw)
        wanted = self.signature(raw, signed, key, date)
        if not hmac.compare_digest(wanted, signature):
            raise self.error("mismatch", MISMATCH)
        self.fresh(date)
        if key.expires is not None and key.expires <= self.world.clock.now():
            raise self.error("expired", "The security token included in the "
                             "request is expired")
        return key

    def authorization(self, raw):
        header = raw.one("authorization")
        if header is None:
            raise self.error("missing", "Missing Authentication Token")
        if not header.startswith(ALGORITHM + " "):
            raise self.error("incomplete", "Unsupported AWS 'algorithm': "
                             f"'{header.split(' ')[0][:40]}'.")
        fields = dict(part.strip().split("=", 1)
                      for part in header[len(ALGORITHM):].split(",")
                      if "=" in part)
        for name in ("Credential", "Signature", "SignedHeaders"):
            if not fields.get(name):
                raise self.error("incomplete", "Authorization header requires"
                                 f" '{name}' parameter.")
        scope = fields["Credential"].split("/")
        if len(scope) != 5:
            raise self.error("incomplete", "Credential must have exactly 5 "
                             "slash-delimited elements, e.g. keyid/date/"
                             "region/service/term")
        return (scope[0], scope[1:], fields["SignedHeaders"].split(";"),
                fields["Signature"])

    def date(self, raw):
        dates = raw.all("x-amz-date")
        if len(dates) != 1 or not re.fullmatch(r"\d{8}T\d{6}Z", dates[0]):
            raise self.error("incomplete", "Date must be in ISO-8601 'basic "
                             "format'.")
        return dates[0]

    def scope(self, scope, date):
        day, region, service, term = scope
        if day != date[:8]:
            raise self.error("mismatch", "Date in Credential scope does not "
                             "match YYYYMMDD from ISO-8601 version of date "
                             f"from HTTP: '{day}' != '{date[:8]}', from "
                             f"'{date}'.")
        if region != self.world.region:
            raise self.error("mismatch", "Credential should be scoped to a "
                             "valid region.")
        if service != self.model.signing_name:
            raise self.error("mismatch", "Credential should be scoped to "
                             f"correct service: '{self.model.signing_name}'.")
        if term != "aws4_request":
            raise self.error("mismatch", "Credential should be scoped with a "
                             "valid terminator: 'aws4_request'.")

    def coverage(self, raw, signed):
        if signed != sorted(signed) or len(set(signed)) != len(signed):
            raise self.error("mismatch", MISMATCH)
        sent = {name.lower() for name, _ in raw.headers}
        must = {"host"} | {name for name in sent if name.startswith("x-amz-")}
        missing = sorted(must - set(signed))
        if missing:
            raise self.error("mismatch", f"'{missing[0]}' must be a "
                             "'SignedHeader' in the AWS Authorization.")
        absent = sorted(set(signed) - sent)
        if absent:
            raise self.error("mismatch", f"'{absent[0]}' is signed but was "
                             "not sent.")

    def key(self, raw, access_key):
        key = self.world.credentials.find(access_key)
        token = raw.one("x-amz-security-token")
        if key is None or (key.token or None) != (token or None):
            raise self.error("unknown", "The security token included in the "
                             "request is invalid.")
        return key

    def content_hash(self, raw):
        given = raw.one("x-amz-content-sha256")
        if given is not None and \
                given != hashlib.sha256(raw.body).hexdigest():
            raise self.error("mismatch", MISMATCH)

    def signature(self, raw, signed, key, date):
        request = AWSRequest(method=raw.method,
                             url=f"http://{raw.one('host')}{raw.target}",
                             data=raw.body)
        for name in signed:
            for value in raw.all(name):
                request.headers.add_header(name, value)
        request.context["timestamp"] = date
        signer = SigV4Auth(Credentials(key.id, key.secret, key.token),
                           self.model.signing_name, self.world.region)
        text = signer.string_to_sign(request,
                                     signer.canonical_request(request))
        return signer.signature(text, request)

    def fresh(self, date):
        fmt = "%Y%m%dT%H%M%SZ"
        utc = datetime.timezone.utc
        signed = datetime.datetime.strptime(date, fmt).replace(tzinfo=utc)
        now = datetime.datetime.fromtimestamp(self.world.clock.server_now(),
                                              utc)
        skew = datetime.timedelta(seconds=SKEW_S)
        if signed < now - skew:
            raise self.error("mismatch", f"Signature expired: {date} is now "
                             f"earlier than {(now - skew).strftime(fmt)} "
                             f"({now.strftime(fmt)} - 5 min.)")
        if signed > now + skew:
            raise self.error("mismatch", f"Signature not yet current: {date} "
                             f"is still later than "
                             f"{(now + skew).strftime(fmt)} "
                             f"({now.strftime(fmt)} + 5 min.)")
