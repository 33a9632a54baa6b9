//! Breaking the glass, as people read it.

use controller::journal::Line;
use controller::rpc::wire::GlassView;
use engine::glass::{GlassRecord, Open, Said};
use model::observe::DatabaseState;
use model::time::human;
use model::{Epoch, SiteId};

use crate::operator::Operator;

/// The command line for the same region.
pub fn command(operator: &Operator, site: &SiteId, what: &str) -> String {
    operator.command(&format!("failover --break-glass --to {site} {what}"))
}

/// All that a person should have read before giving their word.
pub fn whole(view: &GlassView, lines: &[Line], operator: &Operator) -> String {
    let mut text = scene(view);
    if let Some(broken) = &view.broken {
        text.push_str(&format!("\n{}\n", broken.text()));
    }
    match (&view.open, &view.obstacle) {
        (Some(open), _) => text.push_str(&format!("\n{}", opened(view, open, operator))),
        (None, Some(obstacle)) => {
            text.push_str(&format!("\nit cannot be broken now: {}\nhint: {}\n", obstacle.why, obstacle.hint));
        }
        (None, None) => text.push_str(&format!(
            "\nit may be broken, by {} different people\nnext: {}\n",
            view.people,
            first(view, operator)
        )),
    }
    let journal = journal(lines);
    if journal.is_empty() { text } else { format!("{text}\n{journal}") }
}

fn scene(view: &GlassView) -> String {
    let scene = &view.scene;
    let mut text = format!("{}: its database is {}\n", scene.site, database(&scene.database));
    for (site, says) in &scene.answered {
        text.push_str(&format!("{site} ANSWERS: {says}\n"));
    }
    for (site, why) in &scene.silent {
        text.push_str(&format!("{site} does not answer: {why}\n"));
    }
    text.push_str(&format!("at risk: {}\n", at_risk(view)));
    let wait = human(view.wait_after_last_word.max(scene.promised));
    text.push_str(&format!("the epoch is taken {wait} after the last word, and nobody may answer meanwhile\n"));
    text
}

fn at_risk(view: &GlassView) -> String {
    match &view.scene.last_commit {
        Some(moment) => format!("whatever was acknowledged elsewhere after {moment}, by the old writer's clock"),
        None => "nobody can say how old the data here is".to_owned(),
    }
}

fn database(state: &DatabaseState) -> String {
    match state {
        DatabaseState::Standby { upstream, receiving: true, .. } => {
            format!("a copy that still receives from {upstream}")
        }
        DatabaseState::Standby { upstream, .. } => format!("a copy of {upstream}, and receives nothing"),
        DatabaseState::Writing { epoch, .. } => format!("the writer, in epoch {epoch}"),
        DatabaseState::Fenced { why, .. } => format!("stopped: {why}"),
        DatabaseState::Failed { why, .. } => format!("failed: {why}"),
        DatabaseState::Busy { doing } => doing.clone(),
        DatabaseState::Starting => "starting".to_owned(),
        DatabaseState::Absent => "absent".to_owned(),
    }
}

fn opened(view: &GlassView, open: &Open, operator: &Operator) -> String {
    let mut text =
        format!("glass-{} is open: {} of {} people have given their word\n", open.attempt, open.said.len(), open.need);
    text.extend(open.said.iter().map(word));
    if open.ordered {
        text.push_str("its epoch is being taken\n");
    } else if let Some(waits) = view.waits {
        text.push_str(&format!("its epoch is taken in {}\n", human(waits)));
    } else {
        text.push_str(&format!("next: {}\n", next(view, open, operator)));
    }
    text
}

fn word(said: &Said) -> String {
    let fenced: Vec<_> = said.word.fenced.iter().map(|(site, how)| format!("{site} is {how}")).collect();
    format!("  {}: {}; {}; accepts to {}\n", said.by, said.word.why, fenced.join(", "), said.word.loss)
}

/// What the first person would type.
fn first(view: &GlassView, operator: &Operator) -> String {
    let person = operator.people.first().map_or("PERSON", |person| person.as_str());
    command(operator, &view.scene.site, &format!("{} --as {person}", words(view)))
}

fn words(view: &GlassView) -> String {
    let fenced: String = view.scene.silent.keys().map(|site| format!(" --fenced {site}=HOW")).collect();
    format!("--why '…'{fenced} --lose '{}'", view.phrase)
}

/// What another person would type.
pub fn next(view: &GlassView, open: &Open, operator: &Operator) -> String {
    let given = open.people();
    let other = operator.people.iter().find(|person| !given.contains(person));
    let other = other.map_or("ANOTHER", |person| person.as_str());
    let what = format!("--confirm {} {} --as {other}", open.attempt, words(view));
    command(operator, &view.scene.site, &what)
}

/// After a word that was not the last.
pub fn waits(view: &GlassView, open: &Open, next: &str) -> String {
    format!(
        "glass-{} waits for the word of {} more, within {}; nothing was changed yet\nnext: {next}\n",
        open.attempt,
        people(open.need as usize - open.said.len()),
        human(view.word_holds)
    )
}

fn people(count: usize) -> String {
    if count == 1 { "1 person".to_owned() } else { format!("{count} people") }
}

/// Read just before the phrase is typed.
pub fn before_typing(view: &GlassView, confirm: Option<u32>) -> String {
    let said: String =
        view.open.iter().filter(|_| confirm.is_some()).flat_map(|open| open.said.iter().map(word)).collect();
    format!(
        "{}{said}two regions will write at once, and their data will part, if any other site lives where this one cannot see it\n\
         to accept what may be lost, type: {}\n> ",
        scene(view),
        view.phrase
    )
}

pub fn journal(lines: &[Line]) -> String {
    let text = |line: &Line| {
        let record: GlassRecord = line.parse().ok()?;
        Some(format!("{}  {}\n", line.wall, record.text()))
    };
    lines.iter().filter_map(text).collect()
}

/// When it is done: and what must be thought of from now on.
pub fn done(site: &SiteId, attempt: u32, epoch: &Epoch, operator: &Operator) -> String {
    let close = command(operator, site, &format!("--close {attempt} --why '…'"));
    format!(
        "{site} writes in epoch {epoch}, by people's word alone, and its DNS server leads to it\n\
         keep the other sites off until they can reach {site}; when they are back, see docs/break-glass.md, and then\n\
         next: {close}\n"
    )
}
