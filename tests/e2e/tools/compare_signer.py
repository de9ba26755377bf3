#!/usr/bin/python3
"""compare_signer.py SIGV4_TOOL KIND COUNT - our signer against botocore's.

Makes COUNT random requests (the same ones each time), has both sign them,
and prints what differs.  KIND:

  calls    POST of a JSON or query service, as the client makes them
  queries  GET with parameters that botocore encodes and sorts itself
  paths    GET of paths that Python's quote() encodes for botocore
  headers  headers repeated, folded, in any case and order

botocore is never given what our tool encoded.
"""
import datetime
import json
import random
import subprocess
import sys
from urllib.parse import quote

import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

TOOL, KIND, COUNT = sys.argv[1], sys.argv[2], int(sys.argv[3])
rng = random.Random(20261122)
CHARS = ("abcXYZ0189-._~ !\"#$%&'()*+,/:;<=>?@[\\]^`{|}\t"
         "\u00e9\u1234\U0001f680")
TOKEN = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/="


def text(chars=CHARS, least=0, most=12):
    return "".join(rng.choice(chars) for _ in range(rng.randint(least, most)))


def base():
    c = {
        "method": "GET", "path": "/", "query": [], "headers": [], "body": "",
        "host": rng.choice(["ecs.us-east-1.amazonaws.com", "127.0.0.1:4566",
                            "localhost:8443", "[::1]:9000"]),
        "region": rng.choice(["us-east-1", "eu-central-1", "us-gov-west-1"]),
        "service": rng.choice(["ecs", "sts", "elasticloadbalancing"]),
        "time": rng.randint(0, 4102444799),
        "access_key": "AKID" + text(TOKEN[:62], 12, 16),
        "secret_key": text(TOKEN, 40, 40),
    }
    if rng.random() < 0.5:
        c["token"] = text(TOKEN, 1, 800)
    return c


def calls():
    c = base()
    c["method"] = "POST"
    c["body"] = text(most=2000)
    if rng.random() < 0.5:
        c["headers"] = [["X-Amz-Target", "Service_2014.Operation"],
                        ["Content-Type", "application/x-amz-json-1.1"]]
    else:
        c["headers"] = [["Content-Type", "application/x-www-form-urlencoded; "
                         "charset=utf-8"]]
    return c


def queries():
    c = base()
    c["query"] = [[k, text()] for k in
                  {text(least=1) for _ in range(rng.randint(1, 10))}]
    rng.shuffle(c["query"])
    return c


def paths():
    c = base()
    segments = [text(CHARS.replace("/", ""), 0, 8) if rng.random() < 0.8
                else rng.choice([".", "..", "", "..."]) for _ in range(5)]
    # Where botocore drops the slash behind a last "..", RFC 3986 keeps it.
    c["path"] = "/" + "/".join(segments) + rng.choice(["/end", "/end/"])
    return c


def headers():
    c = base()
    names = ["x-amz-%s" % text("ab-", 1, 4) for _ in range(4)]
    for _ in range(rng.randint(0, 12)):
        name = rng.choice(names)
        name = "".join(rng.choice([x.upper(), x]) for x in name)
        c["headers"].append([name, text("ab,;\"=   \t", 1, 20)])
    return c


def botocore_says(c):
    class Clock(datetime.datetime):
        @classmethod
        def utcnow(cls):
            return cls.utcfromtimestamp(c["time"])
    botocore.auth.datetime.datetime = Clock
    request = AWSRequest(
        method=c["method"], data=c["body"].encode(),
        url="http://%s%s" % (c["host"], quote(c["path"], safe="/~")),
        params=dict(c["query"]))
    for name, value in c["headers"]:
        request.headers.add_header(name, value)
    keys = Credentials(c["access_key"], c["secret_key"], c.get("token"))
    botocore.auth.SigV4Auth(keys, c["service"], c["region"]).add_auth(request)
    return (request.headers["Authorization"],
            request.headers["X-Amz-Date"])


def main():
    cases = [globals()[KIND]() for _ in range(COUNT)]
    lines = "".join(json.dumps(c) + "\n" for c in cases)
    out = subprocess.run([TOOL], input=lines, capture_output=True, text=True,
                         check=True).stdout.splitlines()
    assert len(out) == COUNT, "%d answers" % len(out)
    different = 0
    for c, line in zip(cases, out):
        ours = json.loads(line)
        theirs = botocore_says(c)
        if (ours.get("authorization"), ours.get("date")) == theirs:
            continue
        different += 1
        if different <= 3:
            print(json.dumps(c, indent=1), ours, theirs, sep="\n")
    print("%d compared, %d different" % (COUNT, different))
    return different != 0


sys.exit(main())
