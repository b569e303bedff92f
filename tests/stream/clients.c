/* One program, five clients that are told of the same directory, each over a socket and with a
 * watcher of its own: one reads, one is killed in mid-stream, one has closed its sending half, one
 * its receiving half, one never reads. The program goes on, and each client gets what it can.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "stream.h"

#define NAMES 20000

enum { READS, KILLED, NO_MORE_SENDING, NO_MORE_READING, NEVER_READS, CLIENTS };

struct client {
    inotify_watcher *watcher;
    inotify_watcher_stream *stream;
    struct life life;
    int fd; /* the client's end; -1 if another process has it */
    pid_t process;
    unsigned lines;
    char last;
};

static struct client clients[CLIENTS];

static void connect_client(struct client *client)
{
    inotify_watcher_stream_options options = options_for(&client->life);
    struct ends ends = small_socket();

    options.flags = RINOTIFY_STREAM_CLOSE_FD;
    client->fd = ends.reader;
    client->watcher = create();
    client->stream = make_stream(ends.writer, &options);
    CHECK_OK(inotify_watcher_stream_register_watcher(client->stream, client->watcher));
    CHECK_OK(inotify_watcher_stream_watch(client->stream, client->watcher, "t", IN_CREATE, 0));
}

/* Counts the lines that are there. Returns false at the end of the data. */
static bool count_lines(struct client *client)
{
    char bytes[8192];
    ssize_t count;

    while ((count = read(client->fd, bytes, sizeof bytes)) > 0) {
        for (ssize_t i = 0; i < count; i++)
            client->lines += bytes[i] == '\n';
        client->last = bytes[count - 1];
    }
    if (count == -1)
        CHECK_EQ(errno, EAGAIN);
    return count == -1;
}

/* A process that reads a little, says so, and then waits for its end. */
static void read_in_a_process(struct client *client)
{
    int said[2];
    char byte;

    CHECK_SYS(pipe2(said, O_CLOEXEC));
    client->process = (pid_t)CHECK_SYS(fork());
    if (client->process == 0) {
        char bytes[1000];
        ssize_t left = 5000;

        /* Nobody else's end of a socket is to stay open in here. */
        for (int i = 0; i < CLIENTS; i++) {
            inotify_watcher_stream_destroy(clients[i].stream);
            inotify_watcher_destroy(clients[i].watcher);
            if (i != KILLED)
                close(clients[i].fd);
        }
        fcntl(client->fd, F_SETFL, 0);
        while (left > 0) {
            ssize_t count = read(client->fd, bytes, sizeof bytes);

            if (count <= 0)
                _exit(1);
            left -= count;
        }
        if (write(said[1], "x", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    CHECK_SYS(close(client->fd));
    client->fd = -1;
    CHECK_SYS(close(said[1]));
    /* It can be told of something only if we go on meanwhile. */
    CHECK_SYS(fcntl(said[0], F_SETFL, O_NONBLOCK));
    for (unsigned i = 0; read(said[0], &byte, 1) != 1; i++) {
        if (i < 1000)
            make_file(format("t/first-%u", i));
        for (int j = 0; j < CLIENTS; j++)
            turn(clients[j].watcher, clients[j].stream);
        count_lines(&clients[READS]);
    }
    CHECK_SYS(close(said[0]));
}

static void kill_it(struct client *client)
{
    int status;

    CHECK_EQ(client->life.lost, 0);
    CHECK_SYS(kill(client->process, SIGKILL));
    CHECK_SYS(waitpid(client->process, &status, 0));
    CHECK(WIFSIGNALED(status));
}

/* The watcher of a client that is gone is stopped, and holds no watch any more. */
static void expect_gone(const struct client *client)
{
    CHECK_EQ(client->life.lost, 1);
    CHECK(client->life.reason == EPIPE || client->life.reason == ECONNRESET);
    CHECK_EQ(inotify_watcher_fileno(client->watcher), -1);
    CHECK_EQ(stream_stats(client->stream).memory, 0);
}

static unsigned made;

static void go_on_until(unsigned names)
{
    while (made < names || clients[READS].lines < made) {
        for (int i = 0; i < 100 && made < names && made < clients[READS].lines + 5000; i++)
            make_file(format("t/%u", made++));
        for (int i = 0; i < CLIENTS; i++)
            turn(clients[i].watcher, clients[i].stream);
        CHECK(count_lines(&clients[READS]));
        CHECK(count_lines(&clients[NO_MORE_SENDING]));
        count_lines(&clients[NO_MORE_READING]);
    }
}

int main(void)
{
    struct client *silent = &clients[NEVER_READS];
    unsigned before;

    check_begin(240);
    check_case("clients");
    CHECK(signal(SIGPIPE, SIG_DFL) != SIG_ERR);
    make_dir("t");
    for (int i = 0; i < CLIENTS; i++)
        connect_client(&clients[i]);
    CHECK_SYS(shutdown(clients[NO_MORE_SENDING].fd, SHUT_WR));
    read_in_a_process(&clients[KILLED]);
    /* Names from here on are counted. */
    while (inotify_watcher_do_read(clients[READS].watcher) > 0)
        ;
    flush(clients[READS].stream);
    while (count_lines(&clients[READS]) && stream_stats(clients[READS].stream).buffered > 0)
        flush(clients[READS].stream);
    before = clients[READS].lines;
    clients[READS].lines = 0;

    go_on_until(NAMES / 4);
    kill_it(&clients[KILLED]);
    /* With nothing unread: a full socket whose reader gave up is never writable again, and looks like
     * one that never reads. */
    count_lines(&clients[NO_MORE_READING]);
    CHECK_SYS(shutdown(clients[NO_MORE_READING].fd, SHUT_RD));
    go_on_until(NAMES);

    expect_gone(&clients[KILLED]);
    expect_gone(&clients[NO_MORE_READING]);

    /* Nobody reads, so it is paused and costs a buffer, whatever else happens. */
    CHECK_EQ(silent->life.lost, 0);
    CHECK(stream_stats(silent->stream).state & RINOTIFY_STREAM_PRODUCER_PAUSED);
    CHECK(stream_stats(silent->stream).buffered_peak <= 65536 + 100);
    CHECK_OK(inotify_watcher_stream_abort(silent->stream, ETIMEDOUT));
    CHECK_EQ(silent->life.lost, 1);
    CHECK_EQ(silent->life.reason, ETIMEDOUT);
    CHECK_EQ(inotify_watcher_fileno(silent->watcher), -1);

    /* These two have had everything, whole lines, and the end. */
    for (int i = 0; i < CLIENTS; i++) {
        struct client *client = &clients[i];

        if (client->life.lost != 0)
            continue;
        CHECK(i == READS || i == NO_MORE_SENDING);
        CHECK_OK(inotify_watcher_stream_lose_connection(client->stream));
        while (count_lines(client))
            inotify_watcher_stream_do_write(client->stream);
        CHECK_EQ(client->life.lost, 1);
        CHECK_EQ(client->life.reason, 0);
        CHECK_EQ(client->last, '\n');
        CHECK_EQ(client->lines, i == READS ? NAMES : NAMES + before);
    }
    for (int i = 0; i < CLIENTS; i++) {
        inotify_watcher_stream_destroy(clients[i].stream);
        inotify_watcher_destroy(clients[i].watcher);
        if (clients[i].fd >= 0)
            CHECK_SYS(close(clients[i].fd));
    }
    return 0;
}
