/* librinotify for C++17: a watcher as an object, callbacks as std::function, errors as exceptions.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 *
 *     rinotify::watcher watcher;
 *     watcher.watch("src", [](const rinotify::event &event) {
 *         std::cout << rinotify::mask_names(event.mask()) << ' ' << event.path() << '\n';
 *     }, RINOTIFY_WATCH_MASK, rinotify::tree);
 *     pollfd readable{watcher.fileno(), POLLIN, 0};
 *     while (poll(&readable, 1, -1) == 1)
 *         watcher.do_read();
 *
 * Header only: link with the C library. What <rinotify.h> says of a function holds for the member of
 * that name here, its thread-safety included; this page says what is different:
 *
 * - A call that fails throws rinotify::error, a std::system_error.
 * - What a callback throws goes no further than the library's edge; do_read() or sync(), whichever
 *   called it, throws it again when its turn is over. The other events of that turn are delivered
 *   before that. If several callbacks throw in one turn, the first exception is the one that is
 *   thrown again; with max_events = 1 in the options there is only ever one.
 * - What a filter throws while watch() runs ends that watch, and watch() throws it again; later it
 *   is thrown again as that of a callback is, and the directory is left out.
 * - A callback and what it has captured are destroyed when no call of it can follow: after
 *   ignore(), after the last event of a watch that ended by itself, or with the watcher; never
 *   while it runs. Its destructor must not throw.
 */
#ifndef RINOTIFY_HPP
#define RINOTIFY_HPP

#include <rinotify.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace rinotify {

/* The flags for a directory with all below it, new directories included. */
inline constexpr std::uint32_t tree = RINOTIFY_WATCH_RECURSIVE | RINOTIFY_WATCH_AUTO_ADD;

/* A call failed: code() has the errno value, what() a sentence with step, path and reason. */
class error : public std::system_error {
public:
    /* From the last error of this thread, for a call that returned -errno. */
    explicit error(long long result)
        : std::system_error(static_cast<int>(-result), std::generic_category()),
          details_(std::make_shared<const details>(static_cast<int>(-result)))
    {
    }

    const char *what() const noexcept override { return details_->message.c_str(); }
    /* The step that failed: a system call's name, or the argument's. */
    const std::string &step() const noexcept { return details_->step; }
    /* The path it failed for, or "". */
    const std::string &path() const noexcept { return details_->path; }
    /* The limit that was reached, if it is about one, else 0. */
    std::uint64_t limit() const noexcept { return details_->limit; }

private:
    struct details {
        explicit details(int code)
        {
            inotify_watcher_error last{};

            last.size = sizeof last;
            if (inotify_watcher_last_error(nullptr, &last) == 0 && last.error == code) {
                step = last.step;
                path.assign(last.path, last.path_len);
                message = last.message;
                limit = last.limit;
            } else {
                message = std::generic_category().message(code);
            }
        }

        std::string step;
        std::string path;
        std::string message;
        std::uint64_t limit = 0;
    };

    /* Shared, so that a copy of the exception cannot fail. */
    std::shared_ptr<const details> details_;
};

/* One event, while its callback runs: it and what it refers to are the library's. */
class event {
public:
    explicit event(const inotify_watcher_event &raw) noexcept : raw_(raw) {}

    /* The id of the watch that it is for. */
    std::int64_t watch() const noexcept { return raw_.watch; }
    /* IN_* bits. */
    std::uint32_t mask() const noexcept { return raw_.mask; }
    /* Any of these IN_* bits? */
    bool has(std::uint32_t bits) const noexcept { return (raw_.mask & bits) != 0; }
    bool is_directory() const noexcept { return has(IN_ISDIR); }
    std::uint32_t cookie() const noexcept { return raw_.cookie; }
    /* RINOTIFY_EVENT_* bits. */
    std::uint32_t flags() const noexcept { return raw_.flags; }
    /* A RINOTIFY_COVERAGE_* value if the event tells that the coverage of the watch has changed,
     * else 0. */
    std::uint32_t coverage() const noexcept { return raw_.coverage; }
    bool is_synthetic() const noexcept { return (raw_.flags & RINOTIFY_EVENT_SYNTHETIC) != 0; }
    /* In a watch that follows its name: what stands under the name has come or gone. */
    bool is_root() const noexcept { return (raw_.flags & RINOTIFY_EVENT_ROOT) != 0; }
    /* Something failed after the watch was made: why. No error: an ordinary event. */
    std::error_code error() const noexcept { return {raw_.error, std::generic_category()}; }
    /* Bytes, no encoding assumed; NUL-terminated as well. */
    std::string_view path() const noexcept { return {raw_.path, raw_.path_len}; }
    /* The last component; none if the event is about the root itself. */
    std::optional<std::string_view> name() const noexcept
    {
        if (raw_.name == nullptr)
            return std::nullopt;
        return std::string_view(raw_.name, raw_.path_len -
                                               static_cast<std::size_t>(raw_.name - raw_.path));
    }
    /* Where it was before a rename, in an IN_MOVED_TO whose first half was seen. */
    std::optional<std::string_view> old_path() const noexcept
    {
        if (raw_.old_path == nullptr)
            return std::nullopt;
        return std::string_view(raw_.old_path, raw_.old_path_len);
    }
    const inotify_watcher_event &raw() const noexcept { return raw_; }

private:
    const inotify_watcher_event &raw_;
};

