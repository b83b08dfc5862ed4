/* A chat in C: one thread, epoll, one sendmsg() a client and turn.
 *
 * Peculiar: what a turn of the loop has for everybody is written once, in a log that all share; a client has a mark in
 * it (all from there on is for it) and a list of earlier pieces: up to a line of its own, which it does not get back,
 * or private ones, from a second log. At the end of the turn each client is sent its pieces as they lie; only what the
 * kernel does not take is copied. Each U+FFFD stands for a whole run of bytes that are no text. At the limit of
 * descriptors one kept in reserve serves to say `server-full`.
 *
 *     cc -O2 -o chat_epoll chat_epoll.c && ./chat_epoll [--host HOST] [--port PORT]
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum {
    MAX_LINE = 4096,       /* bytes, the LF and the CR before it not counted */
    KEPT = MAX_LINE + 2,   /* that much of a line tells whether it is too long */
    LONGEST = 3 * KEPT,    /* a line when every byte has become U+FFFD */
    MAX_NAME = 16,
    LIMIT = 1024 * 1024,   /* bytes unsent with which a client still stays */
    TURN = 128 * 1024,     /* bytes in a log after which all are sent their pieces at once */
    INPUT = 32 * 1024,
    BACKLOG = 512,
    ACCEPTS = 64,          /* in one turn */
    EVENTS = 512,
    PIECES = 256,          /* in one sendmsg() */
    BUCKETS = 16384,
    LINGER_MS = 1000       /* from /exit to the close, if the client does not close first */
};

struct piece {
    int private; /* which log it lies in */
    size_t start, end;
};

enum state { OPEN, ENDED /* the client has sent all it will */, EXITED, DEAD };

struct client {
    int fd;
    enum state state;
    uint32_t events;        /* as epoll was told */
    int shut, touched;      /* shutdown() was called; the client is in the list of those */
    long deadline;          /* in milliseconds, while the client is in the list of the exited */
    int unburied;           /* dead, and to be freed when it leaves that list */
    ssize_t place;          /* among the members, or -1 */
    char name[MAX_NAME + 1];
    struct client *same_bucket, *next_touched, *next_dead, *next_exited;
    size_t mark;            /* all of the shared log from here is for this member */
    struct piece *pieces;   /* what comes before that */
    size_t piece_count, piece_room;
    char *unsent;           /* what the kernel did not take, from unsent_start to unsent_end */
    size_t unsent_start, unsent_end, unsent_room;
    size_t line_size;
    int refused;
    unsigned char line[KEPT];
};

struct log {
    char *bytes;
    size_t size, room;
};

static struct log logs[2]; /* everybody's, and the private one */
static struct client **members, *buckets[BUCKETS], *touched, *dead, *exited, **last_exited = &exited;
static size_t member_count, member_room;
static int poll_fd, listener, reserve = -1;
static time_t now;
static char stamp[16]; /* "[12:00:00] [" */

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void *grown(void *old, size_t *room, size_t wanted, size_t item) {
    if (wanted <= *room)
        return old;
    size_t bigger = *room ? *room : 16;
    while (bigger < wanted)
        bigger *= 2;
    void *new = realloc(old, bigger * item);
    if (!new)
        die("realloc");
    *room = bigger;
    return new;
}

