/* A load client for the benchmarks: one thread, epoll, closed loop.

       load echo HOST PORT CLIENTS SECONDS            a request of 64 bytes in flight for each client
       load chat HOST PORT CLIENTS SECONDS IN_FLIGHT  one client talks, all others listen

   It prints `begin` after the warm-up, then `M done, N per second`: requests (echo) or deliveries (chat). Every reply
   is checked for its length and its content; every delivery for its order and for being whole. A fault is told, with
   exit status 1. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { SIZE = 64, ROOM = 1 << 18, EVENTS = 1024 };

struct client {
    int socket;
    long got;          /* bytes of the reply so far (echo), or whole lines so far (chat) */
    size_t held;       /* bytes in `partial` */
    char partial[256]; /* the beginning of a line */
};

static struct client *clients;
static int number, poller;
static char buffer[ROOM];

static void fail(const char *format, ...)
{
    va_list rest;
    va_start(rest, format);
    vfprintf(stderr, format, rest);
    va_end(rest);
    fputc('\n', stderr);
    exit(1);
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static void connect_all(const char *host, int port)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    inet_pton(AF_INET, host, &address.sin_addr);
    clients = calloc(number, sizeof *clients);
    poller = epoll_create1(0);
    for (int i = 0; i < number; i++) {
        int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
        if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address))
            fail("client %d cannot connect: %s", i, strerror(errno));
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        clients[i].socket = fd;
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &clients[i]};
        epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
    }
}

static ssize_t receive(struct client *client)
{
    ssize_t size = recv(client->socket, buffer, ROOM, 0);
    if (size <= 0)
        fail("client %ld lost its connection: %s", client - clients, size ? strerror(errno) : "end of stream");
    return size;
}

static void send_all(struct client *client, const char *data, size_t size)
{
    while (size) {
        ssize_t sent = send(client->socket, data, size, 0);
        if (sent < 0)
            fail("cannot send: %s", strerror(errno));
        data += sent, size -= sent;
    }
}

/* The warm-up is over: whoever reads this can begin to measure, too. */
static double begin(void)
{
    puts("begin");
    fflush(stdout);
    return now();
}

static void finish(long done, double seconds)
{
    printf("%ld done, %.0f per second\n", done, done / seconds);
}

static void load_echo(double seconds)
{
    char message[SIZE];
    for (int i = 0; i < SIZE; i++)
        message[i] = 'a' + i % 26;
    for (int i = 0; i < number; i++)
        send_all(&clients[i], message, SIZE);
    struct epoll_event ready[EVENTS];
    long done = 0, warm = 0;
    double began = 0, start = now();
    for (;;) {
        double time = now();
        if (!began && time - start > seconds / 5)
            began = begin(), warm = done;
        if (began && time - began > seconds) {
            finish(done - warm, time - began);
            return;
        }
        int events = epoll_wait(poller, ready, EVENTS, 1000);
        if (events == 0)
            fail("the server has stopped answering");
        for (int i = 0; i < events; i++) {
            struct client *client = ready[i].data.ptr;
            ssize_t size = receive(client);
            if (client->got + size > SIZE || memcmp(buffer, message + client->got, size))
                fail("client %ld got other bytes than it sent", client - clients);
            client->got += size;
            if (client->got == SIZE) {
                client->got = 0, done++;
                send_all(client, message, SIZE);
            }
        }
    }
}

static void load_chat(double seconds, int in_flight)
{
    struct epoll_event ready[EVENTS];
    /* register one after another: each waits for its welcome */
    for (int i = 0; i < number; i++) {
        char name[16], seen[1 << 16];
        size_t held = 0;
        send_all(&clients[i], name, snprintf(name, sizeof name, "u%d\n", i));
        do {
            ssize_t size = recv(clients[i].socket, seen + held, sizeof seen - 1 - held, 0);
            if (size <= 0)
                fail("client %d is not welcome", i);
            seen[held += size] = 0;
        } while (!strstr(seen, "Welcome"));
    }
    long said = 0, heard = 0, warm = 0, slowest = 0;
    double began = 0, start = now();
    for (;;) {
        double time = now();
        if (!began && time - start > seconds / 5)
            began = begin(), warm = heard;
        if (began && time - began > seconds) {
            finish(heard - warm, time - began);
            return;
        }
        if (said - slowest < in_flight) {
            static char block[1 << 20];
            size_t size = 0;
            for (; said - slowest < in_flight; said++) {
                int head = snprintf(block + size, SIZE + 1, "#%ld ", said);
                memset(block + size + head, 'x', SIZE - 1 - head);
                block[size + SIZE - 1] = '\n';
                size += SIZE;
            }
            send_all(&clients[0], block, size);
        }
        int events = epoll_wait(poller, ready, EVENTS, 2000);
        if (events == 0)
            fail("the server has stopped delivering: %ld said, the slowest has %ld", said, slowest);
        for (int i = 0; i < events; i++) {
            struct client *client = ready[i].data.ptr;
            ssize_t size = receive(client);
            char *rest = buffer, *stop = buffer + size, *end;
            while ((end = memchr(rest, '\n', stop - rest))) {
                char whole[1024], *line = rest;
                size_t length = end - rest;
                if (client->held) {
                    memcpy(whole, client->partial, client->held);
                    memcpy(whole + client->held, rest, length);
                    line = whole, length += client->held, client->held = 0;
                }
                rest = end + 1;
                char *text = memmem(line, length, "] #", 3);
                if (!text)
                    continue; /* a notice */
                if (atol(text + 3) != client->got || length - (text + 2 - line) != SIZE - 1)
                    fail("client %ld got %.*s where #%ld was due", client - clients, (int)length, line, client->got);
                client->got++, heard++;
            }
            if (stop - rest > (long)sizeof client->partial - (long)client->held)
                fail("client %ld got a line without an end", client - clients);
            memcpy(client->partial + client->held, rest, stop - rest);
            client->held += stop - rest;
        }
        slowest = said;
        for (int i = 1; i < number; i++)
            if (clients[i].got < slowest)
                slowest = clients[i].got;
    }
}

int main(int count, char **words)
{
    if (count < 6)
        fail("usage: load echo|chat HOST PORT CLIENTS SECONDS [IN_FLIGHT]");
    number = atoi(words[4]);
    connect_all(words[2], atoi(words[3]));
    double seconds = atof(words[5]);
    if (!strcmp(words[1], "echo"))
        load_echo(seconds);
    else
        load_chat(seconds, atoi(words[6]));
}
