/* The banner program in C with BSD sockets: connects to port 22 of a host and prints what the server says first.
 * Output as the Rust one: `Connected to ADDR`, then each line; `Failed to connect: ERROR` and exit code 1 otherwise. */

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <arpa/inet.h>

static int fail(const char *why) {
    fprintf(stderr, "Failed to connect: %s\n", why);
    return 1;
}

/* Tries each address of the host in turn. The descriptor, or -1 with errno of the last try. */
static int dial(const struct addrinfo *addresses) {
    for (const struct addrinfo *at = addresses; at != NULL; at = at->ai_next) {
        int stream = socket(at->ai_family, at->ai_socktype, at->ai_protocol);
        if (stream < 0)
            continue;
        if (connect(stream, at->ai_addr, at->ai_addrlen) == 0)
            return stream;
        int error = errno;
        close(stream);
        errno = error;
    }
    return -1;
}

static void print_peer(int stream) {
    struct sockaddr_storage peer;
    socklen_t length = sizeof peer;
    char text[INET6_ADDRSTRLEN] = "?";
    if (getpeername(stream, (struct sockaddr *)&peer, &length) != 0) {
        perror("getpeername");
    } else if (peer.ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&peer;
        inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof text);
        printf("Connected to [%s]:%d\n", text, ntohs(v6->sin6_port));
    } else {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)&peer;
        inet_ntop(AF_INET, &v4->sin_addr, text, sizeof text);
        printf("Connected to %s:%d\n", text, ntohs(v4->sin_port));
    }
    fflush(stdout);
}

int main(int argc, char **argv) {
    const char *host = argc > 1 ? argv[1] : "127.0.0.1";
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *addresses = NULL;
    int error = getaddrinfo(host, "22", &hints, &addresses);
    if (error != 0)
        return fail(gai_strerror(error));
    int stream = dial(addresses);
    freeaddrinfo(addresses);
    if (stream < 0)
        return fail(strerror(errno));

    print_peer(stream);
    char buffer[4096];
    ssize_t length;
    char last = '\n';
    while ((length = read(stream, buffer, sizeof buffer)) > 0) {
        for (ssize_t i = 0; i < length; i++) {
            if (buffer[i] != '\r')
                putchar(last = buffer[i]);
        }
        fflush(stdout);
    }
    if (last != '\n')
        putchar('\n');
    if (length < 0)
        perror("read");
    close(stream);
    return length < 0;
}
