#!/bin/bash
# contrib/aws: the template and the server's policy, without AWS. They are
# read with rules of our own, compared with the settings and with the calls
# of the code, and broken in every way that the rules are there for.
. "$(dirname "$0")/lib.sh"

PYTHON=/usr/bin/python3
TEMPLATE=contrib/aws/template.yaml
POLICY=contrib/aws/policy.json
SOURCES=$(cd "$ROOT" && find builder -name '*.c')

template() {
	(cd "$ROOT" && "$PYTHON" tests/e2e/tools/aws_template.py "$@")
}

policy() {
	(cd "$ROOT" && "$PYTHON" tests/e2e/tools/aws_policy.py "$@")
}

# replaced FILE OLD NEW >COPY: the first OLD; it must be there.
replaced() {
	"$PYTHON" -c 'import sys
text = open(sys.argv[1]).read()
assert sys.argv[2] in text, sys.argv[2] + " is not there"
print(text.replace(sys.argv[2], sys.argv[3], 1), end="")' "$@"
}

# broken CHECK OLD NEW TEXT: with OLD replaced, the check complains with TEXT.
broken() {
	replaced "$ROOT/$TEMPLATE" "$2" "$3" >"$TRASH/broken.yaml" &&
		test_must_fail template "$1" "$TRASH/broken.yaml" \
			>"$TRASH/out" 2>&1 &&
		contains "$TRASH/out" "$4"
}

# broken_policy OLD NEW TEXT
broken_policy() {
	replaced "$ROOT/$POLICY" "$1" "$2" >"$TRASH/broken.json" &&
		test_must_fail policy form "$TRASH/broken.json" \
			>"$TRASH/out" 2>&1 &&
		contains "$TRASH/out" "$3"
}

break_template() {
	broken form 'Default: slipway' 'Default: aws-x' \
		'default is not allowed' &&
	broken form $'\n  Vpc:\n' $'\n  Gateway:\n' "'Gateway' twice" &&
	broken names '!Ref PublicRoutes' '!Ref PublicRoads' \
		"nothing is called 'PublicRoads'" &&
	broken names '{TaskRole.Arn}' '{TaskRole.Name}' \
		'AWS::IAM::Role has no Name' &&
	broken names 'DependsOn: PublicRoute' 'DependsOn: PublicRoad' \
		"DependsOn 'PublicRoad'" &&
	broken types '      FileSystemId: !Ref Files' '' \
		'needs FileSystemId' &&
	broken types $'\n    DeletionPolicy: Snapshot' '' 'would lose data' &&
	broken types $'\nOutputs:\n' \
		$'\n  Web: { Type: "AWS::ECS::Service" }\nOutputs:\n' \
		'Web: AWS::ECS::Service is' &&
	broken conditions $'    Condition: HasFileSystem\n    Description' \
		'    Description' 'only there with HasFileSystem' &&
	broken order $'\n  ServerVolume:\n' \
		$'\n  ServerVolume:\n    DependsOn: ServerInstalled\n' circle &&
	broken access 'CidrIp: !Ref GitCidr' 'CidrIp: 0.0.0.0/0' \
		'ServerGroup: lets in' &&
	broken access 'HopLimit: 1' 'HopLimit: 2' \
		'ServerInstance: MetadataOptions' &&
	broken outputs 'Description: vpc,' 'Description: network,' \
		"'network' is no key of [target]" &&
	broken outputs '= ${Scheme}' '= https' 'the output is http'
}

break_policy() {
	broken_policy '"ecr:BatchDeleteImage"' '"ecr:*"' \
		"'ecr:*' is not one action" &&
	broken_policy '"arn:aws:ecr:REGION:ACCOUNT:repository/PREFIX/*"' '"*"' \
		'on every resource' &&
	broken_policy 'log-group:/PREFIX/*' 'log-group:*' 'is not only ours' &&
	broken_policy 'role/PREFIX-task' 'role/PREFIX-*' 'iam:PassRole on' &&
	broken_policy '"ecs-tasks.amazonaws.com"' '"ec2.amazonaws.com"' \
		'iam:PassRole to anybody' &&
	broken_policy '"ecr:GetAuthorizationToken"' '"iam:PutRolePolicy"' \
		'the server changes no roles'
}

conf() {
	template conf $TEMPLATE Domain=apps.example.com "$@" \
		>"$TRASH/slipway.conf"
}

