//! What the fuzz targets run: bytes in, a panic if the library does something wrong.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use super::mirror::Filter;
use super::scene::{MASK, Scene};
use super::{Disk, Ino, Op, Replay};
use crate::engine::{Coverage, Limits};

/// Most events that one kernel event of garbage may be told as, on average and with some room.
const TOLD: usize = 64;
/// Most of what the engine may hold for a small tree.
const MEMORY: u64 = 16 << 20;

/// Bytes that decide; zeros at the end.
struct Tape {
    bytes: VecDeque<u8>,
}

impl Tape {
    fn new(bytes: &[u8]) -> Self {
        Self { bytes: bytes.iter().copied().collect() }
    }

    fn next(&mut self) -> Option<u8> {
        self.bytes.pop_front()
    }

    fn byte(&mut self) -> usize {
        usize::from(self.next().unwrap_or(0))
    }
}

fn limits(byte: usize) -> Limits {
    Limits {
        read_size: [512, 65_536, 288, 4096][byte & 3],
        max_events: [4096, 1, 3, 64][byte >> 2 & 3],
        max_scan: [1024, 16, 40, 4][byte >> 4 & 3],
    }
}

fn small_tree(disk: &mut Disk) {
    let path = |text: &str| text.as_bytes().to_vec();
    for dir in ["/t", "/o", "/t/a", "/t/a/b", "/t/c", "/o/d"] {
        disk.run(&Op::Mkdir(path(dir))).unwrap();
    }
    for file in ["/t/f", "/t/a/f", "/t/a/b/g", "/o/d/g"] {
        disk.run(&Op::Create(path(file))).unwrap();
    }
}

/// The bytes are what read(2) returns, in chunks: the first byte says how the engine is set up,
/// and each chunk begins with its length.
pub fn decode(data: &[u8]) {
    let Some((&first, mut rest)) = data.split_first() else {
        return;
    };
    let mut world = Replay::new();
    small_tree(&mut world.disk);
    let mut scene = Scene::new(world, limits(usize::from(first)));
    let mask = if first & 0x40 != 0 { MASK } else { libc::IN_ALL_EVENTS };
    let flags = if first & 0x80 != 0 { 7 } else { 3 };
    scene.watch(1, b"/t", mask, flags).unwrap();
    let mut told = 0;
    while let Some((&len, bytes)) = rest.split_first() {
        let len = (usize::from(len) * 4).min(bytes.len());
        let (chunk, after) = bytes.split_at(len);
        rest = after;
        if !chunk.is_empty() {
            scene.engine.world.disk.garbage.push_back(chunk.to_vec());
        }
        // An even length: the engine has a turn before the next chunk is there.
        if len & 4 == 0 {
            told += scene.turn().unwrap().1.len();
        }
    }
    told += scene.drain().unwrap().len();
    let [_, _, nodes, _, memory, _] = scene.engine.figures();
    assert!(told <= TOLD * (data.len() + 16), "{told} events of {} bytes", data.len());
    assert!(nodes <= 64 + data.len() as u64, "{nodes} nodes of {} bytes", data.len());
    assert!(memory <= MEMORY, "{memory} bytes held");
    // The tree goes, and with it everything that is held.
    scene.ignore(1);
    scene.drain().unwrap();
}

/// Directories and files to choose from.
const NAMES: [&[u8]; 4] = [b"a", b"b", b"c", b"d"];
/// Entries that the tree has at most.
const ENTRIES: usize = 40;

/// All directories, those of the watched tree first.
fn dirs(disk: &Disk) -> Vec<(Vec<u8>, Ino)> {
    let mut all = Vec::new();
    for top in [&b"/t"[..], b"/o"] {
        let mut stack: Vec<_> =
            disk.resolve(top).map(|ino| (top.to_vec(), ino)).into_iter().collect();
        while let Some((path, ino)) = stack.pop() {
            for (name, &(ino, _)) in disk.entries(ino).into_iter().flatten() {
                if disk.is_dir(ino) {
                    stack.push(([&path[..], b"/", name].concat(), ino));
                }
            }
            all.push((path, ino));
        }
    }
    all
}

/// Files that may not be read.
fn hidden_files(disk: &Disk) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for (path, ino) in dirs(disk) {
        for (name, &(ino, _)) in disk.entries(ino).into_iter().flatten() {
            if !disk.is_dir(ino) && disk.target(ino).is_none() && !disk.covers(ino) {
                all.push([&path[..], b"/", name].concat());
            }
        }
    }
    all
}

/// A path that may or may not lead to something.
fn path(disk: &Disk, byte: usize) -> Vec<u8> {
    let dirs = dirs(disk);
    let (dir, _) = &dirs[(byte >> 2) % dirs.len()];
    [&dir[..], b"/", NAMES[byte & 3]].concat()
}

