"""Elastic Container Service: clusters and tasks; services are in
ecs_services.py, task definitions in task_definitions.py.

Errors: API reference 2014-11-13 and what users report.
"""
import json
import re

import views
from core import AwsError, Service
from ecs_services import OF_DEPLOYMENT, Services
from runner import Runner, Task
from scheduler import Scheduler
from task_definitions import TaskDefinitions, client_error

READ_LAG_SEED = 1
STARTED_BY_MAX = 36
RUN_MAX = 10
DESCRIBE_MAX = 100
OVERRIDES_MAX = 8192


def invalid(text):
    return AwsError("InvalidParameterException", text)


class Ecs(TaskDefinitions, Services, Service):
    id = "ecs"
    unsupported = {
        "CreateCluster": {"capacityProviders", "serviceConnectDefaults",
                          "defaultCapacityProviderStrategy"},
        "RunTask": {"placementConstraints", "placementStrategy",
                    "referenceId", "volumeConfigurations"},
        "ListTasks": {"containerInstance", "launchType"},
        "ListServices": {"launchType", "schedulingStrategy"},
    }

    def __init__(self, world):
        super().__init__(world)
        self.runner = Runner(world)
        self.lock = self.runner.lock
        self.scheduler = Scheduler(world, self.runner, self.body_of,
                                   self.publish)
        self.views = views.Views(world.clock.constant("read-lag"),
                                 READ_LAG_SEED)
        self.clusters = ["prod"]
        self.tags = {}                  # of services, tasks, clusters: by ARN
        self.runs = {}                  # RunTask's answers by clientToken
        self.open_definitions()

    def start(self):
        self.runner.open()
        self.scheduler.start()

    def ready_values(self):
        return {"DOUBLE_ID": self.runner.ident, "CLUSTER": "prod"}

    def stop(self):
        self.runner.close()

    def publish(self, gone):
        """Under the lock, several times a second."""
        for task in gone:
            self.views.forget(self.task_arn(task))
            self.tags.pop(self.task_arn(task), None)
        for service in self.scheduler.services:
            self.views.publish(service.arn, views.service_view(service))
        for task in self.scheduler.tasks.values():
            if task.is_told:
                continue
            task.is_told = task.ended_at is not None
            arn = self.task_arn(task)
            if arn not in self.tags:
                self.tags[arn] = self.inherited_tags(task)
            self.views.publish(arn, views.task_view(arn, task))

    def inherited_tags(self, task):
        """Of a service's task."""
        service = task.service
        tags = []
        if service.settings.get("enableECSManagedTags"):
            tags = [{"key": "aws:ecs:clusterName",
                     "value": task.cluster.rpartition("/")[2]},
                    {"key": "aws:ecs:serviceName", "value": service.name}]
        origin = service.settings.get("propagateTags")
        if origin == "SERVICE":
            tags += self.tags[service.arn]
        elif origin == "TASK_DEFINITION":
            tags += self.definitions[
                task.definition["taskDefinitionArn"]].tags
        return tags

    # ---- shared by the operations ----

    def page(self, items, params, size, member):
        start = int(params.get("nextToken") or 0)
        end = start + min(params.get("maxResults", size), 100)
        out = {member: items[start:end]}
        if end < len(items):
            out["nextToken"] = str(end)
        return out

    def cluster_name(self, params):
        name = params.get("cluster", "default").rpartition("/")[2]
        if name not in self.clusters:
            raise AwsError("ClusterNotFoundException", "Cluster not found.")
        return name

    def cluster_arn(self, name):
        return self.world.arn("ecs", "cluster/" + name)

    def task_arn(self, task):
        cluster = task.cluster.rpartition("/")[2]
        return self.world.arn("ecs", f"task/{cluster}/{task.id}")

    def tags_for(self, arn, params):
        return {"tags": self.tags.get(arn, [])} \
            if "TAGS" in params.get("include", []) else {}

    def definitions_in_use(self):
        used = {t.definition["taskDefinitionArn"]
                for t in self.scheduler.tasks.values()
                if t.status != "STOPPED"}
        for s in self.scheduler.services:
            used.update(d.definition_arn for d in s.deployments)
            if s.completed and s.status == "ACTIVE":
                used.add(s.completed.definition_arn)
        return used

    def check_capacity(self, definition, params):
        launch_type = params.get("launchType")
        if launch_type and params.get("capacityProviderStrategy"):
            raise invalid("Specifying both a launch type and capacity "
                          "provider strategy is not supported. Remove one "
                          "and try again.")
        if launch_type and launch_type not in \
                definition.body["compatibilities"]:
            raise client_error("Task definition does not support launch_type "
                               f"{launch_type}.")

    def check_network(self, definition, params):
        """Subnets and security groups are looked at by shape only."""
        config = params.get("networkConfiguration")
        if definition.body["networkMode"] != "awsvpc":
            if config:
                raise invalid("Network Configuration is not valid for the "
                              "given networkMode of this task definition.")
            return
        if not config:
            raise invalid("Network Configuration must be provided when "
                          "networkMode 'awsvpc' is specified.")
        vpc = config["awsvpcConfiguration"]
        if not vpc["subnets"] or len(vpc["subnets"]) > 16:
            raise invalid("subnets can have at most 16 items.")
        if len(vpc.get("securityGroups", [])) > 5:
            raise invalid("securityGroups can have at most 5 items.")
        if vpc.get("assignPublicIp") == "ENABLED" and \
           params.get("launchType", "EC2") == "EC2" and \
           not params.get("capacityProviderStrategy"):
            raise invalid("Assign public IP is not supported for this launch "
                          "type.")
        for what, prefix, ids, code in (
                ("subnet", "subnet", vpc["subnets"], "InvalidSubnetID"),
                ("security group", "sg", vpc.get("securityGroups", []),
                 "InvalidGroup")):
            for ident in ids:
                if not re.fullmatch(prefix + "-[0-9a-f]{8}([0-9a-f]{9})?",
                                    ident):
                    raise invalid(
                        f"Error retrieving {what} information for [{ident}]: "
                        f"The {what} ID '{ident}' does not exist (ErrorCode: "
                        f"{code}.NotFound)")

    # ---- clusters ----

    def CreateCluster(self, params, request):
        name = params.get("clusterName", "default")
        with self.lock:
            if name not in self.clusters:
                self.clusters.append(name)
            self.tags[self.cluster_arn(name)] = params.get("tags", [])
        return {"cluster": self.cluster_view(name)}

    def cluster_view(self, name):
        arn = self.cluster_arn(name)
        tasks = [t for t in self.scheduler.tasks.values() if t.cluster == arn]
        return {"clusterArn": arn, "clusterName": name, "status": "ACTIVE",
                "registeredContainerInstancesCount": 0,
                "runningTasksCount": sum(t.status == "RUNNING"
                                         for t in tasks),
                "pendingTasksCount": sum(t.status in ("PROVISIONING",
                                                      "PENDING", "ACTIVATING")
                                         for t in tasks),
                "activeServicesCount": sum(
                    s.cluster == arn and s.status == "ACTIVE"
                    for s in self.scheduler.services),
                "statistics": [], "settings": [],
                "capacityProviders": ["FARGATE", "FARGATE_SPOT"],
                "defaultCapacityProviderStrategy": []}

    def DescribeClusters(self, params, request):
        found, failures = [], []
        with self.lock:
            for name in params.get("clusters", ["default"]):
                short = name.rpartition("/")[2]
                if short in self.clusters:
                    found.append({
                        **self.cluster_view(short),
                        **self.tags_for(self.cluster_arn(short), params)})
                else:
                    failures.append({"arn": self.cluster_arn(short),
                                     "reason": "MISSING"})
        return {"clusters": found, "failures": failures}

    def TagResource(self, params, request):
        arn = params["resourceArn"]
        keys = {t["key"] for t in params["tags"]}
        with self.lock:
            if arn in self.definitions:
                tags = self.definitions[arn].tags
            elif arn in self.tags:
                tags = self.tags[arn]
            else:
                raise invalid("The specified resource is not found.")
            tags[:] = [t for t in tags if t["key"] not in keys] \
                + params["tags"]
        return {}

    # ---- tasks ----

    def RunTask(self, params, request):
        cluster = self.cluster_name(params)
        token = params.get("clientToken")
        with self.lock:
            if token in self.runs:
                return self.runs[token]
            definition = self.usable_definition(params["taskDefinition"])
            self.check_capacity(definition, params)
            self.check_network(definition, params)
            self.check_overrides(definition, params.get("overrides", {}))
            if len(params.get("startedBy", "")) > STARTED_BY_MAX:
                raise invalid("ownerId longer than "
                              f"{STARTED_BY_MAX}.")
            size = params.get("count", 1)
            if not 1 <= size <= RUN_MAX:
                raise invalid("Count must be between 1 and "
                              f"{RUN_MAX}.")
            family = "family:" + definition.body["family"]
            if self.world.faults.take("no-capacity", family):
                return {"tasks": [], "failures": [{
                    "arn": definition.arn, "reason": "Capacity is unavailable "
                    "at this time. Please try again later or in a different "
                    "availability zone"}]}
            out = {"tasks": [self.run(definition, cluster, params)
                             for _ in range(size)], "failures": []}
            if token:
                self.runs[token] = out
            return out

    def check_overrides(self, definition, overrides):
        names = {c["name"] for c in definition.body["containerDefinitions"]}
        if len(json.dumps(overrides)) > OVERRIDES_MAX:
            raise invalid("Container Overrides length must be at most "
                          f"{OVERRIDES_MAX}")
        for o in overrides.get("containerOverrides", []):
            if o.get("name") not in names:
                raise invalid(f"Override for container named {o.get('name')} "
                              "is not a container in the TaskDefinition.")

    def run(self, definition, cluster, params):
        task = Task(definition.body, self.cluster_arn(cluster),
                    params.get("group",
                               "family:" + definition.body["family"]),
                    params.get("startedBy"))
        task.overrides = params.get("overrides", {})
        task.config = {m: params[m] for m in OF_DEPLOYMENT if m in params}
        self.scheduler.tasks[task.id] = task
        arn = self.task_arn(task)
        self.tags[arn] = params.get("tags", []) + (
            definition.tags if params.get("propagateTags") ==
            "TASK_DEFINITION" else [])
        self.runner.launch(task, lambda t: None, lambda t: None,
                           self.scheduler.note_stopped)
        return views.task_view(arn, task)

    def find_task(self, cluster, name):
        task = self.scheduler.tasks.get(name.rpartition("/")[2])
        if task and task.cluster == self.cluster_arn(cluster):
            return task
        return None

    def StopTask(self, params, request):
        cluster = self.cluster_name(params)
        with self.lock:
            task = self.find_task(cluster, params["task"])
            if task is None:
                raise invalid("The referenced task was not found.")
            task.ask_stop("UserInitiated",
                          params.get("reason", "Task stopped by user"))
            return {"task": views.task_view(self.task_arn(task), task)}

    def DescribeTasks(self, params, request):
        cluster = self.cluster_name(params)
        if len(params["tasks"]) > DESCRIBE_MAX:
            raise invalid("Tasks cannot have more than "
                          f"{DESCRIBE_MAX} elements")
        found, failures = [], []
        for name in params["tasks"]:
            arn = self.world.arn("ecs", f"task/{cluster}/"
                                 + name.rpartition("/")[2])
            view = self.views.read(arn)
            if view:
                found.append({**view, **self.tags_for(arn, params)})
            else:
                failures.append({"arn": arn, "reason": "MISSING"})
        return {"tasks": found, "failures": failures}

    def ListTasks(self, params, request):
        cluster = self.cluster_arn(self.cluster_name(params))
        started_by = params.get("startedBy")
        service = params.get("serviceName")
        family = params.get("family")
        if started_by and (service or family):
            raise invalid("When you specify startedBy as the filter, it must "
                          "be the only filter that you use.")
        if service:
            service = "service:" + self.find_service(
                params["cluster"].rpartition("/")[2], service).name
        wanted = params.get("desiredStatus", "RUNNING")
        with self.lock:
            tasks = [t for t in self.scheduler.tasks.values()
                     if t.cluster == cluster and t.desired == wanted
                     and started_by in (None, t.started_by)
                     and service in (None, t.group)
                     and family in (None, t.definition["family"])]
        return self.page([self.task_arn(t) for t in tasks], params, 100,
                         "taskArns")


SERVICE = Ecs
