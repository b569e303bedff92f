//! Every function inside every callback.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

type Operation = (&'static str, fn(&Stream<Recorder>));

const OPERATIONS: [Operation; 14] = [
    ("write", |stream| {
        let _ = write(stream, "0123456789abcdef");
    }),
    ("write_some_data", |stream| {
        let _ = stream.write_some_data(b"direct");
    }),
    ("do_write", |stream| {
        let _ = stream.do_write();
    }),
    ("start_writing", |stream| {
        let _ = stream.start_writing();
    }),
    ("stop_writing", |stream| {
        let _ = stream.stop_writing();
    }),
    ("lose_connection", |stream| stream.lose_connection()),
    ("lose_write_connection", |stream| {
        let _ = stream.lose_write_connection();
    }),
    ("abort", |stream| stream.abort(libc::ECONNRESET)),
    ("register push", |stream| {
        let _ = stream.register_producer(8, Kind::Push);
    }),
    ("register pull", |stream| {
        let _ = stream.register_producer(9, Kind::Pull);
    }),
    ("unregister", |stream| {
        let _ = stream.unregister_producer();
    }),
    ("status", |stream| {
        let _ = stream.status();
    }),
    ("destroy", |stream| stream.destroy()),
    ("check", |stream| {
        let _ = stream.check();
    }),
];

/// A life in which every callback occurs, for one kind of producer.
fn live(stream: &Tested, kind: Kind, half: bool) {
    let _ = stream.register_producer(1, kind);
    for text in ["0123456789abcdef", "x"] {
        let _ = write(stream, text);
        for _ in 0..3 {
            let _ = stream.do_write();
        }
    }
    let _ = write(stream, "the rest");
    if half {
        let _ = stream.lose_write_connection();
        let _ = stream.do_write();
        let _ = stream.do_write();
        stream.unregister_producer();
    }
    stream.lose_connection();
    for _ in 0..10 {
        let _ = stream.do_write();
    }
    stream.unregister_producer();
    stream.destroy();
}

#[test]
fn every_function_inside_every_callback() {
    bounded(all_inside_all);
}

fn all_inside_all() {
    let callbacks = [
        "write",
        "half_close",
        "close",
        "add",
        "remove",
        "pause 1",
        "resume 1",
        "stop 1",
        "report",
        "lost",
    ];
    for callback in callbacks {
        let mut reached = false;
        for (name, operation) in OPERATIONS {
            for (kind, half, always) in [
                (Kind::Push, false, false),
                (Kind::Push, true, false),
                (Kind::Pull, false, false),
                (Kind::Pull, true, false),
                (Kind::Push, true, true),
            ] {
                let stream = stream();
                let came = Arc::new(AtomicBool::new(false));
                let hook = came.clone();
                // A callback that always writes keeps itself going; that is its own doing.
                let always = always && !name.contains("writ");
                on(&stream, move |call, stream| {
                    if call.starts_with(callback) && (!hook.swap(true, Ordering::Relaxed) || always)
                    {
                        operation(stream);
                    }
                });
                live(&stream, kind, half);
                reached |= came.load(Ordering::Relaxed);
                let calls = calls(&stream);
                let case = format!("{name} in {callback}, {kind:?}, half {half}: {calls}");
                assert_eq!(
                    calls.matches("close").count() - calls.matches("half_close").count(),
                    1,
                    "{case}"
                );
                assert_eq!(calls.matches("lost").count(), 1, "{case}");
                let after = calls.split("lost").nth(1).unwrap();
                assert!(!after.contains("write") && !after.contains("add"), "{case}");
                assert!(calls.matches("stop 1").count() <= 1, "{case}");
            }
        }
        assert!(reached, "{callback} never came");
    }
}

#[test]
fn a_nested_do_write_is_refused_while_writing() {
    let stream = stream();
    on(&stream, |call, stream| {
        if call == "write" {
            assert_eq!(stream.do_write(), Err(Errno(libc::EBUSY)));
            assert_eq!(stream.write_some_data(b"x"), Err(Errno(libc::EBUSY)));
            assert_eq!(write(stream, "more"), Ok(false));
        }
    });
    write(&stream, "abc").unwrap();
    assert_eq!(stream.do_write(), Ok(true));
    *stream.outside().hook.lock() = None;
    stream.do_write().unwrap();
    assert_eq!(written(&stream), "abcmore");
}

#[test]
fn the_descriptor_stays_until_the_write_has_returned() {
    let stream = stream();
    on(&stream, |call, stream| {
        if call == "write" {
            stream.abort(libc::ETIMEDOUT);
            let calls = stream.outside().calls.lock().join(", ");
            assert_eq!(calls, "add, write, remove");
        }
    });
    write(&stream, "0123456789").unwrap();
    assert_eq!(stream.do_write(), Ok(false));
    let expected = format!("add, write, remove, close, lost {} 2", libc::ETIMEDOUT);
    assert_eq!(calls(&stream), expected);
}

#[test]
fn a_producer_that_writes_when_it_is_paused_is_not_asked_for_ever() {
    let stream = stream();
    on(&stream, |call, stream| {
        if call == "pause 1" {
            write(stream, "stubborn").unwrap();
        }
    });
    stream.register_producer(1, Kind::Push).unwrap();
    write(&stream, "0123456789abc").unwrap();
    assert_eq!(calls(&stream), "pause 1, add");
}

#[test]
fn callbacks_nest_no_deeper_however_long_the_chain() {
    let recorder = Recorder { add_writer_fails: Some(libc::EPERM), ..Recorder::default() };
    let stream = stream_of(recorder, LIMITS);
    let left = Mutex::new(100_000);
    on(&stream, move |call, stream| {
        if call == "resume 1" {
            *left.lock() -= 1;
            if *left.lock() == 0 {
                stream.unregister_producer();
            } else {
                write(stream, "piece").unwrap();
            }
        }
    });
    stream.register_producer(1, Kind::Pull).unwrap();
    assert_eq!(written(&stream).len(), 99_999 * 5);
}

#[test]
fn when_destroy_returns_everything_was_told_even_inside_a_callback() {
    for callback in
        ["write", "add", "remove", "pause 1", "resume 1", "stop 1", "report", "lost", "half_close"]
    {
        let stream = stream();
        let gone = Arc::new(AtomicBool::new(false));
        let (hook, name) = (gone.clone(), callback);
        on(&stream, move |call, stream| {
            assert!(!hook.load(Ordering::Relaxed), "{call} after the end");
            if call.starts_with(name) {
                stream.destroy();
                hook.store(true, Ordering::Relaxed);
            }
        });
        live(&stream, Kind::Push, true);
        assert!(gone.load(Ordering::Relaxed), "{callback} never came");
        let calls = calls(&stream);
        let reason = if matches!(callback, "report" | "lost") { 0 } else { libc::ECANCELED };
        assert!(calls.contains(&format!("close, lost {reason} ")), "{calls}");
    }
}
