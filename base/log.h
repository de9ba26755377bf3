/*
 * base/log.h - the operator's log: one line `level part key=value… text` to
 * stderr.
 *
 * Runs in every process.  Only the files that play a role (main loops) log
 * above debug; everything else returns errors.  Control characters are
 * masked.  Text for the pusher is not a log.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* Set at start: the word after the level, and the least level printed. */
void log_init(const char *part, enum log_level level) __attribute__((nonnull));

void log_line(enum log_level level, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), nonnull));

#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_DEBUG, __VA_ARGS__)

/* "error" … "debug" to a level; -1 when it is none of them. */
int log_level_from_name(const char *name) __attribute__((nonnull));

#endif