using callback = std::function<void(const event &)>;
/* Sees how many directories were watched so far; false gives up, and watch() throws ECANCELED. */
using progress = std::function<bool(std::uint64_t directories)>;

/* A directory that a filter is asked about, while the filter runs. */
class directory {
public:
    explicit directory(const inotify_watcher_directory &raw) noexcept : raw_(raw) {}

    /* The id of the watch; while watch() runs, the one that it will return. */
    std::int64_t watch() const noexcept { return raw_.watch; }
    /* As events have it. Bytes, no encoding assumed; NUL-terminated as well. */
    std::string_view path() const noexcept { return {raw_.path, raw_.path_len}; }
    /* The last component. */
    std::string_view name() const noexcept
    {
        return {raw_.name, raw_.path_len - static_cast<std::size_t>(raw_.name - raw_.path)};
    }
    /* 1 for an entry of the root. */
    std::uint32_t depth() const noexcept { return raw_.depth; }
    const inotify_watcher_directory &raw() const noexcept { return raw_; }

private:
    const inotify_watcher_directory &raw_;
};

/* False leaves a directory out, with all below it. */
using filter = std::function<bool(const directory &)>;

/* Directories below a root that are not watched. */
struct selection {
    /* Patterns of those that are left out: `excludes` of inotify_watcher_watch_options. */
    std::vector<std::string> excludes;
    /* Decides about the others, if it is not empty. */
    filter wanted;
};

/* One kernel watch, as it serves one watch. */
struct watchpoint {
    std::int64_t watch;
    int wd;
    std::uint32_t mask;
    std::string path;
};

/* What a watch sees of its tree. */
struct status {
    std::uint32_t coverage; /* a RINOTIFY_COVERAGE_* value */
    std::uint64_t uncovered; /* directories that are not covered */
};

/* A directory that is not covered: why, and which step failed. */
struct uncovered {
    std::int64_t watch;
    std::string path;
    std::error_code error;
    std::string step;
};

/* The words of a mask's bits: "create|is_dir". */
inline std::string mask_names(std::uint32_t mask)
{
    std::string words(inotify_watcher_mask_names(mask, nullptr, 0), '\0');

    inotify_watcher_mask_names(mask, words.data(), words.size() + 1);
    return words;
}

/* A watcher. Thread-safe as the C functions are, but for move and destruction, which like those of
 * any object are for the one who owns it. It may be destroyed inside one of its callbacks. */
