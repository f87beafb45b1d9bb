/* Echoes what comes over the sockets it was given, as sd_listen_fds(3) describes them:
 *
 *     listen-fds FIRST COUNT
 *
 * FIRST is the number of the first descriptor. Ends after COUNT connections, all told. One poll(2) waits for
 * every listener and every connection; nothing blocks. */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MOST = 64 };

static struct pollfd watched[MOST];
static nfds_t count;

static void fail(const char *why) {
    perror(why);
    exit(1);
}

static void watch(int descriptor) {
    int flags = fcntl(descriptor, F_GETFL);
    if (flags < 0 || fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) < 0)
        fail("fcntl");
    if (count == MOST) {
        fputs("too many sockets\n", stderr);
        exit(1);
    }
    watched[count++] = (struct pollfd){.fd = descriptor, .events = POLLIN};
}

/* How many sockets there are, if they are meant for this process. */
static int given(void) {
    const char *number = getenv("LISTEN_FDS"), *process = getenv("LISTEN_PID");
    if (number == NULL || process == NULL || atoi(process) != getpid())
        return 0;
    return atoi(number);
}

static int write_all(int descriptor, const char *data, size_t length) {
    while (length > 0) {
        ssize_t written = write(descriptor, data, length);
        if (written < 0 && errno != EAGAIN)
            return -1;
        if (written > 0) {
            data += written;
            length -= (size_t)written;
        }
    }
    return 0;
}

/* Whether the connection goes on. */
static int echo(int descriptor) {
    char buffer[4096];
    for (;;) {
        ssize_t length = read(descriptor, buffer, sizeof buffer);
        if (length < 0)
            return errno == EAGAIN;
        if (length == 0 || write_all(descriptor, buffer, (size_t)length) < 0)
            return 0;
    }
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fputs("usage: listen-fds FIRST COUNT\n", stderr);
        return 2;
    }
    int first = atoi(argv[1]), wanted = atoi(argv[2]), listeners = given(), ended = 0;
    printf("given %d: %s\n", listeners, listeners > 0 ? getenv("LISTEN_FDNAMES") : "nothing");
    fflush(stdout);
    for (int number = 0; number < listeners; number++) {
        int type = 0;
        socklen_t length = sizeof type;
        if (getsockopt(first + number, SOL_SOCKET, SO_TYPE, &type, &length) < 0)
            fail("getsockopt");
        printf("%d is a %s socket\n", first + number, type == SOCK_STREAM ? "stream" : "datagram");
        fflush(stdout);
        watch(first + number);
    }
    while (listeners > 0 && ended < wanted) {
        if (poll(watched, count, -1) < 0)
            fail("poll");
        /* Backwards, so that one that goes changes nothing before it. */
        for (nfds_t at = count; at-- > 0;) {
            if (watched[at].revents == 0)
                continue;
            if (at < (nfds_t)listeners) {
                int connection = accept(watched[at].fd, NULL, NULL);
                if (connection >= 0)
                    watch(connection);
                else if (errno != EAGAIN)
                    fail("accept");
            } else if (!echo(watched[at].fd)) {
                close(watched[at].fd);
                watched[at] = watched[--count];
                ended++;
            }
        }
    }
    return 0;
}
