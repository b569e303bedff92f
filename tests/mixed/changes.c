/* The changes. What fails, because what it needs is not there, is no matter.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "mixed.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <mntent.h>
#include <sys/mount.h>

/* ---- Paths. */

static const char *below_root(void)
{
    static const char *const names[] = {"a", "b", "c", "x1", "x2"};
    const char *path = ROOT;

    for (unsigned depth = 1 + below(3); depth > 0; depth--)
        path = format("%s/%s", path, names[below(5)]);
    return path;
}

static const char *outside(void)
{
    return format("o/%u", below(4));
}

/* ---- What is tried. */

static void try_make_dirs(const char *path)
{
    for (size_t i = 1; path[i - 1] != '\0'; i++)
        if (path[i] == '/' || path[i] == '\0')
            (void)mkdir(format("%.*s", (int)i, path), 0755);
}

static void try_write(const char *path, const char *text, int flags)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | flags, 0644);

    if (fd == -1)
        return;
    (void)!write(fd, text, strlen(text)); /* into a fifo that nobody reads */
    CHECK_SYS(close(fd));
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *at)
{
    (void)status;
    (void)type;
    (void)at;
    (void)remove(path);
    return 0;
}

static void try_remove_tree(const char *path)
{
    (void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static int try_exchange(const char *one, const char *other)
{
    return renameat2(AT_FDCWD, one, AT_FDCWD, other, RENAME_EXCHANGE);
}

static bool is_type(const char *path, mode_t type)
{
    struct stat status;

    return lstat(path, &status) == 0 && (status.st_mode & S_IFMT) == type;
}

/* ---- What is not to last. */

/* Once: of the watchers that are there already a later change says nothing. */
static unsigned long queue_length(void)
{
    static unsigned long length;
    FILE *file;

    if (length > 0)
        return length;
    file = fopen("/proc/sys/fs/inotify/max_queued_events", "re");
    CHECK(file != NULL);
    CHECK_EQ(fscanf(file, "%lu", &length), 1);
    CHECK_EQ(fclose(file), 0);
    return length;
}

bool can_overflow(void)
{
    return queue_length() <= 65536;
}

static void fill_queue(void)
{
    const char *one = ROOT "/fa", *other = ROOT "/fb";

    note("fill the queue");
    if (access(ROOT, X_OK) == -1)
        return;
    try_write(one, "", 0);
    try_write(other, "", 0);
    /* By turns: the kernel leaves out an event that is equal to the last one. */
    for (unsigned long left = queue_length() / 2 + 800; left > 0; left--) {
        (void)chmod(one, 0644);
        (void)chmod(other, 0644);
    }
}

static void shut(const char *path)
{
    static const mode_t modes[] = {0, 0111, 0444, 0755, 0755, 0700};
    mode_t mode = modes[below(6)];

    if (!is_type(path, S_IFLNK))
        note("chmod %s %o: %d", path, (unsigned)mode, chmod(path, mode));
}

/* Directories and all below them are opened; for a writer who is not root before they are read. */
static void open_dirs(const char *top)
{
    char path[1024];
    struct stat status;
    struct dirent *entry;
    DIR *dir;

    if (lstat(top, &status) == -1 || !S_ISDIR(status.st_mode))
        return;
    if ((status.st_mode & 0755) != 0755) {
        note("chmod %s 755", top);
        CHECK_SYS(chmod(top, 0755));
    }
    dir = opendir(top);
    CHECK(dir != NULL);
    while ((entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        CHECK((size_t)snprintf(path, sizeof path, "%s/%s", top, entry->d_name) < sizeof path);
        open_dirs(path);
    }
    closedir(dir);
}

static bool unmount_some(void)
{
    FILE *mounts = setmntent("/proc/self/mounts", "re");
    size_t length = strlen(check_where());
    struct mntent *mounted;
    bool some = false;

    CHECK(mounts != NULL);
    while ((mounted = getmntent(mounts)) != NULL)
        if (strncmp(mounted->mnt_dir, check_where(), length) == 0 &&
            mounted->mnt_dir[length] == '/') {
            note("umount %s", mounted->mnt_dir + length + 1);
            some |= umount2(mounted->mnt_dir, MNT_DETACH) == 0;
        }
    endmntent(mounts);
    return some;
}

void unmount_all(void)
{
    while (plan.mounts && unmount_some())
        ;
}

void end_restrictions(void)
{
    unmount_all();
    if (!plan.follow)
        (void)rename("o/root", ROOT);
    if (plan.modes) {
        open_dirs("w");
        open_dirs("v");
        open_dirs("o");
    }
    set_watch_limit(false);
    no_descriptors = false;
}

/* ---- The changes. */

static void change_root(void)
{
    copy.looks_fail = true;
    switch (below(12)) {
    case 0:
        note("the root away: %d", rename(ROOT, "w/old"));
        break;
    case 1:
        note("the root back: %d", rename("w/old", ROOT));
        break;
    case 2:
        note("its parent away: %d", rename("w", "v"));
        break;
    case 3:
        note("its parent back: %d", rename("v", "w"));
        break;
    case 4:
        note("make the root");
        try_make_dirs(ROOT);
        break;
    case 5:
        note("remove the root");
        try_remove_tree(ROOT);
        break;
    case 6:
        note("exchange its parent: %d", try_exchange("w", "v"));
        break;
    case 7:
        note("exchange the root: %d", try_exchange(ROOT, "w/old"));
        break;
    case 8:
        note("the root is a link: %d", symlink("../o", ROOT));
        break;
    case 9:
        note("unlink the root: %d", unlink(ROOT));
        break;
    case 10:
        note("the root is a file");
        try_write(ROOT, "1", 0);
        break;
    case 11:
        if (plan.modes)
            note("chmod its parent: %d", chmod("w", below(2) == 0 ? 0 : 0755));
        break;
    }
}

static void change_names(const char *path)
{
    const char *other = below_root(), *out = outside();

    switch (below(12)) {
    case 0: case 1: case 2: case 3: case 4:
        note("rename %s %s: %d", path, other, rename(path, other));
        break;
    case 5: case 6:
        note("exchange %s %s: %d", path, other, try_exchange(path, other));
        break;
    case 7: case 8:
        note("out: %s %s: %d", path, out, rename(path, out));
        break;
    case 9: case 10:
        note("in: %s %s: %d", out, path, rename(out, path));
        break;
    case 11:
        note("unlink, write %s", path);
        if (unlink(path) == 0)
            try_write(path, "text", 0);
        break;
    }
}

static void change_entries(const char *path)
{
    const char *out;

    switch (below(20)) {
    case 0: case 1: case 2: case 3:
        note("mkdir %s: %d", path, mkdir(path, 0755));
        break;
    case 4: case 5:
        note("mkdir -p %s", path);
        if (access(ROOT, F_OK) == 0)
            try_make_dirs(path);
        break;
    case 6: case 7: case 8:
        note("append %s", path);
        try_write(path, "text", O_APPEND);
        break;
    case 9:
        note("write %s", path);
        try_write(path, "t", O_TRUNC);
        break;
    case 10: case 11:
        note("unlink %s: %d", path, unlink(path));
        break;
    case 12:
        note("rmdir %s: %d", path, rmdir(path));
        break;
    case 13:
        note("rm -rf %s", path);
        try_remove_tree(path);
        break;
    case 14:
        note("symlink %s: %d", path, symlink(below(2) == 0 ? "a" : "../o", path));
        break;
    case 15:
        note("mkfifo %s: %d", path, mkfifo(path, 0644));
        break;
    case 16:
        note("write o/tmp, rename %s", path);
        try_write("o/tmp", "new", O_TRUNC);
        (void)rename("o/tmp", path);
        break;
    case 17:
        if (is_type(path, S_IFREG))
            note("chmod %s: %d", path, chmod(path, 0600 + below(8) * 8));
        break;
    case 18: case 19:
        out = outside();
        note("write %s/f, mkdir %s/d", out, out);
        try_write(format("%s/f", out), "1", 0);
        (void)mkdir(format("%s/d", out), 0755);
        break;
    }
}

static void restrict_something(const char *path)
{
    switch (below(9)) {
    case 0: case 1:
        if (plan.modes)
            shut(path);
        break;
    case 2:
        if (plan.overflows && below(3) == 0)
            fill_queue();
        break;
    case 3:
        set_watch_limit(below(3) != 0);
        break;
    case 4:
        if (plan.descriptors) {
            no_descriptors = !no_descriptors;
            note("descriptors: %s", no_descriptors ? "none" : "enough");
        }
        break;
    case 5:
        if (plan.mounts && is_type(path, S_IFDIR)) {
            copy.looks_fail = true;
            note("mount %s: %d", path, mount("mixed", path, "tmpfs", 0, "size=1m"));
        }
        break;
    case 6:
        if (plan.mounts)
            note("umount %s: %d", path, umount2(path, MNT_DETACH));
        break;
    case 7:
        if (plan.follow) {
            change_root();
        } else if (below(6) == 0) {
            copy.looks_fail = true;
            note("the root away: %d", rename(ROOT, "o/root"));
        }
        break;
    case 8:
        note("retry");
        reader_retry();
        break;
    }
}

void change_something(void)
{
    const char *path = below_root();

    switch (below(4)) {
    case 0: case 1:
        change_entries(path);
        break;
    case 2:
        change_names(path);
        break;
    case 3:
        restrict_something(path);
        break;
    }
    if (!plan.follow && below(4) == 0)
        (void)rename("o/root", ROOT);
}

void make_first_tree(void)
{
    make_dirs(ROOT);
    make_dir("o");
    for (int i = 0; i < 20; i++) {
        const char *path = below_root();

        if (below(2) == 0)
            try_make_dirs(path);
        else
            try_write(path, "text", 0);
    }
}
