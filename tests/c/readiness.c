/* The one descriptor is readable exactly while do_read has something to do, whoever waits for it:
 * poll, select, level- and edge-triggered epoll.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "check.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>

static bool poll_says(int fd)
{
    struct pollfd one = {.fd = fd, .events = POLLIN};
    int ready = (int)CHECK_SYS(poll(&one, 1, 0));

    CHECK_EQ(one.revents & ~POLLIN, 0);
    return ready == 1;
}

static bool select_says(int fd)
{
    fd_set set;
    struct timeval none = {0, 0};

    CHECK(fd < FD_SETSIZE);
    FD_ZERO(&set);
    FD_SET(fd, &set);
    return CHECK_SYS(select(fd + 1, &set, NULL, NULL, &none)) == 1;
}

static int epoll_of(int fd, uint32_t events)
{
    int epoll = (int)CHECK_SYS(epoll_create1(EPOLL_CLOEXEC));
    struct epoll_event event = {.events = events};

    CHECK_SYS(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
    return epoll;
}

static bool epoll_says(int epoll)
{
    struct epoll_event event;

    return CHECK_SYS(epoll_wait(epoll, &event, 1, 0)) == 1;
}

/* Reads to the end; before each turn all must agree on whether there is something to do. */
static unsigned read_in_turns(inotify_watcher *watcher, int level)
{
    int fd = inotify_watcher_fileno(watcher);
    unsigned turns = 0;

    for (;;) {
        bool readable = poll_says(fd);
        int result;

        CHECK_EQ(select_says(fd), readable);
        CHECK_EQ(epoll_says(level), readable);
        result = (int)CHECK_OK(inotify_watcher_do_read(watcher));
        CHECK_EQ(result > 0, readable);
        if (result == 0)
            return turns;
        turns++;
    }
}

static void changes(unsigned round)
{
    make_dirs(format("t/%u/deep/er", round));
    for (int i = 0; i < 40; i++)
        make_file(format("t/%u/deep/er/f%d", round, i));
    make_file(format("t/%u/f", round));
    move(format("t/%u/deep", round), format("t/%u/moved", round));
    if (round % 2 == 0)
        move(format("t/%u", round), format("away/%u", round));
    if (round % 4 == 0)
        move(format("away/%u", round), format("t/back-%u", round));
    if (round % 5 == 0)
        remove_tree(format("%s/%u", round % 2 == 1 ? "t" : "away", round));
    CHECK_SYS(symlink("nowhere", format("t/link-%u", round)));
}

static void every_poll(uint32_t max_events, uint32_t max_scan, uint32_t read_size)
{
    inotify_watcher_options options = {.size = sizeof options,
                                       .read_size = read_size,
                                       .max_events = max_events,
                                       .max_scan = max_scan};
    inotify_watcher *watcher = inotify_watcher_create(&options);
    struct recorder recorder = {0};
    int level;

    CHECK(watcher != NULL);
    make_dirs("t/there/already");
    make_dir("away");
    for (int i = 0; i < 100; i++)
        make_file(format("t/there/already/%d", i));
    level = epoll_of(inotify_watcher_fileno(watcher), EPOLLIN);
    CHECK_EQ(read_in_turns(watcher, level), 0);
    watch(watcher, "t", RINOTIFY_WATCH_MASK, TREE | RINOTIFY_WATCH_EMIT_EXISTING, &recorder);
    CHECK(read_in_turns(watcher, level) > 0);
    CHECK_EQ(recorder.count, 102);
    for (unsigned round = 1; round <= 12; round++) {
        size_t before = recorder.count;

        changes(round);
        CHECK(read_in_turns(watcher, level) > 0);
        CHECK(recorder.count > before);
        CHECK_EQ(read_in_turns(watcher, level), 0);
        CHECK_TABLES(watcher);
    }
    CHECK_OK(inotify_watcher_ignore(watcher, "t"));
    read_in_turns(watcher, level);
    CHECK(!poll_says(inotify_watcher_fileno(watcher)));
    CHECK_SYS(close(level));
    inotify_watcher_destroy(watcher);
    recorder_clear(&recorder);
    remove_tree("t");
    remove_tree("away");
}

