//! What is wrong with a spec, and where.

use serde::Serialize;

/// A place in the text. Line and column count from 1 (columns in characters), offset and length in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Span {
    pub line: usize,
    pub column: usize,
    pub offset: usize,
    pub len: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// The spec means nothing until this is put right.
    Error,
    /// The spec is usable; somebody should still look.
    Warning,
}

/// One thing wrong with a spec. Every `code` has a page, `docs/errors/<code>.md`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Problem {
    pub code: &'static str,
    pub severity: Severity,
    pub message: String,
    pub span: Span,
    /// A few words at the offending text.
    pub label: String,
    /// What to do next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Another place that takes part in the problem.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub related: Option<Related>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Related {
    pub span: Span,
    pub label: String,
}

impl Problem {
    pub(crate) fn error(code: &'static str, span: Span, message: impl Into<String>, label: impl Into<String>) -> Self {
        let (message, label) = (message.into(), label.into());
        Self { code, severity: Severity::Error, message, span, label, hint: None, related: None }
    }
    pub(crate) fn warning(
        code: &'static str,
        span: Span,
        message: impl Into<String>,
        label: impl Into<String>,
    ) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, span, message, label) }
    }
    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
    pub(crate) fn hint_opt(self, hint: Option<String>) -> Self {
        Self { hint, ..self }
    }
    pub(crate) fn related(self, span: Span, label: impl Into<String>) -> Self {
        Self { related: Some(Related { span, label: label.into() }), ..self }
    }
}

/// The known word that `word` was probably meant to be: the only one that it begins, else the nearest.
pub(crate) fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> Option<&'a str> {
    let word = word.to_lowercase();
    let mut begun = known.clone().into_iter().filter(|k| word.len() >= 3 && k.starts_with(&word));
    if let (Some(only), None) = (begun.next(), begun.next()) {
        return Some(only);
    }
    let (distance, best) = known.into_iter().map(|k| (strsim::damerau_levenshtein(&word, k), k)).min()?;
    let near = distance <= (best.len().max(word.len()) / 3).max(1);
    near.then_some(best)
}

/// "did you mean `x`?", else the list of what is known.
pub(crate) fn suggest<'a>(word: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> String {
    match did_you_mean(word, known.clone()) {
        Some(best) => format!("did you mean `{best}`?"),
        None => format!("known here: {}", known.into_iter().collect::<Vec<_>>().join(", ")),
    }
}
