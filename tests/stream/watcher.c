/* A watcher into a stream: a reader at the other end that is slow, or stops reading, pauses the
 * watcher; nothing is lost, the order is kept, and memory stays where it is.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "stream.h"

/* Less than the kernel's queue has room for, so that nothing overflows. */
#define AHEAD 10000

static inotify_watcher *watcher;
static inotify_watcher_stream *stream;
static int64_t watch_id;

static void begin(struct ends ends, struct life *life)
{
    inotify_watcher_stream_options options = options_for(life);

    options.flags = RINOTIFY_STREAM_CLOSE_FD;
    watcher = create();
    stream = make_stream(ends.writer, &options);
    CHECK_EQ(inotify_watcher_stream_register_watcher(stream, watcher), 0);
    CHECK_EQ(inotify_watcher_stream_register_watcher(stream, watcher), -EBUSY);
    watch_id = CHECK_OK(
        inotify_watcher_stream_watch(stream, watcher, "t", IN_CREATE | IN_DELETE | IN_ISDIR, 0));
}

/* ---- The reader, who knows what must come. */

static char text[100000];
static size_t text_length;
static unsigned next_line;

/* Takes what is there, at most `most` bytes, and checks the lines that are whole. */
static bool read_some(int fd, size_t most)
{
    ssize_t count = read(fd, text + text_length,
                         most < sizeof text - text_length ? most : sizeof text - text_length);
    char *line = text, *end;

    if (count == -1)
        CHECK_EQ(errno, EAGAIN);
    if (count <= 0)
        return count == -1;
    text_length += (size_t)count;
    while ((end = memchr(line, '\n', text_length)) != NULL) {
        const char *expected =
            format("{\"watch\":%lld,\"mask\":[\"%s\"],\"is_dir\":false,\"path\":\"t/%06u\"}",
                   (long long)watch_id, next_line % 2 == 0 ? "create" : "delete", next_line / 2);

        *end = '\0';
        CHECK_STR(line, expected);
        next_line++;
        text_length -= (size_t)(end + 1 - line);
        line = end + 1;
    }
    memmove(text, line, text_length);
    return true;
}

/* 100,000 events to a reader that takes 1 KiB every now and then. */
static void slow_reader(struct ends ends)
{
    struct life life;
    /* Each is made and removed: 100,000 events. */
    unsigned names = check_rounds(50000), made = 0, turns = 0;
    inotify_watcher_stream_stats stats;

    make_dir("t");
    begin(ends, &life);
    next_line = 0;
    text_length = 0;
    while (next_line < 2 * names) {
        /* A writer in bursts: what he does goes into the kernel's queue while we are paused. */
        for (int i = 0; i < 50 && made < names && 2 * made < next_line + AHEAD; i++, made++) {
            make_file(format("t/%06u", made));
            remove_file(format("t/%06u", made));
        }
        turn(watcher, stream);
        if (++turns % 3 == 0)
            CHECK(read_some(ends.reader, 1024));
    }
    CHECK_EQ(text_length, 0);
    stats = stream_stats(stream);
    CHECK_EQ(life.lost, 0);
    CHECK_EQ(get_stats(watcher).overflows, 0);
    CHECK_EQ(stats.written, stats.accepted);
    /* It was paused again and again, and each time at once: one line above the buffer size. */
    CHECK(stats.pauses >= names / 1000);
    CHECK_EQ(stats.resumes, stats.pauses);
    CHECK(stats.buffered_peak <= 65536 + 100);
    CHECK(stats.memory < 300000);
    inotify_watcher_stream_destroy(stream);
    CHECK_EQ(inotify_watcher_fileno(watcher), -1);
    inotify_watcher_destroy(watcher);
    remove_dir("t");
    CHECK_SYS(close(ends.reader));
}

