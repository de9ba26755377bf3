"""What the API tells of services and tasks: ECS answers reads from copies
that are up to two seconds old, so a caller may not see what it just did."""
import random
import threading
import time

VERSIONS_KEPT_S = 5


class Views:
    """Versions of each thing, by ARN; a read takes one of a random age."""

    def __init__(self, lag, seed):
        self.lag = lag                  # seconds of this machine
        self.random = random.Random(seed)
        self.versions = {}
        self.lock = threading.Lock()

    def publish(self, arn, value):
        now = time.monotonic()
        with self.lock:
            kept = self.versions.setdefault(arn, [])
            if not kept or kept[-1][1] != value:
                kept.append((now, value))
            while len(kept) > 1 and kept[1][0] < now - VERSIONS_KEPT_S:
                kept.pop(0)

    def read(self, arn):
        """A past version; None: not known, or not known yet."""
        with self.lock:
            moment = time.monotonic() - self.random.uniform(0, self.lag)
            found = None
            for since, value in self.versions.get(arn, []):
                if since <= moment:
                    found = value
            return found

    def first(self, arn):
        with self.lock:
            versions = self.versions.get(arn)
            return versions[0][1] if versions else None

    def forget(self, arn):
        with self.lock:
            self.versions.pop(arn, None)


# ---- services ----

CONFIG_MEMBERS = ("launchType", "capacityProviderStrategy", "platformVersion",
                  "networkConfiguration")


def config_of(deployment):
    return {m: deployment.config[m] for m in CONFIG_MEMBERS
            if m in deployment.config}


def count(tasks, running):
    return sum((t.status == "RUNNING") == running for t in tasks
               if not t.is_stopping)


def deployment_view(service, d):
    mine = [t for t in service.tasks if t.deployment is d]
    return {"id": d.id, "status": d.status,
            "taskDefinition": d.definition_arn,
            "desiredCount": service.desired if d is service.primary
            else len(service.wanted(d)),
            "pendingCount": count(mine, False),
            "runningCount": count(mine, True),
            "failedTasks": d.failed,
            "createdAt": d.created, "updatedAt": d.updated,
            "rolloutState": d.state, "rolloutStateReason": d.reason,
            **config_of(d)}


def service_view(service):
    last = service.deployments[0] if service.deployments \
        else service.completed or service.record.deployment
    return {"serviceArn": service.arn, "serviceName": service.name,
            "clusterArn": service.cluster, "status": service.status,
            "desiredCount": service.desired,
            "runningCount": count(service.tasks, True),
            "pendingCount": count(service.tasks, False),
            "taskDefinition": last.definition_arn,
            "deployments": [deployment_view(service, d)
                            for d in service.deployments],
            "events": list(service.events),
            "createdAt": service.created,
            "loadBalancers": last.load_balancers,
            "serviceRegistries": [], "placementConstraints": [],
            "placementStrategy": [], "schedulingStrategy": "REPLICA",
            "deploymentController": {"type": "ECS"},
            "healthCheckGracePeriodSeconds": service.grace,
            **config_of(last), **service.settings}


# ---- tasks ----

def container_view(task_arn, task, c):
    out = {"containerArn": task_arn.replace(":task/", ":container/")
           + "/" + c.name,
           "taskArn": task_arn, "name": c.name, "image": c.definition["image"],
           "lastStatus": c.status, "healthStatus": c.health,
           "cpu": str(c.definition.get("cpu", 0)),
           "networkInterfaces": [], "networkBindings": []}
    if task.address:
        out["networkInterfaces"] = [{
            "attachmentId": task.id[:8], "privateIpv4Address": task.address}]
    for member, value in (("exitCode", c.exit_code), ("reason", c.reason),
                          ("imageDigest", c.image_digest),
                          ("runtimeId", c.runtime_id)):
        if value is not None:
            out[member] = value
    return out


def task_view(arn, task):
    d = task.definition
    out = {"taskArn": arn, "clusterArn": task.cluster,
           "taskDefinitionArn": d["taskDefinitionArn"],
           "lastStatus": task.status, "desiredStatus": task.desired,
           "group": task.group, "healthStatus": task.health,
           "launchType": task.launch_type, "version": 1,
           "containers": [container_view(arn, task, c)
                          for c in task.containers],
           "overrides": {"containerOverrides": task.overrides.get(
               "containerOverrides", [])},
           "attachments": [], "attributes": [], **task.times}
    if task.address:
        out["connectivity"] = "CONNECTED"
        network = task.config.get("networkConfiguration", {})
        subnets = network.get("awsvpcConfiguration", {}).get("subnets")
        details = [("subnetId", subnets[0] if subnets else None),
                   ("privateIPv4Address", task.address)]
        out["attachments"] = [{
            "id": task.id[:8], "type": "ElasticNetworkInterface",
            "status": "DELETED" if task.status == "STOPPED" else "ATTACHED",
            "details": [{"name": n, "value": v} for n, v in details if v]}]
    for member, value in (("cpu", d.get("cpu")), ("memory", d.get("memory")),
                          ("startedBy", task.started_by),
                          ("capacityProviderName", task.capacity_provider),
                          ("stopCode", task.stop_code),
                          ("stoppedReason", task.stopped_reason)):
        if value is not None:
            out[member] = value
    return out


# ---- service deployments ----

def record_view(service, record, arn, revision_arn):
    breaker = service.breaker
    status = "DISABLED"
    if breaker["enable"]:
        status = "TRIGGERED" if record.triggered else \
            "MONITORING_COMPLETE" if record.finished else "MONITORING"
    out = {"serviceDeploymentArn": arn, "serviceArn": service.arn,
           "clusterArn": service.cluster, "status": record.status,
           "createdAt": record.created, "startedAt": record.created,
           "updatedAt": record.updated,
           "targetServiceRevision": {
               "arn": revision_arn(record.deployment),
               "requestedTaskCount": service.desired,
               "runningTaskCount": count(
                   [t for t in service.tasks
                    if t.deployment is record.deployment], True)},
           "sourceServiceRevisions": [
               {"arn": revision_arn(record.source)}] if record.source else [],
           "deploymentConfiguration":
               service.settings["deploymentConfiguration"],
           "deploymentCircuitBreaker": {
               "status": status, "threshold": record.threshold,
               "failureCount": record.deployment.failed}}
    if record.finished:
        out["finishedAt"] = record.finished
    if record.reason:
        out["statusReason"] = record.reason
    if record.rollback_reason:
        out["rollback"] = {
            "reason": record.rollback_reason,
            "startedAt": record.rollback_started,
            "serviceRevisionArn": revision_arn(record.rollback_target)}
    return out
