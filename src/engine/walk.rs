//! The walk along a path that a watch follows, one component after the other, through symbolic
//! links as the kernel would: each directory on the way is watched before the next name is looked
//! up in it. So whatever changes the way later is in the queue, and whatever changed it before is
//! seen.

use super::Engine;
use super::hidden::PLACE;
use super::watches::{Failure, Watch, WatchFlags};
use super::world::World;
use crate::sys::{Errno, Look};

use libc::{IN_ATTRIB, IN_CLOSE_WRITE, IN_DONT_FOLLOW, IN_MASK_ADD, IN_ONLYDIR};

/// As many symbolic links as the kernel follows in one path (MAXSYMLINKS, include/linux/namei.h).
const LINKS: u32 = 40;
/// How often a name is looked up again whose meaning changed between two system calls, in a
/// directory whose changes are not told. Where they are, the queue says what to do next.
const AGAIN: u32 = 8;

/// A name is looked up in a directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Step {
    /// 0: the directory could not be watched.
    pub(super) wd: i32,
    pub(super) name: Vec<u8>,
}

/// Where a walk ended.
pub(super) enum End<D> {
    /// The root is there, and watched.
    Found { wd: i32, dir: Option<D>, links: u64 },
    /// It is not.
    Nothing,
    /// That could not be found out, or it could not be watched.
    Trouble(Failure),
}

/// What a walk has seen.
pub(super) struct Walk<D> {
    pub(super) steps: Vec<Step>,
    /// The last step looks for the root's own name.
    pub(super) at_end: bool,
    pub(super) end: End<D>,
    /// A directory on the way whose changes are not told.
    pub(super) blind: Option<Failure>,
    /// wds on the way.
    pub(super) wds: Vec<i32>,
}

impl<D> Walk<D> {
    /// Was there no room to watch all of the way?
    pub(super) fn is_short(&self) -> bool {
        let trouble = if let End::Trouble(failure) = &self.end { Some(failure) } else { None };
        [trouble, self.blind.as_ref()].into_iter().flatten().any(|failure| no_room(failure.errno))
    }
}

/// What is looked for.
struct Plan {
    path: Vec<u8>,
    root_mask: u32,
    nofollow: bool,
    only_dir: bool,
    closes: bool,
    /// The call that makes the watch has not returned yet.
    first: bool,
    /// Only where the name leads is to be known; what is there is not to be watched.
    way: bool,
    /// A mode on the way has been in the way of what is below the root.
    modes: bool,
}

/// No room for another watch or descriptor: the world is as it was.
pub(super) fn no_room(errno: Errno) -> bool {
    matches!(errno.0, libc::ENOSPC | libc::ENOMEM | libc::EMFILE | libc::ENFILE)
}

fn push_names(path: &[u8], names: &mut Vec<Vec<u8>>) {
    let some = |name: &&[u8]| !name.is_empty() && *name != b".";
    names.extend(path.split(|&b| b == b'/').rev().filter(some).map(<[u8]>::to_vec));
}

/// A path that must lead to a directory.
fn ends_as_dir(path: &[u8]) -> bool {
    path.ends_with(b"/") || path.ends_with(b"/.") || path == b"."
}

impl Watch {
    /// Is the directory of a followed file asked for IN_CLOSE_WRITE, too? One that comes before the
    /// new file could be watched must not be missed.
    pub(super) fn closes(&self) -> bool {
        let dir = self.holds_tree() || self.mask & IN_ONLYDIR != 0;
        self.flags.contains(WatchFlags::FOLLOW_NAME) && self.mask & IN_CLOSE_WRITE != 0 && !dir
    }
}

