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
