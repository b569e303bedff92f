/* Every way to end: what waits is flushed or dropped as promised, the end is told exactly once and
 * last, and the descriptor is closed by whoever owns it.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "stream.h"

static struct life life;

static inotify_watcher_stream *stream_of(int fd, uint32_t flags)
{
    inotify_watcher_stream_options options = options_for(&life);

    options.flags = flags;
    return make_stream(fd, &options);
}

/* Flushes first, however slow the reader; bytes are taken until the end. */
static void flush_first(void)
{
    struct ends ends = small_pipe();
    inotify_watcher_stream *stream = stream_of(ends.writer, RINOTIFY_STREAM_CLOSE_FD);
    size_t in = 0, out = 0;

    put(stream, &in, 50000);
    CHECK_EQ(inotify_watcher_stream_lose_connection(stream), 0);
    CHECK_EQ(inotify_watcher_stream_lose_connection(stream), 0);
    CHECK_EQ(STATE(stream), RINOTIFY_STREAM_CONNECTED | RINOTIFY_STREAM_DISCONNECTING);
    put(stream, &in, 50000);
    while (life.lost == 0) {
        CHECK_OK(inotify_watcher_stream_do_write(stream));
        take(ends.reader, &out, 1000);
    }
    CHECK(out >= in - 4096);
    CHECK_EQ(life.reason, 0);
    CHECK_EQ(life.lines, 0);
    CHECK(!is_open(ends.writer));
    take_rest(ends.reader, &out, in);
    CHECK_EQ(inotify_watcher_stream_lose_connection(stream), 0);
    CHECK_EQ(inotify_watcher_stream_abort(stream, EIO), 0);
    CHECK_EQ(inotify_watcher_stream_lose_write_connection(stream), -EBADF);
    inotify_watcher_stream_destroy(stream);
    CHECK_EQ(life.reason, 0);
    CHECK_SYS(close(ends.reader));
}

/* With nothing to flush the end does not wait for room that may never come. */
static void nothing_to_flush(void)
{
    struct ends ends = small_pipe();
    inotify_watcher_stream *stream = stream_of(ends.writer, RINOTIFY_STREAM_CLOSE_FD);

    fill(ends.writer);
    CHECK_EQ(inotify_watcher_stream_lose_connection(stream), 0);
    CHECK_EQ(life.lost, 1);
    CHECK_EQ(life.reason, 0);
    inotify_watcher_stream_destroy(stream);
    CHECK_SYS(close(ends.reader));
}

/* A reader that never reads: only an abort ends it. */
static void never_reading(void)
{
    struct ends ends = small_socket();
    inotify_watcher_stream *stream = stream_of(ends.writer, RINOTIFY_STREAM_CLOSE_FD);
    size_t in = 0;

    put(stream, &in, 100000);
    CHECK_EQ(inotify_watcher_stream_lose_connection(stream), 0);
    while (inotify_watcher_stream_do_write(stream) > 0)
        ;
    CHECK_EQ(inotify_watcher_stream_do_write(stream), 0);
    CHECK_EQ(life.lost, 0);
    CHECK(inotify_watcher_stream_buffered(stream) > 0);
    CHECK_EQ(inotify_watcher_stream_abort(stream, -1), -EINVAL);
    CHECK_EQ(life.lost, 0);
    CHECK_EQ(inotify_watcher_stream_abort(stream, ETIMEDOUT), 0);
    CHECK_EQ(life.lost, 1);
    CHECK_EQ(life.reason, ETIMEDOUT);
    CHECK(!is_open(ends.writer));
    CHECK_EQ(stream_stats(stream).memory, 0);
    inotify_watcher_stream_destroy(stream);
    CHECK_SYS(close(ends.reader));
}

/* The writing half of a socket: the other end reads the end of the data, and can still answer. */
static void half_close(void)
{
    struct ends ends = small_socket();
    inotify_watcher_stream *stream = stream_of(ends.writer, RINOTIFY_STREAM_CLOSE_FD);
    size_t in = 0, out = 0;
    char answer[2];

    put(stream, &in, 30000);
    CHECK_EQ(inotify_watcher_stream_lose_write_connection(stream), 0);
    CHECK_EQ(STATE(stream), RINOTIFY_STREAM_CONNECTED | RINOTIFY_STREAM_WRITE_DISCONNECTING);
    put(stream, &in, 30000);
    while (stream_stats(stream).state & RINOTIFY_STREAM_WRITE_DISCONNECTING) {
        CHECK_OK(inotify_watcher_stream_do_write(stream));
        take(ends.reader, &out, 10000);
    }
    take_rest(ends.reader, &out, in);
    CHECK_EQ(life.lost, 0);
    CHECK_EQ(stream_stats(stream).state,
             RINOTIFY_STREAM_CONNECTED | RINOTIFY_STREAM_WRITE_DISCONNECTED);
    CHECK_EQ(inotify_watcher_stream_write(stream, "x", 1), -EPIPE);
    CHECK_EQ(inotify_watcher_stream_write_some_data(stream, "x", 1), -EPIPE);
    CHECK_EQ(inotify_watcher_stream_do_write(stream), 0);
    CHECK_EQ(inotify_watcher_stream_lose_write_connection(stream), 0);
    CHECK_EQ(write(ends.reader, "ok", 2), 2);
    CHECK_EQ(read(inotify_watcher_stream_fileno(stream), answer, 2), 2);
    /* What the program reads decides when all of it ends. */
    CHECK_EQ(inotify_watcher_stream_lose_connection(stream), 0);
    CHECK_EQ(life.lost, 1);
    CHECK_EQ(life.reason, 0);
    CHECK(!is_open(ends.writer));
    inotify_watcher_stream_destroy(stream);
    CHECK_SYS(close(ends.reader));

    /* At once, if nothing waits. */
    ends = small_socket();
    stream = stream_of(ends.writer, RINOTIFY_STREAM_CLOSE_FD);
    CHECK_EQ(inotify_watcher_stream_lose_write_connection(stream), 0);
    CHECK_EQ(read(ends.reader, answer, 1), 0);
    inotify_watcher_stream_destroy(stream);
    CHECK_EQ(life.reason, ECANCELED);
    CHECK_SYS(close(ends.reader));
}

