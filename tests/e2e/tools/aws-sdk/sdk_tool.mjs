/*
 * sdk_tool - makes calls through Amazon's SDK for JavaScript, for shell tests
 * that compare it with our client; what it prints is what aws_tool prints.
 *
 *	sdk_tool.mjs [-n TIMES] [-p] SERVICE OPERATION <INPUT.json
 *	sdk_tool.mjs wait SERVICE STATE SECONDS <INPUT.json
 *	sdk_tool.mjs credentials
 *
 * SERVICE is an IAM prefix.  Prints the output as JSON in the form of the
 * wire: times are seconds, bytes base64; of the query services every leaf is a
 * string, and so is an empty list, which XML does not tell from one.
 *
 * -n makes the call so often with one client; -p prints all pages, one a line.
 * `wait` prints how a waiter (ServicesStable) ended, `credentials` what the
 * default chain finds: KEY|token or -|EXPIRES.
 *
 * A failure prints "status", "code", "message" and "request_id" lines, exit
 * code 1.  The environment says where, who and in which region.
 */
import { readFileSync } from "node:fs";

const CLIENTS = {
	ecr: ["client-ecr", "ECRClient"],
	ecs: ["client-ecs", "ECSClient"],
	elasticloadbalancing: [
		"client-elastic-load-balancing-v2",
		"ElasticLoadBalancingV2Client",
	],
	logs: ["client-cloudwatch-logs", "CloudWatchLogsClient"],
	secretsmanager: ["client-secrets-manager", "SecretsManagerClient"],
	sts: ["client-sts", "STSClient"],
};
const QUERY = new Set(["elasticloadbalancing", "sts"]);

class UsageError extends Error {}

async function open(service) {
	if (!(service in CLIENTS)) throw new UsageError(`no service '${service}'`);
	const [name, constructor] = CLIENTS[service];
	const module = await import(`@aws-sdk/${name}`);
	return { module, client: new module[constructor]({}) };
}

function input() {
	return JSON.parse(readFileSync(0, "utf8"));
}

/* An output of the SDK as it was on the wire. */
function plain(value, isQuery) {
	if (value instanceof Date)
		return isQuery ? value.toISOString() : value.getTime() / 1000;
	if (value instanceof Uint8Array)
		return Buffer.from(value).toString("base64");
	if (Array.isArray(value))
		return isQuery && value.length === 0
			? ""
			: value.map((item) => plain(item, isQuery));
	if (value === null || typeof value !== "object")
		return isQuery ? String(value) : value;
	return Object.fromEntries(
		Object.entries(value)
			.filter(([name, member]) =>
				name !== "$metadata" && member !== undefined)
			.map(([name, member]) => [name, plain(member, isQuery)]),
	);
}

function print(service, output) {
	console.log(JSON.stringify(plain(output, QUERY.has(service))));
}

/* The query services' errors have the code of the wire in a member. */
function printError(error) {
	console.log(`status ${error.$metadata?.httpStatusCode ?? 0}`);
	console.log(`code ${error.Code ?? error.name}`);
	console.log(`message ${error.message}`);
	console.log(`request_id ${error.$metadata?.requestId ?? ""}`);
}

async function call(service, operation, times) {
	const { module, client } = await open(service);
	const Command = module[`${operation}Command`];
	const params = input();
	for (; times > 0; times--)
		print(service, await client.send(new Command(params)));
	client.destroy();
}

async function pages(service, operation) {
	const { module, client } = await open(service);
	const paginate = module[`paginate${operation}`];
	const config = { client, stopOnSameToken: true };
	for await (const page of paginate(config, input()))
		print(service, page);
	client.destroy();
}

async function wait(service, state, seconds) {
	const { module, client } = await open(service);
	const config = {
		client,
		minDelay: 1,
		maxDelay: 1,
		maxWaitTime: Number(seconds),
	};
	try {
		const end = await module[`waitUntil${state}`](config, input());
		console.log(end.state);
	} catch (error) {
		if (error.$metadata) throw error;
		console.log(error.name);
	}
	client.destroy();
}

async function credentials() {
	const { client } = await open("sts");
	const found = await client.config.credentials();
	const expires = found.expiration ? found.expiration.getTime() / 1000 : 0;
	console.log([found.accessKeyId, found.sessionToken ? "token" : "-",
		expires].join("|"));
}

async function main(args) {
	let times = 1;
	let all = false;
	for (; args[0]?.startsWith("-"); args.shift()) {
		if (args[0] === "-p") all = true;
		else if (args[0] === "-n") {
			args.shift();
			times = Number(args[0]);
		} else throw new UsageError(`no option '${args[0]}'`);
	}
	if (args[0] === "wait" && args.length === 4)
		await wait(...args.slice(1));
	else if (args[0] === "credentials" && args.length === 1)
		await credentials();
	else if (args.length !== 2)
		throw new UsageError("SERVICE OPERATION are missing");
	else if (all) await pages(...args);
	else await call(...args, times);
}

try {
	await main(process.argv.slice(2));
} catch (error) {
	if (error instanceof UsageError) {
		console.error(`sdk_tool: ${error.message}`);
		process.exit(100);
	}
	printError(error);
	process.exit(1);
}
