/* The kernel's own list of watches, and its comparison with what the library says.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "check.h"

#include <dirent.h>
#include <inttypes.h>
#include <limits.h>

size_t kernel_watches(int fd, struct kernel_watch *list, size_t room)
{
    char path[64];
    char line[512];
    FILE *info;
    size_t count = 0;

    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
    info = fopen(path, "re");
    if (info == NULL)
        check_fail(__FILE__, __LINE__, "%s: %s", path, strerror(errno));
    while (fgets(line, sizeof line, info) != NULL) {
        int wd;
        uint64_t inode;
        uint32_t device, mask;

        if (sscanf(line, "inotify wd:%x ino:%" SCNx64 " sdev:%x mask:%x", (unsigned *)&wd, &inode,
                   &device, &mask) != 4)
            continue;
        if (count < room)
            list[count] = (struct kernel_watch){wd, inode, mask};
        count++;
    }
    fclose(info);
    return count;
}

size_t kernel_watch_count(const inotify_watcher *watcher)
{
    return kernel_watches(inotify_watcher_fileno(watcher), NULL, 0) -
           get_stats(watcher).internal_watchpoints;
}

static struct kernel_watch *all_kernel_watches(const inotify_watcher *watcher, size_t *count)
{
    int fd = inotify_watcher_fileno(watcher);
    size_t room;
    struct kernel_watch *list = NULL;

    /* Their number may change meanwhile: directories are deleted. */
    do {
        room = kernel_watches(fd, NULL, 0) + 64;
        list = realloc(list, room * sizeof *list);
        CHECK(list != NULL);
        *count = kernel_watches(fd, list, room);
    } while (*count > room);
    return list;
}

bool kernel_watches_path(const inotify_watcher *watcher, const char *path)
{
    size_t count;
    struct kernel_watch *list = all_kernel_watches(watcher, &count);
    struct stat status;
    bool found = false;

    CHECK_SYS(stat(path, &status));
    for (size_t i = 0; i < count; i++)
        found = found || list[i].inode == status.st_ino;
    free(list);
    return found;
}

static int show(const inotify_watcher_watchpoint *watchpoint, void *unused)
{
    (void)unused;
    fprintf(stderr, "  the library: wd %d, %s\n", watchpoint->wd, watchpoint->path);
    return 0;
}

/* A directory that somebody has open keeps its watch when it is deleted. */
static void show_open_files(void)
{
    DIR *all = opendir("/proc/self/fd");

    if (all == NULL)
        return;
    for (struct dirent *entry; (entry = readdir(all)) != NULL;) {
        char target[PATH_MAX];
        ssize_t length = readlinkat(dirfd(all), entry->d_name, target, sizeof target);

        if (length > 0)
            fprintf(stderr, "  descriptor %s: %.*s\n", entry->d_name, (int)length, target);
    }
    closedir(all);
}

void check_watches(const char *file, int line, const inotify_watcher *watcher, size_t count)
{
    size_t now = kernel_watch_count(watcher), listed;
    struct kernel_watch *list;

    if (now == count)
        return;
    list = all_kernel_watches(watcher, &listed);
    for (size_t i = 0; i < listed; i++)
        fprintf(stderr, "  the kernel: wd %d, inode %" PRIu64 ", mask %" PRIx32 "\n", list[i].wd,
                list[i].inode, list[i].mask);
    free(list);
    inotify_watcher_for_each_watchpoint(watcher, show, NULL);
    show_open_files();
    check_fail(file, line, "the kernel has %zu watches, should be %zu", now, count);
}

inotify_watcher_stats get_stats(const inotify_watcher *watcher)
{
    inotify_watcher_stats stats;

    memset(&stats, 0, sizeof stats);
    stats.size = sizeof stats;
    CHECK_OK(inotify_watcher_get_stats(watcher, &stats));
    return stats;
}

struct comparison {
    const char *file;
    int line;
    struct kernel_watch *list;
    bool *seen;
    size_t count;
};

static int compare(const inotify_watcher_watchpoint *watchpoint, void *user_data)
{
    struct comparison *comparison = user_data;
    struct stat status;

    if (strlen(watchpoint->path) != watchpoint->path_len)
        check_fail(comparison->file, comparison->line, "watchpoint %s: path_len is %zu",
                   watchpoint->path, watchpoint->path_len);
    for (size_t i = 0; i < comparison->count; i++) {
        struct kernel_watch *kernel = &comparison->list[i];

        if (kernel->wd != watchpoint->wd)
            continue;
        comparison->seen[i] = true;
        /* The kernel may answer a path of an overlay or a subvolume with another device, but
         * never the same path with another inode. */
        if (stat(watchpoint->path, &status) == -1)
            check_fail(comparison->file, comparison->line, "watchpoint %s: %s", watchpoint->path,
                       strerror(errno));
        if (status.st_ino != kernel->inode)
            check_fail(comparison->file, comparison->line,
                       "watchpoint %s is inode %" PRIu64 ", but the kernel watches %" PRIu64,
                       watchpoint->path, (uint64_t)status.st_ino, kernel->inode);
        if ((watchpoint->mask & IN_ALL_EVENTS & ~kernel->mask) != 0)
            check_fail(comparison->file, comparison->line,
                       "watchpoint %s wants %x, but the kernel gives %x", watchpoint->path,
                       watchpoint->mask, kernel->mask);
        return 0;
    }
    check_fail(comparison->file, comparison->line, "watchpoint %s: wd %d is not in the kernel",
               watchpoint->path, watchpoint->wd);
}

void check_tables(const char *file, int line, const inotify_watcher *watcher)
{
    inotify_watcher_stats stats = get_stats(watcher);
    struct comparison comparison = {.file = file, .line = line};
    size_t seen = 0;

    comparison.list = all_kernel_watches(watcher, &comparison.count);
    comparison.seen = calloc(comparison.count + 1, sizeof *comparison.seen);
    CHECK(comparison.seen != NULL);
    check_ok(file, line, "for_each_watchpoint",
             inotify_watcher_for_each_watchpoint(watcher, compare, &comparison));
    for (size_t i = 0; i < comparison.count; i++)
        seen += comparison.seen[i];
    if (seen != stats.watchpoints || comparison.count != seen + stats.internal_watchpoints)
        check_fail(file, line,
                   "the kernel has %zu watches; the iterator shows %zu of them, the statistics "
                   "say %" PRIu64 " and %" PRIu64 " internal ones",
                   comparison.count, seen, stats.watchpoints, stats.internal_watchpoints);
    if (stats.pending != 0)
        check_fail(file, line, "%" PRIu64 " directories are pending", stats.pending);
    free(comparison.list);
    free(comparison.seen);
}
