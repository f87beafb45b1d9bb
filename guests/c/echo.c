/* TCP and UDP with BSD sockets, as server and as client.
 *
 *   echo tcp-serve ADDRESS PORT COUNT    `listening on ADDRESS:PORT`, then COUNT connections one after the other
 *   echo tcp-dial HOST PORT TEXT         sends TEXT, ends its side, prints what comes back
 *   echo udp-serve ADDRESS PORT COUNT    `bound to ADDRESS:PORT`, then COUNT datagrams
 *   echo udp-dial HOST PORT TEXT         sends TEXT from a connected socket, prints the answer
 *   echo udp-send HOST PORT TEXT         the same with sendto and recvfrom
 *
 * Servers print `PEER sent N bytes`. A failure is `echo: CALL: ERROR` on standard error and exit code 1. */

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct place {
    struct sockaddr_storage address;
    socklen_t length;
};

static _Noreturn void fail(const char *call, const char *why) {
    fprintf(stderr, "echo: %s: %s\n", call, why);
    exit(1);
}

static void check(bool good, const char *call) {
    if (!good)
        fail(call, strerror(errno));
}

static struct place find(const char *host, const char *port, int type) {
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = type};
    struct addrinfo *found = NULL;
    int error = getaddrinfo(host, port, &hints, &found);
    if (error != 0)
        fail("getaddrinfo", gai_strerror(error));
    struct place place = {.length = found->ai_addrlen};
    memcpy(&place.address, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    return place;
}

static struct sockaddr *of(struct place *place) {
    return (struct sockaddr *)&place->address;
}

/* ADDRESS:PORT in a buffer that the next call writes over. */
static const char *show(const struct place *place) {
    static char shown[INET6_ADDRSTRLEN + 9];
    char text[INET6_ADDRSTRLEN] = "?";
    if (place->address.ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&place->address;
        inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof text);
        snprintf(shown, sizeof shown, "[%s]:%d", text, ntohs(v6->sin6_port));
    } else {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)&place->address;
        inet_ntop(AF_INET, &v4->sin_addr, text, sizeof text);
        snprintf(shown, sizeof shown, "%s:%d", text, ntohs(v4->sin_port));
    }
    return shown;
}

static int open_at(struct place *place, int type, const char *what) {
    int sock = socket(place->address.ss_family, type, 0);
    check(sock >= 0, "socket");
    int on = 1;
    if (type == SOCK_STREAM)
        check(setsockopt(sock, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0, "setsockopt");
    check(bind(sock, of(place), place->length) == 0, "bind");
    if (type == SOCK_STREAM)
        check(listen(sock, 16) == 0, "listen");
    struct place local = {.length = sizeof local.address};
    check(getsockname(sock, of(&local), &local.length) == 0, "getsockname");
    printf("%s %s\n", what, show(&local));
    fflush(stdout);
    return sock;
}

static void send_all(int stream, const char *data, size_t length) {
    while (length > 0) {
        ssize_t sent = send(stream, data, length, 0);
        check(sent > 0, "send");
        data += sent;
        length -= (size_t)sent;
    }
}

static void tcp_serve(const char *host, const char *port, long count) {
    struct place place = find(host, port, SOCK_STREAM);
    int listener = open_at(&place, SOCK_STREAM, "listening on");
    while (count-- > 0) {
        struct place peer = {.length = sizeof peer.address};
        int stream = accept(listener, of(&peer), &peer.length);
        check(stream >= 0, "accept");
        char buffer[4096];
        ssize_t length;
        size_t total = 0;
        while ((length = recv(stream, buffer, sizeof buffer, 0)) > 0) {
            send_all(stream, buffer, (size_t)length);
            total += (size_t)length;
        }
        check(length == 0, "recv");
        printf("%s sent %zu bytes\n", show(&peer), total);
        fflush(stdout);
        close(stream);
    }
    close(listener);
}

static void tcp_dial(const char *host, const char *port, const char *text) {
    struct place place = find(host, port, SOCK_STREAM);
    int stream = socket(place.address.ss_family, SOCK_STREAM, 0);
    check(stream >= 0, "socket");
    check(connect(stream, of(&place), place.length) == 0, "connect");
    send_all(stream, text, strlen(text));
    check(shutdown(stream, SHUT_WR) == 0, "shutdown");
    char buffer[4096];
    ssize_t length;
    while ((length = recv(stream, buffer, sizeof buffer, 0)) > 0)
        fwrite(buffer, 1, (size_t)length, stdout);
    check(length == 0, "recv");
    putchar('\n');
    close(stream);
}

static void udp_serve(const char *host, const char *port, long count) {
    static char buffer[65536];
    struct place place = find(host, port, SOCK_DGRAM);
    int sock = open_at(&place, SOCK_DGRAM, "bound to");
    while (count-- > 0) {
        struct place peer = {.length = sizeof peer.address};
        ssize_t length = recvfrom(sock, buffer, sizeof buffer, 0, of(&peer), &peer.length);
        check(length >= 0, "recvfrom");
        printf("%s sent %zd bytes\n", show(&peer), length);
        fflush(stdout);
        check(sendto(sock, buffer, (size_t)length, 0, of(&peer), peer.length) == length, "sendto");
    }
    close(sock);
}

static void udp_dial(const char *host, const char *port, const char *text, bool connected) {
    static char buffer[65536];
    struct place place = find(host, port, SOCK_DGRAM);
    struct place peer = {.length = sizeof peer.address};
    ssize_t want = (ssize_t)strlen(text), length;
    int sock = socket(place.address.ss_family, SOCK_DGRAM, 0);
    check(sock >= 0, "socket");
    if (connected) {
        /* Not `== 0`: the C library of WASI answers 1 when it had to bind this socket as well. */
        check(connect(sock, of(&place), place.length) != -1, "connect");
        check(send(sock, text, (size_t)want, 0) == want, "send");
        length = recv(sock, buffer, sizeof buffer, 0);
        check(length >= 0, "recv");
        check(getpeername(sock, of(&peer), &peer.length) == 0, "getpeername");
    } else {
        check(sendto(sock, text, (size_t)want, 0, of(&place), place.length) == want, "sendto");
        length = recvfrom(sock, buffer, sizeof buffer, 0, of(&peer), &peer.length);
        check(length >= 0, "recvfrom");
    }
    printf("%s answered %.*s\n", show(&peer), (int)length, buffer);
    close(sock);
}

int main(int argc, char **argv) {
    if (argc != 5)
        fail("usage", "echo tcp-serve|tcp-dial|udp-serve|udp-dial|udp-send HOST PORT COUNT|TEXT");
    const char *mode = argv[1];
    if (strcmp(mode, "tcp-serve") == 0)
        tcp_serve(argv[2], argv[3], atol(argv[4]));
    else if (strcmp(mode, "tcp-dial") == 0)
        tcp_dial(argv[2], argv[3], argv[4]);
    else if (strcmp(mode, "udp-serve") == 0)
        udp_serve(argv[2], argv[3], atol(argv[4]));
    else if (strcmp(mode, "udp-dial") == 0)
        udp_dial(argv[2], argv[3], argv[4], true);
    else if (strcmp(mode, "udp-send") == 0)
        udp_dial(argv[2], argv[3], argv[4], false);
    else
        fail("usage", "no such mode");
    return 0;
}
