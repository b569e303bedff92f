/* File systems that list one entry a call, and file systems that say of no entry what it is: the
 * tree is the same.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "faults.h"
#include "mirror.h"

static uint32_t call_number(const char *name)
{
    uint32_t call = 0;

    while (strcmp(rinotify_fault_name(call), name) != 0)
        call++;
    return call;
}

static void listed(const char *name, uint32_t how)
{
    inotify_watcher *watcher;
    struct mirror mirror = {0};
    struct recorder recorder = {0};
    uint32_t getdents = call_number("getdents64"), fstatat = call_number("fstatat");
    uint64_t lists, looks;

    check_case(name);
    for (int i = 0; i < 30; i++) {
        make_dirs(format("t/%d/sub/subsub", i));
        make_file(format("t/%d/file", i));
        CHECK_SYS(symlink("..", format("t/%d/link", i)));
        CHECK_SYS(mkfifo(format("t/%d/sub/fifo", i), 0600));
    }
    rinotify_fault_clear();
    rinotify_fault_lists(how);
    watcher = create();
    mirror_watch(watcher, "t", &mirror);
    MIRROR_EXPECT(watcher, &mirror, "t");
    CHECK_EQ(mirror.count, 30 * 6);
    /* Moved in at once, without being told first. */
    make_dirs("out/0/1/2");
    make_file("out/0/1/file");
    move("out", "t/in");
    MIRROR_EXPECT(watcher, &mirror, "t");
    CHECK_TABLES(watcher);
    lists = rinotify_fault_made(getdents);
    looks = rinotify_fault_made(fstatat);
    /* A watch that does not ask for files looks for directories alone. */
    watch(watcher, "t", IN_CREATE, RINOTIFY_WATCH_RECURSIVE, &recorder);
    EXPECT_NOTHING(watcher, &recorder);
    CHECK_TABLES(watcher);
    CHECK_EQ(get_stats(watcher).directories, 2 * (1 + 30 * 3 + 4));
    /* What the fault was for has happened. */
    CHECK((how & RINOTIFY_FAULT_SHORT_LISTS) == 0 || lists > 30 * 6);
    CHECK((how & RINOTIFY_FAULT_NO_TYPES) == 0 || looks > 30 * 6);
    rinotify_fault_clear();
    mirror_clear(&mirror);
    inotify_watcher_destroy(watcher);
}

int main(void)
{
    check_begin(120);
    listed("short", RINOTIFY_FAULT_SHORT_LISTS);
    listed("no-types", RINOTIFY_FAULT_NO_TYPES);
    listed("both", RINOTIFY_FAULT_SHORT_LISTS | RINOTIFY_FAULT_NO_TYPES);
    return 0;
}
