"""Time: AWS's real constants in one table, divided by the scale.

The clock on the wall is never scaled, because clients compare it with their
own; only durations are.  A test may shift what the double tells as its time
(the Date header, the judgement of signatures): that is `skew`.
"""
import threading
import time

# What AWS takes, in seconds, and where that is said.  A duration that the
# double waits for or promises stands here and nowhere else.
CONSTANTS = {
    # API GetAuthorizationToken: "valid for 12 hours"
    "ecr-token": 12 * 3600,
    # ECS task stopped: visible about one hour
    "stopped-task": 3600,
    # ECS: a task with neither health check nor load balancer counts as
    # healthy after this
    "healthy-after": 40,
    # ELBv2 attribute deregistration_delay.timeout_seconds, default
    "deregistration-delay": 300,
    # ELBv2 HealthCheckIntervalSeconds, default
    "target-check-interval": 30,
    # Docker health check interval as ECS defaults it
    "health-check-interval": 30,
    # ECS StopTask: between SIGTERM and SIGKILL, default stopTimeout
    "stop-timeout": 30,
    # Fargate: provisioning an elastic network interface
    "provisioning": 10,
    # ECS: DescribeTasks may not know a task that RunTask returned
    "read-lag": 2,
    # CloudWatch Logs: an event is found by FilterLogEvents after a while
    "log-ingestion": 10,
    # ECS agent: retries of a pull before it gives up; reports: one to two min
    "pull-retry": 60,
    # Fargate: removing the network interface
    "deprovisioning": 10,
    # ECS, throttle logic: pause after a failed start, doubling up to 27 min
    "start-throttle": 15,
    "start-throttle-max": 27 * 60,
    # ECS, service event messages: the same one is not repeated for so long
    "event-silence": 6 * 3600,
    # ECS DeleteTaskDefinitions: in DELETE_IN_PROGRESS at least
    "definition-deletion": 60,
}


class Clock:
    def __init__(self, scale):
        self.scale = scale
        self.skew = 0.0
        self.stopping = threading.Event()

    def now(self):
        """Seconds since the epoch, true and unscaled."""
        return time.time()

    def server_now(self):
        """What the double believes and says the time is."""
        return time.time() + self.skew

    def scaled(self, seconds):
        """How long something takes here that takes `seconds` at AWS."""
        return seconds / self.scale

    def constant(self, name):
        """A duration of the table, scaled."""
        return self.scaled(CONSTANTS[name])

    def sleep(self, seconds):
        """Sleep what are `seconds` at AWS; False when the double stops."""
        return not self.stopping.wait(self.scaled(seconds))
