/* What goes wrong when writing: each fault ends the connection once, with its reason, and the
 * process lives; what is no fault loses nothing.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "stream.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>

static void expect_lost(struct life *life, inotify_watcher_stream *stream, int reason)
{
    CHECK_EQ(life->lost, 1);
    CHECK_EQ(life->reason, reason);
    /* An operator's line for a connection that broke. */
    CHECK_EQ(life->lines, 1);
    CHECK_EQ(life->level, RINOTIFY_LOG_WARNING);
    CHECK(strstr(life->line, strerror(reason)) != NULL);
    CHECK(strstr(life->line, " 5 bytes") != NULL);
    CHECK_STR(life->prefix, "inotify_watcher_stream");
    CHECK_EQ(inotify_watcher_stream_do_write(stream), -EBADF);
    CHECK_EQ(inotify_watcher_stream_write(stream, "x", 1), -EBADF);
    CHECK_EQ(inotify_watcher_stream_buffered(stream), 0);
    CHECK_EQ(inotify_watcher_stream_fileno(stream), -1);
    CHECK_EQ(STATE(stream), 0);
    inotify_watcher_stream_destroy(stream);
    CHECK_EQ(life->lost, 1);
}

static uint64_t blocked_signals(void)
{
    uint64_t bits = 0;
    sigset_t set;

    CHECK_SYS(pthread_sigmask(SIG_BLOCK, NULL, &set));
    for (int i = 1; i < 64; i++)
        bits |= (uint64_t)(sigismember(&set, i) == 1) << i;
    return bits;
}

/* A descriptor on which a write of five bytes must fail. */
static void fails(int fd, int reason)
{
    struct life life;
    inotify_watcher_stream_options options = options_for(&life);
    inotify_watcher_stream *stream;
    uint64_t before = blocked_signals();

    options.flags = RINOTIFY_STREAM_CLOSE_FD;
    stream = make_stream(fd, &options);
    CHECK_EQ(inotify_watcher_stream_write_some_data(stream, "12345", 5), -reason);
    CHECK_EQ(life.lost, 0);
    CHECK_EQ(inotify_watcher_stream_write(stream, "12345", 5), 0);
    CHECK_EQ(inotify_watcher_stream_do_write(stream), -reason);
    CHECK_EQ(last_error(NULL).error, reason);
    CHECK_STR(last_error(NULL).step, "do_write");
    CHECK(blocked_signals() == before);
    CHECK(!is_open(fd));
    expect_lost(&life, stream, reason);
}

/* SIGPIPE has its deadly default action here. */
static void broken_pipe(void)
{
    struct ends ends = small_pipe();

    CHECK_SYS(close(ends.reader));
    fails(ends.writer, EPIPE);
    ends = small_socket();
    CHECK_SYS(close(ends.reader));
    fails(ends.writer, EPIPE);
}

static unsigned pipes;

static void count_pipe(int signal_number)
{
    (void)signal_number;
    pipes++;
}

/* The program's own handling of SIGPIPE is not disturbed: one that was pending is delivered, none
 * is added, whether it is blocked, ignored or handled. */
static void signal_of_the_program(void)
{
    struct sigaction action, old;
    sigset_t set, pending;

    memset(&action, 0, sizeof action);
    action.sa_handler = count_pipe;
    CHECK_SYS(sigaction(SIGPIPE, &action, &old));
    broken_pipe();
    CHECK_EQ(pipes, 0);

    CHECK_SYS(sigemptyset(&set));
    CHECK_SYS(sigaddset(&set, SIGPIPE));
    CHECK_SYS(pthread_sigmask(SIG_BLOCK, &set, NULL));
    broken_pipe();
    CHECK_SYS(sigpending(&pending));
    CHECK_EQ(sigismember(&pending, SIGPIPE), 0);
    CHECK_SYS(raise(SIGPIPE));
    broken_pipe();
    CHECK_SYS(sigpending(&pending));
    CHECK_EQ(sigismember(&pending, SIGPIPE), 1);
    CHECK_SYS(pthread_sigmask(SIG_UNBLOCK, &set, NULL));
    CHECK_EQ(pipes, 1);

    action.sa_handler = SIG_IGN;
    CHECK_SYS(sigaction(SIGPIPE, &action, NULL));
    broken_pipe();
    CHECK_SYS(sigaction(SIGPIPE, &old, NULL));
}

static void full_device(void)
{
    fails((int)CHECK_SYS(open("/dev/full", O_WRONLY | O_CLOEXEC)), ENOSPC);
}

