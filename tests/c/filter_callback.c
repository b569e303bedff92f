/* A filter of the caller's: asked about each directory before it is watched, on the right thread,
 * with no lock held, and its word counts.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "filter.h"

#include <poll.h>
#include <sys/syscall.h>

static void asked(void)
{
    inotify_watcher *watcher = create();
    struct filtered filtered = {.refused = PATTERNS("no")};
    struct recorder *recorder = &filtered.recorder;

    make_dirs("t/a/b");
    make_dirs("t/no/deep");
    make_dirs("t/.git/objects");
    make_file("t/file");
    watch_filtered(watcher, "t", RINOTIFY_WATCH_MASK, TREE | RINOTIFY_WATCH_EMIT_EXISTING,
                   PATTERNS(".git"), true, &filtered);
    CHECK_EQ(filtered.asked.ids[0], filtered.id);
    CHECK_WATCHES(watcher, 3);
    EXPECT_SET(watcher, recorder, "create|is_dir t/a [synthetic]",
               "create|is_dir t/no [synthetic]", "create|is_dir t/.git [synthetic]",
               "create t/file [synthetic]", "create|is_dir t/a/b [synthetic]");
    EXPECT_ASKED(watcher, &filtered, "1 t/a", "1 t/no", "2 t/a/b");

    make_dirs("t/a/no/deep");
    make_dirs("t/a/c/d");
    make_file("t/a/c/d/f");
    EXPECT_SET(watcher, recorder, "create|is_dir t/a/no", "create|is_dir t/a/c",
               "create|is_dir t/a/c/d [synthetic]", "create t/a/c/d/f [synthetic]");
    EXPECT_ASKED(watcher, &filtered, "2 t/a/no", "2 t/a/c", "3 t/a/c/d");
    CHECK_WATCHES(watcher, 5);
    CHECK_TABLES(watcher);

    /* Renamed to a name that is refused: what is queued behind the rename is not told. */
    move("t/a/c", "t/a/b/no");
    make_file("t/a/b/no/d/unseen");
    make_file("t/a/f");
    EXPECT(watcher, recorder, "moved_from|is_dir t/a/c", "moved_to|is_dir t/a/b/no <- t/a/c",
           "create t/a/f");
    EXPECT_ASKED(watcher, &filtered, "3 t/a/b/no");
    CHECK_WATCHES(watcher, 3);
    CHECK_TABLES(watcher);
    move("t/a/b/no", "t/a/b/yes");
    EXPECT_SET(watcher, recorder, "moved_from|is_dir t/a/b/no",
               "moved_to|is_dir t/a/b/yes <- t/a/b/no", "create|is_dir t/a/b/yes/d [synthetic]",
               "create t/a/b/yes/d/f [synthetic]", "create t/a/b/yes/d/unseen [synthetic]");
    EXPECT_ASKED(watcher, &filtered, "3 t/a/b/yes", "4 t/a/b/yes/d");
    /* There and on again: asked at each place, so that what is told below comes out the same. */
    move("t/a/b/yes", "t/no2");
    move("t/no2", "t/yes");
    make_file("t/yes/d/g");
    EXPECT(watcher, recorder, "moved_from|is_dir t/a/b/yes", "moved_to|is_dir t/no2 <- t/a/b/yes",
           "moved_from|is_dir t/no2", "moved_to|is_dir t/yes <- t/no2", "create t/yes/d/g");
    EXPECT_ASKED(watcher, &filtered, "1 t/no2", "1 t/yes");
    CHECK_WATCHES(watcher, 5);
    CHECK_TABLES(watcher);
    CHECK_OK(inotify_watcher_ignore(watcher, "t"));
    CHECK_EQ(filtered.recorder.released, 1);
    inotify_watcher_destroy(watcher);
    filtered_clear(&filtered);
}

/* A directory that goes before anybody was asked, one that comes again, and one that is renamed. */
static void gone_meanwhile(void)
{
    inotify_watcher *watcher = create();
    struct filtered filtered = {0};

    make_dirs("t/a");
    watch_filtered(watcher, "t", RINOTIFY_WATCH_MASK, TREE, NULL, true, &filtered);
    EXPECT_ASKED(watcher, &filtered, "1 t/a");
    make_dirs("t/b/c");
    remove_tree("t/b");
    make_dir("t/d");
    move("t/d", "t/e");
    make_dir("t/d");
    CHECK_OK(inotify_watcher_sync(watcher));
    EXPECT_ASKED(watcher, &filtered, "1 t/d", "1 t/e");
    CHECK_WATCHES(watcher, 4);
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
    filtered_clear(&filtered);
}

