//! The stream against an outside that records what it is told.

use std::collections::VecDeque;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;

use super::{Kind, Limits, Outside, Stream, Wrote};
use crate::sys::Errno;

const LIMITS: Limits = Limits { buffer: 10, resume: 0, most: usize::MAX, send: 8 };

type Hook = Box<dyn Fn(&str, &Stream<Recorder>) + Send + Sync>;

/// Writes into memory and keeps a list of calls.
#[derive(Default)]
struct Recorder {
    calls: Mutex<Vec<String>>,
    written: Mutex<Vec<u8>>,
    /// What the next writes lead to; when it is empty everything is taken.
    script: Mutex<VecDeque<Wrote>>,
    add_writer_fails: Option<i32>,
    no_halves: bool,
    unsent: AtomicUsize,
    stream: Mutex<Weak<Stream<Recorder>>>,
    hook: Mutex<Option<Arc<Hook>>>,
}

impl Recorder {
    fn call(&self, name: &str) {
        self.calls.lock().push(name.into());
        self.act(name);
    }

    fn act(&self, name: &str) {
        let hook = self.hook.lock().clone();
        let stream = self.stream.lock().upgrade();
        if let (Some(hook), Some(stream)) = (hook, stream) {
            hook(name, &stream);
        }
    }
}

impl Outside for Recorder {
    type Producer = u32;

    fn write(&self, slices: &[&[u8]]) -> Wrote {
        self.call("write");
        let wrote = self.script.lock().pop_front();
        let all = slices.concat();
        let count = match wrote {
            None => all.len(),
            Some(Wrote::Some(count)) => count,
            Some(other) => return other,
        };
        self.written.lock().extend_from_slice(&all[..count]);
        Wrote::Some(count)
    }

    fn half_close(&self) -> Result<bool, Errno> {
        self.call("half_close");
        Ok(!self.no_halves)
    }

    fn close(&self, _reason: i32) {
        self.call("close");
    }

    fn add_writer(&self) -> Result<(), Errno> {
        self.call("add");
        self.add_writer_fails.map_or(Ok(()), |errno| Err(Errno(errno)))
    }

    fn remove_writer(&self) {
        self.call("remove");
    }

    fn pause(&self, producer: u32) {
        self.call(&format!("pause {producer}"));
    }

    fn resume(&self, producer: u32) {
        self.call(&format!("resume {producer}"));
    }

    fn stop(&self, producer: u32) {
        self.call(&format!("stop {producer}"));
    }

    fn report(&self, _reason: i32, unsent: usize) {
        self.unsent.store(unsent, Relaxed);
        self.act("report");
    }

    fn lost(&self, reason: i32) {
        let unsent = self.unsent.load(Relaxed);
        self.call(&format!("lost {reason} {unsent}"));
    }
}

type Tested = Arc<Stream<Recorder>>;

fn stream_of(recorder: Recorder, limits: Limits) -> Tested {
    let stream = Arc::new(Stream::new(recorder, limits, true));
    *stream.outside().stream.lock() = Arc::downgrade(&stream);
    stream
}

fn stream() -> Tested {
    stream_of(Recorder::default(), LIMITS)
}

/// The calls since the last time, joined by commas.
fn calls(stream: &Tested) -> String {
    std::mem::take(&mut *stream.outside().calls.lock()).join(", ")
}

fn written(stream: &Tested) -> String {
    String::from_utf8(std::mem::take(&mut *stream.outside().written.lock())).unwrap()
}

fn script(stream: &Tested, wrote: impl IntoIterator<Item = Wrote>) {
    stream.outside().script.lock().extend(wrote);
}

fn on(stream: &Tested, hook: impl Fn(&str, &Stream<Recorder>) + Send + Sync + 'static) {
    *stream.outside().hook.lock() = Some(Arc::new(Box::new(hook)));
}

fn write(stream: &Stream<Recorder>, text: &str) -> Result<bool, Errno> {
    stream.write([text.as_bytes()])
}

