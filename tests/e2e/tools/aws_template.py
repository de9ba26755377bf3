"""What aws_template.sh asks about contrib/aws/template.yaml.

  aws_template.py CHECK TEMPLATE         prints what is wrong; fails if any is
  aws_template.py guide TEMPLATE GUIDE   parameters and resources in a text
  aws_template.py conf TEMPLATE PARAM=VALUE...       the host's slipway.conf
  aws_template.py user-data TEMPLATE PARAM=VALUE...  what the host runs

CloudFormation itself is not here, so the rules are ours, written from its
documentation: the template anatomy, the resource reference (required
properties, return values) and its quotas.
"""
import itertools
import re
import sys

import yaml

REGION = "us-east-1"
ACCOUNT = "123456789012"
# Of ids whose form somebody looks at.
ID_PREFIXES = {"AWS::EFS::FileSystem": "fs-", "AWS::EFS::AccessPoint": "fsap-"}
PSEUDO = {"AWS::Region": REGION, "AWS::AccountId": ACCOUNT,
          "AWS::Partition": "aws", "AWS::URLSuffix": "amazonaws.com",
          "AWS::NoValue": None}
SECTIONS = {"AWSTemplateFormatVersion", "Description", "Metadata",
            "Parameters", "Rules", "Conditions", "Resources", "Outputs"}
RESOURCE_MEMBERS = {"Type", "Properties", "Condition", "DependsOn",
                    "DeletionPolicy", "UpdateReplacePolicy"}
TEMPLATE_BYTES = 51200   # in a request; more needs a bucket
USER_DATA_BYTES = 16384

# Type: required properties (those that the reference calls conditional, too,
# where our use needs them) | attributes that we may ask for.
TYPES = {
    "AWS::AutoScaling::AutoScalingGroup":
        "MinSize MaxSize LaunchTemplate VPCZoneIdentifier |",
    "AWS::CloudFormation::WaitCondition": "Handle Timeout | Data",
    "AWS::CloudFormation::WaitConditionHandle": "|",
    "AWS::EC2::EIP": "Domain | AllocationId PublicIp",
    "AWS::EC2::EIPAssociation": "AllocationId |",
    "AWS::EC2::Instance": "ImageId InstanceType MetadataOptions | PrivateIp",
    "AWS::EC2::InternetGateway": "|",
    "AWS::EC2::LaunchTemplate":
        "LaunchTemplateData | LatestVersionNumber DefaultVersionNumber",
    "AWS::EC2::NatGateway": "SubnetId AllocationId |",
    "AWS::EC2::NetworkInterface": "SubnetId | PrimaryPrivateIpAddress",
    "AWS::EC2::Route": "RouteTableId DestinationCidrBlock |",
    "AWS::EC2::RouteTable": "VpcId |",
    "AWS::EC2::SecurityGroup": "GroupDescription VpcId | GroupId",
    "AWS::EC2::Subnet":
        "VpcId CidrBlock AvailabilityZone | AvailabilityZone CidrBlock",
    "AWS::EC2::SubnetRouteTableAssociation": "RouteTableId SubnetId |",
    "AWS::EC2::VPC": "CidrBlock | CidrBlock DefaultSecurityGroup",
    "AWS::EC2::VPCEndpoint": "VpcId ServiceName |",
    "AWS::EC2::VPCGatewayAttachment": "VpcId InternetGatewayId |",
    "AWS::EC2::Volume": "AvailabilityZone Size Encrypted |",
    "AWS::ECS::CapacityProvider": "AutoScalingGroupProvider |",
    "AWS::ECS::Cluster": "ClusterName | Arn",
    "AWS::ECS::ClusterCapacityProviderAssociations":
        "Cluster CapacityProviders DefaultCapacityProviderStrategy |",
    "AWS::EFS::AccessPoint": "FileSystemId | Arn AccessPointId",
    "AWS::EFS::FileSystem": "Encrypted | Arn FileSystemId",
    "AWS::EFS::MountTarget": "FileSystemId SubnetId SecurityGroups |",
    "AWS::ElasticLoadBalancingV2::Listener":
        "LoadBalancerArn DefaultActions Port Protocol | ListenerArn",
    "AWS::ElasticLoadBalancingV2::LoadBalancer":
        "Subnets SecurityGroups | DNSName CanonicalHostedZoneID "
        "LoadBalancerFullName",
    "AWS::IAM::InstanceProfile": "Roles | Arn",
    "AWS::IAM::ManagedPolicy": "PolicyDocument |",
    "AWS::IAM::Role": "AssumeRolePolicyDocument | Arn RoleId",
    "AWS::IAM::RolePolicy": "PolicyName RoleName PolicyDocument |",
    "AWS::RDS::DBInstance":
        "DBInstanceClass Engine AllocatedStorage MasterUsername "
        "MasterUserPassword StorageEncrypted | Endpoint.Address "
        "Endpoint.Port DBInstanceArn",
    "AWS::RDS::DBSubnetGroup": "DBSubnetGroupDescription SubnetIds |",
    "AWS::Route53::RecordSet": "Name Type HostedZoneId |",
    "AWS::SecretsManager::Secret": "Name | Id",
}


