//! Traces: what happens and what must be delivered, as text files in tests/traces. Their format is
//! described in tests/traces/README.md.

use std::cell::{Cell, RefCell};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::mirror::{Filter, Told};
use super::scene::{MASK, Scene};
use super::{Call, Op, Replay};
use crate::api::abi::{
    RINOTIFY_EVENT_RESCAN_BEGIN, RINOTIFY_EVENT_RESCAN_END, RINOTIFY_EVENT_ROOT,
    RINOTIFY_WATCH_FOLLOW_NAME,
};
use crate::engine::Limits;

const NAMES: [(&str, u32); 16] = [
    ("ACCESS", libc::IN_ACCESS),
    ("MODIFY", libc::IN_MODIFY),
    ("ATTRIB", libc::IN_ATTRIB),
    ("CLOSE_NOWRITE", libc::IN_CLOSE_NOWRITE),
    ("OPEN", libc::IN_OPEN),
    ("MOVED_FROM", libc::IN_MOVED_FROM),
    ("MOVED_TO", libc::IN_MOVED_TO),
    ("CREATE", libc::IN_CREATE),
    ("DELETE", libc::IN_DELETE),
    ("DELETE_SELF", libc::IN_DELETE_SELF),
    ("MOVE_SELF", libc::IN_MOVE_SELF),
    ("UNMOUNT", libc::IN_UNMOUNT),
    ("Q_OVERFLOW", libc::IN_Q_OVERFLOW),
    ("IGNORED", libc::IN_IGNORED),
    ("ONESHOT", libc::IN_ONESHOT),
    ("ISDIR", libc::IN_ISDIR),
];

const CALLS: [(&str, Call); 9] = [
    ("queue", Call::Queue),
    ("add", Call::Add),
    ("remove", Call::Remove),
    ("open", Call::Open),
    ("open_to_list", Call::OpenToList),
    ("list", Call::List),
    ("settle", Call::Settle),
    ("stat", Call::Stat),
    ("give_way", Call::GiveWay),
];

fn mask_of(words: &str) -> Result<u32, String> {
    words.split('|').try_fold(0, |mask, word| {
        let known = NAMES.iter().find(|(name, _)| *name == word);
        known.map(|(_, bit)| mask | bit).ok_or(format!("no such event: {word}"))
    })
}

fn words_of(mask: u32) -> String {
    let words: Vec<_> = NAMES.iter().filter(|(_, bit)| mask & bit != 0).map(|n| n.0).collect();
    words.join("|")
}

fn number<T: std::str::FromStr>(word: &str) -> Result<T, String> {
    word.parse().map_err(|_| format!("no number: {word}"))
}

fn line_of(told: &Told) -> String {
    let mut line = format!("> {} {}", told.watch, words_of(told.mask));
    let text = |path: &[u8]| String::from_utf8_lossy(path).into_owned();
    let _ = write!(line, " {}", text(&told.path));
    if told.name >= told.path.len() {
        line.push_str(" itself");
    }
    if told.flags & RINOTIFY_EVENT_ROOT != 0 {
        line.push_str(" root");
    }
    if let Some(old) = &told.old {
        let _ = write!(line, " from {}", text(old));
    }
    if told.flags & crate::engine::mask::SYNTHETIC != 0 {
        line.push_str(" synthetic");
    }
    if told.flags & RINOTIFY_EVENT_RESCAN_BEGIN != 0 {
        line.push_str(" rescan_begin");
    }
    if told.flags & RINOTIFY_EVENT_RESCAN_END != 0 {
        line.push_str(" rescan_end");
    }
    if told.error != 0 {
        let _ = write!(line, " error {}", told.error);
    }
    if told.flags & crate::engine::mask::COVERAGE != 0 {
        let words = ["", "complete", "partial", "out_of_step"];
        let _ = write!(line, " coverage {}", words.get(told.cookie as usize).unwrap_or(&"?"));
    }
    if told.last {
        line.push_str(" last");
    }
    line
}

