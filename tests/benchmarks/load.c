/* A load client for the benchmarks: one thread, epoll, everything checked and timed.

       load echo HOST PORT CLIENTS SECONDS                   closed loop: each client has one request in flight
       load open HOST PORT CLIENTS SECONDS RATE [spin|wait]  open loop: RATE requests a second are due, in turn
       load chat HOST PORT CLIENTS SECONDS IN_FLIGHT         one client talks, all others listen
       load talk HOST PORT CLIENTS SECONDS RATE TALKERS      RATE lines a second are due to be said, in turn

   It prints `begin` after a warm-up of a fifth of SECONDS, and at the end

       M done, N per second, busy B, p50 P, p90 P, p99 P, max P us

   M are requests, or deliveries of a chat; B is the part of a processor that the client took. The percentiles are exact:
   every latency is kept (but for `chat`, where millions a second only count). It is counted from the send in a closed
   loop, and from when the send was due in an open one, where all that was due is waited for. Every reply is compared
   byte for byte with its own request; every delivery must be whole and the next of its talker. A fault is told, with
   exit status 1.

   `spin` asks the kernel again and again what has come; `wait` sleeps until something comes or is due. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif

enum { SIZE = 64, ROOM = 1 << 18, EVENTS = 1024, IN_FLIGHT = 1 << 12, AT_A_TIME = 200 };
static const long SECOND = 1000000000, STALLED = 20 * 1000000000L;

struct client {
    int socket;
    long asked, sent;  /* requests so far, and when the last one was sent */
    size_t got;        /* bytes of all replies so far */
    size_t held;       /* bytes in `partial` */
    char partial[256]; /* the beginning of a line */
};

static struct client *clients;
static int number, poller;
static struct epoll_event ready[EVENTS];
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

/* The clock, and what is measured by it; all times are nanoseconds */

static long measured_from, over, used, last_sign;
static double interval; /* between two sends that are due, in an open loop */
static long *latencies, done, space;

static long read_clock(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return time.tv_sec * SECOND + time.tv_nsec;
}