# ---- reading ----

class Loader(yaml.CSafeLoader):
    """YAML with CloudFormation's short forms; a key given twice is refused."""


def construct_mapping(loader, node):
    keys = [k.value for k, _ in node.value]
    for key in keys:
        if keys.count(key) > 1:
            raise SystemExit(f"line {node.start_mark.line + 1}: "
                             f"'{key}' twice")
    return loader.construct_mapping(node, deep=True)


def construct_short(loader, suffix, node):
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = construct_mapping(loader, node)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else "Fn::" + suffix:
            value}


Loader.add_constructor("tag:yaml.org,2002:map", construct_mapping)
Loader.add_multi_constructor("!", construct_short)


def read(path):
    with open(path) as f:
        text = f.read()
    template = yaml.load(text, Loader)
    template["text"] = text
    return template


def intrinsic(node):
    """(name, argument) of a node that is a function call, else None."""
    if isinstance(node, dict) and len(node) == 1:
        name = next(iter(node))
        if name in ("Ref", "Condition") or name.startswith("Fn::"):
            return name, node[name]
    return None


def sub_parts(argument):
    """(text, names of its own, names that ${} asks for)"""
    text, own = (argument, {}) if isinstance(argument, str) else argument
    wanted = re.findall(r"\$\{([^!}][^}]*)\}", text)
    return text, own, wanted


def walk(node, where, given=()):
    """Every call below node: (where, name, argument, conditions that hold)."""
    call = intrinsic(node)
    if call:
        name, argument = call
        yield where, name, argument, given
        if name == "Fn::If":
            yield from walk(argument[1], where, given + ((argument[0], True),))
            yield from walk(argument[2], where,
                            given + ((argument[0], False),))
            return
        if name == "Fn::Sub":
            yield from walk(sub_parts(argument)[1], where, given)
            return
        if name in ("Ref", "Fn::GetAtt"):
            return
        if intrinsic(argument):
            yield from walk(argument, where, given)
            return
        node = argument
    if isinstance(node, dict):
        for key, value in node.items():
            yield from walk(value, f"{where}.{key}", given)
    elif isinstance(node, list):
        for i, value in enumerate(node):
            yield from walk(value, f"{where}[{i}]", given)


def calls(template):
    for section in ("Rules", "Conditions", "Resources", "Outputs"):
        for name, entry in template[section].items():
            given = ()
            if section != "Conditions" and "Condition" in entry:
                given = ((entry["Condition"], True),)
            yield from walk(entry, f"{section}.{name}", given)


def names_in(name, argument):
    """What a call refers to: (kind, name, attribute)."""
    if name == "Ref":
        yield "value", argument, None
    elif name == "Fn::GetAtt":
        yield "attribute", argument[0], argument[1]
    elif name == "Fn::Sub":
        text, own, wanted = sub_parts(argument)
        for word in wanted:
            if word in own:
                continue
            head, _, tail = word.partition(".")
            yield ("attribute" if tail else "value"), head, tail or None
    elif name == "Condition":
        yield "condition", argument, None
    elif name == "Fn::If":
        yield "condition", argument[0], None


# ---- checks: each yields what is wrong ----

