/* Below the root no symbolic link is followed: not by the first scan, not when one appears, not
 * in a circle.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "mirror.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

static void not_followed(void)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {0};
    struct mirror mirror = {0};

    make_dirs("outside/deep");
    make_dirs("t/d/e");
    CHECK_SYS(symlink("../outside", "t/link"));
    CHECK_SYS(symlink("..", "t/d/up"));
    CHECK_SYS(symlink(".", "t/self"));
    CHECK_SYS(symlink("/dev/null", "t/device"));
    watch(watcher, "t", RINOTIFY_WATCH_MASK, TREE, &recorder);
    mirror_watch(watcher, "t", &mirror);
    MIRROR_EXPECT(watcher, &mirror, "t");
    CHECK_WATCHES(watcher, 3);
    CHECK(!kernel_watches_path(watcher, "outside"));

    /* New links, one that is moved in, one to a directory in the tree, one that replaces one. */
    CHECK_SYS(symlink("../../outside", "t/d/link"));
    CHECK_SYS(symlink("e", "t/d/inside"));
    CHECK_SYS(symlink("../outside", "coming"));
    move("coming", "t/came");
    remove_file("t/self");
    CHECK_SYS(symlink("d", "t/self"));
    make_file("outside/unseen");
    make_file("outside/deep/unseen");
    make_file("t/d/e/seen");
    EXPECT(watcher, &recorder, "create t/d/link", "create t/d/inside", "moved_to t/came",
           "delete t/self", "create t/self", "create t/d/e/seen");
    MIRROR_EXPECT(watcher, &mirror, "t");
    CHECK_WATCHES(watcher, 3);
    CHECK(!kernel_watches_path(watcher, "outside"));
    CHECK_TABLES(watcher);

    /* A directory becomes a link of the same name, and a link a directory. */
    remove_tree("t/d/e");
    CHECK_SYS(symlink("../../outside", "t/d/e"));
    remove_file("t/link");
    make_dir("t/link");
    make_file("t/link/f");
    MIRROR_EXPECT(watcher, &mirror, "t");
    CHECK_WATCHES(watcher, 3);
    CHECK(!kernel_watches_path(watcher, "outside"));
    make_file("outside/unseen-too");
    make_file("t/link/g");
    MIRROR_EXPECT(watcher, &mirror, "t");
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
    mirror_clear(&mirror);
    recorder_clear(&recorder);
}

/* A directory is swapped for a link to a place outside and back, while the library adds what is
 * made below it. */
static atomic_bool done;

static void *swap_on(void *unused)
{
    (void)unused;
    for (unsigned i = 0; i < check_rounds(2000); i++) {
        make_dirs("t/d/a/b/c");
        move("t/d", "t/spare");
        CHECK_SYS(symlink("../outside", "t/d"));
        sched_yield();
        remove_file("t/d");
        move("t/spare", "t/d");
        remove_dir("t/d/a/b/c");
        remove_dir("t/d/a/b");
        remove_dir("t/d/a");
    }
    atomic_store(&done, true);
    return NULL;
}

static void *write_outside(void *unused)
{
    (void)unused;
    while (!atomic_load(&done)) {
        make_file("outside/a/secret");
        make_file("outside/a/b/secret");
        remove_file("outside/a/secret");
        remove_file("outside/a/b/secret");
    }
    return NULL;
}

static void no_secret(inotify_watcher *watcher, const inotify_watcher_event *event, void *user_data)
{
    (void)watcher;
    (void)user_data;
    if (strstr(event->path, "secret") != NULL)
        check_fail(__FILE__, __LINE__, "told of what is outside: %s", event->path);
}

static void swapped(void)
{
    static const char *const outside[] = {"outside", "outside/a", "outside/a/b", "outside/a/b/c"};
    inotify_watcher *watcher = create();
    pthread_t writer, other;

    make_dirs("outside/a/b/c");
    make_file("outside/a/b/c/secret");
    make_dirs("t/d");
    CHECK_OK(inotify_watcher_watch(watcher, "t", RINOTIFY_WATCH_MASK,
                                   TREE | RINOTIFY_WATCH_EMIT_EXISTING, no_secret, NULL));
    CHECK_EQ(pthread_create(&writer, NULL, swap_on, NULL), 0);
    CHECK_EQ(pthread_create(&other, NULL, write_outside, NULL), 0);
    for (unsigned turn = 0; !atomic_load(&done); turn++) {
        CHECK_OK(inotify_watcher_do_read(watcher));
        for (size_t i = 0; turn % 8 == 0 && i < 4; i++)
            CHECK(!kernel_watches_path(watcher, outside[i]));
    }
    CHECK_EQ(pthread_join(writer, NULL), 0);
    CHECK_EQ(pthread_join(other, NULL), 0);
    CHECK_OK(inotify_watcher_sync(watcher));
    drain(watcher);
    for (size_t i = 0; i < 4; i++)
        CHECK(!kernel_watches_path(watcher, outside[i]));
    CHECK_WATCHES(watcher, 2);
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
}

int main(void)
{
    check_begin(240);
    check_case("not-followed");
    not_followed();
    check_case("swapped");
    swapped();
    return 0;
}