/* The descriptor is readable as long as there is something to ask, a question at a time. */
static void readable(void)
{
    inotify_watcher_options options = {.size = sizeof options, .max_events = 1, .max_scan = 16};
    inotify_watcher *watcher = inotify_watcher_create(&options);
    struct filtered filtered = {.refused = PATTERNS("7")};
    struct pollfd pollfd = {.events = POLLIN};

    CHECK(watcher != NULL);
    pollfd.fd = inotify_watcher_fileno(watcher);
    make_dir("t");
    make_dir("o");
    for (unsigned i = 0; i < 10; i++) {
        for (unsigned n = 0; n < 10; n++)
            make_dirs(format("o/%u/%u", i, n));
    }
    watch_filtered(watcher, "t", RINOTIFY_WATCH_MASK, TREE, NULL, true, &filtered);
    move("o", "t/o");
    while (CHECK_SYS(poll(&pollfd, 1, 0)) == 1) {
        size_t before = filtered.asked.count;

        CHECK(CHECK_OK(inotify_watcher_do_read(watcher)) >= 0);
        CHECK(filtered.asked.count <= before + 1);
    }
    CHECK_EQ(inotify_watcher_do_read(watcher), 0);
    CHECK_EQ(filtered.asked.count, 1 + 10 + 9 * 10);
    CHECK_WATCHES(watcher, 1 + 1 + 9 + 9 * 9);
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
    filtered_clear(&filtered);
}

struct large {
    struct recorder recorder;
    pid_t thread;
    unsigned count;
    unsigned figures;
    unsigned most;
};

static int count_asked(inotify_watcher *watcher, const inotify_watcher_directory *directory,
                       void *user_data)
{
    struct large *large = user_data;

    CHECK_EQ(syscall(SYS_gettid), large->thread);
    CHECK(inotify_watcher_is_watched(watcher, directory->path) == 0);
    large->count++;
    return strcmp(directory->name, "5") != 0;
}

static int count_progress(uint64_t directories, void *user_data)
{
    struct large *large = user_data;

    CHECK_EQ(syscall(SYS_gettid), large->thread);
    (void)directories;
    return ++large->figures > large->most;
}

/* A tree that is too large for one step: still on the thread that called. */
static void large_tree(void)
{
    inotify_watcher *watcher = create();
    struct large large = {.thread = (pid_t)syscall(SYS_gettid), .most = UINT32_MAX};
    inotify_watcher_watch_options options;
    unsigned all = check_under_valgrind() ? 20 : 90;

    for (unsigned i = 0; i < all; i++) {
        for (unsigned n = 0; n < 50; n++)
            make_dirs(format("t/%u/%u", i, n));
    }
    memset(&options, 0, sizeof options);
    options.size = sizeof options;
    options.mask = RINOTIFY_WATCH_MASK;
    options.flags = TREE;
    options.callback = record;
    options.user_data = &large;
    options.progress = count_progress;
    options.filter = count_asked;
    CHECK_OK(inotify_watcher_watch_with(watcher, "t", &options));
    CHECK_EQ(large.count, all + (all - 1) * 50);
    CHECK_WATCHES(watcher, 1 + (all - 1) * 50);
    CHECK(large.figures > 0);
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_TABLES(watcher);
    CHECK_OK(inotify_watcher_ignore(watcher, "t"));
    /* The progress function gives up: nothing is left, and nobody is asked any more. */
    large.most = 0;
    large.count = 0;
    CHECK_EQ(inotify_watcher_watch_with(watcher, "t", &options), -ECANCELED);
    CHECK(large.count < all + (all - 1) * 50);
    CHECK_WATCHES(watcher, 0);
    CHECK_EQ(get_stats(watcher).pending, 0);
    CHECK_EQ(get_stats(watcher).directories, 0);
    inotify_watcher_destroy(watcher);
    recorder_clear(&large.recorder);
}

/* ---- What a filter may do. */

enum act { IGNORE_SELF, IGNORE_BELOW, WATCH, READ, DESTROY };

struct active {
    struct recorder recorder;
    enum act act;
    int64_t id;
    unsigned asked;
    bool at_setup;
};

static int act(inotify_watcher *watcher, const inotify_watcher_directory *directory,
               void *user_data)
{
    struct active *active = user_data;

    active->asked++;
    switch (active->act) {
    case IGNORE_SELF:
        CHECK_EQ(active->recorder.released, 0);
        CHECK_OK(inotify_watcher_ignore_watch(watcher, directory->watch));
        CHECK_EQ(active->recorder.released, 0); /* not while it runs */
        break;
    case IGNORE_BELOW:
        CHECK_OK(inotify_watcher_ignore(watcher, directory->path));
        break;
    case WATCH:
        active->id = inotify_watcher_watch(watcher, directory->path, IN_CREATE, 0, record,
                                           &active->recorder);
        CHECK(active->id > 0);
        break;
    case READ:
        if (active->at_setup)
            CHECK_OK(inotify_watcher_do_read(watcher));
        else
            CHECK_EQ(inotify_watcher_do_read(watcher), -EBUSY);
        CHECK_EQ(inotify_watcher_sync(watcher), -EBUSY);
        break;
    case DESTROY:
        inotify_watcher_destroy(watcher);
        break;
    }
    return 1;
}

