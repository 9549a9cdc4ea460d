//! Files come in every way there is while the server is killed again and again: none is lost, none taken twice, none
//! read in part. What was written is kept in a manifest that the server's records are compared with.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use cogwheel_tests::{Backend, Home, Server, on_both_databases, within};
use serde_json::Value;
use sha2::{Digest, Sha256};

on_both_databases!(kills_lose_double_and_halve_nothing);

/// How often the server is killed; `COGWHEEL_KILLS` says otherwise. A server of a cluster takes longer to come back.
fn kills(backend: Backend) -> usize {
    let asked = std::env::var("COGWHEEL_KILLS").ok().and_then(|kills| kills.parse().ok());
    asked.unwrap_or(match backend {
        Backend::Sqlite => 50,
        Backend::Postgres => 20,
    })
}

/// Whoever writes pauses for so long, now and then.
const BREATH: Duration = Duration::from_millis(15);

/// Two watches of one folder, one that takes a file at once and one that waits until it is quiet; and a folder whose
/// files are batched and moved away.
const WORKFLOWS: [(&str, &str); 3] = [
    ("quick", "on: {file: {path: inbox, match: '**/*.csv', settle: 0s}}\nsteps: [{uses: log, with: {message: x}}]\n"),
    ("calm", "on: {file: {path: inbox, match: '**/*.csv', settle: 150ms}}\nsteps: [{uses: log, with: {message: x}}]\n"),
    (
        "swept",
        "on: {file: {path: drops, match: '*.csv', settle: 0s, batch: {max_files: 7, max_wait: 100ms}, after: {success: drops/done}}}\n\
         steps: [{uses: log, with: {message: x}}]\n",
    ),
];

/// What was written: each path with its versions. The last stays; earlier ones may be gone before anybody sees them.
#[derive(Default)]
struct Manifest(BTreeMap<PathBuf, Vec<Vec<u8>>>);

impl Manifest {
    fn add(&mut self, path: PathBuf, content: impl Into<Vec<u8>>) {
        self.0.entry(path).or_default().push(content.into());
    }
}

/// Someone who writes files, one way after the other.
struct Writer {
    inbox: PathBuf,
    elsewhere: PathBuf,
    number: usize,
    manifest: Manifest,
}

impl Writer {
    fn run(mut self, stop: &AtomicBool) -> Manifest {
        while !stop.load(Ordering::Relaxed) {
            self.one();
        }
        self.manifest
    }

    fn one(&mut self) {
        self.number += 1;
        let number = self.number;
        let content = format!("content {number} {}", "x".repeat(number % 3000));
        let name = format!("{number}.csv");
        let place = self.inbox.join(&name);
        match number % 12 {
            0 => slowly(&place, &content),
            1 => fs::copy(self.draft(&content), &place).map(drop),
            2 => fs::hard_link(self.draft(&content), &place),
            3 => return self.deep_folder(&content),
            4 => return self.folder_moved_in(&content),
            5 => return self.rewritten(&place, &content),
            6 => return self.edited(place, &content),
            7 => {
                let partial = self.inbox.join(format!("{name}.part"));
                fs::write(&partial, &content).and_then(|()| fs::rename(partial, &place))
            }
            8 => {
                self.manifest.add(place.clone(), "");
                return File::create(place).map(drop).expect("an empty file");
            }
            9 => {
                let odd = self.inbox.join(format!("-{number} \"späße\"\n'☂.csv"));
                self.manifest.add(odd.clone(), content.clone());
                return fs::rename(self.draft(&content), odd).expect("it can be moved");
            }
            10 => return self.linked(&name, &content),
            _ => fs::rename(self.draft(&content), &place),
        }
        .expect("the file can be written");
        self.manifest.add(place, content);
    }

    fn draft(&self, content: &str) -> PathBuf {
        let draft = self.elsewhere.join(format!("draft-{}", self.number));
        fs::write(&draft, content).expect("a draft");
        draft
    }

    /// Files are in the folders before anybody can watch them.
    fn deep_folder(&mut self, content: &str) {
        let deep = self.inbox.join(format!("{}/very/deep", self.number));
        fs::create_dir_all(&deep).expect("new folders");
        for name in ["one.csv", "two.csv"] {
            fs::write(deep.join(name), content).expect("a new file");
            self.manifest.add(deep.join(name), content);
        }
    }

