//! Schedules: what is read, and what is refused where.

use std::time::Duration;

use cogwheel_definition::Overlap;
use cogwheel_definition::schedule::{Dst, DstGap, DstOverlap, Recurrence};

use super::{good, one, problems};

fn with(schedule: &str) -> String {
    format!("on: {{schedule: {schedule}}}\nsteps: [{{run: x}}]\n")
}

#[test]
fn every_word_is_read() {
    let text = "on:
  schedule:
    - cron: 0 30 2 * * *
      timezone: Europe/Berlin
      dst: {gap: skip, overlap: both}
      catch_up: all
      window: 6h
      overlap: queue
      jitter: 30s
      starts_at: 2026-01-01T00:00:00+01:00
      ends_at: \"2027-01-01T00:00:00Z\"
      exclude: [2026-12-25, 12-24..01-01]
    - {every: 15m, anchor: \"2026-01-01T00:05:00Z\", overlap: replace}
steps: [{run: x}]
";
    let workflow = good(text);
    let [cron, every] = workflow.triggers.schedules.as_slice() else { panic!("two schedules") };
    assert_eq!(cron.timing.dst, Dst { gap: DstGap::Skip, overlap: DstOverlap::Both });
    assert_eq!((cron.overlap, cron.jitter), (Overlap::Queue, Duration::from_secs(30)));
    assert_eq!(cron.timing.starts_at.unwrap().to_rfc3339(), "2025-12-31T23:00:00+00:00");
    let exclude: Vec<String> = cron.timing.exclude.iter().map(ToString::to_string).collect();
    assert_eq!(exclude, ["2026-12-25", "12-24..01-01"]);
    let anchor = "2026-01-01T00:05:00Z".parse().ok();
    assert_eq!(every.timing.recurrence, Recurrence::Every { interval: Duration::from_mins(15), anchor });
    assert_eq!(every.overlap, Overlap::Replace);
}

#[test]
fn what_is_wrong_is_said_where_it_stands() {
    one(&with("{cron: '0 ¦24 * * *'}"), "COG0120", "midnight is hour 0");
    one(&with("{cron: \"0 0 * * ¦MONDAY\"}"), "COG0120", "did you mean `MON`?");
    one(&with("{cron: 0 0 ¦32 * *}"), "COG0120", "the day `32` is not from 1 to 31");
    one(&with("{cron: ¦'0 0 30 2 *'}"), "COG0120", "it never comes due: February never has a day 30");
    one(&with("{cron: ¦'@dayly'}"), "COG0120", "did you mean `@daily`?");
    one(&with("{cron: '@daily', timezone: ¦Berlin}"), "COG0121", "did you mean `Europe/Berlin`?");
    one(&with("{cron: '@daily', overlap: ¦quee}"), "COG0106", "did you mean `queue`?");
    one(&with("{cron: '@daily', dst: {gap: ¦shfit}}"), "COG0106", "did you mean `shift`?");
    one(&with("{cron: '@daily', dst: {¦overlp: both}}"), "COG0101", "did you mean `overlap`?");
    one(&with("{cron: '@daily', dst: ¦skip}"), "COG0104", "must be a mapping");
    one(&with("{cron: '@daily', jitter: ¦soon}"), "COG0108", "is not a duration");
    one(&with("{cron: '@daily', jitter: ¦2d}"), "COG0108", "jitter is at most 1d");
    one(&with("{cron: '@daily', ¦every: 5m}"), "COG0106", "not both");
    one(&with("{cron: '@daily', anchor: ¦\"2026-01-01T00:00:00Z\"}"), "COG0106", "what an interval counts from");
    one(&with("{every: 5m, ¦dst: {gap: skip}}"), "COG0106", "`dst` concerns cron lines");
    one(&with("{every: ¦1500ms}"), "COG0108", "whole seconds");
    one(&with("{every: ¦0s}"), "COG0108", "must be longer than nothing");
    one(&with("{every: 5m, anchor: ¦yesterday}"), "COG0106", "must be an instant");
    one(&with("{cron: '@daily', exclude: [2026-12-25, ¦2026-02-30]}"), "COG0106", "write `2026-12-25`");
    one(
        &with("{cron: '@daily', exclude: ¦2026-12-26..2026-12-24}"),
        "COG0106",
        "did you mean `2026-12-24..2026-12-26`?",
    );
    let backwards = "{cron: '@daily', starts_at: \"2027-01-01T00:00:00Z\", ends_at: ¦\"2026-01-01T00:00:00Z\"}";
    one(&with(backwards), "COG0106", "`ends_at` lies before `starts_at`");
    one(&with("¦{timezone: UTC}"), "COG0105", "a schedule needs a `cron` expression, or an interval `every`");
}

#[test]
fn everything_is_said_at_once() {
    let schedule = "{cron: '61 25 * * FUN', timezone: Mars, dst: {gap: a, overlap: b}, jitter: c, window: d, \
                    catch_up: e, overlap: f, exclude: [g, h], starts_at: i, ends_at: j}";
    assert_eq!(problems(&with(schedule)).items.len(), 14);
}
