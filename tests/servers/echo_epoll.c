/* Echo in C with epoll, level-triggered: one thread, non-blocking sockets, no line of Python.
 *
 * Peculiar: one fixed buffer of 64 KiB a client, filled and emptied in turns: while a byte of it is unsent the client
 * is not read from. Signals are read from a descriptor (signalfd). At the limit of descriptors the listener is
 * put aside until a client leaves or half a second has passed.
 *
 *     cc -O2 -o echo_epoll echo_epoll.c && ./echo_epoll [--host HOST] [--port PORT]
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BUFFER = 64 * 1024, BACKLOG = 128, EVENTS = 64, PAUSE_MS = 500 };

struct client {
    int fd;
    int waits_for; /* EPOLLIN or EPOLLOUT, as epoll was told */
    size_t start, end; /* the unsent part of the buffer */
    char buffer[BUFFER];
};

static void die(const char *what) {
    perror(what);
    exit(1);
}

/* Return a listening socket on host:port. */
static int listen_on(const char *host, const char *port) {
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *address;
    int on = 1, error = getaddrinfo(host, port, &hints, &address);
    if (error) {
        fprintf(stderr, "%s:%s: %s\n", host, port, gai_strerror(error));
        exit(1);
    }
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        die("socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, address->ai_addr, address->ai_addrlen) || listen(fd, BACKLOG))
        die("cannot listen");
    freeaddrinfo(address);
    return fd;
}

static void print_address(int listener) {
    struct sockaddr_in bound;
    socklen_t size = sizeof bound;
    char host[INET_ADDRSTRLEN];
    getsockname(listener, (struct sockaddr *)&bound, &size);
    printf("listening on %s:%d\n", inet_ntop(AF_INET, &bound.sin_addr, host, sizeof host), ntohs(bound.sin_port));
    fflush(stdout);
}

static int watch(int poll, int operation, int fd, uint32_t events, void *data) {
    struct epoll_event event = {.events = events, .data.ptr = data};
    return epoll_ctl(poll, operation, fd, &event);
}

/* Accept one client. Return 0 when no descriptor (or memory) is left for it. */
static int accept_one(int poll, int listener) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return errno != EMFILE && errno != ENFILE && errno != ENOMEM && errno != ENOBUFS;
    struct client *client = malloc(sizeof *client); /* the kernel lends the pages when they are first used */
    if (!client) {
        close(fd);
        return 0;
    }
    client->fd = fd;
    client->waits_for = EPOLLIN;
    client->start = client->end = 0;
    if (watch(poll, EPOLL_CTL_ADD, fd, EPOLLIN, client)) {
        close(fd);
        free(client);
    }
    return 1;
}

/* Empty the buffer, and fill it once if it is empty. Return 0 when the client is served or lost. */
static int serve(struct client *client) {
    if (client->start == client->end) {
        ssize_t got = recv(client->fd, client->buffer, BUFFER, 0);
        if (got < 0)
            return errno == EAGAIN || errno == EINTR;
        if (got == 0)
            return 0;
        client->start = 0;
        client->end = (size_t)got;
    }
    ssize_t sent = send(client->fd, client->buffer + client->start, client->end - client->start, MSG_NOSIGNAL);
    if (sent < 0)
        return errno == EAGAIN || errno == EINTR;
    client->start += (size_t)sent;
    return 1;
}

int main(int argc, char **argv) {
    const char *host = "127.0.0.1", *port = "5555";
    const struct option options[] = {{"host", required_argument, 0, 'h'}, {"port", required_argument, 0, 'p'}, {0}};
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == 'h')
            host = optarg;
        else if (option == 'p')
            port = optarg;
        else
            return 2;
    }
    sigset_t stop;
    sigemptyset(&stop);
    sigaddset(&stop, SIGINT);
    sigaddset(&stop, SIGTERM);
    sigprocmask(SIG_BLOCK, &stop, NULL);
    int signals = signalfd(-1, &stop, SFD_CLOEXEC), poll = epoll_create1(EPOLL_CLOEXEC);
    int listener = listen_on(host, port), paused = 0;
    if (signals < 0 || poll < 0 || watch(poll, EPOLL_CTL_ADD, signals, EPOLLIN, &signals) ||
        watch(poll, EPOLL_CTL_ADD, listener, EPOLLIN, &listener))
        die("epoll");
    print_address(listener);
    for (;;) {
        struct epoll_event events[EVENTS];
        int ready = epoll_wait(poll, events, EVENTS, paused ? PAUSE_MS : -1);
        int resume = paused && ready == 0;
        for (int i = 0; i < ready; i++) {
            if (events[i].data.ptr == &signals)
                return 0; /* the kernel closes every connection */
            if (events[i].data.ptr == &listener) {
                if (!accept_one(poll, listener) && watch(poll, EPOLL_CTL_DEL, listener, 0, NULL) == 0)
                    paused = 1;
                continue;
            }
            struct client *client = events[i].data.ptr;
            int waits_for;
            if (!serve(client)) {
                close(client->fd); /* which also takes it out of the epoll set */
                free(client);
                resume = paused;
            } else if ((waits_for = client->start < client->end ? EPOLLOUT : EPOLLIN) != client->waits_for) {
                client->waits_for = waits_for;
                watch(poll, EPOLL_CTL_MOD, client->fd, (uint32_t)waits_for, client);
            }
        }
        if (resume && watch(poll, EPOLL_CTL_ADD, listener, EPOLLIN, &listener) == 0)
            paused = 0;
    }
}
