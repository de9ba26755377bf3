"""The service models of botocore, with newer shapes laid over them.

Decodes what a client sent into native types and refuses what AWS would
refuse and, by design, everything that the model does not know.  botocore's
own ParamValidator sees unknown and missing members and wrong types; enums,
patterns and ranges are checked here.  The same is done to our own responses.
"""
import base64
import binascii
import datetime
import os
import re

from botocore import loaders
from botocore.model import ServiceModel
from botocore.validate import ParamValidator

from core import AwsError

OVERLAY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "overlay")

# How each service calls a parameter that breaks a rule of its model.
VALIDATION_CODE = {
    "ecs": "InvalidParameterException",
    "ecr": "InvalidParameterException",
    "logs": "InvalidParameterException",
    "secretsmanager": "ValidationException",
    "ssm": "ValidationException",
    "sts": "ValidationError",
    "elbv2": "ValidationError",
}

# Errors that every service may answer with, whatever its model says.
COMMON_ERRORS = {
    "AccessDenied", "AccessDeniedException", "ExpiredToken",
    "ExpiredTokenException", "IncompleteSignature",
    "IncompleteSignatureException", "InternalFailure", "InvalidAction",
    "InvalidClientTokenId", "InvalidSignatureException",
    "MissingAuthenticationToken", "MissingAuthenticationTokenException",
    "SerializationException", "SignatureDoesNotMatch", "Throttling",
    "ThrottlingException", "UnknownOperationException",
    "UnrecognizedClientException", "ValidationError", "ValidationException",
}

# Unicode classes that Python's re does not know, as ranges for brackets.
CLASSES = {
    r"\p{L}": "A-Za-z\u00aa-\u1fff\u2c00-\ud7ff\uf900-\ufffd",
    r"\p{Z}": " \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u3000",
    r"\p{N}": "0-9\u00b2\u00b3\u00b9\u0660-\u0669",
    r"\p{Alnum}": "A-Za-z0-9",
    r"\p{Graph}": "!-~",
    r"\p{Print}": " -~",
    r"\p{Space}": r"\s",
}


def load(name):
    builtin = os.path.join(os.path.dirname(loaders.__file__), "data")
    loader = loaders.Loader(extra_search_paths=[OVERLAY, builtin],
                            include_default_search_paths=False)
    return Model(name, loader.load_service_model(name, "service-2"))


class Model:
    def __init__(self, name, description):
        self.name = name
        self.service = ServiceModel(description, name)
        self.is_json = self.service.metadata["protocol"] == "json"
        self.version = self.service.api_version
        self.target_prefix = self.service.metadata.get("targetPrefix")
        self.signing_name = self.service.signing_name
        self.operations = set(self.service.operation_names)
        self.patterns = {}

    def operation(self, name):
        return self.service.operation_model(name)

    # ---- what a client sent ----

    def check_input(self, operation, params):
        shape = self.operation(operation).input_shape
        problems = self.problems(shape, params, with_patterns=True)
        if problems:
            count = len(problems)
            raise AwsError(VALIDATION_CODE[self.name],
                           f"{count} validation error"
                           f"{'s' if count > 1 else ''} detected: "
                           + "; ".join(problems))

    # ---- what we answer ----

    def check_output(self, operation, result):
        """Problems of our own response, as texts."""
        shape = self.operation(operation).output_shape
        return self.problems(shape, result, with_patterns=False)

    def may_raise(self, operation, code):
        if code in COMMON_ERRORS or code == VALIDATION_CODE[self.name]:
            return True
        shapes = self.operation(operation).error_shapes
        return code in {s.metadata.get("error", {}).get("code", s.name)
                        for s in shapes} | {s.name for s in shapes}

    def problems(self, shape, value, with_patterns):
        if shape is None:
            return [f"no members are known, but: {value}"] if value else []
        report = ParamValidator().validate(value, shape)
        if report.has_errors():
            return [report.generate_report().replace("\n", "; ")]
        found = []
        self.constraints(shape, value, "", found, with_patterns)
        return found

    def constraints(self, shape, value, path, found, with_patterns):
        if shape.type_name == "structure":
            for name, member in value.items():
                self.constraints(shape.members[name], member,
                                 f"{path}.{name}".lstrip("."), found,
                                 with_patterns)
            return
        self.range(shape, value, path, found)
        if shape.type_name == "list":
            for number, member in enumerate(value, 1):
                self.constraints(shape.member, member,
                                 f"{path}.{number}.member", found,
                                 with_patterns)
        elif shape.type_name == "map":
            for key, member in value.items():
                self.constraints(shape.key, key, f"{path}.key", found,
                                 with_patterns)
                self.constraints(shape.value, member, f"{path}.{key}", found,
                                 with_patterns)
        elif shape.type_name == "string":
            self.text(shape, value, path, found, with_patterns)

    def range(self, shape, value, path, found):
        sized = shape.type_name in ("string", "list", "map", "blob")
        measure = len(value) if sized else value
        if shape.type_name not in ("integer", "long") and not sized:
            return
        low, high = shape.metadata.get("min"), shape.metadata.get("max")
        what = "have length" if sized else "have value"
        if low is not None and measure < low:
            found.append(self.broken(shape, value, path, f"Member must {what}"
                                     f" greater than or equal to {low}"))
        if high is not None and measure > high:
            found.append(self.broken(shape, value, path, f"Member must {what}"
                                     f" less than or equal to {high}"))

    def text(self, shape, value, path, found, with_patterns):
        if shape.enum and value not in shape.enum:
            found.append(self.broken(shape, value, path, "Member must satisfy"
                                     " enum value set: ["
                                     + ", ".join(shape.enum) + "]"))
        pattern = shape.metadata.get("pattern")
        if with_patterns and pattern and \
                not self.compiled(pattern).fullmatch(value):
            found.append(self.broken(shape, value, path, "Member must satisfy"
                                     f" regular expression pattern: {pattern}"))

    def compiled(self, pattern):
        if pattern not in self.patterns:
            text = pattern
            for name, ranges in CLASSES.items():
                text = text.replace(name, ranges)
            self.patterns[pattern] = re.compile(text)
        return self.patterns[pattern]

    @staticmethod
    def broken(shape, value, path, constraint):
        shown = "***" if shape.metadata.get("sensitive") else str(value)[:200]
        return (f"Value '{shown}' at '{path}' failed to satisfy constraint: "
                + constraint)


