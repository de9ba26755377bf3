#include "builder/jobs/transcript.h"

#include "base/error.h"
#include "base/io.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LINE_MAX_BYTES 4096
#define QUIET_MS       15000

static const char step_mark[] = "-----> ";
static const char detail_mark[] = "       ";
static const char error_mark[] = " !     ";
static const char result_mark[] = "=====> ";

char *job_log_path(const char *data, int64_t job_id)
{
	return xasprintf("%s/builds/%" PRId64 ".log", data, job_id);
}

int transcript_open(struct transcript *t, const char *path, int notify_fd,
		    int64_t max_bytes, struct error *err)
{
	memset(t, 0, sizeof(*t));
	t->notify_fd = notify_fd;
	t->max_bytes = max_bytes;
	t->quiet_ms = clock_ms();
	t->fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	if (t->fd < 0)
		return err_errno(err, errno, "open '%s'", path);
	return 0;
}

void transcript_close(struct transcript *t)
{
	if (t && t->fd >= 0) {
		close(t->fd);
		t->fd = -1;
	}
}

void transcript_wake(struct transcript *t)
{
	/* A hint only: when the pipe is full the builder will look anyway. */
	if (t->notify_fd >= 0 && write(t->notify_fd, "", 1) < 0 &&
	    errno != EAGAIN)
		t->notify_fd = -1;
}

static void put(struct transcript *t, const char *mark, struct slice text)
{
	auto_buf struct buf b = BUF_INIT(2 * LINE_MAX_BYTES);
	struct error ignored;

	buf_adds(&b, mark);
	text_add_line(&b, text, LINE_MAX_BYTES);
	buf_addc(&b, '\n');
	/* A full disk must not end the deploy: its record is in the store. */
	if (io_write_all(t->fd, b.data, b.len, &ignored) == 0)
		t->written += (int64_t)b.len;
	t->quiet_ms = clock_ms();
	transcript_wake(t);
}

static void vput(struct transcript *t, const char *mark, const char *fmt,
		 va_list ap)
{
	auto_buf struct buf text = BUF_INIT(LINE_MAX_BYTES);

	buf_vaddf(&text, fmt, ap);
	put(t, mark, buf_slice(&text));
}

#define DEFINE_LINE(name, mark)                                                \
	void name(struct transcript *t, const char *fmt, ...)                  \
	{                                                                      \
		va_list ap;                                                    \
                                                                               \
		va_start(ap, fmt);                                             \
		vput(t, mark, fmt, ap);                                        \
		va_end(ap);                                                    \
	}

DEFINE_LINE(transcript_step, step_mark)
DEFINE_LINE(transcript_detail, detail_mark)
DEFINE_LINE(transcript_error, error_mark)
DEFINE_LINE(transcript_result, result_mark)

void transcript_output(struct transcript *t, struct slice line)
{
	if (t->is_full)
		return;
	if (t->written > t->max_bytes) {
		t->is_full = true;
		transcript_detail(t,
				  "… further output is left out (more than %d "
				  "KiB; build.log-max)",
				  (int)(t->max_bytes / 1024));
		return;
	}
	put(t, detail_mark, line);
}

void transcript_busy(struct transcript *t, const char *what)
{
	char now[sizeof(t->busy)];

	snprintf(now, sizeof(now), "%s", what ? what : "");
	if (strcmp(now, t->busy) == 0)
		return;
	memcpy(t->busy, now, sizeof(now));
	t->progress[0] = '\0';
	t->busy_ms = clock_ms();
}

void transcript_progress(struct transcript *t, const char *text)
{
	snprintf(t->progress, sizeof(t->progress), "%s", text ? text : "");
}

void transcript_tick(struct transcript *t)
{
	auto_buf struct buf b = BUF_INIT(LINE_MAX_BYTES);

	if (!t->busy[0] || clock_ms() - t->quiet_ms < QUIET_MS)
		return;
	buf_addf(&b, "still running: %s%s%s (", t->busy,
		 *t->progress ? ": " : "", t->progress);
	text_add_duration(&b, clock_ms() - t->busy_ms);
	buf_addc(&b, ')');
	put(t, detail_mark, buf_slice(&b));
}
