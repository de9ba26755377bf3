"""Elastic Load Balancing v2: one application load balancer with one listener,
whose rules and target groups are made through the API.

The data plane is load_balancer.py.  Errors and limits: API reference
2015-12-01.
"""
import fnmatch
import itertools
import uuid

from clock import CONSTANTS
from core import AwsError, Service
from load_balancer import LoadBalancer, Target

PRIORITY_MAX = 50000
RULES_MAX = 100
ATTRIBUTES = {
    "deregistration_delay.timeout_seconds":
        str(CONSTANTS["deregistration-delay"]),
    "stickiness.enabled": "false",
    "stickiness.type": "lb_cookie",
    "load_balancing.algorithm.type": "round_robin",
    "slow_start.duration_seconds": "0",
}


class TargetGroup:
    def __init__(self, arn, p):
        self.arn = arn
        self.name = p["Name"]
        self.protocol = p["Protocol"]
        self.port = p["Port"]
        self.vpc = p["VpcId"]
        self.path = p.get("HealthCheckPath", "/")
        port = p.get("HealthCheckPort", "traffic-port")
        self.check_port = None if port == "traffic-port" else int(port)
        self.interval = p.get(
            "HealthCheckIntervalSeconds", CONSTANTS["target-check-interval"])
        self.timeout = p.get("HealthCheckTimeoutSeconds", 5)
        self.healthy_threshold = p.get("HealthyThresholdCount", 5)
        self.unhealthy_threshold = p.get("UnhealthyThresholdCount", 2)
        self.matcher = p.get("Matcher", {}).get("HttpCode", "200")
        self.attributes = dict(ATTRIBUTES)
        self.targets = {}               # (address, port): Target
        self.turn = itertools.count()

    def matches(self, status):
        for part in self.matcher.split(","):
            low, _, high = part.partition("-")
            if int(low) <= status <= int(high or low):
                return True
        return False

    def pick(self):
        """Healthy ones in turn; without one any (the group fails open)."""
        open_ = [t for t in list(self.targets.values())
                 if t.state != "draining"]
        healthy = [t for t in open_ if t.state == "healthy"] or open_
        return healthy[next(self.turn) % len(healthy)] if healthy else None

    def describe(self, load_balancers):
        return {
            "TargetGroupArn": self.arn, "TargetGroupName": self.name,
            "Protocol": self.protocol, "Port": self.port, "VpcId": self.vpc,
            "HealthCheckProtocol": "HTTP", "HealthCheckEnabled": True,
            "HealthCheckPort": str(self.check_port or "traffic-port"),
            "HealthCheckIntervalSeconds": self.interval,
            "HealthCheckTimeoutSeconds": self.timeout,
            "HealthyThresholdCount": self.healthy_threshold,
            "UnhealthyThresholdCount": self.unhealthy_threshold,
            "HealthCheckPath": self.path,
            "Matcher": {"HttpCode": self.matcher},
            "LoadBalancerArns": load_balancers, "TargetType": "ip",
            "ProtocolVersion": "HTTP1", "IpAddressType": "ipv4"}


class Rule:
    def __init__(self, arn, priority, conditions, actions):
        self.arn = arn
        self.priority = priority        # None: the default rule
        self.conditions = conditions
        self.actions = actions

    def groups(self):
        for a in self.actions:
            if "TargetGroupArn" in a:
                yield a["TargetGroupArn"]
            for t in a.get("ForwardConfig", {}).get("TargetGroups", []):
                yield t["TargetGroupArn"]

    def fits(self, host, path):
        return all(
            any(fnmatch.fnmatchcase(subject, v) for v in values)
            for subject, values in (self.subject(c, host, path)
                                    for c in self.conditions))

    @staticmethod
    def subject(condition, host, path):
        if condition["Field"] == "host-header":
            return host, [v.lower() for v in values_of(condition)]
        return path.partition("?")[0], values_of(condition)

    def describe(self):
        return {"RuleArn": self.arn,
                "Priority": str(self.priority or "default"),
                "Conditions": self.conditions, "Actions": self.actions,
                "IsDefault": self.priority is None}


def values_of(condition):
    config = {"host-header": "HostHeaderConfig",
              "path-pattern": "PathPatternConfig"}[condition["Field"]]
    return condition.get("Values") or condition.get(config, {}).get(
        "Values", [])


