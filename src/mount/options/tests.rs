//! The table row by row, and what holds for any list of words.
#![forbid(unsafe_code)]

use proptest::prelude::*;

use super::*;

fn parse(words: &[&str]) -> Options {
    Options::parse(words.iter().copied())
}

/// A word, what it sets and must clear of the mount, the same of the tree.
type Row = (&'static str, (u64, u64), (u64, u64));

const ATTRIBUTES: &[Row] = &[
    ("ro", (RDONLY, 0), (0, 0)),
    ("rw", (0, RDONLY), (0, 0)),
    ("nosuid", (NOSUID, 0), (0, 0)),
    ("suid", (0, NOSUID), (0, 0)),
    ("nodev", (NODEV, 0), (0, 0)),
    ("dev", (0, NODEV), (0, 0)),
    ("noexec", (NOEXEC, 0), (0, 0)),
    ("exec", (0, NOEXEC), (0, 0)),
    ("nosymfollow", (NOSYMFOLLOW, 0), (0, 0)),
    ("symfollow", (0, NOSYMFOLLOW), (0, 0)),
    ("nodiratime", (NODIRATIME, 0), (0, 0)),
    ("diratime", (0, NODIRATIME), (0, 0)),
    ("noatime", (NOATIME, STRICTATIME), (0, 0)),
    ("atime", (0, NOATIME | STRICTATIME), (0, 0)),
    ("relatime", (0, NOATIME | STRICTATIME), (0, 0)),
    ("norelatime", (0, 0), (0, 0)),
    ("strictatime", (STRICTATIME, NOATIME), (0, 0)),
    ("nostrictatime", (0, NOATIME | STRICTATIME), (0, 0)),
    ("rro", (0, 0), (RDONLY, 0)),
    ("rrw", (0, 0), (0, RDONLY)),
    ("rnosuid", (0, 0), (NOSUID, 0)),
    ("rsuid", (0, 0), (0, NOSUID)),
    ("rnodev", (0, 0), (NODEV, 0)),
    ("rdev", (0, 0), (0, NODEV)),
    ("rnoexec", (0, 0), (NOEXEC, 0)),
    ("rexec", (0, 0), (0, NOEXEC)),
    ("rnodiratime", (0, 0), (NODIRATIME, 0)),
    ("rdiratime", (0, 0), (0, NODIRATIME)),
    ("rnoatime", (0, 0), (NOATIME, STRICTATIME)),
    ("ratime", (0, 0), (0, NOATIME | STRICTATIME)),
    ("rrelatime", (0, 0), (0, NOATIME | STRICTATIME)),
    ("rnorelatime", (0, 0), (0, 0)),
    ("rstrictatime", (0, 0), (STRICTATIME, NOATIME)),
    ("rnostrictatime", (0, 0), (0, NOATIME | STRICTATIME)),
    ("rnosymfollow", (0, 0), (NOSYMFOLLOW, 0)),
    ("rsymfollow", (0, 0), (0, NOSYMFOLLOW)),
];

#[test]
fn words_of_attributes_mean_what_the_specification_says() {
    for (word, (set, must_clear), (tree_set, tree_must_clear)) in ATTRIBUTES {
        let options = parse(&[word]);
        assert_eq!((options.mount.set, options.mount.must_clear), (*set, *must_clear), "{word}");
        assert_eq!((options.tree.set, options.tree.must_clear), (*tree_set, *tree_must_clear), "{word}");
    }
}

#[test]
fn words_of_the_superblock_reach_the_filesystem() {
    for (word, opposite) in [
        ("sync", "async"),
        ("dirsync", ""),
        ("mand", "nomand"),
        ("lazytime", "nolazytime"),
        ("iversion", "noiversion"),
        ("ro", "rw"),
    ] {
        assert_eq!(parse(&[word]).data, [(word.to_owned(), None)], "{word}");
        if !opposite.is_empty() {
            assert_eq!(parse(&[word, opposite]).data, [], "{word},{opposite}");
            assert_eq!(parse(&[opposite]).data, [], "{opposite}");
        }
    }
    for word in ["defaults", "silent", "loud", "norelatime", "rnorelatime"] {
        assert_eq!(parse(&[word]), Options::default(), "{word}");
    }
}

#[test]
fn words_of_the_kind_of_mount_are_no_attributes() {
    for (word, expected) in [
        ("bind", Options { bind: Some(false), ..Options::default() }),
        ("rbind", Options { bind: Some(true), ..Options::default() }),
        ("remount", Options { remount: true, ..Options::default() }),
        ("tmpcopyup", Options { copy_up: true, ..Options::default() }),
        ("idmap", Options { idmap: Some(false), ..Options::default() }),
        ("ridmap", Options { idmap: Some(true), ..Options::default() }),
    ] {
        assert_eq!(parse(&[word]), expected, "{word}");
    }
    let flags = [("private", MS_PRIVATE), ("shared", MS_SHARED), ("slave", MS_SLAVE)];
    for (word, flag) in flags.into_iter().chain([("unbindable", MS_UNBINDABLE)]) {
        assert_eq!(parse(&[word]).propagation, [flag], "{word}");
        let recursive = format!("r{word}");
        assert_eq!(parse(&[&recursive]).propagation, [flag | MS_REC], "{recursive}");
    }
}

#[test]
fn a_bind_without_flags_keeps_those_of_its_source() {
    assert_eq!(parse(&["rbind", "rprivate"]).mount, Attributes::default());
    assert_eq!(parse(&["bind", "ro"]).mount.clear, NOSUID | NODEV | NOEXEC | NOSYMFOLLOW);
    // Flags of the tree, and what a mount does by itself, state nothing about the others.
    for word in ["rnoexec", "rexec", "rnoatime", "ratime", "async", "noiversion", "defaults", "idmap"] {
        assert_eq!(parse(&["bind", word]).mount, Attributes::default(), "{word}");
    }
}

#[test]
fn unknown_words_go_to_the_filesystem() {
    let data = parse(&["mode=755", "size=65536k,newinstance", "acl", "ro"]).data;
    let keys: Vec<_> = data.iter().map(|(key, value)| (key.as_str(), value.as_deref())).collect();
    assert_eq!(
        keys,
        [("mode", Some("755")), ("size", Some("65536k")), ("newinstance", None), ("acl", None), ("ro", None)]
    );
}

#[test]
fn no_word_is_in_the_table_twice() {
    for (index, (word, _)) in TABLE.iter().enumerate() {
        assert!(TABLE[..index].iter().all(|(other, _)| other != word), "{word}");
    }
}

/// Any words of the table.
fn words() -> impl Strategy<Value = Vec<&'static str>> {
    let all: Vec<&str> = TABLE.iter().map(|(word, _)| *word).collect();
    prop::collection::vec(prop::sample::select(all), 0..12)
}

