//! A backlog of renames costs each as much as the last: looking ahead must not go through all of it
//! again and again.

use super::scene::{MASK, Scene};
use super::{Filter, Op, Replay};
use crate::engine::Limits;

/// What happens between two reads, for each of so many.
type Happens = fn(usize) -> Vec<Op>;

const LIMITS: Limits = Limits { read_size: 65_536, max_events: 4096, max_scan: 1024 };
/// Files of the first directory, for each.
const FILES: usize = 2;

fn path(dir: usize, name: &str) -> Vec<u8> {
    format!("/t/{dir}/{name}").into_bytes()
}

fn rename(dir: usize, from: &str, to: &str) -> Op {
    Op::Rename(path(dir, from), path(dir, to))
}

fn exchange(dir: usize, one: &str, other: &str) -> Op {
    Op::Exchange(path(dir, one), path(dir, other))
}

/// How many events are looked at for a backlog of so many.
fn looked_at(count: usize, happens: Happens) -> u64 {
    let mut scene = Scene::new(Replay::new(), LIMITS);
    scene.engine.world.disk.queue_limit = usize::MAX;
    let run = |scene: &mut Scene, op: Op| scene.engine.world.disk.run(&op).unwrap();
    run(&mut scene, Op::Mkdir(b"/t".to_vec()));
    for dir in 0..count {
        run(&mut scene, Op::Mkdir(format!("/t/{dir}").into_bytes()));
        run(&mut scene, Op::Create(path(dir, "f")));
        run(&mut scene, Op::Create(path(dir, "g")));
        run(&mut scene, Op::Mkdir(path(dir, "d")));
    }
    for file in 0..count * FILES {
        run(&mut scene, Op::Create(path(0, &format!("f{file}"))));
    }
    scene.watch_with(1, b"/t", MASK, 7, &Filter::default()).unwrap();
    let told = scene.drain().unwrap();
    scene.believe(&told).unwrap();
    let before = scene.engine.input.looked_at();
    for each in 0..count {
        for op in happens(each) {
            run(&mut scene, op);
        }
    }
    let told = scene.drain().unwrap();
    let looked_at = scene.engine.input.looked_at() - before;
    scene.believe(&told).unwrap();
    scene.check_mirrors().unwrap();
    looked_at
}

#[test]
fn a_backlog_costs_in_proportion() {
    let all: [(&str, Happens); 8] = [
        ("one file of each directory", |each| vec![rename(each, "f", "h")]),
        ("and back", |each| vec![rename(each, "f", "h"), rename(each, "h", "f")]),
        ("one directory of each", |each| vec![rename(each, "d", "h"), rename(each, "h", "d")]),
        ("all files of one directory", |each| {
            let (from, to) = (format!("f{each}"), format!("g{each}"));
            vec![rename(0, &from, &to), rename(0, &to, &from)]
        }),
        ("an exchange in each directory", |each| vec![exchange(each, "f", "g")]),
        ("exchanges in one directory", |each| {
            vec![exchange(0, &format!("f{}", each * 2), &format!("f{}", each * 2 + 1))]
        }),
        ("one file, again and again", |_| vec![rename(0, "f", "h"), rename(0, "h", "f")]),
        ("two files, again and again", |_| vec![exchange(0, "f", "g")]),
    ];
    for (what, happens) in all {
        let [few, many] = [100, 400].map(|count| looked_at(count, happens));
        assert!(many < few * 6, "{what}: {few} looks for 100, {many} for 400");
    }
}