impl<W: World> Engine<W> {
    /// Goes along the path of a watch. `spelled`: from the current directory of now, if it was given so.
    pub(super) fn walk(&mut self, number: u32, spelled: bool) -> Walk<W::Dir> {
        let mut walk = Walk {
            steps: Vec::new(),
            at_end: false,
            end: End::Nothing,
            blind: None,
            wds: Vec::new(),
        };
        let Some(watch) = self.watch(number) else { return walk };
        let plan = Plan {
            path: if spelled { &watch.path } else { &watch.absolute }.clone(),
            root_mask: watch.root_mask() | IN_MASK_ADD,
            nofollow: watch.mask & IN_DONT_FOLLOW != 0 && !ends_as_dir(&watch.path),
            only_dir: watch.mask & IN_ONLYDIR != 0
                || watch.holds_tree()
                || ends_as_dir(&watch.path),
            closes: watch.closes(),
            first: watch.building,
            way: watch.follow.is_none(),
            modes: watch.follow.as_ref().is_some_and(|follow| follow.blocked),
        };
        walk.end = match self.go(&plan, &mut walk) {
            Ok(end) => end,
            Err(failure) => End::Trouble(failure),
        };
        walk
    }

    fn go(&mut self, plan: &Plan, walk: &mut Walk<W::Dir>) -> Result<End<W::Dir>, Failure> {
        let mut only_dir = plan.only_dir;
        let mut names = Vec::new();
        push_names(&plan.path, &mut names);
        let mut links = 0;
        let mut here = if plan.path.first() == Some(&b'/') { b"/".to_vec() } else { b".".to_vec() };
        let mut dir = self.begin(plan, &here)?;
        let mut wd = self.go_in(plan, walk, None, &dir, &here)?;
        let mut above = None;
        loop {
            let Some(name) = names.pop() else {
                // The path ends where no name leads to: "/", or "..".
                if plan.way {
                    return Ok(End::Nothing);
                }
                return self.found_dir(plan, walk, dir, &here);
            };
            let last = names.is_empty();
            walk.steps.push(Step { wd, name: name.clone() });
            if plan.modes || (last && plan.way) {
                self.ask_more(walk, walk.steps.len() - 1, &dir, IN_ATTRIB);
            }
            if last && plan.closes {
                // Not of a file that had the name before and is still in use, unless that would
                // keep it from a caller's watch of this directory.
                let own = if self.is_shared(wd) { 0 } else { libc::IN_EXCL_UNLINK };
                self.ask_more(walk, walk.steps.len() - 1, &dir, IN_CLOSE_WRITE | own);
            }
            let back = here.len();
            if !here.ends_with(b"/") {
                here.push(b'/');
            }
            here.extend_from_slice(&name);
            if name == b".." {
                let mut next = self.world.parent(&dir);
                if matches!(next, Err(Errno(libc::EACCES))) {
                    self.ask_modes(walk, &dir, above.as_ref());
                    next = self.world.parent(&dir);
                }
                let next = next.map_err(fails("open", &here))?;
                wd = self.go_in(plan, walk, None, &next, &here)?;
                above = None;
                dir = next;
                continue;
            }
            match self.look_up(walk, &dir, above.as_ref(), &name, &here)? {
                None => {
                    walk.at_end = last;
                    self.wait_at(walk, &dir);
                    return Ok(End::Nothing);
                }
                Some(Look::Link(target)) if !(last && plan.nofollow) => {
                    links += 1;
                    if links > LINKS {
                        return Err(fails("readlink", &here)(Errno(libc::ELOOP)));
                    }
                    self.world.may_follow(&dir, &name).map_err(fails("open", &here))?;
                    let target = if plan.way {
                        // Not where somebody else's link leads: nothing there may be watched, and
                        // its replacement is seen here.
                        match self.world.own_link(&dir, &name) {
                            Ok(Some(own)) => own,
                            _ => return Ok(End::Nothing),
                        }
                    } else {
                        target
                    };
                    only_dir |= last && ends_as_dir(&target);
                    push_names(&target, &mut names);
                    here.truncate(back);
                    if target.first() == Some(&b'/') {
                        here = b"/".to_vec();
                        dir = self.begin(plan, &here)?;
                        wd = self.go_in(plan, walk, None, &dir, &here)?;
                        above = None;
                    }
                }
                Some(_) if last && plan.way => return Ok(End::Nothing),
                Some(Look::Directory) => {
                    let Some(next) = self.step_into(walk, &dir, above.as_ref(), &name, &here)?
                    else {
                        walk.at_end = last;
                        return Ok(End::Nothing);
                    };
                    if last {
                        walk.at_end = true;
                        return self.found_last(plan, walk, (&dir, above.as_ref()), next, &here);
                    }
                    wd = self.go_in(plan, walk, Some(&dir), &next, &here)?;
                    above = Some(std::mem::replace(&mut dir, next));
                }
                // A file in the middle of the way.
                Some(_) if !last => return Ok(End::Nothing),
                Some(_) if only_dir => {
                    walk.at_end = true;
                    return Err(fails("open", &here)(Errno(libc::ENOTDIR)));
                }
                Some(other) => {
                    walk.at_end = true;
                    let links = if let Look::Other(links) = other { links } else { 1 };
                    let found =
                        self.found_file(plan, walk, (&dir, above.as_ref()), &name, links, &here)?;
                    if let End::Found { .. } = found {
                        self.wait_at(walk, &dir);
                    }
                    return Ok(found);
                }
            }
        }
    }