/// What is written in a symbolic link.
fn target(disk: &Disk, byte: usize, to: usize) -> Vec<u8> {
    let words: [&[u8]; 7] = [b"a", b"b", b"../a", b"../c/b", b"c/d", b"..", b"./d/"];
    words.get(byte & 15).map_or_else(|| path(disk, to), |word| word.to_vec())
}

/// What other tasks do, decided by a tape; between, the engine runs for a while.
struct Others {
    tape: Tape,
    /// Calls of the engine until they do something again.
    wait: usize,
    /// Operations may be under way when the next thing happens.
    overlap: bool,
    /// Others have directories open.
    holds: bool,
    /// And make symbolic links.
    links: bool,
    log: Log,
}

/// What happens, as a trace.
#[derive(Default)]
struct Log {
    on: bool,
    lines: Vec<String>,
    /// The engine runs: what happens meanwhile is written before this step.
    step: Option<String>,
    calls: usize,
}

impl Log {
    /// A step of the engine begins.
    fn begin(&mut self, step: &str) {
        self.step = Some(step.into());
        self.calls = 0;
    }

    fn end(&mut self) {
        self.lines.extend(self.step.take());
    }

    /// Other tasks do something.
    fn act(&mut self, acts: &[String]) {
        if self.step.is_none() {
            self.lines.extend_from_slice(acts);
        } else if !acts.is_empty() {
            self.lines.push(format!("after {}: {}", self.calls, acts.join("; ")));
        }
    }
}

impl Others {
    /// Acts until the engine is to run. False at the end of the tape.
    fn act(&mut self, disk: &mut Disk) -> bool {
        let mut acts = Vec::new();
        let goes_on = self.act_until(disk, &mut acts);
        self.log.act(&acts);
        goes_on
    }

    fn act_until(&mut self, disk: &mut Disk, acts: &mut Vec<String>) -> bool {
        let tape = &mut self.tape;
        loop {
            let Some(code) = tape.next() else {
                return false;
            };
            let op = match code & 0x0f {
                0 | 1 => Op::Mkdir(path(disk, tape.byte())),
                2 => Op::Create(path(disk, tape.byte())),
                3 => Op::Unlink(path(disk, tape.byte())),
                4 => Op::Rmdir(path(disk, tape.byte())),
                5..=7 => Op::Rename(path(disk, tape.byte()), path(disk, tape.byte())),
                8 => Op::Exchange(path(disk, tape.byte()), path(disk, tape.byte())),
                9 if self.links && code & 0x80 != 0 => {
                    let target = target(disk, tape.byte(), tape.byte());
                    Op::Symlink(target, path(disk, tape.byte()))
                }
                9 => Op::Link(path(disk, tape.byte()), path(disk, tape.byte())),
                10 if code & 0x80 != 0 => Op::Write(path(disk, tape.byte())),
                10 => Op::Chmod(path(disk, tape.byte()), [5, 0, 1, 4][usize::from(code >> 4 & 3)]),
                11 => {
                    if disk.land(usize::from(code >> 4)) {
                        acts.push(format!("land {}", code >> 4));
                    }
                    continue;
                }
                12 if self.holds && code & 0x80 != 0 => Op::Release,
                12 if self.holds => Op::Hold(path(disk, tape.byte())),
                _ => {
                    self.wait = usize::from(code >> 4) + 16 * usize::from(code & 3);
                    return true;
                }
            };
            let dirs = dirs(disk);
            let entries = dirs.iter().filter_map(|(_, ino)| disk.entries(*ino).ok());
            let many: usize = entries.map(|entries| entries.len()).sum();
            if many >= ENTRIES
                && matches!(op, Op::Mkdir(_) | Op::Create(_) | Op::Link(..) | Op::Symlink(..))
            {
                continue;
            }
            if matches!(op, Op::Chmod(..) | Op::Write(_)) {
                // What is changed before the event of its making is queued is another matter.
                while disk.land(0) {
                    acts.push("land".into());
                }
            }
            // Some operations are still under way when the next thing happens.
            let slow = self.overlap && code & 0x30 == 0x30;
            let done = if slow { disk.begin(&op) } else { disk.run(&op) };
            let done = done.is_ok();
            if done && self.log.on {
                let begin = if slow { "begin " } else { "" };
                acts.push(format!("{begin}{}", words(&op)));
            }
        }
    }
}

