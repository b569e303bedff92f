/* The library looks into directories too: nobody is told of that.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "check.h"

#include <fcntl.h>

int main(void)
{
    inotify_watcher *watcher;
    struct recorder recorder = {0};
    uint32_t mask = IN_OPEN | IN_ACCESS | IN_CLOSE_NOWRITE;

    check_begin(240);
    check_case("own-scans");
    watcher = create();
    make_dirs("t/d/e");
    make_file("t/d/e/f");
    watch(watcher, "t", mask, TREE, &recorder);
    EXPECT_NOTHING(watcher, &recorder);
    make_dirs("t/new/deep");
    make_file("t/new/deep/f");
    EXPECT_NOTHING(watcher, &recorder);
    inotify_watcher_destroy(watcher);

    /* The same with a listing of all there is. */
    watcher = create();
    watch(watcher, "t", mask, TREE | RINOTIFY_WATCH_EMIT_EXISTING, &recorder);
    EXPECT_SET(watcher, &recorder, "create|is_dir t/d [synthetic]",
               "create|is_dir t/d/e [synthetic]", "create t/d/e/f [synthetic]",
               "create|is_dir t/new [synthetic]", "create|is_dir t/new/deep [synthetic]",
               "create t/new/deep/f [synthetic]");
    drain(watcher);
    CHECK_EQ(recorder.count, 0);
    /* What somebody else looks into is told. */
    CHECK_SYS(close((int)CHECK_SYS(open("t/new/deep", O_RDONLY | O_DIRECTORY | O_CLOEXEC))));
    EXPECT(watcher, &recorder, "open|is_dir t/new/deep", "close_nowrite|is_dir t/new/deep");
    inotify_watcher_destroy(watcher);
    return 0;
}