def check_form(template):
    if set(template) - {"text"} - SECTIONS:
        yield f"unknown sections: {set(template) - {'text'} - SECTIONS}"
    if len(template["text"].encode()) > TEMPLATE_BYTES:
        yield f"longer than {TEMPLATE_BYTES} bytes"
    for section in ("Parameters", "Resources", "Outputs"):
        for name in template[section]:
            if not re.fullmatch(r"[A-Za-z0-9]{1,255}", name):
                yield f"{section}.{name}: not a logical id"
    for name, parameter in template["Parameters"].items():
        if "Description" not in parameter and "Type" not in parameter:
            yield f"Parameters.{name}: no type"
        default = parameter.get("Default")
        pattern = parameter.get("AllowedPattern")
        if pattern and default is not None and \
                not re.fullmatch(pattern, str(default)):
            yield f"Parameters.{name}: its default is not allowed"
        if default not in parameter.get("AllowedValues", [default]):
            yield f"Parameters.{name}: its default is not allowed"
    shown = template["Metadata"]["AWS::CloudFormation::Interface"]
    listed = [p for group in shown["ParameterGroups"]
              for p in group["Parameters"]]
    if sorted(listed) != sorted(template["Parameters"]):
        yield "Metadata lists other parameters: " + \
            str(set(listed) ^ set(template["Parameters"]))
    for name, group in template["Resources"].items():
        if group["Type"] == "AWS::EC2::SecurityGroup":
            text = group["Properties"]["GroupDescription"]
            if not re.fullmatch(r"[A-Za-z0-9. _:/()#,@\[\]+=&;{}!$*-]{1,255}",
                                text):
                yield f"{name}: EC2 does not take this description"


def check_names(template):
    used = set()
    for where, call, argument, _ in calls(template):
        for kind, name, attribute in names_in(call, argument):
            used.add(name)
            resource = template["Resources"].get(name)
            if kind == "condition":
                if name not in template["Conditions"]:
                    yield f"{where}: no condition '{name}'"
            elif kind == "attribute":
                if not resource:
                    yield f"{where}: no resource '{name}'"
                    continue
                known = TYPES.get(resource["Type"], "|").split("|")[1].split()
                if attribute not in known:
                    yield f"{where}: {resource['Type']} has no {attribute}"
            elif not resource and name not in template["Parameters"] and \
                    name not in PSEUDO:
                yield f"{where}: nothing is called '{name}'"
        if call == "Fn::Sub":
            own, wanted = sub_parts(argument)[1:]
            for name in set(own) - set(wanted):
                yield f"{where}: '{name}' is not used"
    for name, resource in template["Resources"].items():
        needs = resource.get("DependsOn", [])
        for need in [needs] if isinstance(needs, str) else needs:
            if need not in template["Resources"]:
                yield f"{name}: DependsOn '{need}', which is not there"
    for section in ("Resources", "Outputs"):
        for name, entry in template[section].items():
            used.add(entry.get("Condition"))
            if entry.get("Condition", None) not in \
                    [None, *template["Conditions"]]:
                yield f"{name}: no condition '{entry['Condition']}'"
    for section in ("Parameters", "Conditions"):
        for name in template[section]:
            if name not in used:
                yield f"{section}.{name} is not used"


def check_types(template):
    for name, resource in template["Resources"].items():
        kind = resource["Type"]
        if kind not in TYPES:
            yield f"{name}: {kind} is not in our table"
            continue
        for member in set(resource) - RESOURCE_MEMBERS:
            yield f"{name}: unknown member {member}"
        for wanted in TYPES[kind].split("|")[0].split():
            if wanted not in resource.get("Properties", {}):
                yield f"{name}: {kind} needs {wanted}"
        if kind.startswith("AWS::ECS::") and kind not in (
                "AWS::ECS::Cluster", "AWS::ECS::CapacityProvider",
                "AWS::ECS::ClusterCapacityProviderAssociations"):
            yield f"{name}: {kind} is Slipway's to make"
        if kind in ("AWS::RDS::DBInstance", "AWS::EC2::Volume",
                    "AWS::EFS::FileSystem"):
            for policy in ("DeletionPolicy", "UpdateReplacePolicy"):
                if resource.get(policy) not in ("Snapshot", "Retain"):
                    yield f"{name}: {policy} would lose data"


def implied(template, given):
    """Conditions that hold when those of `given` do."""
    true = {name for name, value in given if value}
    for name in list(true):
        call = intrinsic(template["Conditions"].get(name))
        if call and call[0] == "Fn::And":
            true |= {part["Condition"] for part in call[1]}
    return true


def check_conditions(template):
    """Nothing refers to what is not made, with no choice of parameters."""
    wants = [(w, n, g) for w, call, argument, g in calls(template)
             for _, n, _ in names_in(call, argument)]
    for name, resource in template["Resources"].items():
        needs = resource.get("DependsOn", [])
        given = ((resource["Condition"], True),) \
            if "Condition" in resource else ()
        wants += [(f"Resources.{name}.DependsOn", need, given)
                  for need in ([needs] if isinstance(needs, str) else needs)]
    for where, name, given in wants:
        needs = template["Resources"].get(name, {}).get("Condition")
        if not needs or needs in implied(template, given):
            continue
        # The rule Ec2NeedsPrivate.
        if needs == "IsPrivate" and "HasEc2" in implied(template, given):
            continue
        yield f"{where}: '{name}' is only there with {needs}"


