//! What golden transcripts of the command line look like.

use std::process::Output;

/// A command and all that it said, as a person would have seen it.
pub fn shown(args: &[&str], output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
    let section = |name: &str, text: String| if text.is_empty() { text } else { format!("--- {name}\n{text}") };
    format!(
        "$ antipode {}\n{}{}--- exit status {}\n",
        args.join(" "),
        section("stdout", text(&output.stdout)),
        section("stderr", text(&output.stderr)),
        output.status.code().expect("it ended by itself")
    )
}