static long milliseconds(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static void look_at_the_clock(void) {
    struct timespec time_of_day;
    clock_gettime(CLOCK_REALTIME_COARSE, &time_of_day);
    if (time_of_day.tv_sec != now) {
        struct tm local;
        now = time_of_day.tv_sec;
        strftime(stamp, sizeof stamp, "[%H:%M:%S] [", localtime_r(&now, &local));
    }
}

/* Output */

static void touch(struct client *client) {
    if (!client->touched) {
        client->touched = 1;
        client->next_touched = touched;
        touched = client;
    }
}

static void add_piece(struct client *client, int private, size_t start, size_t end) {
    if (start == end)
        return;
    if (client->piece_count) {
        struct piece *last = &client->pieces[client->piece_count - 1];
        if (last->private == private && last->end == start) {
            last->end = end;
            return;
        }
    }
    client->pieces = grown(client->pieces, &client->piece_room, client->piece_count + 1, sizeof *client->pieces);
    client->pieces[client->piece_count++] = (struct piece){private, start, end};
}

/* Let what is now in the shared log be the client's, and nothing after it until the mark is moved. */
static void catch_up(struct client *client) {
    if (client->place >= 0)
        add_piece(client, 0, client->mark, logs[0].size);
    client->mark = logs[0].size;
}

static void append(struct log *log, const char *bytes, size_t size) {
    log->bytes = grown(log->bytes, &log->room, log->size + size, 1);
    memcpy(log->bytes + log->size, bytes, size);
    log->size += size;
}

/* Write a line into a log: its stamp, its source (a kind, a name, or a kind and a name), and a text. */
static void write_line(struct log *log, const char *kind, const char *name, const char *text, size_t size) {
    append(log, stamp, 12);
    append(log, kind, strlen(kind));
    append(log, name, strlen(name));
    append(log, "] ", 2);
    append(log, text, size);
    append(log, "\n", 1);
}

/* Send a line to one client alone. */
static void tell(struct client *client, const char *kind, const char *name, const char *text, size_t size) {
    size_t start = logs[1].size;
    write_line(&logs[1], kind, name, text, size);
    catch_up(client);
    add_piece(client, 1, start, logs[1].size);
    touch(client);
}

__attribute__((format(printf, 3, 4))) static void tellf(struct client *client, const char *kind, const char *form,
                                                        ...) {
    char text[LONGEST + 256];
    va_list arguments;
    va_start(arguments, form);
    int size = vsnprintf(text, sizeof text, form, arguments);
    va_end(arguments);
    tell(client, kind, "", text, (size_t)size < sizeof text ? (size_t)size : sizeof text - 1);
}

/* Send a SERVER line to every member. */
__attribute__((format(printf, 1, 2))) static void announce(const char *form, ...) {
    char text[256];
    va_list arguments;
    va_start(arguments, form);
    int size = vsnprintf(text, sizeof text, form, arguments);
    va_end(arguments);
    write_line(&logs[0], "SERVER", "", text, (size_t)size);
}

/* Members */

static struct client **bucket_of(const char *name) {
    unsigned hash = 2166136261u;
    for (; *name; name++)
        hash = (hash ^ (unsigned char)(*name | 0x20)) * 16777619u;
    return &buckets[(hash ^ hash >> 16) % BUCKETS];
}

static struct client *find(const char *name) {
    struct client *client = *bucket_of(name);
    while (client && strcasecmp(client->name, name))
        client = client->same_bucket;
    return client;
}

static void set_name(struct client *client, const char *name) {
    strcpy(client->name, name);
    struct client **bucket = bucket_of(name);
    client->same_bucket = *bucket;
    *bucket = client;
}

static void free_name(struct client *client) {
    struct client **link = bucket_of(client->name);
    while (*link != client)
        link = &(*link)->same_bucket;
    *link = client->same_bucket;
}

static void join(struct client *client, const char *name) {
    announce("%s joined, and is the one you do not know yet", name);
    set_name(client, name);
    members = grown(members, &member_room, member_count + 1, sizeof *members);
    client->place = (ssize_t)member_count;
    members[member_count++] = client;
    client->mark = logs[0].size;
    tellf(client, "SERVER", "Welcome! You are %s here.", name);
}

static void leave(struct client *client) {
    if (client->place < 0)
        return;
    catch_up(client);
    touch(client);
    free_name(client);
    members[client->place] = members[--member_count];
    members[client->place]->place = client->place;
    client->place = -1;
    announce("%s left.", client->name);
}

/* Let everybody else know, and nothing more be done for this client; it is freed at the end of the turn. */
static void kill_client(struct client *client) {
    if (client->state == DEAD)
        return;
    leave(client);
    client->state = DEAD;
    close(client->fd);
    client->next_dead = dead;
    dead = client;
}

/* Sending */

/* Keep what the kernel did not take of the client's pieces, after skipping what it took. */
static void keep(struct client *client, size_t skip) {
    if (client->unsent_start) {
        memmove(client->unsent, client->unsent + client->unsent_start, client->unsent_end - client->unsent_start);
        client->unsent_end -= client->unsent_start;
        client->unsent_start = 0;
    }
    for (size_t i = 0; i < client->piece_count; i++) {
        struct piece *piece = &client->pieces[i];
        size_t size = piece->end - piece->start;
        if (skip >= size) {
            skip -= size;
            continue;
        }
        size -= skip;
        client->unsent = grown(client->unsent, &client->unsent_room, client->unsent_end + size, 1);
        memcpy(client->unsent + client->unsent_end, logs[piece->private].bytes + piece->start + skip, size);
        client->unsent_end += size;
        skip = 0;
    }
    client->piece_count = 0;
}

/* Send what the client is owed. Return 0 when it is lost. */
static int deliver(struct client *client) {
    struct iovec vector[PIECES];
    size_t count = 0, total = 0;
    if (client->unsent_start < client->unsent_end) {
        vector[count].iov_base = client->unsent + client->unsent_start;
        total = vector[count++].iov_len = client->unsent_end - client->unsent_start;
    }
    for (size_t i = 0; i < client->piece_count && count < PIECES; i++) {
        struct piece *piece = &client->pieces[i];
        vector[count].iov_base = logs[piece->private].bytes + piece->start;
        total += vector[count++].iov_len = piece->end - piece->start;
    }
    if (!count)
        return 1;
    struct msghdr message = {.msg_iov = vector, .msg_iovlen = count};
    ssize_t sent = sendmsg(client->fd, &message, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR)
        return 0;
    size_t taken = sent < 0 ? 0 : (size_t)sent, old = client->unsent_end - client->unsent_start;
    int more = taken == total && client->piece_count >= PIECES;
    if (taken < old) {
        client->unsent_start += taken;
        taken = 0;
    } else {
        client->unsent_start = client->unsent_end = 0;
        taken -= old;
    }
    keep(client, taken);
    if (more) /* than fitted into one call */
        return deliver(client);
    if (client->unsent_start == client->unsent_end) {
        client->unsent_start = client->unsent_end = 0;
        if (client->unsent_room > TURN) {
            free(client->unsent);
            client->unsent = NULL;
            client->unsent_room = 0;
        }
    }
    return client->unsent_end - client->unsent_start <= LIMIT;
}

/* Deliver, and see to what comes after it. Return 0 when the connection is over. */
static int settle(struct client *client) {
    if (!deliver(client))
        return 0;
    int owed = client->unsent_start < client->unsent_end;
    if (client->state == ENDED && !owed)
        return 0;
    if (client->state == EXITED && !owed && !client->shut) {
        client->shut = 1;
        shutdown(client->fd, SHUT_WR);
    }
    uint32_t wanted = (client->state == ENDED ? 0 : EPOLLIN) | (owed ? EPOLLOUT : 0);
    if (wanted != client->events) {
        struct epoll_event event = {.events = wanted, .data.ptr = client};
        client->events = wanted;
        epoll_ctl(poll_fd, EPOLL_CTL_MOD, client->fd, &event);
    }
    return 1;
}

/* Send all that the logs hold, and empty them. Who is lost meanwhile is told of in the logs' next filling. */
static void send_everything(void) {
    do {
        struct client *lost = NULL;
        if (logs[0].size) {
            for (size_t i = 0; i < member_count; i++) {
                catch_up(members[i]);
                touch(members[i]);
            }
        }
        while (touched) {
            struct client *client = touched;
            touched = client->next_touched;
            client->touched = 0;
            if (client->state != DEAD && !settle(client)) {
                client->piece_count = 0;
                client->next_touched = lost;
                client->touched = 1; /* not to be put in the list */
                lost = client;
            }
        }
        for (size_t i = 0; i < member_count; i++)
            members[i]->mark = 0;
        logs[0].size = logs[1].size = 0;
        while (lost) {
            struct client *client = lost;
            lost = client->next_touched;
            kill_client(client);
        }
    } while (logs[0].size);
}

/* Commands */

static int is_name(const char *name) {
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
    size_t size = strlen(name);
    return size > 0 && size <= MAX_NAME && strspn(name, letters) == size && strchr("0123456789_-", name[0]) == NULL &&
           strcasecmp(name, "server") && strcasecmp(name, "error");
}

/* Say whether the client may have a name. */
static int may_have(struct client *client, const char *name) {
    struct client *holder;
    if (!is_name(name))
        tellf(client, "ERROR", "name-invalid: <%s>", name);
    else if ((holder = find(name)) && holder != client)
        tellf(client, "ERROR", "name-taken: <%s> is taken", name);
    else
        return 1;
    if (client->place < 0)
        tellf(client, "SERVER", "Your username, please?");
    return 0;
}

static void leave_by_exit(struct client *client) {
    leave(client);
    tellf(client, "SERVER", "Goodbye");
    client->state = EXITED;
    client->deadline = milliseconds() + LINGER_MS;
    *last_exited = client;
    last_exited = &client->next_exited;
}

static int by_name(const void *one, const void *other) {
    return strcasecmp((*(struct client *const *)one)->name, (*(struct client *const *)other)->name);
}

static void list(struct client *client) {
    struct client **sorted = malloc(member_count * sizeof *sorted);
    char *text = malloc(64 + member_count * (MAX_NAME + 2));
    if (!sorted || !text)
        die("malloc");
    memcpy(sorted, members, member_count * sizeof *sorted);
    qsort(sorted, member_count, sizeof *sorted, by_name);
    char *at = text + sprintf(text, "Connected users (%zu): ", member_count);
    for (size_t i = 0; i < member_count; i++)
        at = stpcpy(stpcpy(at, i ? ", " : ""), sorted[i]->name);
    tell(client, "SERVER", "", text, (size_t)(at - text));
    free(sorted);
    free(text);
}

static void trim(char *text) {
    size_t size = strlen(text);
    while (size && text[size - 1] == ' ')
        text[--size] = '\0';
}

static void whisper(struct client *client, char *rest) {
    struct client *other;
    char *text = rest + strcspn(rest, " ");
    if (*text)
        *text++ = '\0';
    text += strspn(text, " ");
    if (!*text) {
        tellf(client, "ERROR", "usage: /whisper NAME TEXT");
    } else if (!(other = find(rest))) {
        tellf(client, "ERROR", "no-such-user: <%s> is not here", rest);
    } else {
        tell(client, "PRIVATE TO ", other->name, text, strlen(text));
        tell(other, "PRIVATE FROM ", client->name, text, strlen(text));
    }
}

static void nick(struct client *client, char *wanted) {
    char old[MAX_NAME + 1];
    trim(wanted);
    if (!*wanted) {
        tellf(client, "ERROR", "usage: /nick NAME");
    } else if (may_have(client, wanted)) {
        strcpy(old, client->name);
        free_name(client);
        set_name(client, wanted);
        announce("%s is now %s", old, wanted);
    }
}

static void command(struct client *client, char *word) {
    char *rest = word + strcspn(word, " ");
    if (*rest)
        *rest++ = '\0';
    rest += strspn(rest, " ");
    if (!strcmp(word, "/help")) {
        tellf(client, "SERVER", "/help, /list, /nick NAME, /exit;");
        tellf(client, "SERVER", "/whisper NAME TEXT; all else is said aloud");
    } else if (!strcmp(word, "/list")) {
        list(client);
    } else if (!strcmp(word, "/exit")) {
        leave_by_exit(client);
    } else if (!strcmp(word, "/nick")) {
        nick(client, rest);
    } else if (!strcmp(word, "/whisper")) {
        whisper(client, rest);
    } else {
        tellf(client, "ERROR", "unknown-command: <%s> is none of mine", word);
    }
}

/* Input */

/* Return the length of the character at s, or 0 if there is none. */
static size_t character(const unsigned char *s, size_t left) {
    size_t more;
    unsigned char low = 0x80, high = 0xBF; /* the range of the second byte */
    if (s[0] < 0x80)
        return 1;
    if (s[0] >= 0xC2 && s[0] <= 0xDF)
        more = 1;
    else if (s[0] >= 0xE0 && s[0] <= 0xEF)
        more = 2;
    else if (s[0] >= 0xF0 && s[0] <= 0xF4)
        more = 3;
    else
        return 0;
    if (s[0] == 0xE0)
        low = 0xA0; /* no overlong forms */
    else if (s[0] == 0xED)
        high = 0x9F; /* no surrogates */
    else if (s[0] == 0xF0)
        low = 0x90;
    else if (s[0] == 0xF4)
        high = 0x8F; /* nothing above U+10FFFF */
    for (size_t i = 1; i <= more; i++) {
        if (i >= left || s[i] < low || s[i] > high)
            return 0;
        low = 0x80;
        high = 0xBF;
    }
    return more + 1;
}

static int is_plain(const unsigned char *bytes, size_t size) {
    for (size_t i = 0; i < size; i++)
        if ((bytes[i] < 0x20 && bytes[i] != '\t') || bytes[i] >= 0x7F)
            return 0;
    return 1;
}

/* Copy a line, made harmless, as a string; return its size. */
static size_t make_readable(char *text, const unsigned char *line, size_t size) {
    char *at = text;
    int in_run = 0;
    if (is_plain(line, size)) {
        at = mempcpy(text, line, size);
        size = 0;
    }
    for (size_t i = 0; i < size;) {
        size_t length = character(line + i, size - i);
        if (length == 0) {
            if (!in_run)
                at = mempcpy(at, "\xEF\xBF\xBD", 3);
            in_run = 1;
            i++;
            continue;
        }
        in_run = 0;
        int control = length == 1 ? (line[i] < 0x20 && line[i] != '\t') || line[i] == 0x7F
                                  : length == 2 && line[i] == 0xC2 && line[i + 1] < 0xA0;
        at = control ? mempcpy(at, "\xEF\xBF\xBD", 3) : mempcpy(at, line + i, length);
        i += length;
    }
    *at = '\0';
    return (size_t)(at - text);
}

static void carry_out(struct client *client, const unsigned char *line, size_t line_size) {
    char text[LONGEST + 1];
    size_t size = make_readable(text, line, line_size);
    if (client->place >= 0 && text[0] == '/') {
        command(client, text);
    } else if (strspn(text, " \t") == size) {
        return;
    } else if (client->place >= 0) {
        catch_up(client);
        write_line(&logs[0], client->name, "", text, size);
        client->mark = logs[0].size;
        if (client->piece_count)
            touch(client);
    } else if (!strncmp(text, "/exit", 5) && strspn(text + 5, " ") == size - 5) {
        leave_by_exit(client);
    } else if (may_have(client, text)) {
        join(client, text);
    }
}

static void refuse_long_line(struct client *client) {
    tellf(client, "ERROR", client->place < 0 ? "name-invalid: far too long" : "line-too-long: 4096 bytes at most");
}

/* Carry out the lines that end in these bytes, and keep the beginning of the next. */
static void feed(struct client *client, const unsigned char *bytes, size_t size) {
    while (size && client->state == OPEN) {
        const unsigned char *lf = memchr(bytes, '\n', size);
        size_t length = lf ? (size_t)(lf - bytes) : size, used = length + (lf != NULL);
        const unsigned char *line = bytes;
        size_t line_size = length;
        if (client->line_size || !lf) {
            size_t fits = KEPT - client->line_size;
            memcpy(client->line + client->line_size, bytes, fits < length ? fits : length);
            client->line_size += fits < length ? fits : length;
            line = client->line;
            line_size = client->line_size;
        }
        bytes += used;
        size -= used;
        size_t without_cr = line_size && line[line_size - 1] == '\r' ? line_size - 1 : line_size;
        if (without_cr > MAX_LINE && !client->refused) {
            client->refused = 1;
            refuse_long_line(client);
        }
        if (lf) {
            if (without_cr <= MAX_LINE)
                carry_out(client, line, without_cr);
            client->line_size = 0;
            client->refused = 0;
            if (logs[0].size > TURN || logs[1].size > TURN)
                send_everything();
        }
    }
}

static void receive(struct client *client) {
    static unsigned char input[INPUT];
    ssize_t got = recv(client->fd, input, INPUT, 0);
    if (got < 0 && errno != EAGAIN && errno != EINTR) {
        kill_client(client);
    } else if (got == 0 && client->state == EXITED) {
        client->state = ENDED;
        touch(client);
    } else if (got == 0) {
        leave(client);
        client->state = ENDED;
        touch(client);
    } else if (got > 0) {
        feed(client, input, (size_t)got);
    }
}

static void handle(struct client *client, uint32_t events) {
    if (client->state == DEAD)
        return;
    if (client->state == ENDED && events & (EPOLLERR | EPOLLHUP))
        kill_client(client);
    else if (events & ~(uint32_t)EPOLLOUT && client->state != ENDED)
        receive(client);
    if (events & EPOLLOUT && client->state != DEAD)
        touch(client);
}

/* The listener */

/* Give up the reserve for the moment that it takes to say so. */
static int refuse_one(void) {
    close(reserve);
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        char text[64];
        int size = sprintf(text, "%sERROR] server-full: no descriptor left\n", stamp);
        send(fd, text, (size_t)size, MSG_NOSIGNAL);
        close(fd);
    }
    reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
    return fd >= 0;
}

