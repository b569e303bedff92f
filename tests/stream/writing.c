/* Bytes go out whole and in order, over every kind of descriptor, in writes of a bounded size; the
 * buffer says when it is full.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "stream.h"

#include <pty.h>
#include <termios.h>

/* A megabyte, by a reader that takes a little now and then. */
static void all_of_it(struct ends ends, const char *what)
{
    struct life life;
    inotify_watcher_stream_options options = options_for(&life);
    inotify_watcher_stream *stream;
    size_t in = 0, out = 0;

    options.flags = RINOTIFY_STREAM_CLOSE_FD;
    stream = make_stream(ends.writer, &options);
    CHECK_EQ(inotify_watcher_stream_fileno(stream), ends.writer);
    while (in < 1000000)
        put(stream, &in, 1 + in % 3001);
    CHECK_EQ(inotify_watcher_stream_buffered(stream), in);
    while (out < in - 10000) {
        struct pollfd poll_fd = {.fd = ends.writer, .events = POLLOUT};
        int result;

        CHECK_EQ(inotify_watcher_stream_wants_write(stream), 1);
        /* Until it takes no more: this must come to an end though nobody reads. */
        while ((result = inotify_watcher_stream_do_write(stream)) > 0)
            ;
        CHECK_EQ(result, 0);
        if (poll(&poll_fd, 1, 0) == 1)
            check_fail(__FILE__, __LINE__, "%s: it stopped although there was room", what);
        while (take(ends.reader, &out, 5000) == 5000)
            ;
    }
    inotify_watcher_stream_lose_connection(stream);
    while (life.lost == 0) {
        while (inotify_watcher_stream_do_write(stream) > 0)
            ;
        take_all(ends.reader, &out);
    }
    CHECK_EQ(life.reason, 0);
    take_rest(ends.reader, &out, in);
    CHECK(!is_open(ends.writer));
    CHECK_EQ(stream_stats(stream).written, in);
    inotify_watcher_stream_destroy(stream);
    CHECK_SYS(close(ends.reader));
}

static void terminal(void)
{
    struct life life;
    inotify_watcher_stream_options options = options_for(&life);
    inotify_watcher_stream *stream;
    struct termios raw;
    struct ends ends;
    size_t in = 0, out = 0;

    memset(&raw, 0, sizeof raw);
    raw.c_cflag = CS8;
    CHECK_SYS(openpty(&ends.reader, &ends.writer, NULL, &raw, NULL));
    CHECK_SYS(fcntl(ends.reader, F_SETFL, O_NONBLOCK));
    stream = make_stream(ends.writer, &options);
    CHECK(is_nonblocking(ends.writer));
    put(stream, &in, 100000);
    while (out < in) {
        while (inotify_watcher_stream_do_write(stream) > 0)
            ;
        take_all(ends.reader, &out);
    }
    inotify_watcher_stream_destroy(stream);
    CHECK_EQ(life.reason, ECANCELED);
    CHECK(!is_nonblocking(ends.writer));
    CHECK_SYS(close(ends.writer));
    CHECK_SYS(close(ends.reader));
}

static void regular_file(void)
{
    int fd = (int)CHECK_SYS(open("file", O_RDWR | O_CREAT | O_CLOEXEC, 0644));
    inotify_watcher_stream *stream = make_stream(fd, NULL);
    size_t in = 0, out = 0;

    put(stream, &in, 300000);
    CHECK_EQ(inotify_watcher_stream_do_write(stream), 1);
    CHECK_EQ(stream_stats(stream).written, 131072);
    CHECK_EQ(inotify_watcher_stream_do_write(stream), 1);
    CHECK_EQ(inotify_watcher_stream_do_write(stream), 0);
    CHECK_EQ(inotify_watcher_stream_wants_write(stream), 0);
    inotify_watcher_stream_destroy(stream);
    CHECK_SYS(lseek(fd, 0, SEEK_SET));
    take_rest(fd, &out, in);
    CHECK_SYS(close(fd));
}

