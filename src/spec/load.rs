//! Bytes to types; every error names the property's path in the document.
#![forbid(unsafe_code)]

use oci_spec::runtime::{LinuxResources, Process, Spec};
use serde::de::DeserializeOwned;

use super::repair::repair;
use crate::error::{Error, Kind, Result};
use crate::wording;

/// No configuration is this long; a longer one is a mistake or an attack.
const LONGEST: usize = 64 << 20;

/// A whole `config.json`.
pub(crate) fn parse(config: &[u8]) -> Result<Spec> {
    Ok(parse_telling(config)?.0)
}

/// The same, with what it names and nobody knows: for a warning each.
pub(crate) fn parse_telling(config: &[u8]) -> Result<(Spec, Vec<String>)> {
    parse_document(config, "config.json", Some("process"))
}

/// A `process` object; the warnings that it is worth.
pub(crate) fn parse_process(process: &[u8]) -> Result<(Process, Vec<String>)> {
    parse_document(process, "process", None)
}

/// A `linux.resources` object on its own.
pub(crate) fn parse_resources(resources: &[u8]) -> Result<LinuxResources> {
    Ok(parse_document(resources, "resources", None)?.0)
}

/// `process`: where in the document the process object is; it is all of it otherwise.
fn parse_document<T: DeserializeOwned>(
    bytes: &[u8],
    name: &str,
    process: Option<&str>,
) -> Result<(T, Vec<String>)> {
    let invalid = |cause: String| Error::new(Kind::InvalidSpec, cause).during(format!("load {name}"));
    if bytes.len() > LONGEST {
        return Err(invalid(String::from("longer than 64 MiB")));
    }
    if bytes.trim_ascii() == b"null" && process.is_some() {
        return Err(Error::new(Kind::InvalidSpec, wording::CONFIG_NULL));
    }
    // An array of values in the order of the fields is a struct to serde, and nothing to the specification.
    if bytes.trim_ascii_start().first().is_some_and(|byte| *byte != b'{') {
        return Err(invalid(String::from("not an object")));
    }
    if let Ok(document) = serde_json::from_slice(bytes) {
        return Ok((document, Vec::new()));
    }
    let repaired = repair(bytes, process);
    let (bytes, warnings) = repaired.as_ref().map_or((bytes, &[][..]), |(bytes, warnings)| (bytes, warnings));
    // Once more, slower, for the place of the error.
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let document = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let at = error.path().to_string();
        let cause = error.inner().to_string();
        if at == "." { invalid(cause) } else { invalid(format!("{at}: {cause}")) }
    })?;
    json.end().map_err(|error| invalid(error.to_string()))?;
    Ok((document, warnings.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(config: &str) -> String {
        parse(config.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn errors_name_the_path_of_the_property() {
        let config = r#"{"ociVersion":"1.0.2","linux":{"resources":{"memory":{"limit":"much"}}}}"#;
        assert!(refused(config).starts_with("load config.json: linux.resources.memory.limit: invalid type"));
    }

    #[test]
    fn a_uid_beyond_32_bits_is_no_uid() {
        let config = r#"{"ociVersion":"1.0.2","process":{"user":{"uid":4294967296,"gid":0},"cwd":"/"}}"#;
        assert!(
            refused(config).starts_with("load config.json: process.user.uid: invalid value"),
            "{}",
            refused(config)
        );
    }

    #[test]
    fn what_is_no_object_is_told() {
        assert_eq!(refused(" null\n"), "config cannot be null");
        for text in ["[]", "0", "\"x\"", "nul", "x", "\0"] {
            assert_eq!(refused(text), "load config.json: not an object", "{text:?}");
        }
    }

    #[test]
    fn no_document_panics() {
        for text in ["", "null", "[]", "{", "0", "\"x\"", "{\"ociVersion\":null}", "{}{}", "\0"] {
            assert!(parse(text.as_bytes()).is_err(), "{text:?}");
        }
        let deep = "[".repeat(100_000);
        assert!(parse(deep.as_bytes()).is_err());
    }

    #[test]
    fn keys_are_not_given_twice() {
        assert!(
            refused(r#"{"ociVersion":"1.0.2","hostname":"a","hostname":"b"}"#).contains("duplicate field")
        );
    }
}