/* A TCP connection that the other end has reset. */
static void reset(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t length = sizeof address;
    struct linger linger = {1, 0};
    int listener, near, far;
    struct pollfd poll_fd;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listener = (int)CHECK_SYS(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    CHECK_SYS(bind(listener, (struct sockaddr *)&address, sizeof address));
    CHECK_SYS(listen(listener, 1));
    CHECK_SYS(getsockname(listener, (struct sockaddr *)&address, &length));
    near = (int)CHECK_SYS(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    CHECK_SYS(connect(near, (struct sockaddr *)&address, sizeof address));
    far = (int)CHECK_SYS(accept(listener, NULL, NULL));
    CHECK_SYS(setsockopt(far, SOL_SOCKET, SO_LINGER, &linger, sizeof linger));
    CHECK_SYS(close(far));
    CHECK_SYS(close(listener));
    poll_fd = (struct pollfd){.fd = near, .events = POLLIN};
    CHECK_SYS(poll(&poll_fd, 1, -1));
    {
        struct life life;
        inotify_watcher_stream_options options = options_for(&life);
        inotify_watcher_stream *stream;

        options.flags = RINOTIFY_STREAM_CLOSE_FD;
        stream = make_stream(near, &options);
        CHECK_EQ(inotify_watcher_stream_write(stream, "12345", 5), 0);
        CHECK_EQ(inotify_watcher_stream_do_write(stream), -ECONNRESET);
        expect_lost(&life, stream, ECONNRESET);
    }
}

/* Closed by somebody else. The number is not the stream's any more, and must not be closed again. */
static void closed_descriptor(void)
{
    struct ends ends = small_pipe();
    struct life life;
    inotify_watcher_stream_options options = options_for(&life);
    inotify_watcher_stream *stream;
    int again;

    options.flags = RINOTIFY_STREAM_CLOSE_FD;
    stream = make_stream(ends.writer, &options);
    CHECK_EQ(inotify_watcher_stream_write(stream, "12345", 5), 0);
    CHECK_SYS(close(ends.writer));
    /* The number comes back, for something that cannot be written. */
    again = (int)CHECK_SYS(open("/dev/null", O_RDONLY | O_CLOEXEC));
    CHECK_EQ(again, ends.writer);
    CHECK_EQ(inotify_watcher_stream_do_write(stream), -EBADF);
    CHECK(is_open(again));
    expect_lost(&life, stream, EBADF);
    CHECK(is_open(again));
    CHECK_SYS(close(again));
    CHECK_SYS(close(ends.reader));
}

/* EAGAIN: nothing is lost, and it goes on when there is room. */
static void no_room(struct ends ends)
{
    struct life life;
    inotify_watcher_stream_options options = options_for(&life);
    inotify_watcher_stream *stream;
    size_t filled = fill(ends.writer), in = 0, out = 0;
    char *rubbish = malloc(filled);

    CHECK(rubbish != NULL);
    stream = make_stream(ends.writer, &options);
    put(stream, &in, 5000);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(inotify_watcher_stream_do_write(stream), 0);
        CHECK_EQ(inotify_watcher_stream_wants_write(stream), 1);
        CHECK_EQ(inotify_watcher_stream_buffered(stream), 5000);
    }
    while (filled > 0)
        filled -= (size_t)CHECK_SYS(read(ends.reader, rubbish, filled));
    while (out < in) {
        CHECK_OK(inotify_watcher_stream_do_write(stream));
        take_all(ends.reader, &out);
    }
    CHECK_EQ(inotify_watcher_stream_wants_write(stream), 0);
    CHECK_EQ(life.lost, 0);
    inotify_watcher_stream_destroy(stream);
    CHECK_EQ(life.lines, 0);
    free(rubbish);
    CHECK_SYS(close(ends.writer));
    CHECK_SYS(close(ends.reader));
}

/* EINTR: a descriptor that may block, and a signal in the middle of the write. */

static atomic_bool interrupted;
static pthread_t blocked;

static void *interrupts(void *unused)
{
    (void)unused;
    while (!atomic_load(&interrupted)) {
        CHECK_EQ(pthread_kill(blocked, SIGUSR1), 0);
        sched_yield();
    }
    return NULL;
}

static void nothing(int signal_number)
{
    (void)signal_number;
}

static void signal_in_a_write(void)
{
    struct ends ends = small_pipe();
    struct life life;
    inotify_watcher_stream_options options = options_for(&life);
    inotify_watcher_stream *stream;
    struct sigaction action;
    size_t filled = fill(ends.writer), in = 0, out = 0;
    char *rubbish = malloc(filled);
    pthread_t thread;

    CHECK(rubbish != NULL);
    memset(&action, 0, sizeof action);
    action.sa_handler = nothing;
    CHECK_SYS(sigaction(SIGUSR1, &action, NULL));
    options.flags = RINOTIFY_STREAM_KEEP_FLAGS;
    stream = make_stream(ends.writer, &options);
    put(stream, &in, 3000);
    blocked = pthread_self();
    CHECK_EQ(pthread_create(&thread, NULL, interrupts, NULL), 0);
    /* It would block until somebody reads, and nobody does. To be called again. */
    CHECK_EQ(inotify_watcher_stream_do_write(stream), 1);
    CHECK_EQ(inotify_watcher_stream_write_some_data(stream, "x", 1), 0);
    atomic_store(&interrupted, true);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(life.lost, 0);
    CHECK_EQ(inotify_watcher_stream_buffered(stream), in);
    CHECK_EQ(inotify_watcher_stream_wants_write(stream), 1);
    while (filled > 0)
        filled -= (size_t)CHECK_SYS(read(ends.reader, rubbish, filled));
    CHECK_EQ(inotify_watcher_stream_do_write(stream), 0);
    take_all(ends.reader, &out);
    CHECK_EQ(out, in);
    inotify_watcher_stream_destroy(stream);
    free(rubbish);
    CHECK_SYS(close(ends.writer));
    CHECK_SYS(close(ends.reader));
}

/* ---- A write function of the program's own. */

struct scripted {
    struct life life;
    const ptrdiff_t *results;
    unsigned calls;
    char seen[64];
    size_t seen_length;
};

static ptrdiff_t scripted_write(inotify_watcher_stream *stream, int fd, const void *data,
                                size_t size, void *user_data)
{
    struct scripted *scripted = user_data;
    ptrdiff_t result = scripted->results[scripted->calls++];

    CHECK(stream != NULL);
    CHECK_EQ(fd, -1);
    CHECK(size > 0);
    CHECK_EQ(inotify_watcher_stream_do_write(stream), -EBUSY);
    if (result > 0 && (size_t)result <= size) {
        memcpy(scripted->seen + scripted->seen_length, data, (size_t)result);
        scripted->seen_length += (size_t)result;
    }
    return result;
}

static inotify_watcher_stream *scripted_stream(struct scripted *scripted, const ptrdiff_t *results)
{
    inotify_watcher_stream_options options = options_for(&scripted->life);

    scripted->results = results;
    scripted->calls = 0;
    scripted->seen_length = 0;
    options.write = scripted_write;
    options.user_data = scripted;
    options.send_limit = 4;
    return make_stream(-1, &options);
}

static void own_function(void)
{
    static const ptrdiff_t goes_on[] = {-EINTR, 2, 0, -EAGAIN, 1, -EINTR, 4};
    static const int expected[] = {1, 1, 0, 0, 1, 1, 0};
    struct scripted scripted;
    inotify_watcher_stream *stream = scripted_stream(&scripted, goes_on);

    CHECK_EQ(inotify_watcher_stream_fileno(stream), -1);
    CHECK_EQ(inotify_watcher_stream_write(stream, "abcdefg", 7), 0);
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        CHECK_EQ(inotify_watcher_stream_wants_write(stream), 1);
        CHECK_EQ(inotify_watcher_stream_do_write(stream), expected[i]);
    }
    CHECK_EQ(inotify_watcher_stream_wants_write(stream), 0);
    CHECK_EQ(scripted.seen_length, 7);
    CHECK(memcmp(scripted.seen, "abcdefg", 7) == 0);
    CHECK_OK(inotify_watcher_stream_lose_connection(stream));
    CHECK_EQ(scripted.life.lost, 1);
    CHECK_EQ(scripted.life.reason, 0);
    inotify_watcher_stream_destroy(stream);

    /* Errors, and answers that cannot be. */
    {
        static const ptrdiff_t results[] = {-ECONNABORTED, 5, PTRDIFF_MAX, PTRDIFF_MIN, -1000000};
        static const int reasons[] = {ECONNABORTED, EINVAL, EINVAL, EINVAL, EINVAL};

        for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
            stream = scripted_stream(&scripted, results + i);
            CHECK_EQ(inotify_watcher_stream_write(stream, "12345", 5), 0);
            CHECK_EQ(inotify_watcher_stream_do_write(stream), -reasons[i]);
            expect_lost(&scripted.life, stream, reasons[i]);
        }
    }
}

int main(void)
{
    check_begin(240);
    CHECK(signal(SIGPIPE, SIG_DFL) != SIG_ERR);
    broken_pipe();
    signal_of_the_program();
    full_device();
    reset();
    closed_descriptor();
    no_room(small_pipe());
    no_room(small_socket());
    signal_in_a_write();
    own_function();
    return 0;
}
