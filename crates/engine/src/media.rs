//! What a file holds: by its content, and for text by the end of its name.

/// The usual ends of names, with their media types.
const TYPES: [(&str, &str); 24] = [
    ("avif", "image/avif"),
    ("csv", "text/csv"),
    ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ("gif", "image/gif"),
    ("gz", "application/gzip"),
    ("htm", "text/html"),
    ("html", "text/html"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("json", "application/json"),
    ("log", "text/plain"),
    ("md", "text/markdown"),
    ("ndjson", "application/x-ndjson"),
    ("parquet", "application/vnd.apache.parquet"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("svg", "image/svg+xml"),
    ("tar", "application/x-tar"),
    ("txt", "text/plain"),
    ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ("xml", "application/xml"),
    ("yaml", "application/yaml"),
    ("yml", "application/yaml"),
    ("zip", "application/zip"),
];

/// The media type of a file; of one that is not known, that of any bytes.
pub(crate) fn media_type(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or(path);
    let end = name.rsplit_once('.').map(|(_, end)| end.to_ascii_lowercase()).unwrap_or_default();
    let known = TYPES.iter().find(|(known, _)| *known == end);
    known.map_or("application/octet-stream", |(_, media_type)| media_type).to_owned()
}

/// As many bytes as it takes to tell what a file is.
const HEAD: usize = 8 * 1024;

/// The type of what is nothing in particular.
const BYTES: &str = "application/octet-stream";

/// The type of text that is nothing in particular.
const TEXT: &str = "text/plain";

/// The type of XML in any encoding.
const XML: &str = "application/xml";

/// Looks at bytes as they pass by, and tells what they are.
///
/// What they begin with decides. Most text has no such mark: what is UTF-8 to its end, without NUL, is what the end of
/// its name says, as far as that is a kind of text. Marks are short, so text may begin with one by chance; then it counts
/// only if it is one that text has.
#[derive(Debug)]
pub(crate) struct Sniffer {
    head: Vec<u8>,
    is_text: bool,
    /// The beginning of a character whose end is still to come.
    cut: Vec<u8>,
}

impl Default for Sniffer {
    fn default() -> Self {
        Self { head: Vec::new(), is_text: true, cut: Vec::new() }
    }
}

impl Sniffer {
    /// Looks at the next bytes.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let room = HEAD - self.head.len();
        self.head.extend_from_slice(&bytes[..bytes.len().min(room)]);
        if self.is_text {
            self.is_text = self.goes_on_as_text(bytes);
        }
    }

    fn goes_on_as_text(&mut self, bytes: &[u8]) -> bool {
        if bytes.contains(&0) {
            return false;
        }
        let mut bytes = bytes;
        while !self.cut.is_empty() {
            let Some((first, rest)) = bytes.split_first() else { return true };
            self.cut.push(*first);
            bytes = rest;
            match std::str::from_utf8(&self.cut) {
                Ok(_) => self.cut.clear(),
                Err(error) if error.error_len().is_some() => return false,
                Err(_) => {}
            }
        }
        match std::str::from_utf8(bytes) {
            Ok(_) => true,
            Err(error) => {
                self.cut.extend_from_slice(&bytes[error.valid_up_to()..]);
                error.error_len().is_none()
            }
        }
    }

    /// What the bytes are whatever comes after them and whatever their file is called, once enough of them are there.
    pub(crate) fn certain(&self) -> Option<&'static str> {
        (!self.is_text && self.head.len() == HEAD).then(|| self.of_bytes())
    }

    /// What the bytes are; `name` is that of their file.
    pub(crate) fn media_type(&self, name: &str) -> String {
        if !self.is_text || !self.cut.is_empty() {
            return self.of_bytes().to_owned();
        }
        let by_name = Some(media_type(name)).filter(|by_name| is_kind_of_text(by_name));
        match self.marked().filter(|marked| may_be_text(marked)) {
            // What begins as markup may be one of its kinds.
            Some(XML | "text/html") if by_name.as_deref().is_some_and(is_markup) => by_name.unwrap_or_default(),
            Some(marked) => marked.to_owned(),
            None => by_name.unwrap_or_else(|| TEXT.to_owned()),
        }
    }

    /// What bytes are that are no text.
    fn of_bytes(&self) -> &'static str {
        self.marked().unwrap_or(BYTES)
    }

    fn marked(&self) -> Option<&'static str> {
        infer::get(&self.head).map(|kind| match kind.mime_type() {
            "text/xml" => XML,
            marked => marked,
        })
    }
}

/// Whether something with this mark can be text from its beginning to its end.
fn may_be_text(marked: &str) -> bool {
    let of_text = [XML, "application/pdf", "application/postscript", "application/rtf", "application/x-x509-ca-cert"];
    marked.starts_with("text/") || of_text.contains(&marked)
}

fn is_kind_of_text(media_type: &str) -> bool {
    let structured = ["application/json", "application/x-ndjson", XML, "application/yaml", "image/svg+xml"];
    media_type.starts_with("text/") || structured.contains(&media_type)
}

