//! The commands that a client can give, checked before they touch the database.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub const MAX_SUBJECT: usize = 200;
pub const MAX_KEY: usize = 200;
pub const MAX_CLIENT: usize = 64;

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum State {
    UnderReview,
    Escalated,
    Closed,
}

impl State {
    pub fn name(self) -> &'static str {
        match self {
            State::UnderReview => "UnderReview",
            State::Escalated => "Escalated",
            State::Closed => "Closed",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        [State::UnderReview, State::Escalated, State::Closed].into_iter().find(|state| state.name() == name)
    }

    /// Seed 003 section 24, exercise 2: UnderReview becomes Escalated or Closed, and stays there.
    pub fn may_become(self, to: State) -> bool {
        self == State::UnderReview && to != State::UnderReview
    }
}

/// The client's own number of a write, by which a drill's ledger is audited.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerRef {
    pub client: String,
    pub seq: i64,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenCase {
    pub subject: String,
    pub ledger: Option<LedgerRef>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transition {
    pub to: State,
    pub expected_version: i64,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub enum Effect {
    Open(OpenCase),
    Transition { case: String, change: Transition },
}

/// An effect, and the key under which it happens at most once.
#[derive(Clone, Debug)]
pub struct Command {
    pub key: String,
    pub effect: Effect,
}

#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Invalid {
    #[error("an Idempotency-Key header of 1 to {MAX_KEY} printable ASCII characters is required")]
    Key,
    #[error("subject must have 1 to {MAX_SUBJECT} characters and no control characters")]
    Subject,
    #[error("ledger.client must have 1 to {MAX_CLIENT} printable ASCII characters")]
    Client,
    #[error("ledger.seq must not be negative")]
    Seq,
    #[error("expected_version must be at least 1")]
    Version,
    #[error("a case id looks like 1b4e28ba-2fa1-41d2-883f-0016d3cca427")]
    CaseId,
}

impl Command {
    pub fn new(key: Option<&str>, effect: Effect) -> Result<Self, Invalid> {
        let key = key.filter(|key| is_token(key, MAX_KEY)).ok_or(Invalid::Key)?.to_owned();
        match &effect {
            Effect::Open(open) => check_open(open)?,
            Effect::Transition { case, change } => {
                check_case_id(case)?;
                if change.expected_version < 1 {
                    return Err(Invalid::Version);
                }
            }
        }
        Ok(Self { key, effect })
    }

    /// What distinguishes this command from another one that comes under the same key. Spacing and the order of
    /// fields in the request do not count.
    pub fn digest(&self) -> String {
        let text = serde_json::to_vec(&self.effect).expect("a command is plain data");
        Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

fn check_open(open: &OpenCase) -> Result<(), Invalid> {
    let length = open.subject.chars().count();
    if !(1..=MAX_SUBJECT).contains(&length) || open.subject.chars().any(char::is_control) {
        return Err(Invalid::Subject);
    }
    match &open.ledger {
        Some(ledger) if !is_token(&ledger.client, MAX_CLIENT) => Err(Invalid::Client),
        Some(ledger) if ledger.seq < 0 => Err(Invalid::Seq),
        _ => Ok(()),
    }
}

/// A UUID in its usual form, 8-4-4-4-12 hexadecimal digits.
pub fn check_case_id(id: &str) -> Result<(), Invalid> {
    let groups: Vec<&str> = id.split('-').collect();
    let lengths = groups.iter().map(|group| group.len());
    let hex = id.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit());
    if hex && lengths.eq([8, 4, 4, 4, 12]) { Ok(()) } else { Err(Invalid::CaseId) }
}

pub fn is_token(text: &str, max: usize) -> bool {
    (1..=max).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(subject: &str, client: &str, seq: i64) -> Effect {
        Effect::Open(OpenCase { subject: subject.into(), ledger: Some(LedgerRef { client: client.into(), seq }) })
    }

    #[test]
    fn only_a_case_under_review_moves() {
        use State::*;
        let allowed: Vec<(State, State)> = [UnderReview, Escalated, Closed]
            .into_iter()
            .flat_map(|from| [UnderReview, Escalated, Closed].map(|to| (from, to)))
            .filter(|(from, to)| from.may_become(*to))
            .collect();
        assert_eq!(allowed, [(UnderReview, Escalated), (UnderReview, Closed)]);
    }

    #[test]
    fn input_is_checked() {
        let check = |key: Option<&str>, effect| Command::new(key, effect).err();
        let long = "x".repeat(201);
        assert_eq!(check(None, open("s", "c", 1)), Some(Invalid::Key));
        assert_eq!(check(Some(&long), open("s", "c", 1)), Some(Invalid::Key));
        assert_eq!(check(Some("k"), open("", "c", 1)), Some(Invalid::Subject));
        assert_eq!(check(Some("k"), open(&long, "c", 1)), Some(Invalid::Subject));
        assert_eq!(check(Some("k"), open("a\0b", "c", 1)), Some(Invalid::Subject));
        assert_eq!(check(Some("k"), open("s", "", 1)), Some(Invalid::Client));
        assert_eq!(check(Some("k"), open("s", "c", -1)), Some(Invalid::Seq));
        assert_eq!(check(Some("k"), open("é".repeat(200).as_str(), "c", 0)), None);
        let change = Transition { to: State::Closed, expected_version: 0 };
        let id = "1b4e28ba-2fa1-41d2-883f-0016d3cca427".to_owned();
        assert_eq!(check(Some("k"), Effect::Transition { case: id, change: change.clone() }), Some(Invalid::Version));
        assert_eq!(check(Some("k"), Effect::Transition { case: "7".into(), change }), Some(Invalid::CaseId));
    }

    #[test]
    fn the_digest_tells_commands_apart() {
        let digest = |effect| Command::new(Some("k"), effect).unwrap().digest();
        assert_eq!(digest(open("s", "c", 1)), digest(open("s", "c", 1)));
        assert_ne!(digest(open("s", "c", 1)), digest(open("s", "c", 2)));
    }
}
