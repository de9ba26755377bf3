"""What aws_template.sh asks about contrib/aws/policy.json.

  aws_policy.py form POLICY              what is wrong with it by itself
  aws_policy.py template POLICY TEMPLATE the copy in the template is the same
  aws_policy.py roles TEMPLATE           policies of the other roles
  aws_policy.py code POLICY SOURCE...    against the calls of the C sources
  aws_policy.py actions SOURCE...        these calls, one action a line

An action that the code uses and the policy lacks is an error.  One that the
policy has for nothing is one as soon as the code is whole: when
builder/rollout/ecs/target.c is among the sources.
"""
import json
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import aws_template  # noqa: E402

# enum aws_service, as IAM calls the services.
SERVICES = {"AWS_ECR": "ecr", "AWS_ECS": "ecs", "AWS_LOGS": "logs",
            "AWS_SECRETS_MANAGER": "secretsmanager", "AWS_SSM": "ssm",
            "AWS_STS": "sts", "AWS_ELB": "elasticloadbalancing"}
# The Engine's push, which asks the registry and not the API (ECR User Guide,
# "IAM permissions for pushing").
PUSH = {"ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage",
        "ecr:CompleteLayerUpload", "ecr:InitiateLayerUpload", "ecr:PutImage",
        "ecr:UploadLayerPart"}
# What comes with another action (Service Authorization Reference): roles of
# a task definition, and tags given at birth.
WITH = {"ecs:RegisterTaskDefinition": "iam:PassRole",
        "ecs:RunTask": "iam:PassRole"}
TAGS = {"ecr:CreateRepository": "ecr:TagResource",
        "ecs:CreateService": "ecs:TagResource",
        "ecs:RegisterTaskDefinition": "ecs:TagResource",
        "ecs:RunTask": "ecs:TagResource",
        "elasticloadbalancing:CreateRule": "elasticloadbalancing:AddTags",
        "elasticloadbalancing:CreateTargetGroup":
            "elasticloadbalancing:AddTags",
        "logs:CreateLogGroup": "logs:TagResource",
        "secretsmanager:CreateSecret": "secretsmanager:TagResource"}
# Calls that this policy does not allow: how a server becomes the role that
# has it is decided where that is set up.
ELSEWHERE = {"sts:AssumeRole", "sts:AssumeRoleWithWebIdentity"}
# Actions without resource types; any other with Resource "*" is too wide.
NO_RESOURCE = {"ecr:GetAuthorizationToken", "ecs:DeregisterTaskDefinition",
               "ecs:DescribeTaskDefinition", "ecs:ListTaskDefinitions",
               "logs:DescribeLogGroups", "sts:GetCallerIdentity"}
POLICY_CHARS = 6144  # of a managed policy, white space not counted


def as_list(value):
    return value if isinstance(value, list) else [value]


def read(path):
    with open(path) as f:
        return json.load(f)


def actions_of(policy):
    return [a for s in policy["Statement"] for a in as_list(s["Action"])]


def check_statement(statement):
    """Rules for every policy that we write."""
    name = statement.get("Sid", str(statement.get("Action")))
    if statement.get("Effect") != "Allow" or \
            set(statement) & {"NotAction", "NotResource", "Principal"}:
        yield f"{name}: only Allow of actions on resources"
        return
    for action in as_list(statement["Action"]):
        if not re.fullmatch(r"[a-z]+:[A-Za-z]+", action):
            yield f"{name}: '{action}' is not one action"
        for resource in as_list(statement["Resource"]):
            if resource != "*":
                if not resource.startswith("arn:aws:"):
                    yield f"{name}: '{resource}' is no ARN"
            elif action not in NO_RESOURCE and \
                    not re.match(r"elasticloadbalancing:Describe|ssmmessages:|"
                                 r"ssm:UpdateInstanceInformation$", action) \
                    and "ecs:cluster" not in str(statement.get("Condition")):
                yield f"{name}: {action} on every resource"


