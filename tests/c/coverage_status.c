/* What a watch does not see can be asked, with the reason for each directory, and every change of it
 * is told, whatever the mask; the status asked in that event is the one that it tells.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "reader.h"

static const uint32_t entries = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO;

struct list {
    char *lines[16];
    size_t count;
};

static int see(const inotify_watcher_uncovered *uncovered, void *user_data)
{
    struct list *list = user_data;

    CHECK(uncovered->size >= offsetof(inotify_watcher_uncovered, path_len) + sizeof(size_t));
    CHECK_EQ(strlen(uncovered->path), uncovered->path_len);
    CHECK(list->count < 16);
    CHECK(asprintf(&list->lines[list->count++], "%d %s %s %s", (int)uncovered->watch,
                   uncovered->path, strerrorname_np(uncovered->error), uncovered->step) > 0);
    return 0;
}

static int stop(const inotify_watcher_uncovered *uncovered, void *user_data)
{
    CHECK(uncovered->path[0] != '\0');
    ++*(int *)user_data;
    return 42;
}

static int by_text(const void *one, const void *other)
{
    return strcmp(*(char *const *)one, *(char *const *)other);
}

/* The list of one watch, or of all. */
static void expect_list(const inotify_watcher *watcher, int64_t id, const char *const *lines)
{
    struct list list = {.count = 0};
    size_t count = 0;

    CHECK_EQ(inotify_watcher_for_each_uncovered(watcher, id, see, &list), 0);
    qsort(list.lines, list.count, sizeof list.lines[0], by_text);
    while (lines[count] != NULL) {
        CHECK(count < list.count);
        CHECK_STR(list.lines[count], lines[count]);
        count++;
    }
    CHECK_EQ(list.count, count);
    for (size_t i = 0; i < list.count; i++)
        free(list.lines[i]);
}
#define EXPECT_LIST(watcher, id, ...) \
    expect_list((watcher), (id), (const char *const[]){__VA_ARGS__, NULL})

static void bad_calls(void)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {0};
    inotify_watcher_status status = {.size = sizeof status};
    struct list list = {.count = 0};
    int64_t id;

    make_dir("t");
    id = watch(watcher, "t", entries, TREE, &recorder);
    CHECK_EQ(inotify_watcher_get_status(NULL, id, &status), -EINVAL);
    CHECK_EQ(inotify_watcher_get_status(watcher, id, NULL), -EINVAL);
    CHECK_EQ(inotify_watcher_get_status(watcher, id + 1, &status), -ENOENT);
    CHECK_EQ(inotify_watcher_get_status(watcher, 0, &status), -ENOENT);
    status.size = 8;
    CHECK_EQ(inotify_watcher_get_status(watcher, id, &status), -EINVAL);
    /* The struct of an older header, which ends before the number. */
    status = (inotify_watcher_status){.size = 16, .uncovered = 77};
    CHECK_OK(inotify_watcher_get_status(watcher, id, &status));
    CHECK_EQ(status.size, 16);
    CHECK_EQ(status.coverage, RINOTIFY_COVERAGE_COMPLETE);
    CHECK_EQ(status.uncovered, 77);

    CHECK_EQ(inotify_watcher_for_each_uncovered(NULL, 0, see, &list), -EINVAL);
    CHECK_EQ(inotify_watcher_for_each_uncovered(watcher, 0, NULL, &list), -EINVAL);
    CHECK_EQ(inotify_watcher_for_each_uncovered(watcher, id + 1, see, &list), -ENOENT);
    EXPECT_LIST(watcher, 0, NULL);
    EXPECT_LIST(watcher, id, NULL);
    CHECK_EQ(inotify_watcher_retry(NULL), -EINVAL);
    CHECK_OK(inotify_watcher_retry(watcher));
    EXPECT_NOTHING(watcher, &recorder);

    CHECK_OK(inotify_watcher_ignore_watch(watcher, id));
    status.size = sizeof status;
    CHECK_EQ(inotify_watcher_get_status(watcher, id, &status), -ENOENT);
    CHECK_OK(inotify_watcher_lose_connection(watcher));
    CHECK_EQ(inotify_watcher_get_status(watcher, id, &status), -EBADF);
    CHECK_EQ(inotify_watcher_for_each_uncovered(watcher, 0, see, &list), -EBADF);
    CHECK_EQ(inotify_watcher_retry(watcher), -EBADF);
    inotify_watcher_destroy(watcher);
}

