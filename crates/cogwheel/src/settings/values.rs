//! Reads given values as what their settings take, naming every one that does not fit.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cogwheel_definition::schedule::{Cron, CronProblem};
use cogwheel_steps::{Network, NotANetwork};
use tracing_subscriber::EnvFilter;

use super::sources::{Given, Origin, Raw, Sources};
use super::table::{self, Kind};

/// Takes values out of the sources one by one and collects what is wrong with them.
pub(crate) struct Reader<'a> {
    sources: &'a Sources,
    /// Where relative paths of the file count from.
    file_folder: &'a Path,
    /// Where other relative paths count from.
    current_folder: &'a Path,
    pub(crate) problems: Vec<String>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(sources: &'a Sources, file_folder: &'a Path, current_folder: &'a Path) -> Self {
        Self { sources, file_folder, current_folder, problems: Vec::new() }
    }

    pub(crate) fn path(&mut self, key: &'static str) -> PathBuf {
        self.read(key, |given, reader| text(given).map(|text| reader.absolute(&text, &given.origin)))
    }

    /// A path, or nothing where the text is empty.
    pub(crate) fn path_if_any(&mut self, key: &'static str) -> Option<PathBuf> {
        self.read(key, |given, reader| {
            let text = text(given)?;
            Ok((!text.is_empty()).then(|| reader.absolute(&text, &given.origin)))
        })
    }

    pub(crate) fn media_types(&mut self, key: &'static str) -> Vec<String> {
        self.read(key, |given, _| {
            let wrong = |item: &String| format!("`{item}` is not a media type, such as text/csv or image/*");
            items(given, "media types")?
                .iter()
                .map(|item| cogwheel_definition::parse_media_type(item).ok_or_else(|| wrong(item)))
                .collect()
        })
    }

    pub(crate) fn paths(&mut self, key: &'static str) -> Vec<PathBuf> {
        self.read(key, |given, reader| {
            Ok(items(given, "paths")?.iter().map(|item| reader.absolute(item, &given.origin)).collect())
        })
    }

    pub(crate) fn networks(&mut self, key: &'static str) -> Vec<Network> {
        self.read(key, |given, _| {
            let parsed = |item: &String| item.parse().map_err(|why: NotANetwork| why.to_string());
            items(given, "networks")?.iter().map(parsed).collect()
        })
    }

    pub(crate) fn address(&mut self, key: &'static str) -> Option<SocketAddr> {
        self.read(key, |given, _| {
            let text = text(given)?;
            let parsed = text.replace("localhost:", "127.0.0.1:").parse();
            parsed.map(Some).map_err(|_| format!("`{text}` is not an address with a port, such as 127.0.0.1:8420"))
        })
    }

    pub(crate) fn url(&mut self, key: &'static str) -> Option<String> {
        self.read(key, |given, _| {
            let text = text(given)?;
            let known = ["postgres://", "postgresql://", "sqlite:"].iter().any(|scheme| text.starts_with(scheme));
            match text.as_str() {
                "" => Ok(None),
                _ if known => Ok(Some(text)),
                // The value may hold a password: it is not repeated.
                _ => Err("expected postgres://user:password@host/database, sqlite:PATH, or nothing".to_owned()),
            }
        })
    }

    /// The address of a site without its last `/`, or nothing where the text is empty.
    pub(crate) fn web_url(&mut self, key: &'static str) -> Option<String> {
        self.read(key, |given, _| {
            let text = text(given)?;
            if text.is_empty() {
                return Ok(None);
            }
            let rest = ["https://", "http://"].iter().find_map(|scheme| text.strip_prefix(scheme));
            let is_site = rest.is_some_and(|rest| {
                !rest.is_empty()
                    && !rest.starts_with('/')
                    && rest.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#@\"<>".contains(&byte))
            });
            if !is_site {
                // The value may hold a password: it is not repeated.
                return Err("expected https://host, with a path where there is one, or nothing".to_owned());
            }
            Ok(Some(text.trim_end_matches('/').to_owned()))
        })
    }

    pub(crate) fn duration(&mut self, key: &'static str) -> Duration {
        self.read(key, |given, _| {
            let text = text(given)?;
            cogwheel_definition::parse_duration(&text).map_err(|why| format!("`{text}`: {why}"))
        })
    }

    pub(crate) fn size(&mut self, key: &'static str) -> usize {
        self.read(key, |given, _| {
            let text = match &given.raw {
                Raw::Number(number) => number.clone(),
                _ => text(given)?,
            };
            parse_size(&text).ok_or_else(|| format!("`{text}` is not a size, such as 512KiB or 10MiB"))
        })
    }

    pub(crate) fn count(&mut self, key: &'static str) -> u32 {
        self.read(key, |given, _| {
            let text = match &given.raw {
                Raw::Number(number) => number.clone(),
                _ => text(given)?,
            };
            let most = match table::find(key).map(|setting| setting.kind) {
                Some(Kind::Count(most)) => most,
                _ => u32::MAX,
            };
            let number = text.parse::<u32>().ok().filter(|number| (1..=most).contains(number));
            number.ok_or_else(|| format!("`{text}` is not a whole number from 1 to {most}"))
        })
    }

    pub(crate) fn switch(&mut self, key: &'static str) -> bool {
        self.read(key, |given, _| match &given.raw {
            Raw::Switch(switch) => Ok(*switch),
            Raw::Text(text) if text == "true" => Ok(true),
            Raw::Text(text) if text == "false" => Ok(false),
            other => Err(format!("expected true or false, found {}", describe(other))),
        })
    }

    pub(crate) fn cron(&mut self, key: &'static str) -> String {
        self.read(key, |given, _| {
            let text = text(given)?;
            if text.split_whitespace().count() != 6 {
                return Err(format!("`{text}` is not a cron line of six fields, seconds first"));
            }
            let wrong = |problems: Vec<CronProblem>| {
                let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
                format!("`{text}`: {}", problems.join("; "))
            };
            Cron::parse(&text).map(|_| text.clone()).map_err(wrong)
        })
    }

    pub(crate) fn filter(&mut self, key: &'static str) -> String {
        self.read(key, |given, _| {
            let text = text(given)?;
            EnvFilter::try_new(&text).map(|_| text.clone()).map_err(|why| format!("`{text}`: {why}"))
        })
    }

    pub(crate) fn word(&mut self, key: &'static str) -> String {
        self.read(key, |given, _| {
            let text = text(given)?;
            match table::find(key).map(|setting| setting.kind) {
                Some(Kind::Word(words)) if !words.contains(&text.as_str()) => {
                    Err(format!("`{text}` is not one of {}", words.join(", ")))
                }
                _ => Ok(text),
            }
        })
    }

    fn read<T: Default>(&mut self, key: &'static str, read: impl Fn(&Given, &Self) -> Result<T, String>) -> T {
        let Some(given) = self.sources.given.get(key) else { return T::default() };
        match read(given, self) {
            Ok(value) => value,
            Err(why) => {
                self.problems.push(format!("{}: setting `{key}`: {why}", given.origin));
                T::default()
            }
        }
    }

    fn absolute(&self, path: &str, origin: &Origin) -> PathBuf {
        match origin {
            Origin::File { .. } | Origin::Default => self.file_folder.join(path),
            Origin::Variable(_) | Origin::Flag(_) => self.current_folder.join(path),
        }
    }
}

/// A list, or a text with commas.
fn items(given: &Given, what: &str) -> Result<Vec<String>, String> {
    let items: Vec<String> = match &given.raw {
        Raw::List(items) => items.clone(),
        Raw::Text(text) => text.split(',').map(|item| item.trim().to_owned()).collect(),
        other => return Err(format!("expected a list of {what}, found {}", describe(other))),
    };
    Ok(items.into_iter().filter(|item| !item.is_empty()).collect())
}

fn text(given: &Given) -> Result<String, String> {
    match &given.raw {
        Raw::Text(text) => Ok(text.clone()),
        other => Err(format!("expected text, found {}", describe(other))),
    }
}

fn describe(raw: &Raw) -> String {
    match raw {
        Raw::Text(text) => format!("`{text}`"),
        Raw::List(_) => "a list".to_owned(),
        Raw::Switch(switch) => switch.to_string(),
        Raw::Number(number) => format!("the number {number}"),
        Raw::Other(what) => (*what).to_owned(),
    }
}

fn parse_size(text: &str) -> Option<usize> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: usize = match &text[digits.len()..] {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    digits.parse::<usize>().ok().filter(|number| *number > 0)?.checked_mul(unit)
}