/* Edge-triggered: read to the end at each edge, and nothing is forgotten between the edges. */
static void edges(void)
{
    inotify_watcher_options options = {.size = sizeof options,
                                       .read_size = 512,
                                       .max_events = 3,
                                       .max_scan = 16};
    inotify_watcher *watcher = inotify_watcher_create(&options);
    struct recorder recorder = {0};
    int fd, edge;

    CHECK(watcher != NULL);
    make_dir("t");
    make_dir("away");
    fd = inotify_watcher_fileno(watcher);
    edge = epoll_of(fd, EPOLLIN | EPOLLET);
    watch(watcher, "t", RINOTIFY_WATCH_MASK, TREE, &recorder);
    while (epoll_says(edge))
        drain(watcher);
    for (unsigned round = 1; round <= 12; round++) {
        recorder_clear(&recorder);
        changes(round);
        CHECK(epoll_says(edge));
        drain(watcher);
        CHECK_EQ(recorder_count(&recorder, format("create t/link-%u", round)), 1);
        /* What is left over may give a further edge, but there must not be anything behind it. */
        while (epoll_says(edge))
            CHECK_EQ(inotify_watcher_do_read(watcher), 0);
        make_file(format("t/one-%u", round));
        CHECK(epoll_says(edge));
        drain(watcher);
    }
    CHECK_TABLES(watcher);
    CHECK_SYS(close(edge));
    inotify_watcher_destroy(watcher);
    recorder_clear(&recorder);
    remove_tree("t");
    remove_tree("away");
}

/* One turn a readiness, as a loop with several descriptors does it: what a turn has left keeps the
 * descriptor readable. */
static void one_turn_at_a_time(void)
{
    inotify_watcher_options options = {.size = sizeof options, .max_events = 1, .max_scan = 16};
    inotify_watcher *watcher = inotify_watcher_create(&options);
    struct recorder recorder = {0};
    int level;

    CHECK(watcher != NULL);
    make_dir("t");
    level = epoll_of(inotify_watcher_fileno(watcher), EPOLLIN);
    watch(watcher, "t", IN_CREATE, TREE, &recorder);
    for (int i = 0; i < 100; i++)
        make_file(format("t/%d", i));
    while (epoll_says(level)) {
        size_t before = recorder.count;

        CHECK(inotify_watcher_do_read(watcher) > 0);
        CHECK(recorder.count <= before + 1);
    }
    CHECK_EQ(recorder.count, 100);
    CHECK_SYS(close(level));
    inotify_watcher_destroy(watcher);
    recorder_clear(&recorder);
}

/* The kernel is asked for what the watches want and what the recursion needs, so nothing else wakes the
 * program: not a change of a mode, not a reader of the files, not each of many writes. */
static void what_nobody_asked_for(void)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {0};
    char text[4];
    int fd, file;

    make_dirs("t/d");
    write_file("t/d/f", "text");
    watch(watcher, "t", IN_CLOSE_WRITE, TREE, &recorder);
    watch(watcher, "t/d", IN_DELETE, 0, &recorder);
    fd = inotify_watcher_fileno(watcher);
    drain(watcher);
    CHECK(!poll_says(fd));
    CHECK_SYS(chmod("t/d/f", 0600));
    CHECK_SYS(chmod("t/d", 0700));
    CHECK_SYS(chmod("t", 0700));
    file = (int)CHECK_SYS(open("t/d/f", O_RDWR | O_CLOEXEC));
    CHECK_EQ(read(file, text, sizeof text), sizeof text);
    CHECK_EQ(write(file, "more", 4), 4);
    CHECK(!poll_says(fd));
    CHECK_SYS(close(file));
    CHECK(poll_says(fd));
    EXPECT(watcher, &recorder, "close_write t/d/f");
    inotify_watcher_destroy(watcher);
}

static void one_descriptor(void)
{
    inotify_watcher *watcher = create();
    int fd = inotify_watcher_fileno(watcher);
    struct recorder recorder = {0};

    CHECK(fd >= 0);
    CHECK((CHECK_SYS(fcntl(fd, F_GETFD)) & FD_CLOEXEC) != 0);
    CHECK((CHECK_SYS(fcntl(fd, F_GETFL)) & O_NONBLOCK) != 0);
    CHECK_EQ(inotify_watcher_do_read(watcher), 0);
    for (int i = 0; i < 100; i++) {
        make_dir(format("%d", i));
        watch(watcher, format("%d", i), IN_CREATE, TREE, &recorder);
        CHECK_EQ(inotify_watcher_fileno(watcher), fd);
    }
    for (int i = 0; i < 100; i++)
        CHECK_OK(inotify_watcher_ignore(watcher, format("%d", i)));
    CHECK_EQ(inotify_watcher_fileno(watcher), fd);
    drain(watcher);
    CHECK(!poll_says(fd));
    inotify_watcher_destroy(watcher);
    CHECK_EQ(fcntl(fd, F_GETFD), -1);
}

int main(void)
{
    check_begin(240);
    check_case("one-descriptor");
    one_descriptor();
    check_case("what-nobody-asked-for");
    what_nobody_asked_for();
    check_case("every-poll");
    every_poll(0, 0, 0);
    every_poll(1, 16, 512);
    every_poll(7, 16, 4096);
    every_poll(1000, 16, 0);
    check_case("edges");
    edges();
    check_case("one-turn-at-a-time");
    one_turn_at_a_time();
    return 0;
}
