"""Runs a task as containers: what Fargate's agent does.

A task is a pause container that holds the network namespace and, inside it,
the containers of the task definition.  One thread a task takes it from
PROVISIONING to STOPPED; others read its fields and ask it to stop.

Faults, asked for with the task's group as subject ("service:web",
"family:web"):
  stuck-pending  stays PENDING until the fault is cleared
  pull-failure   `message`: what the registry is made to say

Wording of reasons: "Amazon ECS stopped tasks error messages" (developer
guide) and reports of users.
"""
import os
import shutil
import threading
import time
import uuid

import containers
import docker_api
from clock import CONSTANTS
from containers import Container
from core import AwsError
from docker_api import DockerError

# Seconds of this machine: processes do not start faster when time is scaled.
SEEN_RUNNING = 1.0          # one that exits sooner is never seen RUNNING
STOP_FLOOR = 2.0
POLL = 0.1
HEALTH_POLL = 0.3
LOG_BATCH = 500             # events

PAUSE_IMAGE = os.environ.get("SLIPWAY_PAUSE_IMAGE", "slipway/busybox:latest")
LABEL = "slipway.double"


class TaskFailed(Exception):
    """It did not start; the text becomes stoppedReason."""

    def __init__(self, reason, container=None):
        super().__init__(reason)
        self.reason = reason
        self.container = container


class Stopped(Exception):
    """Somebody asked for its end before it ran."""


class Task:
    """State of one task; the runner's lock guards changes."""

    def __init__(self, definition, cluster, group, started_by):
        self.id = uuid.uuid4().hex
        self.definition = definition
        self.cluster = cluster
        self.group = group              # "service:NAME" or "family:NAME"
        self.started_by = started_by
        self.config = {}                # launchType or strategy, network
        self.overrides = {}
        self.load_balancers = []
        self.digests = {}               # shared by a deployment's tasks
        self.tags = []
        self.status = "PROVISIONING"
        self.desired = "RUNNING"
        self.containers = []
        self.pause = None
        self.address = None
        self.times = {}
        self.stop_code = None
        self.stopped_reason = None
        self.running_since = None       # monotonic
        self.service = None             # the scheduler's, if it is one's
        self.deployment = None
        self.verdict = None             # the scheduler's: healthy, failed
        self.ended_at = None            # monotonic
        self.is_told = False            # its end was published
        self.stop_asked = threading.Event()

    @property
    def service_name(self):
        kind, _, name = self.group.partition(":")
        return name if kind == "service" else None

    @property
    def launch_type(self):
        if self.capacity_provider:
            return "FARGATE" if self.capacity_provider.startswith("FARGATE") \
                else "EC2"
        return self.config.get("launchType", "EC2")

    @property
    def capacity_provider(self):
        strategy = self.config.get("capacityProviderStrategy")
        return strategy[0]["capacityProvider"] if strategy else None

    @property
    def is_stopping(self):
        return self.desired == "STOPPED"

    @property
    def reached_running(self):
        return self.running_since is not None

    def ask_stop(self, code, reason):
        if not self.is_stopping:
            self.desired = "STOPPED"
            self.stop_code = code
            self.stopped_reason = reason
            self.stop_asked.set()

    @property
    def health(self):
        states = {c.health for c in self.containers
                  if c.essential and c.has_check}
        if "UNHEALTHY" in states:
            return "UNHEALTHY"
        return "HEALTHY" if states == {"HEALTHY"} else "UNKNOWN"


