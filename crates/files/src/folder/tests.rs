//! A folder of blobs on a real file system.

use std::os::unix::fs::{PermissionsExt as _, symlink};

use tempfile::TempDir;
use tokio::io::AsyncReadExt as _;

use super::*;

/// The SHA-256 of `abc`.
const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

async fn folder() -> (TempDir, BlobFolder) {
    let parent = tempfile::tempdir().unwrap();
    let blobs = BlobFolder::open(parent.path().join("blobs"), SystemTime::UNIX_EPOCH).await.unwrap();
    (parent, blobs)
}

fn key(text: &str) -> BlobKey {
    text.parse().unwrap()
}

fn incoming(blobs: &BlobFolder) -> usize {
    fs::read_dir(incoming_folder(&blobs.root)).unwrap().count()
}

#[tokio::test]
async fn bytes_lie_under_their_hash_and_come_back() {
    let (parent, blobs) = folder().await;
    assert_eq!(blobs.put(b"abc".to_vec()).await.unwrap(), key(ABC));
    let place = parent.path().join("blobs/ba/78").join(ABC);
    assert_eq!(fs::read(&place).unwrap(), b"abc");
    assert_eq!(fs::metadata(&place).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(place.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(blobs.get(&key(ABC), 3).await.unwrap(), b"abc");

    let mut opened = blobs.open(&key(ABC), 0).await.unwrap();
    let mut text = String::new();
    opened.reader.read_to_string(&mut text).await.unwrap();
    assert_eq!((opened.size, text.as_str()), (3, "abc"));
    let mut rest = String::new();
    blobs.open(&key(ABC), 2).await.unwrap().reader.read_to_string(&mut rest).await.unwrap();
    assert_eq!(rest, "c");

    let empty = blobs.put(Vec::new()).await.unwrap();
    assert_eq!(blobs.get(&empty, 0).await.unwrap(), b"");
    assert_eq!(incoming(&blobs), 0);
}

#[tokio::test]
async fn a_file_is_kept_as_its_bytes_are() {
    let (parent, blobs) = folder().await;
    let path = parent.path().join("report");
    let content: Vec<u8> = (0..1_000_003_u32).map(|number| number.to_le_bytes()[number as usize % 4]).collect();
    fs::write(&path, &content).unwrap();
    let (stored, size) = blobs.put_file(&path, 1_000_003).await.unwrap();
    assert_eq!(size, 1_000_003);
    assert_eq!(stored, blobs.put(content.clone()).await.unwrap());
    fs::remove_file(&path).unwrap();
    assert_eq!(blobs.get(&stored, size).await.unwrap(), content);
}

#[tokio::test]
async fn what_is_there_is_not_written_again() {
    let (parent, blobs) = folder().await;
    blobs.put(b"abc".to_vec()).await.unwrap();
    let place = place_of(&blobs.root, &key(ABC));
    let written = fs::metadata(&place).unwrap().modified().unwrap();
    let path = parent.path().join("abc");
    fs::write(&path, "abc").unwrap();
    blobs.put(b"abc".to_vec()).await.unwrap();
    blobs.put_file(&path, 3).await.unwrap();
    assert_eq!(fs::metadata(&place).unwrap().modified().unwrap(), written);
    assert_eq!(incoming(&blobs), 0);
}

#[tokio::test]
async fn the_same_bytes_may_come_from_many_at_once() {
    let (_parent, blobs) = folder().await;
    let puts: Vec<_> = (0..16)
        .map(|_| {
            let blobs = blobs.clone();
            tokio::spawn(async move { blobs.put(vec![7; 100_000]).await.unwrap() })
        })
        .collect();
    let mut keys = Vec::new();
    for put in puts {
        keys.push(put.await.unwrap());
    }
    keys.dedup();
    assert_eq!(keys.len(), 1);
    assert_eq!(blobs.get(&keys[0], 100_000).await.unwrap(), vec![7; 100_000]);
    assert_eq!(incoming(&blobs), 0);
}

#[tokio::test]
async fn more_than_the_limit_is_refused_both_ways() {
    let (parent, blobs) = folder().await;
    let path = parent.path().join("large");
    fs::write(&path, vec![0; 1001]).unwrap();
    let refused = blobs.put_file(&path, 1000).await.unwrap_err();
    assert!(matches!(refused, BlobError::TooLarge { limit: 1000, .. }) && !refused.is_transient(), "{refused}");
    assert_eq!(incoming(&blobs), 0);
    let stored = blobs.put(vec![0; 1001]).await.unwrap();
    assert!(matches!(blobs.get(&stored, 1000).await, Err(BlobError::TooLarge { limit: 1000, .. })));
}

#[tokio::test]
async fn what_is_missing_or_damaged_is_told() {
    let (_parent, blobs) = folder().await;
    let missing = blobs.get(&key(ABC), 3).await.unwrap_err();
    assert!(matches!(&missing, BlobError::Missing(of) if *of == key(ABC)) && !missing.is_transient());
    assert!(matches!(blobs.open(&key(ABC), 0).await, Err(BlobError::Missing(_))));

    blobs.put(b"abc".to_vec()).await.unwrap();
    let place = place_of(&blobs.root, &key(ABC));
    for content in ["abd", "ab", ""] {
        fs::write(&place, content).unwrap();
        let damaged = blobs.get(&key(ABC), 3).await.unwrap_err();
        assert!(matches!(damaged, BlobError::Damaged { .. }) && !damaged.is_transient());
        assert!(damaged.to_string().contains(ABC), "{damaged}");
    }
}

#[tokio::test]
async fn only_regular_files_are_taken() {
    let (parent, blobs) = folder().await;
    let link = parent.path().join("link");
    symlink("/etc/hostname", &link).unwrap();
    let pipe = parent.path().join("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, Mode::from_raw_mode(0o600)).unwrap();
    for path in [link, pipe, parent.path().to_owned(), parent.path().join("nowhere")] {
        let refused = blobs.put_file(&path, 1000).await.unwrap_err();
        assert!(matches!(&refused, BlobError::Unreadable { path: of, .. } if *of == path), "{refused}");
        assert!(!refused.is_transient());
    }
    assert_eq!(incoming(&blobs), 0);
}

#[tokio::test]
async fn a_store_that_cannot_be_written_is_unavailable_and_named() {
    let (_parent, blobs) = folder().await;
    fs::remove_dir_all(&blobs.root).unwrap();
    let failed = blobs.put(b"abc".to_vec()).await.unwrap_err();
    assert!(matches!(failed, BlobError::Unavailable { .. }) && failed.is_transient());
    assert!(failed.to_string().contains("blobs/incoming"), "{failed}");
}

#[tokio::test]
async fn what_a_dead_server_left_half_written_is_removed() {
    let (parent, blobs) = folder().await;
    let mut under_way = blobs.receive().await.unwrap();
    let left = incoming_folder(&blobs.root).join("left");
    fs::write(&left, "x").unwrap();
    let again = BlobFolder::open(parent.path().join("blobs"), SystemTime::UNIX_EPOCH).await.unwrap();
    assert!(!left.exists(), "nobody writes to it");
    assert_eq!(incoming(&again), 1, "another server is at it");
    under_way.write(b"abc").await.unwrap();
    under_way.finish().await.unwrap();
    assert_eq!(under_way.place().await.unwrap(), key(ABC));
    assert_eq!(again.get(&key(ABC), 3).await.unwrap(), b"abc");
}

#[tokio::test]
async fn what_comes_in_pieces_is_kept_once_it_is_placed() {
    let (_parent, blobs) = folder().await;
    let content: Vec<u8> = (0..700_001_u32).map(|number| number.to_le_bytes()[number as usize % 4]).collect();
    let mut receiving = blobs.receive().await.unwrap();
    for piece in content.chunks(77_777) {
        receiving.write(piece).await.unwrap();
    }
    let finished = receiving.finish().await.unwrap();
    assert_eq!(incoming(&blobs), 1);
    assert!(matches!(blobs.get(&finished, u64::MAX).await, Err(BlobError::Missing(_))), "it is not placed yet");
    let placed = receiving.place().await.unwrap();
    assert_eq!(placed, finished);
    assert_eq!(blobs.get(&placed, u64::MAX).await.unwrap(), content);
    assert_eq!(incoming(&blobs), 0);

    let mut empty = blobs.receive().await.unwrap();
    empty.finish().await.unwrap();
    assert_eq!(empty.place().await.unwrap(), blobs.put(Vec::new()).await.unwrap());
}

#[tokio::test]
async fn nothing_is_left_of_what_breaks_off() {
    let (_parent, blobs) = folder().await;
    let mut receiving = blobs.receive().await.unwrap();
    receiving.write(&vec![7; 300_000]).await.unwrap();
    assert_eq!(incoming(&blobs), 1);
    drop(receiving);
    assert_eq!(incoming(&blobs), 0);
    let mut finished = blobs.receive().await.unwrap();
    finished.write(b"abc").await.unwrap();
    finished.finish().await.unwrap();
    drop(finished);
    assert_eq!(incoming(&blobs), 0);
    assert!(matches!(blobs.open(&key(ABC), 0).await, Err(BlobError::Missing(_))));
    let early = blobs.receive().await.unwrap();
    assert!(early.place().await.is_err(), "what was not finished is not placed");
    assert_eq!(incoming(&blobs), 0);
}

#[tokio::test]
async fn a_copy_cannot_reach_what_is_kept() {
    let (parent, blobs) = folder().await;
    blobs.put(b"abc".to_vec()).await.unwrap();
    let copy = parent.path().join("work/upload/a.csv");
    blobs.copy_to(&key(ABC), &copy).await.unwrap();
    assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o400);
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&copy, "abd").unwrap();
    assert_eq!(blobs.get(&key(ABC), 3).await.unwrap(), b"abc");
    blobs.copy_to(&key(ABC), &copy).await.unwrap();
    assert_eq!(fs::read(&copy).unwrap(), b"abc", "what lay there is replaced");

    fs::write(place_of(&blobs.root, &key(ABC)), "abd").unwrap();
    let other = parent.path().join("work/upload/b.csv");
    let damaged = blobs.copy_to(&key(ABC), &other).await.unwrap_err();
    assert!(matches!(damaged, BlobError::Damaged { .. }), "{damaged}");
    assert_eq!(fs::read_dir(other.parent().unwrap()).unwrap().count(), 1, "nothing is left of it");
}