/// Runs a test that could hang, and does not wait for ever.
fn bounded(test: impl FnOnce() + Send + 'static) {
    let (done, end) = mpsc::channel();
    let thread = thread::spawn(move || {
        test();
        done.send(()).unwrap();
    });
    assert_ne!(end.recv_timeout(Duration::from_secs(300)), Err(RecvTimeoutError::Timeout), "hangs");
    if let Err(failure) = thread.join() {
        resume_unwind(failure);
    }
}

#[test]
fn a_write_waits_for_the_reactor() {
    let stream = stream();
    assert_eq!(write(&stream, "hello"), Ok(false));
    assert_eq!(calls(&stream), "add");
    assert_eq!(stream.do_write(), Ok(false));
    assert_eq!((calls(&stream), written(&stream)), ("write, remove".into(), "hello".into()));
    assert_eq!(write(&stream, ""), Ok(false));
    assert_eq!(calls(&stream), "");
}

#[test]
fn one_write_a_turn_and_no_more_than_the_send_limit() {
    let stream = stream();
    assert_eq!(write(&stream, "0123456789"), Ok(false), "10 is not more than 10");
    assert_eq!(write(&stream, "abc"), Ok(true));
    assert_eq!(stream.do_write(), Ok(true));
    assert_eq!((written(&stream), stream.status().buffered), ("01234567".into(), 5));
    assert_eq!(stream.do_write(), Ok(false));
    assert_eq!(
        (written(&stream), calls(&stream)),
        ("89abc".into(), "add, write, write, remove".into())
    );
}

#[test]
fn short_blocked_and_interrupted_writes_lose_nothing() {
    let stream = stream();
    script(&stream, [Wrote::Some(3), Wrote::Blocked, Wrote::Interrupted, Wrote::Some(0)]);
    write(&stream, "abcdefg").unwrap();
    assert_eq!(stream.do_write(), Ok(true));
    assert_eq!(stream.do_write(), Ok(false), "blocked: wait");
    assert!(stream.status().wants_write);
    assert_eq!(stream.do_write(), Ok(true), "interrupted: at once again");
    assert_eq!(stream.do_write(), Ok(true));
    assert_eq!(stream.do_write(), Ok(false));
    assert_eq!(written(&stream), "abcdefg");
}

#[test]
fn a_push_producer_is_paused_above_the_buffer_size_and_resumed_when_drained() {
    let stream = stream();
    stream.register_producer(1, Kind::Push).unwrap();
    assert_eq!(calls(&stream), "");
    assert_eq!(stream.register_producer(2, Kind::Push), Err(Errno(libc::EBUSY)));
    write(&stream, "0123456789").unwrap();
    assert_eq!(calls(&stream), "add");
    write(&stream, "a").unwrap();
    assert_eq!(calls(&stream), "pause 1");
    write(&stream, "b").unwrap();
    assert_eq!(calls(&stream), "pause 1", "who goes on is told again");
    stream.do_write().unwrap();
    assert_eq!(calls(&stream), "write", "not before it is drained");
    stream.do_write().unwrap();
    assert_eq!(calls(&stream), "write, resume 1, remove");
    write(&stream, "c").unwrap();
    stream.do_write().unwrap();
    assert_eq!(calls(&stream), "add, write, remove", "nothing to resume");
}

#[test]
fn the_resume_size_brings_the_producer_back_earlier() {
    let stream = stream_of(Recorder::default(), Limits { resume: 5, ..LIMITS });
    stream.register_producer(1, Kind::Push).unwrap();
    write(&stream, "0123456789abc").unwrap();
    assert_eq!(calls(&stream), "pause 1, add");
    stream.do_write().unwrap();
    assert_eq!(calls(&stream), "write, resume 1");
}

