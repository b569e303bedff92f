/* What the C compiler can check of the interface that Rust implements. The shared library is linked
 * from the Rust archive; this file adds no code to it. */

#include <assert.h>
#include <rinotify.h>

static_assert(RINOTIFY_WATCH_MASK == (IN_MODIFY | IN_ATTRIB | IN_CREATE | IN_DELETE | IN_DELETE_SELF |
                                      IN_MOVE_SELF | IN_UNMOUNT | IN_MOVED_FROM | IN_MOVED_TO),
              "the usual mask is made of the kernel's bits");

/* A struct that grows is told from its older form by its first member. */
#define SIZE_LED(type)                                                                             \
    static_assert(offsetof(type, size) == 0 && sizeof(((type *)0)->size) == sizeof(size_t),        \
                  #type " begins with its size")

SIZE_LED(inotify_watcher_options);
SIZE_LED(inotify_watcher_reactor);
SIZE_LED(inotify_watcher_watch_options);
SIZE_LED(inotify_watcher_event);
SIZE_LED(inotify_watcher_error);
SIZE_LED(inotify_watcher_stats);
SIZE_LED(inotify_watcher_watchpoint);
SIZE_LED(inotify_watcher_stream_options);
SIZE_LED(inotify_watcher_stream_stats);
SIZE_LED(inotify_watcher_producer);
