/* Paths come back in the spelling of the watch, with one slash before each name.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "check.h"

static void one_spelling(const char *root, const char *prefix, uint32_t flags)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {0};

    watch(watcher, root, RINOTIFY_WATCH_MASK, flags, &recorder);
    CHECK_EQ(inotify_watcher_is_watched(watcher, root), 1);
    make_file("t/a");
    move("t/a", "t/b");
    remove_file("t/b");
    EXPECT(watcher, &recorder, format("create %s/a", prefix), format("moved_from %s/a", prefix),
           format("moved_to %s/b <- %s/a", prefix, prefix), format("delete %s/b", prefix));
    if ((flags & RINOTIFY_WATCH_RECURSIVE) != 0) {
        make_dirs("t/d/e");
        make_file("t/d/e/f");
        CHECK_OK(inotify_watcher_sync(watcher));
        recorder_clear(&recorder);
        make_file("t/d/e/g");
        EXPECT(watcher, &recorder, format("create %s/d/e/g", prefix));
        CHECK_EQ(inotify_watcher_is_watched(watcher, format("%s/d/e", prefix)), 1);
        CHECK_EQ(inotify_watcher_is_watched(watcher, format("%s/d/e/", prefix)), 1);
        CHECK_EQ(inotify_watcher_is_watched(watcher, format("%s/d/ee", prefix)), 0);
        CHECK_EQ(inotify_watcher_is_watched(watcher, format("%s/d/", prefix)), 1);
        remove_tree("t/d");
        CHECK_OK(inotify_watcher_sync(watcher));
    }
    CHECK_TABLES(watcher);
    CHECK_OK(inotify_watcher_ignore(watcher, root));
    CHECK_EQ(inotify_watcher_is_watched(watcher, root), 0);
    recorder_clear(&recorder);
    inotify_watcher_destroy(watcher);
}

static void spellings(void)
{
    make_dir("t");
    make_dir("u");
    CHECK_SYS(symlink("t", "link"));
    for (uint32_t flags = 0; flags <= TREE; flags += TREE) {
        one_spelling("t", "t", flags);
        one_spelling("t/", "t", flags);
        one_spelling("./t", "./t", flags);
        one_spelling("u/../t", "u/../t", flags);
        one_spelling("t/.", "t/.", flags);
        one_spelling("link", "link", flags);
        one_spelling("link/", "link", flags);
        one_spelling(format("%s/t", check_where()), format("%s/t", check_where()), flags);
    }
}

static void working_directory(void)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {0};

    make_dirs("d/e");
    watch(watcher, ".", RINOTIFY_WATCH_MASK, TREE, &recorder);
    make_file("a");
    make_file("d/e/b");
    EXPECT(watcher, &recorder, "create ./a", "create ./d/e/b");
    CHECK_SYS(chmod(".", 0700));
    EXPECT(watcher, &recorder, "attrib|is_dir .");
    CHECK_OK(inotify_watcher_ignore(watcher, "."));
    watch(watcher, "..", IN_CREATE, 0, &recorder);
    make_file("../c");
    EXPECT(watcher, &recorder, "create ../c");
    inotify_watcher_destroy(watcher);
}

/* A relative path is that of the call: going elsewhere later changes nothing. */
static void gone_elsewhere(void)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {0};

    make_dirs("one/t");
    make_dirs("two/t");
    CHECK_SYS(chdir("one"));
    watch(watcher, "t", RINOTIFY_WATCH_MASK, TREE, &recorder);
    CHECK_SYS(chdir("../two"));
    make_dir("t/wrong");
    make_dir("../one/t/d");
    make_file("../one/t/d/a");
    EXPECT(watcher, &recorder, "create|is_dir t/d", "create t/d/a [synthetic]");
    make_file("t/wrong/a");
    make_file("../one/t/d/b");
    move("../one/t/d", "../one/t/e");
    make_dir("../one/t/e/f");
    make_file("../one/t/e/f/g");
    EXPECT(watcher, &recorder, "create t/d/b", "moved_from|is_dir t/d", "moved_to|is_dir t/e <- t/d",
           "create|is_dir t/e/f", "create t/e/f/g [synthetic]");
    inotify_watcher_destroy(watcher);
}

/* The root of the file system has no name to put a slash after. */
static void slash(void)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {0};
    const char *name = format("/rinotify-test-%d", (int)getpid());

    if (access("/", W_OK) == -1)
        return;
    watch(watcher, "/", IN_CREATE | IN_DELETE, 0, &recorder);
    make_file(name);
    remove_file(name);
    CHECK_OK(inotify_watcher_sync(watcher));
    /* Others are at work there too. */
    CHECK_EQ(recorder_count(&recorder, format("create %s", name)), 1);
    CHECK_EQ(recorder_count(&recorder, format("delete %s", name)), 1);
    recorder_clear(&recorder);
    inotify_watcher_destroy(watcher);
}

int main(void)
{
    check_begin(240);
    check_case("spellings");
    spellings();
    check_case("working-directory");
    working_directory();
    check_case("gone-elsewhere");
    gone_elsewhere();
    slash();
    return 0;
}
