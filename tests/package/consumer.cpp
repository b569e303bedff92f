// The same stranger in C++: owned handle, options struct, callbacks that are lambdas.
#include <rinotify.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include <sys/stat.h>
#include <unistd.h>

namespace {

struct Destroy {
    void operator()(inotify_watcher *watcher) const { inotify_watcher_destroy(watcher); }
};

struct Seen {
    std::vector<std::string> created;
    int released = 0;
};

int fail(const std::string &what, long long result)
{
    std::fprintf(stderr, "%s: %lld\n", what.c_str(), result);
    return 1;
}

} // namespace

int main()
{
    alarm(30);

    char made[] = "consumer-XXXXXX";
    if (mkdtemp(made) == nullptr)
        return fail("mkdtemp", errno);
    const std::string root = made, directory = root + "/new", file = directory + "/file";

    Seen seen;
    {
        inotify_watcher_options options{};
        options.size = sizeof(options);
        options.read_size = 4096;
        const std::unique_ptr<inotify_watcher, Destroy> watcher(inotify_watcher_create(&options));
        if (!watcher)
            return fail("inotify_watcher_create", errno);

        inotify_watcher_watch_options how{};
        how.size = sizeof(how);
        how.mask = RINOTIFY_WATCH_MASK;
        how.flags = RINOTIFY_WATCH_RECURSIVE | RINOTIFY_WATCH_AUTO_ADD;
        how.user_data = &seen;
        how.callback = [](inotify_watcher *, const inotify_watcher_event *event, void *user_data) {
            if (event->mask & IN_CREATE)
                static_cast<Seen *>(user_data)->created.emplace_back(event->path, event->path_len);
        };
        how.release = [](void *user_data) { static_cast<Seen *>(user_data)->released++; };
        const int64_t watch = inotify_watcher_watch_with(watcher.get(), root.c_str(), &how);
        if (watch <= 0)
            return fail("inotify_watcher_watch_with", watch);

        if (mkdir(directory.c_str(), 0700) != 0)
            return fail("mkdir", errno);
        std::ofstream(file) << "text";

        const int result = inotify_watcher_sync(watcher.get());
        if (result != 0)
            return fail("inotify_watcher_sync", result);
    }
    unlink(file.c_str());
    rmdir(directory.c_str());
    rmdir(root.c_str());

    if (seen.created != std::vector<std::string>{directory, file})
        return fail("paths announced, not two or not these", static_cast<long long>(seen.created.size()));
    if (seen.released != 1)
        return fail("release ran a wrong number of times", seen.released);
    return 0;
}
