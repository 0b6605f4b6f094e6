//! Whether a file of pages is whole: CRIU reads one that was cut off for ever (criu.org, Images). Pure.
//!
//! `pagemap-PID.img` names the pages that are in `pages-N.img`, one behind the other; `pstree.img` names the processes, since an
//! earlier dump into the same directory may have left maps of others. An image begins with two magic numbers; then come
//! messages, each behind its length. What cannot be read here is left to CRIU, which says so.
#![forbid(unsafe_code)]

use prost::Message;

/// How any image of CRIU's begins (`criu/include/magic.h`), and what follows in those that are read here.
const IMAGE: [u8; 4] = 0x5456_4319_u32.to_le_bytes();
const PAGEMAP: [u8; 4] = 0x5608_4025_u32.to_le_bytes();
const PSTREE: [u8; 4] = 0x5027_3030_u32.to_le_bytes();
const PRESENT: u32 = 1 << 2;

/// `pstree_entry`: a process, by its pid in its namespace.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
struct InTree {
    #[prost(uint32, required, tag = "1")]
    pid: u32,
}

/// `pagemap_head`: which file of pages.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
struct Head {
    #[prost(uint32, required, tag = "1")]
    pages_id: u32,
}

/// `pagemap_entry`: pages in a row.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
struct Entry {
    #[prost(uint32, optional, tag = "2")]
    compat_nr_pages: Option<u32>,
    #[prost(bool, optional, tag = "3")]
    in_parent: Option<bool>,
    #[prost(uint32, optional, tag = "4")]
    flags: Option<u32>,
    #[prost(uint64, optional, tag = "5")]
    nr_pages: Option<u64>,
}

impl Entry {
    /// How many of them are in the file.
    fn pages(self) -> u64 {
        let there = match self.flags {
            Some(flags) => flags & PRESENT != 0,
            None => self.in_parent != Some(true),
        };
        let count = self.nr_pages.unwrap_or_else(|| u64::from(self.compat_nr_pages.unwrap_or(0)));
        if there { count } else { 0 }
    }
}

/// The pids of the processes, by which their maps are called.
pub(crate) fn processes(pstree: &[u8]) -> Option<Vec<u32>> {
    Messages::of(pstree, PSTREE)?.map(|message| InTree::decode(message?).ok().map(|one| one.pid)).collect()
}

/// The number of the file of pages that a map belongs to, and how many pages should be in it.
pub(crate) fn wanted(pagemap: &[u8]) -> Option<(u32, u64)> {
    let mut messages = Messages::of(pagemap, PAGEMAP)?;
    let head = Head::decode(messages.next()??).ok()?;
    let pages =
        messages.try_fold(0_u64, |sum, message| sum.checked_add(Entry::decode(message?).ok()?.pages()));
    Some((head.pages_id, pages?))
}

/// Messages behind their lengths; `None` in place of one that is cut off.
struct Messages<'a>(&'a [u8]);

impl<'a> Messages<'a> {
    fn of(image: &'a [u8], kind: [u8; 4]) -> Option<Self> {
        image.strip_prefix(&IMAGE)?.strip_prefix(&kind).map(Self)
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = Option<&'a [u8]>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let whole = self.0.split_first_chunk::<4>().and_then(|(length, rest)| {
            rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)
        });
        self.0 = whole.map_or(&[], |(_, rest)| rest);
        Some(whole.map(|(message, _)| message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(entries: &[Entry]) -> Vec<u8> {
        let mut image = [IMAGE, PAGEMAP].concat();
        let mut add = |message: Vec<u8>| {
            image.extend(u32::try_from(message.len()).unwrap().to_le_bytes());
            image.extend(message);
        };
        add(Head { pages_id: 7 }.encode_to_vec());
        entries.iter().for_each(|entry| add(entry.encode_to_vec()));
        image
    }

    fn entry(pages: u32, flags: u32) -> Entry {
        Entry { compat_nr_pages: Some(pages), flags: Some(flags), ..Entry::default() }
    }

    #[test]
    fn pages_that_are_in_the_file_are_counted_and_no_others() {
        // In the parent, in the file, lazy and in the file, lazy alone.
        let entries = [entry(1, 1), entry(2, 4), entry(4, 2 | 4), entry(8, 2)];
        assert_eq!(wanted(&image(&entries)), Some((7, 6)));
        let old = Entry { compat_nr_pages: Some(3), ..Entry::default() };
        let parent = Entry { in_parent: Some(true), ..old };
        let new = Entry { nr_pages: Some(5), ..entry(0, 4) };
        assert_eq!(wanted(&image(&[old, parent, new])), Some((7, 8)));
        assert_eq!(wanted(&image(&[])), Some((7, 0)));
    }

    #[test]
    fn processes_are_told_by_their_pids() {
        let mut pstree = [IMAGE, PSTREE].concat();
        for pid in [1, 300] {
            // With its parent, which is of no interest here.
            let message = [InTree { pid }.encode_to_vec(), vec![0x10, 1]].concat();
            pstree.extend(u32::try_from(message.len()).unwrap().to_le_bytes());
            pstree.extend(message);
        }
        assert_eq!(processes(&pstree), Some(vec![1, 300]));
        assert_eq!(processes(&pstree[..pstree.len() - 1]), None);
        assert_eq!(processes(&image(&[])), None);
    }

    #[test]
    fn what_is_no_map_of_pages_is_left_to_criu() {
        let image = image(&[entry(2, 4)]);
        for length in [0, 3, 8, 9, image.len() - 1] {
            assert_eq!(wanted(&image[..length]), None, "{length}");
        }
        let endless = Entry { nr_pages: Some(u64::MAX), ..entry(0, 4) };
        assert_eq!(wanted(&self::image(&[endless, endless])), None);
    }
}
