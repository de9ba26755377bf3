/*
 * Readers of HAProxy's replies.
 */
#include "builder/rollout/router/haproxy_client.h"

#include "base/cleanup.h"
#include "base/error.h"

#include <limits.h>
#include <string.h>

#define COLUMNS_MAX 160
#define ERROR_SHOWN 200

/* srv_admin_state bits of `show servers state` (management.txt): forced,
 * inherited and name resolution maintenance; forced and inherited drain. */
#define ADMIN_MAINT 0x23
#define ADMIN_DRAIN 0x18

/*
 * Messages start with "[N]: ", N a syslog severity: 3 is an error.  Changes
 * that were made are told with 4 (warning), but so is "Invalid addr"; an
 * unknown command is answered with 6 and the help.
 */
int haproxy_reply_check(struct slice reply, struct error *err)
{
	struct slice line;

	while (slice_line(&reply, &line)) {
		struct slice text = line;

		if (line.len < 5 || line.ptr[0] != '[' || line.ptr[2] != ']' ||
		    line.ptr[3] != ':')
			continue;
		text.ptr += 4;
		text.len -= 4;
		text = slice_trim(text);
		if (line.ptr[1] <= '3' || slice_starts(text, "Invalid") ||
		    slice_starts(text, "Unknown command"))
			return err_set(err, ERR_PEER, "router: %.*s",
				       (int)(text.len < ERROR_SHOWN
						     ? text.len
						     : ERROR_SHOWN),
				       text.ptr);
	}
	return 0;
}

/* Cut the next word off *rest, words being apart by one `separator`. */
static bool next_word(struct slice *rest, char separator, struct slice *ret)
{
	const char *end;

	if (!rest->ptr)
		return false;
	end = memchr(rest->ptr, separator, rest->len);
	ret->ptr = rest->ptr;
	ret->len = end ? (size_t)(end - rest->ptr) : rest->len;
	rest->len -= ret->len + (end ? 1 : 0);
	rest->ptr = end ? end + 1 : NULL;
	return true;
}

/* "0x55d0c0ffee00 shop.localhost p3" */
bool haproxy_next_entry(struct slice *rest, struct haproxy_entry *ret)
{
	struct slice line;

	while (slice_line(rest, &line)) {
		struct slice pointer;

		if (!slice_starts(line, "0x"))
			continue;
		if (next_word(&line, ' ', &pointer) &&
		    next_word(&line, ' ', &ret->key) &&
		    next_word(&line, ' ', &ret->value) && ret->key.len &&
		    ret->value.len)
			return true;
	}
	return false;
}

/* A decimal number of the whole slice, or -1. */
static int number(struct slice s)
{
	int n = 0;

	if (s.len == 0)
		return -1;
	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] < '0' || s.ptr[i] > '9' || n > (INT_MAX - 9) / 10)
			return -1;
		n = n * 10 + (s.ptr[i] - '0');
	}
	return n;
}

/* 3 of "s3", or -1. */
static int slot_number(struct slice name)
{
	int n;

	if (!slice_starts(name, "s"))
		return -1;
	name.ptr++;
	name.len--;
	n = number(name);
	return n >= 1 && n <= HAPROXY_SLOTS ? n : -1;
}

/* A table with a head line; columns are found by their names. */
struct table {
	struct slice words[COLUMNS_MAX];
	int count;
};

static void split(struct slice line, char separator, struct table *ret)
{
	ret->count = 0;
	while (ret->count < COLUMNS_MAX &&
	       next_word(&line, separator, &ret->words[ret->count]))
		ret->count++;
}

/* Number of the column of this name in the head "# a b c", or -1. */
static int column(const struct table *head, const char *name)
{
	for (int i = 0; i < head->count; i++)
		if (slice_eq(head->words[i], name))
			return i;
	return -1;
}

/* Find the head line; columns[] gets the places of the wanted names. */
static int read_head(struct slice *rest, char separator,
		     const char *const *names, int *columns, int count,
		     struct error *err)
{
	struct table head;
	struct slice line;

	while (slice_line(rest, &line)) {
		if (!slice_starts(line, "# "))
			continue;
		line.ptr += 2;
		line.len -= 2;
		split(line, separator, &head);
		for (int i = 0; i < count; i++) {
			columns[i] = column(&head, names[i]);
			if (columns[i] < 0)
				return err_set(err, ERR_PROTO,
					       "router: no column '%s'",
					       names[i]);
		}
		return 0;
	}
	return err_set(err, ERR_PROTO, "router: unexpected reply");
}

static struct slice cell(const struct table *row, int i)
{
	return i < row->count ? row->words[i] : (struct slice){ "", 0 };
}

int haproxy_parse_servers(struct slice reply, struct haproxy_server *servers,
			  int max, struct error *err)
{
	enum { NAME, ADDR, ADMIN, PORT, WANTED };
	static const char *const names[] = { "srv_name", "srv_addr",
					     "srv_admin_state", "srv_port" };
	int at[WANTED];
	struct table row;
	struct slice line;
	int count = 0;
	int r = read_head(&reply, ' ', names, at, WANTED, err);

	if (r < 0)
		return r;
	while (count < max && slice_line(&reply, &line)) {
		struct haproxy_server *s = &servers[count];
		struct slice ip;
		int admin;

		if (slice_trim(line).len == 0)
			continue;
		split(line, ' ', &row);
		ip = cell(&row, at[ADDR]);
		admin = number(cell(&row, at[ADMIN]));
		s->slot = slot_number(cell(&row, at[NAME]));
		s->port = number(cell(&row, at[PORT]));
		if (s->slot < 0 || s->port < 0 || admin < 0 ||
		    ip.len >= sizeof(s->ip))
			return err_set(err, ERR_PROTO,
				       "router: unexpected state of a server");
		memcpy(s->ip, ip.ptr, ip.len);
		s->ip[ip.len] = '\0';
		s->is_maint = admin & ADMIN_MAINT;
		s->is_draining = !s->is_maint && (admin & ADMIN_DRAIN);
		count++;
	}
	return count;
}

int haproxy_parse_sessions(struct slice reply, int sessions[HAPROXY_SLOTS + 1],
			   struct error *err)
{
	enum { NAME, CURRENT, QUEUE, WANTED };
	static const char *const names[] = { "svname", "scur", "qcur" };
	int at[WANTED];
	struct table row;
	struct slice line;
	int r = read_head(&reply, ',', names, at, WANTED, err);

	if (r < 0)
		return r;
	memset(sessions, 0, (HAPROXY_SLOTS + 1) * sizeof(*sessions));
	while (slice_line(&reply, &line)) {
		int current;
		int queue;
		int slot;

		if (slice_trim(line).len == 0)
			continue;
		split(line, ',', &row);
		slot = slot_number(cell(&row, at[NAME]));
		current = number(cell(&row, at[CURRENT]));
		queue = number(cell(&row, at[QUEUE]));
		if (slot < 0 || current < 0 || queue < 0 ||
		    __builtin_add_overflow(current, queue, &sessions[slot]))
			return err_set(err, ERR_PROTO,
				       "router: unexpected statistics");
	}
	return 0;
}

int haproxy_parse_pid(struct slice reply, struct error *err)
{
	struct slice line;

	while (slice_line(&reply, &line)) {
		int pid;

		if (!slice_starts(line, "Pid: "))
			continue;
		line.ptr += 5;
		line.len -= 5;
		pid = number(slice_trim(line));
		if (pid > 0)
			return pid;
	}
	return err_set(err, ERR_PROTO, "router: unexpected reply");
}