# What slipway says about that configuration, with no server to talk to.
says() {
	test_must_fail "$BUILD/bin/slipway" -c "$TRASH/slipway.conf" \
		--socket "$TRASH/none" version 2>"$TRASH/out" &&
		contains "$TRASH/out" "$1"
}

test_expect_success 'the template is well formed, its defaults are allowed' '
	template form $TEMPLATE
'

test_expect_success 'every Ref, GetAtt, Sub and DependsOn names something' '
	template names $TEMPLATE
'

test_expect_success 'resources have what their types require' '
	template types $TEMPLATE
'

test_expect_success 'optional parts are only referred to where they exist' '
	template conditions $TEMPLATE
'

test_expect_success 'nothing depends on itself' '
	template order $TEMPLATE
'

test_expect_success 'the world reaches 80 or 443 and the git port, no more' '
	template access $TEMPLATE
'

test_expect_success 'outputs are keys of [target], and the host has the same' '
	template outputs $TEMPLATE
'

test_expect_success 'a broken template is noticed' break_template

test_expect_success 'slipway takes the configuration that the host gets' '
	conf && says "connect to" &&
	conf FileSystem=yes Network=private Capacity=ec2 &&
	says "connect to" &&
	conf Certificate=arn:aws:acm:x GitHost=git.example.com &&
	says "connect to" &&
	echo "	listner = x" >>"$TRASH/slipway.conf" &&
	says "unknown key"
'

test_expect_success 'the guide speaks of parameters and parts that exist' '
	template guide $TEMPLATE docs/AWS.md
'

test_expect_success 'the policy has no other words to fill in than the guide' '
	script=$(sed -n "/^sed .s.PREFIX/,/policy.json\$/p" "$ROOT/docs/AWS.md") &&
	(cd "$ROOT" && eval "$script") >"$TRASH/filled" &&
	contains "$TRASH/filled" \
		arn:aws:ecs:eu-central-1:123456789012:service/apps/acme- &&
	test_must_fail grep -E "PREFIX|CLUSTER|REGION|ACCOUNT" "$TRASH/filled"
'

test_expect_success 'what the host runs at its first boot is valid bash' '
	template user-data $TEMPLATE >"$TRASH/boot" &&
	contains "$TRASH/boot" "make -s install" &&
	bash -n "$TRASH/boot"
'

test_expect_success 'the policy names each action, on what is ours' '
	policy form $POLICY
'

test_expect_success 'a broken policy is noticed' break_policy

test_expect_success 'the template attaches the same policy' '
	policy template $POLICY $TEMPLATE
'

test_expect_success 'no other role has more than its actions' '
	policy roles $TEMPLATE
'

test_expect_success 'the policy allows what the code calls, and no more' '
	policy code $POLICY $SOURCES
'

test_expect_success 'calls are found, also through functions, and compared' '
	mkdir -p "$TRASH/rollout/ecs" &&
	cat >"$TRASH/rollout/ecs/target.c" <<-END &&
	static int call(struct ecs *e, const char *operation, struct error *err)
	{
		/* aws_call(a, AWS_ECS, "Never", in, &out, err) */
		return aws_call(e->aws, AWS_ECS, operation, e->in, &e->out, err);
	}

	static int change(struct ecs *e, bool is_new, struct error *err)
	{
		return call(e, is_new ? "CreateService" : "UpdateService", err);
	}

	static int group(struct aws *a, struct error *err)
	{
		json_t *in = json_pack("{s: []}", "tags");

		if (!in)
			return aws_call(a, AWS_LOGS, "CreateLogStream", in,
					NULL, err);
		return aws_call(a, AWS_LOGS, "CreateLogGroup", in, NULL,
				err);
	}
	END
	policy actions "$TRASH/rollout/ecs/target.c" >"$TRASH/out" &&
	grep -v "^ecr:" "$TRASH/out" >"$TRASH/calls" &&
	printf "%s\n" ecs:CreateService ecs:TagResource ecs:UpdateService \
		logs:CreateLogGroup logs:CreateLogStream logs:TagResource |
		diff - "$TRASH/calls" &&
	test_must_fail policy code $POLICY "$TRASH/rollout/ecs/target.c" \
		>"$TRASH/out" &&
	contains "$TRASH/out" "ecs:DeleteService is allowed for nothing" \
		"lacks logs:CreateLogStream, which $TRASH/rollout/ecs/target.c"
'

test_done
