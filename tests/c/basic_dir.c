/* One directory, not recursive: each kind of event, filtered by the mask.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "check.h"

#include <fcntl.h>

static void usual_mask(void)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {0};

    make_dirs("t/before");
    watch(watcher, "t", RINOTIFY_WATCH_MASK, 0, &recorder);
    CHECK_WATCHES(watcher, 1);
    EXPECT_NOTHING(watcher, &recorder);

    make_file("t/a");
    EXPECT(watcher, &recorder, "create t/a");
    write_file("t/a", "text");
    EXPECT(watcher, &recorder, "modify t/a");
    CHECK_SYS(truncate("t/a", 0));
    EXPECT(watcher, &recorder, "modify t/a");
    CHECK_SYS(chmod("t/a", 0600));
    EXPECT(watcher, &recorder, "attrib t/a");
    move("t/a", "t/b");
    EXPECT(watcher, &recorder, "moved_from t/a", "moved_to t/b <- t/a");
    move("t/b", "away");
    EXPECT(watcher, &recorder, "moved_from t/b");
    move("away", "t/back");
    EXPECT(watcher, &recorder, "moved_to t/back");
    remove_file("t/back");
    EXPECT(watcher, &recorder, "delete t/back");

    make_dir("t/d");
    EXPECT(watcher, &recorder, "create|is_dir t/d");
    /* Not recursive: what is below a subdirectory is nobody's business. */
    make_file("t/d/unseen");
    make_file("t/before/unseen");
    remove_file("t/d/unseen");
    EXPECT_NOTHING(watcher, &recorder);
    CHECK_EQ(inotify_watcher_is_watched(watcher, "t/d"), 0);
    CHECK_SYS(chmod("t/d", 0700));
    EXPECT(watcher, &recorder, "attrib|is_dir t/d");
    remove_dir("t/d");
    EXPECT(watcher, &recorder, "delete|is_dir t/d");

    CHECK_SYS(symlink("nowhere", "t/link"));
    CHECK_SYS(mkfifo("t/fifo", 0644));
    make_file("t/one");
    CHECK_SYS(link("t/one", "t/other"));
    /* The new link changes the attributes of the first name, but its directory is not told. */
    EXPECT(watcher, &recorder, "create t/link", "create t/fifo", "create t/one", "create t/other");

    /* The root itself. */
    CHECK_SYS(chmod("t", 0700));
    EXPECT(watcher, &recorder, "attrib|is_dir t");
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
}

/* Whether the event's name is that of the entry, in the very bytes of the path. */
static void check_name(inotify_watcher *watcher, const inotify_watcher_event *event,
                       void *user_data)
{
    const char **want = user_data;

    (void)watcher;
    if (*want == NULL) {
        CHECK(event->name == NULL);
        CHECK_STR(event->path, "t");
    } else {
        CHECK_STR(event->name, *want);
        CHECK(event->name == event->path + event->path_len - strlen(*want));
    }
    want[1] = "";
}

static void names(void)
{
    inotify_watcher *watcher = create();
    static const char *const odd[] = {"a", " ", "-", "a b\nc", "\x01\x7f", "\xff\xfe", "\\", "%s",
                                      "\xc3\x28", "\xed\xa0\x80", "..."};
    const char *want[2] = {NULL, NULL};
    char longest[256];

    make_dir("t");
    CHECK_OK(inotify_watcher_watch(watcher, "t", RINOTIFY_WATCH_MASK, 0, check_name, want));
    CHECK_SYS(chmod("t", 0700));
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_STR(want[1], "");
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        want[0] = odd[i];
        want[1] = NULL;
        make_file(format("t/%s", odd[i]));
        CHECK_OK(inotify_watcher_sync(watcher));
        CHECK_STR(want[1], "");
    }
    memset(longest, 'x', 255);
    longest[255] = '\0';
    want[0] = longest;
    want[1] = NULL;
    make_file(format("t/%s", longest));
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_STR(want[1], "");
    inotify_watcher_destroy(watcher);
}

static void one_mask(uint32_t mask, const char *const *lines)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {0};
    int fd;
    char byte;

    make_dir("m");
    watch(watcher, "m", mask, 0, &recorder);
    write_file("m/a", "text");
    fd = (int)CHECK_SYS(open("m/a", O_RDONLY | O_CLOEXEC));
    CHECK_EQ(read(fd, &byte, 1), 1);
    CHECK_SYS(close(fd));
    CHECK_SYS(chmod("m/a", 0600));
    move("m/a", "m/b");
    remove_file("m/b");
    expect(__FILE__, __LINE__, watcher, &recorder, true, lines);
    inotify_watcher_destroy(watcher);
    remove_tree("m");
}

#define ONE_MASK(mask, ...) one_mask((mask), (const char *const[]){__VA_ARGS__, NULL})

static void masks(void)
{
    ONE_MASK(IN_ACCESS, "access m/a");
    ONE_MASK(IN_MODIFY, "modify m/a");
    ONE_MASK(IN_ATTRIB, "attrib m/a");
    ONE_MASK(IN_CLOSE_WRITE, "close_write m/a");
    ONE_MASK(IN_CLOSE_NOWRITE, "close_nowrite m/a");
    ONE_MASK(IN_CREATE, "create m/a");
    ONE_MASK(IN_DELETE, "delete m/b");
    ONE_MASK(IN_MOVED_FROM, "moved_from m/a");
    ONE_MASK(IN_CREATE | IN_DELETE, "create m/a", "delete m/b");
    ONE_MASK(IN_DELETE_SELF, NULL);
    ONE_MASK(IN_MOVE_SELF, NULL);
    ONE_MASK(IN_ALL_EVENTS, "create m/a", "open m/a", "modify m/a", "close_write m/a", "open m/a",
             "access m/a", "close_nowrite m/a", "attrib m/a", "moved_from m/a", "moved_to m/b <- m/a",
             "delete m/b");
}

/* IN_MOVED_TO without IN_MOVED_FROM in the mask: the library may have seen the first half for
 * itself; the second half comes either way, and its old path is right if it is there. */
static void moved_to_alone(void)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {0};

    make_dir("t");
    make_file("t/a");
    watch(watcher, "t", IN_MOVED_TO, 0, &recorder);
    move("t/a", "t/b");
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_EQ(recorder.count, 1);
    CHECK(recorder_count(&recorder, "moved_to t/b") + recorder_count(&recorder,
                                                                     "moved_to t/b <- t/a") ==
          1);
    recorder_clear(&recorder);
    inotify_watcher_destroy(watcher);
}

int main(void)
{
    check_begin(240);
    check_case("usual-mask");
    usual_mask();
    check_case("names");
    names();
    check_case("masks");
    masks();
    check_case("moved-to-alone");
    moved_to_alone();
    return 0;
}
