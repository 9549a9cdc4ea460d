//! Where settings come from, and what is said of wrong ones.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use cogwheel_tests::{Backend, Home};
use serde_json::{Value, json};

fn home() -> Home {
    Home::unmigrated(Backend::Sqlite)
}

#[test]
fn the_file_then_the_environment_then_flags() {
    let mut home = home();
    let has = |home: &Home, folder: &str| home.path(folder).join("cogwheel.db").exists();
    home.write("config.toml", "data_dir = \"from-file\"\n");
    let _ = home.run(&["db", "migrate"]).with_code(0);
    assert!(has(&home, "from-file"));
    home.set("data_dir", "from-environment");
    let _ = home.run(&["db", "migrate"]).with_code(0);
    assert!(has(&home, "from-environment"));
    let _ = home.run(&["db", "migrate", "--data-dir", "from-flag"]).with_code(0);
    assert!(has(&home, "from-flag"));
}

#[test]
fn an_unknown_setting_is_named() {
    let mut home = home();
    home.write("config.toml", "listen = \"127.0.0.1:0\"\n[engine]\nkil_grace = \"1s\"\n");
    let refused = home.run(&["serve"]).with_code(2);
    assert!(refused.stderr.contains("engine.kil_grace"), "{refused:#?}");
    assert!(refused.stderr.contains("config.toml:3:1"), "{refused:#?}");
    assert!(refused.stderr.contains("did you mean `engine.kill_grace`"), "{refused:#?}");

    home.write("config.toml", "");
    let refused = home.run(&["serve", "--lisen", "127.0.0.1:0"]).with_code(2);
    assert!(refused.stderr.contains("--lisen") && refused.stderr.contains("--listen"), "{refused:#?}");

    home.set("lisen", "127.0.0.1:0");
    let refused = home.run(&["serve"]).with_code(2);
    assert!(refused.stderr.contains("COGWHEEL_LISEN") && refused.stderr.contains("COGWHEEL_LISTEN"), "{refused:#?}");
}

#[test]
fn an_invalid_setting_is_named_wherever_it_stands() {
    for (line, key) in [
        ("listen = \"nowhere\"", "listen"),
        ("listen = 8420", "listen"),
        ("database_url = \"mysql://x\"", "database_url"),
        ("engine.kill_grace = \"soon\"", "engine.kill_grace"),
        ("engine.max_running_executions = 0", "engine.max_running_executions"),
        ("workflows.folders = \"x\"\nworkflows.rescan = \"never\"", "workflows.rescan"),
        ("log.format = \"xml\"", "log.format"),
        ("insecure_no_auth = \"perhaps\"", "insecure_no_auth"),
    ] {
        let home = home();
        home.write("config.toml", line);
        let refused =
            home.command(&["serve"]).env_remove("COGWHEEL_LISTEN").env_remove("COGWHEEL_ENGINE__KILL_GRACE").output();
        let refused = refused.expect("the binary runs");
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(2), "{line}: {said}");
        assert!(said.contains(key) && said.contains("config.toml:"), "{line}: {said}");
    }

    let mut home = home();
    home.set("engine.kill_grace", "soon");
    let refused = home.run(&["serve"]).with_code(2);
    assert!(refused.stderr.contains("COGWHEEL_ENGINE__KILL_GRACE"), "{refused:#?}");
    home.set("engine.kill_grace", "1s");
    let refused = home.run(&["serve", "--engine-kill-grace", "soon"]).with_code(2);
    assert!(refused.stderr.contains("--engine-kill-grace"), "{refused:#?}");
}

#[test]
fn broken_toml_and_missing_files_are_told_with_their_place() {
    let home = home();
    home.write("config.toml", "listen = \n");
    let refused = home.run(&["serve"]).with_code(2);
    assert!(refused.stderr.contains("config.toml:1:"), "{refused:#?}");
    let refused = home.run(&["--config", "nowhere.toml", "serve"]).with_code(2);
    assert!(refused.stderr.contains("nowhere.toml"), "{refused:#?}");
}

#[test]
fn no_authentication_is_refused_beyond_this_machine() {
    let home = home();
    let refused = home.run(&["serve", "--listen", "0.0.0.0:0", "--insecure-no-auth"]).with_code(2);
    assert!(refused.stderr.contains("insecure_no_auth") || refused.stderr.contains("insecure-no-auth"), "{refused:#?}");
}

#[test]
fn config_toml_names_every_setting_of_the_schema() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this package lies in the repository");
    let file = fs::read_to_string(repository.join("config.toml")).expect("config.toml is there");
    let mut section = String::new();
    let mut written = BTreeSet::new();
    for line in file.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = format!("{name}.");
        } else if let Some((key, _)) = line.split_once('=').filter(|_| !line.starts_with('#')) {
            written.insert(format!("{section}{}", key.trim()));
        }
    }

    let schema = home().run(&["schema", "config"]).with_code(0).json();
    assert_eq!(schema["additionalProperties"], json!(false));
    let mut declared = BTreeSet::new();
    leaves(&schema, "", &mut declared);
    assert!(declared.len() > 10, "{declared:?}");
    assert_eq!(written, declared);
}

fn leaves(schema: &Value, prefix: &str, found: &mut BTreeSet<String>) {
    for (name, inner) in schema["properties"].as_object().expect("an object has properties") {
        assert!(inner["description"].is_string() || inner["properties"].is_object(), "{prefix}{name} is not described");
        if inner["properties"].is_object() {
            leaves(inner, &format!("{prefix}{name}."), found);
        } else {
            found.insert(format!("{prefix}{name}"));
        }
    }
}
