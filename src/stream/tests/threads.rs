//! Several threads at once.

use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering::SeqCst};

use super::*;

/// What a producer was told last; told twice the same is an error only for resume.
#[derive(Default)]
struct Told {
    paused: AtomicBool,
    running: AtomicI32,
    resumes: AtomicUsize,
}

#[test]
fn pause_and_resume_never_overtake_each_other() {
    bounded(|| {
        for _ in 0..20 {
            let stream = stream();
            let told = Arc::new(Told::default());
            let hook = told.clone();
            on(&stream, move |call, _| {
                if call == "write" {
                    return;
                }
                assert_eq!(hook.running.fetch_add(1, SeqCst), 0, "two at a time");
                match call {
                    "pause 1" => hook.paused.store(true, SeqCst),
                    "resume 1" => {
                        assert!(hook.paused.swap(false, SeqCst), "resumed twice");
                        hook.resumes.fetch_add(1, SeqCst);
                    }
                    _ => {}
                }
                hook.running.fetch_sub(1, SeqCst);
            });
            stream.register_producer(1, Kind::Push).unwrap();
            thread::scope(|scope| {
                for writer in 0..3_u8 {
                    let stream = &stream;
                    scope.spawn(move || {
                        for number in 0..2000_u16 {
                            let line = format!("{writer} {number:5}\n");
                            write(stream, &line).unwrap();
                        }
                    });
                }
                scope.spawn(|| {
                    for _ in 0..4000 {
                        stream.do_write().unwrap();
                    }
                });
            });
            while stream.do_write().unwrap() {}
            assert!(!told.paused.load(SeqCst), "drained, and told so");
            let text = written(&stream);
            for writer in 0..3 {
                let prefix = format!("{writer} ");
                let lines: Vec<&str> =
                    text.lines().filter(|line| line.starts_with(&prefix)).collect();
                assert_eq!(lines.len(), 2000, "no line is torn");
                assert!(lines.is_sorted());
            }
        }
    });
}

#[test]
fn after_unregistering_the_producer_is_not_in_use() {
    bounded(|| {
        for _ in 0..300 {
            let stream = stream();
            let gone = Arc::new(AtomicBool::new(false));
            let hook = gone.clone();
            on(&stream, move |call, _| {
                if call.ends_with(" 1") {
                    assert!(!hook.load(SeqCst));
                    thread::yield_now();
                    assert!(!hook.load(SeqCst), "freed while in use");
                }
            });
            stream.register_producer(1, Kind::Push).unwrap();
            thread::scope(|scope| {
                scope.spawn(|| {
                    for _ in 0..20 {
                        write(&stream, "0123456789abc").unwrap();
                        while stream.do_write().unwrap() {}
                    }
                });
                scope.spawn(|| {
                    thread::yield_now();
                    stream.unregister_producer();
                    gone.store(true, SeqCst);
                });
            });
        }
    });
}

#[test]
fn after_destroying_nothing_is_called() {
    bounded(|| {
        for round in 0..300 {
            let stream = stream();
            let gone = Arc::new(AtomicBool::new(false));
            let hook = gone.clone();
            on(&stream, move |_, _| {
                thread::yield_now();
                assert!(!hook.load(SeqCst), "called after the end");
            });
            stream
                .register_producer(1, if round % 2 == 0 { Kind::Push } else { Kind::Pull })
                .unwrap();
            thread::scope(|scope| {
                for _ in 0..2 {
                    scope.spawn(|| {
                        while write(&stream, "0123456789abc").is_ok() {
                            while stream.do_write() == Ok(true) {}
                        }
                    });
                }
                scope.spawn(|| {
                    for _ in 0..round % 10 {
                        thread::yield_now();
                    }
                    stream.destroy();
                    gone.store(true, SeqCst);
                });
            });
            let calls = calls(&stream);
            assert_eq!(calls.matches("lost").count(), 1);
            assert!(
                calls.split("lost").nth(1).is_some_and(|after| !after.contains(',')),
                "{calls}"
            );
        }
    });
}

#[test]
fn the_end_waits_for_a_callback_that_runs_beside_the_others() {
    bounded(|| {
        for round in 0..300 {
            let stream = stream();
            let gone = Arc::new(AtomicBool::new(false));
            let hook = gone.clone();
            on(&stream, move |call, _| {
                if call.starts_with("lost") {
                    hook.store(true, SeqCst);
                }
            });
            thread::scope(|scope| {
                for _ in 0..2 {
                    scope.spawn(|| {
                        let callback = || {
                            assert!(!gone.load(SeqCst), "called after the end");
                            thread::yield_now();
                            assert!(!gone.load(SeqCst), "ended while in use");
                        };
                        while stream.callback(callback).is_ok() {}
                    });
                }
                scope.spawn(|| {
                    for _ in 0..round % 10 {
                        thread::yield_now();
                    }
                    if round % 2 == 0 {
                        stream.abort(5);
                    } else {
                        stream.destroy();
                        assert!(gone.load(SeqCst));
                    }
                });
            });
            assert!(gone.load(SeqCst));
        }
    });
}

#[test]
fn an_internal_error_leaves_nobody_waiting() {
    bounded(|| {
        for callback in ["write", "pause 1", "callback"] {
            let stream = stream();
            stream.register_producer(1, Kind::Push).unwrap();
            on(&stream, move |call, _| {
                // Not a panic, which would be printed: the same unwinding without the message.
                if call == callback {
                    resume_unwind(Box::new(()));
                }
            });
            let broken = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                write(&stream, "0123456789abc").unwrap();
                stream.do_write().unwrap();
                stream.callback(|| stream.outside().act("callback")).unwrap();
            }));
            assert!(broken.is_err(), "{callback}");
            *stream.outside().hook.lock() = None;
            thread::scope(|scope| {
                scope.spawn(|| stream.unregister_producer());
                scope.spawn(|| stream.destroy());
            });
        }
    });
}