def check_order(template):
    edges = {}
    for name, resource in template["Resources"].items():
        needs = resource.get("DependsOn", [])
        edges[name] = set([needs] if isinstance(needs, str) else needs)
        for _, call, argument, _ in walk(resource, name):
            edges[name] |= {n for _, n, _ in names_in(call, argument)
                            if n in template["Resources"]}
    while True:
        ready = {n for n, needs in edges.items() if not needs}
        if not ready:
            break
        edges = {n: needs - ready for n, needs in edges.items()
                 if n not in ready}
    if edges:
        yield f"circle among {sorted(edges)}"


def check_access(template):
    """Who may reach what, and what may be asked of the metadata service."""
    found = {}
    for name, resource in template["Resources"].items():
        properties = resource.get("Properties", {})
        if resource["Type"].startswith("AWS::EC2::SecurityGroupIngress"):
            yield f"{name}: rules belong into their group"
        if resource["Type"] == "AWS::EC2::SecurityGroup":
            found[name] = [
                (rule["IpProtocol"], str(rule["FromPort"]),
                 str(rule["ToPort"]),
                 str(rule.get("CidrIp") or rule["SourceSecurityGroupId"]))
                for rule in properties.get("SecurityGroupIngress", [])]
        options = properties.get("LaunchTemplateData",
                                 properties).get("MetadataOptions")
        if resource["Type"] in ("AWS::EC2::Instance",
                                "AWS::EC2::LaunchTemplate"):
            hops = 2 if name == "InstanceTemplate" else 1
            if options != {"HttpTokens": "required",
                           "HttpPutResponseHopLimit": hops}:
                yield f"{name}: MetadataOptions are {options}"
        if properties.get("PubliclyAccessible"):
            yield f"{name}: PubliclyAccessible"
    web = str({"Fn::If": ["HasCertificate", 443, 80]})
    git = str({"Ref": "GitPort"})
    balancer = str({"Ref": "LoadBalancerGroup"})
    task = str({"Ref": "TaskGroup"})
    wanted = {
        "LoadBalancerGroup": [("tcp", web, web, "0.0.0.0/0")],
        "TaskGroup": [("tcp", "1", "65535", balancer)],
        "DatabaseGroup": [("tcp", "5432", "5432", task)],
        "FileSystemGroup": [("tcp", "2049", "2049", task)],
        "InstanceGroup": [],
        "ServerGroup": [("tcp", git, git, str({"Ref": "GitCidr"}))],
    }
    for name in sorted(set(found) | set(wanted)):
        if found.get(name) != wanted.get(name):
            yield f"{name}: lets in {found.get(name)}, " \
                f"not {wanted.get(name)}"


# ---- what a choice of parameters gives ----

class Stack:
    """Just enough of CloudFormation's functions to fill in values."""

    def __init__(self, template, parameters):
        self.template = template
        self.parameters = {n: p.get("Default", n.lower() + ".example")
                           for n, p in template["Parameters"].items()}
        self.parameters.update(parameters)

    def holds(self, condition):
        return self.value(self.template["Conditions"][condition])

    def reference(self, name, attribute):
        if name in PSEUDO:
            return PSEUDO[name]
        if name in self.parameters:
            value = self.parameters[name]
            kind = self.template["Parameters"][name]["Type"]
            return value.split(",") if kind == "CommaDelimitedList" else value
        resource = self.template["Resources"][name]
        if "Condition" in resource and not self.holds(resource["Condition"]):
            raise SystemExit(f"'{name}' is not there with these parameters")
        properties = resource.get("Properties", {})
        if resource["Type"] == "AWS::IAM::Role" and attribute == "Arn":
            role = self.value(properties.get("RoleName", name))
            return f"arn:aws:iam::{ACCOUNT}:role/{role}"
        if resource["Type"] == "AWS::ECS::Cluster":
            cluster = self.value(properties["ClusterName"])
            return cluster if not attribute else \
                f"arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/{cluster}"
        if attribute:
            return f"{name}.{attribute}"
        return ID_PREFIXES.get(resource["Type"], "") + f"id-of-{name}"

    def substitute(self, argument):
        text, own, _ = sub_parts(argument)

        def one(m):
            word = m.group(1)
            if word.startswith("!"):
                return "${" + word[1:] + "}"
            if word in own:
                return str(self.value(own[word]))
            head, _, tail = word.partition(".")
            return str(self.reference(head, tail or None))
        return re.sub(r"\$\{([^}]+)\}", one, text)

    def value(self, node):
        call = intrinsic(node)
        if not call:
            if isinstance(node, dict):
                values = {k: self.value(v) for k, v in node.items()}
                return {k: v for k, v in values.items() if v is not None}
            if isinstance(node, list):
                values = [self.value(v) for v in node]
                return [v for v in values if v is not None]
            return node
        name, argument = call
        if name == "Ref":
            return self.reference(argument, None)
        if name == "Fn::GetAtt":
            return self.reference(*argument)
        if name == "Fn::Sub":
            return self.substitute(argument)
        if name == "Condition":
            return self.holds(argument)
        if name == "Fn::If":
            return self.value(argument[1 if self.holds(argument[0]) else 2])
        if name == "Fn::Base64":
            return self.value(argument)
        arguments = [self.value(a) for a in argument]
        if name == "Fn::Equals":
            return str(arguments[0]) == str(arguments[1])
        if name == "Fn::Not":
            return not arguments[0]
        if name == "Fn::And":
            return all(arguments)
        if name == "Fn::Join":
            return arguments[0].join(arguments[1])
        raise SystemExit(f"no rule for {name}")

    def user_data(self):
        server = self.template["Resources"]["ServerInstance"]
        return self.value(server["Properties"]["UserData"])

    def conf(self):
        return re.search(r"/slipway\.conf <<'END'\n(.*?\n)END\n",
                         self.user_data(), re.S).group(1)

    def outputs(self):
        return {o["Description"]: str(self.value(o["Value"]))
                for o in self.template["Outputs"].values()
                if "Condition" not in o or self.holds(o["Condition"])}


