/* A watcher into a stream, both in one loop by its ready-made reactor: a reader that is slow, that
 * goes away, a file that no loop can poll, and ends from inside. Compiled once for each loop.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "loop.h"
#include "stream.h"

static inotify_watcher *watcher;
static inotify_watcher_stream *stream;
static struct life life;
static unsigned watcher_lost;

static void note_watcher(inotify_watcher *from, int reason, void *user_data)
{
    (void)user_data;
    CHECK(from == watcher);
    CHECK_EQ(watcher_lost, 0);
    watcher_lost = reason == 0 ? 1 : 2;
}

/* "t" into `fd`, which is the stream's from now on. */
static void begin(const char *name, int fd, inotify_watcher_stream_connection_lost lost)
{
    inotify_watcher_reactor reactor;
    inotify_watcher_options options = {.size = sizeof options};
    inotify_watcher_stream_options stream_options = options_for(&life);

    check_case(name);
    watcher_lost = 0;
    loop_begin();
    reactor = loop_reactor();
    options.reactor = &reactor;
    options.connection_lost = note_watcher;
    watcher = inotify_watcher_create(&options);
    CHECK(watcher != NULL);
    stream_options.reactor = &reactor;
    stream_options.flags = RINOTIFY_STREAM_CLOSE_FD;
    stream_options.buffer_size = 4000;
    if (lost != NULL)
        stream_options.connection_lost = lost;
    stream = make_stream(fd, &stream_options);
    memset(&reactor, 0, sizeof reactor);
    make_dir("t");
    CHECK_OK(inotify_watcher_stream_register_watcher(stream, watcher));
    CHECK_OK(inotify_watcher_stream_watch(stream, watcher, "t", IN_CREATE | IN_DELETE, 0));
    CHECK_OK(inotify_watcher_start_reading(watcher));
}

static void end(void)
{
    inotify_watcher_stream_destroy(stream);
    inotify_watcher_destroy(watcher);
    CHECK_EQ(life.lost, 1);
    CHECK_EQ(watcher_lost, 1);
    CHECK(!loop_is_ready());
    loop_end();
}

/* The lines so far, of which the last may not be whole. */
static char text[8192];
static size_t text_length;
static unsigned next_line;

/* Takes at most `most` bytes; false at the end of the data. Each file was made and removed. */
static bool read_lines(int fd, size_t most)
{
    char *line = text, *newline;
    ssize_t count = read(fd, text + text_length, most);

    if (count == -1)
        CHECK_EQ(errno, EAGAIN);
    if (count <= 0)
        return count == -1;
    text_length += (size_t)count;
    while ((newline = memchr(line, '\n', text_length)) != NULL) {
        *newline = '\0';
        CHECK(strstr(line, next_line % 2 == 0 ? "[\"create\"]" : "[\"delete\"]") != NULL);
        CHECK(strstr(line, format("\"path\":\"t/%u\"", next_line / 2)) != NULL);
        next_line++;
        text_length -= (size_t)(newline + 1 - line);
        line = newline + 1;
    }
    memmove(text, line, text_length);
    return true;
}

static void make_and_remove(unsigned number)
{
    make_file(format("t/%u", number));
    remove_file(format("t/%u", number));
}

