//! Names of uploads: what was sent, and what is safe.

/// The longest name, in bytes, as file systems have it, and in characters, as the column has it.
const LONGEST: usize = 255;

/// The longest end of a name that is kept when it has to be shortened.
const LONGEST_END: usize = 32;

/// A name that is safe in a folder, for what a client calls its file; `Err` says why there is none.
pub(super) fn safe(sent: &str) -> Result<String, &'static str> {
    // Clients of some systems send whole paths, in the one way or the other.
    let name = sent.rsplit(['/', '\\']).next().unwrap_or_default();
    let name: String = name.chars().map(|c| if is_harmless(c) { c } else { '_' }).collect();
    let name = name.trim();
    match name {
        "" => Err("it is empty; say how the file is called"),
        "." | ".." => Err("it means a folder; say how the file is called"),
        name => Ok(shortened(name)),
    }
}

/// What is recorded of the name as it was sent.
pub(super) fn as_sent(sent: &str) -> String {
    sent.chars().take(LONGEST).collect()
}

/// Control characters can end a line of a log, and those that turn the direction of writing hide what a name ends with.
fn is_harmless(c: char) -> bool {
    !c.is_control() && !matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// What comes before the end of the name is cut off.
fn shortened(name: &str) -> String {
    if name.len() <= LONGEST {
        return name.to_owned();
    }
    let end = name.rfind('.').map(|at| &name[at..]).filter(|end| end.len() <= LONGEST_END).unwrap_or_default();
    let room = LONGEST - end.len();
    let cut = (0..=room).rev().find(|at| name.is_char_boundary(*at)).unwrap_or_default();
    format!("{}{end}", &name[..cut])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_tricks_leave_a_name_or_nothing() {
        for (sent, name) in [
            ("orders.csv", "orders.csv"),
            ("../../etc/passwd", "passwd"),
            ("/etc/passwd", "passwd"),
            ("C:\\Users\\me\\a b.csv", "a b.csv"),
            ("..\\..\\a.csv", "a.csv"),
            ("a/../b.csv", "b.csv"),
            ("a\0b\n.csv", "a_b_.csv"),
            ("invoice\u{202e}fdp.exe", "invoice_fdp.exe"),
            (" späße.csv ", "späße.csv"),
            ("-rf", "-rf"),
            ("...", "..."),
        ] {
            assert_eq!(safe(sent).as_deref(), Ok(name), "{sent:?}");
        }
        for sent in ["", " ", "/", "a/", "..", "../..", ".", "a/.", "..\\"] {
            assert!(safe(sent).is_err(), "{sent:?}");
        }
    }

    #[test]
    fn long_names_keep_their_ends() {
        let long = format!("{}.csv", "ß".repeat(300));
        let name = safe(&long).unwrap();
        assert!(name.len() <= LONGEST && name.ends_with("ß.csv") && name.len() > 250, "{name}");
        assert_eq!(safe(&"x".repeat(300)).unwrap().len(), LONGEST);
        assert_eq!(as_sent(&long).chars().count(), LONGEST);
    }
}