static int accept_one(void) {
    int on = 1, fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return errno == ECONNABORTED || ((errno == EMFILE || errno == ENFILE) && refuse_one());
    struct client *client = malloc(sizeof *client);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
    if (!client || epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &event)) {
        close(fd);
        free(client);
        return 1;
    }
    memset(client, 0, offsetof(struct client, line)); /* the kernel lends the pages of the rest when they are used */
    client->fd = fd;
    client->events = EPOLLIN;
    client->place = -1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    tellf(client, "SERVER", "This is an epoll chat, in C.");
    tellf(client, "SERVER", "Your username, please?");
    return 1;
}

/* Return a listening socket on host:port, and announce it. */
static int listen_on(const char *host, const char *port) {
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *address;
    int on = 1, error = getaddrinfo(host, port, &hints, &address);
    if (error) {
        fprintf(stderr, "%s:%s: %s\n", host, port, gai_strerror(error));
        exit(1);
    }
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, address->ai_addr, address->ai_addrlen) || listen(fd, BACKLOG))
        die("cannot listen");
    freeaddrinfo(address);
    struct sockaddr_in bound;
    socklen_t size = sizeof bound;
    char name[INET_ADDRSTRLEN];
    getsockname(fd, (struct sockaddr *)&bound, &size);
    printf("listening on %s:%d\n", inet_ntop(AF_INET, &bound.sin_addr, name, sizeof name), ntohs(bound.sin_port));
    fflush(stdout);
    return fd;
}

