//! Which names may come over the stream. Whoever sends is as trusted as root, and yet no name of its leads out of the
//! directory that it is for: a mistake, or a stream of something else, harms nothing.
#![forbid(unsafe_code)]

/// The longest path (PATH_MAX without its end).
const LONGEST: usize = 4095;
/// The longest name of an image; CRIU's own are a quarter of it.
const LONGEST_IMAGE: usize = 128;

/// A name of CRIU's or ours in an image directory: letters, digits, `.`, `_`, `-`, and no dot at its beginning.
/// `parent` is the link to the round before, which the target makes itself.
pub(crate) fn is_image(name: &str) -> bool {
    let plain = |letter: u8| letter.is_ascii_alphanumeric() || b"._-".contains(&letter);
    (1..=LONGEST_IMAGE).contains(&name.len())
        && !name.starts_with('.')
        && name != "parent"
        && name.bytes().all(plain)
}

/// A path below a root: names between single slashes, none of which is `.` or `..`.
pub(crate) fn is_below(path: &[u8]) -> bool {
    let name = |part: &[u8]| (1..=255).contains(&part.len()) && part != b"." && part != b"..";
    path.len() <= LONGEST && !path.contains(&0) && path.split(|byte| *byte == b'/').all(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_have_plain_names() {
        for good in ["core-1.img", "pages-12.img", "descriptors.json", "tmpfs-dev-73.tar.gz.img"] {
            assert!(is_image(good), "{good}");
        }
        let long = "a".repeat(129);
        for bad in ["", ".", "..", "../x", "a/b", "parent", ".hidden", "a b", "a\0", "ä", &long] {
            assert!(!is_image(bad), "{bad}");
        }
    }

    #[test]
    fn no_path_leads_up_or_to_the_root() {
        for good in ["a", "a/b", "...", "a/..b", ".a", "a b/\u{e4}"] {
            assert!(is_below(good.as_bytes()), "{good}");
        }
        let (long, deep) = ("a".repeat(256), "a/".repeat(2048) + "a");
        for bad in ["", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "a/.", "../a", "a\0b", &long, &deep] {
            assert!(!is_below(bad.as_bytes()), "{bad}");
        }
    }
}
