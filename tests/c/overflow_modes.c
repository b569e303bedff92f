/* A loss of events while some of the tree must not be read or searched: what cannot be looked at is
 * told, and nothing of it until it can be, for it may have left the tree meanwhile. Then it is
 * compared.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "mirror.h"
#include "reader.h"

/* Not less than what every watcher has anyway: another one can be made at the same moment. */
#define QUEUE 16384

static inotify_watcher *create_small(void)
{
    inotify_watcher *watcher = create_with_queue(NULL, QUEUE);

    if (watcher == NULL)
        check_skip("the queue is longer than it is by default");
    return watcher;
}

/* Keeps the queue full until it is read; from here on this is the writer. */
static void lose_what_follows(void)
{
    as_writer();
    write_file("t/open/1", "");
    write_file("t/open/2", "");
    /* In turn, for equal neighbours are one event. */
    for (int i = 0; i < QUEUE; i++)
        CHECK_SYS(chmod(i % 2 == 0 ? "t/open/1" : "t/open/2", 0644));
}

static void compare(inotify_watcher *watcher)
{
    uint64_t before = get_stats(watcher).overflows;

    as_reader();
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_EQ(get_stats(watcher).overflows, before + 1);
}

static void expect_no(const struct recorder *recorder, const char *text)
{
    for (size_t i = 0; i < recorder->count; i++)
        if (strstr(recorder->lines[i], text) != NULL)
            check_fail(__FILE__, __LINE__, recorder->lines[i]);
}

static void shut(mode_t mode)
{
    inotify_watcher *watcher;
    struct recorder recorder = {0};

    make_dirs("t/a/leaves/deep");
    make_dirs("t/a/stays/deep");
    make_dirs("t/a/goes");
    make_dirs("t/open");
    make_dirs("outside");
    as_reader();
    watcher = create_small();
    watch(watcher, "t", RINOTIFY_WATCH_MASK, TREE, &recorder);
    EXPECT_NOTHING(watcher, &recorder);
    change_mode("t/a", mode);
    EXPECT(watcher, &recorder, "attrib|is_dir t/a");
    lose_what_follows();
    move("t/a/leaves", "outside/left");
    remove_tree("t/a/goes");
    make_dirs("t/a/new/deep");
    compare(watcher);
    CHECK_EQ(recorder_count(&recorder, "t [rescan_end]"), 1);
    CHECK_EQ(recorder_count(&recorder, "t [partial]"), 1);
    CHECK_EQ(recorder_count(&recorder, "is_dir t/a [error EACCES]"), 1);
    recorder_clear(&recorder);

    /* What is outside now is not told, and neither is what may be. */
    as_writer();
    make_file("outside/left/f");
    make_file("outside/left/deep/f");
    make_file("t/a/stays/f");
    make_file("t/a/stays/deep/f");
    make_file("t/open/f");
    as_reader();
    EXPECT(watcher, &recorder, "create t/open/f");

    change_mode("t/a", 0755);
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_EQ(coverage_of(watcher, 1, NULL), RINOTIFY_COVERAGE_COMPLETE);
    CHECK_EQ(recorder_count(&recorder, "t [complete]"), 1);
    CHECK_EQ(recorder_count(&recorder, "create|is_dir t/a/new/deep [synthetic]"), 1);
    CHECK_EQ(recorder_count(&recorder, "delete|is_dir t/a/leaves [synthetic]"), 1);
    CHECK_EQ(recorder_count(&recorder, "delete|is_dir t/a/goes [synthetic]"), 1);
    CHECK_EQ(recorder_count(&recorder, "create|is_dir t/a/new [synthetic]"), 1);
    recorder_clear(&recorder);
    as_writer();
    make_file("t/a/stays/g");
    make_file("t/a/stays/deep/g");
    make_file("t/a/new/deep/g");
    make_file("outside/left/g");
    as_reader();
    EXPECT(watcher, &recorder, "create t/a/stays/g", "create t/a/stays/deep/g",
           "create t/a/new/deep/g");
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
    as_writer();
    remove_tree("t");
    remove_tree("outside");
}

