//! The engine over the replay world, driven as a program drives it.

use std::collections::HashMap;

use super::mirror::{Filter, Mirror, Told};
use super::{Ino, Op, Replay};
#[cfg(fuzzing)]
use crate::engine::Coverage;
use crate::engine::{Batch, Engine, Limits, Paths, Request, WatchFlags, WatchStart};

/// Turns that anything may take.
const TURNS: usize = 100_000;

/// What a consumer needs who wants to know the whole tree.
const WHOLE: WatchFlags =
    WatchFlags::RECURSIVE.union(WatchFlags::AUTO_ADD).union(WatchFlags::EMIT_EXISTING);

/// RINOTIFY_WATCH_MASK
pub const MASK: u32 = 0x2fc6;

/// An engine, and what its callers hold.
pub struct Scene {
    /// The engine.
    pub engine: Engine<Replay>,
    batch: Batch,
    /// By id: what the consumer of a watch believes, if it can know the whole tree.
    pub watches: HashMap<i64, Option<Mirror>>,
    /// By id: the names that its filter says no to.
    refused: HashMap<i64, Vec<Vec<u8>>>,
    /// Another thread reads while a watch is being made.
    pub read_meanwhile: bool,
    /// What was delivered to it.
    meanwhile: Vec<Told>,
}

impl Scene {
    /// Nothing is watched.
    pub fn new(world: Replay, limits: Limits) -> Self {
        Self {
            engine: Engine::new(world, limits),
            batch: Batch::default(),
            watches: HashMap::new(),
            refused: HashMap::new(),
            read_meanwhile: false,
            meanwhile: Vec::new(),
        }
    }

    /// A watch call.
    #[cfg(fuzzing)]
    pub fn watch(&mut self, id: i64, path: &[u8], mask: u32, flags: u32) -> Result<(), String> {
        self.watch_with(id, path, mask, flags, &Filter::default())
    }

    /// The same, with directories that are left out.
    pub fn watch_with(
        &mut self,
        id: i64,
        path: &[u8],
        mask: u32,
        flags: u32,
        filter: &Filter,
    ) -> Result<(), String> {
        let flags = WatchFlags::from_bits_truncate(flags);
        let Filter { excludes, refused } = filter.clone();
        let asks = !refused.is_empty();
        self.refused.insert(id, refused);
        let (spelled, absolute) = (path.to_vec(), path.to_vec());
        let request = Request { path: spelled, absolute, mask, flags, excludes, asks };
        let failed = |failure| format!("watch {id}: {failure:?}");
        let start = self.engine.start_watch(id, request).map_err(failed)?;
        for _ in 0..TURNS {
            let built = self.engine.build(start, 64);
            if self.read_meanwhile {
                let (_, told) = self.turn()?;
                self.meanwhile = told;
            }
            if built {
                break;
            }
            self.answer(Some(start));
        }
        self.engine.finish_watch(start, false).map_err(failed)?;
        let every = mask & MASK == MASK && mask & libc::IN_ONESHOT == 0;
        let tracks = flags.contains(WatchFlags::TRACK_ENTRIES);
        let whole = flags.contains(WHOLE);
        let follows = WatchFlags::FOLLOW_NAME | WatchFlags::EMIT_EXISTING;
        let mirror = if every && flags.contains(follows) {
            let deep = WatchFlags::RECURSIVE | WatchFlags::AUTO_ADD | WatchFlags::TRACK_ENTRIES;
            let known = whole || !flags.intersects(deep);
            known.then(|| Mirror::following(path, whole, filter.clone(), tracks))
        } else {
            let root = (whole && every).then(|| self.root_of(id)).flatten();
            root.map(|ino| Mirror::new(path, ino, filter.clone(), tracks))
        };
        self.watches.insert(id, mirror);
        Ok(())
    }

    /// Another mask, other flags for a watch.
    #[cfg(test)]
    pub fn change(&mut self, id: i64, mask: u32, flags: u32) -> Result<(), String> {
        let flags = WatchFlags::from_bits_truncate(flags);
        let changed = self.engine.change_watch(id, mask, flags);
        changed.map_err(|failure| format!("change {id}: {failure:?}"))
    }

