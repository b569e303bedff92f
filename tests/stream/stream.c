/* What the tests of the stream share.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "stream.h"

void note_lost(inotify_watcher_stream *stream, int reason, void *user_data)
{
    struct life *life = user_data;

    CHECK(stream != NULL);
    CHECK_EQ(life->lost, 0);
    CHECK_EQ(inotify_watcher_stream_fileno(stream), -1);
    CHECK_EQ(inotify_watcher_stream_write(stream, "x", 1), -EBADF);
    life->lost = 1;
    life->reason = reason;
}

void note_line(uint32_t level, const char *prefix, const char *message, void *user_data)
{
    struct life *life = user_data;

    life->lines++;
    life->level = level;
    snprintf(life->prefix, sizeof life->prefix, "%s", prefix);
    snprintf(life->line, sizeof life->line, "%s", message);
}

inotify_watcher_stream_options options_for(struct life *life)
{
    inotify_watcher_stream_options options;

    memset(&options, 0, sizeof options);
    options.size = sizeof options;
    options.connection_lost = note_lost;
    options.log = note_line;
    options.user_data = life;
    memset(life, 0, sizeof *life);
    return options;
}

inotify_watcher_stream *make_stream(int fd, const inotify_watcher_stream_options *options)
{
    inotify_watcher_stream *stream = inotify_watcher_stream_create(fd, options);

    if (stream == NULL)
        check_fail(__FILE__, __LINE__, "no stream: %s", last_error(NULL).message);
    return stream;
}

inotify_watcher_stream_stats stream_stats(const inotify_watcher_stream *stream)
{
    inotify_watcher_stream_stats stats;

    stats.size = sizeof stats;
    CHECK_OK(inotify_watcher_stream_get_stats(stream, &stats));
    return stats;
}

void flush(inotify_watcher_stream *stream)
{
    while (inotify_watcher_stream_wants_write(stream) == 1) {
        struct pollfd poll_fd = {.fd = inotify_watcher_stream_fileno(stream), .events = POLLOUT};

        CHECK_SYS(poll(&poll_fd, 1, -1));
        inotify_watcher_stream_do_write(stream);
    }
}

void turn(inotify_watcher *watcher, inotify_watcher_stream *stream)
{
    struct pollfd poll_fds[2] = {
        {.fd = inotify_watcher_fileno(watcher), .events = POLLIN},
        {.fd = inotify_watcher_stream_fileno(stream), .events = POLLOUT},
    };

    CHECK_SYS(poll(poll_fds, 2, 0));
    if (poll_fds[0].revents != 0)
        CHECK(inotify_watcher_do_read(watcher) >= 0);
    if (poll_fds[1].revents != 0 && inotify_watcher_stream_wants_write(stream) == 1)
        inotify_watcher_stream_do_write(stream);
}

static unsigned char byte_at(size_t place)
{
    return (unsigned char)(place ^ (place >> 8) * 7 ^ (place >> 16) * 31);
}

void put(inotify_watcher_stream *stream, size_t *at, size_t length)
{
    unsigned char *bytes = malloc(length);

    CHECK(bytes != NULL);
    for (size_t i = 0; i < length; i++)
        bytes[i] = byte_at(*at + i);
    CHECK_OK(inotify_watcher_stream_write(stream, bytes, length));
    free(bytes);
    *at += length;
}

ssize_t take(int fd, size_t *at, size_t length)
{
    unsigned char bytes[65536];
    ssize_t count = read(fd, bytes, length < sizeof bytes ? length : sizeof bytes);

    if (count == -1) {
        CHECK_EQ(errno, EAGAIN);
        return -1;
    }
    for (ssize_t i = 0; i < count; i++)
        if (bytes[i] != byte_at(*at + (size_t)i))
            check_fail(__FILE__, __LINE__, "the byte at %zu is wrong", *at + (size_t)i);
    *at += (size_t)count;
    return count;
}

void take_all(int fd, size_t *at)
{
    while (take(fd, at, SIZE_MAX) > 0)
        ;
}

void take_rest(int fd, size_t *at, size_t length)
{
    ssize_t count;

    while ((count = take(fd, at, SIZE_MAX)) != 0) {
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

        if (count == -1)
            CHECK_SYS(poll(&poll_fd, 1, -1));
    }
    CHECK_EQ(*at, length);
}

struct ends small_pipe(void)
{
    int fds[2];

    CHECK_SYS(pipe2(fds, O_CLOEXEC));
    CHECK_SYS(fcntl(fds[0], F_SETFL, O_NONBLOCK));
    CHECK_SYS(fcntl(fds[1], F_SETPIPE_SZ, 4096));
    return (struct ends){fds[0], fds[1]};
}

struct ends small_socket(void)
{
    int fds[2];
    int size = 4096;

    CHECK_SYS(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
    CHECK_SYS(fcntl(fds[0], F_SETFL, O_NONBLOCK));
    CHECK_SYS(setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof size));
    return (struct ends){fds[0], fds[1]};
}

bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) != -1;
}

bool is_nonblocking(int fd)
{
    return (CHECK_SYS(fcntl(fd, F_GETFL)) & O_NONBLOCK) != 0;
}

size_t fill(int fd)
{
    static const char bytes[4096];
    long flags = CHECK_SYS(fcntl(fd, F_GETFL));
    size_t total = 0;

    CHECK_SYS(fcntl(fd, F_SETFL, flags | O_NONBLOCK));
    for (size_t step = sizeof bytes; step > 0; step /= 2) {
        ssize_t count;

        while ((count = write(fd, bytes, step)) > 0)
            total += (size_t)count;
        CHECK_EQ(errno, EAGAIN);
    }
    CHECK_SYS(fcntl(fd, F_SETFL, flags));
    return total;
}
