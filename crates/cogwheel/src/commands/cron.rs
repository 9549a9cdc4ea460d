//! `cogwheel cron next`: when a cron expression comes due.

use std::fmt::Write as _;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::process::ExitCode;

use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use cogwheel_definition::schedule::{
    Calendar, Cron, Dst, DstGap, DstOverlap, Exclusion, Occurrence, Timing, parse_zone,
};
use cogwheel_engine::clock::{Clock, SystemClock};
use serde_json::json;

use super::instants::Instant;
use crate::cli::{CronNext, Output};
use crate::output;

/// How many due instants are shown where neither their number nor their end is given.
const SHOWN: usize = 10;

/// What is asked, read.
struct Question {
    calendar: Calendar,
    from: DateTime<Utc>,
    until: Option<DateTime<Utc>>,
    count: usize,
}

/// Prints the due instants; code 2 when what is asked cannot be read.
pub(super) fn next(asked: &CronNext) -> anyhow::Result<ExitCode> {
    let question = match read(asked, SystemClock.now()) {
        Ok(question) => question,
        Err(problems) => {
            output::note(&problems.join("\n"));
            return Ok(ExitCode::from(2));
        }
    };
    let mut out = BufWriter::new(io::stdout().lock());
    let is_json = asked.json || asked.output.output == Output::Json;
    let written = if is_json { write_json(&mut out, &question) } else { write_text(&mut out, &question) };
    match written.and_then(|()| out.flush()) {
        // The reader has seen enough, as `head` has.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        written => Ok(written.map(|()| ExitCode::SUCCESS)?),
    }
}

/// Reads everything, so that all that is wrong is said at once.
fn read(asked: &CronNext, now: DateTime<Utc>) -> Result<Question, Vec<String>> {
    let mut problems = Vec::new();
    if let Err(found) = Cron::parse(&asked.expression) {
        for problem in found {
            problems.push(pointed(
                &asked.expression,
                problem.range.start,
                problem.range.len(),
                &problem.message,
                problem.help,
            ));
        }
    }
    let zone = parse_zone(&asked.timezone).map_err(|(message, help)| problems.push(said(&message, Some(help)))).ok();
    let mut exclude = Vec::new();
    for dates in &asked.exclude {
        match Exclusion::parse(dates) {
            Ok(dates) => exclude.push(dates),
            Err((message, help)) => problems.push(said(&message, Some(help))),
        }
    }
    let mut read_time = |given: Option<&String>| {
        let read = time(given?, zone.unwrap_or(Tz::UTC));
        read.map_err(|message| problems.push(message)).ok()
    };
    let (from, until) = (read_time(asked.from.as_ref()), read_time(asked.until.as_ref()));
    let from = from.unwrap_or(now);
    if until.is_some_and(|until| until < from) {
        problems.push(said("--until lies before --from", Some("swap the two".to_owned())));
    }
    let dst = Dst {
        gap: asked.dst_gap.as_deref().and_then(DstGap::from_word).unwrap_or_default(),
        overlap: asked.dst_overlap.as_deref().and_then(DstOverlap::from_word).unwrap_or_default(),
    };
    let Some(zone) = zone.filter(|_| problems.is_empty()) else { return Err(problems) };
    let timing = Timing { dst, exclude, ..Timing::cron(asked.expression.trim(), zone) };
    let calendar = Calendar::new(&timing).map_err(|why| vec![said(&why, None)])?;
    let all = if until.is_some() { usize::MAX } else { SHOWN };
    Ok(Question { calendar, from, until, count: asked.count.unwrap_or(all) })
}

impl Question {
    fn answer(&self) -> impl Iterator<Item = Instant> {
        let zone = self.calendar.timing().timezone;
        let is_in = |due: &Occurrence| self.until.is_none_or(|until| due.due_at <= until);
        // The first instant is one of them.
        let before = self.from - TimeDelta::microseconds(1);
        let due = self.calendar.occurrences(before).take_while(is_in).take(self.count);
        due.map(move |due| Instant::of(due, zone))
    }
}

fn write_json(out: &mut impl Write, question: &Question) -> io::Result<()> {
    let timing = question.calendar.timing();
    let dst = json!({ "gap": timing.dst.gap.as_str(), "overlap": timing.dst.overlap.as_str() });
    let (cron, zone) = (json!(timing.expression()), json!(timing.timezone.name()));
    // One instant at a time: a year of seconds need not fit into memory.
    write!(out, "{{\n  \"cron\": {cron},\n  \"timezone\": {zone},\n  \"dst\": {dst},\n  \"next\": [")?;
    let mut separator = "";
    for instant in question.answer() {
        write!(out, "{separator}\n    {}", serde_json::to_string(&instant)?)?;
        separator = ",";
    }
    writeln!(out, "\n  ]\n}}")
}

