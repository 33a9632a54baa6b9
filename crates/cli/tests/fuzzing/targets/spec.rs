//! The spec parser and the review: whatever the text, every problem and every finding points into it.

use engine::assess::review;
use model::Date;
use model::spec::{self, Severity, Span};

pub fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let checked = spec::check(text);
    let errors = checked.problems.iter().filter(|problem| problem.severity == Severity::Error).count();
    assert_eq!(checked.design.is_none(), errors > 0, "a spec means something exactly when it has no error");
    let runs = checked.design.is_some() && checked.obstacles.is_empty();
    assert_eq!(checked.topology.is_some(), runs, "and can be run exactly when nothing is in the way");
    for obstacle in &checked.obstacles {
        place(text, obstacle.span, obstacle.code);
    }
    for problem in &checked.problems {
        place(text, problem.span, problem.code);
        if let Some(related) = &problem.related {
            place(text, related.span, problem.code);
        }
        assert!(spec::CODES.contains(&problem.code), "{} has no page", problem.code);
        assert!(!problem.message.is_empty(), "{} says nothing", problem.code);
    }
    if let Some(design) = &checked.design {
        let lines = text.lines().count().max(1);
        for finding in review(design, Date::new(2026, 11, 21).expect("a day")).findings {
            assert!((1..=lines).contains(&finding.line), "{}: line {} of {lines}", finding.id, finding.line);
            assert!(!finding.says.is_empty(), "{} says nothing", finding.id);
        }
    }
    // Agents and the controller get the topology as JSON.
    if let Some(topology) = checked.topology {
        let sent = serde_json::to_string(&topology).expect("a topology is JSON");
        let received: model::Topology = serde_json::from_str(&sent).expect("what is sent can be read");
        assert_eq!(topology, received, "an agent reads what the controller means");
    }
}

/// Line, column and offset name the same place, and it is inside the text.
fn place(text: &str, span: Span, code: &str) {
    let end = span.offset.checked_add(span.len).expect("a span is a place");
    assert!(text.is_char_boundary(span.offset) && text.is_char_boundary(end), "{code}: {span:?} in {}", text.len());
    let before = &text[..span.offset];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let (line, column) = (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1);
    assert_eq!((span.line, span.column), (line, column), "{code}: {span:?}");
}
