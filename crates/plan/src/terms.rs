//! The terms of a set of rules, each once: however many rules ask for `vendor=Dell`, a machine is asked for it once.
//!
//! A term is known by its text, which is written in one form. Within a rule the cheapest term is asked first, and those
//! behind one that does not hold are not asked; gives the same as [`Selector::judge`](types::selector::Selector::judge).

use std::collections::HashMap;
use std::sync::Arc;
use types::resource::Rule;
use types::selector::{Key, Match, Subject, Term};

/// Terms, and which of them each rule has.
#[derive(Clone, Debug, Default)]
pub(crate) struct Terms {
    terms: Vec<Term>,
    /// By the place of the rule: places in `terms`, cheapest first.
    of_rules: Vec<Box<[usize]>>,
    /// Places of terms about groups and labels: what a rule may change for those behind it.
    of_groups: Vec<usize>,
}

impl Terms {
    pub(crate) fn of(rules: &[Arc<Rule>]) -> Terms {
        let mut places: HashMap<String, usize> = HashMap::new();
        let mut all = Terms { of_rules: Vec::with_capacity(rules.len()), ..Terms::default() };
        for rule in rules {
            let places = rule.when.cheapest_first().map(|term| {
                *places.entry(term.to_string()).or_insert_with(|| {
                    let place = all.terms.len();
                    if matches!(term.key(), Key::Group | Key::Label(_)) {
                        all.of_groups.push(place);
                    }
                    all.terms.push(term.clone());
                    place
                })
            });
            all.of_rules.push(places.collect());
        }
        all
    }

    /// Places of the terms of a rule.
    pub(crate) fn of_rule(&self, rule: usize) -> &[usize] {
        self.of_rules.get(rule).map_or(&[], |places| places)
    }

    /// True when a rule asks for groups or labels: a rule before it may change what the machine answers.
    pub(crate) fn ask_for_groups(&self, rule: usize) -> bool {
        self.of_rule(rule).iter().any(|place| self.of_groups.contains(place))
    }

    /// True when each term of `one` is one of `other`'s: whoever `other` means is meant by `one` too.
    pub(crate) fn covers(&self, one: usize, other: usize) -> bool {
        let others = self.of_rule(other);
        self.of_rule(one).iter().all(|place| others.contains(place))
    }

    /// Nothing is known of a machine yet.
    pub(crate) fn unasked(&self) -> Answers<'_> {
        Answers { terms: self, known: vec![None; self.terms.len()] }
    }
}

/// What one machine answered so far.
pub(crate) struct Answers<'a> {
    terms: &'a Terms,
    known: Vec<Option<Match>>,
}

impl Answers<'_> {
    /// Whether the selector of a rule holds.
    pub(crate) fn judge(&mut self, rule: usize, subject: &Subject<'_>) -> Match {
        let mut unknown = false;
        for &place in self.terms.of_rule(rule) {
            let (Some(term), Some(known)) = (self.terms.terms.get(place), self.known.get_mut(place)) else {
                continue;
            };
            match *known.get_or_insert_with(|| term.judge(subject)) {
                Match::Yes => {}
                Match::No => return Match::No,
                Match::Unknown => unknown = true,
            }
        }
        if unknown { Match::Unknown } else { Match::Yes }
    }

    /// The machine is in another group now.
    pub(crate) fn regrouped(&mut self) {
        for &place in &self.terms.of_groups {
            if let Some(known) = self.known.get_mut(place) {
                *known = None;
            }
        }
    }
}
