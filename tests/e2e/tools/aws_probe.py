#!/usr/bin/python3
"""Drives the double of AWS as a stranger: botocore, boto3, raw sockets.

  aws_probe.py CHECK     one function below; exit code 1 and a text if it is
                         not so

The environment is the double's ready file.
"""
import base64
import datetime
import hashlib
import http.client
import json
import os
import re
import socket
import sys
import time
import urllib.parse
import urllib.request

import boto3
import botocore.exceptions
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

ENDPOINT = os.environ["AWS_ENDPOINT_URL"]
HOST = ENDPOINT[len("http://"):]
ADMIN = os.environ["ADMIN_URL"]
REGION = os.environ["AWS_DEFAULT_REGION"]
KEY = Credentials(os.environ["AWS_ACCESS_KEY_ID"],
                  os.environ["AWS_SECRET_ACCESS_KEY"])
ACCOUNT = "123456789012"
TARGETS = {"logs": "Logs_20140328", "ssm": "AmazonSSM",
           "secretsmanager": "secretsmanager",
           "ecr": "AmazonEC2ContainerRegistry_V20150921"}
CHECKS = {}


def check(function):
    CHECKS[function.__name__] = function
    return function


def same(got, wanted):
    if got != wanted:
        raise AssertionError(f"got {got!r}, not {wanted!r}")


def has(text, *parts):
    for part in parts:
        if part not in text:
            raise AssertionError(f"{part!r} is not in {text!r}")


def client(service, attempts=1, key=KEY):
    return boto3.client(service, endpoint_url=ENDPOINT, region_name=REGION,
                        aws_access_key_id=key.access_key,
                        aws_secret_access_key=key.secret_key,
                        aws_session_token=key.token,
                        config=Config(retries={"total_max_attempts": attempts,
                                               "mode": "standard"}))


def refused(code, function, *parts, **params):
    """The call fails with that code and those words."""
    try:
        function(**params)
    except botocore.exceptions.ClientError as e:
        same(e.response["Error"]["Code"], code)
        has(e.response["Error"].get("Message", ""), *parts)
        return e.response
    raise AssertionError(f"was not refused with {code}")


def admin(method, path, value=None):
    body = None if value is None else json.dumps(value).encode()
    request = urllib.request.Request(ADMIN + path, body, method=method)
    with urllib.request.urlopen(request, timeout=10) as reply:
        return json.load(reply)


# ---- raw requests ----

def build(service="logs", operation="DescribeLogGroups", params=None,
          key=KEY, region=REGION, scope=None, at=None, headers=None):
    """A signed request that a check may spoil before it is sent."""
    if service == "sts":
        body = urllib.parse.urlencode({"Action": operation,
                                       "Version": "2011-06-15",
                                       **(params or {})})
        kind = "application/x-www-form-urlencoded; charset=utf-8"
        extra = {}
    else:
        body = params if isinstance(params, str) else json.dumps(params or {})
        kind = "application/x-amz-json-1.1"
        extra = {"X-Amz-Target": f"{TARGETS.get(service, service)}."
                                 f"{operation}"}
    request = AWSRequest("POST", ENDPOINT + "/", data=body.encode(),
                         headers={"Host": HOST, "Content-Type": kind,
                                  **extra, **(headers or {})})
    if key is not None:
        sign(request, key, scope or service, region, at)
    return request


def sign(request, key, scope, region, at):
    """botocore signs with its own idea of now; let it think another one."""
    true = datetime.datetime

    class Then(true):
        @classmethod
        def utcnow(cls):
            return true.utcnow() + datetime.timedelta(seconds=at or 0)

    datetime.datetime = Then
    try:
        SigV4Auth(key, scope, region).add_auth(request)
    finally:
        datetime.datetime = true


def send(request, path="/", method="POST"):
    """(status, headers, code, text)"""
    connection = http.client.HTTPConnection(HOST, timeout=20)
    connection.putrequest(method, path, skip_host=True,
                          skip_accept_encoding=True)
    for name, value in request.headers.items():
        connection.putheader(name, value)
    connection.putheader("Content-Length", str(len(request.data)))
    connection.endheaders(request.data)
    reply = connection.getresponse()
    text = reply.read().decode()
    code = ""
    if text.startswith("{"):
        code = json.loads(text).get("__type", "").split("#")[-1]
    elif "<Code>" in text:
        code = text.split("<Code>")[1].split("</Code>")[0]
    return reply.status, reply.headers, code, text