/* Another directory has its name by the time that it can be looked at. */
static void replaced(void)
{
    inotify_watcher *watcher;
    struct recorder recorder = {0};

    make_dirs("t/a/b");
    make_dirs("t/open");
    make_dirs("other/c");
    as_reader();
    watcher = create_small();
    watch(watcher, "t", RINOTIFY_WATCH_MASK, TREE, &recorder);
    EXPECT_NOTHING(watcher, &recorder);
    lose_what_follows();
    CHECK_SYS(rename("t/a", "away"));
    CHECK_SYS(chmod("other", 0));
    CHECK_SYS(rename("other", "t/a"));
    compare(watcher);
    CHECK_EQ(recorder_count(&recorder, "is_dir t/a [error EACCES]"), 1);
    recorder_clear(&recorder);
    as_writer();
    make_file("away/f");
    make_file("away/b/f");
    as_reader();
    EXPECT_NOTHING(watcher, &recorder);
    change_mode("t/a", 0755);
    EXPECT(watcher, &recorder, "attrib|is_dir t/a", "delete|is_dir t/a [synthetic]",
           "create|is_dir t/a [synthetic]", "t [complete]", "create|is_dir t/a/c [synthetic]");
    as_writer();
    make_file("away/b/g");
    make_file("t/a/c/g");
    as_reader();
    EXPECT(watcher, &recorder, "create t/a/c/g");
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
    as_writer();
    remove_tree("t");
    remove_tree("away");
}

/* Files can be compared when they can be looked at. */
static void files(void)
{
    inotify_watcher *watcher;
    struct recorder recorder = {0};

    make_dirs("t/a");
    make_dirs("t/open");
    write_file("t/a/changes", "text");
    write_file("t/a/stays", "text");
    write_file("t/a/goes", "text");
    as_reader();
    watcher = create_small();
    watch(watcher, "t", RINOTIFY_WATCH_MASK, TREE | RINOTIFY_WATCH_TRACK_ENTRIES, &recorder);
    EXPECT_NOTHING(watcher, &recorder);
    change_mode("t/a", 0444);
    EXPECT(watcher, &recorder, "attrib|is_dir t/a");
    lose_what_follows();
    write_file("t/a/changes", "a longer text");
    remove_file("t/a/goes");
    make_file("t/a/new");
    compare(watcher);
    CHECK_EQ(recorder_count(&recorder, "is_dir t/a [error EACCES]"), 1);
    CHECK_EQ(recorder_count(&recorder, "t [partial]"), 1);
    expect_no(&recorder, "t/a/");
    recorder_clear(&recorder);
    change_mode("t/a", 0755);
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_EQ(recorder_count(&recorder, "delete t/a/goes [synthetic]"), 1);
    CHECK_EQ(recorder_count(&recorder, "create t/a/new [synthetic]"), 1);
    CHECK_EQ(recorder_count(&recorder, "modify t/a/changes [synthetic]"), 1);
    CHECK_EQ(recorder_count(&recorder, "t [complete]"), 1);
    expect_no(&recorder, "stays");
    recorder_clear(&recorder);
    EXPECT_NOTHING(watcher, &recorder);
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
    as_writer();
    remove_tree("t");
}

/* Modes change at random while events are lost: whoever only applies events has the real tree when all
 * can be read, and is never told what does not fit. */
