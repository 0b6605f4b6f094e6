//! The arithmetic of ids, and what a user namespace that is joined may be said to map.
#![forbid(unsafe_code)]

use proptest::prelude::*;

use super::*;

fn mapping(inside: u32, outside: u32, size: u32) -> LinuxIdMapping {
    LinuxIdMappingBuilder::default().container_id(inside).host_id(outside).size(size).build().unwrap()
}

/// A map as the kernel takes it: extents that do not overlap, on either side.
fn maps() -> impl Strategy<Value = Vec<LinuxIdMapping>> {
    let extents = prop::collection::vec((0_u32..1000, 0_u32..1000, 1_u32..100_000), 1..20);
    let laid_out = extents.prop_map(|extents| {
        let (mut inside, mut outside) = (0, 100_000);
        let mut map = Vec::new();
        for (gap_inside, gap_outside, size) in extents {
            inside += gap_inside;
            outside += gap_outside;
            map.push(mapping(inside, outside, size));
            inside += size;
            outside += size;
        }
        map
    });
    laid_out.prop_shuffle()
}

proptest! {
    #[test]
    fn an_id_is_mapped_as_the_kernel_does_it(map in maps(), id: u32) {
        let inside = |m: &&LinuxIdMapping| (m.container_id()..m.container_id() + m.size()).contains(&id);
        let expected = map.iter().find(inside).map(|m| m.host_id() + (id - m.container_id()));
        prop_assert_eq!(host_id(&map, id), expected);
    }

    #[test]
    fn every_first_and_last_id_is_mapped_and_no_two_to_the_same(map in maps()) {
        let mut seen = std::collections::HashSet::new();
        for extent in &map {
            let last = extent.container_id() + extent.size() - 1;
            prop_assert_eq!(host_id(&map, extent.container_id()), Some(extent.host_id()));
            prop_assert_eq!(host_id(&map, last), Some(extent.host_id() + extent.size() - 1));
            prop_assert!(seen.insert(host_id(&map, last)));
        }
    }

    #[test]
    fn a_map_is_the_same_in_any_order_and_in_any_parts(map in maps(), at in 1_u32..100) {
        let halves = map.iter().flat_map(|extent| {
            let first = at.min(extent.size());
            let rest = extent.size() - first;
            let second = mapping(extent.container_id() + first, extent.host_id() + first, rest);
            [mapping(extent.container_id(), extent.host_id(), first), second].into_iter().filter(|m| m.size() != 0)
        });
        let halves: Vec<_> = halves.collect();
        prop_assert_eq!(joined_up(&halves), joined_up(&map));
        let mut other = map.clone();
        other[0] = mapping(map[0].container_id(), map[0].host_id() + 1, map[0].size());
        prop_assert_ne!(joined_up(&other), joined_up(&map));
    }

    #[test]
    fn what_is_written_is_what_is_read(map in maps()) {
        prop_assert_eq!(parse_map(&lines(&map)), map);
    }
}

#[test]
fn ids_at_the_end_do_not_overflow() {
    let map = [mapping(0, u32::MAX - 1, 10), mapping(u32::MAX - 1, 0, 2)];
    assert_eq!(host_id(&map, 1), Some(u32::MAX));
    assert_eq!(host_id(&map, 2), None);
    assert_eq!(host_id(&map, u32::MAX), Some(1));
    assert_eq!(host_id(&[], 0), None);
}

#[test]
fn a_joined_user_namespace_is_mapped_as_it_is() {
    let found = || FoundMaps { uid: vec![mapping(0, 1000, 2)], gid: vec![mapping(0, 2000, 2)] };
    let mut silent = Linux::default();
    silent.set_uid_mappings(None).set_gid_mappings(None);
    adopt(&mut silent, found()).unwrap();
    assert_eq!(silent.uid_mappings().as_deref().unwrap(), [mapping(0, 1000, 2)]);
    let mut right = Linux::default();
    right.set_uid_mappings(Some(vec![mapping(1, 1001, 1), mapping(0, 1000, 1)]));
    adopt(&mut right, found()).unwrap();
    let mut wrong = Linux::default();
    wrong.set_gid_mappings(Some(vec![mapping(0, 2000, 3)]));
    let error = adopt(&mut wrong, found()).unwrap_err().to_string();
    assert_eq!(error, "linux.gidMappings: not those of the user namespace that is to be joined");
    assert_eq!(adopt(&mut Linux::default(), FoundMaps::default()).unwrap_err().kind(), Kind::Userns);
}
