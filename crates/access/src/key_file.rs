//! Files that hold one key: how they are written whole and read with care.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::AccessError;

/// The name in the data folder of the file with the admin key.
pub const ADMIN_KEY_FILE: &str = "admin.key";

/// How many random bytes a key has.
pub(crate) const RANDOM_BYTES: usize = 32;
/// Larger than any key, so that a wrong file is not read whole.
const MAX_FILE_BYTES: u64 = 1024;

/// What the keys of one kind begin with, so that one is not taken for another.
#[derive(Clone, Copy)]
pub(crate) struct Prefix(pub(crate) &'static str);

/// Reads the key from `path`.
pub(crate) fn read(path: &Path, prefix: Prefix) -> Result<String, AccessError> {
    let io_error = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => AccessError::Missing { path: path.to_owned() },
        _ => AccessError::Io { action: "read", path: path.to_owned(), source },
    };
    let malformed = |why: &str| AccessError::Malformed { path: path.to_owned(), why: why.to_owned() };

    let file = File::open(path).map_err(io_error)?;
    let metadata = file.metadata().map_err(io_error)?;
    if !metadata.is_file() {
        return Err(malformed("it is not a regular file"));
    }
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(AccessError::Exposed { path: path.to_owned(), mode });
    }
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES).read_to_end(&mut bytes).map_err(io_error)?;
    let key = String::from_utf8(bytes).map_err(|_| malformed("it is not text"))?.trim_ascii_end().to_owned();
    if key.is_empty() {
        return Err(malformed("it is empty"));
    }
    if secret_of(&key, prefix).is_none() {
        return Err(malformed(&format!("a key is `{}` and 43 letters, digits, `-` or `_`", prefix.0)));
    }
    Ok(key)
}

/// Writes a new key to `path` and answers with it. A crash leaves the whole file or none.
pub(crate) fn create(path: &Path, prefix: Prefix) -> Result<String, AccessError> {
    let mut random = [0_u8; RANDOM_BYTES];
    getrandom::fill(&mut random).map_err(AccessError::Random)?;
    let key = format!("{}{}", prefix.0, URL_SAFE_NO_PAD.encode(random));
    write_whole(path, &key).map_err(|source| AccessError::Io { action: "write", path: path.to_owned(), source })?;
    Ok(key)
}

fn write_whole(path: &Path, key: &str) -> io::Result<()> {
    let unfinished = path.with_extension("key.new");
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        // What an earlier crash left is worthless.
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
    writeln!(file, "{key}")?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

/// The random bytes of a key.
pub(crate) fn secret_of(key: &str, prefix: Prefix) -> Option<[u8; RANDOM_BYTES]> {
    URL_SAFE_NO_PAD.decode(key.strip_prefix(prefix.0)?).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PREFIX: Prefix = Prefix("cgw_admin_");

    fn file_with(content: &[u8], mode: u32) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(ADMIN_KEY_FILE);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        (folder, path)
    }

    fn refusal(content: &[u8], mode: u32) -> String {
        let (_folder, path) = file_with(content, mode);
        read(&path, PREFIX).unwrap_err().to_string()
    }

    #[test]
    fn a_created_key_is_private_has_its_form_and_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(ADMIN_KEY_FILE);
        let key = create(&path, PREFIX).unwrap();
        assert_eq!(key.len(), PREFIX.0.len() + 43);
        assert!(secret_of(&key, PREFIX).is_some() && secret_of(&key, Prefix("cgw_other_")).is_none());
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{key}\n"));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(read(&path, PREFIX).unwrap(), key);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no unfinished file stays");
    }

    #[test]
    fn what_a_crash_left_half_written_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(ADMIN_KEY_FILE);
        fs::write(folder.path().join("admin.key.new"), "cgw_adm").unwrap();
        let key = create(&path, PREFIX).unwrap();
        assert_eq!(read(&path, PREFIX).unwrap(), key);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_others_can_read_is_refused_with_the_remedy() {
        for mode in [0o640, 0o604, 0o620, 0o644] {
            let message = refusal(b"cgw_admin_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n", mode);
            assert!(message.contains(&format!("mode {mode:o}")) && message.contains("chmod 600 /"), "{message}");
        }
    }

    #[test]
    fn a_file_without_a_key_is_refused_with_the_reason() {
        assert!(refusal(b"", 0o600).contains("it is empty"));
        assert!(refusal(b"\n\n", 0o600).contains("it is empty"));
        assert!(refusal(b"\xff\xfe", 0o600).contains("it is not text"));
        assert!(refusal(b"cgw_admin_short", 0o600).contains("43 letters"));
        assert!(refusal(&[b'x'; 5000], 0o600).contains("43 letters"));
        assert!(refusal(b"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", 0o600).contains("cgw_admin_"));
    }

    #[test]
    fn a_folder_in_its_place_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(read(folder.path(), PREFIX).unwrap_err().to_string().contains("not a regular file"));
    }
}
