/* Events by a formatter of the program's own: as long as it likes, left out, impossible; and what
 * happens when the bytes cannot be kept.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "stream.h"

struct format {
    struct life life;
    size_t calls;
    size_t first_size;
    size_t answer; /* for every event, whatever its room; 0: its number of 'x' and a newline */
};

static size_t format_event(const inotify_watcher_event *event, char *buffer, size_t size,
                           void *user_data)
{
    struct format *format = user_data;
    size_t length = event->cookie;

    if (format->calls++ == 0)
        format->first_size = size;
    CHECK(size > 0);
    if (format->answer != 0)
        return format->answer;
    for (size_t i = 0; i < length && i < size; i++)
        buffer[i] = i == length - 1 ? '\n' : 'x';
    return length;
}

static inotify_watcher_stream *stream_of(struct format *format, int fd, size_t max_buffer)
{
    inotify_watcher_stream_options options = options_for(&format->life);

    format->calls = format->first_size = format->answer = 0;
    options.formatter = format_event;
    options.user_data = format;
    options.max_buffer = max_buffer;
    options.buffer_size = 1000;
    return make_stream(fd, &options);
}

static void deliver(inotify_watcher_stream *stream, uint32_t length)
{
    inotify_watcher_event event = {.size = sizeof event, .cookie = length};

    inotify_watcher_stream_callback(NULL, &event, stream);
}

static void lengths(void)
{
    struct ends ends = small_socket();
    struct format format;
    inotify_watcher_stream *stream = stream_of(&format, ends.writer, 0);
    size_t total = 0, usual;

    /* Left out. */
    deliver(stream, 0);
    CHECK_EQ(inotify_watcher_stream_buffered(stream), 0);
    CHECK_EQ(inotify_watcher_stream_wants_write(stream), 0);
    usual = format.first_size;
    /* About the room that there is, where a NUL would just fit or just not. */
    for (size_t length = usual - 2; length <= usual + 2; length++) {
        deliver(stream, (uint32_t)length);
        total += length;
        CHECK_EQ(inotify_watcher_stream_buffered(stream), total);
    }
    /* Longer: asked twice. The room is kept for the next. */
    format.calls = 0;
    deliver(stream, 60000);
    CHECK_EQ(format.calls, 2);
    deliver(stream, 60000);
    CHECK_EQ(format.calls, 3);
    deliver(stream, 5000000);
    total += 5120000;
    CHECK_EQ(inotify_watcher_stream_buffered(stream), total);
    CHECK_OK(inotify_watcher_stream_lose_connection(stream));
    while (format.life.lost == 0) {
        static char bytes[65536];
        ssize_t count;

        CHECK_OK(inotify_watcher_stream_do_write(stream));
        while ((count = read(ends.reader, bytes, sizeof bytes)) > 0)
            total -= (size_t)count;
    }
    {
        static char bytes[65536];
        ssize_t count;

        while ((count = read(ends.reader, bytes, sizeof bytes)) > 0)
            total -= (size_t)count;
    }
    CHECK_EQ(total, 0);
    inotify_watcher_stream_destroy(stream);
    CHECK_SYS(close(ends.writer));
    CHECK_SYS(close(ends.reader));
}

/* Never a gap: what cannot be written ends the connection, with the reason. */
static void no_gap(void)
{
    static const struct {
        size_t answer;
        uint32_t length;
        int reason;
    } cases[] = {
        {SIZE_MAX, 1, EINVAL},
        {SIZE_MAX / 2, 1, ENOMEM},
        {0, 5001, ENOBUFS},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ends ends = small_pipe();
        struct format format;
        inotify_watcher_stream *stream = stream_of(&format, ends.writer, 5000);

        deliver(stream, 1000);
        format.answer = cases[i].answer;
        deliver(stream, cases[i].length);
        CHECK_EQ(format.life.lost, 1);
        CHECK_EQ(format.life.reason, cases[i].reason);
        CHECK(strstr(format.life.line, " 1000 bytes") != NULL);
        format.calls = 0;
        deliver(stream, 10);
        CHECK_EQ(format.calls, 0);
        inotify_watcher_stream_destroy(stream);
        deliver(stream, 10);
        CHECK_EQ(format.calls, 0);
        CHECK_SYS(close(ends.writer));
        CHECK_SYS(close(ends.reader));
    }
}

/* One that always wants more is not asked for ever. */
static size_t never_enough(const inotify_watcher_event *event, char *buffer, size_t size,
                           void *user_data)
{
    struct format *format = user_data;

    (void)event;
    (void)buffer;
    format->calls++;
    return size;
}

static void insatiable(void)
{
    struct ends ends = small_pipe();
    struct format format;
    inotify_watcher_stream_options options = options_for(&format.life);
    inotify_watcher_stream *stream;

    format.calls = 0;
    options.formatter = never_enough;
    options.user_data = &format;
    stream = make_stream(ends.writer, &options);
    deliver(stream, 1);
    CHECK(format.calls < 10);
    CHECK_EQ(format.life.reason, EINVAL);
    inotify_watcher_stream_destroy(stream);
    CHECK_SYS(close(ends.writer));
    CHECK_SYS(close(ends.reader));
}

/* The built-in one, and a line that is longer than usual. */
static void lines(void)
{
    struct ends ends = small_socket();
    inotify_watcher_stream *stream = make_stream(ends.writer, NULL);
    inotify_watcher_event event = {.size = sizeof event, .watch = 1, .mask = IN_DELETE};
    char path[3001], line[8192], got[8192];
    size_t length;

    memset(path, '\n', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    event.path = path;
    event.path_len = sizeof path - 1;
    length = inotify_watcher_format_json(&event, line, sizeof line);
    inotify_watcher_stream_callback(NULL, &event, stream);
    CHECK_EQ(inotify_watcher_stream_buffered(stream), length);
    flush(stream);
    CHECK_EQ(read(ends.reader, got, sizeof got), length);
    CHECK(memcmp(got, line, length) == 0);
    inotify_watcher_stream_destroy(stream);
    CHECK_SYS(close(ends.writer));
    CHECK_SYS(close(ends.reader));
}

int main(void)
{
    check_begin(240);
    lengths();
    no_gap();
    insatiable();
    lines();
    return 0;
}