fn write_text(out: &mut impl Write, question: &Question) -> io::Result<()> {
    let timing = question.calendar.timing();
    writeln!(out, "{:<25}  NEXT IN {}", "NEXT IN UTC", timing.timezone.name())?;
    let mut is_empty = true;
    for instant in question.answer() {
        is_empty = false;
        let line = format!("{}  {}  {}", instant.utc, instant.local, instant.remark());
        writeln!(out, "{}", line.trim_end())?;
    }
    if is_empty {
        writeln!(out, "(none)")?;
    }
    Ok(())
}

/// An instant, or a time of the wall clock of a zone.
fn time(text: &str, zone: Tz) -> Result<DateTime<Utc>, String> {
    if let Ok(at) = text.parse::<DateTime<chrono::FixedOffset>>() {
        return Ok(at.to_utc());
    }
    let local = ["%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"]
        .iter()
        .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
        .or_else(|| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0));
    let Some(local) = local else {
        let help = format!("write `2026-03-29`, `2026-03-29T02:30` on the clocks of {zone}, or `2026-03-29T00:30:00Z`");
        return Err(said(&format!("`{text}` is not a time"), Some(help)));
    };
    zone.from_local_datetime(&local).earliest().map(|at| at.to_utc()).ok_or_else(|| {
        said(
            &format!("the clocks of {zone} skip `{text}`"),
            Some("add an offset: `2026-03-29T02:30:00+01:00`".to_owned()),
        )
    })
}

fn said(message: &str, help: Option<String>) -> String {
    let mut text = format!("error: {message}");
    if let Some(help) = help {
        let _ = write!(text, "\n = help: {help}");
    }
    text
}

/// A message with a mark under the place it is about.
fn pointed(expression: &str, start: usize, length: usize, message: &str, help: Option<String>) -> String {
    let before = expression.get(..start).unwrap_or_default().chars().count();
    let marked = expression.get(start..start + length).unwrap_or_default().chars().count().max(1);
    let shown: String = expression.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut text = format!(
        "error: the cron expression is not valid: {message}\n  |\n  | {shown}\n  | {}{}",
        " ".repeat(before),
        "^".repeat(marked)
    );
    if let Some(help) = help {
        let _ = write!(text, "\n  = help: {help}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(expression: &str) -> CronNext {
        CronNext {
            expression: expression.to_owned(),
            timezone: "Europe/Berlin".to_owned(),
            count: None,
            from: Some("2026-03-28".to_owned()),
            until: None,
            dst_gap: None,
            dst_overlap: None,
            exclude: Vec::new(),
            json: false,
            output: crate::cli::OutputArg { output: Output::Human },
        }
    }

    fn answer(asked: &CronNext) -> String {
        let question = read(asked, DateTime::UNIX_EPOCH).unwrap_or_else(|problems| panic!("{problems:?}"));
        let mut out = Vec::new();
        write_text(&mut out, &question).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_next_instants_with_their_marks() {
        let asked = CronNext { count: Some(3), ..asked("30 2 * * *") };
        assert_eq!(
            answer(&asked),
            "NEXT IN UTC                NEXT IN Europe/Berlin\n\
             2026-03-28T01:30:00+00:00  2026-03-28T02:30:00+01:00\n\
             2026-03-29T01:00:00+00:00  2026-03-29T03:00:00+02:00  shifted: 2026-03-29 02:30:00 is skipped\n\
             2026-03-30T00:30:00+00:00  2026-03-30T02:30:00+02:00\n"
        );
    }

    #[test]
    fn from_and_until_are_part_of_the_range() {
        let asked = CronNext { until: Some("2026-03-30".to_owned()), ..asked("@daily") };
        assert_eq!(answer(&asked).lines().count(), 4);
        let asked = CronNext { exclude: vec!["03-29".to_owned()], ..asked };
        assert_eq!(answer(&asked).lines().count(), 3);
    }

    #[test]
    fn a_year_is_one_document() {
        let asked = CronNext { until: Some("2027-03-27T23:59:59".to_owned()), ..asked("0 * * * *") };
        let question = read(&asked, DateTime::UNIX_EPOCH).unwrap();
        let mut out = Vec::new();
        write_json(&mut out, &question).unwrap();
        let document: serde_json::Value = serde_json::from_slice(&out).unwrap();
        let next = document["next"].as_array().unwrap();
        assert_eq!(next.len(), 365 * 24);
        assert_eq!(next.iter().filter(|due| due["dst"] == "second").count(), 1);
    }

    #[test]
    fn everything_that_is_wrong_is_said_at_once() {
        let asked = CronNext {
            timezone: "Berlin".to_owned(),
            from: Some("soon".to_owned()),
            exclude: vec!["x".to_owned()],
            ..asked("61 * * * FUN")
        };
        let Err(problems) = read(&asked, DateTime::UNIX_EPOCH) else { panic!("it is all wrong") };
        assert_eq!(problems.len(), 5, "{problems:?}");
        assert!(problems[0].contains("  | 61 * * * FUN\n  | ^^"), "{}", problems[0]);
        assert!(problems[2].contains("did you mean `Europe/Berlin`?"), "{}", problems[2]);
    }
}
