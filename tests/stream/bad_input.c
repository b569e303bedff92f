/* Bad arguments are refused, with a word about what was wrong, and change nothing.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "stream.h"

static struct ends ends;

static void refused(int fd, const inotify_watcher_stream_options *options, int error,
                    const char *step)
{
    errno = 0;
    CHECK(inotify_watcher_stream_create(fd, options) == NULL);
    CHECK_EQ(errno, error);
    CHECK_EQ(last_error(NULL).error, error);
    CHECK_STR(last_error(NULL).step, step);
    CHECK(!is_nonblocking(ends.writer));
}

static int never(void *context, int fd, inotify_watcher_stream *stream, void **slot)
{
    (void)context;
    (void)fd;
    (void)stream;
    (void)slot;
    return -EIO;
}

static void descriptors(void)
{
    int fd = (int)CHECK_SYS(open(".", O_PATH | O_CLOEXEC));

    refused(-1, NULL, EBADF, "fd");
    refused(987654, NULL, EBADF, "fd");
    refused(ends.reader, NULL, EBADF, "fd");
    refused(fd, NULL, EBADF, "fd");
    CHECK_SYS(close(fd));
}

static ptrdiff_t no_write(inotify_watcher_stream *stream, int fd, const void *data, size_t size,
                          void *user_data)
{
    (void)stream;
    (void)fd;
    (void)data;
    (void)size;
    (void)user_data;
    return 0;
}

static void sizes(void)
{
    struct {
        inotify_watcher_stream_options options;
        char later[16];
    } newer;
    inotify_watcher_stream_options *options = &newer.options;
    inotify_watcher_reactor reactor = {.size = sizeof reactor};
    inotify_watcher_stream *stream;

    memset(&newer, 0, sizeof newer);
    refused(ends.writer, options, EINVAL, "options");
    options->size = 7;
    refused(ends.writer, options, EINVAL, "options");
    options->size = 100000;
    refused(ends.writer, options, E2BIG, "options");
    options->size = sizeof newer;
    newer.later[15] = 1;
    refused(ends.writer, options, E2BIG, "options");
    newer.later[15] = 0;
    stream = make_stream(ends.writer, options);
    inotify_watcher_stream_destroy(stream);
    /* An older program, whose struct ends after the flags. */
    options->size = offsetof(inotify_watcher_stream_options, buffer_size);
    options->max_buffer = 1;
    stream = make_stream(ends.writer, options);
    inotify_watcher_stream_destroy(stream);

    options->size = sizeof *options;
    refused(ends.writer, options, EINVAL, "options.max_buffer");
    options->max_buffer = 0;
    options->resume_size = 65537;
    refused(ends.writer, options, EINVAL, "options.resume_size");
    options->resume_size = 0;
    options->flags = 0x4;
    refused(ends.writer, options, EINVAL, "options.flags");
    options->flags = 0;
    options->reserved = 1;
    refused(ends.writer, options, EINVAL, "options.flags");
    options->reserved = 0;

    options->reactor = &reactor;
    refused(ends.writer, options, EINVAL, "options.reactor");
    reactor.add_writer = never;
    refused(ends.writer, options, EINVAL, "options.reactor");
    reactor.remove_writer = never;
    reactor.size = 0;
    refused(ends.writer, options, EINVAL, "options.reactor");
    reactor.size = sizeof reactor;
    stream = make_stream(ends.writer, options);
    inotify_watcher_stream_destroy(stream);

    /* With a write function there may be no descriptor, but a number that is none is refused. */
    options->reactor = NULL;
    options->write = no_write;
    refused(987654, options, EBADF, "fd");
    stream = make_stream(-1, options);
    CHECK_EQ(inotify_watcher_stream_fileno(stream), -1);
    inotify_watcher_stream_destroy(stream);
}

static void nothing(void *context)
{
    (void)context;
}

static void producers(inotify_watcher_stream *stream)
{
    inotify_watcher_producer producer;

    memset(&producer, 0, sizeof producer);
    CHECK_EQ(inotify_watcher_stream_register_producer(stream, NULL, 1), -EINVAL);
    CHECK_EQ(inotify_watcher_stream_register_producer(stream, &producer, 1), -EINVAL);
    producer.size = sizeof producer;
    CHECK_EQ(inotify_watcher_stream_register_producer(stream, &producer, 0), -EINVAL);
    producer.resume_producing = nothing;
    CHECK_EQ(inotify_watcher_stream_register_producer(stream, &producer, 1), -EINVAL);
    producer.pause_producing = nothing;
    CHECK_EQ(inotify_watcher_stream_register_producer(stream, &producer, 2), -EINVAL);
    CHECK_EQ(inotify_watcher_stream_register_producer(stream, &producer, -1), -EINVAL);
    CHECK_EQ(stream_stats(stream).state, RINOTIFY_STREAM_CONNECTED);
    CHECK_EQ(inotify_watcher_stream_register_producer(stream, &producer, 1), 0);
    CHECK_OK(inotify_watcher_stream_unregister_producer(stream));
    CHECK_EQ(inotify_watcher_stream_register_watcher(stream, NULL), -EINVAL);
}