    fn folder_moved_in(&mut self, content: &str) {
        let (draft, place) = (self.elsewhere.join("tree"), self.inbox.join(format!("tree-{}", self.number)));
        fs::create_dir_all(draft.join("sub")).expect("new folders");
        fs::write(draft.join("sub/a.csv"), content).expect("a new file");
        fs::rename(draft, &place).expect("it can be moved");
        self.manifest.add(place.join("sub/a.csv"), content);
    }

    /// Truncated and written anew.
    fn rewritten(&mut self, place: &Path, content: &str) {
        for round in 0..2 {
            let content = format!("{round} {content}");
            fs::write(place, &content).expect("it can be written");
            self.manifest.add(place.to_owned(), content);
            pause(BREATH);
        }
    }

    /// A backup is made, the file is written anew, the backup goes.
    fn edited(&mut self, place: PathBuf, content: &str) {
        fs::write(&place, content).expect("it can be written");
        self.manifest.add(place.clone(), content);
        pause(BREATH);
        let backup = place.with_extension("csv~");
        fs::rename(&place, &backup).expect("it can be moved");
        let content = format!("edited {content}");
        fs::write(&place, &content).expect("it can be written");
        fs::remove_file(backup).expect("it can be removed");
        self.manifest.add(place, content);
    }

    /// A link to a file of the folder is a file, one that leads out of it is none.
    fn linked(&mut self, name: &str, content: &str) {
        fs::rename(self.draft(content), self.inbox.join(name)).expect("it can be moved");
        let (good, bad) = (self.inbox.join(format!("good-{name}")), self.inbox.join(format!("bad-{name}")));
        symlink(name, &good).expect("a new link");
        symlink("/etc/hosts", bad).expect("a new link");
        self.manifest.add(self.inbox.join(name), content);
        self.manifest.add(good, content);
    }
}

fn slowly(place: &Path, content: &str) -> std::io::Result<()> {
    let mut file = File::create(place)?;
    for part in content.as_bytes().chunks(content.len() / 4 + 1) {
        file.write_all(part)?;
        pause(BREATH);
    }
    Ok(())
}

fn pause(duration: Duration) {
    #[expect(clippy::disallowed_methods, reason = "a slow writer is what is tested")]
    thread::sleep(duration);
}

/// Drops files that are batched and moved away.
fn drop_files(drops: &Path, elsewhere: &Path, stop: &AtomicBool) -> Manifest {
    let mut manifest = Manifest::default();
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        number += 1;
        let (draft, name) = (elsewhere.join("drop"), format!("{number}.csv"));
        fs::write(&draft, &name).expect("a draft");
        fs::rename(&draft, drops.join(&name)).expect("it can be moved");
        manifest.add(drops.join(&name), name);
        pause(BREATH);
    }
    manifest
}

fn kills_lose_double_and_halve_nothing(backend: Backend) {
    let mut home = Home::new(backend);
    home.set("cluster.lease", "1s");
    for (name, text) in WORKFLOWS {
        home.write(&format!("workflows/{name}.yaml"), text);
    }
    for folder in ["drops", "drafts"] {
        fs::create_dir(home.path(folder)).expect("a new folder");
    }
    let root = fs::canonicalize(home.root()).expect("it is there");
    let (stop, kills) = (AtomicBool::new(false), kills(backend));
    let (server, files, drops) = thread::scope(|scope| {
        let writer = Writer {
            inbox: root.join("inbox"),
            elsewhere: root.join("drafts"),
            number: 0,
            manifest: Manifest::default(),
        };
        let files = scope.spawn(|| writer.run(&stop));
        let drops = scope.spawn(|| drop_files(&root.join("drops"), &root.join("drafts"), &stop));
        for kill in 0..kills {
            let server = home.serve();
            pause(Duration::from_millis((kill as u64 * 37) % 250));
            server.crash();
        }
        let server = home.serve();
        stop.store(true, Ordering::Relaxed);
        (server, files.join().expect("it writes"), drops.join().expect("it writes"))
    });
    for workflow in ["quick", "calm"] {
        settled(&server, workflow, &files);
    }
    settled(&server, "swept", &drops);
    let moved = || fs::read_dir(root.join("drops/done")).map_or(0, Iterator::count);
    within(Duration::from_mins(1), "all dropped files to be moved", || (moved() >= drops.0.len()).then_some(()));

    // Once more everything is looked at anew.
    server.stop();
    let server = home.serve();
    let mut last = files;
    last.add(root.join("inbox/last.csv"), "last");
    fs::write(root.join("inbox/last.csv"), "last").expect("a new file");
    for workflow in ["quick", "calm"] {
        settled(&server, workflow, &last);
        compare(&server, workflow, &last);
    }
    compare(&server, "swept", &drops);
    for (path, versions) in &drops.0 {
        let name = path.file_name().expect("it has one");
        let content = fs::read(root.join("drops/done").join(name)).expect("it was moved");
        assert_eq!(content, versions[0], "{}", path.display());
    }
    assert_eq!(moved(), drops.0.len(), "each is moved once");
    let _ = home.run(&["db", "verify", "--data"]).with_code(0);
    #[expect(clippy::print_stdout, reason = "the numbers are what it is for")]
    {
        let versions: usize = last.0.values().map(Vec::len).sum();
        println!("{kills} kills, {} files, {versions} versions, {} dropped and moved", last.0.len(), drops.0.len());
    }
}

