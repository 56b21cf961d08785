//! Nodes of a YAML file with their bytes, out of the events of `granit-parser`.

use std::ops::Range;

use granit_parser::{
    ErrorKind, Event, Options, Parser, ScalarStyle, ScanError, Span, StructureStyle, Tag,
};

use crate::patch::{Code, Refusal};

/// Mappings and lists inside each other; what walks the nodes recurses.
const DEEPEST: usize = 200;

/// Something that stands in a file.
#[derive(Debug)]
pub(super) struct Node {
    /// Its bytes, without anchor and tag. Of a mapping or list in block style only the start is certain.
    pub(super) range: Range<usize>,
    /// The number of its anchor; 0 is none.
    pub(super) anchor: usize,
    pub(super) tag: Option<Tag>,
    pub(super) what: What,
}

#[derive(Debug)]
pub(super) enum What {
    /// A value, decoded.
    Scalar(String, ScalarStyle),
    List(Vec<Node>, StructureStyle),
    Mapping(Vec<Member>, StructureStyle),
    /// What stands at the anchor of this number.
    Alias(usize),
}

#[derive(Debug)]
pub(super) struct Member {
    pub(super) key: Node,
    pub(super) value: Node,
}

/// What a text holds.
#[derive(Debug)]
pub(super) struct Content {
    /// Its one document; none when there is nothing but comments.
    pub(super) root: Option<Node>,
    /// The anchors that its aliases name, one for each.
    pub(super) aliases: Vec<usize>,
}

impl Node {
    /// The name of a key.
    pub(super) fn name(&self) -> Option<&str> {
        match &self.what {
            What::Scalar(text, _) if !self.is_empty() => Some(text),
            _ => None,
        }
    }

    /// `key:` and nothing behind it.
    pub(super) fn is_empty(&self) -> bool {
        self.range.is_empty() && matches!(self.what, What::Scalar(_, ScalarStyle::Plain))
    }

    pub(super) fn style(&self) -> Option<ScalarStyle> {
        match self.what {
            What::Scalar(_, style) => Some(style),
            _ => None,
        }
    }
}

/// Reads the one document of `text`.
pub(super) fn read(text: &str) -> Result<Content, Refusal> {
    let mut options = Options::default();
    options.flow_nesting_limit = DEEPEST;
    options.block_nesting_limit = DEEPEST;
    let mut reading = Reading::default();
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.map_err(|error| syntax(&error))?;
        reading.take(event, &span)?;
    }
    Ok(Content { root: reading.root, aliases: reading.aliases })
}

#[derive(Default)]
struct Reading {
    root: Option<Node>,
    /// The lists and mappings that have not ended; of a mapping also the key whose value is to come.
    open: Vec<(Node, Option<Node>)>,
    aliases: Vec<usize>,
    documents: usize,
}

impl Reading {
    fn take(&mut self, event: Event<'_>, span: &Span) -> Result<(), Refusal> {
        let range = span.byte_range().unwrap_or_default();
        let node = |anchor, tag: Option<std::borrow::Cow<'_, Tag>>, what| Node {
            range: range.clone(),
            anchor,
            tag: tag.map(std::borrow::Cow::into_owned),
            what,
        };
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(several_documents(range.start));
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.add(node(anchor, tag, What::Scalar(text.into_owned(), style)));
            }
            Event::Alias(anchor) => {
                self.aliases.push(anchor);
                self.add(node(0, None, What::Alias(anchor)));
            }
            Event::SequenceStart(style, anchor, tag) => {
                self.enter(node(anchor, tag, What::List(Vec::new(), style)))?;
            }
            Event::MappingStart(style, anchor, tag) => {
                self.enter(node(anchor, tag, What::Mapping(Vec::new(), style)))?;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some((mut ended, _)) = self.open.pop() {
                    ended.range.end = range.end;
                    self.add(ended);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn enter(&mut self, node: Node) -> Result<(), Refusal> {
        if self.open.len() == DEEPEST {
            return Err(too_deep(node.range.start));
        }
        self.open.push((node, None));
        Ok(())
    }

    fn add(&mut self, node: Node) {
        let Some((outer, key)) = self.open.last_mut() else {
            self.root = Some(node);
            return;
        };
        match (&mut outer.what, key.take()) {
            (What::Mapping(members, _), Some(key)) => members.push(Member { key, value: node }),
            (What::List(elements, _), _) => elements.push(node),
            _ => *key = Some(node),
        }
    }
}

fn too_deep(offset: usize) -> Refusal {
    Refusal {
        offset,
        code: Code::Syntax,
        message: format!("more than {DEEPEST} mappings and lists inside each other"),
        hint: "nest the file less deeply".to_owned(),
    }
}

fn several_documents(offset: usize) -> Refusal {
    Refusal {
        offset,
        code: Code::Ambiguous,
        message: "the file holds several documents, and the key may be meant in any".to_owned(),
        hint: "change the value by hand, or give each document a file of its own".to_owned(),
    }
}

fn syntax(error: &ScanError) -> Refusal {
    let offset = error.marker().byte_offset().unwrap_or_default();
    if matches!(error.kind(), ErrorKind::RecursionLimitExceeded) {
        return too_deep(offset);
    }
    Refusal {
        offset,
        code: Code::Syntax,
        message: error.info().lines().next().unwrap_or_default().trim_end_matches('.').to_owned(),
        hint: "correct the file: YAML 1.2 can be read".to_owned(),
    }
}