class Runner:
    def __init__(self, world):
        self.world = world
        self.ident = uuid.uuid4().hex[:8]
        self.data = world.options.data
        self.lock = threading.RLock()
        self.making = threading.Lock()  # held while a container is created
        self.network = None
        self.cpus = 0
        self.pulled = set()             # references, to be removed

    def open(self):
        docker_api.use(self.world.engine)
        self.cpus = docker_api.call("GET", "/info")["NCPU"]
        self.network = docker_api.create_network(
            f"slipway-double-{self.ident}", LABEL, self.ident)

    def close(self):
        with self.making:               # the last; no other follows
            pass
        docker_api.remove_labelled(f"{LABEL}={self.ident}")
        for image in self.pulled:
            docker_api.untag(image)

    # ---- the life of a task ----

    def launch(self, task, on_up, before_stop, on_stopped):
        """Returns at once.  `on_up(task)` registers targets,
        `before_stop(task)` deregisters and waits until they are drained."""
        task.times["createdAt"] = self.world.clock.now()
        self.world.background(self.life, task, on_up, before_stop, on_stopped)

    def life(self, task, on_up, before_stop, on_stopped):
        try:
            self.bring_up(task)
            self.move(task, "ACTIVATING")
            on_up(task)
            self.stay_up(task)
        except Stopped:
            pass
        except TaskFailed as e:
            self.note_failure(task, e.reason, e.container)
        except (DockerError, OSError) as e:
            self.note_failure(task, f"InternalError: {e}", None)
        if self.world.stopping.is_set():
            return                      # close() removes what there is
        task.times["stoppingAt"] = self.world.clock.now()
        self.move(task, "DEACTIVATING")
        before_stop(task)
        self.move(task, "STOPPING")
        self.stop_containers(task)
        self.move(task, "DEPROVISIONING")
        self.tear_down(task)
        with self.lock:
            task.times["stoppedAt"] = self.world.clock.now()
            task.status = "STOPPED"
        on_stopped(task)

    def move(self, task, status):
        with self.lock:
            task.status = status

    def note_failure(self, task, reason, container):
        with self.lock:
            task.ask_stop("TaskFailedToStart", reason)
            if container:
                container.reason = reason

    def wait(self, task, seconds=POLL):
        if task.stop_asked.wait(seconds) or self.world.stopping.is_set():
            raise Stopped

    def pause_for(self, task, constant):
        end = time.monotonic() + self.world.clock.constant(constant)
        while (left := end - time.monotonic()) > 0:
            self.wait(task, min(left, POLL))

    def bring_up(self, task):
        self.pause_for(task, "provisioning")
        self.start_pause(task)
        overrides = {o["name"]: o for o in
                     task.overrides.get("containerOverrides", [])}
        with self.lock:
            task.containers = [
                Container(d, overrides.get(d["name"], {}), threading.Event())
                for d in task.definition["containerDefinitions"]]
            task.status = "PENDING"
        stuck = self.fault(task, "stuck-pending")
        while stuck and self.is_ordered(stuck):
            self.wait(task)
        secrets = {c.name: self.resolve_secrets(c) for c in task.containers}
        task.times["pullStartedAt"] = self.world.clock.now()
        for c in task.containers:
            self.check_log_group(c)
            self.pull(task, c)
        task.times["pullStoppedAt"] = self.world.clock.now()
        for c in containers.start_order(task.containers):
            self.wait_for_dependencies(task, c)
            self.start(task, c, secrets[c.name])

    def fault(self, task, kind):
        return self.world.faults.take(kind, task.group)

    def is_ordered(self, fault):
        """Still, or was it cleared?"""
        return any(f["kind"] == fault["kind"]
                   and f.get("subject") == fault.get("subject")
                   for f in self.world.faults.all())

    def stay_up(self, task):
        """Until an essential container ends or somebody wants it to stop."""
        seen = time.monotonic() + SEEN_RUNNING
        next_look = 0
        while not task.stop_asked.wait(POLL):
            if self.world.stopping.is_set():
                raise Stopped
            now = time.monotonic()
            if any(c.essential and c.ended.is_set() for c in task.containers):
                with self.lock:
                    task.ask_stop("EssentialContainerExited",
                                  "Essential container in task exited")
                return
            if not task.reached_running and now >= seen:
                with self.lock:
                    task.status = "RUNNING"
                    task.times["startedAt"] = self.world.clock.now()
                    task.running_since = now
            if now >= next_look:
                self.read_health(task)
                next_look = now + HEALTH_POLL

    def read_health(self, task):
        for c in task.containers:
            if not c.has_check or c.ended.is_set() or not c.runtime_id:
                continue
            try:
                state = docker_api.inspect(c.runtime_id)["State"]
            except DockerError:
                continue                # its end is seen elsewhere
            word = state.get("Health", {}).get("Status")
            c.health = {"healthy": "HEALTHY",
                        "unhealthy": "UNHEALTHY"}.get(word, "UNKNOWN")

    # ---- starting ----

    def labels(self, task, name):
        labels = {LABEL: self.ident, LABEL + ".task": task.id,
                  LABEL + ".container": name}
        if task.service_name:
            labels[LABEL + ".service"] = task.service_name
        return labels

    def create(self, name, spec):
        """A container, unless close() is to remove them all."""
        with self.making:
            if self.world.stopping.is_set():
                raise Stopped
            return docker_api.create(name, spec)

    def start_pause(self, task):
        task.pause = self.create(
            f"slipway-double-{task.id}-pause",
            {"Image": PAUSE_IMAGE, "Cmd": ["sleep", "2147483647"],
             "Labels": self.labels(task, "~internal~ecs~pause"),
             "HostConfig": {"NetworkMode": self.network}})
        docker_api.start(task.pause)
        networks = docker_api.inspect(task.pause)["NetworkSettings"]
        task.address = next(iter(networks["Networks"].values()))["IPAddress"]
        task.times["connectivityAt"] = self.world.clock.now()

    def resolve_secrets(self, c):
        values = {}
        for s in c.definition.get("secrets", []):
            source = s["valueFrom"]
            try:
                values[s["name"]] = self.world.secrets.resolve(source)
            except AwsError as e:
                raise TaskFailed(secret_reason(source, e)) from e
        return values

    def check_log_group(self, c):
        """The container does not start when its log group is missing."""
        options = c.log_options
        if options is None:
            return
        group = options["awslogs-group"]
        if self.world.logs.has_group(group):
            return
        raise TaskFailed(
            "ResourceInitializationError: failed to validate logger args: "
            "create stream has been retried 1 times: failed to create "
            "Cloudwatch log stream: ResourceNotFoundException: The specified "
            "log group does not exist. : exit status 1")

    def pull(self, task, c):
        """From a registry always, and by the digest that the first task of
        a deployment found."""
        image = task.digests.get(c.image, c.image)
        fault = self.fault(task, "pull-failure")
        error = fault.get("message", "unexpected status: 401 Unauthorized") \
            if fault else self.try_pull(image)
        if error:
            self.pause_for(task, "pull-retry")
            raise TaskFailed(
                "CannotPullContainerError: pull image manifest has been "
                f"retried 1 time(s): failed to resolve ref {image}: {error}",
                c)
        found = docker_api.image(image)
        digests = found.get("RepoDigests") or []
        repository = docker_api.split_image(image)[0]
        exact = next((d for d in digests
                      if d.startswith(repository + "@")), None)
        c.image_digest = (exact or found["Id"]).rpartition("@")[2]
        task.digests[c.image] = exact or image
        c.image = exact or image

    def try_pull(self, image):
        """None, or the error."""
        credentials = self.world.ecr.pull_credentials(image)
        try:
            if credentials is None:
                docker_api.image(image)     # what the engine has already
            else:
                docker_api.pull(image, containers.registry_auth(credentials))
                self.pulled.add(image)
            return None
        except DockerError as e:
            return e.message

    def wait_for_dependencies(self, task, c):
        others = {o.name: o for o in task.containers}
        for d in c.definition.get("dependsOn", []):
            other = others[d["containerName"]]
            while not self.is_met(task, d["condition"], other):
                self.wait(task)
                self.read_health(task)

    def is_met(self, task, condition, other):
        if condition == "START":
            return True
        ended = other.ended.is_set()
        if condition == "HEALTHY" and not ended:
            return other.health == "HEALTHY"
        if not ended:
            return False
        if condition == "COMPLETE" or \
           condition == "SUCCESS" and other.exit_code == 0:
            return True
        raise TaskFailed("Task failed to start: dependency container "
                         f"{other.name} ended with {other.exit_code}, "
                         f"condition {condition}", other)

    def start(self, task, c, secrets):
        env = containers.environment(task, c, secrets, self.world.region)
        try:
            c.runtime_id = self.create(
                f"slipway-double-{task.id}-{c.name}",
                containers.spec(task, c, task.pause, env, self.data,
                                self.world.clock, self.cpus,
                                self.labels(task, c.name)))
            docker_api.start(c.runtime_id)
        except DockerError as e:
            raise TaskFailed("CannotStartContainerError: Error response from "
                             f"daemon: {e.message}", c) from e
        c.status = "RUNNING"
        if c.log_options is not None:
            c.log_thread = threading.Thread(
                target=self.copy_logs, args=(task, c), daemon=True)
            c.log_thread.start()
        threading.Thread(target=self.watch, args=(c,), daemon=True).start()

    def watch(self, c):
        """Until it ends; its exit code and why."""
        try:
            docker_api.wait(c.runtime_id, None)
            state = docker_api.inspect(c.runtime_id)["State"]
        except DockerError:
            state = {"ExitCode": 137}       # somebody removed it
        if state.get("OOMKilled"):
            c.reason = "OutOfMemoryError: Container killed due to memory usage"
        c.exit_code = state["ExitCode"]
        c.status = "STOPPED"
        c.ended.set()

    def copy_logs(self, task, c):
        """Its output to CloudWatch, in batches while it comes."""
        options = c.log_options
        stream = "/".join((options["awslogs-stream-prefix"], c.name, task.id))
        batch = []
        lock = threading.Lock()

        def send():
            with lock:
                if batch:
                    self.world.logs.put_events(options["awslogs-group"],
                                               stream, batch[:])
                    batch.clear()
        ended = threading.Event()

        def flush():
            while not ended.wait(POLL):
                send()
        threading.Thread(target=flush, daemon=True).start()
        for event in docker_api.log_lines(c.runtime_id):
            with lock:
                batch.append(event)
            if len(batch) >= LOG_BATCH:
                send()
        ended.set()
        send()

    # ---- ending ----

    def stop_containers(self, task):
        """SIGTERM, then SIGKILL; dependents before what they need."""
        for c in reversed(containers.start_order(task.containers)):
            if not c.runtime_id or c.ended.is_set():
                continue
            docker_api.kill(c.runtime_id, "SIGTERM")
            limit = self.world.clock.scaled(
                c.definition.get("stopTimeout", CONSTANTS["stop-timeout"]))
            if not c.ended.wait(max(limit, STOP_FLOOR)):
                docker_api.kill(c.runtime_id, "SIGKILL")
                c.ended.wait(10)

    def tear_down(self, task):
        self.world.clock.sleep(CONSTANTS["deprovisioning"])
        for c in task.containers:
            if c.log_thread:
                c.log_thread.join(10)
            if c.runtime_id:
                docker_api.remove(c.runtime_id)
            c.status = "STOPPED"
        if task.pause:
            docker_api.remove(task.pause)
        shutil.rmtree(os.path.join(self.data, "tasks", task.id),
                      ignore_errors=True)


def secret_reason(source, error):
    text = f"{error.code}: {error.message}"
    if source.startswith("arn:") and ":secretsmanager:" in source:
        return ("ResourceInitializationError: unable to pull secrets or "
                "registry auth: execution resource retrieval failed: unable "
                "to retrieve secret from asm: service call has been retried "
                f"1 time(s): failed to fetch secret {source} from secrets "
                f"manager: {text}")
    return ("ResourceInitializationError: unable to pull secrets or registry "
            "auth: execution resource retrieval failed: unable to retrieve "
            "secrets from ssm: service call has been retried 1 time(s): "
            f"{text}")
