//! A schedule as a workflow defines it.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use chrono_tz::Tz;
use serde_json::{Map, Value, json};

use crate::workflow::milliseconds;

use super::exclude::Exclusion;

/// One schedule of a workflow.
#[derive(Debug, Clone)]
pub struct ScheduleTrigger {
    /// Unique among the workflow's triggers: the given id or `schedule-<index>`.
    pub key: String,
    /// When it comes due.
    pub timing: Timing,
    /// What happens with the instants that passed while nobody was there.
    pub catch_up: CatchUp,
    /// Instants older than this are not caught up with.
    pub catch_up_window: Option<Duration>,
    /// What happens when the previous execution of this schedule is still going.
    pub overlap: Overlap,
    /// By how much at most a start is put off after its due instant.
    pub jitter: Duration,
    /// The inputs of the executions it starts; checked against [`crate::Workflow::inputs`].
    pub inputs: Map<String, Value>,
}

/// When a schedule comes due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timing {
    /// What makes it come due again.
    pub recurrence: Recurrence,
    /// The zone whose wall clock the cron line and the excluded dates speak of.
    pub timezone: Tz,
    /// What becomes of a cron line where the clocks are changed.
    pub dst: Dst,
    /// Nothing is due before.
    pub starts_at: Option<DateTime<Utc>>,
    /// Nothing is due after.
    pub ends_at: Option<DateTime<Utc>>,
    /// Days of its zone on which what is due starts nothing.
    pub exclude: Vec<Exclusion>,
}

/// What makes a schedule come due again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recurrence {
    /// The wall clock: [`super::Cron::parse`] accepts it.
    Cron(String),
    /// Elapsed time.
    Every {
        /// From one due instant to the next, in whole seconds.
        interval: Duration,
        /// An instant that is a whole number of intervals away from each due one.
        anchor: Option<DateTime<Utc>>,
    },
}

/// What becomes of the times of a cron line that a change of the clocks skips or repeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Dst {
    /// Of skipped ones.
    pub gap: DstGap,
    /// Of repeated ones.
    pub overlap: DstOverlap,
}

macro_rules! words {
    ($(#[doc = $about:literal])+ $name:ident { $($(#[$meta:meta])* $word:ident = $text:literal,)+ }) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub enum $name { $($(#[$meta])* $word,)+ }

        impl $name {
            /// Every word.
            pub const ALL: &'static [Self] = &[$(Self::$word,)+];

            /// The word of the language.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$word => $text,)+ }
            }

            /// What the word of the language means.
            pub fn from_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|known| known.as_str() == word)
            }
        }
    };
}

words! {
    /// What becomes of a time that the clocks skip.
    DstGap {
        /// It comes due at the end of the gap.
        #[default]
        Shift = "shift",
        /// It does not come due.
        Skip = "skip",
    }
}

words! {
    /// What becomes of a time that the clocks show twice.
    DstOverlap {
        /// It comes due the first time.
        #[default]
        First = "first",
        /// It comes due the second time.
        Last = "last",
        /// It comes due both times.
        Both = "both",
    }
}

words! {
    /// How missed instants of a schedule are made up for.
    CatchUp {
        /// Not at all.
        None = "none",
        /// The latest one is run.
        #[default]
        Last = "last",
        /// Every one is run.
        All = "all",
    }
}

words! {
    /// What a schedule does when its previous execution has not ended.
    Overlap {
        /// Starts another one beside it.
        Allow = "allow",
        /// Lets this instant pass.
        #[default]
        Skip = "skip",
        /// Starts another one that begins when those before it have ended.
        Queue = "queue",
        /// Cancels it, and starts another one that begins when it has ended.
        Replace = "replace",
    }
}

impl Timing {
    /// A cron line in a zone, and nothing else.
    pub fn cron(expression: impl Into<String>, timezone: Tz) -> Self {
        Self::new(Recurrence::Cron(expression.into()), timezone)
    }

    /// A recurrence in a zone, and nothing else.
    pub fn new(recurrence: Recurrence, timezone: Tz) -> Self {
        Self { recurrence, timezone, dst: Dst::default(), starts_at: None, ends_at: None, exclude: Vec::new() }
    }

    /// Whether both come due at the same instants, whatever starts at them.
    pub fn has_same_instants(&self, other: &Self) -> bool {
        self.recurrence == other.recurrence
            && self.timezone == other.timezone
            && self.dst == other.dst
            && (self.starts_at, self.ends_at) == (other.starts_at, other.ends_at)
    }

    /// The cron line, where it is one.
    pub fn expression(&self) -> Option<&str> {
        match &self.recurrence {
            Recurrence::Cron(expression) => Some(expression),
            Recurrence::Every { .. } => None,
        }
    }

    /// The interval, where it is one.
    pub fn interval(&self) -> Option<Duration> {
        match self.recurrence {
            Recurrence::Cron(_) => None,
            Recurrence::Every { interval, .. } => Some(interval),
        }
    }

