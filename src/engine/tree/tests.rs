use super::*;

#[test]
fn a_rename_is_one_relink() {
    let mut tree = Tree::default();
    let root = tree.add_root(0, Flags::DIR);
    let a = tree.add(root, b"a", Flags::DIR);
    let b = tree.add(a, b"b", Flags::DIR);
    let c = tree.add(b, b"c", Flags::DIR);
    let other = tree.add(root, b"other", Flags::DIR);
    tree.detach(a);
    tree.attach(a, other, b"renamed");
    let mut path = Vec::new();
    tree.relative(c, &mut path);
    assert_eq!(path, b"other/renamed/b/c");
    assert_eq!(tree.child(other, b"renamed"), Some(a));
    assert_eq!(tree.child(root, b"a"), None);
    assert_eq!(tree.root_of(c), root);
    tree.detach(a);
    assert_eq!(tree.root_of(c), NONE);
}

#[test]
fn names_are_found_after_many_changes() {
    let mut tree = Tree::default();
    let root = tree.add_root(0, Flags::DIR);
    let name = |i: u32| format!("name{i}").into_bytes();
    let mut ids: Vec<_> = (0..2000).map(|i| Some(tree.add(root, &name(i), Flags::DIR))).collect();
    assert_eq!(tree.index.borrow().memory(), 0);
    for i in (0..2000).step_by(3) {
        assert_eq!(tree.child(root, &name(i)), ids[i as usize]);
        let id = ids[i as usize].take().unwrap();
        tree.detach(id);
        tree.free(id);
    }
    for i in 0..2000 {
        assert_eq!(tree.child(root, &name(i)), ids[i as usize]);
    }
    assert_eq!(tree.dirs(), 1 + ids.iter().flatten().count());
    // A directory that has moved keeps what is in it, and an empty one forgets the index.
    let other = tree.add(root, b"other", Flags::DIR);
    let below = ids[1].unwrap();
    for i in 0..40 {
        tree.add(below, &name(i), Flags::DIR);
    }
    assert!(tree.child(below, b"name39").is_some());
    tree.detach(below);
    tree.attach(below, other, b"another name");
    assert_eq!(tree.child(root, b"name1"), None);
    for i in 0..40 {
        let child = tree.child(below, &name(i)).unwrap();
        tree.detach(child);
        tree.free(child);
        assert_eq!(tree.child(below, &name(i)), None);
    }
    assert!(!tree.node(below).is_indexed());
    assert_eq!(tree.name(below), b"another name");
}

#[test]
fn a_listed_node_is_not_used_again() {
    let mut tree = Tree::default();
    let root = tree.add_root(0, Flags::DIR);
    let a = tree.add(root, b"a", Flags::DIR | Flags::TASK);
    tree.detach(a);
    tree.free(a);
    assert!(tree.has(a, Flags::DEAD));
    assert_ne!(tree.add(root, b"b", Flags::DIR), a);
    tree.unlist(a, Flags::TASK);
    assert_eq!(tree.add(root, b"c", Flags::DIR), a);
}

fn folding(names: &[&[u8]], print: Option<Print>) -> Folding {
    let mut folding = Folding::default();
    for name in names {
        folding.push(name, print);
    }
    folding
}

#[test]
fn folded_entries_get_nodes_when_they_are_asked_for() {
    let long = [b'x'; 255];
    let names: [&[u8]; 5] = [b"a", b"12345678", b"sixteen bytes...", b"seventeen bytes..", &long];
    let print = Print::read(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    for print in [None, Some(print)] {
        let mut tree = Tree::default();
        let root = tree.add_root(0, Flags::DIR);
        let dir = tree.add(root, b"dir", Flags::DIR);
        let (before, memory) = (tree.added(), tree.memory());
        for name in names {
            tree.fold(dir, &mut folding(&[name], print), true, print.is_some());
        }
        assert!(tree.memory() > memory);
        assert_eq!(tree.added(), before + 5);
        // A child that has a node stays beside them, and a rename takes them along.
        let below = tree.add(dir, b"below", Flags::DIR);
        let other = tree.add(root, b"other", Flags::DIR);
        tree.detach(dir);
        tree.attach(dir, other, b"a longer name than before");
        assert_eq!((tree.first_dir(dir), tree.dir(dir, b"below")), (below, Some(below)));
        assert_eq!((tree.untold(dir), tree.dir(dir, b"a")), (5, None));
        let folded: Vec<_> = tree.folded(dir).map(|(field, len)| &field[..len]).collect();
        assert_eq!(folded, names);
        tree.detach(below);
        tree.free(below);
        assert_eq!((tree.first_dir(dir), tree.has_children(dir)), (NONE, true));
        let added = tree.added();
        for name in names {
            let child = tree.child(dir, name).unwrap();
            assert_eq!((tree.name(child), tree.flags(child)), (name, Flags::PENDING));
            assert!(tree.print(child) == print.unwrap_or_default());
        }
        assert_eq!((tree.added(), tree.untold(dir)), (added, 0));
        assert_eq!(tree.name(dir), b"a longer name than before");
    }
}

#[test]
fn what_is_folded_goes_with_its_directory() {
    let mut tree = Tree::default();
    let root = tree.add_root(0, Flags::DIR);
    let dirs = [&b"one"[..], b"two"].map(|name| tree.add(root, name, Flags::DIR));
    for dir in dirs {
        tree.fold(dir, &mut folding(&[b"file"], None), true, false);
    }
    tree.told(dirs[1]);
    assert_eq!((tree.untold(dirs[1]), tree.has_children(dirs[1])), (0, true));
    // What is different is not folded together.
    tree.fold(dirs[1], &mut folding(&[b"later"], None), true, false);
    assert_eq!(tree.untold(dirs[1]), 1);
    let file = tree.child(dirs[1], b"file").unwrap();
    assert_eq!(tree.flags(file), Flags::empty());
    let full = tree.runs.kept();
    tree.detach(dirs[0]);
    tree.free(dirs[0]);
    assert!(tree.runs.kept() < full);
    let again = tree.add(root, b"three", Flags::DIR);
    assert_eq!((again, tree.has_children(again)), (dirs[0], false));
    tree.fold(again, &mut folding(&[b"file"], None), true, false);
    assert_eq!(tree.folds.len(), 2);
    tree.drop_fold(again);
    assert!(!tree.has_children(again));
    assert_eq!(tree.runs.kept(), 0);
}