def expect(request, status, code, *parts):
    got_status, _, got_code, text = send(request)
    same((got_status, got_code), (status, code))
    has(text, *parts)


def temporary():
    reply = client("sts").assume_role(
        RoleArn=f"arn:aws:iam::{ACCOUNT}:role/probe",
        RoleSessionName="probe")["Credentials"]
    return Credentials(reply["AccessKeyId"], reply["SecretAccessKey"],
                       reply["SessionToken"])


# ---- signatures ----

@check
def good_signature():
    same(send(build())[0], 200)
    same(send(build("sts", "GetCallerIdentity"))[0], 200)
    text = send(build("ecr", "GetAuthorizationToken"))[3]
    if not re.search(r'"expiresAt": 1\.\d+E9[,}]', text):
        raise AssertionError("times are not written as AWS does")


@check
def wrong_secret():
    last = "x" if KEY.secret_key.endswith("_") else "_"
    bad = Credentials(KEY.access_key, KEY.secret_key[:-1] + last)
    expect(build(key=bad), 400, "InvalidSignatureException",
           "does not match the signature you provided")
    expect(build("sts", "GetCallerIdentity", key=bad), 403,
           "SignatureDoesNotMatch")


@check
def unknown_key():
    bad = Credentials("AKIAIOSFODNN7EXAMPLE", KEY.secret_key)
    expect(build(key=bad), 400, "UnrecognizedClientException",
           "security token included in the request is invalid")
    expect(build("sts", "GetCallerIdentity", key=bad), 403,
           "InvalidClientTokenId")


@check
def no_signature():
    expect(build(key=None), 400, "MissingAuthenticationTokenException")
    request = build()
    request.headers.replace_header("Authorization", "AWS4-HMAC-SHA256 "
                                   "Credential=a/b, Signature=c")
    expect(request, 400, "IncompleteSignatureException", "SignedHeaders")


@check
def old_date():
    expect(build(at=-360), 400, "InvalidSignatureException",
           "Signature expired: ", " is now earlier than ", "- 5 min.")
    expect(build(at=360), 400, "InvalidSignatureException",
           "Signature not yet current: ", "+ 5 min.")
    same(send(build(at=-240))[0], 200)


@check
def wrong_scope():
    expect(build(region="eu-west-1"), 400, "InvalidSignatureException",
           "valid region")
    expect(build(scope="ecs"), 400, "InvalidSignatureException",
           "correct service: 'logs'")
    request = build()
    text = request.headers["Authorization"]
    day = text.split("/")[1]
    request.headers.replace_header("Authorization",
                                   text.replace(f"/{day}/", "/20200101/"))
    expect(request, 400, "InvalidSignatureException",
           "Date in Credential scope does not match")


@check
def changed_after_signing():
    request = build(params={"limit": 5})
    request.data = b'{"limit": 6}'
    expect(request, 400, "InvalidSignatureException")
    request = build()
    request.headers.replace_header("X-Amz-Target",
                                   "Logs_20140328.DescribeLogStreams")
    expect(request, 400, "InvalidSignatureException")
    request = build()
    request.headers["X-Amz-Content-SHA256"] = hashlib.sha256(b"").hexdigest()
    expect(request, 400, "InvalidSignatureException")


@check
def unsigned_header():
    request = build()
    request.headers["X-Amz-Extra"] = "1"
    expect(request, 400, "InvalidSignatureException",
           "'x-amz-extra' must be a 'SignedHeader'")


@check
def session_token():
    key = temporary()
    same(send(build(key=key))[0], 200)
    expect(build(key=Credentials(key.access_key, key.secret_key)), 400,
           "UnrecognizedClientException")
    expect(build(key=Credentials(key.access_key, key.secret_key, "x")), 400,
           "UnrecognizedClientException")
    admin("POST", "/credentials", {"expire_in": 0})
    expect(build(key=key), 400, "ExpiredTokenException", "is expired")
    expect(build("sts", "GetCallerIdentity", key=key), 403, "ExpiredToken")
    other = temporary()
    admin("POST", "/credentials", {"rotate": True})
    expect(build(key=other), 400, "UnrecognizedClientException")