    /// Says yes or no to what the engine asks. True if it asked anything.
    fn answer(&mut self, of: Option<WatchStart>) -> bool {
        let mut asked = false;
        while let Some(ask) = self.engine.next_question(of) {
            let name = &ask.path[ask.name..];
            let refused = self.refused.get(&ask.watch);
            let no = refused.is_some_and(|names| names.iter().any(|refused| refused == name));
            self.engine.answer(ask.serial, !no);
            asked = true;
        }
        asked
    }

    /// What the root of a watch is; by the time of the call its path may lead elsewhere.
    fn root_of(&self, id: i64) -> Option<Ino> {
        let points = self.engine.watchpoints();
        let (_, wd, ..) = points.iter().find(|point| point.0 == id)?;
        let marks = &self.engine.world.disk.marks;
        marks.iter().find(|(_, mark)| mark.wd == *wd).map(|(&ino, _)| ino)
    }

    /// Ends a watch.
    pub fn ignore(&mut self, id: i64) -> bool {
        self.watches.remove(&id);
        self.engine.ignore_id(id)
    }

    /// One turn: what it delivers.
    pub fn turn(&mut self) -> Result<(bool, Vec<Told>), String> {
        self.batch.clear();
        let turned = self.engine.turn(&mut self.batch);
        let worked = turned.map_err(|errno| format!("turn: {errno:?}"))?;
        // What the engine has closed is closed, and may be the end of a directory.
        self.engine.world.disk.close_handles();
        if self.answer(None) {
            self.engine.rouse();
        }
        let mut paths = Paths::default();
        let mut all = std::mem::take(&mut self.meanwhile);
        for out in (0..).map_while(|at| self.batch.get(at)) {
            if !self.watches.contains_key(&out.watch) {
                continue;
            }
            let (error, old) = self.batch.extra(out);
            let (path, name) = paths.compose(&self.batch, out);
            let told = Told {
                watch: out.watch,
                mask: out.mask,
                cookie: out.cookie,
                flags: out.flags,
                error,
                path: path[..path.len() - 1].to_vec(),
                name,
                old: (!old.is_empty()).then(|| old.to_vec()),
                last: out.last,
            };
            if out.last {
                self.watches.remove(&out.watch);
            }
            all.push(told);
        }
        Ok((worked, all))
    }

    /// Lets the mirrors believe events.
    pub fn believe(&mut self, all: &[Told]) -> Result<(), String> {
        for told in all {
            let Some(belief) = self.watches.get_mut(&told.watch) else {
                continue;
            };
            let follows = belief.as_ref().is_some_and(Mirror::follows);
            if told.mask & libc::IN_MOVE_SELF != 0 && !follows {
                // A root that has moved away cannot be reached by its path any more.
                *belief = None;
            }
            if let Some(mirror) = belief {
                let disk = &self.engine.world.disk;
                mirror
                    .apply(told, disk)
                    .map_err(|problem| format!("watch {}: {problem}", told.watch))?;
            }
        }
        Ok(())
    }

    /// Turns while the descriptor is readable; then there must be nothing left to tell.
    pub fn drain(&mut self) -> Result<Vec<Told>, String> {
        let mut all = std::mem::take(&mut self.meanwhile);
        for _ in 0..TURNS {
            if self.engine.world.disk.queued() == 0 {
                let (_, rest) = self.turn()?;
                if self.engine.world.disk.queued() > 0 {
                    all.extend(rest);
                    continue;
                }
                return match rest.first() {
                    None => Ok(all),
                    Some(told) => Err(format!("not readable, but there was {told:?}")),
                };
            }
            all.extend(self.turn()?.1);
        }
        Err("the queue never empties".into())
    }

    /// The barrier.
    pub fn sync(&mut self) -> Result<Vec<Told>, String> {
        let mut all = Vec::new();
        self.engine.begin_sync().map_err(|failure| format!("sync: {failure:?}"))?;
        for _ in 0..TURNS {
            all.extend(self.turn()?.1);
            if self.engine.sync_done() {
                return Ok(all);
            }
        }
        Err("the barrier never comes out".into())
    }

    /// What the watches see of their trees whose consumers know all: id, coverage, directories not
    /// covered.
    #[cfg(fuzzing)]
    pub fn coverage(&self) -> Vec<(i64, Coverage, u64)> {
        // What could not be listed before the root moved away cannot be reached any more.
        let disk = &self.engine.world.disk;
        let whole = |mirror: &Mirror| mirror.is_there(disk);
        let whole = self.watches.iter().filter(|(_, mirror)| mirror.as_ref().is_some_and(whole));
        let status = |(&id, _): (&i64, _)| {
            self.engine.status(id).map(|(coverage, gaps)| (id, coverage, gaps))
        };
        whole.filter_map(status).collect()
    }

