//! A uid's line in the text of an /etc/passwd (passwd(5)). Pure: bytes in, slices out.
//!
//! Used by: the init program, for the home directory in the container; the library, for the owner of a container.

/// What we read of a line.
pub(crate) struct Entry<'a> {
    /// The first field.
    #[allow(dead_code, reason = "the library reads names, the init program homes")]
    pub(crate) name: &'a str,
    /// The sixth.
    #[allow(dead_code, reason = "the library reads names, the init program homes")]
    pub(crate) home: &'a str,
}

/// The first line whose third field is `uid`.
pub(crate) fn entry_of(uid: u32, passwd: &[u8]) -> Option<Entry<'_>> {
    passwd.split(|byte| *byte == b'\n').find_map(|line| {
        let mut fields = core::str::from_utf8(line).ok()?.split(':');
        let name = fields.next()?;
        let number = fields.nth(1)?.trim().parse::<u32>().ok()?;
        let home = fields.nth(2).unwrap_or("");
        (number == uid).then_some(Entry { name, home })
    })
}
