//! The workload's tables as a server describes them, and the statements that read their rows.
//!
//! Rows travel as PostgreSQL's own JSON text, which keeps every digit and reads the same on both sides under
//! [`SESSION`]; they are compared as text and never parsed.

use std::collections::BTreeMap;
use std::ops::Range;

use model::topology::Ledger;
use serde::Deserialize;
use tokio_postgres::SimpleQueryRow;

use super::session::{Session, column, identifier, literal};
use super::touched::Xid;
use super::{Config, Error};

/// The same text for the same value on both sides, one snapshot for the whole comparison, and an error instead of
/// rows hidden by a policy. A look-up by key must not read a table of the writer whole.
const SESSION: &str = "
    set time zone 'UTC'; set datestyle = 'ISO, YMD'; set intervalstyle = 'postgres'; set extra_float_digits = 1;
    set bytea_output = 'hex'; set xmloption = 'content'; set search_path = pg_catalog; set row_security = off;
    set enable_hashjoin = off; set enable_mergejoin = off; set jit = off;
    begin isolation level repeatable read read only";

const TABLES: &str = "
    select c.oid, coalesce(pg_relation_filenode(c.oid), 0) as file, n.nspname as schema, c.relname as name,
        pg_relation_size(c.oid) / current_setting('block_size')::int as pages,
        (select json_agg(json_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod))
                order by k.place)
            from pg_index i cross join unnest(i.indkey) with ordinality as k(number, place)
            join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.number
            where i.indrelid = c.oid and i.indisprimary and i.indisvalid) as key,
        (select coalesce(json_agg(format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod)) order by a.attnum), '[]')
            from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as columns
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind = 'r' and c.relpersistence = 'p'
        and n.nspname not in ('pg_catalog', 'information_schema', 'antipode') and n.nspname not like 'pg\\_toast%'
    order by n.nspname, c.relname";

#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub(super) struct Column {
    pub name: String,
    /// With its schema where that is not `pg_catalog`.
    #[serde(rename = "type")]
    pub kind: String,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Table {
    pub oid: u32,
    /// Its file's number, which a rewrite changes.
    pub file: u32,
    pub schema: String,
    pub name: String,
    pub pages: u32,
    /// Empty without a primary key.
    pub key: Vec<Column>,
    /// Names and types, as a declaration has them.
    pub columns: Vec<String>,
}

/// A row as one side has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Row {
    /// `(block,line)`.
    pub place: String,
    pub xid: Xid,
    /// JSON object; empty without a primary key.
    pub key: String,
    /// JSON object.
    pub text: String,
    pub ledger: Option<String>,
    /// Written there after the divergence; `None` where that cannot be told.
    pub changed_since: Option<bool>,
}

/// One side of a comparison.
pub(super) struct Side<'a> {
    pub session: Session,
    pub config: &'a Config,
    /// The first transaction that this side began after the divergence.
    pub first: Option<Xid>,
}

impl Table {
    /// As people write it.
    pub fn title(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }
    fn sql(&self) -> String {
        format!("{}.{}", identifier(&self.schema), identifier(&self.name))
    }
    pub fn has_key(&self) -> bool {
        !self.key.is_empty()
    }
    /// Keys of the one find rows of the other.
    pub fn same_key(&self, other: &Table) -> bool {
        self.has_key() && self.key == other.key
    }
    /// Neither side has written it anew since they parted: untouched rows stand at the same places.
    pub fn same_file(&self, other: &Table) -> bool {
        (self.oid, self.file) == (other.oid, other.file)
    }
}

impl<'a> Side<'a> {
    /// # Errors
    /// When the server does not answer or refuses.
    pub async fn open(session: Session, config: &'a Config) -> Result<Self, Error> {
        let side = Self { session, config, first: None };
        side.rows("prepare to read rows", SESSION).await?;
        Ok(side)
    }

    pub async fn rows(&self, what: &str, sql: &str) -> Result<Vec<SimpleQueryRow>, Error> {
        self.session.rows(what, sql, self.config.limits.start).await
    }

    pub async fn database(&self) -> Result<u32, Error> {
        let sql = "select oid from pg_database where datname = current_database()";
        let rows = self.rows("ask for the database", sql).await?;
        rows.first().map_or(Err(Error::parse("an empty answer", sql)), |row| number(row, "oid"))
    }

    /// The workload's own tables by schema and name.
    pub async fn tables(&self) -> Result<BTreeMap<String, Table>, Error> {
        let rows = self.rows("list the tables", TABLES).await?;
        let table = |row: &SimpleQueryRow| {
            let json = |text: &str| if text.is_empty() { "[]".to_owned() } else { text.to_owned() };
            let (key, columns) = (json(column(row, "key")), json(column(row, "columns")));
            let table = Table {
                oid: number(row, "oid")?,
                file: number(row, "file")?,
                schema: column(row, "schema").to_owned(),
                name: column(row, "name").to_owned(),
                pages: number(row, "pages")?,
                key: serde_json::from_str(&key).map_err(|_| Error::parse("a primary key", key))?,
                columns: serde_json::from_str(&columns).map_err(|_| Error::parse("a table's columns", columns))?,
            };
            Ok((table.title(), table))
        };
        rows.iter().map(table).collect()
    }

    /// The first write on a timeline, which is the epoch's record: no row that clients wrote there is older.
    pub async fn first_write(&self, timeline: u32) -> Result<Option<Xid>, Error> {
        let sql = format!(
            "select xmin::text as xid from antipode.epochs where timeline = {timeline} order by number limit 1"
        );
        self.rows("look for the epoch's record", &sql).await?.first().map(|row| number(row, "xid")).transpose()
    }