fn op_of(words: &[&str]) -> Result<Op, String> {
    let path = |at: usize| {
        let word = words.get(at).ok_or(format!("{words:?} lacks a path"))?;
        Ok::<_, String>(word.as_bytes().to_vec())
    };
    Ok(match words[0] {
        "mkdir" => Op::Mkdir(path(1)?),
        "create" => Op::Create(path(1)?),
        "unlink" => Op::Unlink(path(1)?),
        "rmdir" => Op::Rmdir(path(1)?),
        "rename" => Op::Rename(path(1)?, path(2)?),
        "exchange" => Op::Exchange(path(1)?, path(2)?),
        "link" => Op::Link(path(1)?, path(2)?),
        "symlink" => Op::Symlink(path(1)?, path(2)?),
        "write" => Op::Write(path(1)?),
        "hold" => Op::Hold(path(1)?),
        "release" => Op::Release,
        "chmod" => Op::Chmod(path(1)?, words.get(2).map_or(Ok(5), |mode| number(mode))?),
        other => return Err(format!("no such step: {other}")),
    })
}

/// Something that is to happen between: when, and the operations.
struct Ambush {
    when: When,
    ops: Vec<Step>,
}

/// Before a call of the engine.
#[derive(Debug)]
enum When {
    /// This one, about this path.
    Call(Call, Vec<u8>),
    /// After this many calls of the same step.
    Count(usize),
}

#[derive(Clone)]
enum Step {
    Whole(Op),
    Begin(Op),
    /// The next event of this operation under way.
    Land(usize),
    /// A kernel event as it is.
    Raw(Vec<String>),
}

impl Step {
    fn parse(line: &str) -> Result<Self, String> {
        let words: Vec<_> = line.split_whitespace().collect();
        Ok(match words[0] {
            "land" => Self::Land(words.get(1).map_or(Ok(0), |word| number(word))?),
            "begin" => Self::Begin(op_of(&words[1..])?),
            "raw" => Self::Raw(words[1..].iter().map(|&word| word.into()).collect()),
            _ => Self::Whole(op_of(&words)?),
        })
    }

    fn run(&self, disk: &mut super::Disk) -> Result<(), String> {
        match self {
            Self::Land(which) => {
                disk.land(*which);
            }
            Self::Begin(op) => {
                disk.begin(op).map_err(|errno| format!("{op:?}: {errno:?}"))?;
            }
            Self::Whole(op) => disk.run(op).map_err(|errno| format!("{op:?}: {errno:?}"))?,
            Self::Raw(words) => raw(disk, words)?,
        }
        Ok(())
    }
}

/// Queues an event: a path or wd, a mask, a cookie, perhaps a name.
fn raw(disk: &mut super::Disk, words: &[String]) -> Result<(), String> {
    let [on, mask, cookie, rest @ ..] = words else {
        return Err("raw needs a path or wd, a mask and a cookie".into());
    };
    let wd = match disk.resolve(on.as_bytes()) {
        Ok(ino) if on.starts_with('/') => {
            disk.marks.get(&ino).ok_or(format!("{on} is not watched"))?.wd
        }
        _ => number(on)?,
    };
    let name = rest.first().map_or(&b""[..], |name| name.as_bytes());
    disk.push(wd, mask_of(mask)?, number(cookie)?, name);
    Ok(())
}

type Ambushes = Rc<RefCell<Vec<Ambush>>>;

fn steps_of(ops: &str) -> Result<Vec<Step>, String> {
    ops.split(';').map(Step::parse).collect()
}

/// One trace file under way.
struct Player {
    scene: Scene,
    ambushes: Ambushes,
    /// Calls of the engine since the step began.
    calls: Rc<Cell<usize>>,
    unchecked: bool,
}

impl Player {
    fn new(limits: Limits) -> Self {
        let ambushes = Ambushes::default();
        let mut world = Replay::new();
        let calls = Rc::new(Cell::new(0));
        let (waiting, counted) = (ambushes.clone(), calls.clone());
        world.between = Some(Box::new(move |disk, call, ino| {
            let due = |ambush: &Ambush| match &ambush.when {
                When::Call(of, path) => {
                    *of == call && (path == b"*" || disk.resolve(path) == Ok(ino))
                }
                When::Count(count) => *count == counted.get(),
            };
            let at = waiting.borrow().iter().position(due);
            if let Some(at) = at {
                let ambush = waiting.borrow_mut().remove(at);
                for step in &ambush.ops {
                    step.run(disk).unwrap();
                }
            }
            counted.set(counted.get() + 1);
        }));
        Self { scene: Scene::new(world, limits), ambushes, calls, unchecked: false }
    }

