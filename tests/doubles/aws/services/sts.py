"""STS: who am I, and roles to assume."""
import base64
import datetime
import json
import os
import re
import secrets

from core import AwsError, Service

ROLE_ARN = re.compile(r"arn:aws:iam::(\d{12}):role/(?:.*/)?([\w+=,.@-]+)")
ISSUER = "https://token.actions.example"


class Sts(Service):
    id = "sts"
    unsupported = {
        "AssumeRole": {"SerialNumber", "TokenCode", "Policy", "PolicyArns"},
        "AssumeRoleWithWebIdentity": {"ProviderId", "Policy", "PolicyArns"},
    }

    def start(self):
        """A web identity token in a file, as EKS and CI systems leave it."""
        self.token_file = os.path.join(self.world.options.data,
                                       "web-identity-token")
        claims = {"iss": ISSUER, "sub": "system:slipway",
                  "aud": "sts.amazonaws.com", "jti": secrets.token_hex(16)}
        parts = [{"alg": "RS256", "typ": "JWT"}, claims, secrets.token_hex()]
        self.web_token = ".".join(
            base64.urlsafe_b64encode(json.dumps(p).encode()).decode()
            .rstrip("=") for p in parts)
        with open(self.token_file, "w", encoding="utf-8") as f:
            f.write(self.web_token)

    def ready_values(self):
        return {"WEB_IDENTITY_TOKEN_FILE": self.token_file}

    def GetCallerIdentity(self, params, request):
        name = request.access_key[4:]
        if ":assumed-role/" in request.principal:
            user = f"AROA{name}:{request.principal.rpartition('/')[2]}"
        else:
            user = "AIDA" + name
        return {"Account": self.world.account, "Arn": request.principal,
                "UserId": user}

    def role_name(self, params, request):
        match = ROLE_ARN.fullmatch(params["RoleArn"])
        if not match:
            raise AwsError("ValidationError",
                           f"{params['RoleArn']} is invalid")
        if match.group(1) != self.world.account:
            who = request.principal or "anonymous"
            raise AwsError("AccessDenied", f"User: {who} is not authorized "
                           f"to perform: sts:{request.operation} on resource:"
                           f" {params['RoleArn']}", 403)
        return match.group(2)

    def session(self, params, request):
        role = self.role_name(params, request)
        name = params["RoleSessionName"]
        key = self.world.credentials.temporary(
            role, name, params.get("DurationSeconds", 3600))
        return {
            "Credentials": {
                "AccessKeyId": key.id, "SecretAccessKey": key.secret,
                "SessionToken": key.token,
                "Expiration": datetime.datetime.fromtimestamp(
                    key.expires, datetime.timezone.utc)},
            "AssumedRoleUser": {"AssumedRoleId": f"AROA{key.id[4:]}:{name}",
                                "Arn": key.principal},
        }

    def AssumeRole(self, params, request):
        return self.session(params, request)

    def AssumeRoleWithWebIdentity(self, params, request):
        if params["WebIdentityToken"] != self.web_token:
            raise AwsError("InvalidIdentityToken", "The web identity token "
                           "that was passed could not be validated")
        return {**self.session(params, request),
                "Audience": "sts.amazonaws.com", "Provider": ISSUER,
                "SubjectFromWebIdentityToken": "system:slipway"}


SERVICE = Sts
