"""From a container definition to what the Docker Engine is told, and the
stand-in values of a task: environment, health check, limits, volumes."""
import base64
import json
import os
import re

from clock import CONSTANTS

CHECK_FLOOR = 0.3           # seconds of this machine between two checks
CHECK_DEFAULTS = {"timeout": 5, "retries": 3, "startPeriod": 0,
                  "interval": CONSTANTS["health-check-interval"]}
SECOND = 10 ** 9


class Container:
    """One container of a task, as DescribeTasks tells of it."""

    def __init__(self, definition, override, ended):
        self.definition = definition
        self.override = override
        self.ended = ended              # an Event
        self.name = definition["name"]
        self.image = definition["image"]
        self.essential = definition.get("essential", True)
        self.has_check = "healthCheck" in definition
        self.runtime_id = None
        self.image_digest = None
        self.status = "PENDING"
        self.exit_code = None
        self.reason = None
        self.health = "UNKNOWN"
        self.log_thread = None

    @property
    def log_options(self):
        """None when it does not log to CloudWatch."""
        config = self.definition.get("logConfiguration")
        return config.get("options", {}) if config else None


def start_order(containers):
    """Those depended on first, otherwise as defined."""
    order = []
    while len(order) < len(containers):
        names = {c.name for c in order}
        ready = next(c for c in containers if c not in order and all(
            d["containerName"] in names
            for d in c.definition.get("dependsOn", [])))
        order.append(ready)
    return order


def environment(task, container, secrets, region):
    values = {"AWS_REGION": region, "AWS_DEFAULT_REGION": region,
              "AWS_EXECUTION_ENV": "AWS_ECS_" + task.launch_type}
    for pairs in (container.definition.get("environment", []),
                  container.override.get("environment", [])):
        values.update((p["name"], p["value"]) for p in pairs)
    values.update(secrets)
    return [f"{name}={value}" for name, value in values.items()]


def health_check(check, clock):
    values = {**CHECK_DEFAULTS, **check}
    return {
        "Test": values["command"],
        "Interval": int(max(clock.scaled(values["interval"]), CHECK_FLOOR)
                        * SECOND),
        "Timeout": int(max(clock.scaled(values["timeout"]), 1) * SECOND),
        "StartPeriod": int(clock.scaled(values["startPeriod"]) * SECOND),
        "Retries": values["retries"],
    }


def memory_limit(task, definition):
    """MiB: the container's own, else what the task has; 0 = none."""
    return definition.get("memory") or int(task.definition.get("memory", 0))


def nano_cpus(task, cpus):
    """What the task may use, at most what this machine has."""
    units = int(task.definition.get("cpu", 0))
    return min(units * SECOND // 1024, cpus * SECOND)


def volume_folder(data, task, volume):
    """EFS is a folder that tasks share; other volumes end with the task."""
    efs = volume.get("efsVolumeConfiguration")
    if efs is None:
        return os.path.join(data, "tasks", task.id, volume["name"])
    point = efs.get("authorizationConfig", {}).get("accessPointId")
    inner = point or efs.get("rootDirectory", "/").strip("/")
    return os.path.join(data, "efs", efs["fileSystemId"],
                        re.sub(r"[^\w.-]", "_", inner))


def binds(data, task, definition):
    folders = {v["name"]: volume_folder(data, task, v)
               for v in task.definition.get("volumes", [])}
    for folder in folders.values():
        os.makedirs(folder, exist_ok=True)
        os.chmod(folder, 0o777)
    return [folders[m["sourceVolume"]] + ":" + m["containerPath"]
            + (":ro" if m.get("readOnly") else "")
            for m in definition.get("mountPoints", [])]


def spec(task, container, pause, env, data, clock, cpus, labels):
    """The engine's ContainerCreate."""
    d = container.definition
    memory = memory_limit(task, d) * 1024 * 1024
    init = d.get("linuxParameters", {}).get("initProcessEnabled", False)
    out = {
        "Image": container.image,
        "Env": env,
        "Labels": {**d.get("dockerLabels", {}), **labels},
        "HostConfig": {
            "NetworkMode": "container:" + pause,
            "Binds": binds(data, task, d),
            "Memory": memory,
            "MemorySwap": memory,
            "MemoryReservation":
                d.get("memoryReservation", 0) * 1024 * 1024,
            "CpuShares": d.get("cpu", 0),
            "NanoCpus": nano_cpus(task, cpus),
            "Init": init,
            "ReadonlyRootfs": d.get("readonlyRootFilesystem", False),
            "Ulimits": [{"Name": u["name"], "Soft": u["softLimit"],
                         "Hard": u["hardLimit"]}
                        for u in d.get("ulimits", [])],
            "LogConfig": {"Type": "json-file", "Config": {}},
        },
    }
    command = container.override.get("command") or d.get("command")
    if command:
        out["Cmd"] = command
    for member, key in (("entryPoint", "Entrypoint"), ("user", "User"),
                        ("workingDirectory", "WorkingDir")):
        if d.get(member):
            out[key] = d[member]
    if container.has_check:
        out["Healthcheck"] = health_check(d["healthCheck"], clock)
    else:
        out["Healthcheck"] = {"Test": ["NONE"]}     # not the image's own
    return out


def registry_auth(credentials):
    """The header X-Registry-Auth."""
    return base64.urlsafe_b64encode(json.dumps(credentials).encode()).decode()