/* More than the buffer size is full; and one write(2) gets no more than the send limit. */
static void thresholds(void)
{
    static const char bytes[70000];
    inotify_watcher_stream_options options = {.size = sizeof options};
    inotify_watcher_stream *stream;
    struct ends ends = small_socket();
    int size = 1 << 20;

    CHECK_SYS(setsockopt(ends.writer, SOL_SOCKET, SO_SNDBUF, &size, sizeof size));
    stream = make_stream(ends.writer, NULL);
    CHECK_EQ(inotify_watcher_stream_write(stream, bytes, 65536), 0);
    CHECK_EQ(inotify_watcher_stream_is_send_buffer_full(stream), 0);
    CHECK_EQ(STATE(stream), RINOTIFY_STREAM_CONNECTED);
    CHECK_EQ(inotify_watcher_stream_write(stream, bytes, 1), 1);
    CHECK_EQ(inotify_watcher_stream_is_send_buffer_full(stream), 1);
    CHECK_EQ(STATE(stream), RINOTIFY_STREAM_CONNECTED | RINOTIFY_STREAM_FULL);
    /* Full is a word, not a wall. */
    CHECK_EQ(inotify_watcher_stream_write(stream, bytes, 70000), 1);
    CHECK_EQ(inotify_watcher_stream_do_write(stream), 1);
    CHECK_EQ(stream_stats(stream).written, 131072);
    CHECK_EQ(inotify_watcher_stream_do_write(stream), 0);
    CHECK_EQ(stream_stats(stream).buffered_peak, 135537);
    CHECK_EQ(stream_stats(stream).writes, 2);
    inotify_watcher_stream_destroy(stream);

    options.buffer_size = 10;
    options.send_limit = 7;
    options.max_buffer = 20;
    stream = make_stream(ends.writer, &options);
    CHECK_EQ(inotify_watcher_stream_write(stream, bytes, 10), 0);
    CHECK_EQ(inotify_watcher_stream_write(stream, bytes, 10), 1);
    CHECK_EQ(inotify_watcher_stream_write(stream, bytes, 1), -ENOBUFS);
    CHECK_EQ(inotify_watcher_stream_write(stream, bytes, 0), 1);
    CHECK_EQ(inotify_watcher_stream_buffered(stream), 20);
    CHECK_EQ(inotify_watcher_stream_do_write(stream), 1);
    CHECK_EQ(stream_stats(stream).written, 7);
    CHECK_EQ(inotify_watcher_stream_write(stream, bytes, 8), -ENOBUFS);
    CHECK_EQ(inotify_watcher_stream_write(stream, bytes, 7), 1);
    flush(stream);
    CHECK_EQ(stream_stats(stream).written, 27);
    inotify_watcher_stream_destroy(stream);
    CHECK_SYS(close(ends.writer));
    CHECK_SYS(close(ends.reader));
}

static void sequence(void)
{
    struct ends ends = small_pipe();
    inotify_watcher_stream *stream = make_stream(ends.writer, NULL);
    inotify_watcher_stream_piece pieces[] = {{"one ", 4}, {NULL, 0}, {"two ", 4}, {"three", 5}};
    char text[32];

    CHECK_EQ(inotify_watcher_stream_write_sequence(stream, pieces, 4), 0);
    CHECK_EQ(inotify_watcher_stream_write_sequence(stream, NULL, 0), 0);
    CHECK_EQ(inotify_watcher_stream_do_write(stream), 0);
    CHECK_EQ(stream_stats(stream).writes, 1);
    CHECK_EQ(read(ends.reader, text, sizeof text), 13);
    CHECK(memcmp(text, "one two three", 13) == 0);

    /* One bad piece, and nothing is taken. */
    pieces[3].data = NULL;
    CHECK_EQ(inotify_watcher_stream_write_sequence(stream, pieces, 4), -EINVAL);
    pieces[3].data = pieces[0].data;
    pieces[3].len = SIZE_MAX;
    CHECK_EQ(inotify_watcher_stream_write_sequence(stream, pieces, 4), -EINVAL);
    CHECK_EQ(inotify_watcher_stream_write_sequence(stream, NULL, 1), -EINVAL);
    CHECK_EQ(inotify_watcher_stream_buffered(stream), 0);
    CHECK_EQ(inotify_watcher_stream_wants_write(stream), 0);
    inotify_watcher_stream_destroy(stream);
    CHECK_SYS(close(ends.writer));
    CHECK_SYS(close(ends.reader));
}

static void stop_and_start(void)
{
    struct ends ends = small_pipe();
    inotify_watcher_stream *stream = make_stream(ends.writer, NULL);
    size_t in = 0, out = 0;

    CHECK_EQ(inotify_watcher_stream_wants_write(stream), 0);
    put(stream, &in, 10);
    CHECK_EQ(inotify_watcher_stream_wants_write(stream), 1);
    CHECK_EQ(inotify_watcher_stream_stop_writing(stream), 0);
    CHECK_EQ(inotify_watcher_stream_stop_writing(stream), 0);
    CHECK_EQ(inotify_watcher_stream_wants_write(stream), 0);
    CHECK_EQ(inotify_watcher_stream_buffered(stream), 10);
    CHECK_EQ(inotify_watcher_stream_start_writing(stream), 0);
    CHECK_EQ(inotify_watcher_stream_wants_write(stream), 1);
    CHECK_EQ(inotify_watcher_stream_stop_writing(stream), 0);
    put(stream, &in, 10);
    CHECK_EQ(inotify_watcher_stream_wants_write(stream), 1);
    flush(stream);
    take_all(ends.reader, &out);
    CHECK_EQ(out, 20);
    inotify_watcher_stream_destroy(stream);
    CHECK_SYS(close(ends.writer));
    CHECK_SYS(close(ends.reader));
}

