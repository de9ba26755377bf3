"""A double of AWS on loopback, for tests and demonstrations.

  /usr/bin/python3 tests/doubles/aws --ready-file F --data DIR [--port N]
      [--scale 60] [--engine unix:///var/run/docker.sock] [--region R]
      [--seed N]

When everything answers, F holds KEY=VALUE lines that a shell can source.
SIGTERM and SIGINT end it with everything that it started.
"""
import argparse
import os
import shlex
import signal
import sys

sys.dont_write_bytecode = True  # no __pycache__ in the sources

import services  # noqa: E402
from admin import AdminHandler  # noqa: E402
from clock import Clock  # noqa: E402
from core import World  # noqa: E402
from credentials import Credentials  # noqa: E402
from faults import Faults  # noqa: E402
from gateway import ApiHandler, Gateway  # noqa: E402
from journal import Journal  # noqa: E402
from metadata import Metadata, MetadataHandler  # noqa: E402
from web import Server  # noqa: E402


def parse_options():
    parser = argparse.ArgumentParser(prog="tests/doubles/aws")
    parser.add_argument("--port", type=int, default=0,
                        help="of the endpoint; 0: any")
    parser.add_argument("--ready-file", required=True)
    parser.add_argument("--data", required=True,
                        help="folder for the journal and the registry")
    parser.add_argument("--scale", type=float, default=60,
                        help="one second here is that many at AWS")
    parser.add_argument("--engine", default="unix:///var/run/docker.sock")
    parser.add_argument("--region", default="us-east-1")
    parser.add_argument("--seed", type=int, default=1,
                        help="of everything that is left to chance")
    return parser.parse_args()


def build(options):
    os.makedirs(options.data, mode=0o700, exist_ok=True)
    options.data = os.path.abspath(options.data)
    clock = Clock(options.scale)
    world = World(options, clock)
    world.journal = Journal(os.path.join(options.data, "journal.jsonl"),
                            clock)
    world.faults = Faults(options.seed)
    world.credentials = Credentials(world)
    world.services = services.load(world)
    world.logs = world.services["logs"]
    world.secrets = world.services["secretsmanager"]
    world.ecr = world.services["ecr"]
    return world


def open_servers(world):
    """The three endpoints and what the ready file says of them."""
    api = Server(world, ApiHandler, world.options.port)
    api.gateway = Gateway(world)
    admin = Server(world, AdminHandler)
    metadata = Server(world, MetadataHandler)
    metadata.metadata = Metadata(world)
    world.endpoint = f"http://{api.address}"
    values = {
        "AWS_ENDPOINT_URL": world.endpoint,
        "ADMIN_URL": f"http://{admin.address}",
        **metadata.metadata.ready_values(metadata.address),
        "AWS_ACCESS_KEY_ID": world.credentials.static.id,
        "AWS_SECRET_ACCESS_KEY": world.credentials.static.secret,
        "AWS_DEFAULT_REGION": world.region,
    }
    return [api, admin, metadata], values


def write_ready(path, values):
    """At once and readable by its owner alone: it holds a secret."""
    new = path + ".new"
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "w") as f:
        for key, value in values.items():
            f.write(f"{key}={shlex.quote(str(value))}\n")
    os.rename(new, path)


def stop(world, servers):
    world.stopping.set()
    for server in servers:
        server.end()
    for service in reversed(world.services.values()):
        try:
            service.stop()
        except Exception as e:  # the others must be stopped, too
            print(f"stop {service.id}: {e!r}", file=sys.stderr)
    for thread in world.threads:
        thread.join(30)
    world.journal.close()


def main():
    options = parse_options()
    read_end, write_end = os.pipe()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os.write(write_end, b"."))
    world = build(options)
    servers, values = open_servers(world)
    try:
        for service in world.services.values():
            service.start()
            values.update(service.ready_values())
        for server in servers:
            server.begin()
        write_ready(options.ready_file, values)
        os.read(read_end, 1)
    finally:
        stop(world, servers)


if __name__ == "__main__":
    main()
