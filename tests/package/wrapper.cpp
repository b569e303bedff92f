// The stranger again, with the C++ wrapper.
#include <rinotify.hpp>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include <stdlib.h>
#include <unistd.h>

int main()
{
    alarm(30);

    char made[] = "consumer-XXXXXX";
    if (mkdtemp(made) == nullptr)
        return 1;
    const std::filesystem::path root = made, directory = root / "new", file = directory / "file";
    std::vector<std::string> created;
    try {
        rinotify::watcher watcher;
        watcher.watch(made, [&](const rinotify::event &event) {
            if (event.has(IN_CREATE))
                created.emplace_back(event.path());
        }, RINOTIFY_WATCH_MASK, rinotify::tree);

        std::filesystem::create_directory(directory);
        std::ofstream(file) << "text";
        watcher.sync();

        try {
            watcher.watch((root / "absent").native(), [](const rinotify::event &) {});
            throw std::logic_error("a path that does not exist was watched");
        } catch (const rinotify::error &error) {
            if (error.code() != std::errc::no_such_file_or_directory)
                throw;
        }
    } catch (const std::exception &error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
    std::filesystem::remove_all(root);

    if (created != std::vector<std::string>{directory, file}) {
        std::fprintf(stderr, "%zu paths announced, not two or not these\n", created.size());
        return 1;
    }
    return 0;
}
