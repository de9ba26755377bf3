"""What every part of the double of AWS builds on: World, Service, AwsError.

A service is a module services/NAME.py with a subclass of Service, named by
`SERVICE` in that module; nothing else registers it.  Its operations are
methods named as the operations, `def DescribeServices(self, params, request)`:

  params   what the client sent, checked against the input shape, by member
           names of the model, with native types (timestamps are datetime,
           blobs are bytes)
  returns  a dict by the output shape; a member that the model lacks, or one
           of another type, is a fault of the double and answered with 500
  raises   AwsError, whose code must be one that the model lists for the
           operation or one that every service has

An operation without a method is answered with UnknownOperationException.
Operations run on many threads at once: services lock what they keep.
"""
import threading
import traceback
import sys

ACCOUNT = "123456789012"


class AwsError(Exception):
    """An error as a client sees it."""

    def __init__(self, code, message, status=400):
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


class Request:
    """What is known of the call besides its parameters."""

    def __init__(self, service, operation, headers):
        self.service = service      # botocore's name, "ecs"
        self.operation = operation  # "RunTask"
        self.headers = headers      # by lower-case name
        self.id = None              # x-amzn-RequestId
        self.principal = None       # ARN of who signed; None if unsigned
        self.access_key = None


class Service:
    id = None  # botocore's service name: "ecs", "ecr", "elbv2", "logs"

    # Members of the models that would be ignored, by operation: refused.
    unsupported = {}

    def __init__(self, world):
        """Keep no reference to other services here: use world.* later."""
        self.world = world
        self.lock = threading.RLock()

    def start(self):
        """All services exist: open ports, start threads."""

    def ready_values(self):
        """KEY: value for the ready file, asked after start()."""
        return {}

    def stop(self):
        """Remove everything that was made outside this process."""


class World:
    """Everything that the parts share.

    clock     clock.Clock: now(), scaled(), sleep(), constant()
    options   command line (argparse): .data folder, .scale, .engine, .region
    engine    URL of the Docker Engine, unix:///…
    journal   journal.Journal: every request; note(kind, **fields) adds a line
    faults    faults.Faults: take(kind, subject) asks for an ordered fault
    services  botocore's name -> Service
    credentials  credentials.Credentials: keys, for_role(), temporary()
    endpoint  http://127.0.0.1:PORT of the APIs; set before start()
    logs      put_events(group, stream, [(milliseconds, text)]) makes the
              stream, raises ResourceNotFoundException without the group;
              has_group(name)
    secrets   resolve(value_from) -> str; a Secrets Manager ARN (with or
              without :key:stage:version), an SSM name or ARN; or AwsError
    ecr       image_reference_ok(image) -> bool: not of our registry, or
              there; pull_credentials(image) -> {username, password,
              serveraddress} for X-Registry-Auth, None if not of ours
    """

    def __init__(self, options, clock):
        self.options = options
        self.clock = clock
        self.engine = options.engine
        self.region = options.region
        self.account = ACCOUNT
        self.services = {}
        self.journal = None
        self.faults = None
        self.credentials = None
        self.endpoint = None
        self.logs = None
        self.secrets = None
        self.ecr = None
        self.threads = []

    def arn(self, service, resource):
        return f"arn:aws:{service}:{self.region}:{self.account}:{resource}"

    @property
    def stopping(self):
        """Set when the double ends; background functions watch it."""
        return self.clock.stopping

    def background(self, function, *args):
        """Run on a thread that is waited for at the end.

        What it raises is shown on stderr and in the journal, never lost.
        """
        def run():
            try:
                function(*args)
            except Exception:
                text = traceback.format_exc()
                print(text, file=sys.stderr, flush=True)
                if self.journal:
                    self.journal.note("crash", text=text)

        thread = threading.Thread(target=run, daemon=True)
        self.threads = [t for t in self.threads if t.is_alive()] + [thread]
        thread.start()
        return thread
