"""Secrets Manager: versions with staging labels, deletion that reserves.

Wording and rules: API reference of each operation; versions without a label
are deprecated, kept while there are fewer than 100 (user guide, "Quotas").
"""
import datetime
import json
import re
import secrets

from core import AwsError, Service

MAX_VERSIONS = 100
MAX_LABELS = 20
CURRENT, PREVIOUS = "AWSCURRENT", "AWSPREVIOUS"
NAME = re.compile(r"[A-Za-z0-9/_+=.@!-]{1,512}")
NOT_FOUND = "Secrets Manager can't find the specified secret."


class Secret:
    def __init__(self, name, arn, now):
        self.name = name
        self.arn = arn
        self.created = self.changed = now
        self.accessed = None
        self.deleted = None      # when it was marked
        self.gone = None         # when it will be
        self.description = None
        self.kms_key = None
        self.tags = {}
        self.versions = {}       # id -> {content, created}, oldest first
        self.labels = {}         # label -> version id

    def stages(self, version_id):
        return sorted(l for l, v in self.labels.items() if v == version_id)

    def label(self, label, version_id):
        """Move a label; what loses AWSCURRENT becomes AWSPREVIOUS."""
        before = self.labels.get(label)
        self.labels[label] = version_id
        if label == CURRENT and before not in (None, version_id):
            self.labels[PREVIOUS] = before
        if label == CURRENT and self.labels.get(PREVIOUS) == version_id:
            del self.labels[PREVIOUS]

    def prune(self):
        labelled = set(self.labels.values())
        for version_id in list(self.versions):
            if len(self.versions) <= MAX_VERSIONS:
                return
            if version_id not in labelled:
                del self.versions[version_id]


