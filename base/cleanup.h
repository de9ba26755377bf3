/*
 * base/cleanup.h - cleanup attributes, so that an error path is one `return`.
 *
 * Variables marked auto_* are released when they leave scope; hand a value
 * over with TAKE_PTR / TAKE_FD, which leave an empty one behind.
 */
#ifndef BASE_CLEANUP_H
#define BASE_CLEANUP_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_free(void *p)
{
	free(*(void **)p);
}

static inline void cleanup_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void cleanup_fclose(FILE **f)
{
	if (*f)
		fclose(*f);
}

static inline void cleanup_closedir(DIR **d)
{
	if (*d)
		closedir(*d);
}

#define auto_free     __attribute__((cleanup(cleanup_free)))
#define auto_close    __attribute__((cleanup(cleanup_close)))
#define auto_fclose   __attribute__((cleanup(cleanup_fclose)))
#define auto_closedir __attribute__((cleanup(cleanup_closedir)))

/* The value of p, which becomes NULL. */
#define TAKE_PTR(p)                                                            \
	({                                                                     \
		__auto_type take_ptr_ = (p);                                   \
		(p) = NULL;                                                    \
		take_ptr_;                                                     \
	})

/* The value of fd, which becomes -1. */
#define TAKE_FD(fd)                                                            \
	({                                                                     \
		int take_fd_ = (fd);                                           \
		(fd) = -1;                                                     \
		take_fd_;                                                      \
	})

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#endif