static void past_the_buffer(void)
{
    struct ends ends = small_pipe();
    inotify_watcher_stream *stream = make_stream(ends.writer, NULL);
    static const char bytes[8192];
    char text[8192];

    CHECK_EQ(inotify_watcher_stream_write_some_data(stream, "now", 3), 3);
    CHECK_EQ(read(ends.reader, text, sizeof text), 3);
    CHECK_EQ(inotify_watcher_stream_write_some_data(stream, bytes, 8192), 4096);
    CHECK_EQ(inotify_watcher_stream_write_some_data(stream, bytes, 1), 0);
    CHECK_EQ(inotify_watcher_stream_buffered(stream), 0);
    CHECK_EQ(read(ends.reader, text, sizeof text), 4096);
    CHECK_EQ(inotify_watcher_stream_write(stream, "a", 1), 0);
    CHECK_EQ(inotify_watcher_stream_write_some_data(stream, "b", 1), 0);
    flush(stream);
    CHECK_EQ(read(ends.reader, text, sizeof text), 1);
    CHECK_EQ(text[0], 'a');
    inotify_watcher_stream_destroy(stream);
    CHECK_SYS(close(ends.writer));
    CHECK_SYS(close(ends.reader));
}

/* The flag belongs to everybody who shares the pipe: it is given back, and on demand not touched. */
static void blocking_flag(void)
{
    struct ends ends = small_pipe();
    inotify_watcher_stream_options options = {.size = sizeof options,
                                              .flags = RINOTIFY_STREAM_KEEP_FLAGS};
    inotify_watcher_stream *stream = make_stream(ends.writer, NULL);

    CHECK(is_nonblocking(ends.writer));
    CHECK_OK(inotify_watcher_stream_lose_connection(stream));
    CHECK(!is_nonblocking(ends.writer));
    inotify_watcher_stream_destroy(stream);
    stream = make_stream(ends.writer, &options);
    CHECK(!is_nonblocking(ends.writer));
    inotify_watcher_stream_destroy(stream);
    CHECK_SYS(close(ends.writer));
    CHECK_SYS(close(ends.reader));

    /* A blocking socket stays one, and yet no write to it blocks. */
    ends = small_socket();
    stream = make_stream(ends.writer, NULL);
    CHECK(!is_nonblocking(ends.writer));
    fill(ends.writer);
    CHECK_EQ(inotify_watcher_stream_write(stream, "x", 1), 0);
    CHECK_EQ(inotify_watcher_stream_do_write(stream), 0);
    CHECK_EQ(inotify_watcher_stream_buffered(stream), 1);
    inotify_watcher_stream_destroy(stream);
    CHECK_SYS(close(ends.writer));
    CHECK_SYS(close(ends.reader));
}

/* Two streams on one open file description, as standard output and error of a terminal are: the end
 * of one does not make the writes of the other block, and the last one gives the flag back. */
static void shared_description(void)
{
    struct ends ends = small_pipe();
    int other = (int)CHECK_SYS(fcntl(ends.writer, F_DUPFD_CLOEXEC, 0));
    inotify_watcher_stream *first = make_stream(ends.writer, NULL);
    inotify_watcher_stream *second = make_stream(other, NULL);
    size_t in = 0;

    inotify_watcher_stream_destroy(first);
    put(second, &in, 100000);
    while (inotify_watcher_stream_do_write(second) > 0)
        ;
    CHECK(inotify_watcher_stream_buffered(second) > 0);
    CHECK_EQ(inotify_watcher_stream_wants_write(second), 1);
    inotify_watcher_stream_destroy(second);
    CHECK(!is_nonblocking(ends.writer));
    CHECK_SYS(close(other));
    CHECK_SYS(close(ends.writer));
    CHECK_SYS(close(ends.reader));
}

int main(void)
{
    check_begin(240);
    all_of_it(small_pipe(), "pipe");
    all_of_it(small_socket(), "socket");
    terminal();
    regular_file();
    thresholds();
    sequence();
    stop_and_start();
    past_the_buffer();
    blocking_flag();
    shared_description();
    return 0;
}
