//! What `pg_controldata` says of a data directory at rest.

use model::Lsn;

use super::Error;

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Control {
    pub system: String,
    pub state: String,
    pub checkpoint: Lsn,
    /// Where a recovery begins to read the log.
    pub redo: Lsn,
    pub checkpoint_timeline: u32,
    pub recovery_end: Lsn,
    pub recovery_timeline: u32,
    pub segment_bytes: u64,
}

impl Control {
    /// # Errors
    /// [`Error::Parse`] when a line is missing or unreadable; the text must be in English (`LC_ALL=C`).
    pub fn parse(text: &str) -> Result<Self, Error> {
        let field = |name: &'static str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.map(str::trim).ok_or_else(|| Error::parse("pg_controldata, which lacks a line", name))
        };
        let number = |name| field(name)?.parse().map_err(|_| Error::parse("a number of pg_controldata", name));
        let lsn = |name| field(name)?.parse::<Lsn>().map_err(|why| Error::parse("pg_controldata", why));
        Ok(Self {
            system: field("Database system identifier")?.to_owned(),
            state: field("Database cluster state")?.to_owned(),
            checkpoint: lsn("Latest checkpoint location")?,
            redo: lsn("Latest checkpoint's REDO location")?,
            checkpoint_timeline: number("Latest checkpoint's TimeLineID")?,
            recovery_end: lsn("Minimum recovery ending location")?,
            recovery_timeline: number("Min recovery ending loc's timeline")?,
            segment_bytes: u64::from(number("Bytes per WAL segment")?),
        })
    }

    /// The timeline of the last write. Right after a promotion the checkpoint still names the old one.
    pub fn timeline(&self) -> u32 {
        self.checkpoint_timeline.max(self.recovery_timeline)
    }
    /// The log certainly reaches this far.
    pub fn reached(&self) -> Lsn {
        self.checkpoint.max(self.recovery_end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_fields_and_names_a_missing_one() {
        let text = "Database system identifier:           7442\nDatabase cluster state:               shut down\n\
                    Latest checkpoint location:           0/15C7A10\n\
                    Latest checkpoint's REDO location:    0/15C79D8\nLatest checkpoint's TimeLineID:       1\n\
                    Minimum recovery ending location:     0/16C7A10\nMin recovery ending loc's timeline:   2\n\
                    Bytes per WAL segment:                16777216\n";
        let control = Control::parse(text).unwrap();
        assert_eq!((control.timeline(), control.reached()), (2, Lsn(0x16C_7A10)));
        assert_eq!(control.redo, Lsn(0x15C_79D8));
        assert_eq!(control.state, "shut down");
        let error = Control::parse(&text.replace("Latest checkpoint location", "x")).unwrap_err();
        assert!(error.to_string().contains("Latest checkpoint location"), "{error}");
    }
}
