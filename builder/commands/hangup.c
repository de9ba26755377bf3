#include "builder/commands/hangup.h"

#include "base/buf.h"
#include "base/error.h"
#include "builder/commands/commands.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

struct hangup {
	pthread_t thread;
	int fd;
};

static void *wait_for_end(void *arg)
{
	struct hangup *h = arg;
	struct pollfd p = { .fd = h->fd, .events = POLLRDHUP };

	while (poll(&p, 1, -1) < 0 && errno == EINTR)
		;
	_exit(COMMAND_FAILED);
}

int hangup_watch(int fd, struct hangup **ret, struct error *err)
{
	struct hangup *h = xcalloc(1, sizeof(*h));
	sigset_t all;
	sigset_t old;
	int r;

	h->fd = fd;
	/* Signals are for the thread that does the work. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&h->thread, NULL, wait_for_end, h);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r != 0) {
		free(h);
		return err_errno(err, r, "start a thread");
	}
	*ret = h;
	return 0;
}

void hangup_unwatch(struct hangup *h)
{
	if (!h)
		return;
	pthread_cancel(h->thread); /* poll() is where it can be */
	pthread_join(h->thread, NULL);
	free(h);
}
