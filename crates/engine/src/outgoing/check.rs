//! Whether what people set of a webhook can be used.

use std::time::Duration;

use cogwheel_definition::{Condition, EventPattern};

use super::{headers, message};
use crate::ports::{WebhookRow, WebhookTransport};

/// The longest name, in characters.
const LONGEST_NAME: usize = 255;

/// The longest address, in bytes.
const LONGEST_URL: usize = 2048;

/// The longest filter, in bytes.
const LONGEST_FILTER: usize = 4096;

/// How many patterns there may be.
const MOST_EVENTS: usize = 100;

/// How often a delivery can be tried again at the most, and how often where nobody says.
const MOST_RETRIES: i32 = 20;
const DEFAULT_RETRIES: i32 = 8;

/// How long a try may take at the most, and where nobody says.
const LONGEST_TIMEOUT: Duration = Duration::from_mins(1);
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(15);

/// What people set of a webhook. What is `None` takes its default, or stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WebhookSettings {
    /// Its name for people.
    pub name: Option<String>,
    /// Where to send.
    pub url: Option<String>,
    /// Patterns of event types, such as `workflow.failed` or `custom.**`.
    pub events: Option<Vec<String>>,
    /// What must hold of an event: one expression that reads `event`. An empty one is none.
    pub filter: Option<String>,
    /// Headers of its own, by name. A value may have `${{ secrets.NAME }}` in it.
    pub headers: Option<Vec<(String, String)>>,
    /// How often a delivery is tried again.
    pub max_retries: Option<i32>,
    /// How long one try may take; whole seconds count.
    pub timeout: Option<Duration>,
}

/// A setting that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    /// Which.
    pub(super) field: &'static str,
    /// What is wrong with it.
    pub(super) why: String,
}

fn wrong(field: &'static str, why: impl Into<String>) -> Wrong {
    Wrong { field, why: why.into() }
}

impl WebhookSettings {
    /// What is kept of it, where `before` is what was kept until now.
    pub(super) fn checked(
        self,
        before: Option<&WebhookRow>,
        transport: &dyn WebhookTransport,
    ) -> Result<WebhookRow, Wrong> {
        let (before_name, before_url) = before.map(|row| (row.name.clone(), row.url.clone())).unzip();
        let name = self.name.or(before_name).ok_or_else(|| wrong("name", "is missing"))?;
        if name.trim().is_empty() || name.chars().count() > LONGEST_NAME || name.contains(char::is_control) {
            return Err(wrong("name", "is not a line of text of 1 to 255 characters"));
        }
        let url = self.url.or(before_url).ok_or_else(|| wrong("url", "is missing"))?;
        let too_long = |url: &str| url.len() > LONGEST_URL;
        if too_long(&url) {
            return Err(wrong("url", "is longer than 2048 bytes"));
        }
        let url = transport.check(&url).map_err(|why| wrong("url", why))?;
        if too_long(&url) {
            return Err(wrong("url", "is longer than 2048 bytes, with what cannot stand in an address escaped"));
        }
        let events = match (self.events, before) {
            (Some(given), _) => events(given)?,
            (None, Some(before)) => before.events.clone(),
            (None, None) => return Err(wrong("events", "is missing")),
        };
        let filter = match self.filter {
            Some(text) if text.trim().is_empty() => None,
            Some(text) => Some(filter(text)?),
            None => before.and_then(|row| row.filter.clone()),
        };
        let headers = match (self.headers, before) {
            (Some(given), _) => headers::check(&given).map_err(|(name, why)| match name.as_str() {
                "" => wrong("headers", why),
                name => wrong("headers", format!("`{name}` {why}")),
            })?,
            (None, Some(before)) => before.headers.clone(),
            (None, None) => serde_json::json!({}),
        };
        let max_retries = self.max_retries.or_else(|| before.map(|row| row.max_retries)).unwrap_or(DEFAULT_RETRIES);
        if !(0..=MOST_RETRIES).contains(&max_retries) {
            return Err(wrong("maxRetries", format!("is not from 0 to {MOST_RETRIES}")));
        }
        let timeout_seconds = match (self.timeout, before) {
            (Some(given), _) => timeout(given)?,
            (None, Some(before)) => before.timeout_seconds,
            (None, None) => timeout(DEFAULT_TIMEOUT)?,
        };
        Ok(WebhookRow { name, url, events, filter, headers, max_retries, timeout_seconds })
    }
}

fn events(given: Vec<String>) -> Result<Vec<String>, Wrong> {
    if given.is_empty() || given.len() > MOST_EVENTS {
        return Err(wrong("events", format!("does not name 1 to {MOST_EVENTS} types of events")));
    }
    let mut events = given;
    events.sort_unstable();
    events.dedup();
    for pattern in &events {
        let parsed = EventPattern::parse(pattern).map_err(|why| wrong("events", format!("`{pattern}` {why}")))?;
        if !message::may_be_sent(pattern) {
            return Err(wrong(
                "events",
                format!("`{pattern}` is not sent: webhook.*, event.*, node.* and secret.* stay in the house"),
            ));
        }
        if !message::sendable_types().any(|name| parsed.matches(name)) && !may_be_custom(pattern) {
            let why = "fits no type of events that is sent: `cogwheel events types` lists them, authors' own begin with `custom.`";
            return Err(wrong("events", format!("`{pattern}` {why}")));
        }
    }
    Ok(events)
}