static void asked_and_told(void)
{
    inotify_watcher *watcher;
    struct recorder one = {0}, other = {0}, narrow = {0};
    int64_t first, second;
    uint64_t count;
    int seen = 0;

    make_dirs("t/none/d");
    make_dirs("t/read/d");
    make_dirs("t/search/d");
    make_dirs("t/open/none");
    write_file("t/none/f", "1");
    write_file("t/read/f", "1");
    write_file("t/search/f", "1");
    CHECK_SYS(chmod("t/none", 0));
    CHECK_SYS(chmod("t/read", 0444));
    CHECK_SYS(chmod("t/search", 0111));
    CHECK_SYS(chmod("t/open/none", 0));
    as_reader();
    watcher = create();
    first = watch(watcher, "t", entries, TREE | RINOTIFY_WATCH_EMIT_EXISTING, &one);
    /* It can be asked at once, before anything was told. */
    CHECK_EQ(coverage_of(watcher, first, &count), RINOTIFY_COVERAGE_PARTIAL);
    CHECK_EQ(count, 4);
    EXPECT_SET(watcher, &one, "create|is_dir t/none [synthetic]",
               "create|is_dir t/read [synthetic]", "create|is_dir t/search [synthetic]",
               "create|is_dir t/open [synthetic]", "create|is_dir t/open/none [synthetic]",
               "is_dir t/none [error EACCES]", "is_dir t/read [error EACCES]",
               "is_dir t/search [error EACCES]", "is_dir t/open/none [error EACCES]",
               "t [partial]");
    /* Another watch has gaps of its own, in its own spelling. */
    second = watch(watcher, "./t/open", IN_CLOSE_WRITE, TREE, &other);
    watch(watcher, "t/open", IN_CREATE, 0, &narrow);
    EXPECT(watcher, &other, "is_dir ./t/open/none [error EACCES]", "./t/open [partial]");
    EXPECT_LIST(watcher, first, format("%d t/none EACCES inotify_add_watch", (int)first),
                format("%d t/open/none EACCES inotify_add_watch", (int)first),
                format("%d t/read EACCES inotify_add_watch", (int)first),
                format("%d t/search EACCES inotify_add_watch", (int)first));
    EXPECT_LIST(watcher, second,
                format("%d ./t/open/none EACCES inotify_add_watch", (int)second));
    EXPECT_LIST(watcher, 0, format("%d t/none EACCES inotify_add_watch", (int)first),
                format("%d t/open/none EACCES inotify_add_watch", (int)first),
                format("%d t/read EACCES inotify_add_watch", (int)first),
                format("%d t/search EACCES inotify_add_watch", (int)first),
                format("%d ./t/open/none EACCES inotify_add_watch", (int)second));
    CHECK_EQ(inotify_watcher_for_each_uncovered(watcher, 0, stop, &seen), 42);
    CHECK_EQ(seen, 1);
    CHECK_TABLES(watcher);

    change_mode("t/read", 0755);
    change_mode("t/search", 0755);
    EXPECT_SET(watcher, &one, "create|is_dir t/read/d [synthetic]",
               "create t/read/f [synthetic]", "create|is_dir t/search/d [synthetic]",
               "create t/search/f [synthetic]");
    CHECK_EQ(coverage_of(watcher, first, &count), RINOTIFY_COVERAGE_PARTIAL);
    CHECK_EQ(count, 2);
    change_mode("t/open/none", 0755);
    EXPECT_NOTHING(watcher, &one);
    EXPECT(watcher, &other, "./t/open [complete]");
    change_mode("t/none", 0755);
    EXPECT_SET(watcher, &one, "create|is_dir t/none/d [synthetic]",
               "create t/none/f [synthetic]", "t [complete]");
    CHECK_EQ(coverage_of(watcher, first, NULL), RINOTIFY_COVERAGE_COMPLETE);
    EXPECT_LIST(watcher, 0, NULL);
    as_writer();
    make_file("t/none/d/new");
    make_file("t/search/d/new");
    make_file("t/read/d/new");
    make_file("t/open/none/new");
    as_reader();
    EXPECT(watcher, &one, "create t/none/d/new", "create t/search/d/new", "create t/read/d/new",
           "create t/open/none/new");
    EXPECT_NOTHING(watcher, &narrow);
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
    as_writer();
}

