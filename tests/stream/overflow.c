/* A reader that stops for so long that the kernel's queue overflows: what was before comes first, the
 * overflow in its place, then what is new; and memory stays where it is.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "stream.h"

#define QUEUE 16384
#define NAMES 40000
#define LAST 999999
#define WANTED 3

/* A watcher whose queue holds no more than QUEUE events. */
static inotify_watcher *create_with_small_queue(void)
{
    inotify_watcher *watcher = create_with_queue(NULL, QUEUE);

    if (watcher == NULL)
        check_skip("the queue is too long to overflow, and a shorter one takes root");
    return watcher;
}

struct reader {
    int fd;
    char text[100000];
    size_t length;
    unsigned creates;
    unsigned overflows;
    unsigned last;
};

static void take_line(struct reader *reader, const char *line)
{
    const char *path = strstr(line, "\"path\":\"t/");
    unsigned number = path != NULL ? (unsigned)strtoul(path + 10, NULL, 10) : 0;

    if (strstr(line, "\"queue_overflow\"") != NULL) {
        CHECK(strstr(line, "\"path\":\"t\"") != NULL);
        reader->overflows++;
    } else if (strstr(line, "\"mask\":[\"create\"]") != NULL) {
        /* In order; and up to the overflow without a gap. */
        CHECK(reader->creates == 0 || number > reader->last);
        if (reader->overflows == 0)
            CHECK_EQ(number, reader->creates);
        reader->last = number;
        reader->creates++;
    }
}

/* Takes the lines that are there; false if there is nothing. */
static bool read_some(struct reader *reader)
{
    ssize_t count = read(reader->fd, reader->text + reader->length,
                         sizeof reader->text - reader->length);
    char *line, *end;

    if (count == -1)
        CHECK_EQ(errno, EAGAIN);
    if (count <= 0)
        return false;
    reader->length += (size_t)count;
    for (line = reader->text; (end = memchr(line, '\n', reader->length)) != NULL; line = end + 1) {
        *end = '\0';
        take_line(reader, line);
        reader->length -= (size_t)(end + 1 - line);
    }
    memmove(reader->text, line, reader->length);
    return true;
}

/* What a client has to be told of a tree that changed while its events were lost. */
struct difference {
    int fd;
    char text[100000];
    size_t length;
    const char *wanted[WANTED];
    bool began, ended;
};

static bool read_difference(struct difference *difference)
{
    ssize_t count = read(difference->fd, difference->text + difference->length,
                         sizeof difference->text - difference->length);
    char *line, *end;

    if (count == -1)
        CHECK_EQ(errno, EAGAIN);
    if (count <= 0)
        return false;
    difference->length += (size_t)count;
    line = difference->text;
    for (; (end = memchr(line, '\n', difference->length)) != NULL; line = end + 1) {
        *end = '\0';
        if (strstr(line, "\"rescan_begin\"") != NULL)
            difference->began = true;
        if (strstr(line, "\"rescan_end\"") != NULL)
            difference->ended = true;
        for (size_t i = 0; difference->began && i < WANTED; i++) {
            if (difference->wanted[i] != NULL && strstr(line, difference->wanted[i]) != NULL)
                difference->wanted[i] = NULL;
        }
        difference->length -= (size_t)(end + 1 - line);
    }
    memmove(difference->text, line, difference->length);
    return true;
}

static void rescan(void)
{
    static struct difference difference = {
        .wanted = {"\"path\":\"tree/old\"", "\"path\":\"tree/new\"", "\"path\":\"tree/new/file\""},
    };
    struct ends ends;
    struct life life;
    inotify_watcher_stream_options options = options_for(&life);
    inotify_watcher *watcher;
    inotify_watcher_stream *stream;

    make_dir("tree");
    make_dir("tree/busy");
    make_file("tree/old");
    watcher = create_with_small_queue();
    ends = small_socket();
    difference.fd = ends.reader;
    options.flags = RINOTIFY_STREAM_CLOSE_FD;
    stream = make_stream(ends.writer, &options);
    CHECK_OK(inotify_watcher_stream_register_watcher(stream, watcher));
    CHECK_OK(inotify_watcher_stream_watch(stream, watcher, "tree", RINOTIFY_WATCH_MASK,
                                          RINOTIFY_WATCH_RECURSIVE | RINOTIFY_WATCH_AUTO_ADD |
                                              RINOTIFY_WATCH_TRACK_ENTRIES));
    for (unsigned i = 0; i < NAMES; i++) {
        make_file(format("tree/busy/%06u", i));
        remove_file(format("tree/busy/%06u", i));
    }
    /* The queue is full: none of this is told by the kernel. */
    remove_file("tree/old");
    make_dir("tree/new");
    make_file("tree/new/file");
    while (!difference.ended) {
        turn(watcher, stream);
        (void)read_difference(&difference);
    }
    CHECK(difference.began);
    for (size_t i = 0; i < WANTED; i++)
        CHECK(difference.wanted[i] == NULL);
    CHECK_EQ(get_stats(watcher).overflows, 1);
    CHECK(stream_stats(stream).buffered_peak <= 65536 + 100);
    inotify_watcher_stream_destroy(stream);
    inotify_watcher_destroy(watcher);
    CHECK_SYS(close(ends.reader));
}

int main(void)
{
    static struct reader reader;
    struct ends ends;
    struct life life;
    inotify_watcher_stream_options options = options_for(&life);
    inotify_watcher *watcher;
    inotify_watcher_stream *stream;
    bool after = false;

    check_begin(240);
    check_case("rescan");
    rescan();
    check_case("overflow");
    make_dir("t");
    watcher = create_with_small_queue();
    ends = small_socket();
    reader.fd = ends.reader;
    options.flags = RINOTIFY_STREAM_CLOSE_FD;
    stream = make_stream(ends.writer, &options);
    CHECK_OK(inotify_watcher_stream_register_watcher(stream, watcher));
    CHECK_OK(inotify_watcher_stream_watch(stream, watcher, "t", IN_CREATE | IN_DELETE, 0));

    for (unsigned i = 0; i < NAMES; i++) {
        make_file(format("t/%06u", i));
        remove_file(format("t/%06u", i));
        if (i % 1000 == 0)
            turn(watcher, stream);
    }
    CHECK(stream_stats(stream).state & RINOTIFY_STREAM_PRODUCER_PAUSED);
    CHECK(stream_stats(stream).buffered_peak <= 65536 + 100);
    CHECK_EQ(get_stats(watcher).overflows, 0);

    while (reader.last != LAST) {
        turn(watcher, stream);
        if (read_some(&reader) || after || reader.overflows == 0 ||
            stream_stats(stream).buffered > 0)
            continue;
        /* All that was queued has come. What happens now is told as ever. */
        make_file(format("t/%06u", LAST));
        after = true;
    }
    CHECK(after);
    CHECK_EQ(reader.overflows, 1);
    CHECK_EQ(get_stats(watcher).overflows, 1);
    CHECK(reader.creates > QUEUE / 2);
    CHECK(reader.creates < NAMES);
    CHECK(stream_stats(stream).buffered_peak <= 65536 + 100);
    CHECK_EQ(life.lost, 0);
    inotify_watcher_stream_destroy(stream);
    inotify_watcher_destroy(watcher);
    CHECK_SYS(close(ends.reader));
    return 0;
}
