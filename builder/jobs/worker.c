#include "builder/jobs/worker.h"

#include <signal.h>
#include <stddef.h>

static volatile sig_atomic_t canceled;

static void on_signal(int number)
{
	(void)number;
	canceled = 1;
}

bool worker_is_canceled(void)
{
	return canceled != 0;
}

void worker_catch_signals(void)
{
	struct sigaction act = { .sa_handler = on_signal };

	sigaction(SIGTERM, &act, NULL);
	sigaction(SIGINT, &act, NULL);
	signal(SIGPIPE, SIG_IGN);
}
