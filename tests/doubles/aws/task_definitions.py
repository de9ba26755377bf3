"""Task definitions of ECS: register, describe, deregister, delete.

Checks and wording: RegisterTaskDefinition and "Task definition parameters for
Fargate" (developer guide), error texts as users report them.
"""
import copy
import json
import re

from core import AwsError

SIZE_MAX = 64 * 1024
CONTAINERS_MAX = 10

# What the runner cannot do is refused, not ignored.
REFUSED = {"inferenceAccelerators", "proxyConfiguration", "pidMode",
           "ipcMode", "placementConstraints"}
REFUSED_IN_CONTAINER = {
    "links", "firelensConfiguration", "repositoryCredentials", "privileged",
    "resourceRequirements", "environmentFiles", "volumesFrom", "extraHosts",
    "dnsServers", "dnsSearchDomains", "hostname", "disableNetworking",
    "dockerSecurityOptions", "credentialSpecs", "systemControls",
    "restartPolicy"}

FARGATE = {256: [512, 1024, 2048],
           512: range(1024, 4097, 1024),
           1024: range(2048, 8193, 1024),
           2048: range(4096, 16385, 1024),
           4096: range(8192, 30721, 1024),
           8192: range(16384, 61441, 4096),
           16384: range(32768, 122881, 8192)}

LOG_OPTIONS = {"awslogs-group", "awslogs-region", "awslogs-stream-prefix",
               "mode", "max-buffer-size"}


def client_error(text):
    return AwsError("ClientException", text)


class Definition:
    def __init__(self, body, tags):
        self.body = body
        self.tags = tags
        self.delete_at = None           # seconds; None: nobody asked

    @property
    def arn(self):
        return self.body["taskDefinitionArn"]

    @property
    def status(self):
        return self.body["status"]