# ---- members ----

@check
def unknown_member():
    expect(build(params={"logGroupNamePrefix": "/a", "colour": "red"}), 400,
           "InvalidParameterException", "colour")
    expect(build("ecr", "DescribeImages", {
        "repositoryName": "a/b", "filter": {"tagStatus": "ANY", "x": 1}}),
        400, "InvalidParameterException", "filter")
    expect(build("sts", "GetCallerIdentity", {"Colour": "red"}), 400,
           "ValidationError", "Colour")


@check
def missing_member():
    expect(build("logs", "CreateLogStream", {"logGroupName": "/a"}), 400,
           "InvalidParameterException", "logStreamName")
    expect(build("sts", "AssumeRole", {"RoleSessionName": "abc"}), 400,
           "ValidationError", "RoleArn")


@check
def wrong_enum():
    expect(build("logs", "DescribeLogStreams",
                 {"logGroupName": "/a", "orderBy": "Size"}), 400,
           "InvalidParameterException", "enum value set: [LogStreamName")
    expect(build("ssm", "PutParameter", {"Name": "/a/b", "Value": "v",
                                         "Type": "Secure"}), 400,
           "ValidationException", "enum value set")


@check
def wrong_pattern_and_range():
    expect(build("logs", "CreateLogGroup", {"logGroupName": "a b"}), 400,
           "InvalidParameterException", "regular expression pattern")
    expect(build("logs", "CreateLogGroup", {"logGroupName": "a" * 513}), 400,
           "InvalidParameterException", "less than or equal to 512")
    expect(build("logs", "DescribeLogGroups", {"limit": 0}), 400,
           "InvalidParameterException")
    expect(build("logs", "DescribeLogGroups", {"limit": 51}), 400,
           "InvalidParameterException")
    expect(build("secretsmanager", "PutSecretValue", {
        "SecretId": "a", "ClientRequestToken": "a" * 36,
        "SecretString": "s" * 65537}), 400, "ValidationException", "***")


@check
def wrong_type():
    expect(build(params={"limit": "5"}), 400, "SerializationException")
    expect(build(params={"limit": True}), 400, "SerializationException")
    expect(build(params={"logGroupNamePrefix": 5}), 400,
           "SerializationException")
    expect(build(params="{"), 400, "SerializationException")
    expect(build(params="[]"), 400, "SerializationException")
    same(send(build(params={"limit": None}))[0], 200)
    expect(build("ssm", "PutParameter", {
        "Name": "/a/b", "Value": "v", "Type": "String", "Policies": "{}"}),
        400, "ValidationException", "does not support Policies")


@check
def unknown_operation():
    expect(build("logs", "MakeCoffee"), 400, "UnknownOperationException")
    expect(build("logs", "StartQuery"), 400, "UnknownOperationException")
    expect(build("AmazonCoffee", "Make"), 404, "UnknownOperationException")
    expect(build("sts", "MakeCoffee"), 400, "InvalidAction")
    same(send(build(), path="/else")[0], 404)
    same(send(build(), method="PUT")[0], 404)


@check
def own_replies_are_checked():
    sys.path.insert(0, "tests/doubles/aws")
    sys.dont_write_bytecode = True
    import models
    logs, ecs = models.load("logs"), models.load("ecs")
    same(logs.check_output("DescribeLogGroups", {"logGroups": []}), [])
    for bad in ({"groups": []}, {"logGroups": {}},
                {"logGroups": [{"creationTime": "now"}]}):
        if not logs.check_output("DescribeLogGroups", bad):
            raise AssertionError(f"{bad} was let through")
    has(str(ecs.check_output("RunTask", {"tasks": [{"launchType": "MOON"}]})),
        "enum value set")
    same(logs.may_raise("GetLogEvents", "ResourceNotFoundException"), True)
    same(logs.may_raise("GetLogEvents", "ResourceInUseException"), False)


