"""SSM parameters: versions, SecureString, GetParameters with what is invalid."""
import base64
import datetime
import hashlib
import re

from core import AwsError, Service

STANDARD_BYTES = 4096  # user guide, "Managing parameter tiers"
NAME = re.compile(r"[A-Za-z0-9_.\-/]+")


class Ssm(Service):
    id = "ssm"
    unsupported = {"PutParameter": {"AllowedPattern", "Policies"}}

    def __init__(self, world):
        super().__init__(world)
        self.parameters = {}  # name -> [{Value, Type, …}], oldest first

    def arn(self, name):
        return self.world.arn("ssm", "parameter/" + name.lstrip("/"))

    def PutParameter(self, params, request):
        name = params["Name"]
        self.check_name(name)
        if len(params["Value"].encode()) > STANDARD_BYTES and \
                params.get("Tier") != "Advanced":
            raise AwsError("ValidationException", "Standard tier parameters "
                           "support a maximum parameter value of 4096 "
                           "characters. To create a larger parameter value, "
                           "upgrade the parameter to use the advanced-"
                           "parameter tier.")
        with self.lock:
            versions = self.parameters.get(name, [])
            if versions and not params.get("Overwrite"):
                raise AwsError("ParameterAlreadyExists", "The parameter "
                               "already exists. To overwrite this value, set "
                               "the overwrite option in the request to true.")
            if "Type" not in params and not versions:
                raise AwsError("ValidationException", "A parameter type is "
                               "required when you create a parameter.")
            kind = params.get("Type") or versions[-1]["Type"]
            version = versions[-1]["Version"] + 1 if versions else 1
            self.parameters[name] = (versions + [{
                "Name": name, "Type": kind, "Value": params["Value"],
                "Version": version, "ARN": self.arn(name),
                "DataType": params.get("DataType", "text"),
                "LastModifiedDate": datetime.datetime.fromtimestamp(
                    self.world.clock.now(), datetime.timezone.utc)}])[-100:]
            return {"Version": version,
                    "Tier": params.get("Tier", "Standard")}

    @staticmethod
    def check_name(name):
        if not NAME.fullmatch(name) or ("/" in name and name[0] != "/"):
            raise AwsError("ValidationException", "Parameter name must be a "
                           "fully qualified name.")
        if re.match(r"/?(aws|ssm)", name, re.I):
            raise AwsError("ValidationException", "Parameter name: can't be "
                           "prefixed with \"aws\" or \"ssm\" "
                           "(case-insensitive).")

    def find(self, reference, decrypt):
        """The parameter, by name, ARN or name:version; None if not there."""
        prefix = self.world.arn("ssm", "parameter")
        if reference.startswith(prefix):
            rest = reference[len(prefix):]
            reference = rest if rest in self.parameters else rest[1:]
        name, _, selector = reference.partition(":")
        with self.lock:
            for found in reversed(self.parameters.get(name, [])):
                if not selector or str(found["Version"]) == selector:
                    return self.shown(found, decrypt)
        return None

    @staticmethod
    def shown(found, decrypt):
        if found["Type"] != "SecureString" or decrypt:
            return dict(found)
        cipher = hashlib.sha512(found["Value"].encode()).digest()
        return {**found, "Value": base64.b64encode(cipher).decode()}

    def GetParameter(self, params, request):
        found = self.find(params["Name"], params.get("WithDecryption", False))
        if found is None:
            raise AwsError("ParameterNotFound", "")
        return {"Parameter": found}

    def GetParameters(self, params, request):
        if len(set(params["Names"])) != len(params["Names"]):
            raise AwsError("ValidationException",
                           "Duplicate parameters are not allowed.")
        found = {name: self.find(name, params.get("WithDecryption", False))
                 for name in params["Names"]}
        return {"Parameters": [p for p in found.values() if p],
                "InvalidParameters": [n for n, p in found.items() if not p]}

    def DeleteParameter(self, params, request):
        with self.lock:
            if self.parameters.pop(params["Name"], None) is None:
                raise AwsError("ParameterNotFound", "")
        return {}


SERVICE = Ssm
