//! The rows that only this side has: a copy of the old writer's data compared with the new writer's (SAFETY.md item 13).
//!
//! Looked at is what transactions wrote that committed here after the divergence, see [`super::touched`]. A row of
//! theirs is looked up at the new writer by primary key; and a row that the new writer still has unchanged, at a place
//! where this side has another, was changed or deleted here. The new writer keeps on moving: what is said of its rows
//! is true of one snapshot.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::ops::Range;

use model::action::ExportedRows;
use serde::{Deserialize, Serialize};

use super::Error;
use super::tables::{Row, Side, Table};
use super::touched::{Extent, Touched, Xid};

/// Blocks read by one statement: 2 MiB of rows at most, unless they are stored out of line.
const BLOCKS: u32 = 256;
/// Bytes of rows without a key that are kept in memory: only all of them together tell which are on one side alone.
/// With more, the whole data directory is kept instead.
const HEAP_BYTES: usize = 256 << 20;
/// Rows looked up by one statement.
const LOOK_UP: usize = 500;

/// What the comparison found, as the manifest has it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Compared {
    pub rows: ExportedRows,
    pub tables: BTreeMap<String, ExportedRows>,
    /// Transactions of the log that wrote to these tables.
    pub transactions: u64,
    /// Of those, the ones of which no row is left: later ones wrote over all that they wrote, or deleted it.
    pub without_rows: u64,
    /// What a reader must know: other tables on either side, what was not compared and why.
    pub notes: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    OnlyHere,
    Differs,
    GoneHere,
}

/// Reads both sides and writes the difference.
pub(super) struct Comparison<'a> {
    pub here: Side<'a>,
    pub there: Side<'a>,
    pub touched: &'a Touched,
    pub out: BufWriter<File>,
    compared: Compared,
    /// Transactions of which a row was seen.
    seen: BTreeSet<Xid>,
}

impl<'a> Comparison<'a> {
    pub fn new(here: Side<'a>, there: Side<'a>, touched: &'a Touched, out: File) -> Self {
        let (compared, seen) = (Compared::default(), BTreeSet::new());
        Self { here, there, touched, out: BufWriter::new(out), compared, seen }
    }

    /// Compares every table that was written here; the file is complete and synced afterwards.
    ///
    /// # Errors
    /// When either side does not answer, or the file cannot be written.
    pub async fn run(mut self) -> Result<Compared, Error> {
        let database = self.here.database().await?;
        let (mine, theirs) = (self.here.tables().await?, self.there.tables().await?);
        let mut written = self.touched.of_database(database);
        if self.touched.everything {
            written.extend(mine.values().map(|table| (table.file, Extent::Whole)));
            self.note("the log before the divergence is gone: all tables were read whole".into());
        }
        self.note_other_tables(&mine, &theirs);
        self.note_uncompared(database, &written);
        let mut files = BTreeSet::new();
        for table in mine.values() {
            let Some(extent) = written.get(&table.file) else { continue };
            files.insert(table.file);
            let rows = match theirs.get(&table.title()) {
                None => self.nothing_there(table).await?,
                Some(other) => self.table(table, other, extent).await?,
            };
            self.compared.rows += rows;
            self.compared.tables.insert(table.title(), rows);
        }
        let wrote = self.touched.writers(database, &files);
        self.compared.transactions = wrote.len() as u64;
        self.compared.without_rows = wrote.difference(&self.seen).count() as u64;
        let file = self.out.into_inner().map_err(|e| Error::file("write rows.jsonl")(e.into_error()))?;
        file.sync_all().map_err(Error::file("sync rows.jsonl"))?;
        Ok(self.compared)
    }

    fn note(&mut self, note: String) {
        tracing::info!("export: {note}");
        self.compared.notes.push(note);
    }

    fn note_other_tables(&mut self, mine: &BTreeMap<String, Table>, theirs: &BTreeMap<String, Table>) {
        for title in mine.keys().filter(|title| !theirs.contains_key(*title)) {
            self.note(format!("table {title} is only here"));
        }
        for title in theirs.keys().filter(|title| !mine.contains_key(*title)) {
            self.note(format!("table {title} is only there"));
        }
        for (title, table) in mine {
            if let Some(other) = theirs.get(title).filter(|other| other.columns != table.columns) {
                let (here, there) = (table.columns.join(", "), other.columns.join(", "));
                self.note(format!("table {title} has the columns {here} here and {there} there"));
            }
        }
    }

    fn note_uncompared(&mut self, database: u32, written: &BTreeMap<u32, Extent>) {
        // The numbers of pg_largeobject and its companion, fixed in PostgreSQL.
        if written.contains_key(&2613) || written.contains_key(&2995) {
            self.note("large objects were written here and are not compared".into());
        }
        for other in self.touched.databases().into_iter().filter(|other| *other != database && *other != 0) {
            self.note(format!("database number {other} was written here and is not compared"));
        }
    }

    fn is_mine(&mut self, row: &Row) -> bool {
        let mine = self.touched.committed(row.xid).is_some();
        if mine {
            self.seen.insert(row.xid);
        }
        mine
    }