@check
def newer_shapes():
    sys.path.insert(0, "tests/doubles/aws")
    sys.dont_write_bytecode = True
    import models
    ecs = models.load("ecs")
    same(ecs.check_input("RunTask", {"taskDefinition": "a",
                                     "clientToken": "b"}), None)
    breaker = {"enable": True, "rollback": True, "resetOnHealthyTask": False,
               "thresholdConfiguration": {"type": "COUNT", "value": 3}}
    same(ecs.check_input("CreateService", {
        "serviceName": "a", "deploymentConfiguration": {
            "deploymentCircuitBreaker": breaker, "strategy": "ROLLING",
            "alarms": {"alarmNames": [], "enable": False,
                       "rollback": False}}}), None)
    for name in ("DeleteTaskDefinitions", "ListServiceDeployments",
                 "DescribeServiceDeployments", "StopServiceDeployment"):
        ecs.operation(name)


# ---- services ----

@check
def sts():
    same(client("sts").get_caller_identity()["Account"], ACCOUNT)
    has(client("sts", key=temporary()).get_caller_identity()["Arn"],
        ":assumed-role/probe/probe")
    refused("AccessDenied", client("sts").assume_role, "sts:AssumeRole",
            RoleArn="arn:aws:iam::210987654321:role/x",
            RoleSessionName="abc")
    with open(os.environ["WEB_IDENTITY_TOKEN_FILE"], encoding="utf-8") as f:
        token = f.read()
    call = client("sts").assume_role_with_web_identity
    arn = f"arn:aws:iam::{ACCOUNT}:role/probe"
    reply = call(RoleArn=arn, RoleSessionName="web", WebIdentityToken=token)
    has(reply["AssumedRoleUser"]["Arn"], "assumed-role/probe/web")
    refused("InvalidIdentityToken", call, RoleArn=arn, RoleSessionName="web",
            WebIdentityToken="forged")


def get(url, method="GET", headers=None):
    request = urllib.request.Request(url, method=method,
                                     headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=10) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as e:
        return e.code, e.read().decode()


@check
def instance_metadata():
    """botocore's own provider finds credentials there, and they sign."""
    base = os.environ["METADATA_URL"]
    same(get(base + "/latest/meta-data/placement/region")[0], 401)
    same(get(base + "/latest/api/token", "PUT")[0], 400)
    from botocore.utils import InstanceMetadataFetcher
    found = InstanceMetadataFetcher(
        base_url=base + "/", env={}).retrieve_iam_role_credentials()
    key = Credentials(found["access_key"], found["secret_key"],
                      found["token"])
    has(client("sts", key=key).get_caller_identity()["Arn"], "slipway-host")
    fault(kind="error", service="metadata", code="AssumeRoleUnauthorized"
          "Access", operation="/latest/meta-data/iam/security-credentials/"
          "slipway-host")
    same(InstanceMetadataFetcher(
        base_url=base + "/", env={}).retrieve_iam_role_credentials(), {})


@check
def container_credentials():
    from botocore.utils import ContainerMetadataFetcher
    url = os.environ["CONTAINER_CREDENTIALS_URL"]
    with open(os.environ["CONTAINER_TOKEN_FILE"], encoding="utf-8") as f:
        token = f.read()
    same(get(url)[0], 403)
    same(get(url, headers={"Authorization": "no"})[0], 403)
    found = ContainerMetadataFetcher().retrieve_full_uri(
        url, {"Authorization": token})
    key = Credentials(found["AccessKeyId"], found["SecretAccessKey"],
                      found["Token"])
    has(client("sts", key=key).get_caller_identity()["Arn"], "slipway-task")