fn words(op: &Op) -> String {
    let text = |path: &[u8]| String::from_utf8_lossy(path).into_owned();
    match op {
        Op::Mkdir(path) => format!("mkdir {}", text(path)),
        Op::Create(path) => format!("create {}", text(path)),
        Op::Unlink(path) => format!("unlink {}", text(path)),
        Op::Rmdir(path) => format!("rmdir {}", text(path)),
        Op::Rename(from, to) => format!("rename {} {}", text(from), text(to)),
        Op::Exchange(from, to) => format!("exchange {} {}", text(from), text(to)),
        Op::Link(from, to) => format!("link {} {}", text(from), text(to)),
        Op::Symlink(target, path) => format!("symlink {} {}", text(target), text(path)),
        Op::Write(path) => format!("write {}", text(path)),
        Op::Chmod(path, mode) => format!("chmod {} {mode}", text(path)),
        Op::Hold(path) => format!("hold {}", text(path)),
        Op::Release => "release".into(),
    }
}

/// The bytes are what other tasks do to the tree, and when the engine runs: at any of its calls
/// something can happen. When everything is quiet, what a consumer believes must be what is there.
pub fn operations(data: &[u8]) {
    play(Tape::new(data), None);
}

/// The same with watches that follow a name, and symbolic links; the first byte says which.
pub fn follow(data: &[u8]) {
    let mut tape = Tape::new(data);
    let names = tape.byte();
    play(tape, Some(names));
}

fn play(mut tape: Tape, names: Option<usize>) {
    let (setup, second, third) = (tape.byte(), tape.byte(), tape.byte());
    let limits = limits(setup);
    let mut log = Log { on: std::env::var_os("FUZZ_LOG").is_some(), ..Log::default() };
    let Limits { read_size, max_events, max_scan } = limits;
    log.lines
        .push(format!("limits read_size={read_size} max_events={max_events} max_scan={max_scan}"));
    let mut world = Replay::new();
    world.list_chunk = [1000, 1, 3, 2][second & 3];
    log.lines.push(format!("set list_chunk {}", world.list_chunk));
    world.bare = second & 4 != 0;
    if world.bare {
        log.lines.push("set bare yes".into());
    }
    world.by_name = third & 0x10 != 0;
    if world.by_name {
        log.lines.push("set by_name yes".into());
    }
    world.list_again = third & 0x80 != 0;
    if world.list_again {
        log.lines.push("set list_again yes".into());
    }
    world.disk.reuses = third & 0x20 != 0;
    if world.disk.reuses {
        log.lines.push("set reuse yes".into());
    }
    let dirs: &[&str] =
        if second & 8 != 0 { &["/t", "/o", "/t/a", "/t/a/b", "/o/a"] } else { &["/t", "/o"] };
    let files: &[&str] = if second & 8 != 0 { &["/t/b", "/o/a/c"] } else { &[] };
    let dirs = dirs.iter().map(|path| Op::Mkdir(path.as_bytes().to_vec()));
    let files = files.iter().map(|path| Op::Create(path.as_bytes().to_vec()));
    for op in dirs.chain(files) {
        world.disk.run(&op).unwrap();
        log.lines.push(words(&op));
    }
    let meanwhile = third & 8 != 0;
    if meanwhile {
        log.lines.push("set read_meanwhile yes".into());
    }
    // Overflows: a queue of a few events, and whether the files are remembered.
    if third & 3 != 0 {
        // A scan and a read in turn have two events of the library's own in it.
        let least = if names.is_some() {
            4
        } else if meanwhile {
            2
        } else {
            1
        };
        let limit = [0, least, 4, 8 + setup % 29][third & 3];
        world.disk.queue_limit = limit;
        log.lines.push(format!("set queue_limit {limit}"));
    }
    let others = Rc::new(RefCell::new(Others {
        tape,
        wait: 0,
        overlap: second & 0x80 != 0,
        holds: third & 0x40 != 0,
        links: names.is_some(),
        log,
    }));
    let done = Rc::new(Cell::new(false));
    let (acting, ended) = (others.clone(), done.clone());
    world.between = Some(Box::new(move |disk, _, _| {
        let mut others = acting.borrow_mut();
        if !ended.get() {
            if others.wait > 0 {
                others.wait -= 1;
            } else if !others.act(disk) {
                ended.set(true);
            }
        }
        others.log.calls += 1;
    }));
    let mut scene = Scene::new(world, limits);
    scene.read_meanwhile = meanwhile;
    let outcome = run(&mut scene, (setup, second, third), names, &done, &others);
    let mut others = others.borrow_mut();
    others.log.end();
    if others.log.on {
        eprintln!("{}", others.log.lines.join("\n"));
    }
    if let Err(problem) = outcome {
        panic!("{problem}");
    }
}

/// RINOTIFY_WATCH_FOLLOW_NAME
const FOLLOW: u32 = 0x20;