#[test]
fn a_pull_producer_is_asked_for_each_piece() {
    let stream = stream();
    let pieces = Mutex::new(vec!["four", "three", "two"]);
    on(&stream, move |call, stream| {
        if call == "resume 1" {
            match pieces.lock().pop() {
                Some(piece) => assert_eq!(write(stream, piece), Ok(false)),
                None => assert!(stream.unregister_producer()),
            }
        }
    });
    stream.register_producer(1, Kind::Pull).unwrap();
    assert_eq!(calls(&stream), "resume 1, add");
    stream.do_write().unwrap();
    stream.do_write().unwrap();
    assert_eq!(calls(&stream), "write, resume 1, write, resume 1", "the reactor is left alone");
    stream.lose_connection();
    assert_eq!(calls(&stream), "", "it has not finished");
    stream.do_write().unwrap();
    assert_eq!(calls(&stream), "write, resume 1, remove, close, lost 0 0");
    assert_eq!(written(&stream), "twothreefour");
}

#[test]
fn a_pull_producer_that_has_nothing_now_is_not_asked_again() {
    let stream = stream();
    stream.register_producer(1, Kind::Pull).unwrap();
    assert_eq!(calls(&stream), "resume 1");
    assert_eq!(stream.status().counters.resumes, 1);
    write(&stream, "later").unwrap();
    stream.do_write().unwrap();
    assert_eq!(calls(&stream), "add, write, resume 1, remove");
}

#[test]
fn a_connection_ends_when_everything_is_written() {
    let stream = stream();
    stream.register_producer(1, Kind::Push).unwrap();
    write(&stream, "0123456789").unwrap();
    stream.lose_connection();
    stream.lose_connection();
    write(&stream, "late").unwrap();
    assert_eq!(calls(&stream), "add, pause 1");
    assert_eq!(stream.do_write(), Ok(true));
    assert_eq!(stream.do_write(), Ok(false));
    assert_eq!(calls(&stream), "write, write, stop 1, remove, close, lost 0 0");
    assert_eq!(written(&stream), "0123456789late");
    for result in [stream.do_write(), write(&stream, "x"), write(&stream, "")] {
        assert_eq!(result, Err(Errno(libc::EBADF)));
    }
    stream.lose_connection();
    stream.abort(5);
    stream.destroy();
    assert_eq!(stream.register_producer(2, Kind::Push), Err(Errno(libc::EBADF)));
    assert_eq!(calls(&stream), "");
}

#[test]
fn with_nothing_to_write_it_ends_at_once() {
    let stream = stream();
    stream.lose_connection();
    assert_eq!(calls(&stream), "close, lost 0 0");
}

#[test]
fn unregistering_lets_a_pending_end_go_on() {
    for half in [false, true] {
        let stream = stream();
        stream.register_producer(1, Kind::Pull).unwrap();
        if half {
            stream.lose_write_connection().unwrap();
        } else {
            stream.lose_connection();
        }
        assert_eq!(calls(&stream), "resume 1, add");
        stream.do_write().unwrap();
        assert_eq!(calls(&stream), "resume 1, remove");
        assert!(stream.unregister_producer());
        assert!(!stream.unregister_producer());
        let expected = if half { "half_close" } else { "close, lost 0 0" };
        assert_eq!(calls(&stream), expected);
    }
}

#[test]
fn the_writing_half_closes_when_everything_is_written() {
    let stream = stream();
    stream.register_producer(1, Kind::Push).unwrap();
    write(&stream, "abc").unwrap();
    stream.lose_write_connection().unwrap();
    write(&stream, "def").unwrap();
    assert_eq!(calls(&stream), "add");
    stream.do_write().unwrap();
    assert_eq!(calls(&stream), "write, half_close, stop 1, remove");
    assert_eq!(written(&stream), "abcdef");
    assert_eq!(write(&stream, "x"), Err(Errno(libc::EPIPE)));
    assert_eq!(stream.register_producer(2, Kind::Pull), Err(Errno(libc::EPIPE)));
    assert!(stream.status().connected && stream.status().write_disconnected);
    stream.lose_write_connection().unwrap();
    assert_eq!(calls(&stream), "");
    stream.lose_connection();
    assert_eq!(calls(&stream), "close, lost 0 0");
}

#[test]
fn what_has_no_halves_ends() {
    let stream = stream_of(Recorder { no_halves: true, ..Recorder::default() }, LIMITS);
    write(&stream, "abc").unwrap();
    stream.lose_write_connection().unwrap();
    stream.do_write().unwrap();
    assert_eq!(calls(&stream), "add, write, half_close, remove, close, lost 0 0");
}