class TaskDefinitions:
    """The operations; mixed into the service ECS, which has `world`."""

    def open_definitions(self):
        self.definitions = {}           # by ARN
        self.revisions = {}             # family: last revision ever given

    def definition_arn(self, family, revision):
        return (f"arn:aws:ecs:{self.world.region}:{self.world.account}:"
                f"task-definition/{family}:{revision}")

    def find_definition(self, name, missing):
        """By ARN, "family:revision" or "family" (its last ACTIVE one)."""
        self.forget_deleted()
        if name in self.definitions:
            return self.definitions[name]
        family, colon, revision = name.rpartition("/")[2].partition(":")
        if colon:
            found = self.definitions.get(self.definition_arn(family, revision))
        else:
            found = next((d for d in reversed(self.definitions.values())
                          if d.body["family"] == family
                          and d.status == "ACTIVE"), None)
        if found is None or name.startswith("arn:") and name != found.arn:
            raise missing
        return found

    def usable_definition(self, name):
        found = self.find_definition(
            name, client_error("TaskDefinition not found."))
        if found.status != "ACTIVE":
            raise client_error("TaskDefinition is inactive")
        return found

    def body_of(self, arn):
        return self.definitions[arn].body

    # ---- operations ----

    def RegisterTaskDefinition(self, params, request):
        body = copy.deepcopy(params)
        tags = body.pop("tags", [])
        check(body)
        with self.lock:
            family = body["family"]
            revision = self.revisions.get(family, 0) + 1
            self.revisions[family] = revision
            compatible = ["EC2"]
            if fargate(body):
                compatible.append("FARGATE")
            body.setdefault("volumes", [])
            body.setdefault("networkMode", "bridge")
            for c in body["containerDefinitions"]:
                fill_in(c, body["networkMode"])
            body.update({
                "taskDefinitionArn": self.definition_arn(family, revision),
                "revision": revision, "status": "ACTIVE",
                "compatibilities": compatible, "placementConstraints": [],
                "requiresAttributes": [
                    {"name": "com.amazonaws.ecs.capability.docker-remote-api."
                     "1.18"}],
                "registeredAt": self.world.clock.now(),
                "registeredBy": f"arn:aws:iam::{self.world.account}:user/"
                                "double"})
            self.definitions[body["taskDefinitionArn"]] = Definition(body,
                                                                     tags)
        return self.answer_definition(body, tags)

    def answer_definition(self, body, tags):
        return {"taskDefinition": body, **({"tags": tags} if tags else {})}

    def DescribeTaskDefinition(self, params, request):
        with self.lock:
            found = self.find_definition(
                params["taskDefinition"],
                client_error("Unable to describe task definition."))
            out = {"taskDefinition": copy.deepcopy(found.body)}
            if "TAGS" in params.get("include", []):
                out["tags"] = found.tags
            return out

    def ListTaskDefinitions(self, params, request):
        family = params.get("familyPrefix")
        wanted = params.get("status", "ACTIVE")
        with self.lock:
            self.forget_deleted()
            found = [d for d in self.definitions.values()
                     if d.status == wanted
                     and family in (None, d.body["family"])]
        found.sort(key=lambda d: (d.body["family"], d.body["revision"]),
                   reverse=params.get("sort") == "DESC")
        return self.page([d.arn for d in found], params, 100,
                         "taskDefinitionArns")

    def DeregisterTaskDefinition(self, params, request):
        with self.lock:
            name = params["taskDefinition"]
            if ":" not in name:
                raise client_error("Invalid revision number. Number: null")
            found = self.find_definition(name, client_error(
                "The specified task definition does not exist."))
            if found.status == "ACTIVE":
                found.body["status"] = "INACTIVE"
                found.body["deregisteredAt"] = self.world.clock.now()
            return {"taskDefinition": copy.deepcopy(found.body)}

    def DeleteTaskDefinitions(self, params, request):
        names = params["taskDefinitions"]
        if len(names) > 10:
            raise AwsError("InvalidParameterException",
                           "Must specify at most 10 task definitions")
        deleted, failures = [], []
        with self.lock:
            for name in names:
                try:
                    deleted.append(self.delete_definition(name))
                except AwsError as e:
                    failures.append({"arn": name, "reason": e.message})
        return {"taskDefinitions": deleted, "failures": failures}

    def delete_definition(self, name):
        found = self.find_definition(name, client_error(
            "The specified task definition does not exist. Specify a valid "
            "account, family, revision and try again."))
        if found.status == "ACTIVE":
            raise client_error(
                "The specified task definition is still in ACTIVE status. "
                "Please deregister the target and try again.")
        found.body["status"] = "DELETE_IN_PROGRESS"
        found.body["deleteRequestedAt"] = self.world.clock.now()
        found.delete_at = self.world.clock.now() + \
            self.world.clock.constant("definition-deletion")
        return copy.deepcopy(found.body)

    def forget_deleted(self):
        """Those asked for, once no task and no service needs them."""
        used = self.definitions_in_use()
        for arn, d in list(self.definitions.items()):
            if d.delete_at and self.world.clock.now() > d.delete_at and \
               arn not in used:
                del self.definitions[arn]


# ---- checks ----

def fargate(body):
    return "FARGATE" in body.get("requiresCompatibilities", [])


def check(body):
    if len(json.dumps(body)) > SIZE_MAX:
        raise client_error("Actual length: "
                           f"'{len(json.dumps(body))}'. Max allowed length "
                           f"is '{SIZE_MAX}' bytes.")
    if not re.fullmatch(r"[\w-]{1,255}", body["family"]):
        raise client_error(
            "Family contains invalid characters when it should only contain "
            "letters, numbers, hyphens, and underscores.")
    refuse(body, REFUSED, "task definition")
    containers = body["containerDefinitions"]
    if not containers or len(containers) > CONTAINERS_MAX:
        raise client_error("TaskDefinition must have between 1 and "
                           f"{CONTAINERS_MAX} containers")
    names = [c.get("name") for c in containers]
    if len(set(names)) < len(names):
        raise client_error("Container.name must be unique within a task "
                           "definition.")
    if not any(c.get("essential", True) for c in containers):
        raise client_error("Task definition must have at least one essential "
                           "container.")
    if body.get("networkMode") not in ("awsvpc", None) or \
       fargate(body) and body.get("networkMode") != "awsvpc":
        raise client_error("Fargate only supports network mode 'awsvpc'.")
    if fargate(body):
        check_fargate(body)
    for c in containers:
        check_container(body, c, names)
    check_cycles(containers)