/// Which field of the outcome a word decides; words of one field override each other.
fn field(word: &str) -> Option<(bool, u64)> {
    let row = ATTRIBUTES.iter().find(|row| row.0 == word)?;
    let ((set, clear), (tree_set, tree_clear)) = (row.1, row.2);
    let bits = set | clear | tree_set | tree_clear;
    (bits != 0).then_some((tree_set | tree_clear != 0, bits))
}

proptest! {
    /// Each attribute is as the last word that speaks of it says, whatever came before.
    #[test]
    fn the_last_word_wins(words in words()) {
        let options = parse(&words);
        let mut left = [u64::MAX; 2];
        for word in words.iter().rev() {
            let Some((tree, bits)) = field(word) else { continue };
            let alone = parse(&[word]);
            let (ours, all) = if tree { (alone.tree, options.tree) } else { (alone.mount, options.mount) };
            let undecided = bits & left[usize::from(tree)];
            prop_assert_eq!(all.set & undecided, ours.set & undecided, "{:?}: {}", words, word);
            prop_assert_eq!(all.must_clear & undecided, ours.must_clear & undecided, "{:?}: {}", words, word);
            left[usize::from(tree)] &= !bits;
        }
    }

    /// The kernel takes one access time mode, and nothing is set and cleared at once.
    #[test]
    fn no_list_contradicts_itself(words in words()) {
        let options = parse(&words);
        for attributes in [options.mount, options.tree] {
            prop_assert!(attributes.set & (NOATIME | STRICTATIME) != NOATIME | STRICTATIME);
            prop_assert_eq!(attributes.set & (attributes.clear | attributes.must_clear), 0);
            prop_assert_eq!(attributes.clear & attributes.must_clear, 0);
        }
        if options.bind.is_none() {
            prop_assert_eq!(options.mount.clear, 0);
        }
    }

    /// `rbind` anywhere makes it recursive; flags of the tree never leak into the mount's own, nor the other way.
    #[test]
    fn recursion_stays_where_it_was_said(words in words()) {
        let options = parse(&words);
        let bind = words.iter().any(|word| *word == "bind" || *word == "rbind");
        prop_assert_eq!(options.bind.is_some(), bind);
        prop_assert_eq!(options.bind == Some(true), words.contains(&"rbind"));
        let own: Vec<&str> = words.iter().copied().filter(|word| field(word).is_some_and(|f| !f.0)).collect();
        let mut alone = parse(&own).mount;
        alone.clear = options.mount.clear;
        prop_assert_eq!(options.mount, alone);
        let tree: Vec<&str> = words.iter().copied().filter(|word| field(word).is_some_and(|f| f.0)).collect();
        prop_assert_eq!(options.tree, parse(&tree).tree);
    }

    /// What is not in the table is data, in order, cut at commas and at the first equals sign.
    #[test]
    fn any_other_word_is_data(keys in prop::collection::vec("[a-z]{1,6}_[a-z]", 1..5), value in "[^,\\x00]{0,9}") {
        let words: Vec<String> = keys.iter().map(|key| format!("{key}={value}")).collect();
        let options = Options::parse(words.iter().map(String::as_str));
        let expected: Vec<_> = keys.iter().map(|key| (key.clone(), Some(value.clone()))).collect();
        prop_assert_eq!(&options.data, &expected);
        let joined = Options::parse(std::iter::once(words.join(",").as_str()));
        prop_assert_eq!(joined, options);
    }
}