def choices():
    """Every combination that changes a value, without the forbidden ones."""
    for network, capacity, arch, certificate, files in itertools.product(
            ("public", "private"), ("fargate", "fargate-spot", "ec2"),
            ("x86_64", "arm64"), ("", "arn:aws:acm:x"), ("yes", "no")):
        if capacity != "ec2" or network == "private":
            yield {"Network": network, "Capacity": capacity,
                   "Architecture": arch, "Certificate": certificate,
                   "FileSystem": files}


def target_keys():
    with open("base/config_target.c") as f:
        return set(re.findall(r'^\t(?:KEY|CHOICE)\("([a-z-]+)"', f.read(),
                              re.M))


def check_outputs(template):
    keys = target_keys()
    if len(keys) < 20:
        yield "base/config_target.c: cannot find its table"
    for name, output in template["Outputs"].items():
        key = output["Description"]
        if key not in keys:
            yield f"Outputs.{name}: '{key}' is no key of [target]"
        if name != "".join(w.capitalize() for w in key.split("-")):
            yield f"Outputs.{name}: should be named after '{key}'"
    for choice in choices():
        stack = Stack(template, {**choice, "Domain": "apps.example.com"})
        section = stack.conf().split('[target "prod"]\n')[1]
        written = dict(re.findall(r"^\t([a-z-]+) = (.*)$", section, re.M))
        outputs = {**{"efs": ""}, **stack.outputs()}
        for key in sorted(set(written) | set(outputs)):
            if written.get(key) != outputs.get(key):
                yield f"{choice}: the host has {key} = " \
                    f"{written.get(key)}, the output is {outputs.get(key)}"
        if len(stack.user_data().encode()) > USER_DATA_BYTES:
            yield "UserData is too long"


def check_guide(template, path):
    with open(path) as f:
        text = f.read()
    # Environment= is systemd's, Key= the CLI's.
    parameters = re.findall(r"(?<![\w-])(?!Environment=|Key=)"
                            r"([A-Z][A-Za-z]*[a-z][A-Za-z]*)=", text)
    resources = re.findall(r"--logical-resource-id (\w+)", text)
    if len(set(parameters)) < 10 or not resources:
        yield "is this the guide?"
    for name in sorted(set(parameters) - set(template["Parameters"])):
        yield f"{path}: the template has no parameter {name}"
    for name in sorted(set(resources) - set(template["Resources"])):
        yield f"{path}: the template has no resource {name}"


CHECKS = {"form": check_form, "names": check_names, "types": check_types,
          "conditions": check_conditions, "order": check_order,
          "access": check_access, "outputs": check_outputs}


def main(command, path, *rest):
    template = read(path)
    if command in ("conf", "user-data"):
        stack = Stack(template, dict(p.split("=", 1) for p in rest))
        print(stack.conf() if command == "conf" else stack.user_data(),
              end="")
        return 0
    if command == "guide":
        problems = list(check_guide(template, *rest))
    else:
        problems = list(CHECKS[command](template))
    for problem in problems:
        print(f"{path}: {problem}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
