//! `cogwheel secrets`: what is locked away, and never shown.

use std::io::Read as _;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use cogwheel_engine::clock::{Clock as _, SystemClock};
use cogwheel_engine::ports::Store as _;
use cogwheel_engine::{DEFAULT_OVERLAP, SecretInfo, Secrets, SetSecret, TenantId};
use cogwheel_store::SqlStore;
use serde_json::{Value, json};

use super::database::{self, Missing};
use super::vault::KeyVault;
use crate::cli::SecretsCommand;
use crate::output;
use crate::settings::Settings;

pub(super) async fn run(command: SecretsCommand, settings: &Settings) -> anyhow::Result<ExitCode> {
    let database = database::connect(settings, Missing::Refuse).await?;
    cogwheel_migration::check(database.admin()).await?;
    let store = Arc::new(database.open().await?);
    let secrets = Secrets { store: Arc::clone(&store) as _, vault: Arc::new(KeyVault::open(settings)?) };
    let done = carry_out(command, &secrets, store.default_tenant().await?).await;
    SqlStore::close(&store).await;
    done.map(|()| ExitCode::SUCCESS)
}

async fn carry_out(command: SecretsCommand, secrets: &Secrets, tenant: TenantId) -> anyhow::Result<()> {
    match command {
        SecretsCommand::Set { name, description, overlap, output } => {
            let overlap = overlap.unwrap_or(DEFAULT_OVERLAP);
            let set = SetSecret { name, value: read_value()?, description, overlap };
            let secret = secrets.set(tenant, set, SystemClock.now()).await?;
            let text = format!("The secret {} is set (version {}).", secret.name, secret.version);
            output::answer(output.output, &document(&secret), &text)
        }
        SecretsCommand::List(output) => {
            let list = secrets.list(tenant).await?;
            let row = |secret: &SecretInfo| {
                let state = if secret.is_set { format!("set {}x", secret.version) } else { "not set".to_owned() };
                let changed = secret.rotated_at.map_or_else(String::new, |at| at.format("%F %T").to_string());
                vec![secret.name.clone(), state, changed, secret.description.clone().unwrap_or_default()]
            };
            let rows: Vec<Vec<String>> = list.iter().map(row).collect();
            let text = if rows.is_empty() {
                "There are no secrets.".to_owned()
            } else {
                output::table(&["NAME", "STATE", "CHANGED (UTC)", "FOR"], &rows)
            };
            let list: Vec<Value> = list.iter().map(document).collect();
            output::answer(output.output, &json!({ "secrets": list }), &text)
        }
        SecretsCommand::Delete { name, output } => {
            secrets.delete(tenant, &name).await?;
            output::answer(output.output, &json!({ "deleted": name }), &format!("The secret {name} is gone."))
        }
    }
}

fn read_value() -> anyhow::Result<String> {
    let mut value = String::new();
    std::io::stdin().read_to_string(&mut value).context("cannot read the value from standard input")?;
    let value = value.strip_suffix('\n').map_or(value.as_str(), |value| value.strip_suffix('\r').unwrap_or(value));
    if value.is_empty() {
        bail!("no value came in; for example: printf %s \"$VALUE\" | cogwheel secrets set NAME");
    }
    Ok(value.to_owned())
}

fn document(secret: &SecretInfo) -> Value {
    json!({
        "name": secret.name,
        "description": secret.description,
        "is_set": secret.is_set,
        "version": secret.version,
        "rotated_at": secret.rotated_at,
        "created_at": secret.created_at,
    })
}