    /// What the consumers believe is so.
    pub fn check_mirrors(&self) -> Result<(), String> {
        for (id, mirror) in &self.watches {
            let compared = mirror.as_ref().map(|mirror| mirror.compare(&self.engine.world.disk));
            compared.unwrap_or(Ok(())).map_err(|problem| format!("watch {id}: {problem}"))?;
        }
        Ok(())
    }

    /// Everything is quiet: what the consumers believe is so, and the kernel watches what the
    /// engine knows.
    pub fn check(&mut self) -> Result<(), String> {
        self.check_mirrors()?;
        self.engine.world.disk.close_handles();
        let points = self.engine.watchpoints();
        let mut ours: Vec<_> = points.iter().map(|point| point.1).collect();
        ours.sort_unstable();
        ours.dedup();
        let theirs = self.engine.world.wds();
        // The end of a directory can have been lost that cannot be compared, as its root has moved.
        let overflows = self.engine.counters.overflows > 0;
        let disk = &self.engine.world.disk;
        let there = |mirror: &Option<Mirror>| mirror.as_ref().is_some_and(|m| m.is_there(disk));
        let compared = |id: &i64| !overflows || self.watches.get(id).is_none_or(there);
        let known = |wd: &i32| {
            theirs.contains(wd) || !points.iter().any(|point| point.1 == *wd && compared(&point.0))
        };
        // Those on the way to a root are not shown.
        let wanted = |wd: &i32| ours.contains(wd) || self.engine.hidden.holds(*wd);
        if !ours.iter().all(known) || !theirs.iter().all(wanted) {
            return Err(format!("the engine knows wds {ours:?}, the kernel {theirs:?}"));
        }
        for (id, _, _, path) in self.engine.watchpoints() {
            let mirror = self.watches.get(&id).and_then(Option::as_ref);
            if mirror.is_some_and(|mirror| {
                mirror.is_there(&self.engine.world.disk) && !mirror.wants(&path)
            }) {
                return Err(format!("{} is watched", String::from_utf8_lossy(&path)));
            }
        }
        let [_, _, nodes, pending, ..] = self.engine.figures();
        // Directories that are left out have nodes alone, and what is below a root that is elsewhere.
        let whole = |mirror: &Option<Mirror>| {
            mirror.as_ref().is_some_and(|m| m.is_there(&self.engine.world.disk) && m.wants_all())
        };
        let covered = self.engine.gaps.is_empty() && self.watches.values().all(whole);
        // A name that leads nowhere has a node as well.
        let vacant = self.watches.values().flatten().filter(|mirror| mirror.is_vacant()).count();
        if covered && nodes != (points.len() + vacant) as u64 {
            return Err(format!("there are {nodes} directories, {} are watched", points.len()));
        }
        if pending > 0 {
            return Err(format!("{pending} things are still to be done"));
        }
        if self.engine.gaps.is_empty() { self.probe() } else { Ok(()) }
    }