/* What goes away is not missing any more: deleted, moved out, ignored; renamed it is. */
static void gone(void)
{
    inotify_watcher *watcher;
    struct recorder recorder = {0};
    int64_t id;

    make_dirs("t/deleted");
    make_dirs("t/moved/in");
    make_dirs("t/ignored");
    make_dirs("t/renamed");
    CHECK_SYS(chmod("t/deleted", 0));
    CHECK_SYS(chmod("t/moved/in", 0));
    CHECK_SYS(chmod("t/ignored", 0));
    CHECK_SYS(chmod("t/renamed", 0));
    as_reader();
    watcher = create();
    id = watch(watcher, "t", entries, TREE, &recorder);
    EXPECT_SET(watcher, &recorder, "is_dir t/deleted [error EACCES]",
               "is_dir t/moved/in [error EACCES]", "is_dir t/ignored [error EACCES]",
               "is_dir t/renamed [error EACCES]", "t [partial]");
    as_writer();
    remove_dir("t/deleted");
    move("t/moved", "moved");
    move("t/renamed", "t/again");
    as_reader();
    EXPECT(watcher, &recorder, "delete|is_dir t/deleted", "moved_from|is_dir t/moved",
           "moved_from|is_dir t/renamed", "moved_to|is_dir t/again <- t/renamed");
    EXPECT_LIST(watcher, id, format("%d t/again EACCES inotify_add_watch", (int)id),
                format("%d t/ignored EACCES inotify_add_watch", (int)id));
    CHECK_EQ(inotify_watcher_is_watched(watcher, "t/ignored"), 0);
    CHECK_OK(inotify_watcher_ignore(watcher, "t/ignored"));
    EXPECT_LIST(watcher, id, format("%d t/again EACCES inotify_add_watch", (int)id));
    change_mode("t/ignored", 0755);
    change_mode("t/again", 0755);
    EXPECT(watcher, &recorder, "t [complete]");
    as_writer();
    make_file("t/ignored/f");
    make_file("t/again/f");
    as_reader();
    EXPECT(watcher, &recorder, "create t/again/f");
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
    as_writer();
    CHECK_SYS(chmod("moved/in", 0755));
}

struct asker {
    unsigned events;
    uint32_t last;
};

static void ask(inotify_watcher *watcher, const inotify_watcher_event *event, void *user_data)
{
    struct asker *asker = user_data;
    inotify_watcher_status status = {.size = sizeof status};

    if ((event->flags & RINOTIFY_EVENT_COVERAGE) == 0)
        return;
    CHECK_STR(event->path, "t");
    CHECK_EQ(event->mask, 0);
    CHECK_OK(inotify_watcher_get_status(watcher, event->watch, &status));
    CHECK_EQ(status.coverage, event->coverage);
    /* Never the same twice in a row; a watch begins complete. */
    CHECK(event->coverage != asker->last);
    asker->last = event->coverage;
    asker->events++;
    CHECK_OK(inotify_watcher_retry(watcher));
}

static void asked_in_the_callback(void)
{
    inotify_watcher *watcher;
    struct asker asker = {0, RINOTIFY_COVERAGE_COMPLETE};

    make_dirs("t/d");
    as_reader();
    watcher = create();
    CHECK_OK(inotify_watcher_watch(watcher, "t", IN_OPEN, TREE, ask, &asker));
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_EQ(asker.events, 0);
    for (unsigned round = 1; round <= 20; round++) {
        change_mode("t/d", 0);
        as_writer();
        make_dir("t/d/e");
        as_reader();
        CHECK_OK(inotify_watcher_sync(watcher));
        CHECK_EQ(asker.events, 2 * round - 1);
        CHECK_EQ(asker.last, RINOTIFY_COVERAGE_PARTIAL);
        change_mode("t/d", 0755);
        CHECK_OK(inotify_watcher_sync(watcher));
        CHECK_EQ(asker.events, 2 * round);
        as_writer();
        remove_dir("t/d/e");
        as_reader();
    }
    inotify_watcher_destroy(watcher);
    as_writer();
}

int main(void)
{
    check_begin(120);
    check_case("bad-calls");
    bad_calls();
    check_case("asked-and-told");
    asked_and_told();
    check_case("gone");
    gone();
    check_case("asked-in-the-callback");
    asked_in_the_callback();
    return 0;
}