    fn setting(&mut self, word: &str, value: &str) -> Result<(), String> {
        let world = &mut self.scene.engine.world;
        match word {
            "list_chunk" => world.list_chunk = number(value)?,
            "list_again" => world.list_again = value == "yes",
            "bare" => world.bare = value == "yes",
            "by_name" => world.by_name = value == "yes",
            "reuse" => world.disk.reuses = value == "yes",
            "watch_limit" => world.watch_limit = number(value)?,
            "read_meanwhile" => self.scene.read_meanwhile = value == "yes",
            "left_out" => self.scene.engine.gaps.most = number(value)?,
            "queue_limit" => world.disk.queue_limit = number(value)?,
            other => return Err(format!("no such setting: {other}")),
        }
        Ok(())
    }

    fn watch(&mut self, words: &[&str]) -> Result<(), String> {
        let [id, path, rest @ ..] = words else {
            return Err("watch needs an id and a path".into());
        };
        let (mask, flags, filter) = wishes(rest)?;
        self.scene.watch_with(number(id)?, path.as_bytes(), mask, flags, &filter)
    }

    fn change(&mut self, words: &[&str]) -> Result<(), String> {
        let [id, rest @ ..] = words else { return Err("change needs an id".into()) };
        let (fails, rest) = match rest {
            [rest @ .., "fails"] => (true, rest),
            rest => (false, rest),
        };
        let (mask, flags, _) = wishes(rest)?;
        let changed = self.scene.change(number(id)?, mask, flags);
        match (fails, changed) {
            (true, Ok(())) => Err("it did not fail".into()),
            (true, Err(_)) => Ok(()),
            (false, changed) => changed,
        }
    }

    /// One step; what it delivers.
    fn step(&mut self, line: &str) -> Result<Vec<Told>, String> {
        let words: Vec<_> = line.split_whitespace().collect();
        let none = Vec::new();
        self.calls.set(0);
        match words[0] {
            "set" => self.setting(words[1], words[2]).map(|()| none),
            "watch" => self.watch(&words[1..]).map(|()| none),
            "change" => self.change(&words[1..]).map(|()| none),
            "ignore" if words[1].starts_with('/') => {
                self.scene.engine.exclude(words[1].as_bytes());
                Ok(none)
            }
            "ignore" => {
                self.scene.ignore(number(words[1])?);
                Ok(none)
            }
            "retry" => {
                self.scene.engine.retry();
                Ok(none)
            }
            "unchecked" => {
                self.unchecked = true;
                Ok(none)
            }
            "on" => {
                let (call, ops) = line[2..].split_once(':').ok_or("on needs a colon")?;
                let call: Vec<_> = call.split_whitespace().collect();
                let known = CALLS.iter().find(|(name, _)| *name == call[0]);
                let known = known.ok_or(format!("no such call: {}", call[0]))?.1;
                let path = call[1].as_bytes().to_vec();
                let (when, ops) = (When::Call(known, path), steps_of(ops)?);
                self.ambushes.borrow_mut().push(Ambush { when, ops });
                Ok(none)
            }
            "after" => {
                let (count, ops) = line[5..].split_once(':').ok_or("after needs a colon")?;
                let (when, ops) = (When::Count(number(count.trim())?), steps_of(ops)?);
                self.ambushes.borrow_mut().push(Ambush { when, ops });
                Ok(none)
            }
            "fill" => {
                for file in 0..number(words.get(2).unwrap_or(&""))? {
                    let step = Step::parse(&format!("create {}/{file}", words[1]))?;
                    step.run(&mut self.scene.engine.world.disk)?;
                }
                Ok(none)
            }
            "turn" => self.scene.turn().map(|(_, told)| told),
            "drain" => self.scene.drain(),
            "sync" => self.scene.sync(),
            _ => {
                let step = Step::parse(line)?;
                step.run(&mut self.scene.engine.world.disk)?;
                Ok(none)
            }
        }
    }

    fn end(&mut self) -> Result<(), String> {
        while self.scene.engine.world.disk.land(0) {}
        let told = self.scene.drain()?;
        if let Some(told) = told.first() {
            return Err(format!("told after the end: {}", line_of(told)));
        }
        if let Some(ambush) = self.ambushes.borrow().first() {
            return Err(format!("{:?} never came", ambush.when));
        }
        if self.unchecked { Ok(()) } else { self.scene.check() }
    }
}

