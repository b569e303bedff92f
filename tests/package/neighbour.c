/* Two Rust libraries in one C program: both work, and each has its own panics. */
#include <rinotify.h>
#include <stdbool.h>
#include <stdio.h>

extern bool neighbour_unwinds(void);

int main(void)
{
    inotify_watcher *watcher = inotify_watcher_create(NULL);

    if (watcher == NULL) {
        perror("inotify_watcher_create");
        return 1;
    }
    if (!neighbour_unwinds()) {
        fprintf(stderr, "the other library lost its unwinding\n");
        return 1;
    }
    inotify_watcher_destroy(watcher);
    return 0;
}