@check
def ecr_repositories():
    ecr = client("ecr")
    refused("RepositoryNotFoundException", ecr.describe_repositories,
            "'shop/web' does not exist", repositoryNames=["shop/web"])
    made = ecr.create_repository(
        repositoryName="shop/web", imageTagMutability="IMMUTABLE",
        tags=[{"Key": "a", "Value": "b"}])["repository"]
    same(made["repositoryUri"], os.environ["REGISTRY"] + "/shop/web")
    refused("RepositoryAlreadyExistsException", ecr.create_repository,
            repositoryName="shop/web")
    refused("ImageNotFoundException", ecr.describe_images,
            "imageTag:'v1'", repositoryName="shop/web",
            imageIds=[{"imageTag": "v1"}])
    rule = {"rules": [{"rulePriority": 1, "action": {"type": "expire"},
                       "selection": {"tagStatus": "untagged",
                                     "countType": "imageCountMoreThan",
                                     "countNumber": 5}}]}
    ecr.put_lifecycle_policy(repositoryName="shop/web",
                             lifecyclePolicyText=json.dumps(rule))
    rule["rules"][0]["selection"]["tagStatus"] = "some"
    refused("InvalidParameterException", ecr.put_lifecycle_policy,
            "tagStatus", repositoryName="shop/web",
            lifecyclePolicyText=json.dumps(rule))
    token = ecr.get_authorization_token()["authorizationData"][0]
    has(base64.b64decode(token["authorizationToken"]).decode(), "AWS:")
    has(token["proxyEndpoint"], os.environ["REGISTRY"])


@check
def ecr_images():
    """After the script pushed shop/web:v1 (and v1 again as :same)."""
    ecr = client("ecr")
    name = "shop/web"
    image = ecr.describe_images(repositoryName=name,
                                imageIds=[{"imageTag": "v1"}])[
                                    "imageDetails"][0]
    same(image["imageTags"], ["same", "v1"])
    ids = ecr.list_images(repositoryName=name)["imageIds"]
    same(sorted(i["imageTag"] for i in ids), ["same", "v1"])
    got = ecr.batch_get_image(repositoryName=name, imageIds=[
        {"imageTag": "v1"}, {"imageTag": "nope"}])
    digest = "sha256:" + hashlib.sha256(
        got["images"][0]["imageManifest"].encode()).hexdigest()
    same(digest, image["imageDigest"])
    same(got["failures"][0]["failureCode"], "ImageNotFound")
    ecr.put_image(repositoryName=name, imageTag="third",
                  imageManifest=got["images"][0]["imageManifest"])
    gone = ecr.batch_delete_image(repositoryName=name, imageIds=[
        {"imageTag": "third"}, {"imageTag": "nope"}])
    same(len(gone["imageIds"]), 1)
    same(gone["failures"][0]["failureCode"], "ImageNotFound")
    ecr.batch_delete_image(repositoryName=name,
                           imageIds=[{"imageDigest": digest}])
    same(ecr.describe_images(repositoryName=name)["imageDetails"], [])
    refused("RepositoryNotFoundException", ecr.delete_repository,
            repositoryName="none/there")
    ecr.delete_repository(repositoryName=name)


def log_lines(count, group="/shop", stream="web/main/1", text="line {}"):
    now = int(time.time() * 1000)
    client("logs").put_log_events(
        logGroupName=group, logStreamName=stream,
        logEvents=[{"timestamp": now + i, "message": text.format(i)}
                   for i in range(count)])
    return now


@check
def logs_groups():
    logs = client("logs")
    logs.create_log_group(logGroupName="/shop")
    refused("ResourceAlreadyExistsException", logs.create_log_group,
            logGroupName="/shop")
    logs.put_retention_policy(logGroupName="/shop", retentionInDays=30)
    refused("InvalidParameterException", logs.put_retention_policy,
            logGroupName="/shop", retentionInDays=31)
    found = logs.describe_log_groups(logGroupNamePrefix="/sh")["logGroups"]
    same(found[0]["retentionInDays"], 30)
    refused("ResourceNotFoundException", logs.create_log_stream,
            "log group does not exist", logGroupName="/no",
            logStreamName="a")
    refused("ResourceNotFoundException", logs.get_log_events,
            "log stream does not exist", logGroupName="/shop",
            logStreamName="a")
    for name in ("web/main/1", "web/main/2", "worker/main/1"):
        logs.create_log_stream(logGroupName="/shop", logStreamName=name)
    pages = logs.get_paginator("describe_log_streams").paginate(
        logGroupName="/shop", logStreamNamePrefix="web/",
        PaginationConfig={"PageSize": 1})
    same([s["logStreamName"] for page in pages for s in page["logStreams"]],
         ["web/main/1", "web/main/2"])
    refused("InvalidParameterException", logs.put_log_events,
            "chronological", logGroupName="/shop",
            logStreamName="web/main/1",
            logEvents=[{"timestamp": 2, "message": "a"},
                       {"timestamp": 1, "message": "b"}])


