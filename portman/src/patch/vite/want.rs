//! Changes that are wanted, and the splices that make them.
//!
//! A value that stands in a constant changes there only if every use of the constant is to say the same afterwards;
//! otherwise the constant stays, and its use is replaced with a literal.

use std::ops::Range;

use oxc_span::Span;

use super::super::{Code, Refusal, Splice};
use super::insert::{self, Insert};
use super::resolve::{Link, Module};

/// A literal that shall say something else.
pub(super) struct Want {
    /// What the value is called, for people.
    pub(super) key: String,
    /// The value before, for people.
    pub(super) old: String,
    /// The value after, for people.
    pub(super) new: String,
    /// The literal's bytes, or those in it that change.
    pub(super) at: Span,
    /// What stands there afterwards.
    pub(super) text: String,
    /// The names that lead to the literal, outermost first.
    pub(super) through: Vec<Use>,
}

/// A name on the way to a literal, and what to do when what it stands for must stay.
pub(super) struct Use {
    pub(super) link: Link,
    /// These bytes are replaced instead …
    pub(super) at: Span,
    /// … with this.
    pub(super) text: String,
}

/// Everything that is wanted of a file.
#[derive(Default)]
pub(super) struct Wants<'a> {
    pub(super) changes: Vec<Want>,
    inserts: Vec<Insert<'a>>,
}

impl<'a> Wants<'a> {
    /// Wants a member that is missing.
    pub(super) fn insert(&mut self, insert: Insert<'a>) {
        self.forget(&insert.key());
        self.inserts.push(insert);
    }

    /// Forgets what was wanted of `key`: a later edit says it anew.
    pub(super) fn forget(&mut self, key: &str) {
        self.changes.retain(|want| want.key != key);
        self.inserts.retain(|insert| insert.key() != key);
    }

    /// The splices, in the order of the text.
    pub(super) fn splices(&self, module: &Module<'_>) -> Result<Vec<Splice>, Refusal> {
        let mut splices: Vec<Splice> = Vec::new();
        for want in &self.changes {
            let splice = self.splice(module, want);
            // Several uses of one constant change it once.
            if !splices.iter().any(|other| other.range == splice.range && other.text == splice.text)
            {
                splices.push(splice);
            }
        }
        splices.extend(insert::splices(module, &self.inserts));
        splices.sort_by_key(|splice| (splice.range.start, splice.range.end));
        let overlap = splices.windows(2).find(|pair| pair[0].range.end > pair[1].range.start);
        match overlap {
            None => Ok(splices),
            Some(pair) => Err(Refusal {
                offset: pair[1].range.start,
                code: Code::NotFollowed,
                message: format!(
                    "`{}` and `{}` would change the same bytes",
                    pair[0].key, pair[1].key
                ),
                hint: "patch one of them at a time".to_owned(),
            }),
        }
    }

    fn splice(&self, module: &Module<'_>, want: &Want) -> Splice {
        let kept = want.through.iter().find(|step| !self.all_follow(module, &step.link, want));
        let (at, text) = kept.map_or((want.at, &want.text), |step| (step.at, &step.text));
        let (old, new) = (Some(want.old.clone()), want.new.clone());
        Splice { range: range(at), text: text.clone(), key: want.key.clone(), old, new }
    }

    /// Whether every use of a constant is wanted to say what `want` makes its literal say.
    fn all_follow(&self, module: &Module<'_>, link: &Link, want: &Want) -> bool {
        let follows = |at: Span| {
            let same =
                self.changes.iter().filter(|other| other.at == want.at && other.text == want.text);
            same.flat_map(|other| &other.through).any(|step| step.link.at == at)
        };
        let exported = module.names.at(link.binding).exported;
        !link.is_member
            && !exported
            && module.names.uses(link.binding).all(|reference| follows(reference.span))
    }
}

pub(super) fn range(at: Span) -> Range<usize> {
    at.start as usize..at.end as usize
}