def decode(shape, value):
    """A JSON value as native types; members that are null are not there."""
    if shape.type_name == "structure":
        need(isinstance(value, dict), "Start of structure or map found where "
             "not expected.")
        return {name: decode(shape.members[name], member)
                if name in shape.members else member
                for name, member in value.items() if member is not None}
    if shape.type_name == "list":
        need(isinstance(value, list), "Expected list or null")
        return [decode(shape.member, member) for member in value]
    if shape.type_name == "map":
        need(isinstance(value, dict), "Expected map or null")
        return {key: decode(shape.value, member)
                for key, member in value.items()}
    return SCALARS[shape.type_name](value)


def need(condition, message):
    if not condition:
        raise AwsError("SerializationException", message)


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def decode_string(value):
    need(isinstance(value, str), f"{kind(value)} can not be converted to a "
         "String")
    return value


def decode_integer(value):
    need(is_number(value) and value == int(value),
         f"{kind(value)} can not be converted to an Integer")
    return int(value)


def decode_float(value):
    need(is_number(value), f"{kind(value)} can not be converted to a Double")
    return float(value)


def decode_boolean(value):
    need(isinstance(value, bool), f"{kind(value)} can not be converted to a "
         "Boolean")
    return value


def decode_timestamp(value):
    need(is_number(value), f"{kind(value)} can not be converted to a Date")
    return datetime.datetime.fromtimestamp(value, datetime.timezone.utc)


def decode_blob(value):
    need(isinstance(value, str), f"{kind(value)} can not be converted to a "
         "Blob")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise AwsError("SerializationException", "invalid base64") from None


def kind(value):
    if isinstance(value, bool):
        return f"{str(value).upper()}_VALUE"
    return {str: "STRING_VALUE", int: "NUMBER_VALUE", float: "DECIMAL_VALUE",
            list: "START_ARRAY", dict: "START_OBJECT"}.get(type(value), "NULL")


SCALARS = {
    "string": decode_string, "integer": decode_integer,
    "long": decode_integer, "float": decode_float, "double": decode_float,
    "boolean": decode_boolean, "timestamp": decode_timestamp,
    "blob": decode_blob,
}


def redact(shape, value):
    """For the journal: what the model calls sensitive is not kept."""
    if shape is None:
        return value
    if shape.metadata.get("sensitive"):
        return "***"
    if shape.type_name == "structure" and isinstance(value, dict):
        return {k: redact(shape.members[k], v) if k in shape.members else v
                for k, v in value.items()}
    if shape.type_name == "list" and isinstance(value, list):
        return [redact(shape.member, v) for v in value]
    if shape.type_name == "map" and isinstance(value, dict):
        return {k: redact(shape.value, v) for k, v in value.items()}
    if isinstance(value, datetime.datetime):
        return value.timestamp()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value
