"""Services of ECS: create, update, describe, delete, and the history of
their deployments.  What happens then is the scheduler's."""
import re

import views
from core import AwsError
from scheduler import ServiceState

DESIRED_MAX = 5000
DESCRIBE_MAX = 10
DESCRIBE_DEPLOYMENTS_MAX = 20
DEFAULT_DEPLOYMENT = {"minimumHealthyPercent": 100, "maximumPercent": 200,
                      "deploymentCircuitBreaker": {"enable": False,
                                                   "rollback": False}}
# Answered as they were given.
KEPT = ("enableExecuteCommand", "enableECSManagedTags", "propagateTags",
        "availabilityZoneRebalancing")
# What starts a new deployment when it changes.
OF_DEPLOYMENT = ("launchType", "capacityProviderStrategy", "platformVersion",
                 "networkConfiguration")
# What the scheduler cannot do is refused, not ignored.
REFUSED = ("serviceRegistries", "placementConstraints", "placementStrategy",
           "serviceConnectConfiguration", "volumeConfigurations",
           "vpcLatticeConfigurations", "role")


def invalid(text):
    return AwsError("InvalidParameterException", text)


class Services:
    """The operations; mixed into the service ECS."""

    def find_service(self, cluster, name):
        arn = self.service_arn(cluster, name)
        found = next((s for s in self.scheduler.services if s.arn == arn),
                     None)
        if found is None:
            raise AwsError("ServiceNotFoundException", "Service not found.")
        return found

    def service_arn(self, cluster, name):
        return self.world.arn("ecs", f"service/{cluster}/"
                              + name.rpartition("/")[2])

    # ---- create ----

    def CreateService(self, params, request):
        cluster = self.cluster_name(params)
        name = params["serviceName"]
        self.check_service(params)
        with self.lock:
            definition = self.usable_definition(params["taskDefinition"])
            self.check_capacity(definition, params)
            self.check_network(definition, params)
            self.check_load_balancers(definition,
                                      params.get("loadBalancers", []))
            known = self.known_service(cluster, name, params)
            if known:
                return {"service": views.service_view(known)}
            service = ServiceState(name, self.service_arn(cluster, name),
                                   self.cluster_arn(cluster),
                                   params.get("desiredCount", 1),
                                   self.world.clock.now())
            service.token = params.get("clientToken")
            service.settings = {
                "deploymentConfiguration": merged(
                    DEFAULT_DEPLOYMENT,
                    params.get("deploymentConfiguration", {})),
                **{m: params[m] for m in KEPT if m in params}}
            service.grace = params.get("healthCheckGracePeriodSeconds", 0)
            self.tags[service.arn] = params.get("tags", [])
            self.scheduler.deploy(service, definition.arn, self.config(params),
                                  params.get("loadBalancers", []))
            self.scheduler.services.append(service)
            view = views.service_view(service)
            self.views.publish(service.arn, view)
            return {"service": {**view, "tags": self.tags[service.arn]}}

    def config(self, params):
        config = {m: params[m] for m in OF_DEPLOYMENT if m in params}
        if "capacityProviderStrategy" not in config:
            config.setdefault("launchType", "EC2")
        if config.get("launchType") == "FARGATE":
            config.setdefault("platformVersion", "LATEST")
        return config

    def known_service(self, cluster, name, params):
        """The service when it is the same request again; an inactive one
        makes room."""
        arn = self.service_arn(cluster, name)
        for s in [s for s in self.scheduler.services if s.arn == arn]:
            if s.status == "DRAINING":
                raise invalid("Unable to Start a service that is still "
                              "Draining.")
            if s.status == "ACTIVE":
                if s.token and s.token == params.get("clientToken"):
                    return s
                raise invalid("Creation of service was not idempotent.")
            self.scheduler.services.remove(s)
            self.views.forget(arn)
        return None

    def check_service(self, params):
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,255}", params["serviceName"]):
            raise invalid("Service name should only contain letters, numbers,"
                          " underscores and hyphens.")
        self.check_supported(params)
        if params.get("schedulingStrategy", "REPLICA") != "REPLICA" or \
           params.get("deploymentController", {}).get("type",
                                                      "ECS") != "ECS":
            raise invalid("The double has strategy REPLICA and controller "
                          "ECS only.")

    def check_supported(self, params):
        for member in REFUSED:
            if params.get(member):
                raise invalid(f"The double does not run a service with "
                              f"{member}.")
        if not 0 <= params.get("desiredCount", 0) <= DESIRED_MAX:
            raise invalid("Invalid desiredCount.")
        config = params.get("deploymentConfiguration", {})
        if config.get("strategy", "ROLLING") != "ROLLING" or \
           config.get("alarms", {}).get("enable"):
            raise invalid("The double deploys by strategy ROLLING, without "
                          "alarms.")

    def check_load_balancers(self, definition, load_balancers):
        containers = {c["name"]: c for c in
                      definition.body["containerDefinitions"]}
        elb = self.world.services["elbv2"]
        for lb in load_balancers:
            name, port = lb.get("containerName"), lb.get("containerPort")
            if name not in containers:
                raise invalid(f"The container {name} does not exist in the "
                              "task definition.")
            if not any(m["containerPort"] == port
                       for m in containers[name]["portMappings"]):
                raise invalid(f"The container {name} did not have a container"
                              f" port {port} defined.")
            arn = lb.get("targetGroupArn")
            if arn not in elb.groups:
                raise invalid("Unable to find the target group with "
                              f"targetGroupArn {arn}.")
            if not elb.is_attached(arn):
                raise invalid(f"The target group with targetGroupArn {arn} "
                              "does not have an associated load balancer.")

    # ---- update ----

    def UpdateService(self, params, request):
        cluster = self.cluster_name(params)
        self.check_supported(params)
        with self.lock:
            service = self.active_service(cluster, params["service"])
            now = service.primary
            arn = now.definition_arn
            if "taskDefinition" in params:
                arn = self.usable_definition(params["taskDefinition"]).arn
            config = {**now.config,
                      **{m: params[m] for m in OF_DEPLOYMENT if m in params}}
            balancers = params.get("loadBalancers", now.load_balancers)
            definition = self.definitions[arn]
            self.check_network(definition, config)
            self.check_load_balancers(definition, balancers)
            self.change_settings(service, params)
            if params.get("forceNewDeployment") or \
               (arn, config, balancers) != (now.definition_arn, now.config,
                                            now.load_balancers):
                self.scheduler.deploy(service, arn, config, balancers)
            view = views.service_view(service)
            return {"service": {**view, "tags": self.tags[service.arn]}}

    def active_service(self, cluster, name):
        service = self.find_service(cluster, name)
        if service.status != "ACTIVE":
            raise AwsError("ServiceNotActiveException",
                           "Service was not ACTIVE.")
        return service

    def change_settings(self, service, params):
        if "desiredCount" in params:
            service.desired = params["desiredCount"]
            service.is_steady = False
        service.grace = params.get("healthCheckGracePeriodSeconds",
                                   service.grace)
        service.settings.update({m: params[m] for m in KEPT if m in params})
        service.settings["deploymentConfiguration"] = merged(
            service.settings["deploymentConfiguration"],
            params.get("deploymentConfiguration", {}))

    def DeleteService(self, params, request):
        cluster = self.cluster_name(params)
        with self.lock:
            service = self.find_service(cluster, params["service"])
            if service.status == "INACTIVE":
                raise AwsError("ServiceNotFoundException",
                               "Service not found.")
            if service.desired > 0 and not params.get("force"):
                raise invalid("The service cannot be stopped while it is "
                              "scaled above 0.")
            service.desired = 0
            service.status = "DRAINING"
            return {"service": views.service_view(service)}

    # ---- read ----

    def DescribeServices(self, params, request):
        cluster = self.cluster_name(params)
        names = params["services"]
        if not 1 <= len(names) <= DESCRIBE_MAX:
            raise invalid("Services cannot be empty." if not names else
                          "Services cannot have more than "
                          f"{DESCRIBE_MAX} elements")
        found, failures = [], []
        for name in names:
            arn = self.service_arn(cluster, name)
            view = self.views.read(arn) or self.views.first(arn)
            if view:
                found.append({**view, **self.tags_for(arn, params)})
            else:
                failures.append({"arn": arn, "reason": "MISSING"})
        return {"services": found, "failures": failures}

    def ListServices(self, params, request):
        cluster = self.cluster_arn(self.cluster_name(params))
        with self.lock:
            arns = [s.arn for s in self.scheduler.services
                    if s.cluster == cluster and s.status != "INACTIVE"]
        return self.page(arns, params, 10, "serviceArns")

    # ---- service deployments ----

    def record_arn(self, service, record):
        return service.arn.replace(":service/", ":service-deployment/") \
            + "/" + record.id

    def revision_arn(self, service, deployment):
        return service.arn.replace(":service/", ":service-revision/") \
            + "/" + deployment.id.rpartition("/")[2]

    def ListServiceDeployments(self, params, request):
        cluster = self.cluster_name(params)
        created = params.get("createdAt", {})
        wanted = params.get("status")
        with self.lock:
            service = self.find_service(cluster, params["service"])
            briefs = []
            for r in service.records:
                if wanted and r.status not in wanted or \
                   not within(r.created, created):
                    continue
                view = self.record_view(service, r)
                briefs.append({m: view[m] for m in (
                    "serviceDeploymentArn", "serviceArn", "clusterArn",
                    "startedAt", "createdAt", "finishedAt", "status",
                    "statusReason") if m in view})
                briefs[-1]["targetServiceRevisionArn"] = \
                    view["targetServiceRevision"]["arn"]
        return self.page(briefs, params, 20, "serviceDeployments")

    def record_view(self, service, record):
        return views.record_view(
            service, record, self.record_arn(service, record),
            lambda d: self.revision_arn(service, d))

    def find_record(self, arn):
        for s in self.scheduler.services:
            for r in s.records:
                if self.record_arn(s, r) == arn:
                    return s, r
        return None, None

    def DescribeServiceDeployments(self, params, request):
        arns = params["serviceDeploymentArns"]
        if len(arns) > DESCRIBE_DEPLOYMENTS_MAX:
            raise invalid("Service deployments cannot have more than "
                          f"{DESCRIBE_DEPLOYMENTS_MAX} elements")
        found, failures = [], []
        with self.lock:
            for arn in arns:
                service, record = self.find_record(arn)
                if record:
                    found.append(self.record_view(service, record))
                else:
                    failures.append({"arn": arn, "reason": "MISSING"})
        return {"serviceDeployments": found, "failures": failures}

    def StopServiceDeployment(self, params, request):
        arn = params["serviceDeploymentArn"]
        with self.lock:
            service, record = self.find_record(arn)
            if record is None:
                raise AwsError("ServiceDeploymentNotFoundException",
                               "Service deployment not found.")
            if record is not service.record or \
               record.status not in ("PENDING", "IN_PROGRESS"):
                raise AwsError("ConflictException", "The service deployment "
                               "is not in a state that can be stopped.")
            if not self.scheduler.stop(
                    service, params.get("stopType", "ROLLBACK")):
                raise AwsError("ConflictException", "There is no completed "
                               "service deployment to roll back to.")
        return {"serviceDeploymentArn": arn}


def merged(old, new):
    """Members that are not given keep what they were."""
    return {**old, **new}


def within(moment, limits):
    return not ("after" in limits and moment < limits["after"].timestamp()
                or "before" in limits
                and moment > limits["before"].timestamp())
