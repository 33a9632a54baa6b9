//! Running text on a terminal: as wide as it is, hanging below its first words, in colours only where they are shown.

use comfy_table::Table;

/// Where there is no terminal to ask.
const WIDTH: usize = 100;
/// A longer line is hard to read.
const WIDEST: usize = 110;
const NARROWEST: usize = 40;

/// How text is set.
#[derive(Clone, Copy, Debug)]
pub struct Prose {
    width: usize,
    colours: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ink {
    Bold,
    Soft,
    Red,
    Yellow,
    Green,
    Blue,
}

impl Prose {
    /// As standard output shows it.
    pub fn here() -> Self {
        let width = Table::new().width().map_or(WIDTH, usize::from).clamp(NARROWEST, WIDEST);
        Self { width, colours: crate::output::colours() }
    }
    #[cfg(test)]
    pub fn plain(width: usize) -> Self {
        Self { width, colours: false }
    }

    pub fn ink(self, ink: Ink, text: &str) -> String {
        let code = match ink {
            Ink::Bold => "1",
            Ink::Soft => "2",
            Ink::Red => "1;31",
            Ink::Yellow => "33",
            Ink::Green => "1;32",
            Ink::Blue => "36",
        };
        if self.colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// A section's heading, after an empty line.
    pub fn heading(self, text: &str) -> String {
        format!("\n{}\n", self.ink(Ink::Bold, text))
    }

    /// `text` after `first`; further lines begin below the text. `first` is as wide as `indent`, or narrower.
    pub fn hanging(self, indent: usize, first: &str, text: &str) -> String {
        let room = self.width.saturating_sub(indent).max(20);
        let lines = wrap(text, room);
        let lead = format!("{first}{}", " ".repeat(indent.saturating_sub(first.chars().count())));
        let mut out = String::new();
        for (number, line) in lines.iter().enumerate() {
            let before = if number == 0 { lead.clone() } else { " ".repeat(indent) };
            out.push_str(format!("{before}{line}").trim_end());
            out.push('\n');
        }
        out
    }

    /// Like [`Prose::hanging`], with what comes first in `ink`.
    pub fn marked(self, indent: usize, ink: Ink, first: &str, text: &str) -> String {
        let set = self.hanging(indent, first, text);
        match set.strip_prefix(first) {
            Some(rest) if !first.trim().is_empty() => {
                let blanks = first.len() - first.trim_start().len();
                format!("{}{}{rest}", &first[..blanks], self.ink(ink, &first[blanks..]))
            }
            _ => set,
        }
    }

    pub fn paragraph(self, text: &str) -> String {
        self.hanging(0, "", text)
    }
}

/// Lines of at most `room` characters; a word that is longer stands alone.
fn wrap(text: &str, room: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is always one");
        match (line.is_empty(), line.chars().count() + 1 + word.chars().count() <= room) {
            (true, _) => line.push_str(word),
            (false, true) => {
                line.push(' ');
                line.push_str(word);
            }
            (false, false) => lines.push(word.to_owned()),
        }
    }
    lines
}

/// `1 error`, `2 errors`.
pub fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_hangs_below_its_first_words() {
        let set = Prose::plain(40).hanging(
            6,
            "  do",
            "Promote by a call that the recovery region answers, and keep it there.",
        );
        let lines = ["  do  Promote by a call that the", "      recovery region answers, and keep", "      it there."];
        assert_eq!(set.lines().collect::<Vec<_>>(), lines);
        assert!(set.lines().all(|line| line.chars().count() <= 40), "{set}");
    }

    #[test]
    fn a_long_word_stands_alone_and_nothing_is_lost() {
        let words = "a very-long-word-that-is-wider-than-the-room of it";
        assert_eq!(wrap(words, 10), ["a", "very-long-word-that-is-wider-than-the-room", "of it"]);
        assert_eq!(wrap("", 10), [""]);
    }

    #[test]
    fn only_the_first_words_are_in_colour() {
        let coloured = Prose { width: 40, colours: true };
        assert_eq!(coloured.marked(6, Ink::Red, "  do", "it"), "  \x1b[1;31mdo\x1b[0m  it\n");
        assert_eq!(Prose::plain(40).marked(6, Ink::Red, "  do", "it"), "  do  it\n");
    }
}
