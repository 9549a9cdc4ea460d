//! Reads a script's output as it comes: into the log, and a bounded part into memory.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use cogwheel_engine::ports::{LogLevel, LogSink, LogStream};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Child;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::lines::Lines;
use crate::text;

/// How much of standard output a step puts out, in bytes.
pub(super) const MAX_STDOUT: usize = 64 * 1024;
/// How much of the end of standard error a failure tells.
const TAIL_LINES: usize = 10;
const TAIL_BYTES: usize = 4 * 1024;
const CHUNK: usize = 16 * 1024;

/// Whoever keeps a pipe open after the shell has ended is listened to until it is quiet for this long …
const QUIET: Duration = Duration::from_millis(200);
/// … but for no more rounds of that length, and no more bytes a pipe, than these.
const ROUNDS: u32 = 10;
const MAX_AFTER_END: usize = 4 * 1024 * 1024;

/// What was seen of a script's output.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Standard output up to the limit, without the line ends at its end.
    pub(super) stdout: String,
    /// Whether more came than `stdout` holds.
    pub(super) is_stdout_truncated: bool,
    /// The last lines of standard error.
    pub(super) stderr_tail: String,
}

/// The reading of both pipes; it goes on only while something of this is awaited.
pub(super) struct Capture {
    reading: Pin<Box<dyn Future<Output = Seen> + Send>>,
    seen: Option<Seen>,
    flow: Arc<Flow>,
}

/// How the reading goes, as far as whoever waits for its end must know.
#[derive(Default)]
struct Flow {
    reads: AtomicU64,
    /// Pipes whose lines wait for room in the log.
    storing: AtomicUsize,
    has_shell_ended: AtomicBool,
    given_up: CancellationToken,
}

impl Capture {
    /// Begins to read the pipes of `child`.
    pub(super) fn of(child: &mut Child, logs: &LogSink) -> Self {
        let flow = Arc::new(Flow::default());
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let (log, reading) = (logs.clone(), Arc::clone(&flow));
        let reading = Box::pin(async move {
            let (mut head, mut tail) = (Head::default(), Tail::default());
            tokio::join!(
                read(stdout, &reading, &log, LogStream::Stdout, &mut head),
                read(stderr, &reading, &log, LogStream::Stderr, &mut tail),
            );
            let (stdout, is_stdout_truncated) = head.finish();
            Seen { stdout, is_stdout_truncated, stderr_tail: tail.finish() }
        });
        Self { reading, seen: None, flow }
    }

    /// Waits for `work` and reads meanwhile.
    pub(super) async fn during<T>(&mut self, work: impl Future<Output = T>) -> T {
        tokio::pin!(work);
        tokio::select! {
            biased;
            result = &mut work => return result,
            () = self.read_on() => {}
        }
        work.await
    }

    /// After the shell's end: reads until both pipes are closed, or whoever still holds one has been heard enough.
    pub(super) async fn settle(&mut self) {
        self.flow.has_shell_ended.store(true, Relaxed);
        let mut rounds = 0;
        while rounds < ROUNDS {
            let reads = self.flow.reads.load(Relaxed);
            if timeout(QUIET, self.read_on()).await.is_ok() {
                return;
            }
            // Time that the log takes to store is not the script's.
            if self.flow.storing.load(Relaxed) == 0 {
                if self.flow.reads.load(Relaxed) == reads {
                    return;
                }
                rounds += 1;
            }
        }
    }

    /// Settles, and lets go of the pipes.
    pub(super) async fn finish(mut self) -> Seen {
        self.settle().await;
        self.flow.given_up.cancel();
        self.read_on().await;
        self.seen.unwrap_or_default()
    }

    async fn read_on(&mut self) {
        if self.seen.is_none() {
            self.seen = Some(self.reading.as_mut().await);
        }
    }
}

/// Keeps what a step needs of a pipe beyond its log lines.
trait Keep {
    fn bytes(&mut self, _bytes: &[u8]) {}
    fn line(&mut self, _line: &str) {}
}