    /// Whether a row was written since the divergence.
    fn since(&self) -> String {
        self.first.map_or("null".into(), |first| format!("(age(r.xmin) <= age('{first}'::xid))"))
    }

    fn select(&self, table: &Table) -> String {
        let names: Vec<String> = table.key.iter().map(|c| format!("r.{}", identifier(&c.name))).collect();
        let key = if names.is_empty() {
            "''".to_owned()
        } else {
            format!("(select row_to_json(antipode_key) from (select {}) as antipode_key)", names.join(", "))
        };
        let ledger = ledger(&self.config.ledger, table);
        format!(
            "select r.ctid::text as place, r.xmin::text as xid, {key} as key, row_to_json(r.*) as text, {ledger} as \
             ledger, {} as since from only {} as r",
            self.since(),
            table.sql(),
        )
    }

    async fn read(&self, table: &Table, rest: &str) -> Result<Vec<Row>, Error> {
        let sql = format!("{} {rest}", self.select(table));
        let rows = self.rows(&format!("read rows of {}", table.title()), &sql).await?;
        rows.iter().map(row).collect()
    }

    /// All rows in a range of blocks.
    pub async fn in_blocks(&self, table: &Table, blocks: &Range<u32>) -> Result<Vec<Row>, Error> {
        self.read(table, &format!("where {}", within(blocks))).await
    }

    /// Rows in a range of blocks that are as they were at the divergence: where they are, and who wrote them.
    pub async fn unchanged_in_blocks(&self, table: &Table, blocks: &Range<u32>) -> Result<Vec<(String, Xid)>, Error> {
        let sql = format!(
            "select r.ctid::text as place, r.xmin::text as xid from only {} as r where {} and not coalesce({}, false)",
            table.sql(),
            within(blocks),
            self.since(),
        );
        let rows = self.rows(&format!("look for old rows of {}", table.title()), &sql).await?;
        rows.iter().map(|row| Ok((column(row, "place").to_owned(), number(row, "xid")?))).collect()
    }

    /// The rows at these places.
    pub async fn at(&self, table: &Table, places: &[String]) -> Result<Vec<Row>, Error> {
        if places.is_empty() {
            return Ok(Vec::new());
        }
        let places = places.iter().map(|place| format!("{}::tid", literal(place))).collect::<Vec<_>>().join(", ");
        self.read(table, &format!("where r.ctid = any (array[{places}])")).await
    }

    /// The rows with these keys, which are JSON objects, by key.
    pub async fn with_keys(&self, table: &Table, keys: &[&str]) -> Result<BTreeMap<String, Row>, Error> {
        if keys.is_empty() {
            return Ok(BTreeMap::new());
        }
        let columns = table.key.iter().map(|c| format!("{} {}", identifier(&c.name), c.kind)).collect::<Vec<_>>();
        let equal = table.key.iter().map(|c| identifier(&c.name)).map(|name| format!("r.{name} = k.{name}"));
        let rest = format!(
            "join json_to_recordset({}) as k({}) on {}",
            literal(&format!("[{}]", keys.join(","))),
            columns.join(", "),
            equal.collect::<Vec<_>>().join(" and "),
        );
        Ok(self.read(table, &rest).await?.into_iter().map(|row| (row.key.clone(), row)).collect())
    }

    /// How often each of these rows was written here since the divergence.
    pub async fn written_since(&self, table: &Table, texts: &[&str]) -> Result<BTreeMap<String, u64>, Error> {
        if texts.is_empty() {
            return Ok(BTreeMap::new());
        }
        let list = texts.iter().map(|text| literal(text)).collect::<Vec<_>>().join(", ");
        let sql = format!(
            "select row_to_json(r.*)::text as text, count(*) as times from only {} as r \
             where coalesce({}, true) and row_to_json(r.*)::text in ({list}) group by 1",
            table.sql(),
            self.since(),
        );
        let rows = self.rows(&format!("count rows of {}", table.title()), &sql).await?;
        rows.iter().map(|row| Ok((column(row, "text").to_owned(), number(row, "times")?))).collect()
    }
}

/// The columns that hold the client's number, joined; null if any of them is.
fn ledger(ledger: &Ledger, table: &Table) -> String {
    let Some(columns) = ledger.get(&table.title()) else { return "null".into() };
    let names: Vec<String> = columns.iter().map(|name| format!("r.{}::text", identifier(name))).collect();
    names.join(" || '-' || ")
}

fn within(blocks: &Range<u32>) -> String {
    format!("r.ctid >= '({},0)'::tid and r.ctid < '({},0)'::tid", blocks.start, blocks.end)
}

fn row(row: &SimpleQueryRow) -> Result<Row, Error> {
    let value = |name: &str| row.try_get(name).ok().flatten().map(str::to_owned);
    Ok(Row {
        place: column(row, "place").to_owned(),
        xid: number(row, "xid")?,
        key: one_line(column(row, "key")),
        text: one_line(column(row, "text")),
        ledger: value("ledger"),
        changed_since: value("since").map(|since| since == "t"),
    })
}

/// A column of type `json` keeps its line breaks, which in JSON are never part of a value.
fn one_line(json: &str) -> String {
    json.replace(['\n', '\r'], " ")
}

fn number<N: std::str::FromStr>(row: &SimpleQueryRow, name: &str) -> Result<N, Error> {
    column(row, name).parse().map_err(|_| Error::parse("a number", column(row, name)))
}