    /// The beginning of every path.
    fn begin(&mut self, plan: &Plan, at: &[u8]) -> Result<W::Dir, Failure> {
        // Without a known current directory a relative path cannot be followed.
        if plan.path.first() != Some(&b'/') && !plan.way {
            return Err(fails("getcwd", &plan.path)(Errno(libc::ENOENT)));
        }
        self.world.open(at, false).map_err(fails("open", at))
    }

    /// Watches a directory on the way. 0 if that is not possible, but going on is.
    fn go_in(
        &mut self,
        plan: &Plan,
        walk: &mut Walk<W::Dir>,
        above: Option<&W::Dir>,
        dir: &W::Dir,
        here: &[u8],
    ) -> Result<i32, Failure> {
        let mask = PLACE | IN_MASK_ADD | IN_ONLYDIR;
        let mut added = self.world.add(dir, b".", mask);
        if added == Err(Errno(libc::EACCES))
            && let (Some(above), false) = (above, walk.steps.is_empty())
        {
            // Told when its mode changes; and perhaps it just has.
            self.ask_more(walk, walk.steps.len() - 1, above, IN_ATTRIB);
            added = self.world.add(dir, b".", mask);
        }
        match added {
            Ok(wd) => {
                self.hide(wd);
                walk.wds.push(wd);
                Ok(wd)
            }
            Err(errno) if errno.0 == libc::EACCES || (no_room(errno) && !plan.first) => {
                walk.blind.get_or_insert(fails("inotify_add_watch", here)(errno));
                Ok(0)
            }
            Err(errno) => Err(fails("inotify_add_watch", here)(errno)),
        }
    }

    /// Asks the kernel for more at the directory of a step.
    fn ask_more(&mut self, walk: &Walk<W::Dir>, step: usize, dir: &W::Dir, bits: u32) {
        if walk.steps.get(step).is_some_and(|step| step.wd != 0) {
            // The same call has just succeeded for this directory.
            let _ = self.world.add(dir, b".", bits | IN_MASK_ADD | IN_ONLYDIR);
        }
    }

    /// Asks for changes of the mode of the last step's directory, and of the one above as to this one: a
    /// directory that may not be read cannot be watched itself.
    fn ask_modes(&mut self, walk: &Walk<W::Dir>, dir: &W::Dir, above: Option<&W::Dir>) {
        let at = walk.steps.len() - 1;
        self.ask_more(walk, at, dir, IN_ATTRIB);
        if let (Some(above), Some(before)) = (above, at.checked_sub(1)) {
            self.ask_more(walk, before, above, IN_ATTRIB);
        }
    }

    /// What stands under a name; `None`: nothing.
    fn look_up(
        &mut self,
        walk: &mut Walk<W::Dir>,
        dir: &W::Dir,
        above: Option<&W::Dir>,
        name: &[u8],
        here: &[u8],
    ) -> Result<Option<Look>, Failure> {
        let mut seen = self.world.look(dir, name);
        if seen == Err(Errno(libc::EACCES)) {
            // No search permission: told when that changes, by the directory or the one above.
            self.ask_modes(walk, dir, above);
            seen = self.world.look(dir, name);
        }
        match seen {
            Ok(look) => Ok(Some(look)),
            Err(Errno(libc::ENOENT | libc::ENOTDIR)) => Ok(None),
            Err(errno) => Err(fails("stat", here)(errno)),
        }
    }