@check
def logs_one_stream():
    """The token is the same at the end, and goes on when more comes."""
    logs = client("logs")
    where = {"logGroupName": "/shop", "logStreamName": "web/main/1"}
    token = {}
    log_lines(25)
    seen = []
    while True:
        page = logs.get_log_events(**where, **token, startFromHead=True,
                                   limit=10)
        seen += [e["message"] for e in page["events"]]
        if token.get("nextToken") == page["nextForwardToken"]:
            break
        token = {"nextToken": page["nextForwardToken"]}
    same(seen, [f"line {i}" for i in range(25)])
    time.sleep(0.05)  # so that the next ones are later
    log_lines(2, text="more {}")
    page = logs.get_log_events(**where, **token, startFromHead=True)
    same([e["message"] for e in page["events"]], ["more 0", "more 1"])
    page = logs.get_log_events(**where, limit=3)
    same([e["message"] for e in page["events"]],
         ["line 24", "more 0", "more 1"])
    page = logs.get_log_events(**where, limit=3,
                               nextToken=page["nextBackwardToken"])
    same([e["message"] for e in page["events"]],
         ["line 21", "line 22", "line 23"])
    refused("InvalidParameterException", logs.get_log_events, **where,
            nextToken="f/12")


def search(**params):
    """All messages, and how many pages held nothing."""
    logs, seen, empty = client("logs", attempts=8), [], 0
    while True:
        page = logs.filter_log_events(logGroupName="/shop", **params)
        seen += [e["message"] for e in page["events"]]
        empty += not page["events"] and "nextToken" in page
        if "nextToken" not in page:
            return seen, empty
        params["nextToken"] = page["nextToken"]


@check
def logs_search():
    log_lines(1200, stream="worker/main/1", text="job {} done")
    before = len(search(logStreamNamePrefix="worker/")[0])
    time.sleep(1)  # longer than the ingestion takes at scale 60
    seen = [search(logStreamNamePrefix="worker/",
                   filterPattern='"job 119" done') for _ in range(2)]
    for messages, _ in seen:
        same(len(messages), 11)
    if before >= 1200 or not any(empty for _, empty in seen):
        raise AssertionError(f"no lag ({before}) or no empty page ({seen})")
    same(search(logStreamNames=["web/main/1"], filterPattern="?more ?none")[0],
         ["more 0", "more 1"])
    refused("InvalidParameterException",
            client("logs", attempts=8).filter_log_events,
            logGroupName="/shop", filterPattern="[a, b]")


@check
def logs_search_is_throttled():
    logs = client("logs")
    for number in range(12):
        try:
            logs.filter_log_events(logGroupName="/shop", limit=1)
        except logs.exceptions.ClientError as e:
            same(e.response["Error"]["Code"], "ThrottlingException")
            return
    raise AssertionError("12 searches at once were allowed")


@check
def filter_patterns():
    sys.path.insert(0, "tests/doubles/aws")
    sys.dont_write_bytecode = True
    import filter_pattern
    line = "GET /a 500 ERROR slow"
    event = json.dumps({"level": "error", "n": 5, "user": {"id": "u1"},
                        "gone": None})
    for pattern, text, wanted in (
            ("", line, True), ("ERROR", line, True), ("error", line, False),
            ("GET -ERROR", line, False), ("GET -WARN", line, True),
            ("?WARN ?ERROR", line, True), ('"500 ERROR"', line, True),
            ('"ERROR 500"', line, False),
            ('{ $.level = "error" }', event, True),
            ('{ $.level = "err*" && $.n > 4 }', event, True),
            ('{ $.level != "error" || $.n >= 6 }', event, False),
            ('{ ($.n < 1) || ($.user.id = "u1") }', event, True),
            ('{ $.gone IS NULL }', event, True),
            ('{ $.lost NOT EXISTS }', event, True),
            ('{ $.level = "error" }', line, False)):
        if filter_pattern.compile(pattern)(text) != wanted:
            raise AssertionError(f"{pattern} on {text}")


