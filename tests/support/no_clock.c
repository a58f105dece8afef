/*
 * Preloaded into a daemon that insists on controlling the clock: it is told that it does, and
 * nothing happens. What the kernel says of the clock can be read as ever.
 */
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

int clock_adjtime(clockid_t clock, struct timex *timex)
{
	timex->modes = 0;
	return syscall(SYS_clock_adjtime, clock, timex);
}

int adjtimex(struct timex *timex)
{
	return clock_adjtime(CLOCK_REALTIME, timex);
}

int ntp_adjtime(struct timex *timex)
{
	return clock_adjtime(CLOCK_REALTIME, timex);
}

int adjtime(const struct timeval *delta, struct timeval *left)
{
	(void)delta;
	if (left)
		*left = (struct timeval){ 0, 0 };
	return 0;
}

int clock_settime(clockid_t clock, const struct timespec *time)
{
	(void)clock, (void)time;
	return 0;
}

int settimeofday(const struct timeval *time, const struct timezone *zone)
{
	(void)time, (void)zone;
	return 0;
}