/// Whether a pattern may mean types of authors.
fn may_be_custom(pattern: &str) -> bool {
    let Some((first, _)) = pattern.split_once('.') else { return pattern == "**" };
    EventPattern::parse(first).is_ok_and(|first| first.matches("custom"))
}

fn filter(text: String) -> Result<String, Wrong> {
    if text.len() > LONGEST_FILTER {
        return Err(wrong("filter", "is longer than 4096 bytes"));
    }
    if text.contains('\0') {
        return Err(wrong("filter", "has a NUL character in it"));
    }
    Condition::on_event(&text).map_err(|why| wrong("filter", format!("cannot be used: {why}")))?;
    Ok(text)
}

/// Whole seconds, rounded up.
fn timeout(given: Duration) -> Result<i32, Wrong> {
    if given.is_zero() || given > LONGEST_TIMEOUT {
        return Err(wrong("timeoutMs", "is not from 1 ms to 60 s"));
    }
    let seconds = given.as_secs() + u64::from(given.subsec_nanos() > 0);
    Ok(i32::try_from(seconds).unwrap_or(i32::MAX))
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;

    use super::*;
    use crate::ports::{OutgoingAnswer, OutgoingRequest};

    struct Https;

    #[async_trait]
    impl WebhookTransport for Https {
        fn check(&self, url: &str) -> Result<String, String> {
            if url.starts_with("https://") { Ok(url.replace(' ', "%20")) } else { Err("is no address".to_owned()) }
        }

        async fn post(&self, _: OutgoingRequest) -> Result<OutgoingAnswer, String> {
            Err("nowhere".to_owned())
        }
    }

    fn least() -> WebhookSettings {
        WebhookSettings {
            name: Some("shop".to_owned()),
            url: Some("https://shop.example/hook".to_owned()),
            events: Some(vec!["workflow.failed".to_owned(), "custom.**".to_owned(), "workflow.failed".to_owned()]),
            ..WebhookSettings::default()
        }
    }

    #[test]
    fn what_is_not_given_takes_its_default_or_stays() {
        let row = least().checked(None, &Https).unwrap();
        assert_eq!(row.events, ["custom.**", "workflow.failed"], "a set");
        assert_eq!((row.max_retries, row.timeout_seconds, &row.filter), (8, 15, &None));
        let change = WebhookSettings {
            filter: Some("event.data.total > 10".to_owned()),
            timeout: Some(Duration::from_millis(1500)),
            ..WebhookSettings::default()
        };
        let changed = change.checked(Some(&row), &Https).unwrap();
        assert_eq!((changed.timeout_seconds, changed.url.as_str()), (2, row.url.as_str()));
        let cleared = WebhookSettings { filter: Some(" ".to_owned()), ..WebhookSettings::default() };
        assert_eq!(cleared.checked(Some(&changed), &Https).unwrap().filter, None);
        let moved = WebhookSettings { url: Some("https://a.example/a b".to_owned()), ..WebhookSettings::default() };
        let moved = moved.checked(Some(&row), &Https).unwrap();
        assert_eq!(moved.url, "https://a.example/a%20b", "it is kept as it is connected to");
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let with = |change: &dyn Fn(&mut WebhookSettings)| {
            let mut settings = least();
            change(&mut settings);
            settings.checked(None, &Https).unwrap_err().field
        };
        let events =
            |pattern: &'static str| move |all: &mut WebhookSettings| all.events = Some(vec![pattern.to_owned()]);
        assert_eq!(with(&|all| all.name = Some(" ".to_owned())), "name");
        assert_eq!(with(&|all| all.name = None), "name");
        assert_eq!(with(&|all| all.url = Some("ftp://x".to_owned())), "url");
        assert_eq!(with(&|all| all.url = Some(format!("https://{}", "x".repeat(2048)))), "url");
        assert_eq!(with(&|all| all.events = Some(Vec::new())), "events");
        assert_eq!(
            with(&|all| all.url = Some(format!("https://{}", " ".repeat(1000)))),
            "url",
            "escaped, it is too long"
        );
        let unfit = ["workflow.ended", "order.paid", "custom", "*", "webhook*.*", "workflow", "node*.**", "test.sent"];
        for &pattern in
            ["a b", "webhook.disabled", "node.*", "secret.**", "event.dead_lettered", ""].iter().chain(&unfit)
        {
            assert_eq!(with(&events(pattern)), "events", "{pattern}");
        }
        for pattern in ["**", "*.failed", "custom.*", "cust*.order.**", "*.**", "step.*", "*.order.paid"] {
            let mut settings = least();
            events(pattern)(&mut settings);
            assert!(settings.checked(None, &Https).is_ok(), "{pattern}");
        }
        assert_eq!(with(&|all| all.filter = Some("event.type == 'a\0'".to_owned())), "filter");
        assert_eq!(with(&|all| all.filter = Some("inputs.x".to_owned())), "filter");
        assert_eq!(with(&|all| all.headers = Some(vec![("host".to_owned(), "x".to_owned())])), "headers");
        assert_eq!(with(&|all| all.max_retries = Some(21)), "maxRetries");
        assert_eq!(with(&|all| all.timeout = Some(Duration::from_secs(61))), "timeoutMs");
    }
}