    /// A file comes to each directory that is watched: each watch tells it once, with the right path.
    fn probe(&mut self) -> Result<(), String> {
        const PROBE: &[u8] = b"probe";
        self.engine.world.between = None;
        let disk = &mut self.engine.world.disk;
        disk.queue_limit = usize::MAX;
        let mut stack = vec![(Vec::new(), disk.resolve(b"/").map_err(|e| format!("{e:?}"))?)];
        let mut dirs = Vec::new();
        while let Some((path, ino)) = stack.pop() {
            for (name, &(below, _)) in disk.entries(ino).into_iter().flatten() {
                if disk.is_dir(below) {
                    stack.push(([&path[..], b"/", name].concat(), below));
                }
            }
            dirs.push(path);
        }
        for dir in &dirs {
            // One that is there already is as good.
            let op = Op::Create([&dir[..], b"/", PROBE].concat());
            let _ = disk.run(&op);
        }
        let told = self.drain()?;
        for (&id, mirror) in &self.watches {
            let disk = &self.engine.world.disk;
            let there = mirror.as_ref().filter(|mirror| mirror.is_there(disk));
            let Some(dirs) = there.and_then(Mirror::watched) else { continue };
            let is = |told: &&Told| told.watch == id && told.path.ends_with(PROBE);
            let mut came: Vec<_> = told.iter().filter(is).map(|told| told.path.clone()).collect();
            let mut wanted: Vec<_> =
                dirs.into_iter().map(|dir| [&dir[..], b"/", PROBE].concat()).collect();
            came.sort_unstable();
            wanted.sort_unstable();
            if came != wanted {
                let text = |paths: &[Vec<u8>]| {
                    let texts = paths.iter().map(|path| String::from_utf8_lossy(path).into_owned());
                    texts.collect::<Vec<_>>().join(" ")
                };
                let (came, wanted) = (text(&came), text(&wanted));
                return Err(format!("watch {id} tells of {came}, there are {wanted}"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::replay::Call;
    use std::cell::Cell;
    use std::rc::Rc;

    /// A parent of a thousand names that are followed is replaced: no turn walks along all of their ways.
    #[test]
    fn many_names_are_looked_at_in_steps() {
        const NAMES: usize = 1000;
        let opened = Rc::new(Cell::new(0));
        let counted = opened.clone();
        let mut world = Replay::new();
        world.between = Some(Box::new(move |_, call, _| {
            counted.set(counted.get() + usize::from(call == Call::Open));
        }));
        for path in ["/a", "/b"] {
            world.disk.run(&Op::Mkdir(path.into())).unwrap();
        }
        let name = |dir: &str, number: usize| format!("/{dir}/{number}").into_bytes();
        for number in 0..NAMES {
            world.disk.run(&Op::Create(name("a", number))).unwrap();
            world.disk.run(&Op::Create(name("b", number))).unwrap();
        }
        let limits = Limits { read_size: 65_536, max_events: 4096, max_scan: 1024 };
        let mut scene = Scene::new(world, limits);
        for id in 0..NAMES {
            let path = name("a", id);
            let id = i64::try_from(id).unwrap();
            scene.watch_with(id, &path, libc::IN_CLOSE_WRITE, 0x20, &Filter::default()).unwrap();
        }
        scene.drain().unwrap();
        let walk = 4;
        let exchange = Op::Exchange(b"/a".to_vec(), b"/b".to_vec());
        scene.engine.world.disk.run(&exchange).unwrap();
        let mut came = vec![false; NAMES];
        while scene.engine.world.disk.queued() > 0 {
            opened.set(0);
            let (_, told) = scene.turn().unwrap();
            assert!(opened.get() <= walk * NAMES / 4, "{} in one turn", opened.get());
            for told in told {
                let is = usize::try_from(told.watch).unwrap();
                came[is] = told.mask & libc::IN_MOVED_TO != 0;
            }
        }
        assert!(came.iter().all(|&came| came), "some are not told");
    }

    /// Bytes that are no events are dropped, with all that was read behind them.
    #[test]
    fn a_loss_ends_though_its_mark_is_dropped() {
        let mut world = Replay::new();
        for dir in ["/t", "/t/a", "/t/a/b", "/t/c"] {
            world.disk.run(&Op::Mkdir(dir.into())).unwrap();
        }
        let limits = Limits { read_size: 288, max_events: 4096, max_scan: 4 };
        let mut scene = Scene::new(world, limits);
        scene.watch_with(1, b"/t", libc::IN_ALL_EVENTS, 3, &Filter::default()).unwrap();
        let event = |mask: u32| {
            let [wd, cookie, len] = [[0; 4]; 3];
            [wd, mask.to_ne_bytes(), cookie, len].concat()
        };
        let chunk = |events: &[u32], more: usize| {
            let mut bytes: Vec<_> = events.iter().flat_map(|&mask| event(mask)).collect();
            bytes.resize(bytes.len() + more, 0);
            bytes
        };
        let mut told = Vec::new();
        let (once, again) =
            (chunk(&[libc::IN_Q_OVERFLOW], 24), chunk(&[0, libc::IN_Q_OVERFLOW], 344));
        for bytes in [once, Vec::new(), again, vec![0]] {
            if !bytes.is_empty() {
                scene.engine.world.disk.garbage.push_back(bytes);
            }
            told.extend(scene.turn().unwrap().1);
        }
        told.extend(scene.drain().unwrap());
        let told: Vec<_> = told.iter().map(|told| told.mask).collect();
        assert_eq!(told.iter().filter(|&&mask| mask == libc::IN_Q_OVERFLOW).count(), 2);
    }
}