class Elb(Service):
    id = "elbv2"
    unsupported = {
        "CreateTargetGroup": {"ProtocolVersion", "IpAddressType",
                              "HealthCheckEnabled"},
        "DescribeTargetHealth": {"Targets"},
        "ModifyTargetGroup": {
            "HealthCheckProtocol", "HealthCheckPort", "HealthCheckEnabled",
            "HealthCheckIntervalSeconds", "HealthCheckTimeoutSeconds",
            "HealthyThresholdCount", "UnhealthyThresholdCount", "Matcher"},
        "DescribeTargetGroups": {"Marker", "PageSize"},
        "DescribeRules": {"Marker", "PageSize"},
        "DescribeListeners": {"Marker", "PageSize"},
        "DescribeLoadBalancers": {"Marker", "PageSize"},
    }

    def __init__(self, world):
        super().__init__(world)
        self.prefix = (f"arn:aws:elasticloadbalancing:{world.region}:"
                       f"{world.account}:")
        self.name = "app/prod/" + uuid.uuid4().hex[:16]
        self.listener = uuid.uuid4().hex[:16]
        self.groups = {}                # by ARN
        self.tags = {}                  # by ARN
        self.rules = [Rule(self.rule_arn(), None, [], [
            {"Type": "fixed-response", "Order": 1, "FixedResponseConfig": {
                "StatusCode": "404", "ContentType": "text/plain",
                "MessageBody": "no such app\n"}}])]
        self.plane = LoadBalancer(world.clock, self.route)

    def start(self):
        self.plane.start()

    def ready_values(self):
        return {"LOAD_BALANCER": f"127.0.0.1:{self.plane.port}",
                "LOAD_BALANCER_ARN": self.balancer_arn,
                "LISTENER_ARN": self.listener_arn}

    def stop(self):
        self.plane.close()

    # ---- what the data plane and the scheduler ask ----

    def route(self, host, path):
        with self.lock:
            ordered = sorted(self.rules,
                             key=lambda r: r.priority or PRIORITY_MAX + 1)
            rule = next(r for r in ordered if r.fits(host, path))
            action = rule.actions[-1]
            if action["Type"] == "fixed-response":
                fixed = action["FixedResponseConfig"]
                return ("fixed", int(fixed["StatusCode"]),
                        fixed.get("ContentType", "text/plain"),
                        fixed.get("MessageBody", ""))
            target = self.groups[next(rule.groups())].pick()
        if target is None:
            return ("fixed", 503, "text/html",
                    "<h1>503 Service Temporarily Unavailable</h1>")
        return "target", target

    def is_attached(self, arn):
        return any(arn in r.groups() for r in self.rules)

    def register(self, arn, address, port):
        with self.lock:
            group = self.groups.get(arn)
            if group is None:
                return
            known = group.targets.get((address, port))
            if known and known.state != "draining":
                return
            # A dead task's address is given to the next one.
            target = Target(address, port)
            group.targets[(address, port)] = target
        self.plane.watch(target, group)

    def deregister(self, arn, address, port, extra_delay=0):
        """The target; its `gone` is set when it is drained.  None: there is
        no such target."""
        with self.lock:
            group = self.groups.get(arn)
            target = group and group.targets.get((address, port))
            if target is None:
                return None
            delay = int(group.attributes[
                "deregistration_delay.timeout_seconds"]) + extra_delay

        def forget():
            with self.lock:
                if group.targets.get((address, port)) is target:
                    del group.targets[(address, port)]
        self.plane.drain(target, delay, forget)
        return target

    def health(self, arn, address, port):
        """(state, description); ("unused", …) when it is not registered."""
        with self.lock:
            group = self.groups.get(arn)
            target = group and group.targets.get((address, port))
            if target is None:
                return "unused", "Target is not registered"
            return target.state, target.description

    # ---- load balancer and listener ----

    @property
    def balancer_arn(self):
        return f"{self.prefix}loadbalancer/{self.name}"

    @property
    def listener_arn(self):
        return f"{self.prefix}listener/{self.name}/{self.listener}"

    def rule_arn(self):
        return (f"{self.prefix}listener-rule/{self.name}/{self.listener}/"
                + uuid.uuid4().hex[:16])

    def DescribeLoadBalancers(self, params, request):
        arns = params.get("LoadBalancerArns")
        names = params.get("Names")
        if arns and arns != [self.balancer_arn] or names and \
           names != ["prod"]:
            raise AwsError("LoadBalancerNotFound",
                           "One or more load balancers not found")
        return {"LoadBalancers": [{
            "LoadBalancerArn": self.balancer_arn,
            "DNSName": "127.0.0.1", "LoadBalancerName": "prod",
            "Scheme": "internet-facing", "VpcId": "vpc-0a1b2c3d",
            "State": {"Code": "active"}, "Type": "application",
            "SecurityGroups": ["sg-0a1b2c3d"], "IpAddressType": "ipv4"}]}

    def DescribeListeners(self, params, request):
        balancer = params.get("LoadBalancerArn")
        arns = params.get("ListenerArns")
        if balancer and balancer != self.balancer_arn:
            raise AwsError("LoadBalancerNotFound",
                           f"Load balancer '{balancer}' not found")
        if arns and arns != [self.listener_arn]:
            raise AwsError("ListenerNotFound",
                           "One or more listeners not found")
        return {"Listeners": [{
            "ListenerArn": self.listener_arn,
            "LoadBalancerArn": self.balancer_arn,
            "Port": self.plane.port, "Protocol": "HTTP",
            "DefaultActions": self.rules[0].actions}]}

    # ---- target groups ----

    def CreateTargetGroup(self, params, request):
        if params.get("TargetType", "instance") != "ip":
            raise AwsError("ValidationError",
                           "The double has target type 'ip' only")
        for member in ("Protocol", "Port", "VpcId"):
            if member not in params:
                raise AwsError("ValidationError", f"A {member} must be "
                               "specified")
        if params["Protocol"] != "HTTP" or \
           params.get("HealthCheckProtocol", "HTTP") != "HTTP":
            raise AwsError("ValidationError", "The double speaks HTTP only")
        name = params["Name"]
        with self.lock:
            if any(g.name == name for g in self.groups.values()):
                raise AwsError("DuplicateTargetGroupName",
                               f"A target group with the same name '{name}' "
                               "exists, but with different settings")
            arn = (f"{self.prefix}targetgroup/{name}/"
                   + uuid.uuid4().hex[:16])
            self.groups[arn] = TargetGroup(arn, params)
            self.tags[arn] = params.get("Tags", [])
            return {"TargetGroups": [self.groups[arn].describe([])]}

    def group(self, arn):
        if arn not in self.groups:
            raise AwsError("TargetGroupNotFound",
                           f"Target groups '{arn}' not found")
        return self.groups[arn]

    def DescribeTargetGroups(self, params, request):
        with self.lock:
            groups = [self.group(a) for a in
                      params.get("TargetGroupArns", self.groups)]
            names = params.get("Names")
            if names:
                groups = [g for g in groups if g.name in names]
                if len(groups) < len(names):
                    raise AwsError("TargetGroupNotFound",
                                   "One or more target groups not found")
            if "LoadBalancerArn" in params:
                groups = [g for g in groups if self.is_attached(g.arn)]
            return {"TargetGroups": [
                g.describe([self.balancer_arn] if self.is_attached(g.arn)
                           else []) for g in groups]}

    def ModifyTargetGroup(self, params, request):
        with self.lock:
            group = self.group(params["TargetGroupArn"])
            group.path = params.get("HealthCheckPath", group.path)
            return {"TargetGroups": [group.describe(
                [self.balancer_arn] if self.is_attached(group.arn) else [])]}

    def ModifyTargetGroupAttributes(self, params, request):
        group = self.group(params["TargetGroupArn"])
        for a in params["Attributes"]:
            if a["Key"] not in ATTRIBUTES:
                raise AwsError("ValidationError", "Target group attribute "
                               f"key '{a['Key']}' is not recognized")
            group.attributes[a["Key"]] = a["Value"]
        return self.DescribeTargetGroupAttributes(params, request)

    def DescribeTargetGroupAttributes(self, params, request):
        group = self.group(params["TargetGroupArn"])
        return {"Attributes": [{"Key": k, "Value": v}
                               for k, v in group.attributes.items()]}

    def DeleteTargetGroup(self, params, request):
        arn = params["TargetGroupArn"]
        with self.lock:
            if self.is_attached(arn):
                raise AwsError("ResourceInUse", f"Target group '{arn}' is "
                               "currently in use by a listener or a rule")
            group = self.groups.pop(arn, None)
            self.tags.pop(arn, None)
        for address, port in list(group.targets) if group else []:
            group.targets[(address, port)].gone.set()
        return {}

    def DescribeTargetHealth(self, params, request):
        group = self.group(params["TargetGroupArn"])
        used = self.is_attached(group.arn)
        out = []
        for t in list(group.targets.values()):
            health = {"State": t.state, "Reason": t.reason,
                      "Description": t.description}
            if not used and t.state != "draining":
                health = {"State": "unused", "Reason": "Target.NotInUse",
                          "Description": "Target group is not configured to "
                          "receive traffic from the load balancer"}
            out.append({
                "Target": {"Id": t.address, "Port": t.port,
                           "AvailabilityZone": self.world.region + "a"},
                "HealthCheckPort": str(group.check_port or t.port),
                "TargetHealth": {k: v for k, v in health.items() if v}})
        return {"TargetHealthDescriptions": out}

    # ---- rules ----

    def CreateRule(self, params, request):
        if params["ListenerArn"] != self.listener_arn:
            raise AwsError("ListenerNotFound",
                           "One or more listeners not found")
        priority = params["Priority"]
        with self.lock:
            self.check_free(priority)
            if len(self.rules) > RULES_MAX:
                raise AwsError("TooManyRules",
                               "The maximum number of rules has been reached")
            for c in params["Conditions"]:
                self.check_condition(c)
            rule = Rule(self.rule_arn(), priority, params["Conditions"],
                        params["Actions"])
            self.check_actions(rule)
            self.rules.append(rule)
            self.tags[rule.arn] = params.get("Tags", [])
        return {"Rules": [rule.describe()]}

    def check_free(self, priority, moving=()):
        if not 1 <= priority <= PRIORITY_MAX:
            raise AwsError("ValidationError", f"Priority '{priority}' must "
                           f"be between 1 and {PRIORITY_MAX}")
        if any(r.priority == priority and r not in moving
               for r in self.rules):
            raise AwsError("PriorityInUse",
                           f"Priority '{priority}' is currently in use")

    def check_condition(self, condition):
        if condition.get("Field") not in ("host-header", "path-pattern"):
            raise AwsError("ValidationError",
                           "The double has conditions host-header and "
                           "path-pattern only")
        if not values_of(condition):
            raise AwsError("ValidationError",
                           "A condition value must be specified")

    def check_actions(self, rule):
        last = rule.actions[-1]
        if last["Type"] not in ("forward", "fixed-response"):
            raise AwsError("ValidationError",
                           "The double has actions forward and "
                           "fixed-response only")
        groups = list(rule.groups())
        if last["Type"] == "forward" and len(set(groups)) != 1:
            raise AwsError("ValidationError",
                           "The double forwards to one target group")
        for arn in groups:
            self.group(arn)

    def DescribeRules(self, params, request):
        arns = params.get("RuleArns")
        if not arns and params.get("ListenerArn") != self.listener_arn:
            raise AwsError("ListenerNotFound",
                           "One or more listeners not found")
        with self.lock:
            rules = [self.rule(a) for a in arns] if arns else self.rules
            return {"Rules": [r.describe() for r in sorted(
                rules, key=lambda r: r.priority or PRIORITY_MAX + 1)]}

    def rule(self, arn):
        for r in self.rules:
            if r.arn == arn:
                return r
        raise AwsError("RuleNotFound", "One or more rules not found")

    def DeleteRule(self, params, request):
        with self.lock:
            rule = self.rule(params["RuleArn"])
            if rule.priority is None:
                raise AwsError("OperationNotPermitted",
                               "Default rule cannot be deleted")
            self.rules.remove(rule)
            self.tags.pop(rule.arn, None)
        return {}

    def SetRulePriorities(self, params, request):
        with self.lock:
            pairs = [(self.rule(p["RuleArn"]), p["Priority"])
                     for p in params["RulePriorities"]]
            moving = [r for r, _ in pairs]
            for _, priority in pairs:
                self.check_free(priority, moving)
            for rule, priority in pairs:
                rule.priority = priority
            return {"Rules": [r.describe() for r in moving]}

    def DescribeTags(self, params, request):
        found = []
        for arn in params["ResourceArns"]:
            if arn not in self.tags:
                self.group(arn)
            found.append({"ResourceArn": arn, "Tags": self.tags[arn]})
        return {"TagDescriptions": found}

    def AddTags(self, params, request):
        for arn in params["ResourceArns"]:
            if arn not in self.tags:
                self.group(arn)
            keys = {t["Key"] for t in params["Tags"]}
            kept = [t for t in self.tags[arn] if t["Key"] not in keys]
            self.tags[arn] = kept + params["Tags"]
        return {}

    def DescribeTags(self, params, request):
        for arn in params["ResourceArns"]:
            if arn not in self.tags:
                self.group(arn)
        return {"TagDescriptions": [
            {"ResourceArn": a, "Tags": self.tags[a]}
            for a in params["ResourceArns"]]}


SERVICE = Elb