/* A pipe has no halves: it is closed. A socket that is not connected tells why it failed. */
static void no_halves(void)
{
    struct ends ends = small_pipe();
    inotify_watcher_stream *stream = stream_of(ends.writer, RINOTIFY_STREAM_CLOSE_FD);
    size_t in = 0, out = 0;
    int fd;

    put(stream, &in, 100);
    CHECK_EQ(inotify_watcher_stream_lose_write_connection(stream), 0);
    CHECK_EQ(life.lost, 0);
    flush(stream);
    CHECK_EQ(life.lost, 1);
    CHECK_EQ(life.reason, 0);
    take_rest(ends.reader, &out, in);
    inotify_watcher_stream_destroy(stream);
    CHECK_SYS(close(ends.reader));

    fd = (int)CHECK_SYS(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    stream = stream_of(fd, RINOTIFY_STREAM_CLOSE_FD);
    CHECK_EQ(inotify_watcher_stream_lose_write_connection(stream), 0);
    CHECK_EQ(life.lost, 1);
    CHECK_EQ(life.reason, ENOTCONN);
    inotify_watcher_stream_destroy(stream);
}

static void owner(void)
{
    struct ends ends = small_pipe();
    inotify_watcher_stream *stream = stream_of(ends.writer, 0);

    CHECK_OK(inotify_watcher_stream_abort(stream, 0));
    CHECK_EQ(life.lost, 1);
    CHECK_EQ(life.reason, 0);
    CHECK(is_open(ends.writer));
    inotify_watcher_stream_destroy(stream);
    CHECK(is_open(ends.writer));

    /* A call that fails leaves the descriptor to the caller. */
    {
        inotify_watcher_stream_options options = options_for(&life);

        options.flags = RINOTIFY_STREAM_CLOSE_FD | 0x80000000u;
        CHECK(inotify_watcher_stream_create(ends.writer, &options) == NULL);
        CHECK_EQ(errno, EINVAL);
        CHECK(is_open(ends.writer));
        CHECK(!is_nonblocking(ends.writer));
        CHECK_EQ(life.lost, 0);
    }
    stream = stream_of(ends.writer, RINOTIFY_STREAM_CLOSE_FD);
    CHECK_EQ(inotify_watcher_stream_write(stream, "dropped", 7), 0);
    inotify_watcher_stream_destroy(stream);
    CHECK_EQ(life.lost, 1);
    CHECK_EQ(life.reason, ECANCELED);
    CHECK(!is_open(ends.writer));
    CHECK_SYS(close(ends.reader));
}

/* A handle that was destroyed is refused. */
static void dead_handle(void)
{
    struct ends ends = small_pipe();
    inotify_watcher_stream *stream = stream_of(ends.writer, RINOTIFY_STREAM_CLOSE_FD);

    inotify_watcher_stream_destroy(stream);
    CHECK_EQ(inotify_watcher_stream_write(stream, "x", 1), -EBADF);
    CHECK_EQ(inotify_watcher_stream_lose_connection(stream), -EBADF);
    CHECK_EQ(inotify_watcher_stream_fileno(stream), -1);
    inotify_watcher_stream_destroy(stream);
    CHECK_EQ(life.lost, 1);
    inotify_watcher_stream_destroy(NULL);
    CHECK_SYS(close(ends.reader));
}

/* A forked child can only destroy, which leaves the connection to the parent. */
static void forked_child(void)
{
    struct ends ends = small_socket();
    inotify_watcher_stream *stream = stream_of(ends.writer, RINOTIFY_STREAM_CLOSE_FD);
    size_t in = 0, out = 0;
    pid_t child;
    int status;

    put(stream, &in, 100);
    child = (pid_t)CHECK_SYS(fork());
    if (child == 0) {
        inotify_watcher_stream_destroy(stream);
        _exit(life.lost == 0 && !is_open(ends.writer) ? 0 : 1);
    }
    CHECK_SYS(waitpid(child, &status, 0));
    CHECK_EQ(status, 0);
    CHECK_EQ(take(ends.reader, &out, 1), -1);
    CHECK_EQ(inotify_watcher_stream_lose_connection(stream), 0);
    flush(stream);
    take_rest(ends.reader, &out, in);
    CHECK_EQ(life.lost, 1);
    inotify_watcher_stream_destroy(stream);
    CHECK_SYS(close(ends.reader));
}

int main(void)
{
    check_begin(240);
    flush_first();
    nothing_to_flush();
    never_reading();
    half_close();
    no_halves();
    owner();
    dead_handle();
    forked_child();
    return 0;
}