@check
def secret_versions():
    secrets = client("secretsmanager")
    first = secrets.create_secret(Name="slipway/shop", SecretString="one",
                                  ClientRequestToken="1" * 32)
    name = first["ARN"]
    refused("ResourceExistsException", secrets.create_secret,
            Name="slipway/shop", SecretString="else")
    for number in ("2", "3"):
        secrets.put_secret_value(SecretId=name, SecretString=number,
                                 ClientRequestToken=number * 32)
    value = secrets.get_secret_value
    same(value(SecretId=name)["SecretString"], "3")
    same(value(SecretId="slipway/shop", VersionStage="AWSPREVIOUS")
         ["SecretString"], "2")
    same(value(SecretId=name, VersionId="1" * 32)["SecretString"], "one")
    refused("ResourceNotFoundException", value, "VersionId: " + "9" * 32,
            SecretId=name, VersionId="9" * 32)
    refused("ResourceExistsException", secrets.put_secret_value,
            SecretId=name, SecretString="other", ClientRequestToken="2" * 32)
    listed = secrets.list_secret_version_ids(SecretId=name)["Versions"]
    same(len(listed), 2)
    listed = secrets.list_secret_version_ids(SecretId=name,
                                             IncludeDeprecated=True)
    same(len(listed["Versions"]), 3)
    secrets.update_secret_version_stage(SecretId=name, VersionStage="v1",
                                        MoveToVersionId="1" * 32)
    secrets.tag_resource(SecretId=name, Tags=[{"Key": "a", "Value": "b"}])
    shown = secrets.describe_secret(SecretId=name)
    same(shown["VersionIdsToStages"]["1" * 32], ["v1"])
    same(shown["Tags"], [{"Key": "a", "Value": "b"}])


@check
def secret_deletion():
    secrets = client("secretsmanager")
    secrets.create_secret(Name="gone", SecretString="x")
    secrets.delete_secret(SecretId="gone", RecoveryWindowInDays=7)
    refused("InvalidRequestException", secrets.get_secret_value,
            "marked for deletion", SecretId="gone")
    refused("InvalidRequestException", secrets.create_secret,
            "already scheduled for deletion", Name="gone", SecretString="x")
    secrets.restore_secret(SecretId="gone")
    same(secrets.get_secret_value(SecretId="gone")["SecretString"], "x")
    secrets.delete_secret(SecretId="gone", ForceDeleteWithoutRecovery=True)
    refused("ResourceNotFoundException", secrets.describe_secret,
            SecretId="gone")


@check
def parameters():
    ssm = client("ssm")
    refused("ParameterNotFound", ssm.get_parameter, Name="/shop/none")
    ssm.put_parameter(Name="/shop/key", Value="v1", Type="SecureString")
    refused("ParameterAlreadyExists", ssm.put_parameter,
            "set the overwrite option", Name="/shop/key", Value="v2",
            Type="SecureString")
    same(ssm.put_parameter(Name="/shop/key", Value="v2",
                           Overwrite=True)["Version"], 2)
    got = ssm.get_parameter(Name="/shop/key", WithDecryption=True)
    same(got["Parameter"]["Value"], "v2")
    if ssm.get_parameter(Name="/shop/key")["Parameter"]["Value"] == "v2":
        raise AssertionError("told in clear")
    same(ssm.get_parameter(Name="/shop/key:1", WithDecryption=True)
         ["Parameter"]["Value"], "v1")
    got = ssm.get_parameters(Names=["/shop/key", "/shop/none"])
    same((len(got["Parameters"]), got["InvalidParameters"]),
         (1, ["/shop/none"]))
    refused("ValidationException", ssm.put_parameter, "4096",
            Name="/shop/big", Value="x" * 4097, Type="String")
    ssm.delete_parameter(Name="/shop/key")
    refused("ParameterNotFound", ssm.delete_parameter, Name="/shop/key")


# ---- faults ----

def fault(**fields):
    admin("POST", "/faults", fields)


