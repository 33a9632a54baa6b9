//! What commands do to the tables, inside a transaction that somebody else begins and commits.

use serde_json::{Value, json};
use tokio_postgres::types::{ToSql, Type};

use super::pool::Session;
use super::{Done, Origin, StepError};
use crate::command::{Command, Effect, OpenCase, State, Transition};

pub type Param<'a> = (&'a (dyn ToSql + Sync), Type);

/// What the client is told, now and each time it asks again with the same key.
#[derive(Clone, PartialEq, Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Value,
}

/// One state of a case, as it is written to its row and to the audit trail.
struct Written {
    case: String,
    version: i64,
    epoch: i64,
    lsn: String,
}

/// Carries out a command whose key was just taken, and stores its answer under the key. A rejection is stored too:
/// the same command gets the same answer.
pub async fn carry_out(session: &Session, command: &Command, origin: &Origin) -> Result<Done, StepError> {
    let (answer, writer_epoch) = match &command.effect {
        Effect::Open(open) => {
            let written = insert_case(session, open, origin).await?;
            audit(session, command, origin, &written, None, State::UnderReview).await?;
            (Answer { status: 201, body: body(&written, State::UnderReview) }, written.epoch)
        }
        Effect::Transition { case, change } => transition(session, command, origin, case, change).await?,
    };
    let sql = "UPDATE case_api.idempotency SET status = $2, response = $3 WHERE key = $1";
    let (status, text) = (i32::from(answer.status), answer.body.to_string());
    let params: [Param; 3] = [(&command.key, Type::TEXT), (&status, Type::INT4), (&text, Type::TEXT)];
    session.client().execute_typed(sql, &params).await?;
    Ok(Done { answer, writer_epoch, replayed: false })
}

async fn insert_case(session: &Session, open: &OpenCase, origin: &Origin) -> Result<Written, StepError> {
    let sql = "INSERT INTO case_api.cases (subject, ledger_client, ledger_seq, epoch, lsn, site)
               VALUES ($1, $2, $3, case_api.epoch(), pg_current_wal_insert_lsn(), $4)
               RETURNING id::text, version, epoch, lsn::text";
    let client = open.ledger.as_ref().map(|ledger| ledger.client.as_str());
    let seq = open.ledger.as_ref().map(|ledger| ledger.seq);
    let params: [Param; 4] =
        [(&open.subject, Type::TEXT), (&client, Type::TEXT), (&seq, Type::INT8), (&origin.site, Type::TEXT)];
    let row = session.client().query_typed_one(sql, &params).await?;
    Ok(Written { case: row.get(0), version: row.get(1), epoch: row.get(2), lsn: row.get(3) })
}

async fn transition(
    session: &Session,
    command: &Command,
    origin: &Origin,
    case: &str,
    change: &Transition,
) -> Result<(Answer, i64), StepError> {
    let sql = "SELECT state, version, case_api.epoch() FROM case_api.cases WHERE id = $1::uuid FOR UPDATE";
    let rows = session.client().query_typed(sql, &[(&case, Type::TEXT)]).await?;
    let Some(row) = rows.first() else {
        let epoch = session.client().query_typed_one("SELECT case_api.epoch()", &[]).await?;
        return Ok((reject(404, "no such case", json!({ "id": case })), epoch.get(0)));
    };
    let (state, version, epoch): (&str, i64, i64) = (row.get(0), row.get(1), row.get(2));
    if version != change.expected_version {
        let detail = json!({ "id": case, "state": state, "version": version });
        return Ok((reject(409, "the case has changed: it is not at the expected version", detail), epoch));
    }
    let Some(was) = State::from_name(state).filter(|was| was.may_become(change.to)) else {
        let error = format!("a case that is {state} cannot become {}", change.to.name());
        return Ok((reject(422, &error, json!({ "id": case, "state": state, "version": version })), epoch));
    };
    let written = update_case(session, case, change.to, origin).await?;
    audit(session, command, origin, &written, Some(was), change.to).await?;
    Ok((Answer { status: 200, body: body(&written, change.to) }, written.epoch))
}

async fn update_case(session: &Session, case: &str, to: State, origin: &Origin) -> Result<Written, StepError> {
    let sql = "UPDATE case_api.cases SET state = $2, version = version + 1, epoch = case_api.epoch(),
                      lsn = pg_current_wal_insert_lsn(), site = $3, changed_at = now()
               WHERE id = $1::uuid RETURNING id::text, version, epoch, lsn::text";
    let to = to.name();
    let params: [Param; 3] = [(&case, Type::TEXT), (&to, Type::TEXT), (&origin.site, Type::TEXT)];
    let row = session.client().query_typed_one(sql, &params).await?;
    Ok(Written { case: row.get(0), version: row.get(1), epoch: row.get(2), lsn: row.get(3) })
}

async fn audit(
    session: &Session,
    command: &Command,
    origin: &Origin,
    written: &Written,
    was: Option<State>,
    became: State,
) -> Result<(), StepError> {
    let sql = "INSERT INTO case_api.audit (case_id, version, was, became, key, epoch, lsn, site, instance)
               VALUES ($1::uuid, $2, $3, $4, $5, $6, $7::pg_lsn, $8, $9)";
    let (was, became) = (was.map(State::name), became.name());
    let params: [Param; 9] = [
        (&written.case, Type::TEXT),
        (&written.version, Type::INT8),
        (&was, Type::TEXT),
        (&became, Type::TEXT),
        (&command.key, Type::TEXT),
        (&written.epoch, Type::INT8),
        (&written.lsn, Type::TEXT),
        (&origin.site, Type::TEXT),
        (&origin.instance, Type::TEXT),
    ];
    session.client().execute_typed(sql, &params).await?;
    Ok(())
}

fn body(written: &Written, state: State) -> Value {
    let Written { case, version, epoch, lsn } = written;
    json!({ "id": case, "version": version, "state": state.name(), "epoch": epoch, "lsn": lsn })
}

fn reject(status: u16, error: &str, detail: Value) -> Answer {
    let mut body = json!({ "error": error });
    if let (Some(body), Value::Object(detail)) = (body.as_object_mut(), detail) {
        body.extend(detail);
    }
    Answer { status, body }
}