fn is_markup(media_type: &str) -> bool {
    [XML, "image/svg+xml", "text/html"].contains(&media_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sniffed(name: &str, chunks: &[&[u8]]) -> String {
        let mut sniffer = Sniffer::default();
        for chunk in chunks {
            sniffer.push(chunk);
        }
        sniffer.media_type(name)
    }

    #[test]
    fn the_content_counts_and_the_name_only_for_text() {
        let elf = [b"\x7fELF\x02\x01\x01\x00".as_slice(), &[0; 64]].concat();
        let exe = [b"MZ\x90\x00".as_slice(), &[0; 64]].concat();
        let png = b"\x89PNG\r\n\x1a\n".as_slice();
        for (name, content, media_type) in [
            ("a.csv", b"a,b\n1,2\n".as_slice(), "text/csv"),
            ("a.json", b"{}", "application/json"),
            ("A.TXT", b"x", "text/plain"),
            ("notes", "späße".as_bytes(), "text/plain"),
            ("empty.csv", b"", "text/csv"),
            ("a.png", b"just text", "text/plain"),
            ("a.csv", b"a\0b", "application/octet-stream"),
            ("a.csv", b"\xff\xfe", "application/octet-stream"),
            ("a.csv", &elf, "application/x-executable"),
            ("a.csv", &exe, "application/vnd.microsoft.portable-executable"),
            ("a.csv", png, "image/png"),
            ("a.jpg", png, "image/png"),
            ("a.csv", b"<!DOCTYPE html><p>x", "text/html"),
            ("a.svg", b"<?xml version=\"1.0\"?><svg/>", "image/svg+xml"),
            ("a.csv", b"<?xml version=\"1.0\"?><x/>", "application/xml"),
            ("a.csv", b"%PDF-1.7\n", "application/pdf"),
            ("a.pdf", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "application/pdf"),
            ("a.txt", b"%!PS-Adobe-3.0\n", "application/postscript"),
            ("a.txt", b"{\\rtf1\\ansi x}", "application/rtf"),
            ("a.txt", b"-----BEGIN CERTIFICATE-----\n", "application/x-x509-ca-cert"),
            ("a.xml", b"<?xml version=\"1.0\" encoding=\"latin1\"?><x>\xe4</x>", "application/xml"),
            ("a.csv", b"PK\x03\x04\x14\0\0\0rest of it, long enough", "application/zip"),
        ] {
            assert_eq!(sniffed(name, &[content]), media_type, "{name}: {content:?}");
        }
    }

    #[test]
    fn text_is_not_what_it_begins_with_by_chance() {
        let starts = ["BM,amount\n", "BC;1\n", "MZ 3\n", "ID3 tags\n", "GIF,PNG\n", "BZh", "AT&TFORM", "SQLite format"];
        for text in starts {
            assert_eq!(sniffed("a.csv", &[text.as_bytes()]), "text/csv", "{text}");
            assert_eq!(sniffed("a", &[text.as_bytes()]), "text/plain", "{text}");
        }
        let image = [b"BM\x3a\0\0\0".as_slice(), &[0; 52]].concat();
        assert_eq!(sniffed("a.csv", &[&image]), "image/bmp");
        assert_eq!(sniffed("a.csv", &[b"ID3\x04\0\0\0\0\0\0"]), "audio/mpeg");
    }

    #[test]
    fn characters_may_come_in_pieces() {
        let text = "a,ß,€,😀\n".repeat(7);
        for length in 1..5 {
            let chunks: Vec<&[u8]> = text.as_bytes().chunks(length).collect();
            assert_eq!(sniffed("a.csv", &chunks), "text/csv", "in pieces of {length}");
        }
        assert_eq!(sniffed("a.csv", &[b"a", b"\xf0\x9f"]), "application/octet-stream", "cut off");
        assert_eq!(sniffed("a.csv", &[b"\xf0\x9f", b"ab"]), "application/octet-stream");
    }

    #[test]
    fn what_needs_no_more_bytes_is_told_early() {
        let mut sniffer = Sniffer::default();
        sniffer.push(b"\x89PNG\r\n\x1a\n\0");
        assert_eq!(sniffer.certain(), None);
        sniffer.push(&[0; HEAD]);
        assert_eq!(sniffer.certain(), Some("image/png"));
        let mut text = Sniffer::default();
        text.push(&[b'x'; 2 * HEAD]);
        assert_eq!(text.certain(), None);
    }

    #[test]
    fn what_is_told_early_stays_so() {
        let latin = [b"<?xml version=\"1.0\" encoding=\"latin1\"?><x>\xe4".as_slice(), &[b'x'; HEAD]].concat();
        let unknown = [[0xff, 0x00].as_slice(), &[b'x'; HEAD]].concat();
        for (bytes, media_type) in [(&latin, "application/xml"), (&unknown, "application/octet-stream")] {
            let mut sniffer = Sniffer::default();
            sniffer.push(bytes);
            assert_eq!(sniffer.certain(), Some(media_type));
            sniffer.push(b"</x>");
            assert_eq!(sniffer.media_type("a.csv"), media_type);
        }
    }

    #[test]
    fn the_last_end_of_the_name_counts() {
        assert_eq!(media_type("a.csv/report.PDF"), "application/pdf");
        assert_eq!(media_type("dump.tar.gz"), "application/gzip");
        assert_eq!(media_type("a.csv/report"), "application/octet-stream");
        assert_eq!(media_type("csv"), "application/octet-stream");
    }
}
