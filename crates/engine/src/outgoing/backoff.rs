//! When a delivery is tried again.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::WebhookConfig;
use crate::ports::{DeliveryEnd, OutgoingAnswer};

/// How much longer each pause is than the one before.
const FACTOR: u32 = 4;

/// By how much of itself a pause is shortened or lengthened at random, so that receivers which come back are not met by
/// everything at once.
const JITTER: f64 = 0.2;

/// The receiver is gone for good.
const GONE: u16 = 410;

/// What an answer makes of a delivery, or the lack of one. `chance` is a random number.
pub(super) fn end_of(
    answer: Option<&OutgoingAnswer>,
    (attempt, max_retries): (i32, i32),
    config: &WebhookConfig,
    chance: u64,
    now: DateTime<Utc>,
) -> DeliveryEnd {
    match answer.map(|answer| answer.status) {
        Some(200..=299) => DeliveryEnd::Delivered,
        Some(GONE) => DeliveryEnd::Gone,
        _ if attempt > max_retries => DeliveryEnd::Dead,
        _ => {
            let asked = answer.and_then(|answer| answer.retry_after.as_deref());
            let asked = asked.and_then(|text| asked_for(text, now)).unwrap_or_default();
            let pause = pause(attempt, config, chance).max(asked.min(config.longest_retry));
            DeliveryEnd::Retry(now + TimeDelta::from_std(pause).unwrap_or(TimeDelta::MAX))
        }
    }
}

fn pause(attempt: i32, config: &WebhookConfig, chance: u64) -> Duration {
    let earlier = u32::try_from(attempt - 1).unwrap_or(0);
    let pause = config.first_retry.saturating_mul(FACTOR.saturating_pow(earlier)).min(config.longest_retry);
    // Ten bits are chance enough.
    let share = f64::from(u32::try_from(chance % 1024).unwrap_or(0)) / 1023.0;
    pause.mul_f64(1.0 + JITTER * (2.0 * share - 1.0))
}

/// How long a `retry-after` asks to wait: seconds, or until an instant.
fn asked_for(text: &str, now: DateTime<Utc>) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = DateTime::parse_from_rfc2822(text).ok()?;
    (until.to_utc() - now).to_std().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> DateTime<Utc> {
        "2026-11-25T12:00:00Z".parse().unwrap()
    }

    fn answer(status: u16, retry_after: Option<&str>) -> OutgoingAnswer {
        OutgoingAnswer { status, retry_after: retry_after.map(str::to_owned), body: String::new() }
    }

    fn seconds(end: DeliveryEnd) -> i64 {
        match end {
            DeliveryEnd::Retry(at) => (at - now()).num_seconds(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_an_answer_means() {
        let config = WebhookConfig::default();
        let end = |status, tries| end_of(Some(&answer(status, None)), tries, &config, 0, now());
        for status in [200, 202, 204, 299] {
            assert_eq!(end(status, (1, 8)), DeliveryEnd::Delivered);
        }
        assert_eq!(end(410, (1, 8)), DeliveryEnd::Gone);
        for status in [100, 301, 302, 400, 404, 429, 500, 503] {
            assert!(matches!(end(status, (8, 8)), DeliveryEnd::Retry(_)), "{status}");
            assert_eq!(end(status, (9, 8)), DeliveryEnd::Dead, "n retries are n + 1 tries");
        }
        assert_eq!(end_of(None, (1, 0), &config, 0, now()), DeliveryEnd::Dead);
    }

    #[test]
    fn pauses_grow_to_a_limit_and_are_spread() {
        let config = WebhookConfig::default();
        let at = |attempt, chance| pause(attempt, &config, chance).as_millis();
        assert_eq!([1, 2, 3].map(|attempt| at(attempt, 0)), [4_000, 16_000, 64_000]);
        assert_eq!([1, 2, 3].map(|attempt| at(attempt, 1023)), [6_000, 24_000, 96_000]);
        assert_eq!(pause(40, &config, 1023), config.longest_retry.mul_f64(1.2));
        assert_eq!(pause(i32::MAX, &config, 0), config.longest_retry.mul_f64(0.8));
    }

    #[test]
    fn the_receiver_may_ask_for_time_within_limits() {
        let config = WebhookConfig::default();
        let end = |asked| seconds(end_of(Some(&answer(429, Some(asked))), (1, 8), &config, 0, now()));
        assert_eq!(end("120"), 120);
        assert_eq!(end("Wed, 25 Nov 2026 12:05:00 GMT"), 300);
        assert_eq!(end("1"), 4, "never sooner than otherwise");
        assert_eq!(end("999999999"), 6 * 3600);
        for nonsense in ["", "soon", "-5", "Wed, 25 Nov 2020 12:05:00 GMT"] {
            assert_eq!(end(nonsense), 4, "{nonsense}");
        }
    }
}