static void in_step(void)
{
    inotify_watcher *watcher;
    struct mirror mirror = {.overflows = true};
    unsigned state = 11;
    unsigned rounds = check_rounds(20);

    make_dirs("t/0/0/0");
    make_dirs("t/0/1/0");
    make_dirs("t/1/0/0");
    make_dirs("t/1/1/1");
    make_dirs("t/open");
    make_dirs("outside");
    as_reader();
    watcher = create_small();
    mirror_watch(watcher, "t", &mirror);
    /* The same watch, with more. */
    CHECK_EQ(inotify_watcher_watch(watcher, "t", RINOTIFY_WATCH_MASK,
                                   TREE | RINOTIFY_WATCH_EMIT_EXISTING |
                                       RINOTIFY_WATCH_TRACK_ENTRIES,
                                   mirror_event, &mirror),
             1);
    for (unsigned round = 0; round < rounds; round++) {
        if (round % 2 == 0)
            lose_what_follows();
        as_writer();
        for (unsigned i = 0; i < 40; i++) {
            static const mode_t modes[] = {0, 0111, 0444, 0755};
            const char *path;

            state = state * 1103515245 + 12345;
            path = format("t/%u/%u/%u", state >> 16 & 1, state >> 17 & 1, state >> 18 & 1);
            switch (state >> 20 & 7) {
            case 0:
            case 1:
                if (mkdir(path, 0755) == 0)
                    write_file(format("%s/f", path), "1");
                break;
            case 2:
                if (access(path, F_OK) == 0)
                    remove_tree(path);
                break;
            case 3:
                if (access(path, F_OK) == 0)
                    rename(path, format("t/%u/%u/moved", state >> 23 & 1, state >> 24 & 1));
                break;
            case 4:
                if (access(path, F_OK) == 0)
                    rename(path, format("outside/%u", state >> 23 & 3));
                break;
            case 5:
                rename(format("outside/%u", state >> 23 & 3), path);
                break;
            default:
                chmod(format("%.*s", (state >> 23 & 1) != 0 ? 3 : 5 + (int)(state >> 24 & 2), path),
                      modes[state >> 26 & 3]);
                break;
            }
            if (access("outside/1", F_OK) == 0)
                write_file("outside/1/out", "1");
        }
        as_reader();
        if (round % 3 == 0)
            drain(watcher);
        if (round % 5 == 4) {
            as_writer();
            /* From the top down, so that each can be reached. */
            CHECK_EQ(system("find t -type d ! -perm -0755 -exec chmod 0755 {} \\;"), 0);
            as_reader();
            CHECK_OK(inotify_watcher_sync(watcher));
            CHECK_EQ(coverage_of(watcher, 1, NULL), RINOTIFY_COVERAGE_COMPLETE);
            MIRROR_EXPECT(watcher, &mirror, "t");
            CHECK_TABLES(watcher);
        }
    }
    CHECK(get_stats(watcher).overflows > 0);
    inotify_watcher_destroy(watcher);
    mirror_clear(&mirror);
    as_writer();
    remove_tree("t");
    remove_tree("outside");
}

/* A mode that was told, could not be looked at, and is what it was before when it can be: whoever was
 * told of it last has seen the other one. */
static void back_as_it_was(void)
{
    inotify_watcher *watcher;
    struct recorder recorder = {0};

    make_dirs("t/p/a");
    make_dirs("t/open");
    as_reader();
    watcher = create_small();
    watch(watcher, "t", RINOTIFY_WATCH_MASK, TREE | RINOTIFY_WATCH_TRACK_ENTRIES, &recorder);
    EXPECT_NOTHING(watcher, &recorder);
    change_mode("t/p/a", 0555);
    change_mode("t/p", 0);
    EXPECT(watcher, &recorder, "attrib|is_dir t/p/a", "attrib|is_dir t/p");
    lose_what_follows();
    change_mode("t/p", 0755);
    change_mode("t/p/a", 0755);
    compare(watcher);
    CHECK_EQ(recorder_count(&recorder, "attrib|is_dir t/p/a [synthetic]"), 1);
    recorder_clear(&recorder);
    inotify_watcher_destroy(watcher);
    as_writer();
}

int main(void)
{
    check_begin(120);
    if (getuid() != 0)
        check_skip("another user takes root");
    check_case("nothing-allowed");
    shut(0);
    check_case("only-search");
    shut(0111);
    check_case("only-read");
    shut(0444);
    check_case("replaced");
    replaced();
    check_case("files");
    files();
    check_case("back-as-it-was");
    back_as_it_was();
    check_case("in-step");
    in_step();
    return 0;
}
