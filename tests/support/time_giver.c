/* Gives the host's time ten times a second, plus SHIFT_NS, as gpsd gives it to chronyd and ntpd.
 *
 *   time_giver sock PATH SHIFT_NS         chrony's SOCK
 *   time_giver pulse PATH SHIFT_NS        the same, without the number of the second
 *   time_giver junk PATH 0                what is no sample, in turns
 *   time_giver shm UNIT SHIFT_NS          ntpd's shared memory, mode 1
 *
 * The structures are those that the C compiler makes of the published declarations, so that our
 * reader's idea of their layout is compared with the machine's. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>

struct sock_sample {
    struct timeval tv;
    double offset;
    int pulse;
    int leap;
    int _pad;
    int magic;
};

struct shmTime {
    int mode;
    volatile int count;
    time_t clockTimeStampSec;
    int clockTimeStampUSec;
    time_t receiveTimeStampSec;
    int receiveTimeStampUSec;
    int leap;
    int precision;
    int nsamples;
    volatile int valid;
    unsigned clockTimeStampNSec;
    unsigned receiveTimeStampNSec;
    int dummy[8];
};

static void pause_100ms(void)
{
    struct timespec pause = {0, 100000000};
    nanosleep(&pause, NULL);
}

static void give_by_socket(const char *path, double shift, int pulse, int junk)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    strncpy(to.sun_path, path, sizeof to.sun_path - 1);
    for (unsigned turn = 0;; turn++) {
        struct sock_sample sample = {.magic = 0x534f434b, .pulse = pulse};
        size_t length = sizeof sample;
        gettimeofday(&sample.tv, NULL);
        /* Of a pulse, by how much the clock was ahead, but for whole seconds. */
        sample.offset = pulse ? turn % 5 - shift : shift;
        if (junk) {
            switch (turn % 6) {
            case 0: length -= 1; break;
            case 1: sample.magic ^= 1; break;
            case 2: sample.offset = NAN; break;
            case 3: sample.tv.tv_sec -= 3600; break;
            case 4: sample.leap = 3; break;
            case 5: sample.offset = -1024.0 * 7 * 86400; break;
            }
        }
        /* Nobody has made the socket yet, or any more. */
        sendto(fd, &sample, length, MSG_DONTWAIT, (struct sockaddr *)&to, sizeof to);
        pause_100ms();
    }
}

static void give_by_memory(int unit, double shift)
{
    int id = shmget(0x4e545030 + unit, sizeof(struct shmTime), IPC_CREAT | 0666);
    struct shmTime *shared = shmat(id, NULL, 0);
    if (id < 0 || shared == (void *)-1) {
        perror("shared memory");
        exit(1);
    }
    for (;;) {
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        long long clock = now.tv_sec * 1000000000LL + now.tv_nsec + llround(shift * 1e9);
        shared->valid = 0;
        shared->count++;
        __sync_synchronize();
        shared->mode = 1;
        shared->clockTimeStampSec = clock / 1000000000;
        shared->clockTimeStampUSec = clock % 1000000000 / 1000;
        shared->clockTimeStampNSec = clock % 1000000000;
        shared->receiveTimeStampSec = now.tv_sec;
        shared->receiveTimeStampUSec = now.tv_nsec / 1000;
        shared->receiveTimeStampNSec = now.tv_nsec;
        shared->leap = 0;
        shared->precision = -10;
        __sync_synchronize();
        shared->count++;
        shared->valid = 1;
        pause_100ms();
    }
}

int main(int argc, char **argv)
{
    if (argc != 4)
        return 2;
    double shift = atof(argv[3]) * 1e-9;
    if (!strcmp(argv[1], "shm"))
        give_by_memory(atoi(argv[2]), shift);
    give_by_socket(argv[2], shift, !strcmp(argv[1], "pulse"), !strcmp(argv[1], "junk"));
}
