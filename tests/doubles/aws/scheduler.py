"""The service scheduler: deployments, rolling replacement, circuit breaker.

One thread looks at every service several times a second and moves it a step
towards what was asked: start, judge, stop, complete, roll back.  All state is
guarded by the runner's lock.

Faults, asked for with the subject "service:NAME":
  no-capacity  no task can be placed; RunTask asks with "family:NAME"
  slow-drain   `seconds` (of AWS, 300): draining takes so much longer

Sources: "Amazon ECS deployment circuit breaker", "Service throttle logic" and
"Service event messages" (developer guide); where they are silent, the decision
is marked [I].
"""
import collections
import math
import random
import time
import uuid

from runner import Task

TICK = 0.1                  # seconds of this machine
EVENTS_MAX = 100
DEPLOYMENTS_KEPT = 100      # records of service deployments


class Deployment:
    """What runs: of a service revision, its definition, network, capacity and
    load balancers.  Going back to it goes back to all of them."""

    def __init__(self, definition_arn, config, load_balancers, now):
        self.id = f"ecs-svc/{random.randrange(10 ** 18, 10 ** 19)}"
        self.definition_arn = definition_arn
        self.config = config            # launchType, network, …: as answered
        self.load_balancers = load_balancers
        self.status = "PRIMARY"
        self.created = self.updated = now
        self.failed = 0
        self.digests = {}
        self.failures_in_row = 0        # of starts
        self.next_start = 0             # monotonic
        self.progress(now)

    def progress(self, now, reason=None):
        self.set_state("IN_PROGRESS", reason or
                       f"ECS deployment {self.id} in progress.", now)

    def set_state(self, state, reason, now):
        self.state = state
        self.reason = reason
        self.updated = now


class Record:
    """A service deployment: the history of one rollout."""

    def __init__(self, deployment, source, now):
        self.id = uuid.uuid4().hex[:21]
        self.deployment = deployment
        self.source = source            # revisions before, or None
        self.status = "IN_PROGRESS"
        self.reason = None
        self.rollback_reason = None
        self.rollback_started = None
        self.rollback_target = None
        self.created = self.updated = now
        self.finished = None
        self.threshold = None
        self.triggered = False

    def set_status(self, status, now, reason=None):
        self.status = status
        self.reason = reason or self.reason
        self.updated = now
        if status in ("SUCCESSFUL", "STOPPED", "ROLLBACK_SUCCESSFUL",
                      "ROLLBACK_FAILED"):
            self.finished = now


class ServiceState:
    def __init__(self, name, arn, cluster, desired, now):
        self.name = name
        self.arn = arn
        self.cluster = cluster
        self.desired = desired
        self.created = now
        self.token = None               # CreateService's clientToken
        self.status = "ACTIVE"
        self.settings = {}              # deploymentConfiguration, tags, …
        self.grace = 0
        self.deployments = []           # the primary is the first
        self.completed = None           # the last that was COMPLETED
        self.records = collections.deque(maxlen=DEPLOYMENTS_KEPT)
        self.tasks = []                 # not yet STOPPED
        self.events = collections.deque(maxlen=EVENTS_MAX)
        self.said = {}                  # event text: when (monotonic)
        self.is_steady = False
        self.replacing = 0              # unhealthy ones to be replaced

    @property
    def primary(self):
        return self.deployments[0]

    @property
    def record(self):
        return self.records[0]

    def percent(self, member, default):
        return self.settings["deploymentConfiguration"].get(member, default)

    @property
    def minimum(self):
        return math.ceil(self.desired
                         * self.percent("minimumHealthyPercent", 100) / 100)

    @property
    def maximum(self):
        return self.desired * self.percent("maximumPercent", 200) // 100

    @property
    def breaker(self):
        return self.percent("deploymentCircuitBreaker",
                            {"enable": False, "rollback": False})

    @property
    def threshold(self):
        config = self.breaker.get("thresholdConfiguration",
                                  {"type": "BOUNDED_PERCENT", "value": 50})
        if config["type"] == "COUNT":
            return config["value"]
        share = math.ceil(self.desired * config["value"] / 100)
        if config["type"] == "UNBOUNDED_PERCENT":
            return max(share, 1)
        return min(max(share, 3), 200)

    def wanted(self, deployment=None):
        """Tasks that are to run, of one deployment or of all."""
        return [t for t in self.tasks if not t.is_stopping
                and deployment in (None, t.deployment)]