class watcher {
public:
    watcher() : watcher(inotify_watcher_options{}) {}
    /* The size of the options is filled in here. */
    explicit watcher(inotify_watcher_options options)
    {
        options.size = sizeof options;
        handle_ = inotify_watcher_create(&options);
        if (handle_ == nullptr)
            throw error(-errno);
    }
    watcher(watcher &&other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
    watcher &operator=(watcher &&other) noexcept
    {
        if (this != &other) {
            destroy();
            handle_ = std::exchange(other.handle_, nullptr);
        }
        return *this;
    }
    watcher(const watcher &) = delete;
    watcher &operator=(const watcher &) = delete;
    ~watcher() { destroy(); }

    /* The descriptor to poll for reading, -1 once the watcher is closed. */
    int fileno() const noexcept { return inotify_watcher_fileno(handle_); }
    /* A bounded amount of work. True: there may be more. Throws what a callback threw. */
    bool do_read()
    {
        turn now(handle_);

        /* A callback may have destroyed this object when the call returns. */
        return now.end(inotify_watcher_do_read(handle_)) > 0;
    }
    /* Returns when every change that was complete before has been delivered, or when a callback
     * has closed the watcher. Throws what a callback threw. */
    void sync()
    {
        turn now(handle_);

        now.end(inotify_watcher_sync(handle_));
    }

    /* Watches a path; returns the id. */
    std::int64_t watch(std::string_view path, callback on_event,
                       std::uint32_t mask = RINOTIFY_WATCH_MASK, std::uint32_t flags = 0,
                       const progress &on_progress = nullptr, selection select = {})
    {
        auto mine = std::make_unique<subscription>(
            subscription{std::move(on_event), std::move(select.wanted)});
        addition call(mine.get(), on_progress);
        std::vector<const char *> excludes;
        inotify_watcher_watch_options options{};
        std::int64_t id;

        for (const std::string &pattern : select.excludes)
            excludes.push_back(whole(pattern).c_str());
        excludes.push_back(nullptr);
        options.size = sizeof options;
        options.mask = mask;
        options.flags = flags;
        options.callback = mine->on_event ? deliver : nullptr;
        options.user_data = mine.get();
        options.release = release;
        options.progress = on_progress ? tell_progress : nullptr;
        options.filter = mine->wanted ? ask : nullptr;
        options.excludes = excludes.data();
        id = inotify_watcher_watch_with(handle_, text(path).c_str(), &options);
        if (id > 0)
            mine.release(); /* the library's now, until `release` */
        if (call.thrown) {
            if (id > 0)
                inotify_watcher_ignore_watch(handle_, id);
            std::rethrow_exception(call.thrown);
        }
        if (id < 0)
            throw error(id);
        return id;
    }
    /* Ends watches; false if there was none. */
    bool ignore(std::string_view path)
    {
        return found(inotify_watcher_ignore(handle_, text(path).c_str()));
    }
    bool ignore_watch(std::int64_t watch)
    {
        return found(inotify_watcher_ignore_watch(handle_, watch));
    }
    bool is_watched(std::string_view path) const
    {
        return checked(inotify_watcher_is_watched(handle_, text(path).c_str())) > 0;
    }

    /* Closes the watcher and ends all watches. */
    void lose_connection()
    {
        turn::closed(handle_);
        checked(inotify_watcher_lose_connection(handle_));
    }

    inotify_watcher_stats stats() const
    {
        inotify_watcher_stats stats{};

        stats.size = sizeof stats;
        checked(inotify_watcher_get_stats(handle_, &stats));
        return stats;
    }
    std::vector<watchpoint> watchpoints() const
    {
        collection all;

        checked(inotify_watcher_for_each_watchpoint(handle_, collect, &all));
        if (all.thrown)
            std::rethrow_exception(all.thrown);
        return std::move(all.points);
    }
    /* What a watch sees of its tree, all of it or not; none: there is no such watch. */
    std::optional<rinotify::status> status(std::int64_t watch) const
    {
        inotify_watcher_status status{};

        status.size = sizeof status;
        if (!found(inotify_watcher_get_status(handle_, watch, &status)))
            return std::nullopt;
        return rinotify::status{status.coverage, status.uncovered};
    }
    /* The directories that are not covered, of one watch or of all (0). */
    std::vector<rinotify::uncovered> uncovered(std::int64_t watch = 0) const
    {
        gaps all;

        checked(inotify_watcher_for_each_uncovered(handle_, watch, collect_gap, &all));
        if (all.thrown)
            std::rethrow_exception(all.thrown);
        return std::move(all.list);
    }
    /* Tries them all again, with the next do_read(). */
    void retry() { checked(inotify_watcher_retry(handle_)); }

    /* For the C functions; still owned by this object. */
    inotify_watcher *handle() const noexcept { return handle_; }

private:
    /* One call of do_read or sync on this thread: where its callbacks leave what they throw. They
     * can be nested, for different watchers. */
    class turn {
    public:
        explicit turn(inotify_watcher *handle) noexcept
            : handle_(handle), before_(std::exchange(innermost, this))
        {
        }
        turn(const turn &) = delete;
        turn &operator=(const turn &) = delete;
        ~turn() { innermost = before_; }

        int end(int result)
        {
            if (thrown_)
                std::rethrow_exception(std::exchange(thrown_, nullptr));
            /* Closed by one of its own callbacks, which is no failure. */
            if (result == -EBADF && closed_)
                return 0;
            return checked(result);
        }
        static void keep(std::exception_ptr thrown) noexcept
        {
            if (innermost != nullptr && !innermost->thrown_)
                innermost->thrown_ = std::move(thrown);
        }
        static void closed(const inotify_watcher *handle) noexcept
        {
            for (turn *one = innermost; one != nullptr; one = one->before_)
                one->closed_ = one->closed_ || one->handle_ == handle;
        }

    private:
        inline static thread_local turn *innermost = nullptr;
        inotify_watcher *handle_;
        turn *before_;
        std::exception_ptr thrown_;
        bool closed_ = false;
    };

    struct subscription {
        callback on_event;
        filter wanted;
    };
    /* A call of watch under way on this thread: where what is called from inside it leaves what it
     * throws. They can be nested. */
    struct addition {
        addition(const subscription *what, const progress &tell) noexcept
            : mine(what), on_progress(tell), before(std::exchange(innermost, this))
        {
        }
        addition(const addition &) = delete;
        addition &operator=(const addition &) = delete;
        ~addition() { innermost = before; }

        /* The one that makes this watch; none if it is made already. */
        static addition *of(const subscription *which) noexcept
        {
            addition *one = innermost;

            while (one != nullptr && one->mine != which)
                one = one->before;
            return one;
        }

        inline static thread_local addition *innermost = nullptr;
        const subscription *mine;
        const progress &on_progress;
        addition *before;
        std::exception_ptr thrown;
    };
    struct collection {
        std::vector<watchpoint> points;
        std::exception_ptr thrown;
    };
    struct gaps {
        std::vector<rinotify::uncovered> list;
        std::exception_ptr thrown;
    };

    static void deliver(inotify_watcher *, const inotify_watcher_event *raw,
                        void *user_data) noexcept
    {
        try {
            static_cast<subscription *>(user_data)->on_event(event(*raw));
        } catch (...) {
            turn::keep(std::current_exception());
        }
    }
    static void release(void *user_data) noexcept { delete static_cast<subscription *>(user_data); }
    static int tell_progress(std::uint64_t directories, void *user_data) noexcept
    {
        addition &call = *addition::of(static_cast<subscription *>(user_data));

        if (call.thrown)
            return 1;
        try {
            return call.on_progress(directories) ? 0 : 1;
        } catch (...) {
            call.thrown = std::current_exception();
            return 1;
        }
    }
    static int ask(inotify_watcher *, const inotify_watcher_directory *raw,
                   void *user_data) noexcept
    {
        auto &mine = *static_cast<subscription *>(user_data);
        addition *call = addition::of(&mine);

        if (call != nullptr && call->thrown)
            return 0;
        try {
            return mine.wanted(directory(*raw)) ? 1 : 0;
        } catch (...) {
            if (call != nullptr)
                call->thrown = std::current_exception();
            else
                turn::keep(std::current_exception());
            return 0;
        }
    }
    static int collect(const inotify_watcher_watchpoint *point, void *user_data) noexcept
    {
        auto &all = *static_cast<collection *>(user_data);

        try {
            all.points.push_back({point->watch, point->wd, point->mask,
                                  std::string(point->path, point->path_len)});
            return 0;
        } catch (...) {
            all.thrown = std::current_exception();
            return 1;
        }
    }
    static int collect_gap(const inotify_watcher_uncovered *gap, void *user_data) noexcept
    {
        auto &all = *static_cast<gaps *>(user_data);

        try {
            all.list.push_back({gap->watch, std::string(gap->path, gap->path_len),
                                {gap->error, std::generic_category()}, gap->step});
            return 0;
        } catch (...) {
            all.thrown = std::current_exception();
            return 1;
        }
    }

    /* NUL-terminated; a NUL inside would make it another path. */
    static std::string text(std::string_view path)
    {
        if (path.find('\0') != std::string_view::npos)
            throw std::system_error(EINVAL, std::generic_category(), "a path with a NUL in it");
        return std::string(path);
    }
    static const std::string &whole(const std::string &pattern)
    {
        if (pattern.find('\0') != std::string::npos)
            throw std::system_error(EINVAL, std::generic_category(), "a pattern with a NUL in it");
        return pattern;
    }
    template <typename Result> static Result checked(Result result)
    {
        if (result < 0)
            throw error(result);
        return result;
    }
    static bool found(int result) { return result != -ENOENT && checked(result) == 0; }

    void destroy() noexcept
    {
        turn::closed(handle_);
        inotify_watcher_destroy(std::exchange(handle_, nullptr));
    }

    inotify_watcher *handle_ = nullptr;
};

} // namespace rinotify

#endif /* RINOTIFY_HPP */