static void watch(int fd, void *data) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = data};
    if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &event))
        die("epoll");
}

static void release(struct client *client) {
    free(client->pieces);
    free(client->unsent);
    free(client);
}

/* Close those that have lingered long enough; return the milliseconds until the next, or -1. */
static int close_lingering(void) {
    while (exited && (exited->state == DEAD || exited->deadline <= milliseconds())) {
        struct client *client = exited;
        exited = client->next_exited;
        client->deadline = 0;
        if (client->unburied)
            release(client);
        else
            kill_client(client);
    }
    if (exited)
        return (int)(exited->deadline - milliseconds()) + 1;
    last_exited = &exited;
    return -1;
}

/* Free the dead, except those whom the list of the exited still holds. */
static void bury(void) {
    while (dead) {
        struct client *client = dead;
        dead = client->next_dead;
        client->unburied = client->deadline != 0;
        if (!client->unburied)
            release(client);
    }
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
    int signals = signalfd(-1, &stop, SFD_CLOEXEC), timeout = -1;
    poll_fd = epoll_create1(EPOLL_CLOEXEC);
    reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
    listener = listen_on(host, port);
    watch(signals, &signals);
    watch(listener, &listener);
    for (;;) {
        struct epoll_event events[EVENTS];
        int ready = epoll_wait(poll_fd, events, EVENTS, timeout);
        look_at_the_clock();
        for (int i = 0; i < ready; i++) {
            if (events[i].data.ptr == &signals)
                return 0; /* the kernel closes every connection */
            if (events[i].data.ptr != &listener)
                handle(events[i].data.ptr, events[i].events);
            else
                for (int tries = ACCEPTS; tries && accept_one(); tries--)
                    ;
        }
        close_lingering();
        send_everything();
        timeout = close_lingering();
        bury();
    }
}