/* The end of the one and of the other, in every order. */
static void endings(void)
{
    struct ends ends;
    struct life life;

    make_dir("t");
    /* The stream first: the watcher is stopped, and what still calls back goes nowhere. */
    ends = small_pipe();
    begin(ends, &life);
    make_file("t/a");
    inotify_watcher_stream_destroy(stream);
    CHECK_EQ(inotify_watcher_fileno(watcher), -1);
    CHECK_EQ(inotify_watcher_do_read(watcher), -EBADF);
    inotify_watcher_destroy(watcher);
    CHECK_SYS(close(ends.reader));

    /* The stream first, not the watcher's consumer any more: the watch goes on without it. */
    ends = small_pipe();
    begin(ends, &life);
    CHECK_OK(inotify_watcher_stream_unregister_producer(stream));
    inotify_watcher_stream_destroy(stream);
    remove_file("t/a");
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_EQ(get_stats(watcher).watches, 1);
    CHECK_EQ(get_stats(watcher).delivered, 1);
    inotify_watcher_destroy(watcher);
    CHECK_SYS(close(ends.reader));

    /* The watcher first, after a word to the stream, which flushes what it has. */
    ends = small_pipe();
    begin(ends, &life);
    make_file("t/a");
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_OK(inotify_watcher_stream_stop_consuming(stream));
    inotify_watcher_destroy(watcher);
    CHECK_EQ(life.lost, 0);
    flush(stream);
    CHECK_EQ(life.lost, 1);
    CHECK_EQ(life.reason, 0);
    CHECK(read(ends.reader, text, sizeof text) > 50);
    CHECK_EQ(read(ends.reader, text, sizeof text), 0);
    inotify_watcher_stream_destroy(stream);
    CHECK_SYS(close(ends.reader));

    /* A watch that fails keeps nothing of the stream; nor does one on a closed watcher. */
    ends = small_pipe();
    begin(ends, &life);
    CHECK_EQ(inotify_watcher_stream_watch(stream, watcher, "missing", IN_CREATE, 0), -ENOENT);
    CHECK_EQ(inotify_watcher_stream_watch(stream, watcher, NULL, IN_CREATE, 0), -EINVAL);
    CHECK_EQ(inotify_watcher_stream_watch(stream, watcher, "t", 0x10000000, 0), -EINVAL);
    CHECK_OK(inotify_watcher_stream_lose_connection(stream));
    CHECK_EQ(inotify_watcher_fileno(watcher), -1);
    CHECK_EQ(inotify_watcher_stream_watch(stream, watcher, "t", IN_CREATE, 0), -EBADF);
    inotify_watcher_stream_destroy(stream);
    CHECK_EQ(inotify_watcher_stream_watch(stream, watcher, "t", IN_CREATE, 0), -EBADF);
    inotify_watcher_destroy(watcher);
    CHECK_SYS(close(ends.reader));

    /* One that is closed produces nothing, and is no producer; nor is one that was destroyed. */
    ends = small_pipe();
    stream = make_stream(ends.writer, NULL);
    watcher = create();
    CHECK_OK(inotify_watcher_lose_connection(watcher));
    CHECK_EQ(inotify_watcher_stream_register_watcher(stream, watcher), -EBADF);
    inotify_watcher_destroy(watcher);
    CHECK_EQ(inotify_watcher_stream_register_watcher(stream, watcher), -EBADF);
    CHECK_EQ(STATE(stream), RINOTIFY_STREAM_CONNECTED);
    inotify_watcher_stream_destroy(stream);
    CHECK_SYS(close(ends.writer));
    CHECK_SYS(close(ends.reader));
    remove_tree("t");
}

static void lost_as_producer(inotify_watcher *ended, int reason, void *user_data)
{
    (void)ended;
    (void)reason;
    CHECK_EQ(STATE(stream), RINOTIFY_STREAM_CONNECTED);
    ++*(unsigned *)user_data;
}

/* A watcher that ends is no producer any more: another can take its place. */
static void ends_first(void)
{
    struct ends ends = small_pipe();
    unsigned lost = 0;
    inotify_watcher_options options = {.size = sizeof options,
                                       .connection_lost = lost_as_producer,
                                       .user_data = &lost};
    inotify_watcher *other = create();

    stream = make_stream(ends.writer, NULL);
    watcher = inotify_watcher_create(&options);
    CHECK(watcher != NULL);
    CHECK_OK(inotify_watcher_stream_register_watcher(stream, watcher));
    CHECK_EQ(inotify_watcher_stream_register_watcher(stream, other), -EBUSY);
    inotify_watcher_destroy(watcher);
    CHECK_EQ(lost, 1);
    CHECK_EQ(STATE(stream), RINOTIFY_STREAM_CONNECTED);

    watcher = inotify_watcher_create(&options);
    CHECK(watcher != NULL);
    CHECK_OK(inotify_watcher_stream_register_watcher(stream, watcher));
    CHECK_OK(inotify_watcher_lose_connection(watcher));
    CHECK_EQ(lost, 2);
    CHECK_EQ(STATE(stream), RINOTIFY_STREAM_CONNECTED);

    /* Not one that has taken its place before. */
    CHECK_OK(inotify_watcher_stream_register_watcher(stream, other));
    CHECK_OK(inotify_watcher_stream_unregister_producer(stream));
    inotify_watcher_destroy(watcher);
    watcher = create();
    CHECK_OK(inotify_watcher_stream_register_watcher(stream, watcher));
    inotify_watcher_destroy(other);
    CHECK_EQ(STATE(stream), RINOTIFY_STREAM_CONNECTED | RINOTIFY_STREAM_PRODUCER |
                                RINOTIFY_STREAM_STREAMING_PRODUCER);
    /* And the stream can end before it. */
    inotify_watcher_stream_destroy(stream);
    CHECK_EQ(inotify_watcher_fileno(watcher), -1);
    inotify_watcher_destroy(watcher);
    CHECK_SYS(close(ends.writer));
    CHECK_SYS(close(ends.reader));
}

/* The plain callback, for a watch with options of its own. */
static void plain_callback(void)
{
    struct ends ends = small_pipe();
    struct life life;
    inotify_watcher_stream_options options = options_for(&life);
    const char *expected;

    make_dir("t");
    watcher = create();
    stream = make_stream(ends.writer, &options);
    watch_id = CHECK_OK(inotify_watcher_watch(watcher, "t", IN_CREATE, TREE,
                                              inotify_watcher_stream_callback, stream));
    make_dir("t/d");
    CHECK_OK(inotify_watcher_sync(watcher));
    flush(stream);
    expected = format("{\"watch\":%lld,\"mask\":[\"create\"],\"is_dir\":true,\"path\":\"t/d\"}\n",
                      (long long)watch_id);
    memset(text, 0, 200);
    CHECK_EQ(read(ends.reader, text, sizeof text), strlen(expected));
    CHECK_STR(text, expected);
    inotify_watcher_destroy(watcher);
    inotify_watcher_stream_destroy(stream);
    remove_tree("t");
    CHECK_SYS(close(ends.writer));
    CHECK_SYS(close(ends.reader));
}

int main(void)
{
    check_begin(240);
    check_case("watcher");
    slow_reader(small_socket());
    slow_reader(small_pipe());
    endings();
    ends_first();
    plain_callback();
    return 0;
}