    /// The cron line or the interval, as it is written.
    pub fn shown(&self) -> String {
        match &self.recurrence {
            Recurrence::Cron(expression) => expression.clone(),
            Recurrence::Every { interval, .. } => format!("every {}", crate::duration::shown(*interval)),
        }
    }

    /// What records keep beside recurrence, zone and daylight-saving rule; [`Self::with_details`] reads it.
    pub fn details(&self) -> Option<Value> {
        let mut details = Map::new();
        let anchor = match self.recurrence {
            Recurrence::Every { anchor, .. } => anchor,
            Recurrence::Cron(_) => None,
        };
        for (key, at) in [("anchor", anchor), ("starts_at", self.starts_at), ("ends_at", self.ends_at)] {
            if let Some(at) = at {
                details.insert(key.to_owned(), json!(rfc3339(at)));
            }
        }
        if !self.exclude.is_empty() {
            let dates: Vec<String> = self.exclude.iter().map(ToString::to_string).collect();
            details.insert("exclude".to_owned(), json!(dates));
        }
        (!details.is_empty()).then_some(Value::Object(details))
    }

    /// The same with what records keep of its [`Self::details`]; what cannot be read there is left out.
    #[must_use]
    pub fn with_details(mut self, details: Option<&Value>) -> Self {
        let at = |key: &str| details.and_then(|details| details[key].as_str()).and_then(|at| at.parse().ok());
        if let Recurrence::Every { anchor, .. } = &mut self.recurrence {
            *anchor = at("anchor");
        }
        (self.starts_at, self.ends_at) = (at("starts_at"), at("ends_at"));
        let dates = details.and_then(|details| details["exclude"].as_array());
        let dates = dates.into_iter().flatten().filter_map(|date| Exclusion::parse(date.as_str()?).ok());
        self.exclude = dates.collect();
        self
    }
}

impl ScheduleTrigger {
    /// When what is due at an instant is started: later by a part of the jitter that is always the same for the instant.
    pub fn put_off(&self, workflow: &str, due: DateTime<Utc>) -> DateTime<Utc> {
        let most = u64::try_from(self.jitter.as_millis()).unwrap_or(u64::MAX);
        if most == 0 {
            return due;
        }
        let named = workflow.bytes().chain([0]).chain(self.key.bytes()).chain(due.timestamp().to_be_bytes());
        let part = scattered(named) % most.saturating_add(1);
        due + TimeDelta::milliseconds(i64::try_from(part).unwrap_or_default())
    }

    /// What the compiled definition keeps of it; words that were added to the language later stand there where they say
    /// something.
    pub(crate) fn to_json(&self) -> Value {
        let Self { key, timing, catch_up, catch_up_window, overlap, jitter, inputs } = self;
        let mut compiled = json!({
            "key": key,
            "cron": timing.expression(),
            "timezone": timing.timezone.name(),
            "catch_up": catch_up.as_str(),
            "catch_up_window_ms": catch_up_window.map(milliseconds),
            "overlap": overlap.as_str(),
            "inputs": inputs,
        });
        if let Some(interval) = timing.interval() {
            compiled["every_ms"] = json!(milliseconds(interval));
        }
        if timing.dst != Dst::default() {
            compiled["dst"] = json!({ "gap": timing.dst.gap.as_str(), "overlap": timing.dst.overlap.as_str() });
        }
        if let Some(details) = timing.details() {
            compiled["details"] = details;
        }
        if !jitter.is_zero() {
            compiled["jitter_ms"] = json!(milliseconds(*jitter));
        }
        compiled
    }
}

/// A number that looks random and follows from the bytes (FNV-1a, its bits mixed once more).
fn scattered(bytes: impl Iterator<Item = u8>) -> u64 {
    let hash =
        bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    let mixed = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ (mixed >> 27)
}

fn rfc3339(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

#[cfg(test)]
mod tests {
    use chrono_tz::Tz;

    use super::*;

    #[test]
    fn jitter_is_the_same_for_an_instant_and_spread_over_its_range() {
        let trigger = ScheduleTrigger {
            key: "nightly".to_owned(),
            timing: Timing::cron("@daily", Tz::UTC),
            catch_up: CatchUp::Last,
            catch_up_window: None,
            overlap: Overlap::Skip,
            jitter: Duration::from_secs(30),
            inputs: Map::new(),
        };
        let late = |workflow: &str, day: i64| {
            let due = DateTime::UNIX_EPOCH + TimeDelta::days(day);
            (trigger.put_off(workflow, due) - due).num_milliseconds()
        };
        let all: Vec<i64> = (0..1000).map(|day| late("load", day)).collect();
        assert_eq!(all, (0..1000).map(|day| late("load", day)).collect::<Vec<_>>());
        assert!(all.iter().all(|late| (0..=30_000).contains(late)));
        let mean = all.iter().sum::<i64>() / 1000;
        assert!((14_000..16_000).contains(&mean), "{mean}");
        assert_ne!(all[..10], (0..10).map(|day| late("other", day)).collect::<Vec<_>>());
    }
}