    async fn nothing_there(&mut self, table: &Table) -> Result<ExportedRows, Error> {
        let mut found = ExportedRows::default();
        for blocks in whole(table) {
            for row in self.here.in_blocks(table, &blocks).await? {
                if self.is_mine(&row) {
                    self.put(&mut found, Kind::OnlyHere, table, Some(&row), None)?;
                }
            }
        }
        Ok(found)
    }

    async fn table(&mut self, table: &Table, other: &Table, extent: &Extent) -> Result<ExportedRows, Error> {
        let placed = table.same_file(other);
        let parts = match extent {
            Extent::Blocks(blocks) if placed => ranges(blocks),
            // The end of a file may have been cut off on one side.
            Extent::Whole if placed && other.pages > table.pages => whole(other),
            _ => whole(table),
        };
        if table.has_key() && !table.same_key(other) {
            self.note(format!("{} has another primary key there: compared by whole rows", table.title()));
        }
        if !table.has_key() {
            self.note(format!("{} has no primary key: compared by whole rows", table.title()));
        }
        let by_key = table.same_key(other);
        let (mut found, mut heap) = (ExportedRows::default(), Heap::default());
        for blocks in &parts {
            let here = self.here.in_blocks(table, blocks).await?;
            let replaced = if placed { self.replaced(other, blocks, &here).await? } else { Vec::new() };
            let mine: Vec<Row> = here.into_iter().filter(|row| self.is_mine(row)).collect();
            if by_key {
                self.mine_by_key(&mut found, table, other, &mine).await?;
                self.replaced_by_key(&mut found, table, &replaced).await?;
            } else {
                heap.take(table, mine, replaced)?;
            }
        }
        if !placed {
            self.rewritten(&mut found, &mut heap, table, other, by_key).await?;
        }
        if !by_key {
            self.without_key(&mut found, table, other, heap).await?;
        }
        Ok(found)
    }

    /// Rows that are there as at the divergence, and not here at the same place.
    async fn replaced(&self, other: &Table, blocks: &Range<u32>, here: &[Row]) -> Result<Vec<Row>, Error> {
        let same: HashSet<(&str, Xid)> = here.iter().map(|row| (row.place.as_str(), row.xid)).collect();
        let old = self.there.unchanged_in_blocks(other, blocks).await?;
        let missing = old.into_iter().filter(|(place, xid)| !same.contains(&(place.as_str(), *xid)));
        let places: Vec<String> = missing.map(|(place, _)| place).collect();
        self.there.at(other, &places).await
    }

    async fn mine_by_key(
        &mut self,
        found: &mut ExportedRows,
        table: &Table,
        other: &Table,
        mine: &[Row],
    ) -> Result<(), Error> {
        for part in mine.chunks(LOOK_UP) {
            let keys: Vec<&str> = part.iter().map(|row| row.key.as_str()).collect();
            let there = self.there.with_keys(other, &keys).await?;
            for row in part {
                match there.get(&row.key) {
                    None => self.put(found, Kind::OnlyHere, table, Some(row), None)?,
                    Some(same) if same.text == row.text => found.same += 1,
                    Some(differs) => self.put(found, Kind::Differs, table, Some(row), Some(differs))?,
                }
            }
        }
        Ok(())
    }

    async fn replaced_by_key(
        &mut self,
        found: &mut ExportedRows,
        table: &Table,
        replaced: &[Row],
    ) -> Result<(), Error> {
        for part in replaced.chunks(LOOK_UP) {
            let keys: Vec<&str> = part.iter().map(|row| row.key.as_str()).collect();
            let here = self.here.with_keys(table, &keys).await?;
            for row in part.iter().filter(|row| !here.contains_key(&row.key)) {
                self.put(found, Kind::GoneHere, table, None, Some(row))?;
            }
        }
        Ok(())
    }

    /// A table that either side emptied or wrote anew: all rows that are there as at the divergence are looked for.
    async fn rewritten(
        &mut self,
        found: &mut ExportedRows,
        heap: &mut Heap,
        table: &Table,
        other: &Table,
        by_key: bool,
    ) -> Result<(), Error> {
        let mut here = HashMap::new();
        if !by_key {
            for blocks in whole(table) {
                for row in self.here.in_blocks(table, &blocks).await? {
                    if self.touched.committed(row.xid).is_none() {
                        heap.count(table, row.text.len())?;
                        *here.entry(row.text).or_insert(0_u64) += 1;
                    }
                }
            }
        }
        for blocks in whole(other) {
            let mut old = self.there.in_blocks(other, &blocks).await?;
            old.retain(|row| row.changed_since != Some(true));
            if by_key {
                self.replaced_by_key(found, table, &old).await?;
                continue;
            }
            let mut gone = |row: &Row| match here.get_mut(&row.text) {
                Some(left @ 1..) => {
                    *left -= 1;
                    false
                }
                _ => true,
            };
            heap.take(table, Vec::new(), old.into_iter().filter(|row| gone(row)).collect())?;
        }
        Ok(())
    }

