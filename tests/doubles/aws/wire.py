"""The two wire formats: JSON 1.1 and query in, XML out."""
import base64
import datetime
import json
import re
import urllib.parse
from xml.sax.saxutils import escape

import models
from core import AwsError

STAMP = re.compile(rb'"\\u0001(-?[0-9.]+E-?[0-9]+)"')


class Json:
    """application/x-amz-json-1.1"""

    content_type = "application/x-amz-json-1.1"

    @staticmethod
    def parse(shape, body):
        try:
            value = json.loads(body.decode() or "{}")
        except ValueError:
            raise AwsError("SerializationException",
                           "could not parse the body as JSON") from None
        if shape is None:
            models.need(value == {}, "the operation takes no members")
            return {}
        return models.decode(shape, value)

    @staticmethod
    def reply(model, operation, result, request_id):
        if model.operation(operation).output_shape is None:
            return b""
        return STAMP.sub(rb"\1", json.dumps(plain(result)).encode())

    @staticmethod
    def error(model, error, request_id):
        """The forms differ: a namespace, a capital, no message at all."""
        code = error.code
        if code in models.COMMON_ERRORS:
            code = "com.amazon.coral.service#" + code
        body = {"__type": code}
        capital = code.endswith(("#AccessDeniedException",
                                 "#SerializationException")) or \
            (model is not None and model.name == "secretsmanager")
        if error.message:
            body["Message" if capital else "message"] = error.message
        return json.dumps(body).encode()


def plain(value):
    if isinstance(value, dict):
        return {key: plain(member) for key, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(member) for member in value]
    if isinstance(value, datetime.datetime):
        # AWS's form is 1.4822E9; json.dumps() would write it otherwise.
        digits, _, exponent = f"{value.timestamp():.12E}".partition("E")
        return f"\x01{digits.rstrip('0').rstrip('.')}E{int(exponent)}"
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value


class Query:
    """Action=&Version=, answered in XML."""

    content_type = "text/xml"

    @staticmethod
    def parse(shape, body):
        form = dict(urllib.parse.parse_qsl(body.decode("utf-8", "replace"),
                                           keep_blank_values=True))
        form.pop("Action", None)
        form.pop("Version", None)
        params = take(shape, "", form) or {} if shape else {}
        if form:
            raise AwsError("ValidationError", "Unknown parameter: "
                           + ", ".join(sorted(form)))
        return params

    @staticmethod
    def reply(model, operation, result, request_id):
        shape = model.operation(operation).output_shape
        inner = ""
        if shape is not None:
            wrapper = shape.serialization.get("resultWrapper",
                                              operation + "Result")
            inner = f"<{wrapper}>{xml(shape, result)}</{wrapper}>"
        return document(f'<{operation}Response xmlns="{namespace(model)}">'
                        f"{inner}<ResponseMetadata><RequestId>{request_id}"
                        "</RequestId></ResponseMetadata>"
                        f"</{operation}Response>")

    @staticmethod
    def error(model, error, request_id):
        blame = "Receiver" if error.status >= 500 else "Sender"
        return document(f'<ErrorResponse xmlns="{namespace(model)}"><Error>'
                        f"<Type>{blame}</Type><Code>{error.code}</Code>"
                        f"<Message>{escape(error.message)}</Message></Error>"
                        f"<RequestId>{request_id}</RequestId>"
                        "</ErrorResponse>")


def document(text):
    return text.encode()


def namespace(model):
    return model.service.metadata.get("xmlNamespace", "")


def joined(prefix, name):
    return f"{prefix}.{name}" if prefix else name


def take(shape, prefix, form):
    """Remove what belongs to the shape from the form; None: not there."""
    if shape.type_name == "structure":
        found = {}
        for name, member in shape.members.items():
            wire_name = member.serialization.get("name", name)
            value = take(member, joined(prefix, wire_name), form)
            if value is not None:
                found[name] = value
        return found or None
    if shape.type_name == "list":
        return take_list(shape, prefix, form)
    if shape.type_name == "map":
        return take_map(shape, prefix, form)
    text = form.pop(prefix, None)
    return None if text is None else scalar(shape, text)


def take_list(shape, prefix, form):
    if form.get(prefix) == "":
        form.pop(prefix)
        return []
    if not shape.serialization.get("flattened"):
        prefix = joined(prefix, shape.member.serialization.get("name",
                                                               "member"))
    found = []
    while True:
        value = take(shape.member, f"{prefix}.{len(found) + 1}", form)
        if value is None:
            return found or None
        found.append(value)


def take_map(shape, prefix, form):
    found = {}
    number = 1
    while True:
        entry = f"{prefix}.entry.{number}"
        key = take(shape.key, entry + ".key", form)
        if key is None:
            return found or None
        found[key] = take(shape.value, entry + ".value", form)
        number += 1


def scalar(shape, text):
    try:
        if shape.type_name in ("integer", "long"):
            return int(text)
        if shape.type_name in ("float", "double"):
            return float(text)
        if shape.type_name == "boolean":
            return {"true": True, "false": False}[text]
        if shape.type_name == "timestamp":
            return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    except (ValueError, KeyError):
        raise AwsError("ValidationError",
                       f"'{text}' is no {shape.type_name}") from None
    return base64.b64decode(text) if shape.type_name == "blob" else text


def xml(shape, value):
    if shape.type_name == "structure":
        parts = []
        for name, member in value.items():
            inner = shape.members[name]
            tag = inner.serialization.get("name", name)
            parts.append(f"<{tag}>{xml(inner, member)}</{tag}>")
        return "".join(parts)
    if shape.type_name == "list":
        tag = shape.member.serialization.get("name", "member")
        return "".join(f"<{tag}>{xml(shape.member, member)}</{tag}>"
                       for member in value)
    if shape.type_name == "map":
        return "".join(f"<entry><key>{escape(key)}</key><value>"
                       f"{xml(shape.value, member)}</value></entry>"
                       for key, member in value.items())
    if shape.type_name == "boolean":
        return "true" if value else "false"
    if shape.type_name == "timestamp":
        return value.astimezone(datetime.timezone.utc).strftime(
            "%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    if shape.type_name == "blob":
        return base64.b64encode(value).decode()
    return escape(str(value))