static long now(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

static void start(double seconds)
{
    last_sign = now();
    measured_from = last_sign + (long)(seconds / 5 * SECOND);
    over = measured_from + (long)(seconds * SECOND);
}

/* When the warm-up is over, say so: whoever reads this can begin to measure, too. */
static void look_at_the_clock(long time)
{
    if (used || time < measured_from)
        return;
    puts("begin");
    fflush(stdout);
    used = read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

static void record(long latency)
{
    if (done == space) {
        space = space ? 2 * space : 1 << 20;
        latencies = realloc(latencies, space * sizeof *latencies);
    }
    latencies[done++] = latency;
}

static int ascending(const void *a, const void *b)
{
    long one = *(const long *)a, other = *(const long *)b;
    return (one > other) - (one < other);
}

static double percentile(double percent)
{
    long place = (long)(done * percent / 100 + 0.999999) - 1;
    return latencies[place < 0 ? 0 : place] / 1e3;
}

static void finish(long time)
{
    look_at_the_clock(over);
    double seconds = (time - measured_from) / 1e9;
    double busy = (read_clock(CLOCK_PROCESS_CPUTIME_ID) - used) / 1e9 / seconds;
    if (!done)
        fail("nothing was answered");
    printf("%ld done, %.0f per second, busy %.2f", done, done / seconds, busy);
    if (latencies) {
        qsort(latencies, done, sizeof *latencies, ascending);
        printf(", p50 %.1f, p90 %.1f, p99 %.1f, max %.1f us", percentile(50), percentile(90), percentile(99),
               percentile(100));
    }
    puts("");
}

/* Connections */

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

/* Wait at most `pause` for something to come; epoll_wait() counts in whole milliseconds, which is too coarse. */
static int wait_for_events(long pause)
{
    struct timespec longest = {pause > 0 ? pause / SECOND : 0, pause > 0 ? pause % SECOND : 0};
    int events = syscall(SYS_epoll_pwait2, poller, ready, EVENTS, &longest, NULL, 0);
    if (events < 0 && errno == ENOSYS) { /* before Linux 5.11 */
        ppoll(&(struct pollfd){.fd = poller, .events = POLLIN}, 1, &longest, NULL);
        events = epoll_wait(poller, ready, EVENTS, 0);
    }
    if (events)
        last_sign = now();
    else if (now() - last_sign > STALLED)
        fail("nothing has come from the server for %ld seconds", STALLED / SECOND);
    return events;
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

/* Echo */

/* Write a client's n-th request: whose it is, which one it is, and filler. */
static void compose(char *request, const struct client *client, long n)
{
    static const char filler[SIZE] = "................................................................";
    long who = client - clients;
    memcpy(request, filler, SIZE);
    memcpy(request, &who, sizeof who);
    memcpy(request + sizeof who, &n, sizeof n);
}

static void ask(struct client *client, long time)
{
    char request[SIZE];
    compose(request, client, client->asked++);
    client->sent = time;
    send_all(client, request, SIZE);
}

/* Receive and compare; return how many replies are complete now that were not. */
static long hear_replies(struct client *client)
{
    char expected[SIZE];
    size_t size = receive(client), before = client->got / SIZE;
    for (size_t at = 0, length; at < size; at += length, client->got += length) {
        long reply = client->got / SIZE;
        size_t from = client->got % SIZE;
        length = SIZE - from < size - at ? SIZE - from : size - at;
        compose(expected, client, reply);
        if (reply >= client->asked || memcmp(buffer + at, expected + from, length))
            fail("client %ld got other bytes than it sent", client - clients);
    }
    return client->got / SIZE - before;
}

static void load_echo(double seconds)
{
    long time;
    start(seconds);
    for (int i = 0; i < number; i++)
        ask(&clients[i], now());
    while ((time = now()) < over) {
        look_at_the_clock(time);
        int events = wait_for_events(over - time);
        for (int i = 0; i < events; i++) {
            struct client *client = ready[i].data.ptr;
            if (!hear_replies(client))
                continue;
            if ((time = now()) >= measured_from)
                record(time - client->sent);
            ask(client, time);
        }
    }
    finish(time);
}

static void load_open(double seconds, double rate, int spin)
{
    start(seconds);
    long began = last_sign, time = began, asked = 0, answered = 0, all = seconds * 1.2 * rate;
    interval = SECOND / rate;
    while (answered < all) {
        look_at_the_clock(time = now());
        for (; asked < all && began + asked * interval <= time; asked++)
            ask(&clients[asked % number], time);
        long pause = asked < all ? (long)(began + asked * interval) - now() : SECOND;
        int events = wait_for_events(spin ? 0 : pause);
        for (int i = 0; i < events; i++) {
            struct client *client = ready[i].data.ptr;
            long new = hear_replies(client), last = client->got / SIZE;
            time = now();
            for (long reply = last - new; reply < last; reply++, answered++) {
                long due = began + (reply * number + (client - clients)) * interval;
                if (due >= measured_from)
                    record(time - due);
            }
        }
    }
    finish(time > over ? time : over);
}

/* Chat: the names are u0, u1 and so on; a line is `#N xxx...`, N counting its talker's lines from 0 */

static int talkers = 1;
static long said, delivered, welcome, joined, *heard; /* `heard`: by client and talker, how many lines */
static long talk_began;

static void say(int talker, long first, long lines)
{
    static char block[IN_FLIGHT * SIZE + 1];
    size_t size = 0;
    for (long line = first; line < first + lines; line++) {
        int head = snprintf(block + size, SIZE + 1, "#%ld ", line);
        memset(block + size + head, 'x', SIZE - 1 - head);
        block[size + SIZE - 1] = '\n';
        size += SIZE;
    }
    send_all(&clients[talker], block, size);
    said += lines;
}

/* Take a line, `[HH:MM:SS] [SOURCE] TEXT`: a delivery, or what the server itself has to say. */
static void hear_line(struct client *client, const char *line, size_t length, long time)
{
    static const size_t source = sizeof "[HH:MM:SS] [" - 1;
    const char *text = length > source ? memchr(line + source, ']', length - source) : NULL;
    if (!text)
        fail("client %ld got %.*s", client - clients, (int)length, line);
    text += 2;
    size_t size = line + length - text;
    if (!memcmp(line + source, "SERVER", 6)) {
        if (memmem(text, size, "joined", 6))
            joined++;
        else
            welcome += memmem(text, size, "Welcome", 7) != NULL;
        return;
    }
    long talker = atol(line + source + 1), place = (client - clients) * talkers + talker;
    if (line[source] != 'u' || talker >= talkers || atol(text + 1) != heard[place] || size != SIZE - 1)
        fail("client %ld got %.*s where #%ld was due", client - clients, (int)length, line, heard[place]);
    long due = talk_began + (heard[place] * talkers + talker) * interval;
    heard[place]++, delivered++;
    if (!interval)
        done += time >= measured_from;
    else if (due >= measured_from)
        record(time - due);
}

static void hear_lines(struct client *client)
{
    char *rest = buffer, *stop = buffer + receive(client), *end;
    long time = now();
    while ((end = memchr(rest, '\n', stop - rest))) {
        char whole[1024], *line = rest;
        size_t length = end - rest;
        if (client->held) {
            if (length + client->held > sizeof whole)
                fail("client %ld got a line that is too long", client - clients);
            memcpy(whole, client->partial, client->held);
            memcpy(whole + client->held, rest, length);
            line = whole, length += client->held, client->held = 0;
        }
        rest = end + 1;
        hear_line(client, line, length, time);
    }
    if (stop - rest > (long)(sizeof client->partial - client->held))
        fail("client %ld got a line without an end", client - clients);
    memcpy(client->partial + client->held, rest, stop - rest);
    client->held += stop - rest;
}

static void listen_for(long pause)
{
    int events = wait_for_events(pause);
    for (int i = 0; i < events; i++)
        hear_lines(ready[i].data.ptr);
}

/* Give everybody a name, some at a time; when everybody was told of everybody who came later, all is quiet. */
static void register_all(void)
{
    char name[16];
    heard = calloc((size_t)number * talkers, sizeof *heard);
    last_sign = now();
    for (long asked = 0; welcome < number || joined < (long)number * (number - 1) / 2; listen_for(SECOND))
        for (; asked < number && asked - welcome < AT_A_TIME; asked++)
            send_all(&clients[asked], name, snprintf(name, sizeof name, "u%ld\n", asked));
}

static void load_chat(double seconds, long in_flight)
{
    long time, slowest = 0;
    if (in_flight > IN_FLIGHT)
        fail("at most %d lines can be in flight", IN_FLIGHT);
    start(seconds);
    while ((time = now()) < over) {
        look_at_the_clock(time);
        if (said - slowest < in_flight)
            say(0, said, in_flight - (said - slowest));
        listen_for(over - time);
        slowest = said;
        for (int i = 1; i < number; i++)
            if (heard[i] < slowest)
                slowest = heard[i];
    }
    finish(time);
}

static void load_talk(double seconds, double rate)
{
    start(seconds);
    long time = talk_began = last_sign, all = seconds * 1.2 * rate;
    interval = SECOND / rate;
    while (said < all || delivered < said * (number - 1)) {
        look_at_the_clock(time = now());
        while (said < all && talk_began + said * interval <= time)
            say(said % talkers, said / talkers, 1);
        listen_for(said < all ? (long)(talk_began + said * interval) - now() : SECOND);
    }
    finish(time > over ? time : over);
}

int main(int count, char **words)
{
    if (count < 6)
        fail("usage: load echo|open|chat|talk HOST PORT CLIENTS SECONDS [...], see the first lines of load.c");
    number = atoi(words[4]);
    double seconds = atof(words[5]), rate = count > 6 ? atof(words[6]) : 1;
    connect_all(words[2], atoi(words[3]));
    if (!strcmp(words[1], "echo"))
        load_echo(seconds);
    else if (!strcmp(words[1], "open"))
        load_open(seconds, rate, count > 7 && !strcmp(words[7], "spin"));
    else if (!strcmp(words[1], "chat"))
        register_all(), load_chat(seconds, atol(words[6]));
    else
        talkers = atoi(words[7]), register_all(), load_talk(seconds, rate);
}
