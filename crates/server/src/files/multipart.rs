//! The parts of a multipart body, one after the other, none of them held in memory.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use actix_web::http::header::{CONTENT_TYPE, HeaderMap};
use actix_web::web::Bytes;
use futures_util::Stream;
use multer::{Field, Multipart};

use super::{Body, BodyError};

/// The most bytes that come before a part can be told from them: its head, or what stands before the first one.
const LONGEST_HEAD: usize = 64 * 1024;

/// A body that is no multipart body.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MultipartError {
    /// It does not come to its end.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// It cannot be read.
    #[error("the body is no valid multipart/form-data: {0}")]
    Malformed(String),
}

/// Whether a body is said to be multipart/form-data.
pub(crate) fn is_multipart(headers: &HeaderMap) -> bool {
    let given = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    given.split(';').next().is_some_and(|media| media.trim().eq_ignore_ascii_case("multipart/form-data"))
}

/// The parts of a body.
pub(crate) struct Parts {
    multipart: Multipart<'static>,
    unread: Arc<AtomicUsize>,
}

/// One of them.
pub(crate) struct Part {
    field: Field<'static>,
    unread: Arc<AtomicUsize>,
}

impl Parts {
    /// The parts of a body with these headers.
    pub(crate) fn of(headers: &HeaderMap) -> Result<impl FnOnce(Body) -> Self + Send + 'static, MultipartError> {
        let given = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let boundary = multer::parse_boundary(given)
            .map_err(|_| MultipartError::Malformed("its Content-Type names no boundary".to_owned()))?;
        Ok(|body| {
            let unread = Arc::new(AtomicUsize::new(0));
            let pieces = Pieces { body, unread: Arc::clone(&unread), rests: false };
            Self { multipart: Multipart::new(pieces, boundary), unread }
        })
    }

    /// The next part.
    pub(crate) async fn next(&mut self) -> Result<Option<Part>, MultipartError> {
        let field = self.multipart.next_field().await?;
        self.unread.store(0, Ordering::Relaxed);
        Ok(field.map(|field| Part { field, unread: Arc::clone(&self.unread) }))
    }
}

impl Part {
    /// Its name.
    pub(crate) fn name(&self) -> &str {
        self.field.name().unwrap_or_default()
    }

    /// The name of its file, if it is one.
    pub(crate) fn file_name(&self) -> Option<&str> {
        self.field.file_name()
    }

    /// The next piece of it; `None` at its end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, MultipartError> {
        let piece = self.field.chunk().await?;
        self.unread.store(0, Ordering::Relaxed);
        Ok(piece)
    }

    /// All of it as text, if it has at most so many bytes.
    pub(crate) async fn text(&mut self, most: usize) -> Result<String, MultipartError> {
        let mut bytes = Vec::new();
        while let Some(piece) = self.next().await? {
            if bytes.len() + piece.len() > most {
                let name = self.name();
                return Err(MultipartError::Malformed(format!("its part `{name}` has more than {most} bytes")));
            }
            bytes.extend_from_slice(&piece);
        }
        String::from_utf8(bytes)
            .map_err(|_| MultipartError::Malformed(format!("its part `{}` is not UTF-8", self.name())))
    }
}

/// The pieces of a body for a parser that takes all that is there: one at a time, so that it does not gather them.
struct Pieces {
    body: Body,
    /// How many bytes the parser has taken since it last gave something out.
    unread: Arc<AtomicUsize>,
    /// Whether the parser has to work on what it has first.
    rests: bool,
}

impl Stream for Pieces {
    type Item = Result<Bytes, BodyErrorOrHead>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if std::mem::take(&mut self.rests) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let piece = match self.body.poll_next(context) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(None) => return Poll::Ready(None),
            Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(BodyErrorOrHead::Body(error)))),
            Poll::Ready(Some(Ok(piece))) => piece,
        };
        self.rests = true;
        let unread = self.unread.fetch_add(piece.len(), Ordering::Relaxed) + piece.len();
        // A piece may be larger than that by itself.
        if unread - piece.len() > LONGEST_HEAD {
            return Poll::Ready(Some(Err(BodyErrorOrHead::Head)));
        }
        Poll::Ready(Some(Ok(piece)))
    }
}

#[derive(Debug, thiserror::Error)]
enum BodyErrorOrHead {
    #[error(transparent)]
    Body(BodyError),
    #[error("the head of a part has more than {LONGEST_HEAD} bytes")]
    Head,
}

impl From<multer::Error> for MultipartError {
    fn from(error: multer::Error) -> Self {
        if let multer::Error::StreamReadFailed(source) = &error
            && let Some(known) = source.downcast_ref::<BodyErrorOrHead>()
        {
            return match known {
                BodyErrorOrHead::Body(error) => Self::Body(*error),
                BodyErrorOrHead::Head => Self::Malformed(known.to_string()),
            };
        }
        Self::Malformed(error.to_string())
    }
}
