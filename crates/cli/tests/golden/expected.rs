//! What is told of a folder, and how two such tellings differ.

use std::collections::BTreeSet;

/// Lines of fields between tabs, in any order.
pub(crate) type Told = BTreeSet<String>;

/// # Panics
/// When a line comes twice: then nothing compares with it.
pub(crate) fn lines<'a>(text: impl IntoIterator<Item = &'a str>) -> Told {
    let mut told = Told::new();
    for line in text {
        assert!(told.insert(line.to_owned()), "twice: {line}");
    }
    told
}

/// The lines of which one knows and the other does not; empty when they are the same.
pub(crate) fn difference(expected: &Told, found: &Told) -> String {
    let missing = expected.difference(found).map(|line| format!("- {line}\n"));
    let added = found.difference(expected).map(|line| format!("+ {line}\n"));
    missing.chain(added).collect()
}

#[test]
fn a_line_that_differs_is_told_on_both_sides() {
    let (one, other) = (lines(["a\t1", "b\t2"]), lines(["b\t3", "a\t1"]));
    assert_eq!(difference(&one, &other), "- b\t2\n+ b\t3\n");
    assert_eq!(difference(&one, &one), "");
}
