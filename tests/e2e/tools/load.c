/*
 * Load generator that counts exactly: every request that did not get a whole
 * answer with the expected status is a failed one, whatever the reason.  It
 * never repeats a request.
 *
 *   load [-c CONNECTIONS] [-d SECONDS] [-H HOST] [-P PATH] [-p] [-k] [-r]
 *        [-w MS] [-s STATUS] IP PORT
 *
 *   -p  POST with a body of 1000 bytes instead of GET
 *   -k  keep connections alive (default: a connection per request)
 *   -r  count answers by their body's first line, too
 *   -w  pause between the requests of a connection
 *   -s  the status that counts as success (200)
 *
 * SIGTERM ends it early.  Prints "requests=N failed=N" and, per reason of a
 * failure and per body, one line; exits 0 when nothing failed and something
 * succeeded.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS_MAX 512
#define ANSWER_MAX	65536
#define BODY_BYTES	1000
#define TALLIES_MAX	64
#define PATIENCE_MS	30000 /* for one answer */

enum state { IDLE, CONNECTING, SENDING, READING };

struct connection {
	int fd;
	enum state state;
	size_t sent;
	size_t got;
	int64_t since_ms;
	int64_t next_ms; /* of the next request */
	char answer[ANSWER_MAX + 1];
};

struct tally {
	char what[96];
	uint64_t count;
};

static struct connection connections[CONNECTIONS_MAX];
static struct tally failures[TALLIES_MAX];
static struct tally bodies[TALLIES_MAX];
static uint64_t requests;
static uint64_t failed;
static char request[BODY_BYTES + 2048];
static size_t request_len;
static struct sockaddr_in server;
static volatile sig_atomic_t stop;

static int count_connections = 8;
static double seconds = 5;
static const char *host = "localhost";
static const char *path = "/";
static bool is_post;
static bool keeps_alive;
static bool reads_bodies;
static int pause_ms;
static int want_status = 200;

static void on_signal(int sig)
{
	(void)sig;
	stop = 1;
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void tally(struct tally *list, const char *what)
{
	for (int i = 0; i < TALLIES_MAX; i++) {
		if (list[i].count && strcmp(list[i].what, what) != 0)
			continue;
		snprintf(list[i].what, sizeof(list[i].what), "%s", what);
		list[i].count++;
		return;
	}
}

static void hang_up(struct connection *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	c->state = IDLE;
}

static void fail(struct connection *c, const char *why)
{
	requests++;
	failed++;
	tally(failures, why);
	hang_up(c);
	c->next_ms = now_ms() + pause_ms;
}

static void fail_errno(struct connection *c, const char *what)
{
	char why[96];

	snprintf(why, sizeof(why), "%s: %s", what, strerror(errno));
	fail(c, why);
}

static void begin(struct connection *c)
{
	c->sent = 0;
	c->got = 0;
	c->since_ms = now_ms();
	if (c->fd >= 0) {
		c->state = SENDING;
		return;
	}
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0) {
		perror("load: socket");
		exit(2);
	}
	c->state = CONNECTING;
	if (connect(c->fd, (struct sockaddr *)&server, sizeof(server)) < 0 &&
	    errno != EINPROGRESS)
		fail_errno(c, "connect");
}

static void succeed(struct connection *c, const char *body, size_t len,
		    bool is_last)
{
	char first[96];

	requests++;
	if (reads_bodies) {
		size_t n = strcspn(body, "\r\n");

		n = n < len ? n : len;
		snprintf(first, sizeof(first), "%.*s", (int)n, body);
		tally(bodies, first);
	}
	if (keeps_alive && !is_last)
		c->state = IDLE;
	else
		hang_up(c);
	c->next_ms = now_ms() + pause_ms;
}

static const char *header(const char *head, const char *name)
{
	const char *p = strstr(head, "\r\n");

	while (p && strncmp(p, "\r\n\r\n", 4) != 0) {
		p += 2;
		if (strncasecmp(p, name, strlen(name)) == 0)
			return p + strlen(name);
		p = strstr(p, "\r\n");
	}
	return NULL;
}

/* Is the answer whole?  Looks at it after each piece. */
static void look(struct connection *c, bool at_end)
{
	char *body = strstr(c->answer, "\r\n\r\n");
	const char *length;
	const char *closing;
	size_t have;
	size_t want;
	char why[96];
	int status;

	if (!body) {
		if (at_end)
			fail(c, c->got ? "cut in the head" : "no answer");
		return;
	}
	body += 4;
	if (sscanf(c->answer, "HTTP/1.%*d %d", &status) != 1) {
		fail(c, "not HTTP");
		return;
	}
	if (status != want_status) {
		snprintf(why, sizeof(why), "status %d", status);
		fail(c, why);
		return;
	}
	have = c->got - (size_t)(body - c->answer);
	length = header(c->answer, "content-length:");
	closing = header(c->answer, "connection:");
	if (!length && !at_end)
		return;
	want = length ? strtoul(length, NULL, 10) : have;
	if (have < want) {
		if (at_end)
			fail(c, "cut in the body");
		return;
	}
	succeed(c, body, have,
		at_end || (closing && strncasecmp(closing, " close", 6) == 0));
}