async fn read(
    pipe: Option<impl AsyncRead + Unpin>,
    flow: &Flow,
    logs: &LogSink,
    stream: LogStream,
    keep: &mut impl Keep,
) {
    let Some(mut pipe) = pipe else { return };
    let level = if stream == LogStream::Stderr { LogLevel::Warn } else { LogLevel::Info };
    let mut chunk = vec![0; CHUNK];
    let mut lines = Lines::default();
    let mut left = MAX_AFTER_END;
    while left > 0 {
        let read = tokio::select! {
            biased;
            read = pipe.read(&mut chunk) => read,
            () = flow.given_up.cancelled() => break,
        };
        let length = match read {
            Ok(0) => break,
            Ok(length) => length,
            Err(error) => {
                let message = format!("the rest of the script's output cannot be read: {error}");
                logs.line(LogStream::Engine, LogLevel::Error, message).await;
                break;
            }
        };
        flow.reads.fetch_add(1, Relaxed);
        if flow.has_shell_ended.load(Relaxed) {
            left = left.saturating_sub(length);
        }
        keep.bytes(&chunk[..length]);
        lines.push(&chunk[..length]);
        flow.storing.fetch_add(1, Relaxed);
        while let Some(line) = lines.next() {
            keep.line(&line);
            logs.line(stream, level, line).await;
        }
        flow.storing.fetch_sub(1, Relaxed);
    }
    flow.storing.fetch_add(1, Relaxed);
    while let Some(line) = lines.rest() {
        keep.line(&line);
        logs.line(stream, level, line).await;
    }
    flow.storing.fetch_sub(1, Relaxed);
}

/// The beginning of standard output.
#[derive(Default)]
struct Head {
    bytes: Vec<u8>,
    is_truncated: bool,
}

impl Keep for Head {
    fn bytes(&mut self, bytes: &[u8]) {
        // A few bytes more than are kept show where a character ends.
        let room = (MAX_STDOUT + 4).saturating_sub(self.bytes.len());
        self.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.is_truncated |= self.bytes.len() > MAX_STDOUT;
    }
}

impl Head {
    fn finish(self) -> (String, bool) {
        let mut stdout = text::readable(&self.bytes[..text::cut(&self.bytes, MAX_STDOUT)]);
        let whole = text::cut(stdout.as_bytes(), MAX_STDOUT);
        let is_truncated = self.is_truncated || whole < stdout.len();
        stdout.truncate(if is_truncated { whole } else { stdout.trim_end_matches(['\n', '\r']).len() });
        (stdout, is_truncated)
    }
}

/// The last lines of standard error.
#[derive(Default)]
struct Tail {
    lines: VecDeque<String>,
    bytes: usize,
}

impl Keep for Tail {
    fn line(&mut self, line: &str) {
        let line = line[..text::cut(line.as_bytes(), TAIL_BYTES)].to_owned();
        self.bytes += line.len();
        self.lines.push_back(line);
        while self.lines.len() > TAIL_LINES || self.bytes > TAIL_BYTES {
            self.bytes -= self.lines.pop_front().map_or(0, |first| first.len());
        }
    }
}

impl Tail {
    fn finish(self) -> String {
        Vec::from(self.lines).join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head_of(chunks: &[&[u8]]) -> (String, bool) {
        let mut head = Head::default();
        for chunk in chunks {
            head.bytes(chunk);
        }
        head.finish()
    }

    #[test]
    fn short_output_is_kept_whole_without_its_last_line_ends() {
        assert_eq!(head_of(&[b"a\n", b"b\r\n\n"]), ("a\nb".to_owned(), false));
        assert_eq!(head_of(&[b"\xff\0"]), ("\u{FFFD}\u{FFFD}".to_owned(), false));
    }

    #[test]
    fn long_output_is_cut_between_characters_and_says_so() {
        assert_eq!(head_of(&[&vec![b'x'; MAX_STDOUT]]), ("x".repeat(MAX_STDOUT), false));
        let (stdout, is_truncated) = head_of(&[&vec![b'x'; MAX_STDOUT - 1], "é".as_bytes()]);
        assert!(is_truncated && stdout == "x".repeat(MAX_STDOUT - 1));
        let (stdout, is_truncated) = head_of(&[&vec![0xff; MAX_STDOUT]]);
        assert!(is_truncated && stdout.len() <= MAX_STDOUT);
    }

    #[test]
    fn the_tail_is_bounded_in_lines_and_bytes() {
        let mut tail = Tail::default();
        (0..100).for_each(|number| tail.line(&number.to_string()));
        assert_eq!(tail.finish(), "90\n91\n92\n93\n94\n95\n96\n97\n98\n99");
        let mut tail = Tail::default();
        tail.line("lost");
        tail.line(&"é".repeat(TAIL_BYTES));
        assert_eq!(tail.finish(), "é".repeat(TAIL_BYTES / 2));
    }
}
