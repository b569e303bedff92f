/* File systems that this machine can mount for a moment: a copy of the tree that is kept from the events
 * alone is right on each. What is known of the others is in docs/guarantees.md.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "mirror.h"

#include <sys/mount.h>

/* What is there already is in `t`, some of it from a layer below. */
static void changes(inotify_watcher *watcher, struct mirror *mirror)
{
    make_dirs("m/t/new/deep/deeper");
    make_file("m/t/new/deep/deeper/f");
    write_file("m/t/below/deep/f", "other text");
    MIRROR_EXPECT(watcher, mirror, "m/t");
    move("m/t/new/deep", "m/t/moved");
    make_file("m/t/moved/deeper/g");
    write_file("m/t/over", "text");
    move("m/t/moved/deeper/g", "m/t/over");
    MIRROR_EXPECT(watcher, mirror, "m/t");
    remove_tree("m/t/below");
    make_dirs("m/t/below/again");
    move("m/t/moved", "m/out");
    MIRROR_EXPECT(watcher, mirror, "m/t");
    make_file("m/out/deeper/unseen");
    move("m/out", "m/t/back");
    MIRROR_EXPECT(watcher, mirror, "m/t");
    CHECK(inotify_watcher_is_watched(watcher, "m/t/back/deeper") == 1);
}

static void run(const char *name, void (*make)(void))
{
    inotify_watcher *watcher;
    struct mirror mirror = {0};

    check_case(name);
    make_dir("m");
    make();
    watcher = create();
    mirror_watch(watcher, "m/t", &mirror);
    MIRROR_EXPECT(watcher, &mirror, "m/t");
    changes(watcher, &mirror);
    inotify_watcher_destroy(watcher);
    mirror_clear(&mirror);
    CHECK_SYS(umount2("m", MNT_DETACH));
}

static void content(const char *at)
{
    make_dirs(format("%s/t/below/deep", at));
    write_file(format("%s/t/below/deep/f", at), "text");
}

static void make_tmpfs(void)
{
    if (mount("rinotify-test", "m", "tmpfs", 0, "size=1m") == -1)
        check_skip("tmpfs cannot be mounted");
    content("m");
}

static bool have_overlay;

static void make_overlay(void)
{
    make_dir("layers");
    CHECK_SYS(mount("rinotify-test", "layers", "tmpfs", 0, "size=1m"));
    make_dirs("layers/upper");
    make_dirs("layers/work");
    content("layers/lower");
    CHECK_SYS(mount("rinotify-test", "m", "overlay", 0,
                    "lowerdir=layers/lower,upperdir=layers/upper,workdir=layers/work"));
}

static void probe_overlay(void)
{
    make_dirs("a");
    make_dirs("b");
    make_dirs("p");
    have_overlay = mount("rinotify-test", "p", "overlay", 0, "lowerdir=a:b") == 0;
    if (have_overlay)
        CHECK_SYS(umount("p"));
}

/* Nothing that is told of /proc is of use, and nothing breaks by it. */
static void proc(void)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {.silent = true};
    inotify_watcher_status status = {.size = sizeof status};
    int64_t id;

    check_case("proc");
    id = watch(watcher, "/proc/self", RINOTIFY_WATCH_MASK, TREE | RINOTIFY_WATCH_EMIT_EXISTING,
               &recorder);
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK(recorder.count > 20);
    CHECK_OK(inotify_watcher_get_status(watcher, id, &status));
    CHECK(status.coverage == RINOTIFY_COVERAGE_COMPLETE ||
          status.coverage == RINOTIFY_COVERAGE_PARTIAL);
    id = watch(watcher, "/proc/sys/fs", RINOTIFY_WATCH_MASK, TREE | RINOTIFY_WATCH_EMIT_EXISTING,
               &recorder);
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_OK(inotify_watcher_get_status(watcher, id, &status));
    CHECK_EQ(inotify_watcher_is_watched(watcher, "/proc/sys/fs/inotify"), 1);
    CHECK_OK(inotify_watcher_ignore(watcher, "/proc/self"));
    CHECK_OK(inotify_watcher_ignore(watcher, "/proc/sys/fs"));
    drain(watcher);
    CHECK_WATCHES(watcher, 0);
    inotify_watcher_destroy(watcher);
}

int main(void)
{
    check_begin(120);
    proc();
    check_private_mounts();
    run("tmpfs", make_tmpfs);
    check_case("overlay-there");
    probe_overlay();
    if (have_overlay)
        run("overlay", make_overlay);
    else
        fprintf(stderr, "no overlayfs here\n");
    return 0;
}
