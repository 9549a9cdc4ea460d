//! Files over HTTP: `POST /files` takes them in, `GET /files/{id}` gives them back; rights are those of GraphQL.

mod body;
mod download;
mod multipart;
mod range;
mod refusal;
mod upload;

pub(crate) use body::{Body, BodyError, receive};
pub(crate) use download::{download, only_get};
pub(crate) use multipart::{MultipartError, Parts, is_multipart};
pub(crate) use refusal::{Refusal, RefusalCode, is_foreign};
pub(crate) use upload::{only_post, upload};
