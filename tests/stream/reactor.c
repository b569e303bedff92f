/* A stream in an epoll loop of the program's own, by a reactor of four lines: added when something
 * waits, removed when nothing does, and gone before the descriptor is closed. A regular file, which
 * epoll refuses, is written at once.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "stream.h"

#include <sys/epoll.h>

struct loop {
    int epoll;
    unsigned adds;
    unsigned removes;
    int fails;
};

static int add_writer(void *context, int fd, inotify_watcher_stream *stream, void **slot)
{
    struct loop *loop = context;
    struct epoll_event event = {.events = EPOLLOUT, .data.ptr = stream};

    CHECK(*slot == NULL);
    *slot = loop;
    loop->adds++;
    if (loop->fails != 0)
        return -loop->fails;
    return epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : -errno;
}

static int remove_writer(void *context, int fd, inotify_watcher_stream *stream, void **slot)
{
    struct loop *loop = context;

    (void)stream;
    CHECK(*slot == loop);
    *slot = NULL;
    loop->removes++;
    CHECK_SYS(epoll_ctl(loop->epoll, EPOLL_CTL_DEL, fd, NULL));
    return 0;
}

static inotify_watcher_reactor reactor_of(struct loop *loop)
{
    inotify_watcher_reactor reactor = {.size = sizeof reactor, .context = loop};

    memset(loop, 0, sizeof *loop);
    loop->epoll = (int)CHECK_SYS(epoll_create1(EPOLL_CLOEXEC));
    reactor.add_writer = add_writer;
    reactor.remove_writer = remove_writer;
    return reactor;
}

/* One turn; returns whether anything was ready. */
static bool run_once(struct loop *loop)
{
    struct epoll_event events[4];
    long count = CHECK_SYS(epoll_wait(loop->epoll, events, 4, 0));

    for (long i = 0; i < count; i++)
        inotify_watcher_stream_do_write(events[i].data.ptr);
    return count > 0;
}

static void a_pipe(void)
{
    struct loop loop;
    inotify_watcher_reactor reactor = reactor_of(&loop);
    struct ends ends = small_pipe();
    struct life life;
    inotify_watcher_stream_options options = options_for(&life);
    inotify_watcher_stream *stream;
    size_t in = 0, out = 0;

    options.reactor = &reactor;
    options.flags = RINOTIFY_STREAM_CLOSE_FD;
    stream = make_stream(ends.writer, &options);
    memset(&reactor, 0, sizeof reactor);
    CHECK(!run_once(&loop));
    put(stream, &in, 10);
    put(stream, &in, 10);
    CHECK_EQ(loop.adds, 1);
    CHECK(run_once(&loop));
    CHECK_EQ(loop.removes, 1);
    CHECK(!run_once(&loop));
    CHECK_OK(inotify_watcher_stream_start_writing(stream));
    CHECK_OK(inotify_watcher_stream_start_writing(stream));
    CHECK_EQ(loop.adds, 2);
    CHECK_OK(inotify_watcher_stream_stop_writing(stream));
    CHECK_OK(inotify_watcher_stream_stop_writing(stream));
    CHECK_EQ(loop.removes, 2);

    put(stream, &in, 200000);
    CHECK_OK(inotify_watcher_stream_lose_connection(stream));
    while (life.lost == 0) {
        CHECK_EQ(loop.adds, loop.removes + 1);
        run_once(&loop);
        take_all(ends.reader, &out);
    }
    /* It is the last one of all in the loop, and was taken out before it was closed. */
    CHECK_EQ(loop.adds, loop.removes);
    CHECK(!is_open(ends.writer));
    take_rest(ends.reader, &out, in);
    CHECK_EQ(inotify_watcher_stream_start_writing(stream), -EBADF);
    CHECK_EQ(inotify_watcher_stream_stop_writing(stream), -EBADF);
    CHECK_EQ(loop.adds, loop.removes);
    inotify_watcher_stream_destroy(stream);
    CHECK_SYS(close(ends.reader));
    CHECK_SYS(close(loop.epoll));
}