/// Names that are followed: id, path, and what is asked for, in the words of a trace.
fn followed(byte: usize) -> Vec<(i64, &'static str, &'static str, u32)> {
    let paths = ["/t/a", "/t/a/b", "/t/b/c/d", "/t/c/../a/b"];
    let wishes = [("existing", 4), ("all", 7), ("all track", 15), ("existing", 4)];
    let one = |id, path: usize, wish: usize| {
        (id, paths[path & 3], wishes[wish & 3].0, wishes[wish & 3].1)
    };
    let mut all = vec![one(11, byte, byte >> 2)];
    match byte >> 4 & 7 {
        0..=3 => {}
        at => all.push(one(12, byte + at - 4, (byte >> 2) + 1)),
    }
    all
}

/// What the first watch leaves out, in the words of a trace.
fn filters(byte: usize) -> (&'static str, Filter) {
    let words = ["", " exclude=b exclude=/c", " refuse=b", " exclude=c refuse=a"][byte >> 6 & 3];
    let mut filter = Filter::default();
    for word in words.split_whitespace() {
        match word.split_once('=') {
            Some(("exclude", pattern)) => {
                filter.excludes.add(pattern.as_bytes());
            }
            Some((_, name)) => filter.refused.push(name.as_bytes().to_vec()),
            None => {}
        }
    }
    (words, filter)
}

fn run(
    scene: &mut Scene,
    (setup, second, third): (usize, usize, usize),
    names: Option<usize>,
    done: &Cell<bool>,
    others: &RefCell<Others>,
) -> Result<(), String> {
    let begin = |step: &str| others.borrow_mut().log.begin(step);
    let end = || others.borrow_mut().log.end();
    let (flags, whole) = if third & 4 != 0 { (15, "all track") } else { (7, "all") };
    let (more, filter) = filters(setup);
    if names.is_none_or(|byte| byte & 0x80 != 0) {
        begin(&format!("watch 1 /t {whole}{more}"));
        scene.watch_with(1, b"/t", MASK, flags, &filter)?;
        end();
    }
    for (id, path, words, flags) in names.into_iter().flat_map(followed) {
        begin(&format!("watch {id} {path} follow {words}"));
        // A circle of links is an error.
        let _ = scene.watch(id, path.as_bytes(), MASK, flags | FOLLOW);
        end();
    }
    if second & 0x10 != 0 {
        begin("watch 2 /t all");
        scene.watch(2, b"/t", MASK, 7)?;
        end();
    }
    if second & 0x20 != 0 && scene.engine.world.disk.resolve(b"/t/a").is_ok() {
        begin(&format!("watch 3 /t/a {whole}"));
        // Its root may go meanwhile, or be no directory.
        let _ = scene.watch(3, b"/t/a", MASK, flags);
        end();
    }
    loop {
        if !done.get() {
            let mut others = others.borrow_mut();
            others.wait = 0;
            if !others.act(&mut scene.engine.world.disk) {
                done.set(true);
            }
        }
        if done.get() {
            break;
        }
        if scene.engine.world.disk.queued() > 0 {
            begin("turn");
            let (_, told) = scene.turn()?;
            end();
            scene.believe(&told)?;
        }
    }
    while scene.engine.world.disk.land(0) {
        others.borrow_mut().log.act(&["land".into()]);
    }
    // Directories that may not be read are known to be missing; then nothing is.
    for (path, ino) in dirs(&scene.engine.world.disk) {
        if !scene.engine.world.disk.covers(ino) && path != b"/t" && path != b"/o" {
            let op = Op::Chmod(path, 5);
            others.borrow_mut().log.act(&[words(&op)]);
            scene.engine.world.disk.run(&op).map_err(|errno| format!("{op:?}: {errno:?}"))?;
        }
    }
    if names.is_some() {
        // Nor files that may not be watched.
        for path in hidden_files(&scene.engine.world.disk) {
            let op = Op::Chmod(path, 5);
            others.borrow_mut().log.act(&[words(&op)]);
            scene.engine.world.disk.run(&op).map_err(|errno| format!("{op:?}: {errno:?}"))?;
        }
    }
    let sync = second & 0x40 != 0;
    begin(if sync { "sync" } else { "drain" });
    let told = if sync { scene.sync()? } else { scene.drain()? };
    end();
    scene.believe(&told)?;
    if sync {
        // All that was complete before the barrier has been delivered.
        scene.check_mirrors()?;
        let told = scene.drain()?;
        scene.believe(&told)?;
    }
    for (id, coverage, gaps) in scene.coverage() {
        if (coverage, gaps) != (Coverage::Complete, 0) {
            return Err(format!("watch {id}: {coverage:?}, {gaps} directories are not covered"));
        }
    }
    scene.check()
}