static void slow_reader(struct ends ends, const char *name)
{
    unsigned files = check_rounds(3000), made = 0, turns = 0;
    inotify_watcher_stream_stats stats;

    begin(name, ends.writer, NULL);
    text_length = next_line = 0;
    while (next_line < 2 * files) {
        for (int i = 0; i < 20 && made < files && 2 * made < next_line + 5000; i++)
            make_and_remove(made++);
        loop_turn(false);
        CHECK_EQ(life.lost, 0);
        if (++turns % 3 == 0)
            CHECK(read_lines(ends.reader, 1024));
    }
    stats = stream_stats(stream);
    CHECK(stats.pauses > 0);
    CHECK_EQ(stats.resumes, stats.pauses);
    CHECK(stats.buffered_peak <= 4000 + 100);
    CHECK_EQ(get_stats(watcher).overflows, 0);

    /* Out of the loop on demand, with what waits, and back. */
    CHECK_OK(inotify_watcher_stream_write(stream, "waits", 5));
    CHECK_OK(inotify_watcher_stream_stop_writing(stream));
    for (int i = 0; i < 5; i++)
        loop_turn(false);
    CHECK_EQ(inotify_watcher_stream_buffered(stream), 5);
    CHECK_OK(inotify_watcher_stream_start_writing(stream));
    while (inotify_watcher_stream_buffered(stream) > 0)
        loop_turn(true);
    CHECK_EQ(read(ends.reader, text, sizeof text), 5);
    CHECK_EQ(inotify_watcher_stream_wants_write(stream), 0);

    /* What waits when the end is asked for is written by the loop. */
    fill(ends.writer);
    CHECK_OK(inotify_watcher_stream_write(stream, "last", 4));
    CHECK_OK(inotify_watcher_stream_lose_connection(stream));
    for (int i = 0; i < 5; i++)
        loop_turn(false);
    CHECK_EQ(life.lost, 0);
    while (life.lost == 0) {
        CHECK(read(ends.reader, text, 1000) > 0);
        loop_turn(false);
    }
    CHECK_EQ(life.reason, 0);
    CHECK_EQ(life.lines, 0);
    CHECK(!is_open(ends.writer));
    end();
    CHECK_SYS(close(ends.reader));
}

/* Nobody reads, so the watcher is paused; then the other end is gone, which only the loop can see. */
static void hang_up(struct ends ends, const char *name)
{
    unsigned made = 0;

    begin(name, ends.writer, NULL);
    while (!(stream_stats(stream).state & RINOTIFY_STREAM_PRODUCER_PAUSED)) {
        make_and_remove(made++);
        loop_turn(false);
    }
    for (int i = 0; i < 5; i++)
        loop_turn(false);
    CHECK_EQ(life.lost, 0);
    CHECK_SYS(close(ends.reader));
    while (life.lost == 0)
        loop_turn(true);
    CHECK(life.reason == EPIPE || life.reason == ECONNRESET);
    CHECK_EQ(life.lines, 1);
    CHECK_EQ(watcher_lost, 1);
    CHECK_EQ(inotify_watcher_fileno(watcher), -1);
    CHECK(!loop_is_ready());
    end();
}

/* A regular file is always ready: epoll refuses it, and what is built on epoll. */
static void a_file(void)
{
    unsigned files = check_rounds(500);
    int writer = (int)CHECK_SYS(open("file", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
    int reader = (int)CHECK_SYS(open("file", O_RDONLY | O_CLOEXEC));

    begin("a_file", writer, NULL);
    text_length = next_line = 0;
    for (unsigned i = 0; i < files; i++)
        make_and_remove(i);
    while (next_line < 2 * files) {
        loop_turn(false);
        CHECK_EQ(life.lost, 0);
        (void)read_lines(reader, 1024);
    }
    CHECK_OK(inotify_watcher_stream_lose_connection(stream));
    while (life.lost == 0)
        loop_turn(true);
    CHECK_EQ(life.reason, 0);
    end();
    CHECK_SYS(close(reader));
}

static void destroy_both(inotify_watcher_stream *from, int reason, void *user_data)
{
    CHECK_EQ(inotify_watcher_stream_fileno(from), -1);
    note_lost(from, reason, user_data);
    inotify_watcher_destroy(watcher);
    inotify_watcher_stream_destroy(from);
}

/* The loop's own callback is on the stack when both go, and the memory that it came from. */
static void destroyed_inside(void)
{
    struct ends ends = small_socket();

    begin("destroyed_inside", ends.writer, destroy_both);
    fill(ends.writer);
    make_and_remove(0);
    while (inotify_watcher_stream_buffered(stream) == 0)
        loop_turn(true);
    CHECK_SYS(close(ends.reader));
    while (life.lost == 0)
        loop_turn(true);
    loop_turn(false);
    CHECK_EQ(watcher_lost, 1);
    CHECK(!loop_is_ready());
    loop_end();
}

int main(void)
{
    check_begin(240);
    slow_reader(small_socket(), "slow_socket");
    slow_reader(small_pipe(), "slow_pipe");
    hang_up(small_socket(), "hang_up_socket");
    hang_up(small_pipe(), "hang_up_pipe");
    a_file();
    destroyed_inside();
    return 0;
}
