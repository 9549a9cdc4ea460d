//! GraphQL requests with files: the multipart request specification, version 2.

use std::collections::BTreeMap;

use async_graphql::Request;
use cogwheel_graphql::{Services, Uploads};
use serde_json::Value;

use super::Params;
use crate::files::{Parts, Refusal};

/// The places that the files of a request take, by the name of their part.
type Places = BTreeMap<String, Vec<String>>;

/// A request with its files.
pub(crate) struct WithFiles {
    pub(crate) request: Request,
    pub(crate) uploads: Uploads,
}

/// Reads a request; each file goes to where files are kept as it comes. `text_limit` is for what is no file.
pub(crate) async fn read(
    services: &dyn Services,
    mut parts: Parts,
    text_limit: usize,
    max_files: usize,
) -> Result<WithFiles, Refusal> {
    let mut operations: Option<Params> = None;
    let mut with_files: Option<(WithFiles, Places)> = None;
    while let Some(mut part) = parts.next().await? {
        match (part.name(), &operations, &mut with_files) {
            ("operations", None, None) => {
                let text = part.text(text_limit).await?;
                operations = Some(Params::from_json(text.as_bytes()).map_err(Refusal::bad_request)?);
            }
            ("map", Some(_), None) => {
                let places = places(&part.text(text_limit).await?, max_files)?;
                let request = operations.take().map_or_else(|| Request::new(""), Params::into_request);
                with_files = Some((WithFiles { request, uploads: Uploads::default() }, places));
            }
            (name, _, Some((read, places))) => {
                let Some(places) = places.remove(name) else {
                    return Err(Refusal::bad_request(format!("`map` has no part `{}`", short(name))));
                };
                let Some(file_name) = part.file_name().map(str::to_owned) else {
                    return Err(Refusal::bad_request(format!("the part `{}` has no file name", short(name))));
                };
                let mut receiving = services.begin_upload(&file_name, None).await?;
                while let Some(piece) = part.next().await? {
                    receiving.write(&piece).await?;
                }
                let received = receiving.finish().await?;
                let place = places.first().map(String::as_str).unwrap_or_default();
                read.uploads
                    .put(&mut read.request, place, received)
                    .map_err(|missing| Refusal::bad_request(missing.to_string()))?;
            }
            _ => {
                return Err(Refusal::bad_request(
                    "a GraphQL request with files has the parts `operations`, `map`, and then its files, in this order",
                ));
            }
        }
    }
    match with_files {
        Some((read, places)) if places.is_empty() => Ok(read),
        Some((_, places)) => {
            let missing: Vec<&str> = places.keys().map(String::as_str).map(short).collect();
            Err(Refusal::bad_request(format!("`map` names parts that are not there: {}", missing.join(", "))))
        }
        None => Err(Refusal::bad_request("the parts `operations` and `map` are missing")),
    }
}

fn places(text: &str, max_files: usize) -> Result<Places, Refusal> {
    let wrong = || Refusal::bad_request("`map` must be an object such as {\"0\": [\"variables.input.file\"]}");
    let map: Value = serde_json::from_str(text).map_err(|_| wrong())?;
    let places: Places = serde_json::from_value(map).map_err(|_| wrong())?;
    if places.len() > max_files {
        let message = format!("the request has more than {max_files} files, the most that `uploads.max_files` allows");
        return Err(Refusal::bad_request(message));
    }
    if places.values().any(|places| places.len() != 1) {
        return Err(Refusal::bad_request("each part of `map` must name one place: a file is taken once"));
    }
    Ok(places)
}

/// As much of a name as a message can carry.
fn short(name: &str) -> &str {
    name.char_indices().nth(100).map_or(name, |(end, _)| &name[..end])
}
