//! The file, the environment and flags, and everything that can be wrong with them.

use std::path::Path;

use super::table::{Kind, SETTINGS};
use super::{Settings, Sources};

const CONFIG_TOML: &str = include_str!("../../../../config.toml");

fn settings(file: &str, variables: &[(&str, &str)]) -> Result<Settings, String> {
    let mut sources = Sources::defaults();
    sources.file(Path::new("config.toml"), file);
    sources.environment(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    Settings::resolve(&sources, Path::new("/etc/cogwheel"), Path::new("/home/me")).map_err(|error| error.to_string())
}

#[test]
fn every_default_is_readable() {
    settings("", &[]).unwrap();
    assert_eq!(Sources::defaults().given.len(), SETTINGS.len());
}

#[test]
fn config_toml_names_every_setting_with_its_default() {
    let mut defaults = Sources::defaults();
    defaults.file(Path::new("config.toml"), "workflows.folders = [\"examples/workflows\"]");
    let mut file = Sources::default();
    file.file(Path::new("config.toml"), CONFIG_TOML);
    assert_eq!(file.problems, Vec::<String>::new());
    for setting in SETTINGS {
        let given = file.given.get(setting.key).unwrap_or_else(|| panic!("config.toml lacks {}", setting.key));
        assert_eq!(given.raw, defaults.given[setting.key].raw, "{}", setting.key);
        assert!(CONFIG_TOML.contains(setting.about), "config.toml does not explain {}: {}", setting.key, setting.about);
    }
}

#[test]
fn the_environment_overrides_the_file() {
    let settings = settings(
        "listen = \"127.0.0.1:1\"\n[engine]\nkill_grace = \"1s\"",
        &[("COGWHEEL_LISTEN", "127.0.0.1:2"), ("COGWHEEL_WORKFLOWS__FOLDERS", "a, b"), ("HOME", "/root")],
    )
    .unwrap();
    assert_eq!(settings.listen.port(), 2);
    assert_eq!(settings.kill_grace.as_secs(), 1);
    assert_eq!(settings.workflow_folders, [Path::new("/home/me/a"), Path::new("/home/me/b")]);
    assert_eq!(settings.data_dir, Path::new("/etc/cogwheel/data"));
}

#[test]
fn every_problem_is_named_with_its_place() {
    let cases = [
        ("listn = \"x\"", "config.toml:1:1: unknown setting `listn`; did you mean `listen`?"),
        (
            "[engine]\nkill_grce = \"1s\"",
            "config.toml:2:1: unknown setting `engine.kill_grce`; did you mean `engine.kill_grace`?",
        ),
        ("listen = 5", "config.toml:1:1: setting `listen`: expected text, found the number 5"),
        ("listen = \"here\"", "`here` is not an address with a port"),
        ("[engine]\nkill_grace = \"soon\"", "setting `engine.kill_grace`"),
        ("[cluster]\nlease = \"999ms\"", "setting `cluster.lease`: must be at least 1s"),
        ("[engine]\nmax_parallel_steps = 0", "`0` is not a whole number from 1 to 10000"),
        ("[server]\nbody_limit = \"many\"", "`many` is not a size"),
        ("[log]\nformat = \"xml\"", "`xml` is not one of text, json"),
        ("[files]\nrescan = \"* * *\"", "six fields"),
        ("database_url = \"mysql://secret@host/db\"", "setting `database_url`: expected postgres://"),
        ("[server]\npublic_url = \"ftp://secret@host\"", "setting `server.public_url`: expected https://host"),
        ("[server]\npublic_url = \"https://\"", "setting `server.public_url`: expected https://host"),
        ("insecure_no_auth = true\nlisten = \"0.0.0.0:80\"", "refused while `listen` is 0.0.0.0:80"),
        ("= nothing", "config.toml:1:1"),
    ];
    for (file, expected) in cases {
        let problem = settings(file, &[]).unwrap_err();
        assert!(problem.contains(expected), "{file}: {problem}");
        assert!(!problem.contains("secret"), "{problem}");
    }
    let problem = settings("", &[("COGWHEEL_LISTN", "x")]).unwrap_err();
    assert!(problem.contains("environment variable COGWHEEL_LISTN is not a setting; did you mean `COGWHEEL_LISTEN`?"));
}

#[test]
fn the_json_schema_has_every_setting() {
    let schema = super::json_schema();
    for setting in SETTINGS {
        let property = match setting.key.split_once('.') {
            None => &schema["properties"][setting.key],
            Some((section, name)) => &schema["properties"][section]["properties"][name],
        };
        assert_eq!(property["description"], setting.about);
        assert!(!property["default"].is_null(), "{}", setting.key);
        if let Kind::Count(most) = setting.kind {
            assert_eq!(property["maximum"], most);
        }
    }
}