/// Waits until the last version of every file is taken and nothing is left to do.
fn settled(server: &Server, workflow: &str, manifest: &Manifest) {
    within(Duration::from_mins(2), format!("{workflow} to take every file"), || {
        let taken: BTreeSet<PathBuf> = seen(server, workflow).into_iter().map(|(path, _)| path).collect();
        let live = server.count_executions(workflow, &["QUEUED", "RUNNING", "WAITING"]);
        let is_last_there = || {
            let seen: BTreeSet<(PathBuf, String)> = seen(server, workflow).into_iter().collect();
            manifest.0.iter().all(|(path, versions)| {
                versions.last().is_none_or(|last| seen.contains(&(path.clone(), fingerprint(last))))
            })
        };
        (live == 0 && taken.len() >= manifest.0.len() && is_last_there()).then_some(())
    });
}

/// Every version that is seen was written, whole; none is seen twice; the last of each file is.
fn compare(server: &Server, workflow: &str, manifest: &Manifest) {
    let mut counts: BTreeMap<(PathBuf, String), usize> = BTreeMap::new();
    for version in seen(server, workflow) {
        *counts.entry(version).or_default() += 1;
    }
    let doubled: Vec<_> = counts.iter().filter(|(_, count)| **count > 1).collect();
    assert!(doubled.is_empty(), "{workflow} took these twice: {doubled:#?}");
    let in_part: Vec<_> = counts
        .keys()
        .filter(|(path, hash)| {
            let versions = manifest.0.get(path).map(Vec::as_slice).unwrap_or_default();
            !versions.iter().any(|version| fingerprint(version) == *hash)
        })
        .collect();
    assert!(in_part.is_empty(), "{workflow} took what nobody wrote: {in_part:#?}");
    let lost: Vec<_> = manifest
        .0
        .iter()
        .filter(|(path, versions)| {
            versions.last().is_some_and(|last| !counts.contains_key(&((*path).clone(), fingerprint(last))))
        })
        .collect();
    assert!(lost.is_empty(), "{workflow} lost: {lost:#?}");
}

/// The path and content of every file that an execution of the workflow took in.
fn seen(server: &Server, workflow: &str) -> Vec<(PathBuf, String)> {
    let of = |file: &Value| {
        let text = |field: &str| file[field].as_str().expect("text").to_owned();
        (PathBuf::from(text("path")), text("sha256"))
    };
    server
        .all_executions(workflow)
        .iter()
        .flat_map(|execution| {
            let trigger = &execution["trigger"];
            match trigger["files"].as_array() {
                Some(files) => files.iter().map(of).collect::<Vec<_>>(),
                None => vec![of(&trigger["file"])],
            }
        })
        .collect()
}

/// SHA-256, as the server tells it.
fn fingerprint(content: &[u8]) -> String {
    let mut text = String::new();
    for byte in Sha256::digest(content) {
        write!(text, "{byte:02x}").expect("a text takes everything");
    }
    text
}
