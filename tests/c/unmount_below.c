/* A file system that goes away below the root of a watch: it is told, and the watch goes on with
 * what is left.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "check.h"

#include <sys/mount.h>

int main(void)
{
    inotify_watcher *watcher;
    struct recorder recorder = {0};
    size_t told = 0;

    check_begin(240);
    check_private_mounts();
    check_case("below-the-root");
    watcher = create();
    make_dirs("t/m");
    make_dirs("t/d");
    if (mount("rinotify-test", "t/m", "tmpfs", 0, "size=1m") == -1)
        check_skip("tmpfs cannot be mounted");
    make_dirs("t/m/in/deep");
    watch_released(watcher, "t", RINOTIFY_WATCH_MASK, TREE, &recorder);
    make_file("t/m/in/deep/f");
    EXPECT(watcher, &recorder, "create t/m/in/deep/f");
    CHECK_WATCHES(watcher, 5);
    CHECK_SYS(umount("t/m"));
    CHECK_OK(inotify_watcher_sync(watcher));
    for (size_t i = 0; i < recorder.count; i++) {
        told += strncmp(recorder.lines[i], "unmount", 7) == 0 &&
                strcmp(strrchr(recorder.lines[i], ' '), " t/m") == 0;
        CHECK(strstr(recorder.lines[i], "ignored t") == NULL ||
              strcmp(recorder.lines[i], "ignored t") != 0);
    }
    CHECK_EQ(told, 1);
    CHECK_EQ(recorder.released, 0);
    recorder_clear(&recorder);
    make_file("t/d/f");
    EXPECT(watcher, &recorder, "create t/d/f");
    CHECK_OK(inotify_watcher_ignore(watcher, "t"));
    CHECK_WATCHES(watcher, 0);
    CHECK_EQ(recorder.released, 1);
    inotify_watcher_destroy(watcher);
    return 0;
}
