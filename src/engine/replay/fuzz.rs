//! What the fuzz targets run: bytes in, a panic if the library does something wrong.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use super::scene::{MASK, Scene};
use super::{Disk, Ino, Op, Replay};
use crate::engine::Limits;

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
        max_scan: [1024, 16, 40, 4096][byte >> 4 & 3],
    }
}

fn small_tree(disk: &mut Disk) {
    let path = |text: &str| text.as_bytes().to_vec();
    for dir in ["/t", "/o", "/t/a", "/t/a/b", "/t/c", "/o/d"] {
        whole(disk, &Op::Mkdir(path(dir)));
    }
    for file in ["/t/f", "/t/a/f", "/t/a/b/g", "/o/d/g"] {
        whole(disk, &Op::Create(path(file)));
    }
}

fn whole(disk: &mut Disk, op: &Op) -> bool {
    let before = disk.flights();
    let done = disk.begin(op).is_ok();
    while disk.flights() > before {
        disk.land(before);
    }
    done
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
    let [_, _, nodes, _, memory] = scene.engine.figures();
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

/// A path that may or may not lead to something.
fn path(disk: &Disk, byte: usize) -> Vec<u8> {
    let dirs = dirs(disk);
    let (dir, _) = &dirs[(byte >> 2) % dirs.len()];
    [&dir[..], b"/", NAMES[byte & 3]].concat()
}

/// What other tasks do, decided by a tape; between, the engine runs for a while.
struct Others {
    tape: Tape,
    /// Calls of the engine until they do something again.
    wait: usize,
    log: Option<String>,
}

impl Others {
    fn note(&mut self, line: impl FnOnce() -> String) {
        if let Some(log) = &mut self.log {
            log.push_str(&line());
            log.push('\n');
        }
    }

    /// Acts until the engine is to run. False at the end of the tape.
    fn act(&mut self, disk: &mut Disk) -> bool {
        loop {
            let Some(code) = self.tape.next() else {
                return false;
            };
            let op = match code & 0x0f {
                0 | 1 => Op::Mkdir(path(disk, self.tape.byte())),
                2 => Op::Create(path(disk, self.tape.byte())),
                3 => Op::Unlink(path(disk, self.tape.byte())),
                4 => Op::Rmdir(path(disk, self.tape.byte())),
                5 | 6 | 7 => Op::Rename(path(disk, self.tape.byte()), path(disk, self.tape.byte())),
                8 => Op::Exchange(path(disk, self.tape.byte()), path(disk, self.tape.byte())),
                9 => Op::Link(path(disk, self.tape.byte()), path(disk, self.tape.byte())),
                10 if code & 0x80 != 0 => Op::Write(path(disk, self.tape.byte())),
                10 => Op::Chmod(path(disk, self.tape.byte())),
                11 => {
                    self.note(|| format!("land {}", code >> 4));
                    disk.land(usize::from(code >> 4));
                    continue;
                }
                _ => {
                    self.wait = usize::from(code >> 4) + 16 * usize::from(code & 3);
                    let wait = self.wait;
                    self.note(|| format!("-- engine runs for {wait} calls"));
                    return true;
                }
            };
            let dirs = dirs(disk);
            let entries = dirs.iter().filter_map(|(_, ino)| disk.entries(*ino).ok());
            let many: usize = entries.map(|entries| entries.len()).sum();
            if many >= ENTRIES && matches!(op, Op::Mkdir(_) | Op::Create(_) | Op::Link(..)) {
                continue;
            }
            if matches!(op, Op::Chmod(_) | Op::Write(_)) {
                // What is changed before the event of its making is queued is another matter.
                while disk.land(0) {}
            }
            // Some operations are still under way when the next thing happens.
            let done = if code & 0x30 == 0x30 { disk.begin(&op).is_ok() } else { whole(disk, &op) };
            if done {
                let begin = if code & 0x30 == 0x30 { "begin " } else { "" };
                self.note(|| format!("{begin}{}", words(&op)));
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
        Op::Write(path) => format!("write {}", text(path)),
        Op::Chmod(path) => format!("chmod {}", text(path)),
    }
}

/// The bytes are what other tasks do to the tree, and when the engine runs: at any of its calls
/// something can happen. When everything is quiet, what a consumer believes must be what is there.
pub fn operations(data: &[u8]) {
    let mut tape = Tape::new(data);
    let (setup, second) = (tape.byte(), tape.byte());
    let mut world = Replay::new();
    world.list_chunk = [1000, 1, 3, 2][second & 3];
    world.bare = second & 4 != 0;
    for dir in [b"/t", b"/o"] {
        whole(&mut world.disk, &Op::Mkdir(dir.to_vec()));
    }
    if second & 8 != 0 {
        whole(&mut world.disk, &Op::Mkdir(b"/t/a".to_vec()));
        whole(&mut world.disk, &Op::Mkdir(b"/t/a/b".to_vec()));
        whole(&mut world.disk, &Op::Create(b"/t/b".to_vec()));
        whole(&mut world.disk, &Op::Mkdir(b"/o/a".to_vec()));
        whole(&mut world.disk, &Op::Create(b"/o/a/c".to_vec()));
    }
    let log = std::env::var_os("FUZZ_LOG").map(|_| String::new());
    let others = Rc::new(RefCell::new(Others { tape, wait: 0, log }));
    let done = Rc::new(Cell::new(false));
    let (acting, ended) = (others.clone(), done.clone());
    world.between = Some(Box::new(move |disk, call, _| {
        let mut others = acting.borrow_mut();
        others.note(|| format!("   {call:?}"));
        if ended.get() {
            return;
        }
        if others.wait > 0 {
            others.wait -= 1;
        } else if !others.act(disk) {
            ended.set(true);
        }
    }));
    let mut scene = Scene::new(world, limits(setup));
    let outcome = run(&mut scene, second, &done, &others);
    if let Err(problem) = outcome {
        if let Some(log) = &others.borrow().log {
            eprintln!("{log}");
        }
        panic!("{problem}");
    }
}

fn run(
    scene: &mut Scene,
    second: usize,
    done: &Cell<bool>,
    others: &RefCell<Others>,
) -> Result<(), String> {
    scene.watch(1, b"/t", MASK, 7)?;
    if second & 0x10 != 0 {
        scene.watch(2, b"/t", MASK, 7)?;
    }
    if second & 0x20 != 0 && second & 8 != 0 {
        // Its root may have gone by now.
        let _ = scene.watch(3, b"/t/a", MASK, 7);
    }
    loop {
        let disk = &mut scene.engine.world.disk;
        if !done.get() {
            let mut others = others.borrow_mut();
            others.wait = 0;
            if !others.act(disk) {
                done.set(true);
            }
        }
        if done.get() {
            break;
        }
        if scene.engine.world.disk.queued() > 0 {
            let (_, told) = scene.turn()?;
            for told in &told {
                others.borrow_mut().note(|| format!("> {told:?}"));
            }
            scene.believe(&told)?;
        }
    }
    while scene.engine.world.disk.land(0) {}
    let told = if second & 0x40 != 0 { scene.sync()? } else { scene.drain()? };
    for told in &told {
        others.borrow_mut().note(|| format!("> {told:?}"));
    }
    scene.believe(&told)?;
    if second & 0x40 != 0 {
        // All that was complete before the barrier has been delivered.
        scene.check_mirrors()?;
        let told = scene.drain()?;
        scene.believe(&told)?;
    }
    scene.check()
}