def check_form(policy):
    if policy.get("Version") != "2012-10-17":
        yield "Version is not 2012-10-17"
    size = len(re.sub(r"\s", "", json.dumps(policy)))
    if size > POLICY_CHARS:
        yield f"{size} characters; a managed policy has up to {POLICY_CHARS}"
    for statement in policy["Statement"]:
        yield from check_statement(statement)
        for resource in as_list(statement["Resource"]):
            ours = re.search(r"\b(PREFIX|CLUSTER)\b", resource)
            if resource != "*" and not ("ACCOUNT" in resource and ours):
                yield f"{statement['Sid']}: '{resource}' is not only ours"
        if "iam:PassRole" in as_list(statement["Action"]):
            yield from check_pass_role(statement)
    actions = actions_of(policy)
    for action in sorted({a for a in actions if actions.count(a) > 1}):
        yield f"{action} twice"
    if actions.count("iam:PassRole") != 1:
        yield "iam:PassRole belongs into one statement"
    for action in actions:
        if action.startswith("iam:") and action != "iam:PassRole":
            yield f"{action}: the server changes no roles"


def check_pass_role(statement):
    """With RegisterTaskDefinition it is the way to more rights."""
    if statement["Action"] != "iam:PassRole":
        yield "iam:PassRole shares its statement"
    wanted = ["arn:aws:iam::ACCOUNT:role/PREFIX-execution",
              "arn:aws:iam::ACCOUNT:role/PREFIX-task"]
    if statement["Resource"] != wanted:
        yield f"iam:PassRole on {statement['Resource']}, not {wanted}"
    if statement.get("Condition") != {"StringEquals": {
            "iam:PassedToService": "ecs-tasks.amazonaws.com"}}:
        yield "iam:PassRole to anybody but ECS tasks"


def check_template(path, template_path):
    with open(path) as f:
        text = f.read()
    for word, value in (("REGION", aws_template.REGION),
                        ("ACCOUNT", aws_template.ACCOUNT),
                        ("PREFIX", "acme"), ("CLUSTER", "acme")):
        text = re.sub(rf"\b{word}\b", value, text)
    template = aws_template.read(template_path)
    stack = aws_template.Stack(template, {"Prefix": "acme"})
    copy = stack.value(template["Resources"]["ServerPolicy"]["Properties"]
                       ["PolicyDocument"])
    here = {s["Sid"]: s for s in json.loads(text)["Statement"]}
    there = {s["Sid"]: s for s in copy["Statement"]}
    for sid in sorted(set(here) | set(there)):
        if here.get(sid) != there.get(sid):
            yield f"{sid}: here {here.get(sid)}, there {there.get(sid)}"


def check_roles(template_path):
    template = aws_template.read(template_path)
    stack = aws_template.Stack(template, {"FileSystem": "yes"})
    for name, resource in template["Resources"].items():
        properties = resource.get("Properties", {})
        documents = [p["PolicyDocument"]
                     for p in properties.get("Policies", [])]
        if "PolicyDocument" in properties:
            documents.append(properties["PolicyDocument"])
        for document in documents:
            value = stack.value(document)
            for statement in value["Statement"]:
                if name == "TaskFilePolicy":  # an ARN of a resource
                    statement["Resource"] = "arn:aws:" + statement["Resource"]
                for problem in check_statement(statement):
                    yield f"{name}: {problem}"
        for arn in as_list(properties.get("ManagedPolicyArns", [])):
            if "Administrator" in str(arn) or "FullAccess" in str(arn):
                yield f"{name}: {arn}"


# ---- the calls of the code ----

def arguments_at(text, start):
    """Arguments of the call whose "(" is at start, split at commas."""
    depth, begin, found, i = 0, start + 1, [], start
    while i < len(text):
        c = text[i]
        if c == '"':
            i = re.compile(r'"(?:\\.|[^"\\])*"').match(text, i).end()
            continue
        if c in "([{":
            depth += 1
        elif c in ")]}":
            depth -= 1
        if (c == "," and depth == 1) or depth == 0:
            found.append(" ".join(text[begin:i].split()))
            begin = i + 1
            if depth == 0:
                break
        i += 1
    return found


def functions(path):
    """(name, is it static, parameters, body) of a source in our format."""
    with open(path) as f:
        text = re.sub(r"/\*.*?\*/", "", f.read(), flags=re.S)
    for m in re.finditer(r"^[a-z][^;{}()=#]*?\b(\w+)(\([^;{}]*?\))\n\{\n"
                         r"(.*?)^\}", text, re.M | re.S):
        parameters = [re.split(r"[\s*]+", p)[-1].rstrip("[]")
                      for p in arguments_at(m.group(2), 0)]
        yield (m.group(1), m.group(0).startswith("static"), parameters,
               m.group(3))