/* Statistics fill what the program has room for, and no byte more. */
static void statistics(inotify_watcher_stream *stream)
{
    inotify_watcher_stream_stats stats;

    CHECK_EQ(inotify_watcher_stream_get_stats(stream, NULL), -EINVAL);
    memset(&stats, '#', sizeof stats);
    stats.size = 8;
    CHECK_EQ(inotify_watcher_stream_get_stats(stream, &stats), -EINVAL);
    stats.size = 16;
    CHECK_EQ(inotify_watcher_stream_get_stats(stream, &stats), 0);
    CHECK_EQ(stats.size, 16);
    CHECK_EQ(stats.state, RINOTIFY_STREAM_CONNECTED);
    CHECK_EQ(stats.buffered, 0x2323232323232323);
}

static void no_stream(void)
{
    inotify_watcher_event event = {.size = sizeof event, .path = "p", .path_len = 1};
    inotify_watcher_stream_stats stats = {.size = sizeof stats};
    inotify_watcher_stream_piece piece = {"x", 1};
    inotify_watcher_producer producer = {.size = sizeof producer, .resume_producing = nothing};
    inotify_watcher *watcher = create();

    CHECK_EQ(inotify_watcher_stream_fileno(NULL), -1);
    CHECK_EQ(inotify_watcher_stream_write(NULL, "x", 1), -EINVAL);
    CHECK_EQ(inotify_watcher_stream_write_sequence(NULL, &piece, 1), -EINVAL);
    CHECK_EQ(inotify_watcher_stream_write_some_data(NULL, "x", 1), -EINVAL);
    CHECK_EQ(inotify_watcher_stream_do_write(NULL), -EINVAL);
    CHECK_EQ(inotify_watcher_stream_start_writing(NULL), -EINVAL);
    CHECK_EQ(inotify_watcher_stream_stop_writing(NULL), -EINVAL);
    CHECK_EQ(inotify_watcher_stream_wants_write(NULL), -EINVAL);
    CHECK_EQ(inotify_watcher_stream_lose_connection(NULL), -EINVAL);
    CHECK_EQ(inotify_watcher_stream_lose_write_connection(NULL), -EINVAL);
    CHECK_EQ(inotify_watcher_stream_abort(NULL, 0), -EINVAL);
    CHECK_EQ(inotify_watcher_stream_register_producer(NULL, &producer, 0), -EINVAL);
    CHECK_EQ(inotify_watcher_stream_register_watcher(NULL, watcher), -EINVAL);
    CHECK_EQ(inotify_watcher_stream_unregister_producer(NULL), -EINVAL);
    CHECK_EQ(inotify_watcher_stream_stop_consuming(NULL), -EINVAL);
    CHECK_EQ(inotify_watcher_stream_is_send_buffer_full(NULL), -EINVAL);
    CHECK_EQ(inotify_watcher_stream_buffered(NULL), 0);
    CHECK_EQ(inotify_watcher_stream_get_stats(NULL, &stats), -EINVAL);
    CHECK_EQ(inotify_watcher_stream_watch(NULL, watcher, ".", IN_CREATE, 0), -EINVAL);
    inotify_watcher_stream_callback(NULL, &event, NULL);
    inotify_watcher_stream_destroy(NULL);
    inotify_watcher_destroy(watcher);
}

int main(void)
{
    inotify_watcher_stream *stream;

    check_begin(240);
    ends = small_pipe();
    descriptors();
    sizes();
    stream = make_stream(ends.writer, NULL);
    CHECK_EQ(inotify_watcher_stream_write(stream, NULL, 1), -EINVAL);
    CHECK_EQ(inotify_watcher_stream_write(stream, NULL, 0), 0);
    CHECK_EQ(inotify_watcher_stream_write(stream, "x", SIZE_MAX), -EINVAL);
    CHECK_EQ(inotify_watcher_stream_buffered(stream), 0);
    CHECK_EQ(inotify_watcher_stream_watch(stream, NULL, ".", IN_CREATE, 0), -EINVAL);
    inotify_watcher_stream_callback(NULL, NULL, stream);
    CHECK_EQ(inotify_watcher_stream_buffered(stream), 0);
    producers(stream);
    statistics(stream);
    inotify_watcher_stream_destroy(stream);
    no_stream();
    CHECK_SYS(close(ends.writer));
    CHECK_SYS(close(ends.reader));
    return 0;
}