/// What a watch is asked for: mask, flags, and what it leaves out.
fn wishes(words: &[&str]) -> Result<(u32, u32, Filter), String> {
    let (mut mask, mut flags) = (MASK, 0);
    let mut filter = Filter::default();
    for word in words {
        match *word {
            "recursive" => flags |= 1,
            "auto_add" => flags |= 2,
            "existing" => flags |= 4,
            "all" => flags |= 7,
            "track" => flags |= 8,
            "follow" => flags |= RINOTIFY_WATCH_FOLLOW_NAME,
            word if word.starts_with("exclude=") => {
                filter.excludes.add(&word.as_bytes()["exclude=".len()..]);
            }
            word if word.starts_with("refuse=") => {
                filter.refused.push(word.as_bytes()["refuse=".len()..].to_vec());
            }
            words => mask = mask_of(words)?,
        }
    }
    Ok((mask, flags, filter))
}

fn limits(line: &str) -> Result<Limits, String> {
    let mut limits = Limits { read_size: 65_536, max_events: 4096, max_scan: 1024 };
    for word in line.split_whitespace().skip(1) {
        match word.split_once('=') {
            Some(("read_size", value)) => limits.read_size = number(value)?,
            Some(("max_events", value)) => limits.max_events = number(value)?,
            Some(("max_scan", value)) => limits.max_scan = number(value)?,
            _ => return Err(format!("no such limit: {word}")),
        }
    }
    Ok(limits)
}

/// Plays a trace; returns it as it was, with what was delivered in place of what was expected.
fn play(text: &str) -> String {
    let mut player = None;
    let mut real = String::new();
    for line in text.lines() {
        let bare = line.trim();
        if bare.starts_with('>') || bare.starts_with('!') {
            continue;
        }
        real.push_str(line);
        real.push('\n');
        if bare.is_empty() || bare.starts_with('#') {
            continue;
        }
        let outcome = if bare.starts_with("limits") {
            limits(bare).map(|limits| {
                player = Some(Player::new(limits));
                Vec::new()
            })
        } else {
            let default = Limits { read_size: 65_536, max_events: 4096, max_scan: 1024 };
            player.get_or_insert_with(|| Player::new(default)).step(bare)
        };
        let told = outcome.unwrap_or_else(|problem| {
            let _ = writeln!(real, "! {problem}");
            Vec::new()
        });
        for told in &told {
            let _ = writeln!(real, "{}", line_of(told));
        }
        let believed = player.as_mut().map_or(Ok(()), |player| player.scene.believe(&told));
        if let Err(problem) = believed {
            let _ = writeln!(real, "! {problem}");
        }
    }
    if let Err(problem) = player.map_or(Ok(()), |mut player| player.end()) {
        let _ = writeln!(real, "! {problem}");
    }
    real
}

/// The lines of both, those that differ marked, from the first difference on.
fn difference(expected: &str, real: &str) -> String {
    let (expected, real): (Vec<_>, Vec<_>) = (expected.lines().collect(), real.lines().collect());
    let same = expected.iter().zip(&real).take_while(|(a, b)| a == b).count();
    let back = |lines: &[&str]| lines.len() - same;
    let tail = expected[same..].iter().rev().zip(real[same..].iter().rev());
    let tail = tail.take_while(|(a, b)| a == b).count().min(back(&expected)).min(back(&real));
    let mut out = String::new();
    for line in &expected[..same] {
        let _ = writeln!(out, "    {line}");
    }
    for line in &expected[same..expected.len() - tail] {
        let _ = writeln!(out, "  - {line}");
    }
    for line in &real[same..real.len() - tail] {
        let _ = writeln!(out, "  + {line}");
    }
    for line in &real[real.len() - tail..] {
        let _ = writeln!(out, "    {line}");
    }
    out
}

fn traces() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/traces");
    let dir = std::env::var_os("TRACES").map_or(dir, PathBuf::from);
    let files = std::fs::read_dir(dir).unwrap();
    let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|end| end == "trace"));
    files.sort();
    files
}

#[test]
fn traces_are_delivered_as_written() {
    let files = traces();
    assert!(!files.is_empty(), "no trace found");
    let mut failed = Vec::new();
    for file in &files {
        let expected = std::fs::read_to_string(file).unwrap();
        let real = play(&expected);
        let name = file.file_name().unwrap().to_string_lossy();
        if expected != real {
            if std::env::var_os("UPDATE_TRACES").is_some() {
                std::fs::write(file, &real).unwrap();
            }
            eprintln!("{name} (- expected, + delivered):\n{}", difference(&expected, &real));
            failed.push(name.into_owned());
        }
    }
    assert!(failed.is_empty(), "{} of {} traces differ: {failed:?}", failed.len(), files.len());
}
