//! Lists of CPUs and memory nodes as configurations write them: `0-3,7` (cpuset(7), FORMATS).
#![forbid(unsafe_code)]

/// No kernel can be built for this many CPUs or nodes; a larger number is a mistake.
const MOST: usize = 1 << 16;

/// The set as the kernel takes it: number n is bit n % 64 of word n / 64. Spaces and empty elements mean nothing, as
/// in runc.
pub(crate) fn bits(list: &str) -> Result<Vec<u64>, String> {
    let mut words = Vec::new();
    for element in list.split(',').map(str::trim).filter(|element| !element.is_empty()) {
        let (first, last) = element.split_once('-').unwrap_or((element, element));
        let (first, last) = (number(first, element)?, number(last, element)?);
        if first > last {
            return Err(format!("invalid range: {element}"));
        }
        if words.len() <= last / 64 {
            words.resize(last / 64 + 1, 0_u64);
        }
        for number in first..=last {
            words[number / 64] |= 1 << (number % 64);
        }
    }
    Ok(words)
}

fn number(text: &str, element: &str) -> Result<usize, String> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = if digits { text.parse().ok() } else { None };
    number.filter(|number| *number < MOST).ok_or_else(|| format!("not a number or a range: {element:?}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ranges_and_numbers_beyond_a_thousand() {
        assert_eq!(bits("0-3,7"), Ok(vec![0b1000_1111]));
        assert_eq!(bits(" 1 ,,64,"), Ok(vec![2, 1]));
        assert_eq!(bits(""), Ok(Vec::new()));
        let many = bits("1500").unwrap();
        assert_eq!((many.len(), many[23]), (24, 1 << (1500 % 64)));
    }

    #[test]
    fn what_is_no_list_is_said_with_its_element() {
        for list in ["x", "3-", "-3", "1--2", "+1", "0x1", "1 2", "65536", "0-99999999999999999999"] {
            assert!(bits(list).unwrap_err().contains("not a number or a range"), "{list}");
        }
        assert_eq!(bits("0,3-1").unwrap_err(), "invalid range: 3-1");
    }

    proptest! {
        #[test]
        fn a_list_of_numbers_is_the_set_of_them(numbers in proptest::collection::btree_set(0..2000_usize, 0..20)) {
            let list: Vec<String> = numbers.iter().map(ToString::to_string).collect();
            let words = bits(&list.join(",")).unwrap();
            let read = (0..words.len() * 64).filter(|n| words[n / 64] >> (n % 64) & 1 == 1);
            prop_assert!(read.eq(numbers));
        }

        #[test]
        fn no_text_panics(text in "[0-9,\\- a-z]{0,20}") {
            drop(bits(&text));
        }
    }
}
