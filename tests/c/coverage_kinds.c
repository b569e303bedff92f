/* Links in circles, fifos, sockets and devices in a tree are entries and nothing more; a file system
 * that does not tell types is watched all the same.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "reader.h"

#include <dirent.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

static void make_socket(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    CHECK(fd >= 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    CHECK_SYS(bind(fd, (const struct sockaddr *)&address, sizeof address));
    close(fd);
}

static unsigned make_all(const char *in)
{
    unsigned count = 7;

    CHECK_SYS(symlink("b", format("%s/a", in)));
    CHECK_SYS(symlink("a", format("%s/b", in)));
    CHECK_SYS(symlink(".", format("%s/self", in)));
    CHECK_SYS(symlink("..", format("%s/up", in)));
    CHECK_SYS(symlink("../../outside", format("%s/out", in)));
    CHECK_SYS(mkfifo(format("%s/fifo", in), 0600));
    make_socket(format("%s/socket", in));
    if (geteuid() == 0 && mknod(format("%s/null", in), S_IFCHR | 0600, makedev(1, 3)) == 0)
        count++;
    return count;
}

static void all_kinds(void)
{
    static const char *const names[] = {"a", "b", "self", "up", "out", "fifo", "socket"};
    inotify_watcher *watcher = create();
    struct recorder recorder = {0};
    unsigned count;

    make_dirs("t/d");
    make_dirs("outside/in");
    count = make_all("t/d");
    watch(watcher, "t", RINOTIFY_WATCH_MASK, TREE | RINOTIFY_WATCH_EMIT_EXISTING, &recorder);
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_EQ(recorder.count, count + 1);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        CHECK_EQ(recorder_count(&recorder, format("create t/d/%s [synthetic]", names[i])), 1);
    recorder_clear(&recorder);
    make_dir("t/e");
    CHECK_OK(inotify_watcher_sync(watcher));
    recorder_clear(&recorder);
    count = make_all("t/e");
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_EQ(recorder.count, count);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        CHECK_EQ(recorder_count(&recorder, format("create t/e/%s", names[i])), 1);
    recorder_clear(&recorder);
    CHECK_EQ(get_stats(watcher).watchpoints, 3);
    CHECK_EQ(coverage_of(watcher, 1, NULL), RINOTIFY_COVERAGE_COMPLETE);
    make_file("outside/in/unseen");
    EXPECT_NOTHING(watcher, &recorder);
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
}

/* ext4 made without the feature says DT_UNKNOWN of everything (fs/ext4/ext4.h, get_dtype). */
static void no_types(void)
{
    inotify_watcher *watcher;
    struct recorder recorder = {0};
    struct dirent *entry;
    DIR *dir;

    if (geteuid() != 0)
        return;
    check_private_mounts();
    make_dir("t");
    if (system("truncate -s 8M image && mkfs.ext4 -q -F -O ^filetype image >mkfs.log 2>&1 &&"
               " mount -o loop image t >mount.log 2>&1") != 0) {
        fputs("no file system in a file here\n", stderr);
        return;
    }
    CHECK_SYS(rmdir("t/lost+found"));
    make_dirs("t/a/b/c");
    make_file("t/a/f");
    make_all("t/a/b");
    dir = opendir("t/a");
    CHECK(dir != NULL);
    while ((entry = readdir(dir)) != NULL)
        CHECK_EQ(entry->d_type, DT_UNKNOWN);
    closedir(dir);
    watcher = create();
    watch(watcher, "t", RINOTIFY_WATCH_MASK, TREE | RINOTIFY_WATCH_EMIT_EXISTING, &recorder);
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_EQ(recorder.count, 4 + 8);
    CHECK_EQ(recorder_count(&recorder, "create|is_dir t/a/b/c [synthetic]"), 1);
    CHECK_EQ(recorder_count(&recorder, "create t/a/b/self [synthetic]"), 1);
    recorder_clear(&recorder);
    CHECK_EQ(get_stats(watcher).watchpoints, 4);
    make_dirs("t/n/m");
    make_file("t/n/m/f");
    EXPECT(watcher, &recorder, "create|is_dir t/n", "create|is_dir t/n/m [synthetic]",
           "create t/n/m/f [synthetic]");
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
    CHECK_EQ(system("umount t"), 0);
}

int main(void)
{
    check_begin(120);
    check_case("all-kinds");
    all_kinds();
    check_case("no-types");
    no_types();
    return 0;
}