class SecretsManager(Service):
    id = "secretsmanager"
    unsupported = {"CreateSecret": {"AddReplicaRegions",
                                    "ForceOverwriteReplicaSecret"}}

    def __init__(self, world):
        super().__init__(world)
        self.secrets = {}  # name -> Secret

    def now(self):
        return datetime.datetime.fromtimestamp(int(self.world.clock.now()),
                                               datetime.timezone.utc)

    # ---- finding ----

    def lookup(self, secret_id):
        for name, secret in list(self.secrets.items()):
            if secret.gone and secret.gone <= self.world.clock.now():
                del self.secrets[name]
        for secret in self.secrets.values():
            # An ARN without its six random characters is accepted, too.
            if secret_id in (secret.name, secret.arn, secret.arn[:-7]):
                return secret
        return None

    def find(self, secret_id, even_deleted=False):
        secret = self.lookup(secret_id)
        if secret is None:
            raise AwsError("ResourceNotFoundException", NOT_FOUND)
        if secret.deleted and not even_deleted:
            raise AwsError("InvalidRequestException", "You can't perform this"
                           " operation on the secret because it was marked "
                           "for deletion.")
        return secret

    def version(self, secret, version_id, label):
        if version_id is None:
            label = label or CURRENT
            version_id = secret.labels.get(label)
            what = f"staging label: {label}"
        else:
            what = f"VersionId: {version_id}"
            if label and secret.labels.get(label) != version_id:
                raise AwsError("InvalidRequestException", "You provided a "
                               "VersionStage that is not associated to the "
                               "provided VersionId.")
        if version_id not in secret.versions:
            raise AwsError("ResourceNotFoundException", "Secrets Manager "
                           f"can't find the specified secret value for {what}")
        return version_id, secret.versions[version_id]

    # ---- writing ----

    @staticmethod
    def content(params):
        given = {key: params[key] for key in ("SecretString", "SecretBinary")
                 if key in params}
        if len(given) > 1:
            raise AwsError("InvalidParameterException", "You can't specify "
                           "both a binary secret value and a string secret "
                           "value in the same secret.")
        return given

    @staticmethod
    def token(params):
        token = params.get("ClientRequestToken")
        if not token:
            raise AwsError("InvalidRequestException", "You must provide a "
                           "ClientRequestToken value. We recommend a UUID-"
                           "type value.")
        return token

    def add_version(self, secret, token, content, labels):
        """True when it was there before, with the same content."""
        there = secret.versions.get(token)
        if there is not None:
            if there["content"] != content:
                raise AwsError("ResourceExistsException", "You can't use "
                               f"ClientRequestToken {token} because that "
                               "value is already in use for a version of "
                               f"secret {secret.arn}.")
            return True
        secret.versions[token] = {"content": content, "created": self.now()}
        for label in labels:
            secret.label(label, token)
        secret.changed = self.now()
        secret.prune()
        return False

    def CreateSecret(self, params, request):
        name = params["Name"]
        if not NAME.fullmatch(name):
            raise AwsError("ValidationException", "Invalid name. Must be a "
                           "valid name containing alphanumeric characters, or"
                           " any of the following: -/_+=.@!")
        token, content = self.token(params), self.content(params)
        with self.lock:
            there = self.lookup(name)
            if there is not None:
                return self.create_again(there, token, content)
            suffix = "".join(secrets.choice("abcdefghjkmnpqrstuvwxyzABCDEFGHJK"
                                            "MNPQRSTUVWXYZ") for _ in range(6))
            secret = Secret(name, self.world.arn(
                "secretsmanager", f"secret:{name}-{suffix}"), self.now())
            secret.description = params.get("Description")
            secret.kms_key = params.get("KmsKeyId")
            secret.tags = {t["Key"]: t.get("Value", "")
                           for t in params.get("Tags", [])}
            self.secrets[name] = secret
            return self.created(secret, token, content)

    def created(self, secret, token, content):
        reply = {"ARN": secret.arn, "Name": secret.name}
        if content:
            self.add_version(secret, token, content, [CURRENT])
            reply["VersionId"] = token
        return reply

    def create_again(self, secret, token, content):
        if secret.deleted:
            raise AwsError("InvalidRequestException", "You can't create this "
                           "secret because a secret with this name is already"
                           " scheduled for deletion.")
        if content and secret.versions.get(token, {}).get("content") == \
                content:
            return self.created(secret, token, content)
        raise AwsError("ResourceExistsException", "The operation failed "
                       f"because the secret {secret.name} already exists.")

    def PutSecretValue(self, params, request):
        token, content = self.token(params), self.content(params)
        if not content:
            raise AwsError("InvalidRequestException", "You must provide "
                           "either SecretString or SecretBinary.")
        labels = params.get("VersionStages", [CURRENT])
        with self.lock:
            secret = self.find(params["SecretId"])
            self.check_labels(secret, labels)
            self.add_version(secret, token, content, labels)
            return {"ARN": secret.arn, "Name": secret.name,
                    "VersionId": token, **self.staged(secret, token)}

    def UpdateSecretVersionStage(self, params, request):
        label = params["VersionStage"]
        target = params.get("MoveToVersionId")
        source = params.get("RemoveFromVersionId")
        with self.lock:
            secret = self.find(params["SecretId"])
            holder = secret.labels.get(label)
            if source is not None and holder != source:
                raise AwsError("InvalidParameterException", "The parameter "
                               "RemoveFromVersionId can't be used: the "
                               f"staging label {label} isn't attached to "
                               f"version {source}.")
            if target is None:
                if label == CURRENT or source is None:
                    raise AwsError("InvalidParameterException", "You can only"
                                   f" move staging label {CURRENT} to a "
                                   "different secret version. It can’t be "
                                   "completely removed.")
                del secret.labels[label]
            else:
                self.move_label(secret, label, holder, source, target)
            return {"ARN": secret.arn, "Name": secret.name}

    def move_label(self, secret, label, holder, source, target):
        self.version(secret, target, None)
        if holder not in (None, target) and source is None:
            raise AwsError("InvalidParameterException", "The parameter "
                           "RemoveFromVersionId can't be empty. Staging label"
                           f" {label} is currently attached to version "
                           f"{holder}, so you must explicitly reference that "
                           "version in RemoveFromVersionId.")
        self.check_labels(secret, [label])
        secret.label(label, target)

    @staticmethod
    def check_labels(secret, more):
        """User guide, "Quotas": labels attached across all versions."""
        if len({*secret.labels, *more}) > MAX_LABELS:
            raise AwsError("LimitExceededException", "The request failed "
                           "because it would exceed one of the Secrets "
                           "Manager quotas.")

    # ---- reading ----

    def GetSecretValue(self, params, request):
        with self.lock:
            secret = self.find(params["SecretId"])
            version_id, version = self.version(
                secret, params.get("VersionId"), params.get("VersionStage"))
            secret.accessed = self.now()
            return {"ARN": secret.arn, "Name": secret.name,
                    "VersionId": version_id, **version["content"],
                    **self.staged(secret, version_id),
                    "CreatedDate": version["created"]}

    @staticmethod
    def staged(secret, version_id):
        """The member VersionStages, which is never an empty list."""
        stages = secret.stages(version_id)
        return {"VersionStages": stages} if stages else {}

    def DescribeSecret(self, params, request):
        with self.lock:
            secret = self.find(params["SecretId"], even_deleted=True)
            stages = {v: secret.stages(v) for v in secret.versions}
            reply = {
                "ARN": secret.arn, "Name": secret.name,
                "Description": secret.description,
                "KmsKeyId": secret.kms_key,
                "CreatedDate": secret.created,
                "LastChangedDate": secret.changed,
                "LastAccessedDate": secret.accessed,
                "DeletedDate": secret.deleted,
                "Tags": [{"Key": k, "Value": v}
                         for k, v in secret.tags.items()],
                "VersionIdsToStages": {v: s for v, s in stages.items() if s},
            }
            return {k: v for k, v in reply.items() if v is not None}

    def ListSecretVersionIds(self, params, request):
        with self.lock:
            secret = self.find(params["SecretId"], even_deleted=True)
            found = []
            for version_id, version in secret.versions.items():
                staged = self.staged(secret, version_id)
                if staged or params.get("IncludeDeprecated"):
                    found.append({"VersionId": version_id,
                                  "CreatedDate": version["created"],
                                  **staged})
            start = int(params.get("NextToken", "0"))
            end = start + params.get("MaxResults", 100)
            reply = {"ARN": secret.arn, "Name": secret.name,
                     "Versions": found[start:end]}
            if end < len(found):
                reply["NextToken"] = str(end)
            return reply

    # ---- ending ----

    def DeleteSecret(self, params, request):
        force = params.get("ForceDeleteWithoutRecovery", False)
        days = params.get("RecoveryWindowInDays")
        if force and days is not None:
            raise AwsError("InvalidParameterException", "You can't use "
                           "ForceDeleteWithoutRecovery in conjunction with "
                           "RecoveryWindowInDays.")
        if days is not None and not 7 <= days <= 30:
            raise AwsError("InvalidParameterException", "The "
                           "RecoveryWindowInDays value must be between 7 and "
                           "30 days (inclusive).")
        with self.lock:
            secret = self.find(params["SecretId"])
            secret.deleted = self.now()
            wait = 0 if force else self.world.clock.scaled(
                (days or 30) * 86400)
            secret.gone = self.world.clock.now() + wait
            return {"ARN": secret.arn, "Name": secret.name,
                    "DeletionDate": datetime.datetime.fromtimestamp(
                        secret.gone, datetime.timezone.utc)}

    def RestoreSecret(self, params, request):
        with self.lock:
            secret = self.find(params["SecretId"], even_deleted=True)
            secret.deleted = secret.gone = None
            return {"ARN": secret.arn, "Name": secret.name}

    def TagResource(self, params, request):
        with self.lock:
            secret = self.find(params["SecretId"])
            for tag in params["Tags"]:
                secret.tags[tag["Key"]] = tag.get("Value", "")
        return {}

    # ---- for tasks ----

    def resolve(self, value_from):
        """What the ECS agent makes of containerDefinitions.secrets."""
        prefix = self.world.arn("secretsmanager", "secret:")
        if not value_from.startswith(prefix):
            found = self.world.services["ssm"].find(value_from, True)
            if found is None:
                raise AwsError("ParameterNotFound",
                               f"invalid ssm parameters: {value_from}")
            return found["Value"]
        parts = value_from[len(prefix):].split(":")
        if len(parts) not in (1, 4):
            raise AwsError("InvalidParameterException", "unexpected ARN "
                           f"format with parameters: {value_from}")
        name, key, label, version_id = parts + [""] * (4 - len(parts))
        with self.lock:
            secret = self.find(prefix + name)
            _, version = self.version(secret, version_id or None,
                                      label or None)
        return self.member(version["content"].get("SecretString", ""), key)

    @staticmethod
    def member(text, key):
        if not key:
            return text
        try:
            value = json.loads(text)[key]
        except (ValueError, KeyError, TypeError):
            raise AwsError("ResourceNotFoundException", "retrieved secret "
                           f"from Secrets Manager did not contain json key "
                           f"{key}") from None
        return value if isinstance(value, str) else json.dumps(value)


SERVICE = SecretsManager