#[test]
fn a_failure_tells_the_reason_and_what_was_left() {
    let stream = stream();
    stream.register_producer(1, Kind::Push).unwrap();
    script(&stream, [Wrote::Some(4), Wrote::Failed(Errno(libc::EPIPE))]);
    write(&stream, "0123456789abc").unwrap();
    calls(&stream);
    assert_eq!(stream.do_write(), Ok(true));
    assert_eq!(stream.do_write(), Err(Errno(libc::EPIPE)));
    assert_eq!(
        calls(&stream),
        format!("write, write, stop 1, remove, close, lost {} 9", libc::EPIPE)
    );
    assert_eq!(stream.status().memory, 0);
}

#[test]
fn the_hard_limit_takes_all_or_nothing() {
    let stream = stream_of(Recorder::default(), Limits { most: 12, ..LIMITS });
    write(&stream, "0123456789").unwrap();
    assert_eq!(stream.write([&b"ab"[..], b"c"]), Err(Errno(libc::ENOBUFS)));
    assert_eq!(stream.write([&b"a"[..], b"b"]), Ok(true));
    assert_eq!(write(&stream, "c"), Err(Errno(libc::ENOBUFS)));
    stream.do_write().unwrap();
    write(&stream, "c").unwrap();
    while stream.do_write().unwrap() {}
    assert_eq!(written(&stream), "0123456789abc");
}

#[test]
fn writing_can_be_stopped_until_the_next_write() {
    let stream = stream();
    write(&stream, "a").unwrap();
    stream.stop_writing().unwrap();
    stream.stop_writing().unwrap();
    stream.start_writing().unwrap();
    stream.start_writing().unwrap();
    stream.stop_writing().unwrap();
    write(&stream, "b").unwrap();
    assert_eq!(calls(&stream), "add, remove, add, remove, add");
    stream.do_write().unwrap();
    stream.start_writing().unwrap();
    stream.do_write().unwrap();
    assert_eq!(calls(&stream), "write, remove, add, remove", "nothing is not written");
}

#[test]
fn what_the_reactor_cannot_watch_is_written_at_once() {
    let recorder = Recorder { add_writer_fails: Some(libc::EPERM), ..Recorder::default() };
    let stream = stream_of(recorder, LIMITS);
    assert_eq!(write(&stream, "0123456789"), Ok(false));
    assert_eq!(calls(&stream), "add, write, write");
    script(&stream, [Wrote::Interrupted, Wrote::Some(1), Wrote::Blocked]);
    write(&stream, "abc").unwrap();
    assert_eq!(calls(&stream), "write, write, write", "no endless loop");
    stream.do_write().unwrap();
    assert_eq!(written(&stream), "0123456789abc");
}

#[test]
fn a_reactor_that_fails_ends_the_connection() {
    let recorder = Recorder { add_writer_fails: Some(libc::ENOMEM), ..Recorder::default() };
    let stream = stream_of(recorder, LIMITS);
    write(&stream, "abc").unwrap();
    assert_eq!(calls(&stream), format!("add, close, lost {} 3", libc::ENOMEM));
}

#[test]
fn past_the_buffer_only_if_it_is_empty() {
    let stream = stream();
    script(&stream, [Wrote::Some(2), Wrote::Blocked, Wrote::Failed(Errno(libc::EPIPE))]);
    assert_eq!(stream.write_some_data(b"abc"), Ok(2));
    assert_eq!(stream.write_some_data(b"c"), Ok(0));
    assert_eq!(stream.write_some_data(b"c"), Err(Errno(libc::EPIPE)));
    assert!(stream.status().connected, "the caller decides");
    write(&stream, "def").unwrap();
    assert_eq!(stream.write_some_data(b"xyz"), Ok(0));
    stream.do_write().unwrap();
    assert_eq!(written(&stream), "abdef");
}

mod reentrancy;
mod threads;
