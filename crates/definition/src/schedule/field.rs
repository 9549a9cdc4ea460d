//! One field of a cron expression: lists of values, ranges and steps as a set of numbers.

use std::ops::Range;

use crate::diagnostic::quoted;
use crate::suggest;

use super::cron::CronProblem;

/// What a field counts.
pub(super) struct FieldKind {
    /// Its name, for messages.
    pub(super) name: &'static str,
    pub(super) least: u8,
    pub(super) most: u8,
    /// Words for values, from `least`.
    pub(super) words: &'static [&'static str],
}

/// A piece of a field, with where it stands in the expression.
#[derive(Clone, Copy)]
pub(super) struct Piece<'e> {
    pub(super) text: &'e str,
    pub(super) start: usize,
}

impl<'e> Piece<'e> {
    pub(super) fn new(text: &'e str, start: usize) -> Self {
        Self { text, start }
    }

    /// The pieces between separators.
    pub(super) fn split(self, separator: char) -> impl Iterator<Item = Self> {
        let mut start = self.start;
        self.text.split(separator).map(move |text| {
            let piece = Self { text, start };
            start += text.len() + separator.len_utf8();
            piece
        })
    }

    pub(super) fn split_once(self, separator: char) -> Option<(Self, Self)> {
        let (before, after) = self.text.split_once(separator)?;
        let start = self.start + before.len() + separator.len_utf8();
        Some((Self { text: before, ..self }, Self { text: after, start }))
    }

    pub(super) fn range(self) -> Range<usize> {
        self.start..self.start + self.text.len()
    }

    pub(super) fn problem(self, message: String, help: impl Into<Option<String>>) -> CronProblem {
        CronProblem { range: self.range(), message, help: help.into() }
    }
}

impl FieldKind {
    /// The values of a field without special marks, as bits.
    pub(super) fn set(&self, field: Piece<'_>, problems: &mut Vec<CronProblem>) -> u64 {
        let mut set = 0;
        for item in field.split(',') {
            match self.item(item) {
                Ok(bits) => set |= bits,
                Err(problem) => problems.push(problem),
            }
        }
        set
    }

    /// Values from `from` to `to`, every `step`th, as bits.
    fn bits(from: u8, to: u8, step: u8) -> u64 {
        (from..=to).step_by(usize::from(step.max(1))).fold(0, |set, value| set | 1 << value)
    }

    /// One item of a list: `*`, a value or a range, each with or without a step.
    pub(super) fn item(&self, item: Piece<'_>) -> Result<u64, CronProblem> {
        if item.text.is_empty() {
            let help = format!("write `*` for every {}, or values with a comma between two", self.name);
            return Err(item.problem(format!("the {} has an empty item", self.name), help));
        }
        let (values, step) = match item.split_once('/') {
            Some((values, step)) => (values, Some(self.step(step)?)),
            None => (item, None),
        };
        let (from, to) = if matches!(values.text, "*" | "?") {
            (self.least, self.most)
        } else if let Some((first, last)) = values.split_once('-') {
            self.range(values, first, last)?
        } else {
            let value = self.value(values)?;
            // `5/15` means from 5 on.
            (value, if step.is_some() { self.most } else { value })
        };
        Ok(Self::bits(from, to, step.unwrap_or(1)))
    }

    fn range(&self, range: Piece<'_>, first: Piece<'_>, last: Piece<'_>) -> Result<(u8, u8), CronProblem> {
        let (from, mut to) = (self.value(first)?, self.value(last)?);
        // A week may end on Sunday.
        if to == 0 && self.is_weekday() && from > 0 {
            to = 7;
        }
        if from <= to {
            return Ok((from, to));
        }
        let message = format!("the range {} of the {} runs backwards", quoted(range.text), self.name);
        let (first_of_all, last_of_all) = if self.is_weekday() {
            ("SUN".to_owned(), "SAT".to_owned())
        } else {
            (self.shown(self.least), self.shown(self.most))
        };
        let help = format!("to go round the end, write `{}-{last_of_all},{first_of_all}-{}`", first.text, last.text);
        Err(range.problem(message, help))
    }

    fn step(&self, step: Piece<'_>) -> Result<u8, CronProblem> {
        let most = self.most.min(if self.is_weekday() { 6 } else { self.most });
        match step.text.parse::<u8>() {
            Ok(number) if (1..=most).contains(&number) => Ok(number),
            _ => {
                let message =
                    format!("the step {} of the {} is not a number from 1 to {most}", quoted(step.text), self.name);
                let help = match (self.name, step.text) {
                    ("minute" | "second", text) if text.parse::<u16>().is_ok_and(|number| number >= 60) => {
                        "for longer steps use the next field, or an interval: `every: 90m`".to_owned()
                    }
                    _ => format!("for example `*/2`: every second {}", self.name),
                };
                Err(step.problem(message, help))
            }
        }
    }

    /// A single number or word.
    pub(super) fn value(&self, value: Piece<'_>) -> Result<u8, CronProblem> {
        let text = value.text;
        if let Some(at) = self.words.iter().position(|word| word.eq_ignore_ascii_case(text)) {
            return Ok(self.least + u8::try_from(at).unwrap_or(0));
        }
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return match text.parse::<u8>() {
                Ok(number) if (self.least..=self.most).contains(&number) => Ok(number),
                _ => {
                    let message =
                        format!("the {} {} is not from {} to {}", self.name, quoted(text), self.least, self.most);
                    Err(value.problem(message, self.hint(text)))
                }
            };
        }
        let message = format!("{} is not a {}", quoted(text), self.name);
        Err(value.problem(message, self.meant(text)))
    }

    /// What a number out of range was probably meant to be.
    fn hint(&self, text: &str) -> Option<String> {
        match (self.name, text) {
            ("hour", "24") => Some("midnight is hour 0".to_owned()),
            ("minute" | "second", "60") => {
                Some(format!("the full {} is 0", if self.name == "minute" { "hour" } else { "minute" }))
            }
            ("day", "0") => Some("days count from 1; the last day of the month is `L`".to_owned()),
            ("month", "0") => Some("months count from 1, or use names: JAN".to_owned()),
            ("weekday", _) => Some("weekdays are 0 (Sunday) to 6 (Saturday), or names: MON-FRI".to_owned()),
            _ => None,
        }
    }

    fn meant(&self, text: &str) -> String {
        let whole = text.to_ascii_uppercase();
        let prefix = self.words.iter().find(|word| whole.len() > word.len() && whole.starts_with(**word));
        let near = prefix.copied().or_else(|| suggest::nearest(text, self.words.iter().copied()));
        match near {
            Some(word) => format!("did you mean `{word}`?"),
            None if self.words.is_empty() => {
                format!(
                    "a {} is a number from {} to {}, `*`, a range `1-5`, a step `*/5`, or a list of them",
                    self.name, self.least, self.most
                )
            }
            None => format!("the {} is a number or one of {}", self.name, self.words.join(", ")),
        }
    }

    fn is_weekday(&self) -> bool {
        self.most == 7
    }

    fn shown(&self, value: u8) -> String {
        let word = value.checked_sub(self.least).and_then(|at| self.words.get(usize::from(at)));
        word.map_or_else(|| value.to_string(), |word| (*word).to_owned())
    }
}