@check
def fault_throttle():
    fault(kind="throttle", service="logs", operation="DescribeLogGroups",
          skip=1, times=1, retry_after_ms=1500)
    logs = client("logs")
    logs.describe_log_groups()
    reply = refused("ThrottlingException", logs.describe_log_groups,
                    "Rate exceeded")
    same(reply["ResponseMetadata"]["HTTPHeaders"]["x-amz-retry-after"],
         "1500")
    logs.describe_log_groups()
    fault(kind="throttle", service="sts")
    refused("Throttling", client("sts").get_caller_identity)


@check
def fault_storm():
    """Half of the calls fail; a client with retries gets through."""
    fault(kind="throttle", probability=0.5)
    logs = client("logs", attempts=10)
    for _ in range(3):
        logs.describe_log_groups()
    struck = admin("GET", "/faults")[0]
    if not 0 < struck["struck"] < struck["seen"]:
        raise AssertionError(struck)


@check
def fault_html():
    for kind, status in (("http-500", 500), ("http-503", 503)):
        fault(kind=kind, times=1)
        got, headers, _, text = send(build())
        same((got, headers["Content-Type"]), (status, "text/html"))
        has(text, "<html>")


@check
def fault_connection():
    fault(kind="reset", times=1)
    try:
        send(build())
        raise AssertionError("not reset")
    except ConnectionError:
        pass
    fault(kind="truncate", times=1, bytes=5)
    try:
        send(build())
        raise AssertionError("not truncated")
    except http.client.IncompleteRead as e:
        same(len(e.partial), 5)
    fault(kind="delay", times=1, seconds=1)
    began = time.monotonic()
    same(send(build())[0], 200)
    if time.monotonic() - began < 1:
        raise AssertionError("not delayed")


@check
def fault_lost_reply():
    """The work is done, the client does not learn it."""
    fault(kind="lost-reply", operation="CreateLogGroup", times=1)
    logs = client("logs")
    try:
        logs.create_log_group(logGroupName="/lost")
        raise AssertionError("a reply came")
    except (botocore.exceptions.HTTPClientError,
            botocore.exceptions.ConnectionError):
        pass
    refused("ResourceAlreadyExistsException", logs.create_log_group,
            logGroupName="/lost")


@check
def fault_named():
    fault(kind="access-denied", operation="CreateLogGroup", times=1)
    refused("AccessDeniedException", client("logs").create_log_group,
            f"User: arn:aws:iam::{ACCOUNT}:user/slipway is not authorized to"
            " perform: logs:CreateLogGroup", logGroupName="/denied")
    fault(kind="access-denied", service="sts", times=1)
    refused("AccessDenied", client("sts").get_caller_identity,
            "sts:GetCallerIdentity")
    fault(kind="expired-token", service="logs", times=1)
    refused("ExpiredTokenException", client("logs").describe_log_groups)
    fault(kind="error", operation="DescribeLogGroups", times=1, status=503,
          code="ServiceUnavailableException", message="try again")
    refused("ServiceUnavailableException",
            client("logs").describe_log_groups, "try again")


@check
def skewed_clock():
    """The Date header tells the double's time, so that it can be learnt."""
    admin("POST", "/clock", {"skew": 600})
    _, headers, code, text = send(build())
    same(code, "InvalidSignatureException")
    has(text, "Signature expired")
    from email.utils import parsedate_to_datetime
    ahead = parsedate_to_datetime(headers["Date"]).timestamp() - time.time()
    if not 590 < ahead < 610:
        raise AssertionError(f"{ahead} s ahead")
    same(send(build(at=ahead))[0], 200)


@check
def journal():
    client("secretsmanager").create_secret(Name="told",
                                           SecretString="hush-hush")
    text = json.dumps(admin("GET", "/journal"))
    has(text, "CreateSecret", '"SecretString": "***"')
    if "hush-hush" in text or KEY.secret_key in text:
        raise AssertionError("a secret is in the journal")
    last = admin("GET", "/journal")[-1]["seq"]
    same(admin("GET", f"/journal?since={last}"), [])


def main():
    name = sys.argv[1]
    try:
        CHECKS[name]()
    except AssertionError as e:
        sys.exit(f"{name}: {e}")
    finally:
        admin("DELETE", "/faults")
        admin("POST", "/clock", {"skew": 0})


main()
