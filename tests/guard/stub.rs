//! C made from the header: a library of empty functions for abidiff, a function around statements of a document.
#![forbid(unsafe_code)]

/// Each declaration of a function becomes a definition that returns nothing of use.
pub(crate) fn library(header: &str) -> String {
    let mut text = String::from("#include <riverrun.h>\n");
    let functions = header.split_once("extern \"C\" {").map_or("", |(_, rest)| rest);
    let mut comment = false;
    let mut declaration = String::new();
    for line in functions.lines() {
        let trimmed = line.trim();
        comment = comment || trimmed.starts_with("/*");
        let in_comment = comment;
        comment = comment && !trimmed.ends_with("*/");
        if in_comment || trimmed.starts_with('#') || trimmed.starts_with('}') || trimmed.is_empty() {
            continue;
        }
        declaration.push_str(trimmed);
        declaration.push(' ');
        if let Some(head) = declaration.trim_end().strip_suffix(';') {
            let nothing = if head.starts_with("void rr_") { "" } else { "return 0; " };
            text.push_str(&format!("{head} {{ {nothing}}}\n"));
            declaration.clear();
        }
    }
    text
}

/// Statements with the names around them that a reader would expect.
pub(crate) fn as_function(statements: &str) -> String {
    let includes: String = statements
        .lines()
        .filter(|line| line.starts_with("#include"))
        .fold(String::new(), |all, line| all + line + "\n");
    let body: String = statements
        .lines()
        .map(|line| if line.starts_with("#include") { "" } else { line })
        .fold(String::new(), |all, line| all + line + "\n");
    format!(
        "#include <riverrun.h>\n#include <stdio.h>\n#include <string.h>\n#include <unistd.h>\n{includes}\
         void documented(rr_context *ctx, rr_container *c, rr_process *p);\n\
         void documented(rr_context *ctx, rr_container *c, rr_process *p) {{\n(void)ctx, (void)c, (void)p;\n{{\n{body}}}\n}}\n"
    )
}
