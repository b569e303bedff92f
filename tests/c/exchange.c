/* RENAME_EXCHANGE, where the kernel's own order of events would lead a consumer astray: one that
 * only applies the events must still end up with the real tree, the right entry at each place.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "mirror.h"

#include <fcntl.h>

static struct mirror mirror;
static struct recorder recorder;

static inotify_watcher *begin(void)
{
    inotify_watcher *watcher = create();

    mirror_watch(watcher, "t", &mirror);
    watch(watcher, "t", IN_MOVE, TREE, &recorder);
    MIRROR_EXPECT(watcher, &mirror, "t");
    mirror_note_inodes(&mirror);
    return watcher;
}

/* Four halves: each entry leaves its place and comes to the other one. */
static void check_halves(inotify_watcher *watcher, const char *one, const char *other,
                         bool one_is_dir, bool other_is_dir)
{
    const char *one_words = one_is_dir ? "|is_dir" : "", *other_words = other_is_dir ? "|is_dir" : "";

    EXPECT_SET(watcher, &recorder, format("moved_from%s %s", one_words, one),
               format("moved_to%s %s <- %s", one_words, other, one),
               format("moved_from%s %s", other_words, other),
               format("moved_to%s %s <- %s", other_words, one, other));
}

static void end(inotify_watcher *watcher)
{
    MIRROR_EXPECT(watcher, &mirror, "t");
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
    mirror_clear(&mirror);
    recorder_clear(&recorder);
}

static void files(void)
{
    inotify_watcher *watcher;

    make_dirs("t/d");
    make_file("t/a");
    make_file("t/d/b");
    watcher = begin();
    exchange("t/a", "t/d/b");
    check_halves(watcher, "t/a", "t/d/b", false, false);
    MIRROR_EXPECT(watcher, &mirror, "t");
    /* Later events are told under the names of now. */
    CHECK_SYS(chmod("t/a", 0600));
    remove_file("t/d/b");
    end(watcher);
}

static void directories(void)
{
    inotify_watcher *watcher;

    make_dirs("t/a/in-a");
    make_dirs("t/d/b/in-b");
    make_file("t/a/in-a/f");
    make_file("t/d/b/in-b/g");
    watcher = begin();
    exchange("t/a", "t/d/b");
    make_file("t/a/in-b/new");
    make_file("t/d/b/in-a/new");
    check_halves(watcher, "t/a", "t/d/b", true, true);
    MIRROR_EXPECT(watcher, &mirror, "t");
    CHECK_EQ(inotify_watcher_is_watched(watcher, "t/a/in-b"), 1);
    CHECK_EQ(inotify_watcher_is_watched(watcher, "t/a/in-a"), 0);
    remove_tree("t/a");
    end(watcher);
}

static void file_and_directory(void)
{
    inotify_watcher *watcher;

    make_dirs("t/a/in-a");
    make_dirs("t/d");
    make_file("t/d/b");
    watcher = begin();
    exchange("t/a", "t/d/b");
    check_halves(watcher, "t/a", "t/d/b", true, false);
    make_file("t/d/b/in-a/new");
    MIRROR_EXPECT(watcher, &mirror, "t");
    exchange("t/a", "t/d/b");
    check_halves(watcher, "t/a", "t/d/b", false, true);
    make_file("t/a/in-a/newer");
    end(watcher);
}

/* Two renames that give the kernel's events of an exchange: mv a b; mv b a. */
static void no_exchange(void)
{
    inotify_watcher *watcher;

    make_dirs("t/x/in-x");
    make_dirs("t/y");
    make_file("t/a");
    make_file("t/b");
    watcher = begin();
    move("t/a", "t/b");
    move("t/b", "t/a");
    move("t/x", "t/y");
    move("t/y", "t/x");
    make_file("t/x/in-x/f");
    EXPECT(watcher, &recorder, "moved_from t/a", "moved_to t/b <- t/a", "moved_from t/b",
           "moved_to t/a <- t/b", "moved_from|is_dir t/x", "moved_to|is_dir t/y <- t/x",
           "moved_from|is_dir t/y", "moved_to|is_dir t/x <- t/y");
    end(watcher);
}

/* One half of it outside the tree. */
static void with_outside(void)
{
    inotify_watcher *watcher;

    make_dirs("t/a/in-a");
    make_dirs("away/b/in-b");
    make_file("away/b/in-b/f");
    make_file("t/f");
    make_file("away/g");
    watcher = begin();
    exchange("t/a", "away/b");
    make_file("away/b/in-a/unseen");
    make_file("t/a/in-b/new");
    EXPECT_SET(watcher, &recorder, "moved_from|is_dir t/a", "moved_to|is_dir t/a");
    MIRROR_EXPECT(watcher, &mirror, "t");
    exchange("t/f", "away/g");
    EXPECT_SET(watcher, &recorder, "moved_from t/f", "moved_to t/f");
    end(watcher);
}

/* Many, all read at once, in every mixture. */
static void many(void)
{
    inotify_watcher *watcher;
    unsigned state = 12345;

    make_dir("t");
    for (int i = 0; i < 8; i++) {
        if (i % 2 == 0)
            make_dirs(format("t/%d/in", i));
        else
            make_file(format("t/%d", i));
    }
    watcher = begin();
    for (int round = 0; round < 300; round++) {
        for (int i = 0; i < 5; i++) {
            unsigned one, other;

            state = state * 1103515245 + 12345;
            one = (state >> 16) % 8;
            other = (state >> 20) % 8;
            if (one == other)
                continue;
            if ((state >> 24) % 3 == 0) {
                move(format("t/%u", one), "t/spare");
                move(format("t/%u", other), format("t/%u", one));
                move("t/spare", format("t/%u", other));
            } else {
                exchange(format("t/%u", one), format("t/%u", other));
            }
        }
        MIRROR_EXPECT(watcher, &mirror, "t");
    }
    end(watcher);
}

int main(void)
{
    check_begin(240);
    check_case("files");
    files();
    check_case("directories");
    directories();
    check_case("file-and-directory");
    file_and_directory();
    check_case("no-exchange");
    no_exchange();
    check_case("with-outside");
    with_outside();
    check_case("many");
    many();
    return 0;
}
