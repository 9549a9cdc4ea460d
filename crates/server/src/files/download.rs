//! `GET` and `HEAD /files/{id}`: the bytes of a file, or a range of them.

use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;

use actix_web::body::SizedStream;
use actix_web::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_RANGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    HeaderMap, HeaderName, IF_NONE_MATCH, IF_RANGE, RANGE, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::http::{Method, StatusCode};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use cogwheel_engine::ports::BlobKey;
use cogwheel_engine::views::FileView;
use cogwheel_graphql::{Services, file_id_of};
use futures_util::stream;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::sync::mpsc;
use tracing::error;

use super::range::{Wanted, wanted};
use super::refusal::{admit, method_not_allowed};
use super::{Refusal, RefusalCode};
use crate::state::State;

/// How much is read at a time, and how many such pieces wait for the client.
const PIECE: usize = 64 * 1024;
const PIECES: usize = 4;

/// Gives a file back.
pub(crate) async fn download(state: web::Data<State>, request: HttpRequest, id: web::Path<String>) -> HttpResponse {
    if let Err(answer) = admit(&state, &request) {
        return answer;
    }
    match give(&state, &request, &id).await {
        Ok(answer) => answer,
        Err(refusal) => refusal.answer(),
    }
}

/// Any other method on a file.
pub(crate) async fn only_get(state: web::Data<State>, request: HttpRequest) -> HttpResponse {
    method_not_allowed(&state, &request, "GET, HEAD")
}

async fn give(state: &State, request: &HttpRequest, id: &str) -> Result<HttpResponse, Refusal> {
    let services = Arc::clone(state.schema.services());
    let (file, key) = find(services.as_ref(), id).await?;
    let etag = format!("\"{key}\"");
    let size = u64::try_from(file.size).unwrap_or_default();
    if is_known(request.headers(), &etag) {
        return Ok(with_headers(HttpResponse::NotModified(), &file, &etag).finish());
    }
    let is_about_this = text(request.headers(), IF_RANGE).is_none_or(|condition| condition == etag);
    let range = text(request.headers(), RANGE).filter(|_| is_about_this && request.method() == Method::GET);
    let (status, bytes) = match wanted(range, size) {
        Wanted::All => (StatusCode::OK, 0..size),
        Wanted::Part(part) => (StatusCode::PARTIAL_CONTENT, part),
        Wanted::NotThere => {
            let message = format!("the file has {size} bytes, and none of those that are asked for");
            let mut answer = Refusal::new(RefusalCode::Range, message).answer();
            if let Ok(range) = format!("bytes */{size}").parse() {
                answer.headers_mut().insert(CONTENT_RANGE, range);
            }
            return Ok(answer);
        }
    };
    let mut answer = with_headers(HttpResponse::build(status), &file, &etag);
    if status == StatusCode::PARTIAL_CONTENT {
        answer.insert_header((CONTENT_RANGE, format!("bytes {}-{}/{size}", bytes.start, bytes.end - 1)));
    }
    let length = bytes.end - bytes.start;
    if request.method() == Method::HEAD {
        // The body is left out on the way; its length is told.
        return Ok(answer.body(SizedStream::new(length, stream::empty::<std::io::Result<Bytes>>())));
    }
    let pieces = read(state, services, key, bytes).await?;
    let pieces = stream::unfold(pieces, |mut pieces| async { pieces.recv().await.map(|piece| (piece, pieces)) });
    Ok(answer.body(SizedStream::new(length, pieces)))
}

/// The file and the key of its bytes.
async fn find(services: &dyn Services, id: &str) -> Result<(FileView, BlobKey), Refusal> {
    let unknown = || Refusal::new(RefusalCode::Unknown, "there is no such file");
    let id = file_id_of(id).ok_or_else(unknown)?;
    let file = services.reads().files_by_id(services.tenant(), &[id]).await?.pop().ok_or_else(unknown)?;
    let Some(key) = file.storage_key.as_deref() else {
        let message = "the bytes of this file are not kept here: only those of uploads are, and this one was seen in a \
                       watched folder";
        return Err(Refusal::new(RefusalCode::NotStored, message));
    };
    let key = key.parse()?;
    Ok((file, key))
}

/// Reads on the engine's runtime, no faster than the client takes what is read.
async fn read(
    state: &State,
    services: Arc<dyn Services>,
    key: BlobKey,
    bytes: Range<u64>,
) -> Result<mpsc::Receiver<std::io::Result<Bytes>>, Refusal> {
    let (pieces, taken) = mpsc::channel(PIECES);
    let opening = state.runtime.spawn(async move {
        let opened = services.blobs().open(&key, bytes.start).await?;
        tokio::spawn(send(opened.reader, bytes.end - bytes.start, pieces));
        Ok::<_, Refusal>(())
    });
    opening.await.map_err(|_| Refusal::internal())??;
    Ok(taken)
}

async fn send(mut reader: Pin<Box<dyn AsyncRead + Send>>, length: u64, pieces: mpsc::Sender<std::io::Result<Bytes>>) {
    let mut left = length;
    while left > 0 {
        let mut piece = vec![0; usize::try_from(left).unwrap_or(PIECE).min(PIECE)];
        let read = match reader.read(&mut piece).await {
            Ok(0) => Err(std::io::Error::other("the kept bytes end too early")),
            read => read,
        };
        let read = read.map(|read| {
            piece.truncate(read);
            left -= read as u64;
            Bytes::from(piece)
        });
        let is_over = read.as_ref().inspect_err(|error| error!(%error, "a download broke off")).is_err();
        if pieces.send(read).await.is_err() || is_over {
            return;
        }
    }
}

fn with_headers(mut answer: HttpResponseBuilder, file: &FileView, etag: &str) -> HttpResponseBuilder {
    let media_type = file.media_type.as_deref().unwrap_or("application/octet-stream");
    answer
        .insert_header((ETAG, etag))
        .insert_header((ACCEPT_RANGES, "bytes"))
        .insert_header((CACHE_CONTROL, "private, no-cache"))
        .insert_header((CONTENT_TYPE, media_type))
        .insert_header((CONTENT_DISPOSITION, disposition(&file.filename)))
        .insert_header((CONTENT_SECURITY_POLICY, "sandbox"))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"));
    answer
}

/// Whether the client has these bytes.
fn is_known(headers: &HeaderMap, etag: &str) -> bool {
    let known =
        headers.get_all(IF_NONE_MATCH).filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    known.map(|known| known.trim().trim_start_matches("W/")).any(|known| known == "*" || known == etag)
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// The name for clients that know ASCII alone, and as it is.
fn disposition(name: &str) -> String {
    let plain: String =
        name.chars().map(|c| if c.is_ascii_graphic() && !"\"\\%".contains(c) || c == ' ' { c } else { '_' }).collect();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte);
    let encode = |byte: u8| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    let encoded: String = name.bytes().map(encode).collect();
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_is_a_header() {
        assert_eq!(disposition("a b.csv"), "attachment; filename=\"a b.csv\"; filename*=UTF-8''a%20b.csv");
        let odd = disposition("\"ß\\%.csv");
        assert_eq!(odd, "attachment; filename=\"____.csv\"; filename*=UTF-8''%22%C3%9F%5C%25.csv");
    }
}
