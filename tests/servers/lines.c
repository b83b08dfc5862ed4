/* Numbered lines in C: a POSIX thread per client, blocking sockets, UTF-8 checked by hand.
 *
 * Peculiar: the first thread only waits for a signal and then ends the process, threads and all; a line too long is
 * refused when its LF arrives; each ill-formed sequence becomes one U+FFFD a maximal subpart (Unicode 15, section
 * 3.9, table 3-7), as in Python and in browsers.
 *
 *     cc -O2 -pthread -o lines lines.c && ./lines [--host HOST] [--port PORT]
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <getopt.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    MAX_LINE = 4096,       /* bytes, the LF and the CR before it not counted */
    KEPT = MAX_LINE + 2,   /* that much of a line tells whether it is too long */
    BACKLOG = 128,
    STACK = 256 * 1024
};

struct answer {
    size_t size;
    char bytes[32 + 3 * MAX_LINE]; /* U+FFFD is three bytes, and may stand for one */
};

/* Return the length of the character at s, or of the ill-formed part there, and say which in *good. */
static size_t character(const unsigned char *s, size_t left, int *good) {
    size_t more;
    unsigned char low = 0x80, high = 0xBF; /* the range of the second byte */
    *good = 1;
    if (s[0] < 0x80)
        return 1;
    if (s[0] >= 0xC2 && s[0] <= 0xDF)
        more = 1;
    else if (s[0] >= 0xE0 && s[0] <= 0xEF)
        more = 2;
    else if (s[0] >= 0xF0 && s[0] <= 0xF4)
        more = 3;
    else {
        *good = 0;
        return 1;
    }
    if (s[0] == 0xE0)
        low = 0xA0; /* no overlong forms */
    else if (s[0] == 0xED)
        high = 0x9F; /* no surrogates */
    else if (s[0] == 0xF0)
        low = 0x90;
    else if (s[0] == 0xF4)
        high = 0x8F; /* nothing above U+10FFFF */
    for (size_t i = 1; i <= more; i++) {
        if (i >= left || s[i] < low || s[i] > high) {
            *good = 0;
            return i;
        }
        low = 0x80;
        high = 0xBF;
    }
    return more + 1;
}

/* Write the answer to a line of that many bytes. */
static void compose(struct answer *answer, unsigned long number, const unsigned char *line, size_t size) {
    if (size > 0 && line[size - 1] == '\r')
        size--;
    int printed = snprintf(answer->bytes, 32, "%lu ", number);
    char *at = answer->bytes + printed;
    if (size > MAX_LINE) {
        at = stpcpy(at, "ERROR line-too-long");
    } else {
        for (size_t i = 0, length; i < size; i += length) {
            int good;
            length = character(line + i, size - i, &good);
            at = good ? mempcpy(at, line + i, length) : mempcpy(at, "\xEF\xBF\xBD", 3);
        }
    }
    *at++ = '\n';
    answer->size = (size_t)(at - answer->bytes);
}

/* Send all of it; return 0 when the client is lost. */
static int send_all(int fd, const char *bytes, size_t size) {
    while (size > 0) {
        ssize_t sent = send(fd, bytes, size, 0);
        if (sent < 0)
            return 0;
        bytes += sent;
        size -= (size_t)sent;
    }
    return 1;
}

/* The work of one thread: answer every line of a client. */
static void *answer_lines(void *argument) {
    int fd = (int)(intptr_t)argument;
    unsigned char input[16 * 1024], line[KEPT];
    struct answer answer;
    unsigned long number = 0;
    size_t size = 0;
    for (ssize_t got; (got = recv(fd, input, sizeof input, 0)) > 0;) {
        for (ssize_t i = 0; i < got; i++) {
            if (input[i] != '\n') {
                if (size < KEPT)
                    line[size++] = input[i];
                continue;
            }
            compose(&answer, ++number, line, size);
            size = 0;
            if (!send_all(fd, answer.bytes, answer.size))
                goto done;
        }
    }
done:
    close(fd);
    return NULL;
}

/* The work of the accepting thread. */
static void *accept_clients(void *argument) {
    int listener = *(int *)argument;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, STACK);
    for (;;) {
        pthread_t thread;
        int fd = accept(listener, NULL, NULL);
        if (fd < 0) {
            usleep(100 * 1000); /* no descriptor left, most likely: do not spin */
        } else if (pthread_create(&thread, &attributes, answer_lines, (void *)(intptr_t)fd)) {
            close(fd);
        }
    }
    return NULL;
}

/* Return a listening socket on host:port, and announce it. */
static int listen_on(const char *host, const char *port) {
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *address;
    int on = 1, error = getaddrinfo(host, port, &hints, &address);
    if (error) {
        fprintf(stderr, "%s:%s: %s\n", host, port, gai_strerror(error));
        exit(1);
    }
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, address->ai_addr, address->ai_addrlen) || listen(fd, BACKLOG)) {
        perror("cannot listen");
        exit(1);
    }
    freeaddrinfo(address);
    struct sockaddr_in bound;
    socklen_t size = sizeof bound;
    char name[INET_ADDRSTRLEN];
    getsockname(fd, (struct sockaddr *)&bound, &size);
    printf("listening on %s:%d\n", inet_ntop(AF_INET, &bound.sin_addr, name, sizeof name), ntohs(bound.sin_port));
    fflush(stdout);
    return fd;
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
    int number;
    sigset_t stop;
    sigemptyset(&stop);
    sigaddset(&stop, SIGINT);
    sigaddset(&stop, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &stop, NULL); /* the threads inherit it */
    signal(SIGPIPE, SIG_IGN);
    int listener = listen_on(host, port);
    pthread_t thread;
    if (pthread_create(&thread, NULL, accept_clients, &listener)) {
        perror("cannot start a thread");
        return 1;
    }
    sigwait(&stop, &number);
    _exit(0);
}
