#include "builder/rollout/ecs/log_share.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/json.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#define ID_BYTES       16
#define LINE_MAX_BYTES (8 * CLOUDWATCH_MESSAGE_MAX)
/* One reading may bring more than the file is begun anew for. */
#define FILE_MAX (LOG_SHARE_BYTES + (64 << 20))
/* A file from the future: the clock was put back. */
#define AHEAD_MAX_MS 60000

static void hex(const unsigned char *bytes, char out[2 * ID_BYTES + 1])
{
	for (size_t i = 0; i < ID_BYTES; i++)
		snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

static int64_t changed_ms(const struct stat *st)
{
	return (int64_t)st->st_mtim.tv_sec * 1000 +
	       st->st_mtim.tv_nsec / 1000000;
}

/* ---- opening ---- */

/* Files that nobody uses; whoever has one open finds that it is gone. */
static void sweep(const char *folder)
{
	auto_closedir DIR *dir = opendir(folder);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		struct stat st;

		if (strlen(entry->d_name) == 2 * ID_BYTES &&
		    fstatat(dirfd(dir), entry->d_name, &st,
			    AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(st.st_mode) &&
		    clock_wall_ms() - changed_ms(&st) > LOG_SHARE_OLD_MS)
			unlinkat(dirfd(dir), entry->d_name, 0);
	}
}

int log_share_open(struct log_share *s, const char *folder, const char *key,
		   struct error *err)
{
	auto_free char *logs = xasprintf("%s/logs", folder);
	unsigned char digest[EVP_MAX_MD_SIZE];
	char name[2 * ID_BYTES + 1];
	int r = io_mkdirs(logs, 0700, err);

	if (r < 0)
		return r;
	if (EVP_Digest(key, strlen(key), digest, NULL, EVP_sha256(), NULL) != 1)
		return err_set(err, ERR_BUG, "no SHA-256");
	sweep(logs);
	hex(digest, name);
	memset(s, 0, sizeof(*s));
	s->path = xasprintf("%s/%s", logs, name);
	return 0;
}

void log_share_close(struct log_share *s)
{
	if (!s)
		return;
	free(s->path);
	s->path = NULL;
	cloudwatch_seen_release(&s->stored);
}

/* ---- the file ---- */

/* Open and lock it; made when it has to be. */
static int lock_file(const char *path, struct error *err)
{
	for (;;) {
		auto_close int fd = open(
			path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		struct stat mine;
		struct stat there;

		if (fd < 0)
			return err_errno(err, errno, "open '%s'", path);
		while (flock(fd, LOCK_EX) < 0)
			if (errno != EINTR)
				return err_errno(err, errno, "lock '%s'", path);
		/* Removed while we waited? */
		if (fstat(fd, &mine) == 0 && stat(path, &there) == 0 &&
		    mine.st_ino == there.st_ino)
			return TAKE_FD(fd);
	}
}

static int begin_anew(int fd, struct error *err)
{
	unsigned char bytes[ID_BYTES];
	char line[2 * ID_BYTES + 2];

	if (RAND_bytes(bytes, sizeof(bytes)) != 1)
		return err_set(err, ERR_BUG, "no random bytes");
	hex(bytes, line);
	line[2 * ID_BYTES] = '\n';
	if (ftruncate(fd, 0) < 0 || lseek(fd, 0, SEEK_SET) < 0)
		return err_errno(err, errno, "truncate a shared log");
	return io_write_all(fd, line, 2 * ID_BYTES + 1, err);
}

static void parse_event(struct slice line, struct cloudwatch_seen *stored,
			cloudwatch_sink sink, void *ctx)
{
	json_auto_t *doc = json_loadb(line.ptr, line.len, JSON_ALLOW_NUL, NULL);
	const json_t *message = json_object_get(doc, "m");
	struct cloudwatch_event e = {
		.time_ms = json_integer_value(json_object_get(doc, "t")),
		.message = { json_string_value(message),
			     json_string_length(message) },
		.stream = slice_str(json_get_str(doc, "s", "")),
		.id = json_get_str(doc, "i", ""),
	};

	if (!json_is_string(message))
		return;
	(void)cloudwatch_seen_add(stored, &e);
	(void)sink(ctx, &e);
}

/* What is behind s->offset. */
static int give_file(struct log_share *s, int fd, cloudwatch_sink sink,
		     void *ctx, bool *ret_lost, struct error *err)
{
	auto_buf struct buf data = BUF_INIT(FILE_MAX);
	char filling[2 * ID_BYTES + 1] = "";
	struct slice rest;
	struct slice line;
	int r;

	if (pread(fd, filling, 2 * ID_BYTES, 0) != 2 * ID_BYTES)
		return err_set(err, ERR_INVALID, "'%s' is damaged", s->path);
	if (strcmp(filling, s->filling) != 0) {
		*ret_lost = s->filling[0] != '\0';
		memcpy(s->filling, filling, sizeof(filling));
		s->offset = 2 * ID_BYTES + 1;
		cloudwatch_seen_release(&s->stored);
	}
	if (lseek(fd, s->offset, SEEK_SET) < 0)
		return err_errno(err, errno, "seek in '%s'", s->path);
	r = buf_read_fd(&data, fd, err);
	if (r < 0)
		return r;
	rest = buf_slice(&data);
	while (slice_line(&rest, &line))
		parse_event(line, &s->stored, sink, ctx);
	s->offset += (int64_t)data.len;
	return 0;
}

/* ---- reading CloudWatch ---- */

struct appending {
	struct log_share *share;
	struct buf lines;
};

static int append(void *ctx, const struct cloudwatch_event *e)
{
	struct appending *a = ctx;
	json_auto_t *doc = NULL;
	auto_free char *text = NULL;

	if (!cloudwatch_seen_add(&a->share->stored, e))
		return 0;
	doc = json_pack("{s:I, s:s, s:o, s:o}", "t", (json_int_t)e->time_ms,
			"i", e->id, "s",
			json_string_safe(e->stream.ptr, e->stream.len), "m",
			json_string_safe(e->message.ptr, e->message.len));
	text = doc ? json_dumps(doc, JSON_COMPACT) : NULL;
	if (!text || a->lines.len + strlen(text) + 1 > a->lines.max)
		return 1;
	buf_adds(&a->lines, text);
	buf_addc(&a->lines, '\n');
	return 0;
}

/* Until when nobody need read CloudWatch. */
static int set_next(int fd, int wait_ms, struct error *err)
{
	int64_t at = clock_wall_ms() + wait_ms;
	const struct timespec times[2] = {
		{ .tv_nsec = UTIME_OMIT },
		{ .tv_sec = at / 1000, .tv_nsec = at % 1000 * 1000000 },
	};

	if (futimens(fd, times) < 0)
		return err_errno(err, errno, "set the time of a shared log");
	return 0;
}

static int read_more(struct log_share *s, int fd, int wait_ms,
		     log_share_read_fn read, void *ctx, struct error *err)
{
	struct appending a = { .share = s,
			       .lines = BUF_INIT(FILE_MAX - LOG_SHARE_BYTES) };
	struct error ignored;
	off_t end = lseek(fd, 0, SEEK_END);
	int r = read(ctx, append, &a, err);

	if (r == 0 && a.lines.len)
		r = io_write_all(fd, a.lines.data, a.lines.len, err);
	buf_release(&a.lines);
	if (r == 0)
		return set_next(fd, wait_ms, err);
	/* Nothing of it counts; what is in the file is read again. */
	s->filling[0] = '\0';
	if (ftruncate(fd, end) == 0)
		(void)!set_next(fd, wait_ms, &ignored);
	return r;
}

int log_share_poll(struct log_share *s, int wait_ms, log_share_read_fn read,
		   cloudwatch_sink sink, void *ctx, bool *ret_lost,
		   struct error *err)
{
	auto_close int fd = lock_file(s->path, err);
	int64_t due_in;
	struct stat st;
	int r = 0;

	*ret_lost = false;
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return err_errno(err, errno, "stat '%s'", s->path);
	due_in = changed_ms(&st) - clock_wall_ms();
	if (st.st_size <= 2 * ID_BYTES || st.st_size > LOG_SHARE_BYTES ||
	    due_in < -LOG_SHARE_IDLE_MS) {
		r = begin_anew(fd, err);
		due_in = 0;
	}
	if (r == 0)
		r = give_file(s, fd, sink, ctx, ret_lost, err);
	if (r < 0 || (due_in > 0 && due_in < AHEAD_MAX_MS))
		return r;
	r = read_more(s, fd, wait_ms, read, ctx, err);
	return r < 0 ? r : give_file(s, fd, sink, ctx, ret_lost, err);
}
