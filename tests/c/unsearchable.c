/* A relative path is enough, even where no absolute one leads: the current directory is below one
 * that this user may not search, as for a daemon that gave up its user.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "check.h"

#include <sys/prctl.h>

static void watches(bool dumpable)
{
    inotify_watcher *watcher;
    struct recorder recorder = {0};
    struct stat status;

    make_dirs("t/d");
    CHECK_SYS(chmod("t", 0777));
    CHECK_SYS(chmod("t/d", 0777));
    CHECK_SYS(chmod("..", 0));
    if (geteuid() == 0)
        CHECK_SYS(seteuid(65534));
    /* Without it /proc/self does not belong to this user either. */
    CHECK_SYS(prctl(PR_SET_DUMPABLE, dumpable));
    CHECK_EQ(stat(check_where(), &status), -1);
    watcher = create();
    watch(watcher, "t", RINOTIFY_WATCH_MASK, TREE, &recorder);
    make_dirs("t/d/e/f");
    EXPECT(watcher, &recorder, "create|is_dir t/d/e", "create|is_dir t/d/e/f [synthetic]");
    make_file("t/d/e/f/g");
    EXPECT(watcher, &recorder, "create t/d/e/f/g");
    inotify_watcher_destroy(watcher);
    if (geteuid() != getuid())
        CHECK_SYS(seteuid(getuid()));
    CHECK_SYS(prctl(PR_SET_DUMPABLE, 1));
    CHECK_SYS(chmod("..", 0700));
}

int main(void)
{
    check_begin(240);
    check_case("dumpable");
    watches(true);
    CHECK_SYS(chdir(".."));
    check_case("not-dumpable");
    watches(false);
    return 0;
}