class Scan:
    """Follows aws_call() through functions that pass an operation on."""

    def __init__(self, paths):
        self.found = {}     # action: file that asks for it
        self.tagging = set()  # (file or folder, word) that gives tags
        self.problems = []
        self.sources = [(p, list(functions(p))) for p in paths]
        for path in paths:
            with open(path) as f:
                for word in re.findall(r'"([Tt]ags)"', f.read()):
                    self.tagging.add((path, word))
                    self.tagging.add((os.path.dirname(path), word))
        # (file or None, function): (service, operation), each as an index of
        # its parameter or as the word itself
        waiting = [((None, "aws_call"), (1, 2))]
        known = set()
        while waiting:
            callee = waiting.pop()
            if callee in known:
                continue
            known.add(callee)
            waiting += self.look_for(*callee)

    def look_for(self, callee, places):
        home, name = callee
        passes_on = []
        for path, bodies in self.sources:
            if home and path != home:
                continue
            for function, is_static, parameters, body in bodies:
                if function == name:
                    continue
                for m in re.finditer(rf"\b{name}\(", body):
                    place = self.one(path, function, parameters,
                                     arguments_at(body, m.end() - 1), places)
                    if place:
                        caller = (path if is_static else None, function)
                        passes_on.append((caller, place))
        return passes_on

    def one(self, path, function, parameters, given, places):
        """Where the function takes service and operation from, if it does."""
        service, operation = [p if isinstance(p, str) else given[p]
                              for p in places]
        words = re.findall(r'"(\w+)"', operation)
        if service in SERVICES and words:
            for word in words:
                action = f"{SERVICES[service]}:{word}"
                self.found.setdefault(action, path)
                self.with_tags(path, action)
            return None
        place = [service if service in SERVICES else
                 parameters.index(service) if service in parameters else None,
                 f'"{words[0]}"' if len(words) == 1 else
                 parameters.index(operation) if operation in parameters
                 else None]
        if None in place:
            self.problems.append(
                f"{path}: {function}() calls {service} {operation}: cannot "
                "see which operation; write its name there")
            return None
        return tuple(place)

    def with_tags(self, path, action):
        """ECS and ELB have their inputs made in other files of a folder."""
        service = action.split(":")[0]
        givers = {"ecs": [(os.path.dirname(path), "tags")],
                  "elasticloadbalancing": [(os.path.dirname(path), "Tags")]}
        for giver in givers.get(service, [(path, "tags"), (path, "Tags")]):
            if giver in self.tagging and action in TAGS:
                self.found.setdefault(TAGS[action], path)

    def actions(self):
        wanted = {a: p for a, p in self.found.items() if a not in ELSEWHERE}
        for action in list(wanted):
            if action in WITH:
                wanted.setdefault(WITH[action], wanted[action])
        for action in PUSH:
            wanted.setdefault(action, "the Engine's push")
        return wanted


def check_services(paths):
    with open("builder/aws/aws.h") as f:
        members = re.search(r"enum aws_service \{(.*?)\}", f.read(),
                            re.S).group(1)
    for member in re.findall(r"\bAWS_\w+", members):
        if member not in SERVICES and member != "AWS_SERVICES_COUNT":
            yield f"builder/aws/aws.h: how does IAM call {member}?"


def check_code(policy, paths):
    yield from check_services(paths)
    scan = Scan(paths)
    yield from scan.problems
    wanted = scan.actions()
    allowed = set(actions_of(policy))
    for action in sorted(set(wanted) - allowed):
        yield f"lacks {action}, which {wanted[action]} needs"
    whole = any(p.endswith("rollout/ecs/target.c") for p in paths)
    for action in sorted(allowed - set(wanted)):
        if whole:
            yield f"{action} is allowed for nothing"
        else:
            print(f"not called yet: {action}")


def main(command, path, *rest):
    if command == "actions":
        print("\n".join(sorted(Scan([path, *rest]).actions())))
        return 0
    if command == "form":
        problems = list(check_form(read(path)))
    elif command == "template":
        problems = list(check_template(path, *rest))
    elif command == "roles":
        problems = list(check_roles(path))
    else:
        problems = list(check_code(read(path), rest))
    for problem in problems:
        print(f"{path}: {problem}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
