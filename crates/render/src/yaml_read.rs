//! Reads templates, ours and those of others: YAML or JSON, with the short forms of CloudFormation's functions. Comments are
//! left out, so that a change of them is none.

use std::fmt;

use granit_parser::{Event, Parser};

/// What a document says.
#[derive(Clone, PartialEq, Debug)]
pub enum Node {
    /// As it is written, without quotes.
    Scalar(String),
    List(Vec<Node>),
    /// In the order of the file.
    Map(Vec<(String, Node)>),
    /// `!Ref X` and the like.
    Tagged(String, Box<Node>),
}

impl Node {
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries().iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }
    pub fn entries(&self) -> &[(String, Node)] {
        match self {
            Node::Map(entries) => entries,
            _ => &[],
        }
    }
    pub fn items(&self) -> &[Node] {
        match self {
            Node::List(items) => items,
            _ => &[],
        }
    }
    pub fn text(&self) -> Option<&str> {
        match self {
            Node::Scalar(text) => Some(text),
            _ => None,
        }
    }
    /// Whether it names a resource or a parameter.
    pub fn names(&self, id: &str) -> bool {
        match self {
            Node::Scalar(_) => false,
            Node::List(items) => items.iter().any(|item| item.names(id)),
            Node::Map(entries) => entries.iter().any(|(key, value)| {
                key == "Ref" && value.text() == Some(id)
                    || key == "Fn::GetAtt" && mentioned(value, id)
                    || value.names(id)
            }),
            Node::Tagged(tag, value) => match (tag.as_str(), value.text()) {
                ("Ref", Some(name)) => name == id,
                ("GetAtt", Some(name)) => name.split('.').next() == Some(id),
                ("Sub", Some(text)) => text.contains(&format!("${{{id}}}")) || text.contains(&format!("${{{id}.")),
                _ => value.names(id),
            },
        }
    }
}

fn mentioned(value: &Node, id: &str) -> bool {
    value.items().first().unwrap_or(value).text().is_some_and(|text| text.split('.').next() == Some(id))
}

/// On one line, cut where it is long.
impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = line(self);
        match text.char_indices().nth(80) {
            Some((end, _)) => write!(f, "{}…", &text[..end]),
            None => f.write_str(&text),
        }
    }
}

fn line(node: &Node) -> String {
    match node {
        Node::Scalar(text) => text.replace('\n', "⏎"),
        Node::List(items) => format!("[{}]", items.iter().map(line).collect::<Vec<_>>().join(", ")),
        Node::Map(entries) => {
            let each = entries.iter().map(|(key, value)| format!("{key}: {}", line(value)));
            format!("{{{}}}", each.collect::<Vec<_>>().join(", "))
        }
        Node::Tagged(tag, value) => format!("!{tag} {}", line(value)),
    }
}

/// Deeper than any template is, and not so deep that reading one could exhaust the stack.
const DEEPEST: usize = 128;

/// The first document of a text.
///
/// # Errors
/// Says what is wrong with it, and where.
pub fn read(text: &str) -> Result<Node, String> {
    let mut events = Vec::new();
    for next in Parser::new_from_str(text) {
        let (event, span) = next.map_err(|error| error.to_string())?;
        if !matches!(event, Event::Comment(..) | Event::StreamStart | Event::DocumentStart(..)) {
            events.push((event, span.start.line()));
        }
    }
    let mut events = events.into_iter();
    node(&mut events, 0)?.ok_or_else(|| "it is empty".to_owned())
}

type Events<'t> = std::vec::IntoIter<(Event<'t>, usize)>;

/// The next node; `None` at the end of what is around it.
fn node(events: &mut Events<'_>, depth: usize) -> Result<Option<Node>, String> {
    if depth > DEEPEST {
        return Err(format!("it is nested more than {DEEPEST} deep"));
    }
    let Some((event, at)) = events.next() else { return Ok(None) };
    let (value, tag) = match event {
        Event::Scalar(text, _, _, tag) => (Node::Scalar(text.into_owned()), tag),
        Event::SequenceStart(_, _, tag) => {
            let mut items = Vec::new();
            while let Some(item) = node(events, depth + 1)? {
                items.push(item);
            }
            (Node::List(items), tag)
        }
        Event::MappingStart(_, _, tag) => {
            let mut entries = Vec::new();
            while let Some(key) = node(events, depth + 1)? {
                let value = node(events, depth + 1)?.ok_or_else(|| format!("line {at}: a key has no value"))?;
                entries.push((line(&key), value));
            }
            (Node::Map(entries), tag)
        }
        Event::Alias(_) => return Err(format!("line {at}: an alias is not understood")),
        _ => return Ok(None),
    };
    let tagged = tag.as_ref().filter(|tag| tag.handle() == "!").map(|tag| tag.suffix().to_owned());
    Ok(Some(match tagged {
        Some(tag) => Node::Tagged(tag, Box::new(value)),
        None => value,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_forms_and_json_are_read_and_comments_are_not() {
        let node = read("# who\nA: !Ref B # why\nC: [1, !Sub \"x-${D}\"]\n").unwrap();
        assert_eq!(node.to_string(), "{A: !Ref B, C: [1, !Sub x-${D}]}");
        assert!(node.names("B") && node.names("D") && !node.names("A"));
        assert_eq!(read("{\"a\": {\"Ref\": \"b\"}}").unwrap().to_string(), "{a: {Ref: b}}");
        assert!(read("a: [").is_err() && read("").is_err());
    }
}