static void do_read(struct connection *c)
{
	ssize_t n = recv(c->fd, c->answer + c->got, ANSWER_MAX - c->got, 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		fail_errno(c, "receive");
		return;
	}
	c->got += (size_t)n;
	c->answer[c->got] = '\0';
	if (n > 0 && c->got == ANSWER_MAX)
		fail(c, "answer too long");
	else
		look(c, n == 0);
}

static void do_send(struct connection *c)
{
	ssize_t n = send(c->fd, request + c->sent, request_len - c->sent,
			 MSG_NOSIGNAL);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		fail_errno(c, "send");
		return;
	}
	c->sent += (size_t)n;
	if (c->sent == request_len)
		c->state = READING;
}

static void do_connect(struct connection *c)
{
	int error = 0;
	socklen_t len = sizeof(error);

	getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len);
	if (error) {
		errno = error;
		fail_errno(c, "connect");
		return;
	}
	c->state = SENDING;
	do_send(c);
}

static void serve(struct connection *c, short events)
{
	if (!events)
		return;
	if (c->state == CONNECTING)
		do_connect(c);
	else if (c->state == SENDING)
		do_send(c);
	else if (c->state == READING)
		do_read(c);
	else
		/* The other side may close an idle connection. */
		hang_up(c);
}

static void turn(bool starts_new)
{
	struct pollfd polled[CONNECTIONS_MAX];
	int64_t now = now_ms();

	for (int i = 0; i < count_connections; i++) {
		struct connection *c = &connections[i];

		if (c->state == IDLE && starts_new && now >= c->next_ms)
			begin(c);
		polled[i] = (struct pollfd){
			.fd = c->fd,
			.events = c->state == CONNECTING || c->state == SENDING
					  ? POLLOUT
					  : POLLIN
		};
	}
	poll(polled, (nfds_t)count_connections, pause_ms ? 1 : 10);
	now = now_ms();
	for (int i = 0; i < count_connections; i++) {
		struct connection *c = &connections[i];

		if (polled[i].fd >= 0 && polled[i].fd == c->fd)
			serve(c, polled[i].revents);
		if (c->state != IDLE && now - c->since_ms > PATIENCE_MS)
			fail(c, "no answer for 30 s");
	}
}

static bool is_busy(void)
{
	for (int i = 0; i < count_connections; i++)
		if (connections[i].state != IDLE)
			return true;
	return false;
}

static void make_request(void)
{
	int n = snprintf(request, sizeof(request),
			 "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: %s\r\n",
			 is_post ? "POST" : "GET", path, host,
			 keeps_alive ? "keep-alive" : "close");

	if (is_post)
		n += snprintf(request + n, sizeof(request) - (size_t)n,
			      "Content-Length: %d\r\n", BODY_BYTES);
	n += snprintf(request + n, sizeof(request) - (size_t)n, "\r\n");
	if (is_post) {
		memset(request + n, 'x', BODY_BYTES);
		n += BODY_BYTES;
	}
	request_len = (size_t)n;
}

static void parse(int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "c:d:H:P:pkrw:s:")) >= 0) {
		if (c == 'c')
			count_connections = (int)strtol(optarg, NULL, 10);
		else if (c == 'd')
			seconds = strtod(optarg, NULL);
		else if (c == 'H')
			host = optarg;
		else if (c == 'P')
			path = optarg;
		else if (c == 'p')
			is_post = true;
		else if (c == 'k')
			keeps_alive = true;
		else if (c == 'r')
			reads_bodies = true;
		else if (c == 'w')
			pause_ms = (int)strtol(optarg, NULL, 10);
		else if (c == 's')
			want_status = (int)strtol(optarg, NULL, 10);
		else
			exit(2);
	}
	if (argc - optind != 2 || count_connections < 1 ||
	    count_connections > CONNECTIONS_MAX || strlen(host) > 255 ||
	    strlen(path) > 1000) {
		fprintf(stderr, "usage: load [options] IP PORT\n");
		exit(2);
	}
	server.sin_family = AF_INET;
	server.sin_port = htons((uint16_t)strtol(argv[optind + 1], NULL, 10));
	if (inet_pton(AF_INET, argv[optind], &server.sin_addr) != 1)
		exit(2);
}

int main(int argc, char **argv)
{
	struct sigaction end = { .sa_handler = on_signal };
	int64_t deadline;

	parse(argc, argv);
	make_request();
	sigaction(SIGTERM, &end, NULL);
	sigaction(SIGINT, &end, NULL);
	for (int i = 0; i < count_connections; i++)
		connections[i].fd = -1;
	deadline = now_ms() + (int64_t)(seconds * 1000);
	while (!stop && now_ms() < deadline)
		turn(true);
	while (is_busy())
		turn(false);
	printf("requests=%llu failed=%llu\n", (unsigned long long)requests,
	       (unsigned long long)failed);
	for (int i = 0; i < TALLIES_MAX && failures[i].count; i++)
		printf("failure %llu %s\n",
		       (unsigned long long)failures[i].count, failures[i].what);
	for (int i = 0; i < TALLIES_MAX && bodies[i].count; i++)
		printf("body %llu %s\n", (unsigned long long)bodies[i].count,
		       bodies[i].what);
	return failed || !requests;
}
