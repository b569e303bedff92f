/* An exception that leaves a callback of the C interface: the process ends by abort, at once and in
 * every case, rather than with a half-unwound library.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "check.h"

#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <stdexcept>
#include <sys/resource.h>
#include <sys/wait.h>

namespace {

/* Whether the stack was unwound: it must not be, not even in part. */
struct witness {
    ~witness() { _exit(3); }
};

void throws(inotify_watcher *, const inotify_watcher_event *, void *)
{
    throw std::runtime_error("out of a callback");
}

int throws_in_progress(std::uint64_t, void *)
{
    throw std::runtime_error("out of a progress function");
}

int throws_in_visitor(const inotify_watcher_watchpoint *, void *)
{
    throw std::runtime_error("out of a visitor");
}

void throws_in_release(void *)
{
    throw std::runtime_error("out of a release function");
}

void by_do_read()
{
    inotify_watcher *watcher = create();

    CHECK_OK(inotify_watcher_watch(watcher, "t", IN_CREATE, 0, throws, nullptr));
    make_file("t/a");
    inotify_watcher_do_read(watcher);
}

void by_sync()
{
    inotify_watcher *watcher = create();

    CHECK_OK(inotify_watcher_watch(watcher, "t", IN_CREATE, 0, throws, nullptr));
    make_file("t/b");
    inotify_watcher_sync(watcher);
}

void by_progress()
{
    inotify_watcher_watch_options options{};

    options.size = sizeof options;
    options.mask = IN_CREATE;
    options.flags = TREE;
    options.callback = throws;
    options.progress = throws_in_progress;
    inotify_watcher_watch_with(create(), "many", &options);
}

void by_visitor()
{
    inotify_watcher *watcher = create();

    CHECK_OK(inotify_watcher_watch(watcher, "t", IN_CREATE, 0, throws, nullptr));
    inotify_watcher_for_each_watchpoint(watcher, throws_in_visitor, nullptr);
}

void by_release()
{
    inotify_watcher *watcher = create();
    inotify_watcher_watch_options options{};

    options.size = sizeof options;
    options.mask = IN_CREATE;
    options.callback = throws;
    options.release = throws_in_release;
    CHECK_OK(inotify_watcher_watch_with(watcher, "t", &options));
    inotify_watcher_ignore(watcher, "t");
}

void aborts(const char *what, void (*call)())
{
    pid_t child;
    int status;

    fflush(nullptr);
    child = static_cast<pid_t>(CHECK_SYS(fork()));
    if (child == 0) {
        rlimit none{0, 0};
        int nowhere = open("/dev/null", O_WRONLY);

        /* The runtimes have a last word, and a core is no use to anybody. */
        dup2(nowhere, STDERR_FILENO);
        setrlimit(RLIMIT_CORE, &none);
        try {
            witness here;
            call();
        } catch (...) {
            _exit(4);
        }
        _exit(5);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT)
        check_fail(__FILE__, __LINE__, "%s: status %x instead of an abort", what,
                   static_cast<unsigned>(status));
}

} // namespace

int main()
{
    check_begin(240);
    check_case("throw");
    make_dir("t");
    make_dir("many");
    for (int i = 0; i < 5000; i++)
        make_dir(format("many/%d", i));
    aborts("do_read", by_do_read);
    aborts("sync", by_sync);
    aborts("progress", by_progress);
    aborts("for_each_watchpoint", by_visitor);
    aborts("release", by_release);
    return 0;
}
