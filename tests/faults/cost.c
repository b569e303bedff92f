/* What a tree costs in system calls: a few for each directory, none for each file; and nothing but
 * reading for an event, whatever is below a directory that is renamed.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "check.h"
#include "faults.h"

enum { TOPS = 30, EACH = 20, DIRECTORIES = 1 + TOPS + TOPS * EACH, FILES = 20 };

static uint64_t made(const char *name)
{
    uint32_t call = 0;

    while (strcmp(rinotify_fault_name(call), name) != 0)
        call++;
    return rinotify_fault_made(call);
}

static void make_tree(void)
{
    for (int i = 0; i < TOPS; i++) {
        for (int j = 0; j < EACH; j++) {
            make_dirs(format("t/%d/%d", i, j));
            for (int k = 0; k < FILES; k++)
                make_file(format("t/%d/%d/%d", i, j, k));
        }
    }
}

static void at_most(const char *name, uint64_t most)
{
    printf("  %s: %llu\n", name, (unsigned long long)made(name));
    if (made(name) > most)
        check_fail(__FILE__, __LINE__, "%llu calls of %s", (unsigned long long)made(name), name);
}

static void setup(const char *what, uint32_t flags, uint64_t events)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {.silent = true};

    printf("%s, %d directories:\n", what, DIRECTORIES);
    rinotify_fault_clear();
    watch(watcher, "t", RINOTIFY_WATCH_MASK, flags, &recorder);
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_EQ(recorder.count, events);
    CHECK(made("inotify_add_watch") >= DIRECTORIES);
    at_most("inotify_add_watch", 2 * DIRECTORIES + 20);
    /* To list it, and to reach what is below; where openat2 is not known (valgrind), both by openat. */
    at_most("openat", DIRECTORIES + TOPS + 20);
    at_most("openat2", DIRECTORIES + TOPS + 20);
    /* Going to the beginning, what there is, and that it was all. */
    at_most("getdents64", 3 * DIRECTORIES + 20);
    at_most("fstatat", 2 * DIRECTORIES + 20);
    at_most("read", 20);
    at_most("fstatfs", 1);

    /* Events of entries that are no directories, and a rename above many. */
    rinotify_fault_clear();
    for (int i = 0; i < TOPS; i++)
        write_file(format("t/%d/7/7", i), "text");
    for (int i = 0; i < TOPS; i++)
        make_file(format("t/%d/new", i));
    recorder.count = 0;
    move("t/1", "t/2/moved");
    make_file("t/2/moved/5/last");
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_EQ(recorder.count, 2 * TOPS + 3);
    /* Whether the rename was half of an exchange is found out by looking at one place. */
    at_most("inotify_add_watch", 2);
    at_most("getdents64", 0);
    at_most("openat", 2);
    at_most("openat2", 2);
    at_most("fstatat", 4);
    at_most("read", 10);
    move("t/2/moved", "t/1");
    for (int i = 0; i < TOPS; i++)
        remove_file(format("t/%d/new", i));
    remove_file("t/1/5/last");
    inotify_watcher_destroy(watcher);
    recorder_clear(&recorder);
}

int main(void)
{
    check_begin(120);
    check_case("cost");
    make_tree();
    setup("watched", TREE, 0);
    setup("watched and listed", TREE | RINOTIFY_WATCH_EMIT_EXISTING,
          DIRECTORIES - 1 + TOPS * EACH * FILES);
    return 0;
}
