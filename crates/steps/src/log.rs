//! `log`: writes a message to the execution's log.

use async_trait::async_trait;
use cogwheel_engine::Outcome;
use cogwheel_engine::ports::{LogLevel, LogStream, StepContext, StepType};
use serde_json::{Value, json};

use crate::text;

/// Input: `message`, and `level` with `info` as default. It puts out nothing.
pub(crate) struct Log;

#[async_trait]
impl StepType for Log {
    fn name(&self) -> &'static str {
        "log"
    }

    fn only_computes(&self) -> bool {
        true
    }

    async fn run(&self, context: StepContext, input: Value) -> Outcome {
        let level = match input["level"].as_str() {
            Some("debug") => LogLevel::Debug,
            Some("warn") => LogLevel::Warn,
            Some("error") => LogLevel::Error,
            // The definition knows no other word than `info`.
            _ => LogLevel::Info,
        };
        let message = match &input["message"] {
            Value::String(message) => message.clone(),
            other => other.to_string(),
        };
        let mut rest = message.as_bytes();
        loop {
            let (line, used) = text::line(rest);
            context.logs.line(LogStream::Engine, level, line).await;
            rest = &rest[used..];
            if rest.is_empty() {
                return Outcome::Completed { output: json!({}) };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::Attempt;

    #[tokio::test]
    async fn one_line_at_its_level() {
        let levels = [
            ("debug", LogLevel::Debug),
            ("info", LogLevel::Info),
            ("warn", LogLevel::Warn),
            ("error", LogLevel::Error),
        ];
        for (word, level) in levels {
            let ended = Attempt::new().run(&Log, json!({"message": "3 rows ✓", "level": word})).await;
            assert_eq!(ended.completed(), json!({}));
            assert_eq!(ended.logged(), [(LogStream::Engine, level, "3 rows ✓")]);
        }
    }

    #[tokio::test]
    async fn an_empty_message_is_a_line_and_a_huge_one_several() {
        let ended = Attempt::new().run(&Log, json!({"message": "", "level": "info"})).await;
        assert_eq!(ended.logged(), [(LogStream::Engine, LogLevel::Info, "")]);

        let huge = "é".repeat(text::MAX_LINE);
        let ended = Attempt::new().run(&Log, json!({"message": huge, "level": "info"})).await;
        let lines: Vec<_> = ended.logged().into_iter().map(|(.., text)| text.to_owned()).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines.concat(), huge);
    }
}