class Scheduler:
    def __init__(self, world, runner, definition_of, publish):
        """`definition_of(arn)` gives a task definition; `publish(gone)` is
        called after each look, with tasks to be told of no more."""
        self.world = world
        self.runner = runner
        self.lock = runner.lock
        self.definition_of = definition_of
        self.publish = publish
        self.services = []
        self.tasks = {}                 # every task of the cluster, by id

    def start(self):
        self.world.background(self.loop)

    @property
    def elb(self):
        return self.world.services["elbv2"]

    def now(self):
        return self.world.clock.now()

    def fault(self, kind, service):
        return self.world.faults.take(kind, "service:" + service.name)

    def loop(self):
        while not self.world.stopping.wait(TICK):
            with self.lock:
                for service in self.services:
                    if service.status != "INACTIVE":
                        self.look(service)
                self.publish(self.forget_old())

    def forget_old(self):
        """Stopped tasks are told of for a while; those of no more."""
        kept = self.world.clock.constant("stopped-task")
        now = time.monotonic()
        old = [t for t in self.tasks.values()
               if t.ended_at and now - t.ended_at > kept]
        for t in old:
            del self.tasks[t.id]
        return old

    # ---- events ----

    def say(self, service, text, repeat=False):
        """Repeats are suppressed, but for what tells of other tasks."""
        text = f"(service {service.name}) {text}"
        now = time.monotonic()
        last = service.said.get(text)
        if last is not None and not repeat and \
           now - last < self.world.clock.constant("event-silence"):
            return
        service.said[text] = now
        service.events.appendleft({"id": str(uuid.uuid4()),
                                   "createdAt": self.now(), "message": text})

    # ---- deployments ----

    def deploy(self, service, definition_arn, config, load_balancers):
        """A new deployment takes the place of the one now going on."""
        now = self.now()
        new = Deployment(definition_arn, config, load_balancers, now)
        source = None
        if service.deployments:
            old = service.primary
            source = old
            old.status = "ACTIVE"
            old.updated = now
            if service.record.finished is None:
                service.record.set_status(
                    "STOPPED", now, "Service deployment was superseded.")
        service.deployments.insert(0, new)
        record = Record(new, source, now)
        record.threshold = service.threshold
        service.records.appendleft(record)
        service.is_steady = False
        service.said.clear()
        return new

    def roll_back(self, service, reason):
        """The deployment that was COMPLETED is the primary again, by its old
        id; while it is IN_PROGRESS there is none to go back to."""
        target = service.completed
        failed = service.primary
        if target is None or target.state != "COMPLETED" or target is failed:
            return False
        now = self.now()
        failed.status = "ACTIVE"
        if target in service.deployments:
            service.deployments.remove(target)
        service.deployments.insert(0, target)
        target.status = "PRIMARY"
        target.failed = 0
        target.failures_in_row = 0
        target.next_start = 0
        target.progress(now, f"{reason} rolling back to deploymentId "
                        f"{target.id}")
        service.record.set_status("ROLLBACK_IN_PROGRESS", now)
        service.record.rollback_reason = failed.reason
        service.record.rollback_started = now
        service.record.rollback_target = target
        self.say(service, f"rolling back to deployment {target.id}.", True)
        return True

    def check_breaker(self, service):
        p = service.primary
        if p.state != "IN_PROGRESS" or not service.breaker["enable"] or \
           p.failed < service.threshold:
            return
        now = self.now()
        reason = "ECS deployment circuit breaker:"
        p.set_state("FAILED", f"{reason} tasks failed to start.", now)
        self.say(service, f"(deployment {p.id}) deployment failed: tasks "
                 "failed to start.", True)
        service.record.triggered = True
        if service.breaker["rollback"] and self.roll_back(service, reason):
            return
        rolling = service.record.status == "ROLLBACK_IN_PROGRESS"
        service.record.set_status(
            "ROLLBACK_FAILED" if rolling else "STOPPED", now, p.reason)

    def stop(self, service, how):
        """As somebody asked: "ABORT" stalls it, "ROLLBACK" also goes back;
        False when there is nothing to go back to."""
        p = service.primary
        target = service.completed
        if how == "ROLLBACK" and (target is None or target is p
                                  or target.state != "COMPLETED"):
            return False
        now = self.now()
        p.set_state("FAILED", f"ECS deployment {p.id} was stopped by user.",
                    now)
        if how == "ABORT":
            service.record.set_status("STOPPED", now, p.reason)
            return True
        return self.roll_back(service, "ECS deployment stopped by user:")

    def complete(self, service):
        """Only when the tasks of others are drained and gone [I]."""
        p = service.primary
        if p.state == "FAILED" or any(t.deployment is not p
                                      for t in service.tasks):
            return
        mine = service.wanted(p)
        if len(mine) != service.desired or \
           any(t.verdict != "healthy" for t in mine) or \
           len(mine) != len(service.tasks):
            return
        now = self.now()
        if p.state == "IN_PROGRESS":
            p.set_state("COMPLETED", f"ECS deployment {p.id} completed.", now)
            service.completed = p
            rolled = service.record.status == "ROLLBACK_IN_PROGRESS"
            if service.record.finished is None:
                service.record.set_status("ROLLBACK_SUCCESSFUL" if rolled
                                          else "SUCCESSFUL", now)
            self.say(service, f"(deployment {p.id}) deployment completed.",
                     True)
        if not service.is_steady:
            service.is_steady = True
            self.say(service, "has reached a steady state.", True)

    def retire(self, service):
        """Deployments that are not the primary vanish with their tasks."""
        service.deployments[1:] = [
            d for d in service.deployments[1:]
            if any(t.deployment is d for t in service.tasks)]

    # ---- one look at a service ----

    def look(self, service):
        for task in list(service.tasks):
            self.judge(service, task)
        service.tasks = [t for t in service.tasks if t.status != "STOPPED"]
        if service.status == "DRAINING":
            self.drain(service)
            return
        self.check_breaker(service)
        self.retire(service)
        self.scale_in(service)
        if service.primary.state != "FAILED":
            self.place(service)
            self.stop_old(service)
        self.complete(service)

    def drain(self, service):
        for task in service.wanted():
            task.ask_stop("ServiceSchedulerInitiated", "Scaling activity "
                          f"initiated by (deployment {task.deployment.id})")
        if not service.tasks:
            service.status = "INACTIVE"
            service.deployments = []

    # ---- judging tasks ----

    def judge(self, service, task):
        d = task.deployment
        if task.is_stopping:
            self.judge_end(service, task, d)
            return
        problem = self.problem(service, task)
        if problem:
            event, reason = problem
            self.say(service, event)
            self.count_failure(service, d)
            service.replacing += 1
            task.verdict = "failed"
            task.ask_stop("ServiceSchedulerInitiated", reason)
        elif task.verdict is None and self.is_healthy(service, task):
            task.verdict = "healthy"
            d.failures_in_row = 0
            if service.breaker.get("resetOnHealthyTask", True):
                d.failed = 0

    def judge_end(self, service, task, d):
        """It ended by itself.  Having run, it is no failure of the rollout:
        the breaker looks at starts and health checks only."""
        if task.verdict == "failed" or task.stop_code not in (
                "TaskFailedToStart", "EssentialContainerExited"):
            return
        if not task.reached_running:
            d.failures_in_row += 1
            self.throttle(service, d)
            self.count_failure(service, d)
        if task.stop_code == "TaskFailedToStart":
            self.say(service, "was unable to place a task. Reason: "
                     f"{task.stopped_reason}.")
        task.verdict = "failed"

    def count_failure(self, service, deployment):
        if deployment.state == "IN_PROGRESS":
            deployment.failed += 1

    def throttle(self, service, d):
        """Starts are spaced further and further apart."""
        clock = self.world.clock
        pause = min(clock.constant("start-throttle")
                    * 2 ** (d.failures_in_row - 1),
                    clock.constant("start-throttle-max"))
        d.next_start = time.monotonic() + pause
        if d.failures_in_row >= 3:
            self.say(service, "is unable to consistently start tasks "
                     "successfully.")

    def problem(self, service, task):
        """(event, stoppedReason) of a task whose health checks fail."""
        if not task.reached_running or self.in_grace(service, task):
            return None
        if task.health == "UNHEALTHY":
            return (f"(task {task.id}) failed container health checks.",
                    "Task failed container health checks")
        for lb in task.load_balancers:
            arn = lb["targetGroupArn"]
            state, why = self.elb.health(arn, task.address,
                                         lb["containerPort"])
            if state == "unhealthy":
                return (f"(port {lb['containerPort']}) is unhealthy in "
                        f"(target-group {arn}) due to (reason {why}).",
                        "Task failed ELB health checks in (target-group "
                        f"{arn})")
        return None

    def in_grace(self, service, task):
        return time.monotonic() - task.running_since < \
            self.world.clock.scaled(service.grace)

    def is_healthy(self, service, task):
        if not task.reached_running:
            return False
        if any(c.has_check and c.essential for c in task.containers):
            if task.health != "HEALTHY":
                return False
        elif not task.load_balancers and \
                time.monotonic() - task.running_since < \
                self.world.clock.constant("healthy-after"):
            return False
        return all(self.elb.health(
            lb["targetGroupArn"], task.address, lb["containerPort"])[0]
            == "healthy" for lb in task.load_balancers)

    # ---- starting and stopping ----

    def place(self, service):
        p = service.primary
        missing = service.desired - len(service.wanted(p))
        if missing <= 0 or time.monotonic() < p.next_start:
            return
        if self.fault("no-capacity", service):
            self.say(service, "was unable to place a task. Reason: Capacity "
                     "is unavailable at this time. Please try again later or "
                     "in a different availability zone.")
            p.next_start = time.monotonic() + \
                self.world.clock.constant("start-throttle")
            return
        running = len(service.wanted())
        count = min(missing, service.maximum - running)
        if count > 0:
            self.start_tasks(service, p, count)
        elif self.healthy_count(service) <= service.minimum and \
                service.maximum <= service.minimum:
            self.say(service, "was unable to stop or start tasks during a "
                     "deployment because of the service deployment "
                     "configuration. Update the minimumHealthyPercent or "
                     "maximumPercent value and try again.")

    def start_tasks(self, service, deployment, count):
        tasks = [self.start_task(service, deployment) for _ in range(count)]
        names = " ".join(f"(task {t.id})" for t in tasks)
        replaced = min(service.replacing, count)
        service.replacing -= replaced
        self.say(service, f"has started {count} tasks: {names}."
                 + (f" Amazon ECS replaced {replaced} tasks due to an "
                    "unhealthy status." if replaced else ""))
        service.is_steady = False

    def start_task(self, service, deployment):
        task = Task(self.definition_of(deployment.definition_arn),
                    service.cluster, "service:" + service.name, deployment.id)
        task.service = service
        task.deployment = deployment
        task.digests = deployment.digests
        task.config = deployment.config
        task.load_balancers = deployment.load_balancers
        service.tasks.append(task)
        self.tasks[task.id] = task
        self.runner.launch(
            task, on_up=lambda t: self.register(service, t),
            before_stop=lambda t: self.deregister(service, t),
            on_stopped=self.note_stopped)
        return task

    def note_stopped(self, task):
        task.ended_at = time.monotonic()

    def register(self, service, task):
        for lb in task.load_balancers:
            self.elb.register(lb["targetGroupArn"], task.address,
                              lb["containerPort"])
            with self.lock:
                self.say(service, "registered 1 targets in (target-group "
                         f"{lb['targetGroupArn']})", True)

    def deregister(self, service, task):
        """Returns when its connections are drained; of one that is dead
        there is nothing to wait for [I]."""
        fault = self.fault("slow-drain", service)
        extra = fault.get("seconds", 300) if fault else 0
        for lb in task.load_balancers:
            target = task.address and self.elb.deregister(
                lb["targetGroupArn"], task.address, lb["containerPort"],
                extra)
            if not target:
                continue
            with self.lock:
                self.say(service, "deregistered 1 targets in (target-group "
                         f"{lb['targetGroupArn']})", True)
            if task.stop_code == "EssentialContainerExited":
                continue
            with self.lock:
                self.say(service, "has begun draining connections on 1 "
                         "tasks.", True)
            while not target.gone.wait(1):
                if self.world.stopping.is_set():
                    return

    def healthy_count(self, service):
        return sum(t.verdict == "healthy" for t in service.wanted())

    def stop_tasks(self, service, tasks):
        if not tasks:
            return
        for t in tasks:
            t.ask_stop("ServiceSchedulerInitiated", "Scaling activity "
                       f"initiated by (deployment {service.primary.id})")
        names = " ".join(f"(task {t.id})" for t in tasks)
        self.say(service,
                 f"has stopped {len(tasks)} running tasks: {names}.")
        service.is_steady = False

    def scale_in(self, service):
        mine = service.wanted(service.primary)
        mine.sort(key=lambda t: t.verdict == "healthy")
        self.stop_tasks(service,
                        mine[:max(len(mine) - service.desired, 0)])

    def stop_old(self, service):
        """Never below the minimum of healthy tasks; those that are not
        healthy may go at once."""
        old = [t for t in service.wanted()
               if t.deployment is not service.primary]
        spare = max(self.healthy_count(service) - service.minimum, 0)
        healthy = [t for t in old if t.verdict == "healthy"]
        others = [t for t in old if t.verdict != "healthy"]
        self.stop_tasks(service, others + healthy[:spare])