    /// Rows without a key are the same if all of them is: what one side has more often than the other.
    async fn without_key(
        &mut self,
        found: &mut ExportedRows,
        table: &Table,
        other: &Table,
        heap: Heap,
    ) -> Result<(), Error> {
        let mut heap: Vec<(String, Both)> = heap.rows.into_iter().collect();
        for part in heap.chunks_mut(LOOK_UP) {
            let texts: Vec<&str> = part.iter().filter(|(_, b)| !b.mine.is_empty()).map(|(text, _)| &**text).collect();
            let since = self.there.written_since(other, &texts).await?;
            for (text, Both { mine, replaced }) in part {
                let moved = mine.len().min(replaced.len());
                let same = (mine.len() - moved).min(since.get(text).map_or(0, |times| *times as usize));
                found.same += (moved + same) as u64;
                for row in mine.iter().skip(moved + same) {
                    self.put(found, Kind::OnlyHere, table, Some(row), None)?;
                }
                for row in replaced.iter().skip(moved) {
                    self.put(found, Kind::GoneHere, table, None, Some(row))?;
                }
            }
        }
        Ok(())
    }

    fn put(
        &mut self,
        found: &mut ExportedRows,
        kind: Kind,
        table: &Table,
        here: Option<&Row>,
        there: Option<&Row>,
    ) -> Result<(), Error> {
        match kind {
            Kind::OnlyHere => found.only_here += 1,
            Kind::Differs => found.differs += 1,
            Kind::GoneHere => found.gone_here += 1,
        }
        let transaction = here.and_then(|row| Some((row.xid, self.touched.committed(row.xid)?)));
        let known = here.or(there);
        let text = |row: Option<&Row>| row.map_or("null".to_owned(), |row| row.text.clone());
        let key = known.map(|row| row.key.clone()).filter(|key| !key.is_empty()).unwrap_or("null".into());
        let line = format!(
            "{{\"table\":{},\"kind\":{},\"key\":{key},\"ledger\":{},\"here\":{},\"there\":{},\"changed_there\":{},\
             \"transaction\":{},\"lsn\":{},\"committed\":{}}}",
            json(&table.title()),
            json(&kind),
            json(&known.and_then(|row| row.ledger.clone())),
            text(here),
            text(there),
            json(&there.and_then(|row| row.changed_since)),
            json(&transaction.map(|(xid, _)| xid)),
            json(&transaction.map(|(_, committed)| committed.lsn.to_string())),
            json(&transaction.map(|(_, committed)| committed.at.clone())),
        );
        writeln!(self.out, "{line}").map_err(Error::file("write rows.jsonl"))
    }
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("plain data serialises")
}

/// Rows of a table without a key by content: written here, and replaced here.
#[derive(Default)]
struct Heap {
    rows: BTreeMap<String, Both>,
    bytes: usize,
}

#[derive(Default)]
struct Both {
    mine: Vec<Row>,
    replaced: Vec<Row>,
}

impl Heap {
    fn take(&mut self, table: &Table, mine: Vec<Row>, replaced: Vec<Row>) -> Result<(), Error> {
        for row in mine {
            self.count(table, row.text.len())?;
            self.rows.entry(row.text.clone()).or_default().mine.push(row);
        }
        for row in replaced {
            self.count(table, row.text.len())?;
            self.rows.entry(row.text.clone()).or_default().replaced.push(row);
        }
        Ok(())
    }

    fn count(&mut self, table: &Table, bytes: usize) -> Result<(), Error> {
        self.bytes += bytes;
        if self.bytes <= HEAP_BYTES {
            return Ok(());
        }
        Err(Error::Incomparable(format!("{} has no primary key, and too many rows changed", table.title())))
    }
}

/// All of a table, in parts.
fn whole(table: &Table) -> Vec<Range<u32>> {
    (0..table.pages).step_by(BLOCKS as usize).map(|start| start..(start + BLOCKS).min(table.pages)).collect()
}

/// These blocks, neighbours together.
fn ranges(blocks: &BTreeSet<u32>) -> Vec<Range<u32>> {
    let mut ranges: Vec<Range<u32>> = Vec::new();
    for block in blocks {
        match ranges.last_mut() {
            Some(last) if last.end == *block && last.len() < BLOCKS as usize => last.end += 1,
            _ => ranges.push(*block..block + 1),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_without_a_key_are_held_up_to_a_bound() {
        let table = Table {
            oid: 1,
            file: 1,
            schema: "shop".into(),
            name: "heap".into(),
            pages: 1,
            key: Vec::new(),
            columns: Vec::new(),
        };
        let mut heap = Heap::default();
        heap.count(&table, HEAP_BYTES).unwrap();
        let error = heap.count(&table, 1).unwrap_err();
        assert!(
            matches!(&error, Error::Incomparable(why) if why.starts_with("shop.heap has no primary key")),
            "{error}"
        );
    }

    #[test]
    fn neighbours_are_read_together() {
        assert_eq!(ranges(&[0, 1, 2, 7, 9, 10].into()), [0..3, 7..8, 9..11]);
        assert_eq!(ranges(&(0..600).collect()), [0..256, 256..512, 512..600]);
    }
}