static inotify_watcher *active_watcher(struct active *active, bool at_setup)
{
    inotify_watcher *watcher = create();
    inotify_watcher_watch_options options;
    int64_t id;

    make_dirs("t");
    if (at_setup)
        make_dirs("t/a/b");
    memset(&options, 0, sizeof options);
    options.size = sizeof options;
    options.mask = RINOTIFY_WATCH_MASK;
    options.flags = TREE;
    options.callback = record;
    options.release = record_release;
    options.user_data = active;
    options.filter = act;
    id = inotify_watcher_watch_with(watcher, "t", &options);
    if (active->act == DESTROY && at_setup) {
        CHECK_EQ(id, -EBADF);
        CHECK_EQ(active->recorder.released, 0);
        return NULL;
    }
    CHECK(id > 0);
    return watcher;
}

static void acts(void)
{
    inotify_watcher *watcher;
    struct active active;

    memset(&active, 0, sizeof active);
    active.act = IGNORE_SELF;
    watcher = active_watcher(&active, false);
    make_dirs("t/a/b");
    make_dir("t/c");
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_EQ(active.asked, 1);
    CHECK_EQ(active.recorder.released, 1);
    CHECK_WATCHES(watcher, 0);
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
    recorder_clear(&active.recorder);

    check_case("act-ignore-below");
    memset(&active, 0, sizeof active);
    active.act = READ;
    active.at_setup = true;
    watcher = active_watcher(&active, true);
    CHECK_EQ(active.asked, 2);
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_WATCHES(watcher, 3);
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
    remove_tree("t");
    memset(&active, 0, sizeof active);
    active.act = READ;
    watcher = active_watcher(&active, false);
    make_dirs("t/a/b");
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_EQ(active.asked, 2);
    CHECK_WATCHES(watcher, 3);
    /* Renamed, asked about, and ignored meanwhile: then a yes does not bring it back. */
    active.act = IGNORE_BELOW;
    move("t/a/b", "t/b");
    make_file("t/b/unseen");
    make_file("t/a/f");
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_EQ(active.asked, 3);
    CHECK_EQ(recorder_count(&active.recorder, "create t/b/unseen"), 0);
    CHECK_EQ(recorder_count(&active.recorder, "create t/a/f"), 1);
    CHECK_WATCHES(watcher, 2);
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
    recorder_clear(&active.recorder);

    check_case("act-watch");
    memset(&active, 0, sizeof active);
    active.act = WATCH;
    watcher = active_watcher(&active, true);
    CHECK_EQ(active.asked, 2);
    CHECK_EQ(get_stats(watcher).watches, 3);
    CHECK_WATCHES(watcher, 3);
    make_file("t/a/b/f");
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_EQ(recorder_count(&active.recorder, "create t/a/b/f"), 2);
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
    recorder_clear(&active.recorder);

    check_case("act-destroy");
    memset(&active, 0, sizeof active);
    active.act = DESTROY;
    watcher = active_watcher(&active, false);
    make_dirs("t/a/b");
    make_dir("t/c");
    CHECK_EQ(inotify_watcher_sync(watcher), -EBADF);
    CHECK_EQ(active.asked, 1);
    CHECK_EQ(active.recorder.released, 1);
    recorder_clear(&active.recorder);
    check_case("act-destroy-at-setup");
    memset(&active, 0, sizeof active);
    active.act = DESTROY;
    CHECK(active_watcher(&active, true) == NULL);
    CHECK_EQ(active.asked, 1);
}

/* Watched again by the same caller: the filter stays the one that it was made with. */
static void watched_again(void)
{
    inotify_watcher *watcher = create();
    struct filtered filtered = {.refused = PATTERNS("no")};
    int64_t id;

    make_dirs("t/a");
    make_dirs("t/no");
    id = watch_filtered(watcher, "t", IN_CREATE, TREE, NULL, true, &filtered);
    filtered.id = 0;
    CHECK_EQ(watch_filtered(watcher, "t", IN_CREATE | IN_DELETE, TREE, NULL, false, &filtered), id);
    make_dirs("t/a/no");
    EXPECT(watcher, &filtered.recorder, "create|is_dir t/a/no");
    EXPECT_ASKED(watcher, &filtered, "1 t/a", "1 t/no", "2 t/a/no");
    CHECK_WATCHES(watcher, 2);
    inotify_watcher_destroy(watcher);
    filtered_clear(&filtered);
}

int main(void)
{
    check_begin(240);
    check_case("asked");
    asked();
    check_case("gone-meanwhile");
    gone_meanwhile();
    check_case("readable");
    readable();
    check_case("large-tree");
    large_tree();
    check_case("act-ignore-self");
    acts();
    check_case("watched-again");
    watched_again();
    return 0;
}