/* The other end goes away: epoll reports the hang-up by itself, the write tells why. */
static void hang_up(void)
{
    struct loop loop;
    inotify_watcher_reactor reactor = reactor_of(&loop);
    struct ends ends = small_pipe();
    struct life life;
    inotify_watcher_stream_options options = options_for(&life);
    inotify_watcher_stream *stream;
    size_t in = 0;

    options.reactor = &reactor;
    stream = make_stream(ends.writer, &options);
    put(stream, &in, 100000);
    while (run_once(&loop))
        ;
    CHECK_EQ(life.lost, 0);
    CHECK_SYS(close(ends.reader));
    CHECK(run_once(&loop));
    CHECK_EQ(life.lost, 1);
    CHECK_EQ(life.reason, EPIPE);
    CHECK_EQ(loop.adds, loop.removes);
    inotify_watcher_stream_destroy(stream);
    CHECK_SYS(close(ends.writer));
    CHECK_SYS(close(loop.epoll));
}

static unsigned pieces;
static inotify_watcher_stream *pulled;

static void next_piece(void *at)
{
    if (pieces-- > 0)
        put(pulled, at, 1000);
    else
        CHECK_OK(inotify_watcher_stream_unregister_producer(pulled));
}

static void a_file(void)
{
    struct loop loop;
    inotify_watcher_reactor reactor = reactor_of(&loop);
    struct life life;
    inotify_watcher_stream_options options = options_for(&life);
    int fd = (int)CHECK_SYS(open("file", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    inotify_watcher_producer producer = {.size = sizeof producer, .resume_producing = next_piece};
    inotify_watcher_stream *stream;
    size_t in = 0, out = 0;

    options.reactor = &reactor;
    stream = make_stream(fd, &options);
    put(stream, &in, 500000);
    CHECK_EQ(inotify_watcher_stream_buffered(stream), 0);
    CHECK_EQ(inotify_watcher_stream_wants_write(stream), 0);
    CHECK_EQ(CHECK_SYS(lseek(fd, 0, SEEK_END)), 500000);
    /* A pull producer is asked until it has no more, without growing the stack. */
    pieces = 20000;
    pulled = stream;
    producer.context = &in;
    CHECK_OK(inotify_watcher_stream_register_producer(stream, &producer, 0));
    CHECK_EQ(in, 20500000);
    CHECK_EQ(CHECK_SYS(lseek(fd, 0, SEEK_CUR)), 20500000);
    CHECK_OK(inotify_watcher_stream_lose_connection(stream));
    CHECK_EQ(life.lost, 1);
    CHECK_EQ(life.reason, 0);
    CHECK_EQ(loop.adds, 1);
    CHECK_EQ(loop.removes, 0);
    inotify_watcher_stream_destroy(stream);
    CHECK_SYS(lseek(fd, 0, SEEK_SET));
    take_rest(fd, &out, in);
    CHECK_SYS(close(fd));
    CHECK_SYS(close(loop.epoll));
}

static void a_loop_that_fails(void)
{
    struct loop loop;
    inotify_watcher_reactor reactor = reactor_of(&loop);
    struct ends ends = small_pipe();
    struct life life;
    inotify_watcher_stream_options options = options_for(&life);
    inotify_watcher_stream *stream;

    options.reactor = &reactor;
    loop.fails = ENOMEM;
    stream = make_stream(ends.writer, &options);
    CHECK_EQ(inotify_watcher_stream_write(stream, "x", 1), 0);
    CHECK_EQ(life.lost, 1);
    CHECK_EQ(life.reason, ENOMEM);
    CHECK_EQ(loop.removes, 0);
    inotify_watcher_stream_destroy(stream);
    CHECK_SYS(close(ends.writer));
    CHECK_SYS(close(ends.reader));
    CHECK_SYS(close(loop.epoll));
}

int main(void)
{
    check_begin(240);
    a_pipe();
    hang_up();
    a_file();
    a_loop_that_fails();
    return 0;
}