def refuse(members, refused, where):
    found = sorted(m for m in refused if members.get(m))
    if found:
        raise client_error(f"The double does not run a {where} with "
                           f"{', '.join(found)}.")


def check_fargate(body):
    if "cpu" not in body or "memory" not in body:
        raise client_error("Fargate requires that 'cpu' be defined at the "
                           "task level." if "cpu" not in body else
                           "Fargate requires that 'memory' be defined at the "
                           "task level.")
    pair = body["cpu"], body["memory"]
    if not all(v.isdigit() for v in pair) or \
       int(pair[1]) not in FARGATE.get(int(pair[0]), []):
        raise client_error("No Fargate configuration exists for given "
                           f"values: {pair[0]} CPU, {pair[1]} memory.")
    if body.get("executionRoleArn"):
        return
    for c in body["containerDefinitions"]:
        if "logConfiguration" in c:
            raise client_error("Fargate requires task definition to have "
                               "execution role ARN to support log driver "
                               "awslogs.")


def check_container(body, c, names):
    where = f"container '{c.get('name')}'"
    if not c.get("name") or not c.get("image"):
        raise client_error("Container.name and Container.image should not be "
                           "null or empty.")
    refuse(c, REFUSED_IN_CONTAINER, where)
    if not (c.get("memory") or c.get("memoryReservation")
            or body.get("memory")):
        raise client_error("Invalid setting for container "
                           f"'{c['name']}'. At least one of 'memory' or "
                           "'memoryReservation' must be specified.")
    for pair in c.get("environment", []):
        if "value" not in pair:
            raise client_error("Environment variable value should not be "
                               "null.")
    if c.get("secrets") and not body.get("executionRoleArn"):
        raise client_error("When you are specifying container secrets, you "
                           "must also specify a value for "
                           "'executionRoleArn'.")
    both = {p["name"] for p in c.get("environment", [])} & \
        {s["name"] for s in c.get("secrets", [])}
    if both:
        raise client_error("The secret name must be unique and not shared "
                           "with any new or existing environment variables "
                           f"set on the container, such as '{min(both)}'.")
    check_log(c)
    if c.get("stopTimeout", 0) > 120:
        raise client_error("Invalid setting for container. stopTimeout must "
                           "be between 0 and 120.")
    volumes = {v["name"] for v in body.get("volumes", [])}
    for m in c.get("mountPoints", []):
        if m.get("sourceVolume") not in volumes:
            raise client_error(f"Unknown volume '{m.get('sourceVolume')}'.")
    for d in c.get("dependsOn", []):
        if d["containerName"] not in names:
            raise client_error(f"Container '{c['name']}' depends on container"
                               f" '{d['containerName']}' but it does not "
                               "exist.")


def check_log(c):
    config = c.get("logConfiguration")
    if config is None:
        return
    if config["logDriver"] != "awslogs":
        raise client_error("The double has log driver awslogs only.")
    options = config.get("options", {})
    for name in ("awslogs-group", "awslogs-region", "awslogs-stream-prefix"):
        if not options.get(name):
            raise client_error("Log driver awslogs requires options: "
                               f"{name}")
    unknown = sorted(set(options) - LOG_OPTIONS)
    if unknown:
        raise client_error("The double does not know log options "
                           + ", ".join(unknown))


def check_cycles(containers):
    waiting = {c["name"]: {d["containerName"] for d in c.get("dependsOn", [])}
               for c in containers}
    while waiting:
        free = [n for n, needs in waiting.items() if not needs & set(waiting)]
        if not free:
            raise client_error("Cycle detected in container dependencies.")
        for name in free:
            del waiting[name]


def fill_in(c, network_mode):
    """Defaults that AWS adds, so that a clone must bear them."""
    for member in ("portMappings", "environment", "mountPoints",
                   "volumesFrom"):
        c.setdefault(member, [])
    c.setdefault("essential", True)
    c.setdefault("cpu", 0)
    for m in c["portMappings"]:
        m.setdefault("protocol", "tcp")
        if network_mode == "awsvpc":
            if m.get("hostPort", m["containerPort"]) != m["containerPort"]:
                raise client_error("When networkMode=awsvpc, the host ports "
                                   "and container ports in port mappings "
                                   "must match.")
            m["hostPort"] = m["containerPort"]
