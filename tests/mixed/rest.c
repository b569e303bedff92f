/* At rest: the copy, the library's own tables and what it says of its coverage, against what there
 * is.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "mixed.h"

#include <dirent.h>
#include <fcntl.h>

/* Of files that are not remembered the events after a loss do not say all. */
static bool is_unsure(bool directory)
{
    return copy.lost && !plan.track && !directory;
}

static void compare_look(const struct entry *entry, const struct stat *status)
{
    const struct look *look = &entry->look;
    struct stat root;

    CHECK_SYS(stat(ROOT, &root));
    /* A root that was elsewhere for a moment may have gone and come back without a word. */
    if (!look->done || look->root != root.st_ino) {
        if (!copy.looks_fail)
            FAIL("%s was not there when it was told", entry->path);
        return;
    }
    if (look->inode != status->st_ino)
        FAIL("%s is another file", entry->path);
    if (look->mode != status->st_mode)
        FAIL("%s has another mode", entry->path);
    if (look->size != status->st_size || look->written.tv_sec != status->st_mtim.tv_sec ||
        look->written.tv_nsec != status->st_mtim.tv_nsec)
        FAIL("%s has been written since", entry->path);
}

static void compare_dir(const char *dir_path, bool looks)
{
    char path[1024];
    struct stat status;
    struct dirent *found;
    DIR *dir = opendir(dir_path);

    if (dir == NULL)
        FAIL("opendir %s: %s", dir_path, strerror(errno));
    while ((found = readdir(dir)) != NULL) {
        struct entry *entry;
        bool directory;

        if (strcmp(found->d_name, ".") == 0 || strcmp(found->d_name, "..") == 0)
            continue;
        CHECK((size_t)snprintf(path, sizeof path, "%s/%s", dir_path, found->d_name) < sizeof path);
        CHECK_SYS(lstat(path, &status));
        directory = S_ISDIR(status.st_mode);
        entry = copy_find(path);
        if (entry == NULL && is_unsure(directory))
            continue;
        if (entry == NULL)
            FAIL("the copy has no %s, a %s", path, directory ? "directory" : "file");
        if (entry->directory != directory && !is_unsure(directory))
            FAIL("the copy has a %s at %s", entry->directory ? "directory" : "file", path);
        entry->seen = true;
        if (directory && !is_left_out(path))
            compare_dir(path, looks);
        else if (!directory && looks && !is_unsure(false))
            compare_look(entry, &status);
    }
    closedir(dir);
}

static void compare_copy(bool there, bool looks)
{
    for (size_t i = 0; i < copy.count; i++)
        copy.entries[i].seen = false;
    if (there)
        compare_dir(ROOT, looks);
    for (size_t i = 0; i < copy.count; i++)
        if (!copy.entries[i].seen && !is_unsure(copy.entries[i].directory))
            FAIL("the copy has %s", copy.entries[i].path);
}

static size_t watchpoints;

/* Each is one of the directories of the copy, which is compared already, or the root. */
static int compare_watchpoint(const inotify_watcher_watchpoint *watchpoint, void *user_data)
{
    const bool *there = user_data;
    const struct entry *entry = copy_find(watchpoint->path);

    watchpoints++;
    CHECK_EQ(watchpoint->watch, watch_id);
    if (strcmp(watchpoint->path, ROOT) == 0 && *there)
        return 0;
    if (entry == NULL || !entry->directory || !entry->seen || is_left_out(entry->path))
        FAIL("%s is watched", watchpoint->path);
    return 0;
}

static void compare_watchpoints(bool there)
{
    size_t expected = there ? 1 : 0;

    for (size_t i = 0; i < copy.count; i++)
        if (copy.entries[i].directory && copy.entries[i].seen && !is_left_out(copy.entries[i].path))
            expected++;
    watchpoints = 0;
    CHECK_OK(inotify_watcher_for_each_watchpoint(watcher, compare_watchpoint, &there));
    if (watchpoints != expected)
        FAIL("%zu directories are watched, of %zu", watchpoints, expected);
    CHECK_TABLES(watcher);
}

static int note_uncovered(const inotify_watcher_uncovered *uncovered, void *user_data)
{
    (void)user_data;
    note("uncovered: %s %d %s", uncovered->path, uncovered->error, uncovered->step);
    return 0;
}

static void compare_coverage(bool there)
{
    inotify_watcher_status status = {.size = sizeof status};

    CHECK_OK(inotify_watcher_get_status(watcher, watch_id, &status));
    CHECK_OK(inotify_watcher_for_each_uncovered(watcher, watch_id, note_uncovered, NULL));
    /* A file or a loop of links in place of the root keeps it from being followed. */
    if (there && status.coverage != RINOTIFY_COVERAGE_COMPLETE)
        FAIL("the coverage is %u, %llu are uncovered", status.coverage,
             (unsigned long long)status.uncovered);
    if (status.coverage != copy.coverage)
        FAIL("the coverage is %u, and %u was told", status.coverage, copy.coverage);
    if (copy.rescanning)
        FAIL("a repair has no end");
    if (plan.follow && copy.root != there)
        FAIL("the root is %s, and that was not told", there ? "there" : "gone");
}

static bool is_there(void)
{
    struct stat status;

    return stat(ROOT, &status) == 0 && S_ISDIR(status.st_mode);
}

/* As long as something is in short supply or shut: a coverage that is complete means that everything
 * is watched and told. What is in the files is another matter, as they may not be looked at. */
static void compare_what_is_covered(void)
{
    unmount_all();
    if (!plan.follow)
        (void)rename("o/root", ROOT);
    reader_sync();
    reader_drain();
    /* Where the writer is not root, modes shut things to the comparison, too. */
    if (copy.ended || copy.coverage != RINOTIFY_COVERAGE_COMPLETE || (plan.modes && getuid() != 0))
        return;
    note("complete");
    copy_forget_kept();
    compare_copy(is_there(), false);
    compare_watchpoints(is_there());
}

void compare_at_rest(void)
{
    bool there;

    note("rest");
    compare_what_is_covered();
    end_restrictions();
    /* What was left out is tried again. */
    reader_retry();
    reader_sync();
    reader_drain();
    if (copy.ended) {
        CHECK(!plan.follow);
        return;
    }
    copy_forget_kept();
    there = is_there();
    compare_coverage(there);
    compare_copy(there, true);
    compare_watchpoints(there);
    note("as it is: %zu entries", copy.count);
}