    /// Reaches a directory by its name. `None`: it is none any more.
    fn step_into(
        &mut self,
        walk: &Walk<W::Dir>,
        dir: &W::Dir,
        above: Option<&W::Dir>,
        name: &[u8],
        here: &[u8],
    ) -> Result<Option<W::Dir>, Failure> {
        let mut asked = false;
        for _ in 0..AGAIN {
            match self.world.open_below(dir, name) {
                Ok(next) => return Ok(Some(next)),
                Err(Errno(libc::EACCES)) if !asked => {
                    // It could be searched just now.
                    self.ask_modes(walk, dir, above);
                    asked = true;
                    continue;
                }
                Err(Errno(libc::ENOENT | libc::ENOTDIR | libc::ELOOP)) => {}
                Err(errno) => return Err(fails("open", here)(errno)),
            }
            if self.world.look(dir, name) != Ok(Look::Directory) {
                break;
            }
        }
        Ok(None)
    }

    /// The path leads to a directory by its last name.
    fn found_last(
        &mut self,
        plan: &Plan,
        walk: &mut Walk<W::Dir>,
        (dir, above): (&W::Dir, Option<&W::Dir>),
        root: W::Dir,
        here: &[u8],
    ) -> Result<End<W::Dir>, Failure> {
        let mask = plan.dir_mask();
        let mut added = self.world.add(&root, b".", mask);
        if added == Err(Errno(libc::EACCES)) {
            self.ask_modes(walk, dir, above);
            added = self.world.add(&root, b".", mask);
        }
        let wd = added.map_err(fails("inotify_add_watch", here))?;
        self.wait_at(walk, dir);
        Ok(End::Found { wd, dir: Some(root), links: 1 })
    }

    /// The path leads to a directory without a name of its own.
    fn found_dir(
        &mut self,
        plan: &Plan,
        walk: &mut Walk<W::Dir>,
        root: W::Dir,
        here: &[u8],
    ) -> Result<End<W::Dir>, Failure> {
        walk.at_end = false;
        let wd = self.world.add(&root, b".", plan.dir_mask());
        let wd = wd.map_err(fails("inotify_add_watch", here))?;
        Ok(End::Found { wd, dir: Some(root), links: 1 })
    }

    /// The path leads to something that is no directory.
    fn found_file(
        &mut self,
        plan: &Plan,
        walk: &mut Walk<W::Dir>,
        (dir, above): (&W::Dir, Option<&W::Dir>),
        name: &[u8],
        links: u64,
        here: &[u8],
    ) -> Result<End<W::Dir>, Failure> {
        let mask = plan.root_mask | IN_DONT_FOLLOW;
        let mut added = self.world.add(dir, name, mask);
        if added == Err(Errno(libc::EACCES)) {
            self.ask_modes(walk, dir, above);
            added = self.world.add(dir, name, mask);
        }
        match added {
            Ok(wd) => Ok(End::Found { wd, dir: None, links }),
            Err(Errno(libc::ENOENT)) => Ok(End::Nothing),
            Err(errno) => Err(fails("inotify_add_watch", here)(errno)),
        }
    }

    /// What this walk has seen of the root's name must be in the queue before anything that is put
    /// there because of it: waits for what is under way in its directory.
    fn wait_at(&mut self, walk: &Walk<W::Dir>, dir: &W::Dir) {
        if walk.at_end {
            self.world.settle(dir);
        }
    }

    /// The wds that a walk has come by and that nobody needs.
    pub(super) fn leave(&mut self, wds: &[i32]) {
        for &wd in wds {
            self.unhide(wd);
        }
    }
}

impl Plan {
    fn dir_mask(&self) -> u32 {
        self.root_mask | IN_ONLYDIR
    }
}

fn fails<'a>(step: &'static str, here: &'a [u8]) -> impl Fn(Errno) -> Failure + 'a {
    move |errno| Failure::new(errno, step, here.to_vec())
}
